"""Exact algebra of the answers that mathematics questions have: ratios of sums of monomials.

A monomial is a product of atoms with rational exponents and a rational coefficient. Atoms are primes (radicals), pi, e,
i, variables, functions of ratios, roots of sums and powers with symbolic exponents. Two ratios with equal cross
products are equal. Where only variables, pi and roots of primes occur the converse holds too: such monomials are
linearly independent over the rationals (Besicovitch 1940; pi is transcendental). Elsewhere, `values` separates by
numbers. All work is bounded: `TooBig` is raised instead.
"""

import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import cache
from itertools import islice
from math import comb, factorial, gcd, lcm, prod
from typing import Any, NamedTuple

from mpmath.ctx_mp import MPContext

MAX_BITS = 16_000
"""Of a coefficient's numerator or denominator."""
MAX_TERMS = 300
MAX_CHOSEN = 6
"""k of a binomial coefficient of n and k that is a polynomial in n."""
MAX_SIZE = 1000
"""Atoms in the argument of a function, those of functions within it included."""
MAX_WORK = 20_000
"""Products of monomials that one reading or one comparison may take."""
FACTORED = 1000
"""Trial division goes up to here; a cofactor under its square is prime."""
MAX_POWER_BITS = 256
"""Of a cofactor that is tried for a perfect power."""
PRECISION = 400
"""Bits of numerical evaluation; see `values`."""

Atom = tuple[Any, ...]
Mono = frozenset[tuple[Atom, Fraction]]
Poly = dict[Mono, Fraction]

ONE: Mono = frozenset()
PI: Atom = ("pi",)
E: Atom = ("e",)
I: Atom = ("i",)  # noqa: E741
LOG: Atom = ("log",)
"""The natural logarithm of the base that `log` without a base has: 10, e or 2, as the author likes."""


class Unreadable(Exception):
    """The text has no reading, or none that can be compared."""


class TooBig(Unreadable):
    """Reading or comparing would take more than the bounds allow."""


class _Work(threading.local):
    done = 0


_work = _Work()


def fresh() -> None:
    """Start a reading or a comparison: the count of work begins again, so that none depends on what went before."""
    _work.done = 0


class Ratio(NamedTuple):
    """A ratio of two sums. Immutable by custom: no function here changes a sum it was given."""

    num: Poly
    den: Poly

    @property
    def key(self) -> tuple[frozenset[Any], frozenset[Any]]:
        return frozenset(self.num.items()), frozenset(self.den.items())

    @property
    def rational(self) -> Fraction | None:
        """Its value, where that is seen to be rational."""
        if not self.num:
            return Fraction(0)
        if len(self.num) == 1 and self.den == UNIT and ONE in self.num:
            return self.num[ONE]
        return None


UNIT: Poly = {ONE: Fraction(1)}


def number(value: int | Fraction) -> Ratio:
    """A rational constant."""
    value = Fraction(value)
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise TooBig("a number of too many digits")
    return Ratio({ONE: value} if value else {}, UNIT)


def atom(a: Atom) -> Ratio:
    """A single atom."""
    return Ratio({frozenset([(a, Fraction(1))]): Fraction(1)}, UNIT)


def variable(name: str) -> Ratio:
    """A variable; `i` and `e` are the constants."""
    return atom({"i": I, "e": E, "pi": PI, "π": PI}.get(name, ("v", name)))


def add(a: Ratio, b: Ratio) -> Ratio:
    """a + b."""
    if a.den == b.den:
        return _ratio(_plus(a.num, b.num), a.den)
    return _ratio(_plus(_mul(a.num, b.den), _mul(b.num, a.den)), _mul(a.den, b.den))


def neg(a: Ratio) -> Ratio:
    """-a."""
    return Ratio({m: -c for m, c in a.num.items()}, a.den)


def mul(a: Ratio, b: Ratio) -> Ratio:
    """a * b."""
    return _ratio(_mul(a.num, b.num), _mul(a.den, b.den))


def div(a: Ratio, b: Ratio) -> Ratio:
    """a / b. Raises Unreadable for a denominator that is zero."""
    if not b.num:
        raise Unreadable("division by zero")
    return _ratio(_mul(a.num, b.den), _mul(a.den, b.num))


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


