"""Equations and inequalities, by where they hold."""

from fractions import Fraction

from cooper_jax.host.verifier.mathematics.algebra.ratio import add, neg, symbols, variable
from cooper_jax.host.verifier.mathematics.algebra.sums import UNIT, Mono
from cooper_jax.host.verifier.mathematics.algebra.zeros import degree, proportion
from cooper_jax.host.verifier.mathematics.answers.kinds import Equation, Inequality, Named, Value


def as_equation(a: Named) -> Equation | None:
    """`x = value` as an equation, if that is what it is."""
    if a.symbol and isinstance(a.value, Value):
        return Equation(add(variable(a.name), neg(a.value.ratio)))
    return None


def only(name: str) -> Mono:
    """The monomial that is one variable."""
    return frozenset([(("v", name), Fraction(1))])


def has_symbols(a: Named) -> bool:
    """Whether the value of a name has variables in it."""
    return isinstance(a.value, Value) and bool(symbols(a.value.ratio))


def same_inequality(g: Inequality, a: Inequality) -> bool | None:
    """Whether one inequality is a multiple of the other; different where both are linear, else open."""
    k = proportion(g.low.num, a.low.num) if g.low.den == a.low.den == UNIT else None
    if k is None:
        linear = g.low.den == a.low.den == UNIT and degree(g.low.num) == degree(a.low.num) == 1
        return False if linear else None
    positive = (k.rational or 0) > 0
    if g.op == a.op:
        return bool(positive or g.op == "!=")
    return False
