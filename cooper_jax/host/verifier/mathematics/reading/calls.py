"""Whether brackets behind a name hold an argument or a factor."""

from collections.abc import Sequence

from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.reading.tokens import Token

_CALLED = ("f", "g", "h", "F", "G", "H", "P", "Gamma", "zeta")
_CONSTANTS = ("e", "i", "pi")


def called(name: str, tokens: Sequence[Token], at: int) -> bool:
    """Whether the brackets at `at` hold what `name` is applied to. Raises Unreadable for N (0), which may be either."""
    single = name not in _CONSTANTS and lone(tokens, at)
    if single and tokens[at].gap and tokens[at + 1].kind == "num":
        raise Unreadable("a value or a product")
    return not tokens[at].gap and (name in _CALLED or single)


def lone(tokens: Sequence[Token], at: int) -> bool:
    """Whether the brackets at `at` hold one number or one name, as in N(0) and y(t): no product is so written.

    With more in them, as in a(b + c), it is one.
    """
    inside = tokens[at + 1 : at + 16]
    end = next((i for i, t in enumerate(inside) if t.text in ("(", ")")), 0)
    if not end or inside[end].text == "(":
        return False
    inside = inside[1:end] if inside[0].text in ("+", "-") else inside[:end]
    if len(inside) == 1:
        return inside[0].kind in ("num", "var")
    plain = all(t.kind in ("num", "frac", "open", "close") or t.text in ("*", "/", "pi") for t in inside)
    return bool(inside) and plain
