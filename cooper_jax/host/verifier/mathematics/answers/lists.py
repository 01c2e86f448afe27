"""Several answers side by side: a list, a system of names, a region that all describe."""

from collections.abc import Sequence

from cooper_jax.host.verifier.mathematics.algebra.equality import equal
from cooper_jax.host.verifier.mathematics.algebra.ratio import symbols, variable
from cooper_jax.host.verifier.mathematics.algebra.sums import TooBig, Unreadable
from cooper_jax.host.verifier.mathematics.answers.kinds import (
    Answer,
    Group,
    Inequality,
    Named,
    Region,
    System,
    Value,
    Words,
)
from cooper_jax.host.verifier.mathematics.answers.parts import MAX_ITEMS
from cooper_jax.host.verifier.mathematics.answers.regions import (
    disjoint,
    excluded,
    intersection,
    named_value,
    region,
    union,
)


def alternatives(parts: list[Answer]) -> Answer:
    """Answers joined by `or`: a union of regions, or a list."""
    regions = [region(p) for p in parts]
    if any(isinstance(named_value(p), Region | Inequality) for p in parts) and all(r is not None for r in regions):
        return union([r for r in regions if r is not None])
    if all(isinstance(p, Words) or (isinstance(p, Value) and _is_name(p)) for p in parts):
        raise Unreadable("one name or another")
    return listed([p for i, p in enumerate(parts) if not any(_same(p, q) for q in parts[:i])])


def _same(a: Answer, b: Answer) -> bool:
    """Whether one value is written in two ways, as in `1/2 or 0.5`."""
    if isinstance(a, Named) and isinstance(b, Named):
        return a.name == b.name and _same(a.value, b.value)
    if not isinstance(a, Value) or not isinstance(b, Value):
        return a == b
    return a.unit == b.unit and not (a.other or b.other) and equal(a.ratio, b.ratio) is True


def _is_name(a: Value) -> bool:
    return a.unit is None and any(a.ratio == variable(name) for name in symbols(a.ratio))


def listed(parts: list[Answer], together: bool = False) -> Answer:
    """Answers side by side: one name for all, a name for each, or a list. `together`: inequalities that all hold."""
    if len(parts) == 1:
        return parts[0]
    if (region_ := _together(parts, together)) is not None:
        return region_
    if any(isinstance(p, Named) and p.loose for p in parts):
        if not all(isinstance(p, Named) for p in parts):
            raise Unreadable("equations of expressions beside other things")
        return Group(",", tuple(parts))
    names = [p.name if isinstance(p, Named) else None for p in parts]
    values = [p.value if isinstance(p, Named) else p for p in parts]
    given = {n for n in names if n is not None}
    if len(given) == 1 and names[0] is not None:
        first = next(p for p in parts if isinstance(p, Named))
        found = _flat(values)
        if None not in names:  # x = 1, x = 2, x = 2: solutions, each told once
            found = tuple(v for i, v in enumerate(found) if not any(_same(v, w) for w in found[:i]))
        return Named(first.name, Group(",", found), first.symbol)
    if None not in names and len(given) == len(names) and len(given) == len(set(names)):
        return System(tuple(n for n in names if n), tuple(values), False)
    return Group(",", _flat(parts))


def _together(parts: list[Answer], together: bool) -> Region | None:
    """Conditions on one variable as one: x > 0, x != 1; x < -2, x > 2; x != 1, 2. None for anything else."""
    regions = [p for p in parts if isinstance(p, Region)]
    first = parts[0]
    if len(regions) == len(parts):
        if together or sum(not _excludes(r) for r in regions) < 2:
            return intersection(regions)
        if len(parts) == 2 and regions[0].of == regions[1].of is not None and disjoint(*regions):
            return union(regions)
    elif isinstance(first, Region) and _excludes(first) and all(isinstance(p, Value) for p in parts[1:]):
        others = [excluded(p.ratio, first.of) for p in parts[1:] if isinstance(p, Value)]
        return intersection([first, *others])
    return None


def _excludes(r: Region) -> bool:
    """Whether it is all but a point, of a variable."""
    return r.of is not None and len(r.intervals) == 2 and excluded(r.intervals[0][1].at, r.of) == r


def _flat(items: Sequence[Answer]) -> tuple[Answer, ...]:
    out: list[Answer] = []
    for item in items:
        out += item.items if isinstance(item, Group) and item.kind == "," else [item]
    if len(out) > MAX_ITEMS:
        raise TooBig("too many elements")
    return tuple(out)
