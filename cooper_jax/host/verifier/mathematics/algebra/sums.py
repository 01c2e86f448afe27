"""Sums of monomials as data, and their products worked out.

A monomial is a product of atoms with rational exponents; in a sum each has a rational coefficient. An atom is a tuple
that begins with its kind:

    ("p", 7)  ("c", n)                a prime, a cofactor that may be composite: what is left under a root
    ("pi",)  ("e",)  ("i",)           constants
    ("log",)                          the natural logarithm of the base that `log` without a base has
    ("v", "x")                        a variable
    ("f", "sin", argument, ...)       a function of ratios
    ("s", sum)                        a sum, to be under a root
    ("x", atom, monomial)             an atom to the power of a monomial, as in 2^n

All work is bounded: `TooBig` is raised instead.
"""

import threading
from fractions import Fraction
from typing import Any

MAX_BITS = 16_000
"""Of a coefficient's numerator or denominator."""
MAX_TERMS = 300
MAX_WORK = 20_000
"""Products of monomials that one reading or one comparison may take."""

Atom = tuple[Any, ...]
Mono = frozenset[tuple[Atom, Fraction]]
Poly = dict[Mono, Fraction]

ONE: Mono = frozenset()
PI: Atom = ("pi",)
E: Atom = ("e",)
I: Atom = ("i",)  # noqa: E741
LOG: Atom = ("log",)
"""Of base 10, e or 2, as the author likes."""
ENDLESS = "…"
"""The variable that stands for what a sum goes on with."""
I_PI: Mono = frozenset([(I, Fraction(1)), (PI, Fraction(1))])
UNIT: Poly = {ONE: Fraction(1)}


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


def plus(a: Poly, b: Poly) -> Poly:
    """a + b."""
    out = dict(a)
    _add_to(out, b, Fraction(1))
    return out


def negative(a: Poly) -> Poly:
    """-a."""
    return {m: -c for m, c in a.items()}


def times(a: Poly, b: Poly) -> Poly:
    """a * b, multiplied out."""
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


def _add_to(total: Poly, b: Poly, scale: Fraction) -> None:
    for m, c in b.items():
        here = total.get(m, 0) + c * scale
        if here:
            total[m] = here
        else:
            total.pop(m, None)
    if len(total) > MAX_TERMS:
        raise TooBig("too many terms")


def _merge(m: Mono, n: Mono) -> Poly:
    """The product of two monomials."""
    if not m or not n:
        return {m or n: Fraction(1)}
    exponents: dict[Atom, Fraction] = dict(m)
    for a, r in n:
        exponents[a] = exponents.get(a, Fraction(0)) + r
    return reduced(exponents)


def reduced(exponents: dict[Atom, Fraction]) -> Poly:
    """The product of atoms to these exponents, with whole powers of primes, i, sines and roots of sums worked out."""
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
        elif kind == "x" and a[1] == E and a[2] == I_PI:  # e^(i pi r)
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
    for poly, often in factors:
        if often > 100:
            raise TooBig("too high a power")
        for _ in range(often):
            out = times(out, poly)
    return out
