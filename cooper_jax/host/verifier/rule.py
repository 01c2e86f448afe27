"""The rule: right, wrong or unknown, for a completion and its reference. No processes and no clock: see `pool`."""

import re
from dataclasses import replace
from functools import lru_cache

from cooper_jax.config import Extraction
from cooper_jax.host.verifier.mathematics import exact, symbolic
from cooper_jax.host.verifier.mathematics.answers.kinds import Answer, Colon, Group, Words
from cooper_jax.host.verifier.mathematics.answers.relations import APPROXIMATE
from cooper_jax.host.verifier.mathematics.exact import Text
from cooper_jax.host.verifier.mathematics.extract import has_box, has_phrase, last_number, stated_answer
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG, Verdict

SHOWN = 2000
"""Characters of an answer that a verdict repeats."""


def verify(gold: str, completion: str, finished: bool = True, extract: Extraction = "auto") -> Verdict:
    """Grade a completion by its final answer, found as `extract` says. Never raises.

    `right`: proved equal. `wrong`: an answer was stated and is different, or (answer None) none was stated, or the
    completion did not finish. `unknown`: neither could be shown, or the reference cannot be read.
    """
    if not isinstance(gold, str) or not isinstance(completion, str):
        return Verdict(UNKNOWN, None, "not text")
    if not finished:
        return Verdict(WRONG, None, "unfinished")
    try:
        return _verify(gold, completion, extract)
    except Exception as error:  # Whatever a text provokes costs its own verdict, not the run.
        return Verdict(UNKNOWN, None, f"{type(error).__name__}: {error}"[:200])


def _verify(gold: str, completion: str, extract: Extraction) -> Verdict:
    answer = stated_answer(completion, extract)
    if answer is None:
        return Verdict(WRONG, None, "no answer stated")
    shown = answer if len(answer) <= SHOWN else answer[:SHOWN] + "…"
    reference = _reference(gold)
    if not reference.plain:
        return Verdict(UNKNOWN, shown, f"reference not read: {reference.reason}")
    readings = _stated(answer, extract == "boxed" or (extract == "auto" and has_box(completion)))
    same = None
    for stated in readings:
        if same is None:
            same = exact.compare(reference, stated)
        if same is None:
            same = symbolic.compare(reference, stated)
    if same is None:
        reason = f"reference not read: {reference.reason}" if reference.reason else readings[0].reason
        return Verdict(UNKNOWN, shown, reason or "cannot be decided")
    return Verdict(RIGHT, shown, "equal") if same else Verdict(WRONG, shown, "different")


def unreadable(reference: str) -> str | None:
    """Why a reference cannot be read, or is not equal to itself as read, for data to be rejected when it is loaded.

    None if it can be.
    """
    if not isinstance(reference, str):
        return "not text"
    found = _reference(reference)
    if not found.readings and not symbolic.readable(found):
        return found.reason
    bare = replace(found, plain="", letter="")
    if found.letter or exact.compare(bare, bare) or symbolic.compare(bare, bare):
        return None
    return "it does not agree with itself"


@lru_cache(maxsize=2048)
def _reference(gold: str) -> Text:
    """A reference stands alone, or in a box, between dollar signs or at the end of a worked solution."""
    whole = exact.text(gold) if len(gold) < 400 and "boxed" not in gold else None
    if whole is not None and whole.readings and not (_prose(whole) and (len(gold) > 40 or has_phrase(gold))):
        return whole
    found = _stated(stated_answer(gold, "auto") or gold, has_box(gold))[-1]
    if found.reason != APPROXIMATE or not all(re.search(r"\d*\.\d", x) for x in _SIGN.split(found.text)[1:]):
        return found
    # Where nothing but a decimal is stated, as in `x \approx 2.71`, it is what was asked for.
    rounded = exact.text(_SIGN.sub("=", _LEADING_SIGN.sub("", found.text)))
    return replace(rounded, plain=found.plain) if rounded.readings else found


_SIGN = re.compile(r"\\(?:approx|thickapprox|simeq)(?![A-Za-z])|≈")
_LEADING_SIGN = re.compile(rf"^[\s$(\\\[]*(?:{_SIGN.pattern})")


def _stated(answer: str, boxed: bool) -> list[Text]:
    """The answer as it stands; outside a box, prose that ends in a number states that number."""
    found = exact.text(answer)
    number = None if boxed or found.letter or not _prose(found) else last_number(answer)
    return [found, exact.text(number)] if number else [found]


def _prose(found: Text) -> bool:
    return all(_wordy(r.answer) for r in found.readings)


def _wordy(answer: Answer) -> bool:
    """Words, or a list with a phrase in it, as a text with a comma is read, or what stands behind `Answer:`."""
    if isinstance(answer, Colon):
        return any(isinstance(x, Words) and len(x.text) > 2 for x in answer.parts)
    if isinstance(answer, Group):
        return any(isinstance(x, Words) and " " in x.text for x in answer.items)
    return isinstance(answer, Words)
