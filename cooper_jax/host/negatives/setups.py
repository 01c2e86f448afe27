"""Slips of set-up: a step reckons with another number, or with another sign, and the text follows from there.

All arithmetic stays true, as in the errors of a model that can add: a text is told from a right one by its question and
reference, not by its sums. What the words say of the changed number or sign changes with it; where that cannot be,
there is no such slip.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cooper_jax.host.negatives.equations import Token, alone, chains, percent_as_written, tokens, true, worked
from cooper_jax.host.negatives.language import IMPLIED, counted, in_words, meant, no_longer_one, other_operation
from cooper_jax.host.negatives.numerals import literals, spelled, wrong
from cooper_jax.host.negatives.workings import Working, carried, enumerates, read

Edit = tuple[int, int, str]
WEIGHTS = {"sign": 0.3, "earlier": 0.25, "other": 0.25, "misread": 0.2}
"""How often each kind of slip is tried first."""
MISREADINGS = 8
"""How many wrong readings of one number are tried."""
WIDEST = 50
"""A wrong answer is so many times larger or smaller than the right one, at most."""
_OTHER = {"+": "-", "-": "+", "*": "/+", "/": "*-"}
_WRITTEN = {
    r"\times": {"/": r"\div"}, r"\cdot": {"/": r"\div"}, r"\div": {"*": r"\times"}, "\u00d7": {"/": "÷"},
    "÷": {"*": "\u00d7"}, "\u2212": {},
}  # fmt: skip


class Slip(NamedTuple):
    """What is otherwise: tokens with their new values; tokens with other signs and the chains that have them; other
    edits of the text."""

    values: Mapping[int, Fraction]
    tokens: Sequence[Token]
    signs: Sequence[int] = ()
    edits: Sequence[Edit] = ()


def slipped(text: str, question: str, start: int, end: int, last: bool, rng: np.random.Generator) -> str | None:
    """`text` with a slip of set-up in one step, carried into the answer at [start, end); None where there is none. In
    the step that gives the answer if `last`, else in one before, where both are possible."""
    working = read(text, question, start, end)
    if working is None:
        return None
    kinds = list(rng.permutation(np.array(list(WEIGHTS), object)))
    first = str(rng.choice(list(WEIGHTS), p=list(WEIGHTS.values())))
    spare = None
    for kind in [first, *(k for k in kinds if k != first), "against"]:
        if spare and kind == "against":
            break
        some = list(_KINDS[kind](working, rng))
        for i in rng.permutation(len(some)):
            made = _made(working, some[i])
            if made is not None and made[1] == last:
                return made[0]
            spare = spare or (made and made[0])
    return spare


def _signs(working: Working, rng: np.random.Generator, against: bool = False) -> Iterator[Slip]:
    """Another sign in the first side of a chain, and in the words around it; `against` what words hint at or not."""
    some = working.tokens
    for n, chain in enumerate(working.chains):
        for i in range(*chain[0]):
            old = "/" if some[i].kind == "frac" else some[i].kind
            if old not in _OTHER or (i == chain[0].first and old == "-"):
                continue
            if (old == "/" and _proper(working, i)) or against != _hinted(working, n, old) or _restated(working, i):
                continue
            for new in _OTHER[old]:
                made = _other_fraction(working, i, new) if some[i].kind == "frac" else _other_sign(working, i, new)
                words = _words(working, n, old, new)
                if made is not None and words is not None:
                    yield Slip({}, made[0], [n], [*made[1], *words])


def _proper(working: Working, i: int) -> bool:
    """Whether a division is rather a fraction below one."""
    near = [t.value for t in working.tokens[i - 1 : i + 6] if t.kind == "number"][:2]
    return len(near) == 2 and near[0] < near[1]


def _restated(working: Working, i: int) -> bool:
    """Whether what stands on both sides of sign i stands so outside the equations too, where the sign would stay."""
    some = working.tokens
    numbers = [j for j, t in enumerate(some) if t.kind == "number"]
    pairs = [
        (j, k)
        for j, k in pairwise(numbers)
        if k - j < 4 and any(t.kind in (*_OTHER, "frac") for t in some[max(0, j - 2) : k])
    ]
    here = {(some[j].value, some[k].value) for j, k in pairs if j in working.within and (j < i < k or j == i + 2)}
    return any((some[j].value, some[k].value) in here for j, k in pairs if not {j, k} & working.within.keys())


def _around(working: Working, n: int) -> tuple[int, int]:
    """What speaks of chain n: from the chain before it to the end of its sentence."""
    some, chain = working.tokens, working.chains[n]
    begin = some[working.chains[n - 1][-1].last - 1].end if n else 0
    stop = _STOP.search(working.text, some[chain[-1].last - 1].end)
    return begin, stop.start() if stop else len(working.text)


_STOP = re.compile(r"[.!?](?:\s|$)|\n")


def _hinted(working: Working, n: int, sign: str) -> bool:
    """Whether the words around chain n hint at its sign."""
    begin, end = _around(working, n)
    hints = re.findall(rf"\b(?:{IMPLIED[sign]})\b", working.text[begin:end], re.IGNORECASE)
    return bool(hints)


def _against(working: Working, rng: np.random.Generator) -> Iterator[Slip]:
    """Another sign although words hint at the one that stands there."""
    yield from _signs(working, rng, against=True)


def _other_sign(working: Working, i: int, new: str) -> tuple[list[Token], list[Edit]]:
    some = list(working.tokens)
    token = some[i]
    some[i] = token._replace(kind=new)
    return some, [(token.start, token.end, _WRITTEN.get(token.text, {}).get(new, new))]


def _other_fraction(working: Working, i: int, new: str) -> tuple[list[Token], list[Edit]] | None:
    """The fraction of two numbers that starts at i as a product or difference."""
    some = list(working.tokens)
    here = some[i : i + 7]
    if [t.kind for t in here[1:]] != ["{", "number", "}", "{", "number", "}"] or here[3].gap or here[6].gap:
        return None
    beside = [some[j].kind for j in (i - 1, i + 7) if 0 <= j < len(some)]
    if new == "-" and any(kind in ("+", "-", "*", "/", "(", "{", "frac") for kind in beside):
        return None
    for j, kind in enumerate(("", "", "number", new, "", "number", "")):
        some[i + j] = here[j]._replace(kind=kind)
    written = r" \times " if new == "*" else f" {new} "
    return some, [
        (here[0].start, here[2].start, ""), (here[2].end, here[5].start, written), (here[5].end, here[6].end, ""),
    ]  # fmt: skip


def _words(working: Working, n: int, old: str, new: str) -> list[Edit] | None:
    """Edits of what is said of chain n's sign: in all the text if no other chain has it, else from the chain before to
    the end of the sentence."""
    some, text = working.tokens, working.text
    with_it = [
        m for m, c in enumerate(working.chains)
        if any(some[i].kind == old or (old == "/" and some[i].kind == "frac") for i in range(c[0].first, c[-1].last))
    ]  # fmt: skip
    begin, end = 0, len(text)
    if with_it != [n]:
        begin, end = _around(working, n)
    found = other_operation(text[begin:end], old, new)
    return None if found is None else [(begin + a, begin + b, word) for a, b, word in found]


def _operands(working: Working, n: int) -> list[int]:
    return [i for i in range(*working.chains[n][0]) if working.tokens[i].kind == "number"]


def _earlier(working: Working, rng: np.random.Generator) -> Iterator[Slip]:
    """Another number in place of an earlier result, in the step that uses it and where that speaks of it."""
    some, kinds = working.tokens, _kinds(working.question)
    for n, chain in enumerate(working.chains):
        used = _operands(working, n)
        known = {some[j].value for j, m in working.results.items() if m < n}
        for i in used:
            if i not in working.sources:
                continue
            money = "money" in kinds.values() and "$" in some[i].gap
            fitting = known | {value for value, kind in kinds.items() if kind == ("money" if money else "plain")}
            others = sorted(fitting - {some[j].value for j in used} - {some[chain[-1].first].value})
            begin, end = _around(working, n)
            near = [
                j for j in working.sources
                if begin <= some[j].start < end and working.sources[j] == working.sources[i]
                and (j not in working.within or working.within[j] == n)
            ]  # fmt: skip
            step = re.search(r"[.!?]\s|\n", working.text[begin : some[i].start])
            near = [j for j in near if step is None or some[j].start > begin + step.start()]
            if any(some[j].scale != some[i].scale for j in near):
                continue
            for other in others:
                if i in near:
                    yield Slip(dict.fromkeys(near, other), some)


def _kinds(question: str) -> dict[Fraction, str]:
    """What the numbers of a question are: money, per cent or plain."""
    kinds = {}
    for number in literals(question):
        before, after = question[: number.start].rstrip()[-1:], question[number.end : number.end + 3].lstrip()
        kinds[number.value] = "money" if before == "$" else "per cent" if after[:1] in ("%", "\\") else "plain"
    return kinds


def _repeated(some: Sequence[Token], i: int) -> bool:
    """Whether a number stands in a sum of plain numbers that is said and not worked out there."""
    beyond = [
        some[i + 2 * d : i + 2 * d + 1] for d in (-1, 1) if some[i + d : i + d + 1] and some[i + d].kind in "+-*/"
    ]
    return all(token and token[0].kind == "number" for token in beyond)


def _given(working: Working) -> Iterator[tuple[Fraction, list[int]]]:
    """Numbers that the question has once and the text reckons with, and their places."""
    some = working.tokens
    for value, count in working.asked.items():
        places = [i for i, v in working.given.items() if v == value]
        results = any(some[j].value == value for j in working.results)
        used = any(i in working.within for i in places)
        used = used and all(i in working.within or alone(some, i) or _repeated(some, i) for i in places)
        clear = not meant(f"{working.question} {working.text}", value) and value not in in_words(working.text)
        clear = clear and not any(some[i].scale != 1 for i in places)
        if count == 1 and used and clear and not results:
            yield value, places


def _others(working: Working, rng: np.random.Generator) -> Iterator[Slip]:
    """One number of the question taken for another of them, throughout."""
    some, kinds = working.tokens, _kinds(working.question)
    for value, places in _given(working):
        beside = {
            some[j].value for i in places if i in working.within
            for side in working.chains[working.within[i]] for j in range(*side)
        }  # fmt: skip
        for other in sorted(set(working.asked) - beside):
            if (other.denominator == 1) == (value.denominator == 1) and kinds.get(other) == kinds.get(value):
                yield Slip(dict.fromkeys(places, other), some)


def _misread(working: Working, rng: np.random.Generator) -> Iterator[Slip]:
    """A number of the question misread, throughout."""
    some = working.tokens
    for value, places in _given(working):
        drawn = [wrong(value, some[places[0]].text, rng) for _ in range(MISREADINGS)]
        steps = [value + 10**k * int(d) for k in (0, 1) for d in rng.choice([-5, -4, -3, -2, -1, 1, 2, 3, 4, 5], 4)]
        for other in dict.fromkeys([*drawn, *steps, 2 * value, value / 2]):
            if other > 1 and other != value and value / 3 < other < value * 3:
                yield Slip(dict.fromkeys(places, other), some)


_KINDS = {"sign": _signs, "earlier": _earlier, "other": _others, "misread": _misread, "against": _against}


def _made(working: Working, slip: Slip) -> tuple[str, bool] | None:
    """The text with a slip, and whether that is in the step which gives the answer; None where it cannot be carried on,
    is absurd, or leaves anything behind that contradicts it."""
    values = carried(working, slip.tokens, slip.values, slip.signs)
    if values is None or _absurd(working, values):
        return None
    edits = [*slip.edits]
    for i, value in values.items():
        found = _spelt(working, i, value)
        if found is None:
            return None
        edits += found
    edits = sorted(set(edits))
    if any(a[1] > b[0] for a, b in pairwise(edits)):
        return None
    text = working.text
    for a, b, word in reversed(edits):
        text = text[:a] + word + text[b:]
    if not _agrees(working, values, text):
        return None
    final = working.sources.get(working.stated, working.stated)
    touched = [*slip.signs, *(working.within[i] for i in slip.values if i in working.within)]
    return text, min(touched) == working.results[final]


def _absurd(working: Working, values: Mapping[int, Fraction]) -> bool:
    """Whether nobody would write that: a step that gives one of its own numbers or reckons with one number twice, where
    it did not before, or an answer out of all proportion."""
    some = working.tokens
    for n, chain in enumerate(working.chains):
        used, end = _operands(working, n), chain[-1].first
        old, new = [some[i].value for i in used], [values.get(i, some[i].value) for i in used]
        gave, gives = some[end].value, values.get(end, some[end].value)
        if len(used) > 1 and gives in new and gave not in old:
            return True
        if len(used) == 2 and new[0] == new[1] and old[0] != old[1]:
            return True
    was, is_now = some[working.stated].value, values[working.stated]
    return not was / WIDEST <= is_now <= was * WIDEST


def _spelt(working: Working, i: int, value: Fraction) -> list[Edit] | None:
    """Edits that put `value` at token i, in language; None where its words would no longer fit."""
    token, text = working.tokens[i], working.text
    written, was = value / token.scale, token.value / token.scale
    if was in in_words(text) and was not in in_words(working.question):
        return None
    like = token.text
    if written.denominator != 1 and "." not in like:
        like += ".00"
    edits: list[Edit] = [(token.start, token.end, spelled(written, like))]
    if written == 1 and counted(text, token.end):
        return None
    if was == 1:
        more = no_longer_one(text, token.start, token.end, f"{working.question} {text}")
        return None if more is None else edits + more
    return edits


def _agrees(working: Working, values: Mapping[int, Fraction], text: str) -> bool:
    """Whether a rewritten text has as many equations as before, all true, and nowhere the answer that it had."""
    some = tokens(text)
    found = list(chains(some))
    for chain in found:
        percent_as_written(some, chain)
    found = [true(some, c) for c in found if worked(c)]
    if sum(found) != len(working.chains) or len(found) != len(working.chains) + working.false:
        return False
    old = working.tokens[working.stated].value
    left = [i for i, t in enumerate(working.tokens) if t.kind == "number" and t.value == old and i not in values]
    return all(i in working.given or i in working.within or enumerates(working.text, working.tokens[i]) for i in left)
