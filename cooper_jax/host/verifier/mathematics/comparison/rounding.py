"""Whether a decimal is another number as printed, or a rounding of it."""

from fractions import Fraction

from cooper_jax.host.verifier.mathematics.algebra.numeric import mp, real, values
from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio, number
from cooper_jax.host.verifier.mathematics.answers.kinds import Value
from cooper_jax.host.verifier.mathematics.comparison.three import Decide

PRINTED = 9
"""Digits of a decimal that counts as the number it rounds: data sets print 1/12 as 0.0833333333."""

ROUNDED = 3
"""Digits of one that leaves the matter open."""


DOUBLE = range(15, 18)
"""Digits of a number in double precision, as computers print it."""
_ULPS, _NOISE = mp.ldexp(1, -51), mp.ldexp(1, -45)
"""What two to four units in the last place of such a number are, and what a longer computation may lose."""


def printed(decide: Decide) -> Decide:
    """`decide`, with 12.000000000000002 for 12 and 1.0471975511965976 for pi/3: in values, ends, cells and sums."""

    def decided(a: Ratio, b: Ratio) -> bool | None:
        same = decide(a, b)
        if same or not (_double(a) or _double(b)):
            return same
        pairs = list(values(a, b, (1, -1)))
        if any(x is None or y is None for x, y in pairs):
            return same
        apart = max(abs(x - y) / (max(abs(x), abs(y)) or 1) for x, y in pairs)
        if apart <= _ULPS and not (_double(a) and _double(b)):
            return True
        return None if apart <= _NOISE or all(max(abs(x), abs(y)) < 1e-15 for x, y in pairs) else same

    return decided


def _double(a: Ratio) -> bool:
    """Whether a number in it has as many digits as double precision."""
    return any(c.denominator > 1 and _digits(c) in DOUBLE for c in a.num.values())


def _digits(c: Fraction) -> int:
    """Significant digits of a finite decimal; 0 for another number, or one of few digits."""
    if c.numerator.bit_length() + c.denominator.bit_length() < 40 or not _decimals(c):
        return 0
    scale = 10 ** max(c.denominator.bit_length(), 1)
    return len(str(abs(c.numerator) * scale // c.denominator).rstrip("0"))


def rounds(decimal: Value, other: Value) -> bool | None:
    """True: `decimal` is `other` as printed. None: a shorter rounding of it. False: another number."""
    value, exact = real(decimal.ratio), real(other.ratio)
    if value is None or exact is None or abs(value - exact) > real(number(decimal.step)):
        return False
    finite = other.ratio.rational
    if finite is not None and not finite % decimal.step:
        return False  # As many digits would have stated it exactly.
    # Rounded, or cut off: floating point prints 2/3 as 0.6666666666666666.
    nearest = 2 * abs(value - exact) <= real(number(decimal.step)) or abs(value) < abs(exact)
    if finite is not None and _decimals(finite) and _digits(finite) not in DOUBLE:
        return None if decimal.digits >= ROUNDED else False
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
