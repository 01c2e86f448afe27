"""Digits in a base, and ratios with a colon."""

import re
from fractions import Fraction

from cooper_jax.host.verifier.mathematics.algebra.ratio import div, mul
from cooper_jax.host.verifier.mathematics.answers.kinds import Based, Colon, Value
from cooper_jax.host.verifier.mathematics.comparison.three import Decide


def notation_and(x: Based | Colon, y: Value, decide: Decide) -> bool | None:
    """5:8 is 5/8; 204_5 and 204 or 54, 2:1 and 2 are open."""
    if isinstance(x, Based):
        digits = Fraction(x.digits) if re.fullmatch(r"-?\d+(\.\d+)?", x.digits) else None
        return None if y.ratio.rational in (digits, x.value) else False
    if len(x.parts) == 2 and isinstance(x.parts[0], Value) and isinstance(x.parts[1], Value):
        same = decide(div(x.parts[0].ratio, x.parts[1].ratio), y.ratio)
        fraction = (y.ratio.rational or Fraction(0)).denominator > 1 and not (y.unit or y.percent)
        return same if same is False or (same and fraction) else None
    return None


def unlike(g: Colon, a: Colon, decide: Decide) -> bool | None:
    """Ratios of as many terms, some of them different: 1:2 and 2:4 may be one ratio."""
    units = [v.unit for v in (*g.parts, *a.parts) if isinstance(v, Value) and v.unit]
    if len(g.parts) != 2 or units:
        return False if {d for u in units for d, _ in u.dimensions} == {"am", "pm"} else None
    (p, q), (r, s) = g.parts, a.parts
    if not all(isinstance(v, Value) for v in (p, q, r, s)):
        return None
    if not (q.ratio.num and s.ratio.num):  # pyright: ignore
        return False  # on the hour, not a ratio
    cross = mul(p.ratio, s.ratio), mul(q.ratio, r.ratio)  # pyright: ignore
    return False if decide(*cross) is False else None


def same_based(g: Based, a: Based) -> bool | None:
    """Whether two numerals are one: in the same base by their digits, else different or open."""
    if g.base == a.base:
        return g.digits == a.digits
    return False if g.value != a.value else None
