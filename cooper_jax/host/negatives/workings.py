"""The working of a solution: which number repeats which, and what becomes of all of them when some change.

A number is a result (the end of an equation), an operand, or one that is only said. Each repeats a result in front of
it, a number of the question, or nothing. An error is carried on where every equation that uses it can be worked out
again, in numbers of the form of those that stood there; otherwise there is nothing to return, and the caller takes
another way.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from cooper_jax.host.negatives.equations import (
    Chain,
    Side,
    Token,
    alone,
    chains,
    parts,
    percent_as_written,
    tokens,
    true,
    worked,
    worth,
)
from cooper_jax.host.negatives.language import in_words
from cooper_jax.host.negatives.numerals import literals

ENUMERATOR = re.compile(
    r"(?:\b(?:step|case|part|equation|problem|example|day|week|month|year|option)\s*|\^\{?|_\{?|[\d.]:)$", re.IGNORECASE
)
_ENDED = re.compile(r"[.!?]\s|\n\s*\n|\n\s*\d")
_LISTED = re.compile(r"(?:^|\n)[\s*#(]*$")


class Working(NamedTuple):
    """A solution as read. `sources`: of a number's token, that of the result that it repeats; `given`: of those that
    repeat a number of the question, its worth; `unclear`: of those that may repeat either, the result."""

    text: str
    question: str
    tokens: Sequence[Token]
    chains: Sequence[Chain]
    results: Mapping[int, int]
    """Token -> its chain."""
    within: Mapping[int, int]
    sources: Mapping[int, int]
    given: Mapping[int, Fraction]
    unclear: Mapping[int, int]
    asked: Counter[Fraction]
    """How often the question has a number."""
    stated: int
    """The token of the final answer."""
    false: int
    """How many equations are false as they stand; nothing is carried through these."""


def read(text: str, question: str, start: int, end: int) -> Working | None:
    """The working of `text`, whose final answer stands at [start, end); None if no equation arrives at that."""
    some = tokens(text)
    found = list(chains(some))
    for chain in found:
        percent_as_written(some, chain)
    found = [c for c in found if worked(c)]
    false = sum(not true(some, c) for c in found)
    found = [c for c in found if true(some, c)]
    results = {c[-1].first: n for n, c in enumerate(found) if _is_number(some, c[-1])}
    within = {i: n for n, c in enumerate(found) for side in c for i in range(*side)}
    stated = [i for i, t in enumerate(some) if t.kind == "number" and start <= t.start and t.end <= end]
    if len(stated) != 1:
        return None
    asked = Counter([*(n.value for n in literals(question)), *in_words(question)])
    working = Working(text, question, some, found, results, within, {}, {}, {}, asked, stated[0], false)
    working = _linked(working)
    final = stated[0]
    return working if final in results or final in working.sources else None


def _is_number(some: Sequence[Token], side: Side) -> bool:
    return side.last - side.first == 1 and some[side.first].kind == "number"


def _linked(working: Working) -> Working:
    """With what every number repeats."""
    some, results, asked = working.tokens, working.results, working.asked
    sources: dict[int, int] = {}
    given: dict[int, Fraction] = {}
    unclear: dict[int, int] = {}
    found: dict[Fraction, list[int]] = {}
    last = max(results, default=-1)
    for i, token in enumerate(some):
        if token.kind != "number" or (enumerates(working.text, token) and i != working.stated):
            continue
        value = token.value
        earlier = found.setdefault(value, [])
        if i in results:
            earlier.append(i)
        elif earlier:
            # Behind the last equation the text says what it has found.
            behind = i > last and earlier[-1] == last and not _reckons(working, last, value)
            sure = i == working.stated or value not in asked or behind
            source = _which(working, i, earlier)
            (unclear if source is None or not sure else sources)[i] = earlier[-1] if source is None else source
        else:
            ahead = next((j for j in results if j > i and some[j].value == value), None)
            near = ahead is not None and not _ENDED.search(working.text, token.end, some[ahead].start)
            near = near and ahead is not None and not _reckons(working, ahead, value)
            if ahead is not None and i not in working.within and (near or value not in asked):
                sources[i] = ahead
            elif value in asked:
                given[i] = value
    return working._replace(sources=sources, given=given, unclear=unclear)


def _reckons(working: Working, result: int, value: Fraction) -> bool:
    """Whether the equation that arrives at `result` reckons with `value`: 93 / 1 = 93."""
    first = working.chains[working.results[result]][0]
    return any(working.tokens[j].kind == "number" and working.tokens[j].value == value for j in range(*first))


def _which(working: Working, i: int, earlier: Sequence[int]) -> int | None:
    """Which of several equal results number i repeats: the first of two in an equation the first, a lone one that of
    the step before; None if neither."""
    n = working.within.get(i)
    if n is None or len(earlier) == 1:
        return earlier[-1]
    side = next(side for side in working.chains[n] if i in range(*side))
    value = working.tokens[i].value
    same = [j for j in range(*side) if working.tokens[j].kind == "number" and working.tokens[j].value == value]
    if 1 < len(same) <= len(earlier):
        return earlier[same.index(i) - len(same)]
    return earlier[-1] if len(same) == 1 and working.results[earlier[-1]] == n - 1 else None


def enumerates(text: str, token: Token) -> bool:
    """Whether a number counts steps or list items, or is part of a word."""
    before, after = text[max(0, token.start - 20) : token.start], text[token.end : token.end + 3]
    if (
        ENUMERATOR.search(before)
        or re.match(r"(?:[A-Za-z]|st|nd|rd|th)\b|:\d", after)
        or re.search(r"[A-Za-z]$", before)
    ):
        return True
    return bool(_LISTED.search(before) and re.match(r"[.):]", after))


def carried(
    working: Working, some: Sequence[Token], first: Mapping[int, Fraction], changed: Sequence[int] = ()
) -> dict[int, Fraction] | None:
    """New values by token once those of `first` are as they say, and the chains `changed` have other signs, which
    `some` has; None where an equation cannot follow."""
    values = dict(first)
    for n, chain in enumerate(working.chains):
        inside = range(chain[0].first, chain[-1].last)
        for i in inside:
            if i not in first and working.sources.get(i) in values and i not in working.results:
                values[i] = values[working.sources[i]]
            if working.unclear.get(i) in values:
                return None
        if n not in changed and not any(i in values for i in inside):
            continue
        if not _reworked(working, some, n, values):
            return None
    for i, j in working.sources.items():
        if i not in working.within and j in values:
            if not alone(some, i):
                return None
            values[i] = values[j]
    if any(j in values for i, j in working.unclear.items() if i not in working.within):
        return None
    different = {i: v for i, v in values.items() if v != working.tokens[i].value}
    fits = all(_fits(working, i, v) for i, v in different.items())
    return different if fits and working.stated in different else None


def _reworked(working: Working, some: Sequence[Token], n: int, values: dict[int, Fraction]) -> bool:
    """Work a chain out again with `values`, to which what it arrives at is added; whether that is possible."""
    chain, old = working.chains[n], working.tokens
    new = worth(some, chain[0], values)
    if new is None:
        return False
    for before, side in pairwise(chain):
        if _is_number(old, side):
            # What was rounded is rounded again.
            values[side.first] = _like(new, worth(old, before), old[side.first])
            continue
        was, now = parts(old, before), parts(some, before, values)
        if len(was) != len(now):
            return False
        became = dict(zip(was, now, strict=True))
        for i in range(*side):
            if old[i].kind == "number" and i not in values and old[i].value in became:
                values[i] = became[old[i].value]
    return true(some, chain, values)


def _like(new: Fraction, was: Fraction | None, token: Token) -> Fraction:
    places = len(token.text.partition(".")[2])
    if was == token.value or not places:
        return new
    unit = Fraction(1, 10**places)
    return round(new / token.scale / unit) * unit * token.scale


def _fits(working: Working, i: int, value: Fraction) -> bool:
    """Whether `value` can stand in the token's form: positive, with no more decimal places; money may have cents."""
    token = working.tokens[i]
    places = len(token.text.partition(".")[2])
    if "$" in token.gap[-2:] and i not in working.given:
        places = max(places, 2)
    written = value / token.scale
    return value > 0 and (written * 10**places).denominator == 1 and written < 10**9
