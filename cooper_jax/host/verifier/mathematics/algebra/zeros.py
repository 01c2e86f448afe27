"""Whether two ratios are zero at the same places: what equations are compared by."""

from fractions import Fraction

from cooper_jax.host.verifier.mathematics.algebra.numeric import known, mp, probe, value_at
from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio, atoms_within, number, symbols
from cooper_jax.host.verifier.mathematics.algebra.sums import ONE, UNIT, Atom, Poly, times


def same_zeros(g: Ratio, a: Ratio) -> bool | None:
    """Whether g = 0 and a = 0 say the same."""
    if not g.num or not a.num:
        return not g.num and not a.num
    g, a = _without_denominators(g), _without_denominators(a)
    if proportion(g.num, a.num) is not None:
        return True
    degrees = degree(g.num), degree(a.num)
    if None in degrees:
        return None
    if symbols(g) != symbols(a):
        return False if degrees == (1, 1) else None
    if degrees == (1, 1):
        slopes = ({m: c for m, c in r.num.items() if degree({m: c})} for r in (g, a))
        plain = all(m == ONE or degree({m: c}) for r in (g, a) for m, c in r.num.items())
        return False if plain and all(slopes) else None
    return False if _zeros_differ(g.num, a.num) else None


def proportion(p: Poly, q: Poly) -> Ratio | None:
    """The constant k with q = k p, or None."""
    if p.keys() != q.keys():
        return None
    m = next(iter(p))
    k = q[m] / p[m]
    return number(k) if all(q[n] == k * c for n, c in p.items()) else None


def degree(poly: Poly) -> Fraction | None:
    """Total degree of a polynomial in variables; None where anything else depends on a variable."""
    highest = Fraction(0)
    for m in poly:
        here = Fraction(0)
        for a, r in m:
            if a[0] == "v":
                if r.denominator != 1 or r < 0:
                    return None
                here += r
            elif any(x[0] == "v" for x in atoms_within(a)):
                return None
        highest = max(highest, here)
    return highest


def _without_denominators(a: Ratio) -> Ratio:
    """Times what frees it of denominators and negative powers of variables: zero where `a` is."""
    lowest: dict[Atom, Fraction] = {}
    for m in a.num:
        for b, r in m:
            if b[0] == "v":
                lowest[b] = min(lowest.get(b, Fraction(0)), r)
    up = frozenset((b, -r) for b, r in lowest.items() if r < 0)
    return Ratio(times(a.num, {up: Fraction(1)}) if up else a.num, UNIT)


def _zeros_differ(p: Poly, q: Poly) -> bool:
    """Whether some zero of p, found along a variable of degree one or two, is clearly no zero of q."""
    names = sorted(symbols(Ratio(p, UNIT)))
    along = next((n for n in names if 0 < max(_degree_in(p, n), 0) <= 2), None)
    if along is None:
        return False
    for k in range(2):
        at = {n: probe(n, k) for n in names}
        low, mid, high = (known(value_at(Ratio(p, UNIT), at | {along: mp.mpf(v)})) for v in (-1, 0, 1))
        a, b = (low + high) / 2 - mid, (high - low) / 2
        if abs(a) > mp.ldexp(1, -50):
            roots = [(-b + s * mp.sqrt(b * b - 4 * a * mid)) / (2 * a) for s in (1, -1)]
        elif abs(b) > mp.ldexp(1, -50):
            roots = [-mid / b]
        else:
            continue
        for root_ in roots:
            there = at | {along: root_}
            size = sum(abs(known(value_at(Ratio({m: c}, UNIT), there))) for m, c in q.items())
            total = sum(known(value_at(Ratio({m: c}, UNIT), there)) for m, c in q.items())
            if abs(total) > size * mp.ldexp(1, -60):
                return True
    return False


def _degree_in(p: Poly, name: str) -> int:
    return int(max((r for m in p for a, r in m if a == ("v", name)), default=Fraction(0)))
