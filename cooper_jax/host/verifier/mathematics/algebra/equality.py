"""Whether two exact values are equal: by their cross products, else told apart by numbers.

Two ratios with equal cross products are equal. Where only variables, pi and roots of primes occur the converse holds
too: such monomials are linearly independent over the rationals (Besicovitch 1940; pi is transcendental). Elsewhere
`values` separates.
"""

from fractions import Fraction

from cooper_jax.host.verifier.mathematics.algebra.numeric import PRECISION, close, mp, value_at, values
from cooper_jax.host.verifier.mathematics.algebra.ratio import Frozen, Ratio, atoms, functions_in, symbols
from cooper_jax.host.verifier.mathematics.algebra.sums import ENDLESS, I_PI, E, Mono, Poly, negative, plus, times


def equal(a: Ratio, b: Ratio) -> bool | None:
    """True: proved equal. False: proved or clearly different. None: neither."""
    difference = _cleared(plus(times(a.num, b.den), negative(times(b.num, a.den))))
    if not difference:
        return True
    if all(_independent(m) for m in difference):
        return False
    return False if clearly_different(a, b) else None


def clearly_different(a: Ratio, b: Ratio) -> bool:
    """Whether the values differ, far beyond rounding, at every probe at which all variables are positive."""
    if ENDLESS in symbols(a) | symbols(b):
        return False  # 1 + x + ... and 1 + x + x^2 + ... may go on alike
    if symbols(a) | symbols(b) and "log" in functions_in(a) ^ functions_in(b):
        return False
    bases = (10, mp.e, 2) if "log" in functions_in(a) | functions_in(b) else (10,)
    apart = [x is not None and y is not None and not close(x, y) for base in bases for x, y in values(a, b, (1,), base)]
    return bool(apart) and all(apart)


def probes_agree(a: Ratio, b: Ratio) -> bool:
    """Whether the values agree at every probe, of either sign, and some probe has values."""
    pairs = [(x, y) for x, y in values(a, b, signs=(1, -1)) if not (x is None and y is None)]
    return len(pairs) > 1 and all(x is not None and y is not None and close(x, y) for x, y in pairs)


def near(a: Ratio, b: Ratio) -> bool:
    """Whether the values differ by a rounding of three digits at most, at every probe."""
    pairs = list(values(a, b, signs=(1,)))
    return all(x is not None and y is not None and abs(x - y) <= abs(x) / 200 for x, y in pairs)


def coincide(a: Ratio, b: Ratio) -> bool:
    """Whether two constants written with few digits agree to many more than that: roots, logarithms and angles, whose
    values near-misses of so small numbers do not come so close to."""
    kinds = {"i" if x[:3] == ("x", E, I_PI) else x[1] if x[0] == "f" else x[0] for r in (a, b) for x in atoms(r)}
    if not kinds <= _TAME or _bits(a) + _bits(b) > PRECISION // 2:
        return False
    x, y = value_at(a, {}), value_at(b, {})
    return x is not None and y is not None and close(x, y)


_TAME = {"p", "c", "pi", "e", "i", "s", "ln", "sin", "cos", "arcsin", "arccos", "arctan"}


def _bits(a: Ratio) -> int:
    """Bits of all numbers that occur in it."""
    fractions = [c for poly in a for c in poly.values()] + [r for poly in a for m in poly for _, r in m]
    total = sum(q.numerator.bit_length() + q.denominator.bit_length() for q in fractions)
    for x in (x for poly in a for m in poly for x, _ in m):
        total += x[1].bit_length() if x[0] in ("p", "c") else 1
        total += sum(_bits(part.ratio) for part in x if isinstance(part, Frozen))
    return total


def _cleared(poly: Poly) -> Poly:
    """Multiplied by roots of sums until none has a negative exponent; zero if and only if `poly` is."""
    for _ in range(8):
        below = next(((a, r) for m in poly for a, r in m if a[0] == "s" and r < 0), None)
        if below is None:
            break
        up = Fraction(-(below[1].numerator // below[1].denominator))
        poly = times(poly, {frozenset([(below[0], up)]): Fraction(1)})
    return poly


def _independent(m: Mono) -> bool:
    """Whether monomials of this kind, if different, are linearly independent over the rationals."""
    return all(a[0] in ("p", "v", "pi", "i") and a != ("v", ENDLESS) for a, _ in m)
