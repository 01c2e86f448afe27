"""Numbers as mathematical text writes them: where they stand, what they are worth, and wrong ones that look alike."""

import re
from collections.abc import Iterator
from fractions import Fraction
from math import gcd
from typing import NamedTuple

import numpy as np

MAX_DIGITS = 18
SIGN_FLIPS = 0.04
"""Few: a minus is a mark that only the wrong side would carry."""
NUMBER = r"(?:\d{1,3}(?:(?:,|\{,\}|\\,)\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|(?<!\d)\.\d+)"
_FRACTION = r"\\[dt]?frac\s*(?:\{\s*\d+\s*\}|\d)\s*(?:\{\s*\d+\s*\}|\d)"
_LITERAL = re.compile(rf"{_FRACTION}|{NUMBER}\s*/\s*{NUMBER}|{NUMBER}")
_SEPARATOR = re.compile(r"\{,\}|\\,|,")
_GROUPED = re.compile(r"(?<=\d)(?:\{,\}|\\,|,)(?=\d)")


class Literal(NamedTuple):
    """A number in a text, its sign included."""

    start: int
    end: int
    value: Fraction


def literals(text: str) -> Iterator[Literal]:
    """Integers, decimals and fractions in lowest terms, in order. A fraction that is not is a division, and none."""
    for found in _LITERAL.finditer(text):
        value = _worth(found[0])
        if value is not None:
            start = _sign(text, found.start())
            yield Literal(start, found.end(), -value if start < found.start() else value)


def numbers(text: str) -> Iterator[Literal]:
    """Integers and decimals, without their signs, wherever they stand."""
    for found in re.finditer(NUMBER, text):
        if len(found[0]) <= MAX_DIGITS:
            yield Literal(*found.span(), plain(found[0]))


def single(text: str) -> Literal | None:
    """The number that `text` as a whole is, or None."""
    found = list(literals(text))
    return found[0] if len(found) == 1 and (found[0].start, found[0].end) == (0, len(text)) else None


def plain(number: str) -> Fraction:
    """Worth of an unsigned integer or decimal."""
    return Fraction(_SEPARATOR.sub("", number))


def _worth(text: str) -> Fraction | None:
    if len(text) > 3 * MAX_DIGITS:
        return None
    if "frac" not in text and "/" not in text:
        return plain(text)
    if "frac" in text:
        above, below = _halves(text)
    else:
        above, below = (part.strip() for part in text.split("/"))
    if not (above.isdigit() and below.isdigit()) or int(below) < 2 or gcd(int(above), int(below)) != 1:
        return None
    return Fraction(int(above), int(below))


def _halves(fraction: str) -> tuple[str, str]:
    above, below = re.findall(r"\{\s*(\d+)\s*\}|(\d)", fraction[fraction.index("frac") :])
    return above[0] or above[1], below[0] or below[1]


def _sign(text: str, start: int) -> int:
    """Start of the literal with its sign: a minus that touches it and subtracts from nothing."""
    if start == 0 or text[start - 1] not in "-\u2212":
        return start
    before = text[max(0, start - 20) : start - 1]
    if before.endswith(" "):
        subtracts = re.search(r"[\d)}\]]$", before.rstrip()) is not None
    else:
        subtracts = re.search(r"[\w)}\]]$", before) is not None
    return start if subtracts else start - 1


def spelled(value: Fraction, like: str) -> str:
    """`value` as the literal `like` is written: fraction, separators, decimal places; more places where it needs them,
    four at most."""
    sign, size = "-" if value < 0 else "", abs(value)
    if size.denominator != 1 and (macro := re.search(r"\\[dt]?frac", like)):
        return f"{sign}{macro[0]}{{{size.numerator}}}{{{size.denominator}}}"
    if size.denominator != 1 and "/" in like:
        return f"{sign}{size.numerator}/{size.denominator}"
    places = len(like.partition(".")[2])
    while (size * 10**places).denominator != 1 and places < 4:
        places += 1
    digits = f"{round(size * 10**places):0{places + 1}d}"
    whole, rest = digits[: len(digits) - places], digits[len(digits) - places :]
    if separator := _GROUPED.search(like):
        head = len(whole) % 3 or 3
        whole = separator[0].join([whole[:head], *re.findall("...", whole[head:])])
    if like.startswith(".") and whole == "0":
        whole = ""
    return f"{sign}{whole}.{rest}" if places else f"{sign}{whole}"


def wrong(value: Fraction, like: str, rng: np.random.Generator) -> Fraction:
    """Another number, of the kind a slip gives: a near one, digits swapped or misread, twice, half or ten times as
    much, a fraction upside down, the other sign. `like` is the literal: the result has no more decimal places."""
    if value.denominator != 1 and "." not in like:
        return _wrong_fraction(value, rng)
    unit = Fraction(1, 10 ** len(like.partition(".")[2]))
    size = int(abs(value) / unit)
    for _ in range(100):
        other = _slips(size, rng) * unit
        other = -other if (value < 0) != (rng.random() < SIGN_FLIPS) else other
        if other != value:
            return other
    return value + unit


def _slips(size: int, rng: np.random.Generator) -> int:
    """A slip on a whole number, never below 0 and from a positive one never 0."""
    digits = list(str(size))
    draw = rng.random()
    if draw < 0.55:
        reach = max(2, min(10, size // 8))
        return max(int(size > 0), size + int(rng.choice([d for d in range(-reach, reach + 1) if d])))
    if draw < 0.68 and len(digits) > 1:
        i = int(rng.integers(len(digits) - 1))
        digits[i], digits[i + 1] = digits[i + 1], digits[i]
    elif draw < 0.82:
        i = int(rng.integers(len(digits)))
        digits[i] = str(rng.integers(int(i == 0), 10))
    elif draw < 0.88:
        return 2 * size
    elif draw < 0.94 and size % 2 == 0 and size:
        return size // 2
    elif size % 10 == 0 and size:
        return size // 10
    elif draw > 0.97:
        return 10 * size
    return int("".join(digits)) if digits[0] != "0" or size == 0 else size


def _wrong_fraction(value: Fraction, rng: np.random.Generator) -> Fraction:
    above, below = abs(value.numerator), value.denominator
    for _ in range(100):
        draw = rng.random()
        if draw < 0.4:
            other = Fraction(max(1, above + int(rng.choice([-2, -1, 1, 2]))), below)
        elif draw < 0.75:
            other = Fraction(above, max(2, below + int(rng.choice([-2, -1, 1, 2]))))
        elif draw < 0.85 and above > 1:
            other = Fraction(below, above)
        elif draw < 0.93:
            other = Fraction(max(1, below - above), below)
        else:
            other = Fraction(_slips(above, rng), below)
        other = -other if (value < 0) != (rng.random() < SIGN_FLIPS) else other
        # As a fraction still, so that it stands in the same form.
        if other != value and other.denominator != 1:
            return other
    return value + 1
