"""Tier 2: what tier 1 left open, by sympy and Math-Verify, behind a screen. No bound on time: the pool has the clock.

Text never reaches sympy's own parsers, which evaluate Python. What tier 1 could read is handed over as the exact value
it read; what only Math-Verify's LaTeX grammar reads (integrals, limits, sums and products) must first pass the screen,
and be read whole: it passes over some signs in silence, so every number and letter is changed in turn, and has to
change what is read. Equality counts if type, variables and number of elements agree, and the values at random points
do. Nothing here proves a difference.
"""

import logging
import re
import zlib
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

from cooper_jax.host.verifier.mathematics import exact
from cooper_jax.host.verifier.mathematics.algebra.equality import coincide, equal, probes_agree
from cooper_jax.host.verifier.mathematics.algebra.functions import function
from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio, functions_in, symbols, variable
from cooper_jax.host.verifier.mathematics.algebra.sums import Atom, Poly, Unreadable
from cooper_jax.host.verifier.mathematics.exact import Text
from cooper_jax.host.verifier.mathematics.reading.dress import undressed

# ruff: noqa: SIM905 (a list of words)
MAX_LENGTH = 300
MAX_DEPTH = 10
MAX_DIGITS = 12
"""Of one number."""
MAX_EXPONENT = 64
MAX_TERMS = 30

_OPERATORS = (r"\sum", r"\prod", r"\int", r"\lim", r"\iint")
"""What tier 1 has no values for: all that Math-Verify is asked about."""
_COSTLY = (r"\sum", r"\prod", r"\int", r"\lim", r"\binom", r"\det", r"\iint", "!")
_ALLOWED = re.compile(r"(?:\\[A-Za-z]+(?![A-Za-z])|\\[{},;:! ]|[A-Za-z0-9\s.,:;()\[\]{}+\-*/^_=<>|!'&]|\\\\)*")
_COMMANDS = set(
    "frac dfrac tfrac sqrt sum prod int lim binom det to infty pi cdot times left right sin cos tan sec csc cot ln log "
    "arcsin arccos arctan sinh cosh tanh exp alpha beta gamma theta lambda mu sigma phi omega pm le leq ge geq in cup "
    "cap begin end".split()
)
"""Those that Math-Verify reads as they are meant; it passes over some others in silence."""


def warm() -> None:
    """Import what is slow to import, and parse once, so that no job pays for it."""
    _latex(r"\frac{1}{2}")
    _decide(function("sin", variable("x")), function("sin", variable("x")))


def compare(gold: Text, answer: Text) -> bool | None:
    """True where the two are equal; None where that cannot be shown."""
    if gold.readings and answer.readings:
        same = exact.compare(gold, answer, _decide)
        if same is not None or not any(sign in gold.text for sign in _OPERATORS):
            return same
    elif gold.readings:
        return None
    if not (_screened(answer.text, gold.text) and readable(gold)):
        return None
    return True if _same_latex(gold.text, answer.text) else None


def readable(reference: Text) -> bool:
    """Whether a reference that tier 1 cannot read is one for tier 2."""
    if not _screened(reference.text, reference.text):
        return False
    return _latex(undressed(reference.text)) is not None


# Values that tier 1 has read.


def _decide(a: Ratio, b: Ratio) -> bool | None:
    same = equal(a, b)
    if same is not None:
        return same
    if symbols(a) != symbols(b) or not probes_agree(a, b):
        return None
    there, here = functions_in(a), functions_in(b)
    if ("log" in there) != ("log" in here) or (here - there) & {"factorial", "factorial2"}:
        return None
    if coincide(a, b):
        return True
    try:
        return True if _zero(_sum(_over(a), {}) - _sum(_over(b), {})) else None
    except Unreadable:
        return None


def _over(a: Ratio) -> Ratio:
    if len(a.num) + len(a.den) > MAX_TERMS:
        raise Unreadable("too many terms")
    return a


def _zero(difference: Any) -> bool:
    import sympy

    for step in (sympy.sqrtdenest, sympy.simplify, lambda d: sympy.simplify(sympy.expand_func(d))):
        difference = step(difference)
        if difference == 0:
            return True
    return difference.is_number and difference.equals(0) is True


def _sum(a: Ratio, names: dict[str, Any]) -> Any:
    return _poly(a.num) / _poly(a.den)


def _poly(p: Poly) -> Any:
    import sympy

    total = sympy.Integer(0)
    for m, c in p.items():
        term = _number(c)
        for a, r in m:
            if a[0] == "x":
                term *= sympy.Pow(_atom(a[1]), _exponent(r) * _poly({a[2]: Fraction(1)}))
            else:
                term *= sympy.Pow(_atom(a), _exponent(r))
        total += term
    return total


def _number(c: Fraction) -> Any:
    import sympy

    if max(len(str(c.numerator)), len(str(c.denominator))) > 2 * MAX_DIGITS:
        raise Unreadable("a number of too many digits")
    return sympy.Rational(c.numerator, c.denominator)


def _exponent(r: Fraction) -> Any:
    if max(abs(r.numerator), r.denominator) > MAX_EXPONENT:
        raise Unreadable("too high a power")
    return _number(r)


