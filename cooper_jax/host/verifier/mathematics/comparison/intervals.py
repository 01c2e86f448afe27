"""Two sets of real numbers, interval by interval."""

from cooper_jax.host.verifier.mathematics.answers.kinds import Answer, Group, Infinite, Pair, Region, Table, Value
from cooper_jax.host.verifier.mathematics.answers.regions import region
from cooper_jax.host.verifier.mathematics.comparison.three import Decide, every


def regions(g: Region, a: Region, decide: Decide) -> bool | None:
    """Whether two sets have the same ends; open where they are of different variables."""
    if len(g.intervals) != len(a.intervals):
        return False
    pairs = [(x, y) for i, j in zip(g.intervals, a.intervals, strict=True) for x, y in zip(i, j, strict=True)]
    same = every(
        (False if x.sign != y.sign else None if x.closed != y.closed else True)  # [-oo, 1]: a slip
        if x.at is None and y.at is None
        else False
        if x.at is None or y.at is None or x.closed != y.closed
        else decide(x.at, y.at)
        for x, y in pairs
    )
    if same and g.of is not None and a.of is not None and g.of != a.of:
        return None
    return same


def region_and(x: Region, y: Answer, decide: Decide) -> bool | None:
    """A set beside another kind of answer, which may be a set as well."""
    if isinstance(y, Value) or (isinstance(y, Group) and y.kind != "{"):
        return False
    other = region(y)
    if other is not None:
        return regions(x, other, decide)
    return False if isinstance(y, Pair | Group | Infinite | Table) else None
