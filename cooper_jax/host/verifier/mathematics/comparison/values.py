"""Two expressions with their units, per cent signs and roundings."""

from dataclasses import replace

from cooper_jax.host.verifier.mathematics.algebra.equality import near
from cooper_jax.host.verifier.mathematics.algebra.numeric import real
from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio, atom, div, mul, number, renamed, symbols
from cooper_jax.host.verifier.mathematics.algebra.sums import PI, UNIT
from cooper_jax.host.verifier.mathematics.answers.kinds import Value
from cooper_jax.host.verifier.mathematics.comparison.rounding import rounds
from cooper_jax.host.verifier.mathematics.comparison.three import Decide
from cooper_jax.host.verifier.mathematics.reading.units import confusable, conversions, letters, pounds

_COUNTERS = frozenset("kmn")

_UNIT_LIKE = frozenset("mgshLlNJWV")


def values(g: Value, a: Value, decide: Decide) -> bool | None:
    """Whether two values are one: units converted, a missing unit passed over, decimals compared as printed."""
    if g.percent != a.percent:
        part, whole = (g, a) if g.percent else (a, g)
        if _plain(part, whole, decide):
            size = real(part.ratio)
            return True if size is not None and abs(size) <= 1 else None
        hundredfold = decide(mul(part.ratio, number(100)), whole.ratio)
        if hundredfold and whole.unit is None and (size := real(whole.ratio)) is not None and abs(size) > 1:
            return True  # 20 for 20%: who writes the number alone was asked for per cent
        return False if hundredfold is False and _plain(part, whole, decide) is False else None
    for counted, other in ((g, a), (a, g)):
        if counted.unit and counted.unit.dimensions == _COUNT and (other.unit is None or other.unit.name):
            return _several(counted, other, decide)
    if g.unit is None and a.unit is None:
        return _plain(g, a, decide)
    if g.unit is None or a.unit is None:
        return _one_unit(*((g, a) if g.unit else (a, g)), decide)
    if g.unit.name or a.unit.name:
        same = _plain(g, a, decide)
        return same if same is False or g.unit.name == a.unit.name else None
    if (units := pounds(g.unit, a.unit)) is not None:
        return values(replace(g, unit=units[0]), replace(a, unit=units[1]), decide)
    if g.unit.dimensions != a.unit.dimensions:
        # $10 and $10 an hour: the question may have said by what.
        rate = all(power < 0 for _, power in g.unit.dimensions ^ a.unit.dimensions)
        return None if rate or confusable(g.unit, a.unit) else False
    if g.unit.size == a.unit.size:
        return _plain(g, a, decide)
    return decide(mul(g.ratio, number(g.unit.size)), mul(a.ratio, number(a.unit.size)))


def _several(counted: Value, other: Value, decide: Decide) -> bool | None:
    """3 (dozen) is 3 and 3 dozen; 36 may be an answer to another question."""
    assert counted.unit is not None
    whole = replace(counted, ratio=mul(counted.ratio, number(counted.unit.size)), unit=None)
    same = _plain(replace(counted, unit=None), other, decide)
    if other.times == counted.unit.size:
        return _plain(whole, other, decide)
    return None if other.times > 1 or (same is False and _plain(whole, other, decide) is not False) else same


_COUNT = frozenset([("count", 1)])


def _one_unit(measured: Value, bare: Value, decide: Decide) -> bool | None:
    if (spelled := _spelled(bare)) is not None and not symbols(measured.ratio):
        return values(measured, spelled, decide)
    same = _plain(measured, bare, decide)
    assert measured.unit is not None
    if ("angle", 1) in measured.unit.dimensions and same is not True:
        radians = mul(measured.ratio, div(atom(PI), number(180)))
        return True if decide(radians, bare.ratio) else same
    if same is False and any(
        decide(mul(measured.ratio, number(rate)), bare.ratio) for rate in conversions(measured.unit)
    ):
        return None  # 1.5 hours and 90: the question may have asked for minutes
    return None if same and measured.glued else same


def _plain(g: Value, a: Value, decide: Decide) -> bool | None:
    results = {
        _ratio(replace(g, ratio=x), replace(a, ratio=y), decide)
        for x in (g.ratio, g.other)
        for y in (a.ratio, a.other)
        if x is not None and y is not None
    }
    return results.pop() if len(results) == 1 else None


def _ratio(g: Value, a: Value, decide: Decide) -> bool | None:
    same = decide(g.ratio, a.ratio)
    if same is False and _counted(g.ratio, a.ratio, decide):
        return True
    if same is False and _one_letter_off(g.ratio, a.ratio):
        return None
    if same or not (g.digits or a.digits):
        # 2.83x for 2 sqrt(2) x: a rounding again.
        return None if same is False and (g.inexact or a.inexact) and near(g.ratio, a.ratio) else same
    open_to = [rounds(x, y) for x, y in ((g, a), (a, g)) if x.digits]
    if same is None:
        return True if True in open_to else None
    return max(open_to, key=lambda r: (r is True, r is None))


def _counted(g: Ratio, a: Ratio, decide: Decide) -> bool:
    """k pi and n pi, for all whole k and n: the same angles, whatever the name of the counter."""
    here, there = symbols(g) & _COUNTERS, symbols(a) & _COUNTERS
    if len(here) != 1 or len(there) != 1 or here == there or symbols(g) - here or symbols(a) - there:
        return False
    (old,), (new,) = there, here
    turns = [dict(m) for m in g.num if ("v", new) in dict(m)]
    angles = g.den == UNIT and all(m.get(PI) == 1 == m[("v", new)] and len(m) == 2 for m in turns)
    return bool(turns) and angles and decide(g, renamed(a, old, new)) is True


def _one_letter_off(g: Ratio, a: Ratio) -> bool:
    """C and c, e and E; 5 and 5g: a slip of notation as likely as another answer."""
    x, y = _letter(g), _letter(a)
    if x and y:
        return x.lower() == y.lower()
    extra = symbols(g) ^ symbols(a)
    if len(extra) == 2 and extra <= _COUNTERS and len(symbols(g)) == len(symbols(a)):
        return True  # k pi and n pi, for all k and n
    if len(extra) == 1 and extra <= _UNIT_LIKE:
        at_one = {frozenset((b, r) for b, r in m if b != ("v", *extra)): c for m, c in (*g.num.items(), *a.num.items())}
        return len(at_one) == 1 and len(g.num) == len(a.num) == 1
    return False


def _spelled(a: Value) -> Value | None:
    """`5 m/s` with the letters taken for units, where they can be."""
    if len(a.ratio.num) != 1 or a.ratio.den != UNIT:
        return None
    ((m, c),) = a.ratio.num.items()
    names = frozenset((b, r) for b, r in m if b[0] == "v")
    unit = letters((b[1], r) for b, r in names)
    return replace(a, ratio=Ratio({m - names: c}, UNIT), other=None, unit=unit) if unit is not None else None


def _letter(a: Ratio) -> str:
    if len(a.num) == 1 and a.den == UNIT:
        ((m, c),) = a.num.items()
        if c == 1 and len(m) == 1:
            ((b, r),) = m
            if r == 1 and b[0] in ("v", "e", "i") and (b[0] != "v" or len(b[1]) == 1):
                return b[1] if b[0] == "v" else b[0]
    return ""
