"""Equations: a name and its value, a chain of equal things, or something with zeros."""

import itertools
from collections.abc import Sequence

from cooper_jax.host.verifier.mathematics.algebra.equality import equal, probes_agree
from cooper_jax.host.verifier.mathematics.algebra.numeric import real
from cooper_jax.host.verifier.mathematics.algebra.ratio import add, neg, number, symbols, variable
from cooper_jax.host.verifier.mathematics.algebra.sums import TooBig, Unreadable
from cooper_jax.host.verifier.mathematics.answers.kinds import (
    Answer,
    Based,
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
    if len(parts) > 12 or not all(parts[1:]):
        raise Unreadable("an equation that lacks a side, or too long")
    if not parts[0]:
        return statement(parts[1]) if len(parts) == 2 else equation(parts[1:], statement)  # = 5
    head, last = name_of(parts[0]), parts[-1]
    if (names := names_in(parts[0])) and len(parts) == 2:
        values = statement(last)
        if isinstance(values, Pair) and values.left + values.right == "()":
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
    if head is None and len(parts) == 2 and (opaque := _opaque(parts[0], statement)):
        return Named(opaque, value, False, parts[0][0].text not in (r"\lim", r"\int"))
    middle = [_product(statement(p)) for p in parts[(1 if head else 0) : -1]]
    if head is not None:
        return _named(head, middle, value, parts)
    if isinstance(value, Value) and len(middle) == 1 and isinstance(middle[0], Value):
        left = middle[0].ratio
        if symbols(left) or symbols(value.ratio):
            if middle[0].unit or value.unit:
                raise Unreadable("an equation between measures")
            return Equation(add(left, neg(value.ratio)))
    elif isinstance(value, Value) and any(isinstance(m, Value) and symbols(m.ratio) for m in middle):
        raise Unreadable("a chain of equations")
    if isinstance(value, Value):
        _consistent([*middle, value])
        return value
    if any(m != value for m in middle[:-1]):
        raise Unreadable("an equation of unlike things")
    return value if middle[-1] == value else Named(spelled(parts[0]), value, False, not _inverse(parts[0]))


def _named(head: tuple[str, bool], middle: list[Answer], value: Answer, parts: list[Sequence[Token]]) -> Answer:
    """A name and what it equals, by way of what stands between."""
    if middle and all(_is_name(m) for m in middle) and head[1] and not _is_name(value):
        names = (head[0], *(next(iter(symbols(m.ratio))) for m in middle if isinstance(m, Value)))
        return System(names, (value,) * len(names), False)  # x = y = 5
    for m, part in zip(middle, parts[1:-1], strict=True):
        if len(part) > 1 and part[-1].kind == "var" and part[-1].gap:
            raise Unreadable("two equations with nothing between them")  # x = 3 y = 5
        if isinstance(m, Value) and isinstance(value, Value):
            if head[1] and head[0] in symbols(m.ratio):
                raise Unreadable("two equations with nothing between them")
            if symbols(value.ratio) and not symbols(m.ratio):
                raise Unreadable("a chain of equations")
        elif m != value and not (_is_name(m) and not isinstance(value, Value)):
            raise Unreadable("an equation of unlike things")
    _consistent([*middle, value])
    if isinstance(value, Value) and head[1] and head[0] in symbols(value.ratio):
        return Equation(add(variable(head[0]), neg(value.ratio)))
    return Named(head[0], value, head[1])


def _is_name(a: Answer) -> bool:
    """Whether it is one variable."""
    return isinstance(a, Value) and any(a.ratio == variable(name) for name in symbols(a.ratio))


def _opaque(toks: Sequence[Token], statement: Read) -> str:
    """How a left side is spelled that cannot be read, as a limit; empty for one that can, or that has words in it."""
    words = [i for i, t in enumerate(toks) if t.kind in ("text", "money") or (t.kind == "word" and len(t.text) > 2)]
    if any(i < 2 or toks[i - 2].kind not in ("begin", "end") for i in words):
        return ""
    try:
        statement(toks)
    except TooBig:
        raise
    except Unreadable:
        return spelled(toks)
    return ""


def spelled(toks: Sequence[Token]) -> str:
    """The tokens as they stand, as a name."""
    return " ".join(t.text or t.kind for t in toks)


def _inverse(toks: Sequence[Token]) -> bool:
    """Whether this is A^{-1} or A^T, which is a name like any other."""
    return toks[0].kind == "var" and "".join(t.text for t in toks[1:]) in ("^{-1}", "^-1", "^T", "^{T}")


def _product(a: Answer) -> Answer:
    """In an equation `xy` is a product, not a word."""
    return Value(a.value) if isinstance(a, Words) and a.value is not None else a


def _consistent(chain: list[Answer]) -> None:
    """Raise Unreadable for a chain such as 1 = 2."""
    if any(isinstance(a, Based) for a in chain):
        chain = [Value(number(a.value)) if isinstance(a, Based) else a for a in chain]
    if len({isinstance(a, Value) for a in chain}) > 1 and any(
        not isinstance(a, Value) and isinstance(b, Value) for a, b in itertools.pairwise(chain)
    ):
        raise Unreadable("an equation of unlike things")
    known = [a for a in chain if isinstance(a, Value)]
    if any(a.unit and a.unit != b.unit for a, b in itertools.pairwise(known)):
        raise Unreadable("an equation between measures")
    for a, b in itertools.pairwise(known):
        if symbols(a.ratio) == symbols(b.ratio) != frozenset() and equal(a.ratio, b.ratio) is False and not (
            a.inexact or b.inexact):  # fmt: skip
            raise Unreadable("the equation contradicts itself")
    numbers = [a for a in known if not symbols(a.ratio)]
    for a, b in itertools.pairwise(numbers):
        if equal(a.ratio, b.ratio) is not True and not _rounded(a, b) and not (
            equal(a.ratio, b.ratio) is None and probes_agree(a.ratio, b.ratio)):  # fmt: skip
            raise Unreadable("the equation contradicts itself")


def _rounded(a: Value, b: Value) -> bool:
    x, y = real(a.ratio), real(b.ratio)
    return bool(a.digits or b.digits) and x is not None and y is not None and abs(x - y) <= abs(x) / 100
