"""Functions by name: exact where that is cheap, kept as they stand elsewhere."""

from collections.abc import Callable
from fractions import Fraction
from math import comb, factorial, gcd, lcm, prod

from cooper_jax.host.verifier.mathematics.algebra.numeric import mp, real
from cooper_jax.host.verifier.mathematics.algebra.powers import factors, power, root
from cooper_jax.host.verifier.mathematics.algebra.ratio import (
    Frozen,
    Ratio,
    add,
    args_key,
    atom,
    atoms,
    div,
    mul,
    neg,
    number,
)
from cooper_jax.host.verifier.mathematics.algebra.sums import LOG, PI, UNIT, E, Mono, TooBig, Unreadable

MAX_CHOSEN = 6
"""k of a binomial coefficient of n and k that is a polynomial in n."""


def function(name: str, *args: Ratio) -> Ratio:
    """A named function; exact where that is cheap, an atom elsewhere. Raises Unreadable for impossible arguments."""
    made = _EXACT[name](*args) if name in _EXACT else None
    return made if made is not None else atom(("f", name, *args_key(args)))


def _constant(*args: Ratio) -> list[Fraction] | None:
    found = [a.rational for a in args]
    return None if None in found else found  # pyright: ignore


def _whole(*args: Ratio) -> list[int] | None:
    found = _constant(*args)
    if found is None or any(f.denominator != 1 for f in found):
        return None
    return [int(f) for f in found]


def _ln(x: Ratio) -> Ratio | None:
    if not x.num:
        raise Unreadable("logarithm of zero")
    if len(x.num) == 1 and x.den == UNIT and x.num.get(frozenset([(E, _e_power(x))])) == 1:
        return number(_e_power(x))
    value = x.rational
    if value is None or value < 0:
        return None
    total = number(0)
    for n, sign in ((value.numerator, 1), (value.denominator, -1)):
        for p, k in factors(n):
            total = add(total, mul(number(sign * k), atom(("f", "ln", Frozen(number(p))))))
    return total


def _e_power(x: Ratio) -> Fraction:
    return next((r for m in x.num for a, r in m if a == E), Fraction(0))


def _even(name: str) -> Callable[[Ratio], Ratio | None]:
    """cos, |x|: f(-x) = f(x)."""

    def even(x: Ratio) -> Ratio | None:
        if not x.num:
            return number(1 if name == "cos" else 0)
        if name == "cos" and (turns := _quarters(x)) is not None:
            return number((1, 0, -1, 0)[turns])
        if name == "abs":
            value = real(x)
            if value is not None:
                return x if value >= 0 else neg(x)
        return atom(("f", name, Frozen(_signed(x)[0])))

    return even


def _odd(name: str) -> Callable[[Ratio], Ratio | None]:
    """sin, arctan ...: f(-x) = -f(x)."""

    def odd(x: Ratio) -> Ratio | None:
        if not x.num:
            return number(0)
        if name == "sin" and (turns := _quarters(x)) is not None:
            return number((0, 1, 0, -1)[turns])
        plus, flipped = _signed(x)
        out = atom(("f", name, Frozen(plus)))
        return neg(out) if flipped else out

    return odd


def _quarters(x: Ratio) -> int | None:
    """How many quarters of a turn `x` is, whole turns left out; None where they are not whole."""
    if x.den != UNIT or x.num.keys() != {frozenset([(PI, Fraction(1))])}:
        return None
    (turns,) = (2 * c for c in x.num.values())
    return int(turns) % 4 if turns.denominator == 1 else None


def _signed(x: Ratio) -> tuple[Ratio, bool]:
    """x or -x, always the same of the two."""
    first = min(x.num, key=_order)
    return (neg(x), True) if x.num[first] < 0 else (x, False)


def _order(m: Mono) -> list[str]:
    return sorted(f"{a}" if a[0] in ("p", "v", "pi", "e", "i", "c") else a[0] + str(r) for a, r in m)


