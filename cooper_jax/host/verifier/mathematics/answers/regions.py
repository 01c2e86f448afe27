"""Sets of real numbers: unions of intervals with exact ends, from inequalities, brackets and points."""

from cooper_jax.host.verifier.mathematics.algebra.equality import equal
from cooper_jax.host.verifier.mathematics.algebra.numeric import real
from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio, add, div, neg, symbols
from cooper_jax.host.verifier.mathematics.algebra.sums import UNIT, Mono, Poly, Unreadable
from cooper_jax.host.verifier.mathematics.answers.kinds import (
    Answer,
    End,
    Group,
    Inequality,
    Infinite,
    Named,
    Pair,
    Region,
    Value,
    Words,
)


def solved(op: str, low: Ratio) -> Answer:
    """`low` op 0 as a region of the one monomial it is linear in, or as it stands."""
    constant: Poly = {}
    slope: dict[Mono, Poly] = {}
    for m, c in low.num.items():
        fixed = frozenset((a, r) for a, r in m if a[0] in ("p", "c", "pi", "e", "i"))
        free = m - fixed
        if free:
            slope.setdefault(free, {})[fixed] = c
        else:
            constant[m] = c
    if low.den != UNIT or len(slope) != 1 or not _simple(next(iter(slope))):
        if not slope and not symbols(low):
            raise Unreadable("an inequality of numbers")
        return Inequality(op, low)
    ((free, factor),) = slope.items()
    inner = _absolute(free)
    scale = Ratio(factor, UNIT)
    sign = real(scale)
    bound = div(neg(Ratio(constant, UNIT)), scale)
    if sign is None or real(bound) is None:
        return Inequality(op, low)
    if inner is not None:
        return _apart(op, sign > 0, inner, bound) or Inequality(op, low)
    infinite = End(None, False, -1), End(None, False, 1)
    if op == "!=":
        return excluded(bound, free)
    if sign > 0:
        return Region(((infinite[0], End(bound, op == "<=")),), free)
    return Region(((End(bound, op == "<="), infinite[1]),), free)


def _simple(m: Mono) -> bool:
    """Whether a monomial is one variable, f(x) or |...|."""
    return len(m) == 1 and all(
        r == 1 and (a[0] == "v" or (a[0] == "f" and (a[1].endswith("()") or a[1] == "abs"))) for a, r in m
    )


def _absolute(m: Mono) -> Ratio | None:
    """What stands between the bars where the monomial is |...|."""
    ((a, _),) = m
    return a[2].ratio if a[:2] == ("f", "abs") else None


def _apart(op: str, below: bool, inner: Ratio, bound: Ratio) -> Region | None:
    """|inner| op bound, or with the sides changed: of one real variable, which z is not."""
    size = real(bound)
    if size is None or size <= 0 or symbols(inner) & {"z", "w"} or len(symbols(inner)) != 1:
        return None
    strict = op if op != "!=" else "<"
    sides = [add(inner, neg(bound)), neg(add(inner, bound))]  # inner - bound <= 0, -inner - bound <= 0
    if not below:
        sides = [neg(s) for s in sides]
    found = [solved(strict, s) for s in sides]
    known = [f for f in found if isinstance(f, Region)]
    if op == "!=" or len(known) != 2:
        return None
    return intersection(known) if below else union(known)


def named_value(a: Answer) -> Answer:
    """What a name has for its value, or `a` as it stands."""
    return a.value if isinstance(a, Named) and not a.loose else a


def region(a: Answer) -> Region | None:
    """`a` as a region of the real line, if it can be one."""
    a = named_value(a)
    if isinstance(a, Region):
        return a
    if isinstance(a, Pair):
        ends = [_end(a.first, a.left == "[", -1), _end(a.second, a.right == "]", 1)]
        if ends[0] is None or ends[1] is None or not ends[0].number < ends[1].number:
            return None
        return Region(((ends[0], ends[1]),))
    if isinstance(a, Group) and a.kind == "{":
        points = [_end(x, True, 1) for x in a.items]
        if any(p is None or p.at is None for p in points):
            return None
        return union([Region(((p, p),)) for p in points if p is not None])
    if isinstance(a, Words) and a.text in DOMAINS:
        return Region(((End(None, False, -1), End(None, False, 1)),))
    if isinstance(a, Value):
        point = _end(a, True, 1)
        return Region(((point, point),)) if point is not None and point.at is not None else None
    return None


DOMAINS = {"the set R", "all real numbers", "all reals", "real numbers"}
"""The real numbers in words."""


def _end(a: Answer, closed: bool, side: int) -> End | None:
    if isinstance(a, Infinite):
        return End(None, closed, a.sign) if a.sign == side else None
    if isinstance(a, Value) and a.unit is None and not a.percent and real(a.ratio) is not None:
        return End(a.ratio, closed)
    return None


def _same_of(regions: list[Region]) -> Mono | None:
    named = {r.of for r in regions if r.of is not None}
    if len(named) > 1:
        raise Unreadable("intervals of different variables")
    return named.pop() if named else None


def union(regions: list[Region]) -> Region:
    """The union, as disjoint intervals in order."""
    of = _same_of(regions)
    pending = sorted((i for r in regions for i in r.intervals), key=lambda i: (i[0].number, not i[0].closed))
    out: list[tuple[End, End]] = []
    for low, high in pending:
        if out:
            before = out[-1][1]
            gap = _order(low, before)
            if gap < 0 or (gap == 0 and (low.closed or before.closed)):
                further = _order(high, before)
                if further > 0 or (further == 0 and high.closed):
                    out[-1] = (out[-1][0], high)
                continue
        out.append((low, high))
    return Region(tuple(out), of)


def excluded(at: Ratio | None, of: Mono | None) -> Region:
    """All numbers but one."""
    return Region(((End(None, False, -1), End(at, False)), (End(at, False), End(None, False, 1))), of)


def disjoint(a: Region, b: Region) -> bool:
    """Whether nothing is in both."""
    try:
        intersection([a, b])
    except Unreadable:
        return True
    return False


def intersection(regions: list[Region]) -> Region:
    """What is in all of them. Raises Unreadable where nothing is."""
    of = _same_of(regions)
    current = list(regions[0].intervals)
    for r in regions[1:]:
        current = [
            (low, high)
            for a in current
            for b in r.intervals
            for low in [_inner(a[0], b[0], 1)]
            for high in [_inner(a[1], b[1], -1)]
            if _order(low, high) < 0 or (_order(low, high) == 0 and low.closed and high.closed)
        ]
    if not current:
        raise Unreadable("the inequalities contradict each other")
    return Region(tuple(current), of)


def _inner(a: End, b: End, side: int) -> End:
    order = _order(a, b) * side
    if order == 0:
        return a if not a.closed else b
    return a if order > 0 else b


def _order(a: End, b: End) -> int:
    if a.at is not None and b.at is not None and equal(a.at, b.at):
        return 0
    return (a.number > b.number) - (a.number < b.number)
