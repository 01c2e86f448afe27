"""Powers and roots, with the primes under a root taken apart."""

from fractions import Fraction
from functools import cache
from math import comb, gcd, lcm

from cooper_jax.host.verifier.mathematics.algebra.numeric import real
from cooper_jax.host.verifier.mathematics.algebra.ratio import Frozen, Ratio, atom, div, mul, neg, number
from cooper_jax.host.verifier.mathematics.algebra.sums import (
    MAX_BITS,
    MAX_TERMS,
    ONE,
    UNIT,
    Atom,
    I,
    Poly,
    TooBig,
    Unreadable,
    reduced,
    times,
)

FACTORED = 1000
"""Trial division goes up to here; a cofactor under its square is prime."""
MAX_POWER_BITS = 256
"""Of a cofactor that is tried for a perfect power."""


def power(base: Ratio, exponent: Ratio) -> Ratio:
    """base ** exponent; a fractional power of a negative number has no one meaning and raises Unreadable."""
    q = exponent.rational
    if q is None:
        return _symbolic_power(base, exponent)
    if q.denominator == 1:
        return _integer_power(base, int(q))
    return _fractional_power(base, q)


def root(base: Ratio, degree: int) -> Ratio:
    """The principal root; the real one, where the degree is odd and the base a negative number or monomial."""
    if not 2 <= degree <= 100:
        raise Unreadable("degree of a root")
    if len(base.num) == 1 and next(iter(base.num.values())) < 0:
        if degree % 2:
            return neg(root(neg(base), degree))
        if degree == 2 and base.rational is not None:
            return mul(atom(I), root(neg(base), 2))
    elif degree % 2 and (value := real(base)) is not None and value < 0:
        return neg(root(neg(base), degree))
    return power(base, number(Fraction(1, degree)))


def _integer_power(base: Ratio, n: int) -> Ratio:
    if n < 0:
        return _integer_power(div(number(1), base), -n)
    if n == 0:
        if not base.num:
            raise Unreadable("0^0")
        return number(1)
    if len(base.num) == 1 and base.den == UNIT:
        ((m, c),) = base.num.items()
        bits = max(c.numerator.bit_length(), c.denominator.bit_length())
        if abs(c) != 1 and bits * n > MAX_BITS:
            raise TooBig("a number of too many digits")
        return Ratio(times({ONE: c**n}, reduced({a: r * n for a, r in m})), UNIT)
    size = max(len(base.num), len(base.den))
    if n > 64 or comb(n + size - 1, n) > MAX_TERMS:
        return atom(("f", "pow", Frozen(base), Frozen(number(n))))
    out = base
    for _ in range(n - 1):
        out = mul(out, base)
    return out


def _fractional_power(base: Ratio, q: Fraction) -> Ratio:
    if not base.num:
        if q > 0:
            return base
        raise Unreadable("division by zero")
    if q.denominator > 1000 or abs(q.numerator) > 10_000:
        raise TooBig("an exponent of too many digits")
    if len(base.num) == 1 and base.den == UNIT:
        ((m, c),) = base.num.items()
        if c < 0:
            raise Unreadable("a fractional power of a negative number")
        safe = {a: r * q for a, r in m if _positive(a)}
        rest = [(a, r) for a, r in m if not _positive(a)]
        out = Ratio(times(_radical(c, q), reduced(safe)), UNIT)
        if not rest:
            return out
        # An odd root of a real product is the product of the roots.
        if q.denominator % 2 and all(a[0] == "v" and r.denominator == 1 for a, r in rest):
            return mul(out, Ratio(reduced({a: r * q for a, r in rest}), UNIT))
        # (x^r)^q = x^(rq) for every complex x only if -1 < r <= 1.
        if len(rest) == 1 and rest[0][0][0] != "i" and -1 < rest[0][1] <= 1:
            return mul(out, Ratio(reduced({rest[0][0]: rest[0][1] * q}), UNIT))
        return mul(out, _root_of(Ratio({frozenset(rest): Fraction(1)}, UNIT), q))
    content = _content(base)
    out = Ratio(_radical(content, q), UNIT)
    return mul(out, _root_of(mul(base, number(1 / content)), q))


