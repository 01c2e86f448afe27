"""Two answers of any kind: which comparison they need, and which kinds cannot be equal."""

import re
from dataclasses import replace

from cooper_jax.host.verifier.mathematics.algebra.ratio import renamed, symbols
from cooper_jax.host.verifier.mathematics.algebra.zeros import same_zeros
from cooper_jax.host.verifier.mathematics.answers.kinds import (
    Answer,
    Based,
    Colon,
    Equation,
    Group,
    Inequality,
    Infinite,
    Named,
    Region,
    System,
    Table,
    Value,
    Words,
)
from cooper_jax.host.verifier.mathematics.answers.regions import region
from cooper_jax.host.verifier.mathematics.comparison.intervals import region_and, regions
from cooper_jax.host.verifier.mathematics.comparison.notations import notation_and, same_based, unlike
from cooper_jax.host.verifier.mathematics.comparison.relations import as_equation, has_symbols, only, same_inequality
from cooper_jax.host.verifier.mathematics.comparison.several import Several
from cooper_jax.host.verifier.mathematics.comparison.values import values
from cooper_jax.host.verifier.mathematics.comparison.words import same_words, words_and


class Comparison(Several):
    """Compares answers of any kind, down to expressions, which `decide` compares."""

    def answers(self, g: Answer, a: Answer) -> bool | None:
        """Whether two answers are equal. Kinds that cannot be equal differ; kinds that might be give None."""
        g, a = _unwrapped(g), _unwrapped(a)
        if _misnamed(g, a) or _misnamed(a, g):
            return None
        if isinstance(g, Named) or isinstance(a, Named):
            return self._named(g, a)
        if isinstance(g, System) or isinstance(a, System):
            return self._systems(g, a)
        if type(g) is type(a):
            return self._alike(g, a)
        for x, y in ((g, a), (a, g)):
            if isinstance(x, Region):
                return region_and(x, y, self._decide)
            if isinstance(x, Words):
                everything, other = region(x), region(y)
                if everything and other:
                    return regions(everything, other, self._decide)
                return words_and(x, y, self._decide)
            if isinstance(x, Based | Colon) and isinstance(y, Value):
                return notation_and(x, y, self._decide)
            if isinstance(x, Equation | Inequality):
                return False if isinstance(y, Table | Infinite) else None
        return self._collections(g, a)

    def _alike(self, g: Answer, a: Answer) -> bool | None:
        if isinstance(g, Value) and isinstance(a, Value):
            return values(g, a, self._decide)
        if isinstance(g, Words) and isinstance(a, Words):
            return same_words(g, a)
        if isinstance(g, Infinite) and isinstance(a, Infinite):
            return g.sign == a.sign
        if isinstance(g, Colon) and isinstance(a, Colon):
            return self._ratios(g, a)
        if isinstance(g, Based) and isinstance(a, Based):
            return same_based(g, a)
        if isinstance(g, Region) and isinstance(a, Region):
            return regions(g, a, self._decide)
        if isinstance(g, Table) and isinstance(a, Table):
            return self._tables(g, a)
        if isinstance(g, Equation) and isinstance(a, Equation):
            return same_zeros(g.zero, a.zero)
        if isinstance(g, Inequality) and isinstance(a, Inequality):
            return same_inequality(g, a)
        return self._collections(g, a)

    def _ratios(self, g: Colon, a: Colon) -> bool | None:
        if len(g.parts) != len(a.parts):
            return None
        same = self._in_order(g.parts, a.parts)
        return same if same is not False else unlike(g, a, self._decide)

    def _named(self, g: Answer, a: Answer) -> bool | None:
        if isinstance(g, Named) and isinstance(a, Named):
            if g.name == a.name:
                return self.answers(g.value, a.value)
            if g.loose or a.loose:
                return None
            left, right = as_equation(g), as_equation(a)
            if left and right and (has_symbols(g) or has_symbols(a)):
                return same_zeros(left.zero, right.zero)
            if "(" in g.name and "(" in a.name:
                return self._bound(g, a)
            return False if self.answers(g.value, a.value) is False else None
        for x, y in ((g, a), (a, g)):
            if isinstance(x, Named) and x.loose:
                return None
            if isinstance(x, Named) and isinstance(y, Equation):
                equation = as_equation(x)
                return same_zeros(equation.zero, y.zero) if equation else None
            if isinstance(x, Named) and isinstance(y, Region) and x.symbol and y.of not in (None, only(x.name)):
                return None  # x in (0, 1) and 0 < y < 1
            if isinstance(x, Named) and isinstance(y, System):
                return False if len(y.names) > 1 else None
        return self.answers(g.value if isinstance(g, Named) else g, a.value if isinstance(a, Named) else a)

    def _bound(self, g: Named, a: Named) -> bool | None:
        """f(x) = x and f(t) = t: one function, whatever the name of its argument; else open."""
        x, y = _APPLIED.fullmatch(g.name), _APPLIED.fullmatch(a.name)
        if not x or not y or x[1] != y[1] or not isinstance(g.value, Value) or not isinstance(a.value, Value):
            return None
        here, there = symbols(g.value.ratio), symbols(a.value.ratio)
        if x[2] not in here or y[2] not in there or x[2] in there or y[2] in here:
            return None  # P(A) = 1/2 and P(B) = 1/2
        other = a.value.other and renamed(a.value.other, y[2], x[2])
        return self.answers(g.value, replace(a.value, ratio=renamed(a.value.ratio, y[2], x[2]), other=other))


_APPLIED = re.compile(r"(.*)\(([A-Za-z])\)")


def _misnamed(x: Answer, y: Answer) -> bool:
    """Whether `x` has a name for each of its values, and `y` other names, as `x = 1, x = 2` and `x = 1, q = 2`."""
    if not isinstance(y, Group) or y.kind != ",":
        return False
    names = [i.name for i in y.items if isinstance(i, Named)]
    if isinstance(x, Named):
        return any(n != x.name for n in names)
    return isinstance(x, System) and bool(names) and sorted(names) != sorted(x.names)


def _unwrapped(a: Answer) -> Answer:
    while isinstance(a, Group) and a.kind == "," and len(a.items) == 1:
        a = a.items[0]
    return a
