"""Equations: a name and its value, a chain of equal things, or something with zeros."""

import itertools
from collections.abc import Sequence

from cooper_jax.host.verifier.mathematics.algebra.equality import equal, probes_agree
from cooper_jax.host.verifier.mathematics.algebra.numeric import real
from cooper_jax.host.verifier.mathematics.algebra.ratio import add, neg, symbols, variable
from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.answers.kinds import (
    Answer,
    Equation,
    Group,
    Named,
    Pair,
    System,
    Value,
    Words,
)
from cooper_jax.host.verifier.mathematics.answers.names import name_of, names_in
from cooper_jax.host.verifier.mathematics.answers.parts import Read
from cooper_jax.host.verifier.mathematics.reading.tokens import Token


def equation(parts: list[Sequence[Token]], statement: Read) -> Answer:
    """The sides of `a = b = ...` as a name with its value, an equation, or what all of them are."""
    if not parts[0] or len(parts) > 12:
        raise Unreadable("an equation without its left side, or too long")
    if not parts[-1]:
        raise Unreadable("an equation without its right side")
    head, last = name_of(parts[0]), parts[-1]
    if (names := names_in(parts[0])) and len(parts) == 2:
        values = statement(last)
        if isinstance(values, Pair):
            values = Group("(", (values.first, values.second))
        if isinstance(values, Group) and values.kind == "(" and len(values.items) == len(names):
            return System(names, values.items, True)
        if isinstance(values, Group) and values.kind == ",":
            return values
        raise Unreadable("names and values do not pair")
    if head is None and len(parts) == 2 and (tail := name_of(last)) is not None and tail[1]:
        value = statement(parts[0])
        if isinstance(value, Value) and not symbols(value.ratio):
            return Named(tail[0], value, True)
    value = _product(statement(last))
    middle = [_product(statement(p)) for p in parts[(1 if head else 0) : -1]]
    if head is not None:
        _consistent([*middle, value])
        if isinstance(value, Value) and head[1] and head[0] in symbols(value.ratio):
            return Equation(add(variable(head[0]), neg(value.ratio)))
        return Named(head[0], value, head[1])
    if isinstance(value, Value) and len(middle) == 1 and isinstance(middle[0], Value):
        left = middle[0].ratio
        if symbols(left) or symbols(value.ratio):
            if middle[0].unit or value.unit:
                raise Unreadable("an equation between measures")
            return Equation(add(left, neg(value.ratio)))
    elif isinstance(value, Value) and any(isinstance(m, Value) and symbols(m.ratio) for m in middle):
        raise Unreadable("a chain of equations")
    several = isinstance(value, Group) and value.kind in (",", "{")
    for m in middle:
        unknown = isinstance(m, Value) and symbols(m.ratio) and not several
        if m != value and not isinstance(value, Value) and not unknown:
            raise Unreadable("an equation of unlike things")
        if isinstance(value, Value) and not isinstance(m, Value):
            raise Unreadable("an equation of unlike things")
    _consistent([*middle, value])
    return value


def _product(a: Answer) -> Answer:
    """In an equation `xy` is a product, not a word."""
    return Value(a.value) if isinstance(a, Words) and a.value is not None else a


def _consistent(chain: list[Answer]) -> None:
    """Raise Unreadable for a chain such as 1 = 2."""
    numbers = [a for a in chain if isinstance(a, Value) and not symbols(a.ratio)]
    for a, b in itertools.pairwise(numbers):
        if equal(a.ratio, b.ratio) is not True and not _rounded(a, b) and not (
            equal(a.ratio, b.ratio) is None and probes_agree(a.ratio, b.ratio)):  # fmt: skip
            raise Unreadable("the equation contradicts itself")


def _rounded(a: Value, b: Value) -> bool:
    x, y = real(a.ratio), real(b.ratio)
    return bool(a.digits or b.digits) and x is not None and y is not None and abs(x - y) <= abs(x) / 100