def _quotient(top: str, bottom: str) -> Callable[[Ratio], Ratio]:
    def quotient(x: Ratio) -> Ratio:
        return div(function(top, x) if top else number(1), function(bottom, x))

    return quotient


def _factorial(n: Ratio) -> Ratio | None:
    k = _whole(n)
    if k is None:
        return None
    if not 0 <= k[0] <= 1000:
        raise TooBig("factorial")
    return number(factorial(k[0]))


def _double_factorial(n: Ratio) -> Ratio | None:
    k = _whole(n)
    if k is None:
        return None
    if not 0 <= k[0] <= 1000:
        raise TooBig("factorial")
    return number(prod(range(k[0], 0, -2)))


def _binomial(n: Ratio, k: Ratio) -> Ratio:
    found = _whole(n, k)
    if found is None:
        few = _whole(k)
        if few is None or not 0 <= few[0] <= MAX_CHOSEN:
            rest = function("factorial", add(n, neg(k)))
            return div(function("factorial", n), mul(function("factorial", k), rest))
        out = number(Fraction(1, factorial(few[0])))
        for i in range(few[0]):
            out = mul(out, add(n, number(-i)))
        return out
    if not 0 <= found[0] <= 2000 or not 0 <= found[1] <= 2000:
        raise TooBig("binomial coefficient")
    return number(comb(*found))


def _mod(a: Ratio, b: Ratio) -> Ratio | None:
    found = _whole(a, b)
    if found is None or found[1] == 0:
        return None
    return number(found[0] % found[1])


def _rounded(up: int) -> Callable[[Ratio], Ratio | None]:
    """Floor, and ceiling with `up`: of rationals, and of reals that are clearly no integers."""

    def rounded(x: Ratio) -> Ratio | None:
        if (c := x.rational) is not None:
            return number(-(-c.numerator // c.denominator) if up else c.numerator // c.denominator)
        value = real(x)
        if value is None or abs(value) > 1e15 or abs(value - mp.nint(value)) < 1e-15:
            return None
        return number(int(mp.floor(value)) + up)

    return rounded


def _hyperbolic(sign: int) -> Callable[[Ratio], Ratio | None]:
    """(e^x + e^-x)/2 or (e^x - e^-x)/2, where x is no function itself."""

    def hyperbolic(x: Ratio) -> Ratio | None:
        if any(a[0] in ("f", "s", "x") for a in atoms(x)):
            return None
        return mul(number(Fraction(1, 2)), add(_exp(x), mul(number(sign), _exp(neg(x)))))

    return hyperbolic


def _exp(x: Ratio) -> Ratio:
    return power(atom(E), x)


def _many(how: Callable[..., int | Fraction], whole: bool) -> Callable[..., Ratio | None]:
    def many(*args: Ratio) -> Ratio | None:
        found = _whole(*args) if whole else _constant(*args)
        return number(how(*found)) if found else None

    return many


_EXACT: dict[str, Callable[..., Ratio | None]] = {
    "ln": _ln,
    "log": lambda x: div(function("ln", x), atom(LOG)),
    "cos": _even("cos"),
    "abs": _even("abs"),
    **{name: _odd(name) for name in ("sin", "arcsin", "arctan", "arcsinh")},
    "sinh": _hyperbolic(-1),
    "cosh": _hyperbolic(1),
    "tanh": _quotient("sinh", "cosh"),
    "tan": _quotient("sin", "cos"),
    "sec": _quotient("", "cos"),
    "csc": _quotient("", "sin"),
    "cot": _quotient("cos", "sin"),
    "exp": _exp,
    "sqrt": lambda x: root(x, 2),
    "cbrt": lambda x: root(x, 3),
    "factorial": _factorial,
    "factorial2": _double_factorial,
    "binom": _binomial,
    "mod": _mod,
    "floor": _rounded(0),
    "ceil": _rounded(1),
    "gcd": _many(gcd, True),
    "lcm": _many(lcm, True),
    "max": _many(lambda *x: max(x), False),
    "min": _many(lambda *x: min(x), False),
}
