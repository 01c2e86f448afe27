"""The equations that a solution writes out, read as chains: one result spoiled, the rest worked out again.

Only what can be checked is touched: equations between expressions of plain numbers with + - * / and brackets, true as
they stand. An error is carried on where every later equation that uses it can be worked out again and fits the form of
the numbers it replaces; otherwise there is nothing to return, and the caller takes another way.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from cooper_jax.host.negatives.numerals import MAX_DIGITS, NUMBER, literals, plain, spelled, wrong

RESULTS, GUESSES = 4, 6
"""How many results are tried, with how many wrong values each."""
LONGEST = 60
"""Tokens of one expression."""
_TOKEN = re.compile(
    rf"(?P<number>{NUMBER})|(?P<skip>\s+|\*\*|\\?\$|\\[,;:!]|\\left|\\right|&|\\(?:text|mathrm)\{{[^{{}}]*\}})"
    r"|(?P<frac>\\[dt]?frac)|(?P<sign>\\times|\\cdot|\\div|[-+*/\u00d7·÷\u2212(){}=])|(?P<other>\\\w+|\w+|<<|>>|.)",
    re.DOTALL,
)
_SIGNS = {r"\times": "*", r"\cdot": "*", r"\div": "/", "\u00d7": "*", "·": "*", "÷": "/", "\u2212": "-"}


class Token(NamedTuple):
    """`kind` is number, frac, other, or the sign itself."""

    kind: str
    text: str
    start: int
    end: int
    value: Fraction


class Side(NamedTuple):
    """Tokens [first, last) of an expression."""

    first: int
    last: int


Chain = list[Side]
"""Expressions that the text equates, left to right."""


def spoiled(text: str, question: str, start: int, end: int, rng: np.random.Generator) -> str | None:
    """`text` with one intermediate result wrong and the error carried into the answer at [start, end), or None."""
    tokens = _tokens(text)
    chains = [c for c in _chains(tokens) if _true(c, tokens)]
    results = {i: c for c in chains if (i := _result(c, tokens)) is not None}
    given = {n.value for n in literals(question)}
    sources = _sources(text, tokens, results, given, start, end)
    stated = [i for i, t in enumerate(tokens) if t.kind == "number" and start <= t.start and t.end <= end]
    if len(stated) != 1 or stated[0] not in sources:
        return None
    some = [i for i in results if i != sources[stated[0]] and i in sources.values()]
    for i in rng.permutation(np.array(some, int))[:RESULTS]:
        for _ in range(GUESSES):
            guess = wrong(tokens[i].value, tokens[i].text, rng)
            values = _carried(tokens, chains, results, sources, int(i), guess)
            if values is not None and stated[0] in values:
                return _written(text, tokens, values)
    return None


def _tokens(text: str) -> list[Token]:
    tokens = []
    for found in _TOKEN.finditer(text):
        kind, written = str(found.lastgroup), found[0]
        if kind == "skip":
            continue
        if kind == "number" and len(written) > MAX_DIGITS:
            kind = "other"
        value = plain(written) if kind == "number" else Fraction(0)
        kind = _SIGNS.get(written, written) if kind == "sign" else kind
        tokens.append(Token(kind, written, *found.span(), value))
    return tokens


def _chains(tokens: Sequence[Token]) -> Iterator[Chain]:
    """Runs of `a = b = ...` in which every side is an expression; of the first and the last side, what adjoins `=`."""
    equals = [i for i, t in enumerate(tokens) if t.kind == "="]
    chain: Chain = []
    for n, i in enumerate(equals):
        before = equals[n - 1] if n else -1
        after = equals[n + 1] if n + 1 < len(equals) else len(tokens)
        if not chain:
            left = _ending_at(tokens, before + 1, i)
            chain = [left] if left else []
        middle = Side(i + 1, after)
        if after < len(tokens) and after - i <= LONGEST and _worth(tokens, middle) is not None:
            chain = [*chain, middle]
            continue
        right = _starting_at(tokens, i + 1, after)
        if chain and right:
            yield [*chain, right]
        chain = []


def _ending_at(tokens: Sequence[Token], first: int, last: int) -> Side | None:
    """The longest expression that ends before `last`, bound to nothing in front of it."""
    for start in range(max(first, last - LONGEST), last):
        bound = start > 0 and _binds(tokens[start - 1], tokens[start - 1].end == tokens[start].start, ")}")
        if not bound and _worth(tokens, Side(start, last)) is not None:
            return Side(start, last)
    return None


def _starting_at(tokens: Sequence[Token], first: int, last: int) -> Side | None:
    """The longest expression that starts at `first`, bound to nothing behind it."""
    for end in range(min(last, first + LONGEST), first, -1):
        bound = end < len(tokens) and _binds(tokens[end], tokens[end - 1].end == tokens[end].start, "=")
        if not bound and _worth(tokens, Side(first, end)) is not None:
            return Side(first, end)
    return None


def _binds(token: Token, touches: bool, more: str) -> bool:
    """Whether a neighbour belongs to the expression: an operator, a power or index, a letter that touches it."""
    if token.kind == "other":
        return token.text in "^_!%<>" or (touches and token.text[-1].isalnum())
    return token.kind in ("+", "-", "*", "/", "frac", "number", *more)


def _worth(tokens: Sequence[Token], side: Side, values: Mapping[int, Fraction] = {}) -> Fraction | None:
    """Worth of an expression with `values` in place of some of its numbers; None if it is none."""
    reader = _Reader(tokens, side, values)
    try:
        worth = reader.sum()
    except (ValueError, ZeroDivisionError):
        return None
    small = max(abs(worth.numerator), worth.denominator) < 10**MAX_DIGITS
    return worth if reader.place == side.last and small else None


class _Reader:
    """Recursive descent over sums, products and factors. Raises ValueError where the grammar ends."""

    def __init__(self, tokens: Sequence[Token], side: Side, values: Mapping[int, Fraction]) -> None:
        self.place, self._last = side.first, side.last
        self._tokens, self._values = tokens, values

    def sum(self) -> Fraction:
        worth = -self._product() if self._take("-") else self._product()
        while sign := self._take("+", "-"):
            worth += self._product() if sign == "+" else -self._product()
        return worth

    def _product(self) -> Fraction:
        worth = self._factor()
        while True:
            if sign := self._take("*", "/"):
                worth = worth * self._factor() if sign == "*" else worth / self._factor()
            elif self._next() == "(":
                worth *= self._factor()
            else:
                return worth

    def _factor(self) -> Fraction:
        if self._next() == "number":
            self.place += 1
            return self._values.get(self.place - 1, self._tokens[self.place - 1].value)
        if self._take("frac"):
            return self._within("{", "}") / self._within("{", "}")
        return self._within("(", ")")

    def _within(self, opening: str, closing: str) -> Fraction:
        if not self._take(opening):
            raise ValueError
        worth = self.sum()
        if not self._take(closing):
            raise ValueError
        return worth

    def _next(self) -> str:
        return self._tokens[self.place].kind if self.place < self._last else ""

    def _take(self, *kinds: str) -> str:
        kind = self._next()
        if kind not in kinds:
            return ""
        self.place += 1
        return kind


def _true(chain: Chain, tokens: Sequence[Token]) -> bool:
    """Whether all sides are equal and at least one is worked out."""
    return len({_worth(tokens, side) for side in chain}) == 1 and any(side.last - side.first > 1 for side in chain)


def _result(chain: Chain, tokens: Sequence[Token]) -> int | None:
    """The number that a chain arrives at, if it is one."""
    first, last = chain[-1]
    return first if last - first == 1 and tokens[first].kind == "number" else None


def _sources(
    text: str,
    tokens: Sequence[Token],
    results: Mapping[int, Chain],
    given: set[Fraction],
    start: int,
    end: int,
) -> dict[int, int]:
    """Number -> the latest result in front of it that it repeats. A number of the question repeats nothing, but the
    stated answer at [start, end) always does."""
    sources: dict[int, int] = {}
    latest: dict[Fraction, int] = {}
    for i, token in enumerate(tokens):
        if token.kind != "number":
            continue
        stated = start <= token.start and token.end <= end
        own = token.value not in given and not _ENUMERATOR.search(text[max(0, token.start - 20) : token.start])
        if i not in results and token.value in latest and (stated or own):
            sources[i] = latest[token.value]
        if i in results:
            latest[token.value] = i
    return sources


_ENUMERATOR = re.compile(r"(?:\b(?:step|case|part|equation)\s*|\^\{?|_\{?)$", re.IGNORECASE)


def _carried(
    tokens: Sequence[Token],
    chains: Sequence[Chain],
    results: Mapping[int, Chain],
    sources: Mapping[int, int],
    at: int,
    guess: Fraction,
) -> dict[int, Fraction] | None:
    """New values by token once the result `at` is `guess`; None where an equation cannot follow."""
    values = {at: guess}
    within = {i: chain for chain in chains for side in chain for i in range(*side)}
    for i, token in enumerate(tokens):
        if i == at or token.kind != "number":
            continue
        if i in results and any(j in values for side in results[i][:-1] for j in range(*side)):
            worth = _worth(tokens, results[i][0], values)
            if worth is None:
                return None
            values[i] = worth
        elif sources.get(i) in values:
            if i not in within and not _mentioned(tokens, i):
                return None
            values[i] = values[sources[i]]
    changed = [i for i in values if values[i] != tokens[i].value]
    fits = all(_fits(tokens[i], values[i]) for i in changed)
    spoilt = results[at]
    holds = all(len({_worth(tokens, side, values) for side in chain}) == 1 for chain in chains if chain is not spoilt)
    return {i: values[i] for i in changed} if fits and holds else None


def _fits(token: Token, value: Fraction) -> bool:
    """Whether `value` can stand in the token's form: not negative, no more decimal places."""
    return value >= 0 and (value * 10 ** len(token.text.partition(".")[2])).denominator == 1


def _mentioned(tokens: Sequence[Token], i: int) -> bool:
    """Whether a number outside every chain is said and not reckoned with."""
    before, after = tokens[i - 1 : i], tokens[i + 1 : i + 2]
    return not any(_binds(t, t.end == tokens[i].start, "(") for t in before) and not any(
        _binds(t, tokens[i].end == t.start, "(") for t in after
    )


def _written(text: str, tokens: Sequence[Token], values: Mapping[int, Fraction]) -> str:
    for i in sorted(values, reverse=True):
        token = tokens[i]
        text = text[: token.start] + spelled(values[i], token.text) + text[token.end :]
    return text
