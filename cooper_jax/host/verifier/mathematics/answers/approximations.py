"""What stands behind an approximate sign has to be near what stands before it."""

from cooper_jax.host.verifier.mathematics.algebra.equality import near
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
    """Whether two values differ by one in the last place, or by a hundredth."""
    if exact.unit and decimal.unit and exact.unit != decimal.unit:
        return False
    x, y = real(exact.ratio), real(decimal.ratio)
    if x is None or y is None:
        return near(exact.ratio, decimal.ratio)
    whole = decimal.ratio.rational is not None and decimal.ratio.rational.denominator == 1
    last = 1.0 if whole and abs(y) >= 10 else 0.5 if whole else float(decimal.step)
    return x * y >= 0 and abs(x - y) <= max(last, abs(x) / 100)
