"""The equations between plain numbers that a text writes out, read as chains `a = b = ...` and worked out exactly.

Numbers may have units in words or in LaTeX, dollar signs and per cent; signs are + - * / in each spelling, brackets and
`\\frac`; GSM8K's `<<48/2=24>>24` is a chain too. What is bound to letters, powers or other signs is no part of an
equation. The time is bounded: an expression has at most `LONGEST` tokens, a number `MAX_DIGITS` digits.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from cooper_jax.host.negatives.numerals import MAX_DIGITS, NUMBER, plain

LONGEST = 60
"""Tokens of one expression."""
LOOSE = Fraction(1, 500)
"""How far from the exact result one may be that was worked out with rounded numbers, as a share of it."""
_SIGNS_AFTER = r"(?=\s*(?:[-+\u2013]\s|[*=)\u00d7÷\u2212≈]|/(?!\s*[A-Za-z])|x\s|\\(?:times|cdot|div|approx)))"
_NO_UNIT = r"(?!(?:and|or|is|are|was|were|so|then|that|which|has|have|from|to|of|plus|minus|times|x)\b)"
_WORD = r"[A-Za-z]{2,20}(?:-[A-Za-z]{1,20})?\.?"
_UNIT = (
    rf"(?:(?:[ ]?{_NO_UNIT}{_WORD}(?:[ ](?:of|per)[ ]{_WORD}|[ ]{_NO_UNIT}{_WORD}){{0,4}})?"
    rf"(?:\s*/\s*{_NO_UNIT}[A-Za-z]{{2,20}})?(?:[ ]?\((?:[a-z]{{1,20}}[ ]){{0,5}}[a-z]{{1,20}}\))?{_SIGNS_AFTER})?"
)
_TOKEN = re.compile(
    rf"(?P<number>{NUMBER})(?P<percent>\s?\\?%)?{_UNIT}"
    r"|(?P<skip>\s+|<<|>>(?![\d.$])|\\\\(?=\s*&?\s*=)|\*\*|\\?\$|\\[,;:! ]|\\left|\\right|&"
    r"|\\(?:text|mathrm|textbf)\s*\{[^{}\d]*\})"
    r"|(?P<frac>\\[dt]?frac)|(?P<equals>=|>>|≈|\\approx)"
    r"|(?P<sign>\\times|\\cdot|\\div|(?<=[\d)}\s])[xX](?=\s?[\d($.\\])|(?<=\s)\u2013(?=\s)|[-+*/\u00d7·÷\u2212(){}])"
    r"|(?P<other>\\\w+|\w+|.)",
    re.DOTALL,
)
_SIGNS = {
    r"\times": "*", r"\cdot": "*", "\u00d7": "*", "·": "*", "x": "*", "X": "*", r"\div": "/", "÷": "/", "\u2212": "-",
    "\u2013": "-",
}  # fmt: skip
_GLUED = re.compile(r"(?!(?:st|nd|rd|th)$)[A-Za-z]{2,}$|\W")
"""What may touch a number and is not multiplied with it: a unit, a mark."""
_FUNCTION = re.compile(r"\\?(?:sqrt|log|ln|exp|sin|cos|tan|[bp]?mod|binom|gcd|lcm|min|max|choose|over|sum|prod|int)$")
_MEASURES = re.compile(
    r"(?<![A-Za-z])(?:hour|hr|minute|min|second|sec|day|week|month|year|f(?:oo|ee)t|ft|inch|yard|mile|cm|mm|m|km|kg|g|mg|"
    r"l|ml|lb|pound|ounce|oz|quart|gallon|cup|dozen|dollar|cent|penn|dime|nickel|quarter)(?:s|es|y|ies)?(?![A-Za-z])|¢"
)
_BULLET = re.compile(r"(?:^|\n)[ \t]*$")


class Token(NamedTuple):
    """`kind` is number, frac, =, other, or the sign itself; a sign that is to be passed over has the kind "".

    `value` of a per cent is a hundredth of what is written, and `scale` 1/100. `gap` is what was passed over in front.
    """

    kind: str
    text: str
    start: int
    end: int
    value: Fraction = Fraction(0)
    scale: Fraction = Fraction(1)
    gap: str = ""


class Side(NamedTuple):
    """Tokens [first, last) of an expression."""

    first: int
    last: int


Chain = list[Side]
"""Expressions that the text equates, left to right."""


def tokens(text: str) -> list[Token]:
    """What `text` is made of; boxes around numbers are passed over."""
    found_all: list[Token] = []
    behind = 0
    for found in _TOKEN.finditer(text):
        kind, written = str(found.lastgroup), found[0]
        if kind == "skip":
            continue
        gap, behind, value, scale = text[behind : found.start()], found.end(), Fraction(0), Fraction(1)
        start, end = found.span()
        if found["number"]:
            kind, written, end = "number", found["number"], found.end("number")
            scale = Fraction(1, 100) if found["percent"] else scale
            if len(written) > MAX_DIGITS:
                kind = "other"
            else:
                value = plain(written) * scale
        elif kind == "sign":
            kind = _SIGNS.get(written, written)
            if kind in "-*" and text[end : end + 1] == " " and _BULLET.search(text[max(0, start - 20) : start]):
                kind = "other"
        elif kind == "equals":
            kind = "="
        found_all.append(Token(kind, written, start, end, value, scale, gap))
    return _unboxed(found_all)


def _unboxed(found: list[Token]) -> list[Token]:
    """Without the box around a number that an equation arrives at."""
    out, i = [], 0
    while i < len(found):
        inner = found[i + 1 : i + 4]
        if found[i].text == "\\boxed" and [t.kind for t in inner] == ["{", "number", "}"]:
            out.append(inner[1]._replace(gap=found[i].gap + "\\boxed{" + inner[1].gap))
            i += 4
        else:
            out.append(found[i])
            i += 1
    return out


def chains(some: Sequence[Token]) -> Iterator[Chain]:
    """Runs of `a = b = ...` in which every side is an expression; of the first and the last side, what adjoins `=`."""
    equals = [i for i, t in enumerate(some) if t.kind == "="]
    chain: Chain = []
    for n, i in enumerate(equals):
        before = equals[n - 1] if n else -1
        after = equals[n + 1] if n + 1 < len(equals) else len(some)
        if not chain:
            left = _ending_at(some, before + 1, i)
            chain = [left] if left else []
        middle = Side(i + 1, after)
        if after < len(some) and after - i <= LONGEST and worth(some, middle) is not None:
            chain = [*chain, middle]
            continue
        right = _starting_at(some, i + 1, after)
        if chain and right:
            yield [*chain, right]
        chain = []


def _ending_at(some: Sequence[Token], first: int, last: int) -> Side | None:
    """The longest expression that ends before `last`, bound to nothing in front of it. One number behind a word is
    what the word counts (week 2 = ...) and no side."""
    for start in range(max(first, last - LONGEST), last):
        before = some[start - 1] if start else None
        bound = before and not _parted(some[start].gap) and _binds(before, some[start].gap == "", ")}")
        bound = bound or (some[start].kind == "-" and some[start + 1].gap != "")  # f - 12 = 20 has no -12
        if not bound and worth(some, Side(start, last)) is not None:
            counted = last - start == 1 and before and before.text[-1].isalpha() and not _parted(some[start].gap)
            return None if counted else Side(start, last)
    return None


def _starting_at(some: Sequence[Token], first: int, last: int) -> Side | None:
    """The longest expression that starts at `first`, bound to nothing behind it."""
    for end in range(min(last, first + LONGEST), first, -1):
        after = some[end] if end < len(some) else None
        bound = after and not _parted(after.gap) and _binds(after, after.gap == "", "=")
        if not bound and worth(some, Side(first, end)) is not None:
            return Side(first, end)
    return None


def _parted(gap: str) -> bool:
    """Whether what was passed over keeps two tokens apart: a new line, a box."""
    return "\n" in gap or "\\boxed" in gap


def _binds(token: Token, touches: bool, more: str) -> bool:
    """Whether a neighbour belongs to the expression: an operator, a power or index, a letter that touches it."""
    if token.kind == "other":
        bound = token.text in "^_!%<>|" or _FUNCTION.match(token.text)
        return bool(bound or (touches and not _GLUED.match(token.text)))
    return token.kind in ("+", "-", "*", "/", "frac", "number", *more)


def alone(some: Sequence[Token], i: int) -> bool:
    """Whether a number is said and not reckoned with, by its neighbours."""
    beside = [(t, some[i].gap) for t in some[i - 1 : i]] + [(t, t.gap) for t in some[i + 1 : i + 2]]
    return not any(t.kind != "number" and not _parted(gap) and _binds(t, gap == "", "") for t, gap in beside)


def worth(some: Sequence[Token], side: Side, values: Mapping[int, Fraction] = {}) -> Fraction | None:
    """Worth of an expression with `values` in place of some of its numbers; None if it is none."""
    found = parts(some, side, values)
    return found[-1] if found else None


def parts(some: Sequence[Token], side: Side, values: Mapping[int, Fraction] = {}) -> list[Fraction]:
    """What an expression is worked out to, part by part, itself last; nothing if it is none."""
    reader = _Reader(some, side, values)
    try:
        total = reader.sum()
    except (ValueError, ZeroDivisionError):
        return []
    small = max(abs(total.numerator), total.denominator) < 10**MAX_DIGITS
    return [*reader.seen, total] if small and reader.ended() else []


class _Reader:
    """Recursive descent over sums, products and factors. Raises ValueError where the grammar ends."""

    def __init__(self, some: Sequence[Token], side: Side, values: Mapping[int, Fraction]) -> None:
        self._place, self._last = side.first, side.last
        self._tokens, self._values = some, values
        self.seen: list[Fraction] = []

    def ended(self) -> bool:
        return self._next() == ""

    def sum(self) -> Fraction:
        total = -self._product() if self._take("-") else self._product()
        while sign := self._take("+", "-"):
            total += self._product() if sign == "+" else -self._product()
            self.seen.append(total)
        return total

    def _product(self) -> Fraction:
        total = self._factor()
        while True:
            if sign := self._take("*", "/"):
                total = total * self._factor() if sign == "*" else total / self._factor()
            elif self._next() == "(":
                total *= self._factor()
            else:
                return total
            self.seen.append(total)

    def _factor(self) -> Fraction:
        if self._next() == "number":
            self._place += 1
            return self._values.get(self._place - 1, self._tokens[self._place - 1].value)
        if self._take("frac"):
            self.seen.append(self._within("{", "}") / self._within("{", "}"))
            return self.seen[-1]
        return self._within("(", ")")

    def _within(self, opening: str, closing: str) -> Fraction:
        if not self._take(opening):
            raise ValueError
        total = self.sum()
        if not self._take(closing):
            raise ValueError
        return total

    def _next(self) -> str:
        while self._place < self._last and not self._tokens[self._place].kind:
            self._place += 1
        return self._tokens[self._place].kind if self._place < self._last else ""

    def _take(self, *kinds: str) -> str:
        kind = self._next()
        if not kind or kind not in kinds:
            return ""
        self._place += 1
        return kind


def worked(chain: Chain) -> bool:
    """Whether a chain works anything out."""
    return any(side.last - side.first > 1 for side in chain)


def true(some: Sequence[Token], chain: Chain, values: Mapping[int, Fraction] = {}) -> bool:
    """Whether all sides of a chain are equal, up to honest rounding: 10 / 3 = 3.33, and 3.33 * 3 = 10."""
    found = [worth(some, side, values) for side in chain]
    return all(
        a is not None and b is not None and _agree(some, chain, a, b, i + 1, values)
        for i, (a, b) in enumerate(pairwise(found))
    )


def _agree(
    some: Sequence[Token], chain: Chain, a: Fraction, b: Fraction, right: int, values: Mapping[int, Fraction]
) -> bool:
    if a == b:
        return True
    side = chain[right]
    token = some[side.first]
    if side.last - side.first == 1:
        places = len(token.text.partition(".")[2])
        unit = Fraction(1, 10**places) * token.scale
        about = some[side.first - 1].text in ("≈", "\\approx")
        if (places or about) and (2 * abs(a - b) <= unit or 0 <= abs(a) - abs(b) < unit):
            return True
    rough = any(len(some[i].text.partition(".")[2]) > 1 for s in chain[: right + 1] for i in range(*s))
    return rough and abs(a - b) <= LOOSE * abs(a)


def percent_as_written(some: list[Token], chain: Chain) -> None:
    """Of a chain that is false with per cent as hundredths: those that it arrives at as they are written, if that
    makes it true (20 / 80 * 100 = 25%)."""
    side = chain[-1]
    kept = some[side.first]
    if side.last - side.first == 1 and kept.scale != 1 and not true(some, chain):
        some[side.first] = kept._replace(value=kept.value / kept.scale, scale=Fraction(1))
        if not true(some, chain):
            some[side.first] = kept


def false_equation(text: str) -> bool:
    """Whether `text` has an equation between plain numbers that is false, however it is rounded. What may be read in
    two ways (per cent added, minutes to hours) is not called false."""
    some = tokens(text[:LIMIT])
    for chain in chains(some):
        percent_as_written(some, chain)
        if worked(chain) and not true(some, chain):
            inside = some[chain[0].first : chain[-1].last]
            measures = {m[0].rstrip("s") for m in _MEASURES.finditer(text, inside[0].start, inside[-1].end + 10)}
            if len(measures) < 2 and not any(t.scale != 1 for t in inside):
                return True
    return False


LIMIT = 20_000
"""Characters of a text in which false equations are looked for."""
