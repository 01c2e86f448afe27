"""Tier 1: two answers compared exactly. True: proved equal; False: proved or clearly different; None: neither.

Decimals are exact numbers: 0.5 is 1/2, 0.33 is not 1/3, 3.14 is not pi. A decimal of nine significant digits or more
that rounds a number without a finite decimal is that number as a computer prints it, and equal. A shorter rounding, of
three digits or more, is neither equal nor different: whether it will do is the question's to say.
"""

from dataclasses import dataclass

from cooper_jax.host.verifier.mathematics.algebra.equality import equal
from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable, fresh
from cooper_jax.host.verifier.mathematics.answers.answer import read
from cooper_jax.host.verifier.mathematics.answers.kinds import Reading
from cooper_jax.host.verifier.mathematics.comparison.answers import Comparison
from cooper_jax.host.verifier.mathematics.comparison.rounding import printed
from cooper_jax.host.verifier.mathematics.comparison.three import Decide
from cooper_jax.host.verifier.mathematics.reading.choice import choice
from cooper_jax.host.verifier.mathematics.reading.dress import undressed
from cooper_jax.host.verifier.mathematics.reading.spellings import squeezed
from cooper_jax.host.verifier.mathematics.reading.tokens import MAX_LENGTH


@dataclass(frozen=True)
class Text:
    """An answer's text and all that was read in it. `reason`: why nothing was."""

    text: str
    plain: str
    letter: str
    """The letter of a multiple choice; `sole`: nothing else stands in the text."""
    sole: bool
    readings: tuple[Reading, ...]
    reason: str


def text(raw: str) -> Text:
    """Read an answer; never raises."""
    if len(raw) > MAX_LENGTH:
        return Text(raw, raw.strip(), "", False, (), "too long")
    try:
        bare = undressed(raw)
    except Unreadable as error:
        return Text(raw, "", "", False, (), str(error))
    letter, sole = choice(bare)
    try:
        return Text(raw, squeezed(bare), letter, sole, read(raw), "")
    except Unreadable as error:
        return Text(raw, squeezed(bare), letter, sole, (), str(error))


def compare(gold: Text, answer: Text, decide: Decide = equal) -> bool | None:
    """Whether two answers are equal, with `decide` for pairs of expressions."""
    if gold.plain and gold.plain == answer.plain:
        return True
    if gold.letter and answer.letter and (gold.sole or answer.sole):
        if gold.letter == answer.letter:
            return True
        if not (gold.sole and answer.sole):
            return False
    results: list[bool | None] = []
    decide = printed(decide)
    for g in gold.readings:
        for a in answer.readings:
            fresh()
            try:
                result = Comparison(decide).answers(g.answer, a.answer)
            except (Unreadable, RecursionError):
                result = None
            if result and g.likely:
                return True
            results.append(None if result else result)
    return False if results and all(r is False for r in results) else None
