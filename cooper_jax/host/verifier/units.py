"""Units and currencies behind a number: what they are worth in one another."""

import re
from fractions import Fraction
from typing import NamedTuple

_LENGTH = {"m": 1, "cm": "1/100", "mm": "1/1000", "km": 1000, "dm": "1/10", "nm": "1/1000000000"}
_LENGTH |= {"in": "0.0254", "ft": "0.3048", "yd": "0.9144", "mi": "1609.344"}
_TABLE: dict[str, dict[str, int | str]] = {
    "length": _LENGTH,
    "mass": {"g": 1, "kg": 1000, "mg": "1/1000", "lb": "453.59237", "oz": "28.349523125", "ton": 1000000},
    "time": {"s": 1, "ms": "1/1000", "min": 60, "h": 3600, "day": 86400, "week": 604800},
    "volume": {"L": 1, "mL": "1/1000"},
    "month": {"month": 1, "year": 12},
    "money": {"dollar": 1, "cent": "1/100"},
    "euro": {"euro": 1},
    "pound": {"pound": 1},
    "yen": {"yen": 1},
    "angle": {"degree": 1},
    **{name: {name: 1} for name in ("N", "J", "W", "V", "A", "K", "Pa", "Hz", "mol", "unit", "ohm", "radian")},
}
_ALIASES = {
    **{"meter": "m", "metre": "m", "centimeter": "cm", "centimetre": "cm", "millimeter": "mm", "millimetre": "mm"},
    **{"kilometer": "km", "kilometre": "km", "inch": "in", "inches": "in", "foot": "ft", "feet": "ft", "yard": "yd"},
    **{"mile": "mi", "gram": "g", "kilogram": "kg", "milligram": "mg", "lbs": "lb", "ounce": "oz", "second": "s"},
    **{"sec": "s", "minute": "min", "hour": "h", "hr": "h", "liter": "L", "litre": "L", "l": "L", "ml": "mL"},
    **{"milliliter": "mL", "millilitre": "mL", "$": "dollar", "usd": "dollar", "USD": "dollar", "€": "euro"},
    **{"£": "pound", "¥": "yen", "¢": "cent", "deg": "degree", "newton": "N", "joule": "J", "watt": "W", "volt": "V"},
    **{"rad": "radian", "tonne": "ton", "EUR": "euro", "mole": "mol", "decimeter": "dm", "millisecond": "ms"},
}
_KNOWN = {name: (dimension, Fraction(size)) for dimension, row in _TABLE.items() for name, size in row.items()}
PLAIN = {name for name in (*_KNOWN, *_ALIASES) if len(name) > 1}
"""Names taken for units without `\\text`."""
_PIECE = re.compile(
    r"\s*(/|per\b|\*|\^\s*\{?\s*-?\d\s*\}?|square\b|sq\b\.?|cubic\b|cu\b\.?|[A-Za-z$€£¥¢]+\.?)", re.IGNORECASE
)


class Unit(NamedTuple):
    """Dimensions with their exponents, and the size in base units. `name` alone where the words are not known."""

    dimensions: frozenset[tuple[str, int]]
    size: Fraction
    name: str


def unit(text: str) -> Unit:
    """The unit that `text` names; unknown words are a unit of their own name."""
    powers: dict[str, int] = {}
    size = Fraction(1)
    sign, pending, last = 1, 1, None
    at, clean = 0, text.strip().rstrip(".")
    while at < len(clean):
        found = _PIECE.match(clean, at)
        if found is None:
            return _word(text)
        at, piece = found.end(), found[1]
        lower = piece.lower().rstrip(".")
        if piece in ("/",) or lower == "per":
            sign = -1
        elif piece == "*":
            continue
        elif piece[0] == "^":
            if last is None:
                return _word(text)
            more = int(re.sub(r"[^\d-]", "", piece)) - 1
            dimension, scale, way = last
            powers[dimension] = powers.get(dimension, 0) + way * more
            size *= scale ** (way * more)
        elif lower in ("square", "sq"):
            pending = 2
        elif lower in ("cubic", "cu"):
            pending = 3
        else:
            known = _find(piece.rstrip("."))
            if known is None:
                return _word(text)
            dimension, scale = known
            powers[dimension] = powers.get(dimension, 0) + sign * pending
            size *= scale ** (sign * pending)
            last, pending = (dimension, scale, sign), 1
    dimensions = frozenset((d, p) for d, p in powers.items() if p)
    return Unit(dimensions, size, "") if dimensions else _word(text)


def conversions(of: Unit) -> list[Fraction]:
    """What `of` is worth in each of the other units of its dimension."""
    if len(of.dimensions) != 1:
        return []
    ((dimension, power),) = of.dimensions
    return [of.size / Fraction(size) ** power for size in _TABLE.get(dimension, {}).values()]


def _find(name: str) -> tuple[str, Fraction] | None:
    for form in (name, name.lower(), name.lower().removesuffix("s")):
        form = _ALIASES.get(form, form)
        if form in _KNOWN and (len(form) > 1 or form == _ALIASES.get(name, name) or len(name) > 1):
            return _KNOWN[form]
    return None


def _word(text: str) -> Unit:
    words = re.findall(r"[^\W\d_]+", text.lower())
    return Unit(frozenset(), Fraction(1), " ".join(w.removesuffix("s") for w in words))