def equal(a: Ratio, b: Ratio) -> bool | None:
    """True: proved equal. False: proved or clearly different. None: neither."""
    difference = _cleared(_plus(_mul(a.num, b.den), _negative(_mul(b.num, a.den))))
    if not difference:
        return True
    if all(_independent(m) for m in difference):
        return False
    return False if clearly_different(a, b) else None


def clearly_different(a: Ratio, b: Ratio) -> bool:
    """Whether the values differ, far beyond rounding, at every probe at which all variables are positive."""
    if symbols(a) | symbols(b) and "log" in functions(a) ^ functions(b):
        return False
    bases = (10, _mp.e, 2) if "log" in functions(a) | functions(b) else (10,)
    apart = [x is not None and y is not None and not close(x, y) for base in bases for x, y in values(a, b, (1,), base)]
    return bool(apart) and all(apart)


def coincide(a: Ratio, b: Ratio) -> bool:
    """Whether two constants written with few digits agree to many more than that: roots, logarithms and angles, whose
    values near-misses of so small numbers do not come so close to."""
    kinds = {"i" if x[:3] == ("x", E, _I_PI) else x[1] if x[0] == "f" else x[0] for r in (a, b) for x in _atoms(r)}
    if not kinds <= _TAME or _bits(a) + _bits(b) > PRECISION // 2:
        return False
    x, y = value_at(a, {}), value_at(b, {})
    return x is not None and y is not None and close(x, y)


_TAME = {"p", "c", "pi", "e", "i", "s", "ln", "sin", "cos", "arcsin", "arccos", "arctan"}


def _bits(a: Ratio) -> int:
    """Bits of all numbers that occur in it."""
    fractions = [c for poly in a for c in poly.values()] + [r for poly in a for m in poly for _, r in m]
    total = sum(q.numerator.bit_length() + q.denominator.bit_length() for q in fractions)
    for x in (x for poly in a for m in poly for x, _ in m):
        total += x[1].bit_length() if x[0] in ("p", "c") else 1
        total += sum(_bits(part.ratio) for part in x if isinstance(part, Frozen))
    return total


def probes_agree(a: Ratio, b: Ratio) -> bool:
    """Whether the values agree at every probe, of either sign, and some probe has values."""
    pairs = [(x, y) for x, y in values(a, b, signs=(1, -1)) if not (x is None and y is None)]
    return len(pairs) > 1 and all(x is not None and y is not None and close(x, y) for x, y in pairs)


def near(a: Ratio, b: Ratio) -> bool:
    """Whether the values differ by a rounding of three digits at most, at every probe."""
    pairs = list(values(a, b, signs=(1,)))
    return all(x is not None and y is not None and abs(x - y) <= abs(x) / 200 for x, y in pairs)