def _root_of(base: Ratio, q: Fraction) -> Ratio:
    if base.den == UNIT:
        return Ratio(reduced({("s", Frozen(base)): q}), UNIT)
    return atom(("f", "pow", Frozen(base), Frozen(number(q))))


def _content(base: Ratio) -> Fraction:
    """The positive rational that makes the numerator's coefficients coprime integers."""
    if base.den != UNIT:
        return Fraction(1)
    top = gcd(*(c.numerator for c in base.num.values()))
    return Fraction(top, lcm(*(c.denominator for c in base.num.values())))


def _positive(a: Atom) -> bool:
    return a[0] in ("p", "pi", "e", "log")


def _radical(c: Fraction, q: Fraction) -> Poly:
    """c ** q for positive rational c, over primes."""
    exponents: dict[Atom, Fraction] = {}
    for n, sign in ((c.numerator, 1), (c.denominator, -1)):
        for p, k in factors(n):
            a = _prime(p)
            exponents[a] = exponents.get(a, Fraction(0)) + sign * k * q
    return reduced(exponents)


def _prime(p: int) -> Atom:
    """The atom of a prime, or of a cofactor that `factors` leaves."""
    return ("p", p) if p < FACTORED**2 else ("c", p)


def _symbolic_power(base: Ratio, exponent: Ratio) -> Ratio:
    """b^(q1 m1 + q2 m2 ...) = (b^m1)^q1 (b^m2)^q2 ..., which holds for every branch of the logarithm of b."""
    single = len(base.num) == 1 and base.den == UNIT and exponent.den == UNIT
    if single:
        ((m, c),) = base.num.items()
        if c > 0 and all(_positive(a) for a, _ in m):
            bases = {_prime(p): Fraction(k) for p, k in factors(c.numerator)}
            bases |= {_prime(p): Fraction(-k) for p, k in factors(c.denominator)}
            bases |= dict(m)
        elif c == 1 and len(m) == 1 and next(iter(m))[1] == 1:
            bases = dict(m)
        else:
            bases = {}
        if bases or (c == 1 and not m):
            exponents: dict[Atom, Fraction] = {}
            for b, k in bases.items():
                for e, q in exponent.num.items():
                    a = b if e == ONE else ("x", b, e)
                    exponents[a] = exponents.get(a, Fraction(0)) + k * q
            return Ratio(reduced(exponents), UNIT)
    return atom(("f", "pow", Frozen(base), Frozen(exponent)))


def factors(n: int) -> list[tuple[int, int]]:
    """(p, k) with n the product of p^k: primes, and at most one cofactor that may be composite."""
    out: list[tuple[int, int]] = []
    for p in _primes():
        if p * p > n:
            break
        k = 0
        while n % p == 0:
            n //= p
            k += 1
        if k:
            out.append((p, k))
    if n > 1:
        out.append(_perfect_power(n))
    return out


@cache
def _primes() -> tuple[int, ...]:
    return tuple(n for n in range(2, FACTORED) if all(n % p for p in range(2, int(n**0.5) + 1)))


def _perfect_power(n: int) -> tuple[int, int]:
    """(b, k) with b^k = n and k as large as possible."""
    if n.bit_length() > MAX_POWER_BITS:
        return n, 1
    for k in range(n.bit_length() // 9, 1, -1):
        b = _integer_root(n, k)
        if b**k == n:
            return b, k
    return n, 1


def _integer_root(n: int, k: int) -> int:
    low, high = 1, 1 << (n.bit_length() // k + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if middle**k <= n:
            low = middle
        else:
            high = middle - 1
    return low
