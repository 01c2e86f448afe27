"""What stands behind an approximate sign has to be near what stands before it."""

from fractions import Fraction

from cooper_jax.host.verifier.mathematics.algebra.numeric import real
from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.answers.kinds import Answer, Group, Named, Pair, Value


def approximates(exact: Answer, decimal: Answer) -> None:
    """Raise Unreadable unless `decimal` may be a rounding of `exact`, part by part."""
    while isinstance(exact, Named):
        exact = exact.value
    if isinstance(exact, Pair) and isinstance(decimal, Pair):
        pairs = [(exact.first, decimal.first), (exact.second, decimal.second)]
    elif isinstance(exact, Group) and isinstance(decimal, Group) and len(exact.items) == len(decimal.items):
        pairs = list(zip(exact.items, decimal.items, strict=True))
    elif isinstance(exact, Value) and isinstance(decimal, Value):
        if not _near(exact, decimal):
            raise Unreadable("the approximation is another number")
        return
    else:
        raise Unreadable("an approximation of another kind")
    for x, y in pairs:
        approximates(x, y)


def _near(exact: Value, decimal: Value) -> bool:
    """Whether a decimal is a value rounded or cut off; another value may differ by a hundredth."""
    if exact.unit and decimal.unit and exact.unit != decimal.unit:
        return False
    x, y = real(exact.ratio), real(decimal.ratio)
    if x is None or y is None:
        return False
    value = decimal.ratio.rational
    if value is None or not (decimal.step or value.denominator == 1):
        return x * y >= 0 and abs(x - y) <= abs(x) / 100  # 22/7
    digits = str(value) if value.denominator == 1 else ""
    step = decimal.step or Fraction(10 ** (len(digits) - len(digits.rstrip("0")) if value else 0))
    if step == 1 and abs(y) >= 10 and exact.ratio.rational is not None and exact.ratio.rational.denominator == 1:
        return abs(x - y) <= 1  # whole numbers: what is exact counts
    cut_off = abs(y) <= abs(x) and abs(x - y) < float(step)
    return x * y >= 0 and (cut_off or 2 * abs(x - y) <= float(step))
