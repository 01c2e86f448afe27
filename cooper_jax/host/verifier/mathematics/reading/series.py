"""Sums and products over an index: kept as they stand, equal only to the same ones."""

from collections.abc import Callable

from cooper_jax.host.verifier.mathematics.algebra.ratio import (
    Ratio,
    args_key,
    atom,
    neg,
    number,
    renamed,
    symbols,
    variable,
)
from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.reading.cursor import Cursor

_INDEX = "#"
"""Indices are bound: whatever they are called, they are #0, #1 ... from within."""
_OWN = "index"


def series(at: Cursor, name: str, whole: Callable[[], Ratio], script: Callable[[], Ratio],
           product: Callable[[], Ratio]) -> Ratio:  # fmt: skip
    """The rest of `\\sum_{n=0}^{\\infty} ...`: `whole` reads a bound, `script` one behind ^, `product` terms."""
    index, low, high = "", number(0), number(0)
    for _ in range(2):
        token = at.next()
        if token.text == "_":
            at.expect("open", "{")
            if (letter := at.next()).kind != "var":
                raise Unreadable(f"{name} without an index")
            index = letter.text
            at.expect("rel", "=")
            low = _endless(at) or whole()
            at.expect("close", "}")
        elif token.text == "^":
            braces = (after := at.peek()) is not None and after.text == "{" and at.ahead().kind in ("infty", "op")
            if braces:
                at.next()
            high = _endless(at) or (whole() if braces else script())
            if braces:
                at.expect("close", "}")
        else:
            raise Unreadable(f"{name} without bounds")
    if not index or index in symbols(low) | symbols(high):
        raise Unreadable(f"{name} without an index")
    # Within the terms i and e are indices like any others; behind them they are not.
    start = at.at
    own = f"{_OWN} {index}"
    _rename(at, index, own)
    terms = product()
    named = any(t.kind == "var" and index in t.text.partition("_")[2] for t in at.tokens[start : at.at])
    _rename(at, own, index)
    bound = f"{_INDEX}{sum(s.startswith(_INDEX) for s in symbols(terms))}"
    # a_k tells its index by name: a sum of them equals only those with the same name.
    said = f"{name} {index}" if named else name
    return atom(("f", said, *args_key([low, high, renamed(terms, own, bound)])))


def _rename(at: Cursor, old: str, new: str) -> None:
    """Call a variable by another name in all tokens that come."""
    rest = at.tokens[at.at :]
    if old in ("i", "e") and any(t.kind == "word" and old in t.text for t in rest):
        raise Unreadable("an index or a constant")
    at.tokens = [*at.tokens[: at.at], *(t._replace(text=new) if t[:2] == ("var", old) else t for t in rest)]


def _endless(at: Cursor) -> Ratio | None:
    """Plus or minus infinity as a bound; None, and nothing taken, for another."""
    token = at.peek()
    signed = token is not None and token.text in ("+", "-")
    if token is None or (at.ahead() if signed else token).kind != "infty":
        return None
    at.at += 1 + signed
    return neg(variable("∞")) if token.text == "-" else variable("∞")
