"""Ratios of sums: the exact values of this room, with + - * / and what occurs in them."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from typing import Any, NamedTuple

from cooper_jax.host.verifier.mathematics.algebra.sums import (
    MAX_BITS,
    ONE,
    PI,
    UNIT,
    Atom,
    E,
    I,
    Mono,
    Poly,
    TooBig,
    Unreadable,
    plus,
    reduced,
    times,
)

MAX_SIZE = 1000
"""Atoms in the argument of a function, those of functions within it included."""


class Ratio(NamedTuple):
    """A ratio of two sums. Immutable by custom: no function here changes a sum it was given."""

    num: Poly
    den: Poly

    @property
    def key(self) -> tuple[frozenset[Any], frozenset[Any]]:
        """For hashing."""
        return frozenset(self.num.items()), frozenset(self.den.items())

    @property
    def rational(self) -> Fraction | None:
        """Its value, where that is seen to be rational."""
        if not self.num:
            return Fraction(0)
        if len(self.num) == 1 and self.den == UNIT and ONE in self.num:
            return self.num[ONE]
        return None


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
        return _ratio(plus(a.num, b.num), a.den)
    return _ratio(plus(times(a.num, b.den), times(b.num, a.den)), times(a.den, b.den))


def neg(a: Ratio) -> Ratio:
    """-a."""
    return Ratio({m: -c for m, c in a.num.items()}, a.den)


def mul(a: Ratio, b: Ratio) -> Ratio:
    """a * b."""
    return _ratio(times(a.num, b.num), times(a.den, b.den))


def div(a: Ratio, b: Ratio) -> Ratio:
    """a / b. Raises Unreadable for a denominator that is zero."""
    if not b.num:
        raise Unreadable("division by zero")
    return _ratio(times(a.num, b.den), times(a.den, b.num))


def _ratio(num: Poly, den: Poly) -> Ratio:
    if not num:
        return Ratio({}, UNIT)
    if den != UNIT and len(den) == 1:
        ((m, c),) = den.items()
        inverse = {k: d / c for k, d in reduced({a: -r for a, r in m}).items()}
        return Ratio(times(num, inverse), UNIT)
    return Ratio(num, den)


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


def symbols(a: Ratio) -> frozenset[str]:
    """Names of the variables that occur anywhere in it."""
    return frozenset(x[1] for x in atoms(a) if x[0] == "v")


def renamed(a: Ratio, old: str, new: str) -> Ratio:
    """`a` with one variable by another name, which must not occur in it."""
    return Ratio(_renamed_poly(a.num, old, new), _renamed_poly(a.den, old, new))


def _renamed_poly(p: Poly, old: str, new: str) -> Poly:
    return {_renamed_mono(m, old, new): c for m, c in p.items()}


def _renamed_mono(m: Mono, old: str, new: str) -> Mono:
    return frozenset((_renamed_atom(x, old, new), r) for x, r in m)


def _renamed_atom(x: Atom, old: str, new: str) -> Atom:
    if x[0] == "v":
        return ("v", new) if x[1] == old else x
    if x[0] == "x":
        return ("x", _renamed_atom(x[1], old, new), _renamed_mono(x[2], old, new))
    return tuple(Frozen(renamed(part.ratio, old, new)) if isinstance(part, Frozen) else part for part in x)


def functions_in(a: Ratio) -> set[str]:
    """Names of the functions that occur in it; `log` is one without a base."""
    return {x[1] if x[0] == "f" else x[0] for x in atoms(a) if x[0] in ("f", "log")}


def atoms(a: Ratio) -> Iterator[Atom]:
    """All atoms that occur anywhere in it."""
    for poly in (a.num, a.den):
        for m in poly:
            for x, _ in m:
                yield from atoms_within(x)


def atoms_within(x: Atom) -> Iterator[Atom]:
    """An atom and all that occur in it."""
    yield x
    if x[0] == "s":
        yield from atoms(x[1].ratio)
    elif x[0] == "x":
        yield from atoms_within(x[1])
        for y, _ in x[2]:
            yield from atoms_within(y)
    elif x[0] == "f":
        for f in islice(x, 2, None):
            yield from atoms(f.ratio)
