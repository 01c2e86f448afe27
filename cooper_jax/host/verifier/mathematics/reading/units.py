"""Units and currencies behind a number: what they are worth in one another."""

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

_TABLE: dict[str, dict[str, int | str]] = {
    "length": {"m": 1, "in": "0.0254", "ft": "0.3048", "yd": "0.9144", "mi": "1609.344"},
    "mass": {"g": 1, "lb": "453.59237", "oz": "28.349523125", "tonne": 1000000},
    "time": {"s": 1, "min": 60, "h": 3600, "day": 86400, "week": 604800},
    "month": {"month": 1, "year": 12},
    "money": {"dollar": 1, "cent": "1/100"},
    "angle": {"degree": 1},
    "gallon": {"gallon": 16, "quart": 4, "pint": 2, "cup": 1},
    **{name: {name: 1} for name in ("euro", "sterling", "yen", "rupee", "ton", "A", "K", "mol", "unit", "radian")},
    **{name: {name: 1} for name in ("celsius", "fahrenheit", "pound", "am", "pm")},
}
_DERIVED: dict[str, tuple[str, dict[str, int]]] = {
    "L": ("0.001", {"length": 3}),
    "hectare": ("10000", {"length": 2}),
    "mph": ("0.44704", {"length": 1, "time": -1}),
    "kph": ("5/18", {"length": 1, "time": -1}),
    "Hz": ("1", {"time": -1}),
    "N": ("1000", {"mass": 1, "length": 1, "time": -2}),
    "J": ("1000", {"mass": 1, "length": 2, "time": -2}),
    "W": ("1000", {"mass": 1, "length": 2, "time": -3}),
    "Pa": ("1000", {"mass": 1, "length": -1, "time": -2}),
    "V": ("1000", {"mass": 1, "length": 2, "time": -3, "A": -1}),
    "ohm": ("1000", {"mass": 1, "length": 2, "time": -3, "A": -2}),
}
_PREFIXED = (
    "km cm mm nm dm kg mg ms mL cL dL kN kJ MJ kW MW mW kV mV mA kPa MPa kHz MHz GHz mmol".split()  # noqa: SIM905
)
_PREFIXES = {"k": 3, "M": 6, "G": 9, "d": -1, "c": -2, "m": -3, "n": -9}
_ALIASES = {
    **{"meter": "m", "metre": "m", "centimeter": "cm", "centimetre": "cm", "millimeter": "mm", "millimetre": "mm"},
    **{"kilometer": "km", "kilometre": "km", "inch": "in", "inches": "in", "foot": "ft", "feet": "ft", "yard": "yd"},
    **{"mile": "mi", "gram": "g", "kilogram": "kg", "milligram": "mg", "lbs": "lb", "ounce": "oz", "second": "s"},
    **{"sec": "s", "minute": "min", "hour": "h", "hr": "h", "liter": "L", "litre": "L", "l": "L", "ml": "mL"},
    **{"milliliter": "mL", "millilitre": "mL", "$": "dollar", "usd": "dollar", "USD": "dollar", "€": "euro"},
    **{"£": "sterling", "¥": "yen", "¢": "cent", "deg": "degree", "newton": "N", "joule": "J", "watt": "W"},
    **{"rad": "radian", "EUR": "euro", "mole": "mol", "decimeter": "dm", "millisecond": "ms", "volt": "V"},
    **{"₹": "rupee", "rs": "rupee", "Nm": "J", "kilojoule": "kJ", "kilowatt": "kW", "kmh": "kph", "Omega": "ohm"},
    **{"kelvin": "K", "ampere": "A", "amp": "A", "pascal": "Pa", "hertz": "Hz", "lit": "L"},
}
_KNOWN: dict[str, tuple[dict[str, int], Fraction]] = {
    **{name: ({dimension: 1}, Fraction(size)) for dimension, row in _TABLE.items() for name, size in row.items()},
    **{name: (powers, Fraction(size)) for name, (size, powers) in _DERIVED.items()},
}
_KNOWN |= {name: (_KNOWN[name[1:]][0], _KNOWN[name[1:]][1] * Fraction(10) ** _PREFIXES[name[0]]) for name in _PREFIXED}
_SYMBOLIC = {name for name in (*_PREFIXED, "Nm") if name[-1] in "NJWVAaz"}
_NAMES = {name for name in (*_KNOWN, *_ALIASES, "sq", "cu") if len(name) > 1}
PLAIN = _NAMES - _SYMBOLIC - {"Omega", "lit", "rs", "amp"}
"""Names taken for units without `\\text`: not those that look like products."""
_ALIKE = ({"angle", "celsius", "fahrenheit", "K"}, {"mass", "pound", "ton", "sterling"}, {"month", "time"})
"""Dimensions that have names in common, or that a number converts between."""
_PIECE = re.compile(
    r"\s*(/|per\b|an?\b|\*|\^\s*\{?\s*-?\d\s*\}?|square\b|sq\b\.?|cubic\b|cu\b\.?|[A-Za-z$€£¥¢₹]+\.?)", re.IGNORECASE
)
_TEMPERATURE = re.compile(r"\bdegrees?\s*(?:(c(?:elsius|entigrade)?)|f(?:ahrenheit)?)\b", re.IGNORECASE)


