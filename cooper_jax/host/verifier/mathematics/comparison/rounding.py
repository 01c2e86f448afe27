"""Whether a decimal is another number as printed, or a rounding of it."""

from fractions import Fraction

from cooper_jax.host.verifier.mathematics.algebra.numeric import real
from cooper_jax.host.verifier.mathematics.algebra.ratio import number
from cooper_jax.host.verifier.mathematics.answers.kinds import Value

PRINTED = 12
"""Digits of a decimal that counts as the number it rounds."""

ROUNDED = 3
"""Digits of one that leaves the matter open."""


def rounds(decimal: Value, other: Value) -> bool | None:
    """True: `decimal` is `other` as printed. None: a shorter rounding of it. False: another number."""
    value, exact = real(decimal.ratio), real(other.ratio)
    if value is None or exact is None or abs(value - exact) > real(number(decimal.step)):
        return False
    finite = other.ratio.rational
    if finite is not None and not finite % decimal.step:
        return False  # As many digits would have stated it exactly.
    if finite is not None and _decimals(finite):
        return None if decimal.digits >= ROUNDED else False
    # Rounded, or cut off: floating point prints 2/3 as 0.6666666666666666.
    nearest = 2 * abs(value - exact) <= real(number(decimal.step)) or abs(value) < abs(exact)
    if decimal.digits >= PRINTED and nearest:
        return True
    return None if decimal.digits >= ROUNDED else False


def _decimals(value: Fraction) -> bool:
    """Whether `value` has a finite decimal."""
    d = value.denominator
    for p in (2, 5):
        while d % p == 0:
            d //= p
    return d == 1
