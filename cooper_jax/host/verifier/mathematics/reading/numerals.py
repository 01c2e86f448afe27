"""Digits in a base."""

import re
from fractions import Fraction
from typing import NamedTuple

from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable

_DIGITS = re.compile(r"([-+]?)([0-9A-Z]+)(?:\.([0-9A-Z]+))?")


class Numeral(NamedTuple):
    """Sign, digits and point without zeros that say nothing; the base, and the value."""

    digits: str
    base: int
    value: Fraction


def based(digits: str, base: str) -> Numeral:
    """`-101.1` in a base between 2 and 36. Raises Unreadable for digits that the base does not have."""
    found = _DIGITS.fullmatch(digits.upper())
    if found is None or not base.isdigit() or len(base) > 2 or not 2 <= int(base) <= 36:
        raise Unreadable("a number with an index")
    sign, whole, part = "-" * (found[1] == "-"), found[2].lstrip("0") or "0", (found[3] or "").rstrip("0")
    try:
        value = Fraction(int(whole + part, int(base)), int(base) ** len(part))
    except ValueError:
        raise Unreadable("digits that the base does not have") from None
    return Numeral(sign + whole + ("." + part if part else ""), int(base), -value if sign else value)
