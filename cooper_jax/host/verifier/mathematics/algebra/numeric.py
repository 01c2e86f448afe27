"""The value of a ratio in numbers of 400 bits: of a constant, or at given values of its variables."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

from mpmath.ctx_mp import MPContext

from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio, symbols
from cooper_jax.host.verifier.mathematics.algebra.sums import Atom, Poly, Unreadable

PRECISION = 400
"""Bits of numerical evaluation."""
mp: Any = MPContext()
mp.prec = PRECISION

_NUMERIC: dict[str, Callable[..., Any]] = {
    "ln": mp.log,
    "sin": mp.sin,
    "cos": mp.cos,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "arcsin": mp.asin,
    "arccos": mp.acos,
    "arctan": mp.atan,
    "arcsinh": mp.asinh,
    "arccosh": mp.acosh,
    "arctanh": mp.atanh,
    "abs": abs,
    "factorial": lambda x: mp.factorial(x) if abs(x) < 1000 else known(None),
    "factorial2": lambda x: mp.fac2(x) if abs(x) < 1000 else known(None),
}
BASE = "\\log"
"""The base of `log` among the values of variables."""
_LARGE = mp.mpf(10) ** 2000


def value_at(a: Ratio, at: dict[str, Any]) -> Any | None:
    """The value of `a`, or None where it has none or cannot be had."""
    try:
        bottom = _sum(a.den, at)
        value = _sum(a.num, at) / bottom
    except (ArithmeticError, ValueError, KeyError, TypeError, Unreadable):
        return None
    return value if mp.isfinite(value) else None


def _sum(poly: Poly, at: dict[str, Any]) -> Any:
    total, largest = mp.mpf(0), mp.mpf(0)
    for m, c in poly.items():
        term = mp.mpf(c.numerator) / c.denominator
        for a, r in m:
            exponent = mp.mpf(r.numerator) / r.denominator
            if a[0] == "x":  # e^(i pi) to the power of 2/3 is e^(2 i pi/3): no root of the rounded -1.
                base, exponent = _atom_value(a[1], at), exponent * _sum({a[2]: Fraction(1)}, at)
            else:
                base = _atom_value(a, at)
            term *= _power_value(base, exponent)
        total += term
        largest = max(largest, abs(term))
    if poly and abs(total) < mp.ldexp(largest, -PRECISION // 4):
        raise Unreadable("cancellation")  # Too few digits are left to tell anything.
    return total


def _power_value(base: Any, exponent: Any) -> Any:
    if exponent == 1:
        return base
    if base == 0 and exponent.real > 0:
        return base
    if base == 0 or abs(exponent * mp.log(base)) > 5000:
        raise Unreadable("a power out of range")
    return base**exponent


def _atom_value(a: Atom, at: dict[str, Any]) -> Any:
    kind = a[0]
    if kind == "v":
        return at[a[1]]
    if kind in ("p", "c"):
        return mp.mpf(a[1])
    if kind in ("pi", "e", "i"):
        return {"pi": +mp.pi, "e": +mp.e, "i": mp.mpc(0, 1)}[kind]
    if kind == "s":
        return known(value_at(a[1].ratio, at))
    if kind == "log":
        return mp.log(at.get(BASE, 10))
    args = [known(value_at(f.ratio, at)) for f in a[2:]]
    if a[1] == "pow":
        return _power_value(*args)
    if max(abs(x) for x in args) > _LARGE:
        raise Unreadable("an argument out of range")
    value = _NUMERIC[a[1]](*args)
    if abs(value) < mp.ldexp(1, -PRECISION // 2) < abs(args[0]):
        raise Unreadable("cancellation")  # sin of what may be 22 pi: nothing, as far as can be told
    return value


def known(value: Any | None) -> Any:
    """The value. Raises Unreadable where there is none."""
    if value is None:
        raise Unreadable("no value")
    return value


def real(a: Ratio) -> Any | None:
    """The value of a constant that is real (an mpf), or None."""
    if symbols(a):
        return None
    value = value_at(a, {})
    if value is None or not mp.isfinite(value):
        return None
    if isinstance(value, mp.mpc):
        return value.real if abs(value.imag) <= mp.ldexp(1, -PRECISION // 2) * abs(value) else None
    return value


def close(x: Any, y: Any) -> bool:
    """Whether two numbers agree to two thirds of the working precision."""
    return abs(x - y) <= mp.ldexp(1, -2 * PRECISION // 3) * max(abs(x), abs(y))


def values(a: Ratio, b: Ratio, signs: Iterable[int], base: Any = 10) -> Iterator[tuple[Any, Any]]:
    """Numbers that a and b take at probes: the same few for every pair, drawn from the variables' names. `base`: of
    logarithms without one."""
    names = sorted(symbols(a) | symbols(b))
    for sign in signs:
        for k in range(3):
            at = {n: sign * probe(n, k) for n in names} | {BASE: base}
            yield value_at(a, at), value_at(b, at)
            if not names:
                break


def probe(name: str, k: int) -> Any:
    """A number between 0.3 and 3, the same for a name at every call."""
    return mp.mpf(zlib.crc32(f"{name}#{k}".encode()) % 60_000 + 7_001) / 22_501