def close(x: Any, y: Any) -> bool:
    """Whether two numbers agree to two thirds of the working precision."""
    return abs(x - y) <= _mp.ldexp(1, -2 * PRECISION // 3) * max(abs(x), abs(y))


def values(a: Ratio, b: Ratio, signs: Iterable[int], base: Any = 10) -> Iterator[tuple[Any, Any]]:
    """Numbers that a and b take at probes: the same few for every pair, drawn from the variables' names. `base`: of
    logarithms without one."""
    names = sorted(symbols(a) | symbols(b))
    for sign in signs:
        for k in range(3):
            at = {n: sign * _probe(n, k) for n in names} | {_BASE: base}
            yield value_at(a, at), value_at(b, at)
            if not names:
                break


def _probe(name: str, k: int) -> Any:
    """A number between 0.3 and 3, the same for a name at every call."""
    return _mp.mpf(zlib.crc32(f"{name}#{k}".encode()) % 60_000 + 7_001) / 22_501


def real(a: Ratio) -> Any | None:
    """The value of a constant that is real (an mpf), or None."""
    if symbols(a):
        return None
    value = value_at(a, {})
    if value is None or not _mp.isfinite(value):
        return None
    if isinstance(value, _mp.mpc):
        return value.real if abs(value.imag) <= _mp.ldexp(1, -PRECISION // 2) * abs(value) else None
    return value


def symbols(a: Ratio) -> frozenset[str]:
    """Names of the variables that occur anywhere in it."""
    return frozenset(x[1] for x in _atoms(a) if x[0] == "v")


def degree(poly: Poly) -> Fraction | None:
    """Total degree of a polynomial in variables; None where anything else depends on a variable."""
    highest = Fraction(0)
    for m in poly:
        here = Fraction(0)
        for a, r in m:
            if a[0] == "v":
                if r.denominator != 1 or r < 0:
                    return None
                here += r
            elif any(x[0] == "v" for x in _atoms_of(a)):
                return None
        highest = max(highest, here)
    return highest


def without_denominators(a: Ratio) -> Ratio:
    """Times what frees it of denominators and negative powers of variables: zero where `a` is."""
    lowest: dict[Atom, Fraction] = {}
    for m in a.num:
        for b, r in m:
            if b[0] == "v":
                lowest[b] = min(lowest.get(b, Fraction(0)), r)
    up = frozenset((b, -r) for b, r in lowest.items() if r < 0)
    return Ratio(_mul(a.num, {up: Fraction(1)}) if up else a.num, UNIT)


def function(name: str, *args: Ratio) -> Ratio:
    """A named function; exact where that is cheap, an atom elsewhere. Raises Unreadable for impossible arguments."""
    made = _EXACT[name](*args) if name in _EXACT else None
    return made if made is not None else atom(("f", name, *args_key(args)))


def args_key(args: Iterable[Ratio]) -> tuple["Frozen", ...]:
    """Arguments as part of an atom."""
    return tuple(Frozen(a) for a in args)


class Frozen:
    """A ratio that can be part of an atom: hashed by what it contains."""

    __slots__ = ("_hash", "ratio", "size")

    def __init__(self, ratio: Ratio) -> None:
        self.ratio = ratio
        self.size = 1 + sum(_size(a) for poly in ratio for m in poly for a, _ in m)
        if self.size > MAX_SIZE:
            raise TooBig("functions nested too deeply")
        self._hash = hash(ratio.key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frozen) and self.ratio == other.ratio


def _size(a: Atom) -> int:
    """Atoms in it, counted as often as they occur: tan x has x twice, tan tan x four times."""
    if a[0] == "x":
        return _size(a[1]) + sum(_size(b) for b, _ in a[2])
    return 1 + sum(part.size for part in a if isinstance(part, Frozen))


# Sums and monomials.


def _ratio(num: Poly, den: Poly) -> Ratio:
    if not num:
        return Ratio({}, UNIT)
    if den != UNIT and len(den) == 1:
        ((m, c),) = den.items()
        inverse = {k: d / c for k, d in _reduced({a: -r for a, r in m}).items()}
        return Ratio(_mul(num, inverse), UNIT)
    return Ratio(num, den)


def _plus(a: Poly, b: Poly) -> Poly:
    out = dict(a)
    _add_to(out, b, Fraction(1))
    return out


def _add_to(total: Poly, b: Poly, scale: Fraction) -> None:
    for m, c in b.items():
        here = total.get(m, 0) + c * scale
        if here:
            total[m] = here
        else:
            total.pop(m, None)
    if len(total) > MAX_TERMS:
        raise TooBig("too many terms")


def _negative(a: Poly) -> Poly:
    return {m: -c for m, c in a.items()}


def _mul(a: Poly, b: Poly) -> Poly:
    if b == UNIT:
        return a
    if a == UNIT:
        return b
    _work.done += len(a) * len(b)
    if _work.done > MAX_WORK:
        raise TooBig("too much work")
    out: Poly = {}
    for m, c in a.items():
        for n, d in b.items():
            scale = c * d
            if max(scale.numerator.bit_length(), scale.denominator.bit_length()) > MAX_BITS:
                raise TooBig("a number of too many digits")
            _add_to(out, _merge(m, n), scale)
    return out


def _merge(m: Mono, n: Mono) -> Poly:
    """The product of two monomials, with whole powers of primes, i, sines and roots of sums worked out."""
    if not m or not n:
        return {m or n: Fraction(1)}
    exponents: dict[Atom, Fraction] = dict(m)
    for a, r in n:
        exponents[a] = exponents.get(a, Fraction(0)) + r
    return _reduced(exponents)


def _reduced(exponents: dict[Atom, Fraction]) -> Poly:
    scale = Fraction(1)
    kept: list[tuple[Atom, Fraction]] = []
    factors: list[tuple[Poly, int]] = []
    for a, r in exponents.items():
        if not r:
            continue
        kind = a[0]
        if kind in ("p", "c"):
            whole = r.numerator // r.denominator
            if abs(whole) * a[1].bit_length() > MAX_BITS:
                raise TooBig("a number of too many digits")
            scale *= Fraction(a[1]) ** whole
            r -= whole
        elif kind == "i":
            if r.denominator != 1:
                raise Unreadable("a root of i")
            scale *= -1 if r % 4 in (2, 3) else 1
            r %= 2
        elif kind == "x" and a[1] == E and a[2] == _I_PI:  # e^(i pi r)
            whole = r.numerator // r.denominator
            scale *= -1 if whole % 2 else 1
            r -= whole
            if r == Fraction(1, 2):
                factors.append(({frozenset([(I, Fraction(1))]): Fraction(1)}, 1))
                r = Fraction(0)
        elif kind == "f" and a[1] == "sin" and r >= 2 and r.denominator == 1:
            cosine: Atom = ("f", "cos", a[2])
            factors.append(({ONE: Fraction(1), frozenset([(cosine, Fraction(2))]): Fraction(-1)}, int(r) // 2))
            r %= 2
        elif kind == "s" and r >= 1:
            factors.append((a[1].ratio.num, int(r)))  # pyright: ignore[reportAttributeAccessIssue]
            r -= int(r)
        if r:
            kept.append((a, r))
    out: Poly = {frozenset(kept): scale}
    for poly, times in factors:
        if times > 100:
            raise TooBig("too high a power")
        for _ in range(times):
            out = _mul(out, poly)
    return out


def _cleared(poly: Poly) -> Poly:
    """Multiplied by roots of sums until none has a negative exponent; zero if and only if `poly` is."""
    for _ in range(8):
        below = next(((a, r) for m in poly for a, r in m if a[0] == "s" and r < 0), None)
        if below is None:
            break
        up = Fraction(-(below[1].numerator // below[1].denominator))
        poly = _mul(poly, {frozenset([(below[0], up)]): Fraction(1)})
    return poly


def _independent(m: Mono) -> bool:
    """Whether monomials of this kind, if different, are linearly independent over the rationals."""
    return all(a[0] in ("p", "v", "pi", "i") for a, _ in m)


# Powers.


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
        return Ratio(_mul({ONE: c**n}, _reduced({a: r * n for a, r in m})), UNIT)
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
        out = Ratio(_mul(_radical(c, q), _reduced(safe)), UNIT)
        if not rest:
            return out
        # An odd root of a real product is the product of the roots.
        if q.denominator % 2 and all(a[0] == "v" and r.denominator == 1 for a, r in rest):
            return mul(out, Ratio(_reduced({a: r * q for a, r in rest}), UNIT))
        # (x^r)^q = x^(rq) for every complex x only if -1 < r <= 1.
        if len(rest) == 1 and rest[0][0][0] != "i" and -1 < rest[0][1] <= 1:
            return mul(out, Ratio(_reduced({rest[0][0]: rest[0][1] * q}), UNIT))
        return mul(out, _root_of(Ratio({frozenset(rest): Fraction(1)}, UNIT), q))
    content = _content(base)
    out = Ratio(_radical(content, q), UNIT)
    return mul(out, _root_of(mul(base, number(1 / content)), q))


def _root_of(base: Ratio, q: Fraction) -> Ratio:
    if base.den == UNIT:
        return Ratio(_reduced({("s", Frozen(base)): q}), UNIT)
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
        for p, k in _factors(n):
            a = ("p", p) if p < FACTORED**2 else ("c", p)
            exponents[a] = exponents.get(a, Fraction(0)) + sign * k * q
    return _reduced(exponents)


@cache
def _primes() -> tuple[int, ...]:
    return tuple(n for n in range(2, FACTORED) if all(n % p for p in range(2, int(n**0.5) + 1)))


def _factors(n: int) -> list[tuple[int, int]]:
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


def _symbolic_power(base: Ratio, exponent: Ratio) -> Ratio:
    """b^(q1 m1 + q2 m2 ...) = (b^m1)^q1 (b^m2)^q2 ..., which holds for every branch of the logarithm of b."""
    single = len(base.num) == 1 and base.den == UNIT and exponent.den == UNIT
    if single:
        ((m, c),) = base.num.items()
        if c > 0 and all(_positive(a) for a, _ in m):
            bases = {("p", p) if p < FACTORED**2 else ("c", p): Fraction(k) for p, k in _factors(c.numerator)}
            bases |= {("p", p) if p < FACTORED**2 else ("c", p): Fraction(-k) for p, k in _factors(c.denominator)}
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
            return Ratio(_reduced(exponents), UNIT)
    return atom(("f", "pow", Frozen(base), Frozen(exponent)))


_I_PI: Mono = frozenset([(I, Fraction(1)), (PI, Fraction(1))])


# Functions.


def _constant(*args: Ratio) -> list[Fraction] | None:
    found = [a.rational for a in args]
    return None if None in found else found  # pyright: ignore


def _whole(*args: Ratio) -> list[int] | None:
    found = _constant(*args)
    if found is None or any(f.denominator != 1 for f in found):
        return None
    return [int(f) for f in found]


def _ln(x: Ratio) -> Ratio | None:
    if not x.num:
        raise Unreadable("logarithm of zero")
    if len(x.num) == 1 and x.den == UNIT and x.num.get(frozenset([(E, _e_power(x))])) == 1:
        return number(_e_power(x))
    value = x.rational
    if value is None or value < 0:
        return None
    total = number(0)
    for n, sign in ((value.numerator, 1), (value.denominator, -1)):
        for p, k in _factors(n):
            total = add(total, mul(number(sign * k), atom(("f", "ln", Frozen(number(p))))))
    return total


def _e_power(x: Ratio) -> Fraction:
    return next((r for m in x.num for a, r in m if a == E), Fraction(0))


def _even(name: str) -> Callable[[Ratio], Ratio | None]:
    """cos, |x|: f(-x) = f(x)."""

    def even(x: Ratio) -> Ratio | None:
        if not x.num:
            return number(1 if name == "cos" else 0)
        if name == "abs":
            value = real(x)
            if value is not None:
                return x if value >= 0 else neg(x)
        return atom(("f", name, Frozen(_signed(x)[0])))

    return even


def _odd(name: str) -> Callable[[Ratio], Ratio | None]:
    """sin, arctan ...: f(-x) = -f(x)."""

    def odd(x: Ratio) -> Ratio | None:
        if not x.num:
            return number(0)
        plus, flipped = _signed(x)
        out = atom(("f", name, Frozen(plus)))
        return neg(out) if flipped else out

    return odd


def _signed(x: Ratio) -> tuple[Ratio, bool]:
    """x or -x, always the same of the two."""
    first = min(x.num, key=_order)
    return (neg(x), True) if x.num[first] < 0 else (x, False)


def _order(m: Mono) -> list[str]:
    return sorted(f"{a}" if a[0] in ("p", "v", "pi", "e", "i", "c") else a[0] + str(r) for a, r in m)


def _quotient(top: str, bottom: str) -> Callable[[Ratio], Ratio]:
    def quotient(x: Ratio) -> Ratio:
        return div(function(top, x) if top else number(1), function(bottom, x))

    return quotient


def _factorial(n: Ratio) -> Ratio | None:
    k = _whole(n)
    if k is None:
        return None
    if not 0 <= k[0] <= 1000:
        raise TooBig("factorial")
    return number(factorial(k[0]))


def _double_factorial(n: Ratio) -> Ratio | None:
    k = _whole(n)
    if k is None:
        return None
    if not 0 <= k[0] <= 1000:
        raise TooBig("factorial")
    return number(prod(range(k[0], 0, -2)))


def _binomial(n: Ratio, k: Ratio) -> Ratio:
    found = _whole(n, k)
    if found is None:
        few = _whole(k)
        if few is None or not 0 <= few[0] <= MAX_CHOSEN:
            rest = function("factorial", add(n, neg(k)))
            return div(function("factorial", n), mul(function("factorial", k), rest))
        out = number(Fraction(1, factorial(few[0])))
        for i in range(few[0]):
            out = mul(out, add(n, number(-i)))
        return out
    if not 0 <= found[0] <= 2000 or not 0 <= found[1] <= 2000:
        raise TooBig("binomial coefficient")
    return number(comb(*found))


def _mod(a: Ratio, b: Ratio) -> Ratio | None:
    found = _whole(a, b)
    if found is None or found[1] == 0:
        return None
    return number(found[0] % found[1])


def _rounded(up: int) -> Callable[[Ratio], Ratio | None]:
    """Floor, and ceiling with `up`: of rationals, and of reals that are clearly no integers."""

    def rounded(x: Ratio) -> Ratio | None:
        if (c := x.rational) is not None:
            return number(-(-c.numerator // c.denominator) if up else c.numerator // c.denominator)
        value = real(x)
        if value is None or abs(value) > 1e15 or abs(value - _mp.nint(value)) < 1e-15:
            return None
        return number(int(_mp.floor(value)) + up)

    return rounded


def _hyperbolic(sign: int) -> Callable[[Ratio], Ratio | None]:
    """(e^x + e^-x)/2 or (e^x - e^-x)/2, where x is no function itself."""

    def hyperbolic(x: Ratio) -> Ratio | None:
        if any(a[0] in ("f", "s", "x") for a in _atoms(x)):
            return None
        return mul(number(Fraction(1, 2)), add(_exp(x), mul(number(sign), _exp(neg(x)))))

    return hyperbolic


def _exp(x: Ratio) -> Ratio:
    return power(atom(E), x)


def _many(how: Callable[..., int | Fraction], whole: bool) -> Callable[..., Ratio | None]:
    def many(*args: Ratio) -> Ratio | None:
        found = _whole(*args) if whole else _constant(*args)
        return number(how(*found)) if found else None

    return many


_EXACT: dict[str, Callable[..., Ratio | None]] = {
    "ln": _ln,
    "log": lambda x: div(function("ln", x), atom(LOG)),
    "cos": _even("cos"),
    "abs": _even("abs"),
    **{name: _odd(name) for name in ("sin", "arcsin", "arctan", "arcsinh")},
    "sinh": _hyperbolic(-1),
    "cosh": _hyperbolic(1),
    "tanh": _quotient("sinh", "cosh"),
    "tan": _quotient("sin", "cos"),
    "sec": _quotient("", "cos"),
    "csc": _quotient("", "sin"),
    "cot": _quotient("cos", "sin"),
    "exp": _exp,
    "sqrt": lambda x: root(x, 2),
    "cbrt": lambda x: root(x, 3),
    "factorial": _factorial,
    "factorial2": _double_factorial,
    "binom": _binomial,
    "mod": _mod,
    "floor": _rounded(0),
    "ceil": _rounded(1),
    "gcd": _many(gcd, True),
    "lcm": _many(lcm, True),
    "max": _many(max, False),
    "min": _many(min, False),
}


# Numbers.

_mp: Any = MPContext()
_mp.prec = PRECISION

_NUMERIC: dict[str, Callable[..., Any]] = {
    "ln": _mp.log,
    "sin": _mp.sin,
    "cos": _mp.cos,
    "sinh": _mp.sinh,
    "cosh": _mp.cosh,
    "arcsin": _mp.asin,
    "arccos": _mp.acos,
    "arctan": _mp.atan,
    "arcsinh": _mp.asinh,
    "arccosh": _mp.acosh,
    "arctanh": _mp.atanh,
    "abs": abs,
    "factorial": lambda x: _mp.factorial(x) if abs(x) < 1000 else _known(None),
    "factorial2": lambda x: _mp.fac2(x) if abs(x) < 1000 else _known(None),
}
_BASE = "\\log"
"""The base of `log` among the values of variables."""
_LARGE = _mp.mpf(10) ** 2000


def value_at(a: Ratio, at: dict[str, Any]) -> Any | None:
    """The value of `a`, or None where it has none or cannot be had."""
    try:
        bottom = _sum(a.den, at)
        value = _sum(a.num, at) / bottom
    except (ArithmeticError, ValueError, KeyError, TypeError, Unreadable):
        return None
    return value if _mp.isfinite(value) else None


def _sum(poly: Poly, at: dict[str, Any]) -> Any:
    total, largest = _mp.mpf(0), _mp.mpf(0)
    for m, c in poly.items():
        term = _mp.mpf(c.numerator) / c.denominator
        for a, r in m:
            exponent = _mp.mpf(r.numerator) / r.denominator
            if a[0] == "x":  # e^(i pi) to the power of 2/3 is e^(2 i pi/3): no root of the rounded -1.
                base, exponent = _atomvalue_at(a[1], at), exponent * _sum({a[2]: Fraction(1)}, at)
            else:
                base = _atomvalue_at(a, at)
            term *= _powervalue_at(base, exponent)
        total += term
        largest = max(largest, abs(term))
    if poly and abs(total) < _mp.ldexp(largest, -PRECISION // 4):
        raise Unreadable("cancellation")  # Too few digits are left to tell anything.
    return total


def _powervalue_at(base: Any, exponent: Any) -> Any:
    if exponent == 1:
        return base
    if base == 0 and exponent.real > 0:
        return base
    if base == 0 or abs(exponent * _mp.log(base)) > 5000:
        raise Unreadable("a power out of range")
    return base**exponent


def _atomvalue_at(a: Atom, at: dict[str, Any]) -> Any:
    kind = a[0]
    if kind == "v":
        return at[a[1]]
    if kind in ("p", "c"):
        return _mp.mpf(a[1])
    if kind in ("pi", "e", "i"):
        return {"pi": +_mp.pi, "e": +_mp.e, "i": _mp.mpc(0, 1)}[kind]
    if kind == "s":
        return _known(value_at(a[1].ratio, at))
    if kind == "log":
        return _mp.log(at.get(_BASE, 10))
    args = [_known(value_at(f.ratio, at)) for f in a[2:]]
    if a[1] == "pow":
        return _powervalue_at(*args)
    if max(abs(x) for x in args) > _LARGE:
        raise Unreadable("an argument out of range")
    return _NUMERIC[a[1]](*args)


def _known(value: Any | None) -> Any:
    if value is None:
        raise Unreadable("no value")
    return value


def _atoms(a: Ratio) -> Iterator[Atom]:
    for poly in (a.num, a.den):
        for m in poly:
            for x, _ in m:
                yield from _atoms_of(x)


def _atoms_of(x: Atom) -> Iterator[Atom]:
    yield x
    if x[0] == "s":
        yield from _atoms(x[1].ratio)
    elif x[0] == "x":
        yield from _atoms_of(x[1])
        for y, _ in x[2]:
            yield from _atoms_of(y)
    elif x[0] == "f":
        for f in islice(x, 2, None):
            yield from _atoms(f.ratio)


def functions(a: Ratio) -> set[str]:
    """Names of the functions that occur in it; `log` is one without a base."""
    return {x[1] if x[0] == "f" else x[0] for x in _atoms(a) if x[0] in ("f", "log")}


def zeros_differ(p: Poly, q: Poly) -> bool:
    """Whether some zero of p, found along a variable of degree one or two, is clearly no zero of q."""
    names = sorted(symbols(Ratio(p, UNIT)))
    along = next((n for n in names if 0 < max(_degree_in(p, n), 0) <= 2), None)
    if along is None:
        return False
    for k in range(2):
        at = {n: _probe(n, k) for n in names}
        low, mid, high = (_known(value_at(Ratio(p, UNIT), at | {along: _mp.mpf(v)})) for v in (-1, 0, 1))
        a, b = (low + high) / 2 - mid, (high - low) / 2
        if abs(a) > _mp.ldexp(1, -50):
            roots = [(-b + s * _mp.sqrt(b * b - 4 * a * mid)) / (2 * a) for s in (1, -1)]
        elif abs(b) > _mp.ldexp(1, -50):
            roots = [-mid / b]
        else:
            continue
        for root_ in roots:
            there = at | {along: root_}
            size = sum(abs(_known(value_at(Ratio({m: c}, UNIT), there))) for m, c in q.items())
            total = sum(_known(value_at(Ratio({m: c}, UNIT), there)) for m, c in q.items())
            if abs(total) > size * _mp.ldexp(1, -60):
                return True
    return False


def _degree_in(p: Poly, name: str) -> int:
    return int(max((r for m in p for a, r in m if a == ("v", name)), default=Fraction(0)))