def _atom(a: Atom) -> Any:
    import sympy

    kind = a[0]
    if kind == "v":
        return sympy.Symbol(a[1])
    if kind in ("p", "c"):
        return sympy.Integer(a[1])
    if kind in ("pi", "e", "i"):
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I}[kind]
    if kind == "s":
        return _sum(a[1].ratio, {})
    if kind == "log":
        return sympy.Symbol("\\log", positive=True)
    args = [_sum(f.ratio, {}) for f in a[2:]]
    if a[1] == "pow":
        if args[1].is_number and abs(args[1]) > MAX_EXPONENT:
            raise Unreadable("too high a power")
        return sympy.Pow(*args)
    if a[1] not in _FUNCTIONS:
        raise Unreadable(a[1])
    return getattr(sympy, _FUNCTIONS[a[1]])(*args)


_FUNCTIONS = {
    **{name: name for name in ("sin", "cos", "sinh", "cosh")},
    **{"ln": "log", "abs": "Abs", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh"},
    **{"arccosh": "acosh", "arctanh": "atanh", "factorial": "factorial", "factorial2": "factorial2"},
}


# Texts that only Math-Verify reads.


def _screened(text: str, gold: str) -> bool:
    if len(text) > MAX_LENGTH or not _ALLOWED.fullmatch(text) or not any(sign in gold for sign in _OPERATORS):
        return False
    if re.search(r"\\\\|&|=.*=|[\d.}]\s*_", text) or any(text.count(sign) != gold.count(sign) for sign in "!=<>"):
        return False
    if set(re.findall(r"\\([A-Za-z]+)", text)) - _COMMANDS or re.search(r"(?<![\\A-Za-z])[A-Za-z]{3}", text):
        return False
    if any(sign in text and sign not in gold for sign in _COSTLY) or re.search(r"\^\s*(\d{3,}|\{[^{}]*[\^!])", text):
        return False
    depth = deepest = 0
    for c in text:
        depth += (c in "{([") - (c in "})]")
        deepest = max(deepest, depth)
    powers = [int(n) for n in re.findall(r"\^\s*\{?\s*-?\s*(\d+)", text)]
    longest = max((len(n) for n in re.findall(r"\d+", text)), default=0)
    digits = 3 if any(sign in text for sign in _COSTLY) else MAX_DIGITS
    return deepest <= MAX_DEPTH and longest <= digits and max(powers, default=0) <= MAX_EXPONENT


@cache
def _math_verify() -> Any:
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    import math_verify

    return math_verify


def _latex(text: str) -> Any | None:
    """The sympy object of a screened LaTeX text, or None."""
    mv = _math_verify()
    found = mv.parse(
        f"${text}$", extraction_config=[mv.LatexExtractionConfig()], parsing_timeout=None, raise_on_error=False
    )
    if not found or isinstance(found[0], str) or getattr(found[0], "is_finite", None) is False:
        return None
    return found[0]


def _same_latex(gold: str, answer: str) -> bool:
    try:
        left, right = undressed(gold), undressed(answer)
    except Unreadable:
        return False
    # Math-Verify folds case and drops units: letters must be the same to begin with.
    if set(re.findall(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])", left)) != set(
        re.findall(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])", right)
    ):
        return False
    g, a = _latex(left), _latex(right)
    if g is None or a is None or type(g) is not type(a) or (len(g.args) != len(a.args) and _is_collection(g)):
        return False
    if getattr(g, "free_symbols", None) != getattr(a, "free_symbols", None):
        return False
    if not (_math_verify().verify(g, a, strict=True, timeout_seconds=None) and _agree(g, a)):
        return False
    return _whole(left) and _whole(right)


@lru_cache(maxsize=256)
def _whole(text: str) -> bool:
    """Whether every number and letter in a LaTeX text counts for what is read in it."""
    read = str(_latex(text))
    for piece in re.finditer(r"\d+|(?<![\\A-Za-z])[A-Za-z](?![A-Za-z])", text):
        other = str(int(piece[0]) + 1) if piece[0].isdigit() else "q"
        if str(_latex(text[: piece.start()] + other + text[piece.end() :])) == read:
            return False
    return True


def _is_collection(x: Any) -> bool:
    import sympy

    return isinstance(x, sympy.Set | sympy.Tuple | sympy.MatrixBase)


def _agree(g: Any, a: Any) -> bool:
    """Whether two expressions have the same values at three points; collections compare their parts."""
    import sympy

    if not isinstance(g, sympy.Expr) or not isinstance(a, sympy.Expr):
        if isinstance(g, sympy.MatrixBase):
            return g.shape == a.shape and all(_agree(x, y) for x, y in zip(g.flat(), a.flat(), strict=True))
        return type(g) is type(a) and g == a
    names = sorted(g.free_symbols, key=str)
    for k in range(3):
        at: Any = {n: sympy.Rational(zlib.crc32(f"{n}#{k}".encode()) % 6000 + 701, 2251) for n in names}
        x, y = (e.subs(at).doit().evalf(30) for e in (g, a))
        if not (x.is_number and y.is_number and x.is_finite and y.is_finite):
            return False
        if abs(x - y) > sympy.Rational(1, 10**20) * (1 + abs(x)):
            return False
    return True
