"""Answers that have parts: tuples, lists, sets, systems, matrices."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from cooper_jax.host.verifier.mathematics.answers.kinds import (
    Answer,
    Based,
    Colon,
    Group,
    Infinite,
    Pair,
    System,
    Table,
    Value,
    Words,
)
from cooper_jax.host.verifier.mathematics.comparison.three import Decide, every


class Several(ABC):
    """Compares answers that have parts. How parts compare, whoever inherits says."""

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self._inside = 0

    @abstractmethod
    def answers(self, g: Answer, a: Answer) -> bool | None:
        """Whether two answers are equal."""

    def _systems(self, g: Answer, a: Answer) -> bool | None:
        if isinstance(g, System) and isinstance(a, System):
            if sorted(g.names) != sorted(a.names):
                return False if len(g.names) != len(a.names) else None
            there = dict(zip(a.names, a.values, strict=True))
            return every(self.answers(v, there[n]) for n, v in zip(g.names, g.values, strict=True))
        system, other = (g, a) if isinstance(g, System) else (a, g)
        assert isinstance(system, System)
        items = _items(other)
        if isinstance(other, Value) and all(v == system.values[0] for v in system.values):
            return None  # x = y = 5 and 5
        if items is None or (isinstance(other, Pair) and (other.left, other.right) != ("(", ")")):
            return False if isinstance(other, Value) else None
        if len(items) != len(system.values):
            return False
        # Without names, values are told apart by their order alone; it must be the obvious one, and a set has none.
        if _brackets(other) == "{":
            return False if self._matched(system.values, items) is False else None
        obvious = system.ordered or list(system.names) == sorted(system.names)
        same = self._in_order(system.values, items)
        if same:
            return True if obvious or _bare(other) else None
        if same is False and obvious and not _bare(other):
            return False
        return False if self._matched(system.values, items) is False else None

    def _collections(self, g: Answer, a: Answer) -> bool | None:
        left, right = _items(g), _items(a)
        if left is None and right is None:
            return False if {type(g), type(a)} <= {Value, Infinite, Table, Based, Colon} else None
        if left is None or right is None:
            return self._one_and_several(
                *((a, left if left is not None else g, right) if left is None else (g, a, left))
            )
        if isinstance(g, Pair) and isinstance(a, Pair):
            same = self._in_order(left, right)
            return same if (g.left, g.right) == (a.left, a.right) else False
        if (_brackets(g) == "{" or _brackets(a) == "{") and self._repeats(left, right):
            return None
        if len(left) != len(right):
            return self._repeated(g, a)
        kinds = {_brackets(g), _brackets(a)}
        if kinds <= {",", "{"}:
            return self._matched(left, right)
        if len(kinds) == 1 or (kinds == {"[", ","} and len(left) > 2):
            same = self._in_order(left, right)
            return same if len(kinds) == 1 or same else self._open(left, right)
        return self._open(left, right)

    def _repeated(self, g: Answer, a: Answer) -> bool | None:
        """Lists of different lengths: points are listed once or twice; of numbers, several may be meant."""
        if {_brackets(g), _brackets(a)} != {","}:
            return False
        x, y = self._distinct(_items(g) or ()), self._distinct(_items(a) or ())
        if x is None or y is None or len(x) < 2 or self._matched(x, y) is False:
            return False if x is not None and y is not None else None
        points = all(isinstance(p, Pair) or (isinstance(p, Group) and p.kind == "(") for p in (*x, *y))
        return self._matched(x, y) if points else None

    def _distinct(self, items: Sequence[Answer]) -> list[Answer] | None:
        """Each element once; None where that cannot be told."""
        kept: list[Answer] = []
        for item in items:
            results = [self.answers(item, k) for k in kept]
            if True not in results:
                if None in results:
                    return None
                kept.append(item)
        return kept

    def _one_and_several(self, several: Answer, one: Answer, items: Sequence[Answer] | None) -> bool | None:
        if any(isinstance(x, Words) and len(x.text) > 2 for x in items or ()) or _parts(items):
            return None  # prose, 2 hours and 30 minutes
        if isinstance(one, Table) and items:
            rows = [_items(x) for x in items if _brackets(x) == "["]
            if _brackets(several) == "[" and len(rows) == len(items):  # [[1, 2], [3, 4]]
                same = [self._in_order(tuple(map(Value, r)), x or ()) for r, x in zip(one.rows, rows, strict=False)]
                return every(same) if len(rows) == len(one.rows) else False
            cells = [Value(x) for row in one.rows for x in row]
            if len(cells) != len(items):
                return False
            column = len(one.rows[0]) == 1 and _brackets(several) == "("
            return self._in_order(cells, items) if column else self._open(cells, items)
        if items is not None and len(items) == 1 and isinstance(several, Group) and several.kind in ("{", ","):
            same = self.answers(items[0], one)
            return same if not self._inside else False if same is False else None
        return False if isinstance(one, Value | Infinite | Table | Based | Colon) else None

    def _repeats(self, left: Sequence[Answer], right: Sequence[Answer]) -> bool:
        """Whether some element is stated twice."""
        return any(
            self.answers(x, y) is not False for items in (left, right) for i, x in enumerate(items) for y in items[:i]
        )

    def _open(self, left: Sequence[Answer], right: Sequence[Answer]) -> bool | None:
        """The same elements in another form are neither equal nor different."""
        return False if self._matched(left, right) is False else None

    def _in_order(self, left: Sequence[Answer], right: Sequence[Answer]) -> bool | None:
        return every(self.answers(x, y) for x, y in zip(left, right, strict=True)) if len(left) == len(right) else False

    def _matched(self, left: Sequence[Answer], right: Sequence[Answer]) -> bool | None:
        """Equal but for the order."""
        if len(left) != len(right):
            return False
        self._inside += 1
        free, unsure = list(right), False
        for x in left:
            results = [self.answers(x, y) for y in free]
            if True in results:
                free.pop(results.index(True))
            elif None in results:
                unsure = True
            else:
                self._inside -= 1
                return False
        self._inside -= 1
        return None if unsure else True

    def _tables(self, g: Table, a: Table) -> bool | None:
        if (len(g.rows), len(g.rows[0])) != (len(a.rows), len(a.rows[0])):
            flat = len(g.rows) == 1 or len(g.rows[0]) == 1
            return None if flat and (len(a.rows), len(a.rows[0])) == (len(g.rows[0]), len(g.rows)) else False
        cells = zip((x for r in g.rows for x in r), (y for r in a.rows for y in r), strict=True)
        return every(self._decide(x, y) for x, y in cells)


def _parts(items: Sequence[Answer] | None) -> bool:
    """Whether these are parts of one measure in several units."""
    units = [x.unit for x in items or () if isinstance(x, Value) and x.unit and x.unit.dimensions]
    sizes, dimensions = {u.size for u in units}, {u.dimensions for u in units}
    return len(units) == len(items or ()) and len(sizes) > 1 == len(dimensions)


def _items(a: Answer) -> tuple[Answer, ...] | None:
    if isinstance(a, Pair):
        return a.first, a.second
    return a.items if isinstance(a, Group) else None


def _brackets(a: Answer) -> str:
    if isinstance(a, Pair):
        return a.left if (a.left, a.right) in (("(", ")"), ("[", "]")) else a.left + a.right
    return a.kind if isinstance(a, Group) else ""


def _bare(a: Answer) -> bool:
    return isinstance(a, Group) and a.kind == ","