class Unit(NamedTuple):
    """Dimensions with their exponents, and the size in base units. `name` alone where the words are not known."""

    dimensions: frozenset[tuple[str, int]]
    size: Fraction
    name: str


def unit(text: str) -> Unit:
    """The unit that `text` names; unknown words are a unit of their own name."""
    powers: dict[str, int] = {}
    size = Fraction(1)
    sign, pending = 1, 1
    last: tuple[dict[str, int], Fraction, int] | None = None
    clean = _TEMPERATURE.sub(lambda found: "celsius" if found[1] else "fahrenheit", text)
    at, clean = 0, clean.strip().rstrip(".")
    while at < len(clean):
        found = _PIECE.match(clean, at)
        if found is None:
            return _word(text)
        at, piece = found.end(), found[1]
        lower = piece.lower().rstrip(".")
        if piece in ("/",) or lower in ("per", "a", "an"):
            sign = -1
        elif piece == "*":
            continue
        elif piece[0] == "^":
            if last is None:
                return _word(text)
            more = int(re.sub(r"[^\d-]", "", piece)) - 1
            size *= _add(powers, last[0], last[1], last[2] * more)
        elif lower in ("square", "sq"):
            pending = 2
        elif lower in ("cubic", "cu"):
            pending = 3
        else:
            known = _find(piece.rstrip("."))
            if known is None:
                return _word(text)
            size *= _add(powers, *known, sign * pending)
            last, pending = (*known, sign), 1
    dimensions = frozenset((d, p) for d, p in powers.items() if p)
    return Unit(dimensions, size, "") if dimensions else _word(text)


def _add(powers: dict[str, int], more: dict[str, int], size: Fraction, times: int) -> Fraction:
    """Count `more` dimensions `times` among the powers; what that is worth."""
    for dimension, power in more.items():
        powers[dimension] = powers.get(dimension, 0) + power * times
    return size**times


def letters(product: Iterable[tuple[str, Fraction]]) -> Unit | None:
    """The unit that a product of powers of single letters would be, as the m/s^2 in `9.8 m/s^2`."""
    powers: dict[str, int] = {}
    size = Fraction(1)
    for name, power in product:
        known = _KNOWN.get("ohm" if name == "Omega" else name) if len(name) == 1 or name == "Omega" else None
        if known is None or power.denominator != 1:
            return None
        size *= _add(powers, *known, int(power))
    dimensions = frozenset((d, p) for d, p in powers.items() if p)
    return Unit(dimensions, size, "") if dimensions else None


def pounds(a: Unit, b: Unit) -> tuple[Unit, Unit] | None:
    """The two with pounds taken for what the other unit says they are, mass or money; None if nothing is to be said."""
    for x, y, turned in ((a, b, False), (b, a, True)):
        power = dict(x.dimensions).get("pound")
        told = [d for d in ("mass", "sterling") if d in dict(y.dimensions)]
        if power and told and "pound" not in dict(y.dimensions):
            size = _KNOWN["lb" if told[0] == "mass" else "sterling"][1]
            read = Unit(x.dimensions - {("pound", power)} | {(told[0], power)}, x.size * size**power, "")
            return (y, read) if turned else (read, y)
    return None


def confusable(a: Unit, b: Unit) -> bool:
    """Whether units of different dimensions may still mean the same: pounds of money and of mass, degrees."""
    names = {d for d, _ in a.dimensions | b.dimensions}
    return any(names <= alike for alike in _ALIKE)


def conversions(of: Unit) -> list[Fraction]:
    """What `of` is worth in each of the other units of its dimension."""
    if len(of.dimensions) != 1:
        return []
    ((dimension, power),) = of.dimensions
    return [
        of.size / (size ** (power // powers[dimension]))
        for powers, size in _KNOWN.values()
        if powers.keys() == {dimension} and power % powers[dimension] == 0
    ]


def _find(name: str) -> tuple[dict[str, int], Fraction] | None:
    # Mm, nM are no mm, nm: a capital is passed over only where a word or a shouted symbol has it.
    lower = name.lower() if name.islower() or name.isupper() or (name.istitle() and not name.startswith("M")) or (
        len(name) > 3) else name  # fmt: skip
    for form in (name, lower, lower.removesuffix("s")):
        form = _ALIASES.get(form, form)
        if form in _KNOWN and (len(form) > 1 or form == _ALIASES.get(name, name) or len(name) > 1):
            return _KNOWN[form]
    return None


def _word(text: str) -> Unit:
    words = re.findall(r"[^\W\d_]+", text.lower())
    return Unit(frozenset(), Fraction(1), " ".join(w.removesuffix("s") for w in words))
