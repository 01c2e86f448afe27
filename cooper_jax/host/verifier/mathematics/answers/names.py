"""What stands on the left of `=` or before a colon: variables, functions, labels."""

import re
from collections.abc import Sequence

from cooper_jax.host.verifier.mathematics.algebra.numeric import mp, real
from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.answers.parts import bracket_depths, matching, split
from cooper_jax.host.verifier.mathematics.reading.expression import Reader
from cooper_jax.host.verifier.mathematics.reading.tokens import Token
from cooper_jax.host.verifier.mathematics.reading.vocabulary import ODD, RESERVATION

_OPERATORS = {"E", "Var", "Cov", "SD", "Pr", "P", "V"}

_LABEL = re.compile(r"[A-Za-z][A-Za-z ]{2,30}:")


def name_of(toks: Sequence[Token]) -> tuple[str, bool] | None:
    """The name on the left of `=`, and whether it is a variable; None for an expression."""
    toks = list(toks)
    while len(toks) > 2 and toks[0].text == "{" and matching(toks, 0) == len(toks) - 1:
        toks = toks[1:-1]
    if not toks or len(toks) > 12:
        return None
    if len(toks) == 1 and toks[0].kind == "var":
        return (toks[0].text, True) if toks[0].text not in ("e", "i", "pi") else None
    text = "".join(t.text for t in toks)
    if any(t.kind == "text" and (RESERVATION.search(t.text.lower()) or ODD.search(t.text)) for t in toks):
        return None
    if re.fullmatch(r"[A-Za-z]\^\{?-1\}?\([a-z]\)|frac\{?d\w*\}?\{?d\w\}?", text):
        return text, False
    kinds = {t.kind for t in toks}
    if kinds == {"var", "set"} and all(t.text.isupper() or t.kind == "set" for t in toks):
        return text, False
    if kinds <= {"text", "word", "var"} and (kinds & {"text"} or text.isupper() or len(text) > 4):
        return said(text), False
    if len(toks) == 1 and text in ("max", "min"):
        return text, False
    if len(toks) > 3 and toks[0].kind in ("var", "word") and toks[1].text == "(" and not toks[1].gap:
        simple = all(t.kind in ("var", "word", "num", "sep", "text") for t in toks[2:-1])
        if matching(toks, 1) == len(toks) - 1 and toks[-1].text == ")" and (simple or _applied(toks)):
            return f"{toks[0].text}({_argument(toks[2:-1])})", False
    if _operator(toks) or (toks[0].kind == "fn" and toks[0].text == "det"):
        return text, False
    if len(toks) == 3 and toks[0].text + toks[2].text == "[]" and toks[1].kind == "word" and toks[1].text.isupper():
        return text, False  # [ABC] is an area
    inside = [t.text for t in toks[1:-1]]
    if toks[0].kind == "bar" == toks[-1].kind and inside and all(x.isupper() or x.startswith("vec(") for x in inside):
        return text, False
    ratio = split(toks, "rel", ":")
    if len(ratio) > 1 and all(name_of(part) for part in ratio):
        return text, False
    return None


def said(words: str) -> str:
    """A name in words: `Maximum value:` is `max`."""
    words = words.rstrip(": ")
    words = words if words.isupper() or len(words) < 3 else words.lower()
    return {"maximum": "max", "minimum": "min"}.get(words.removesuffix(" value"), words)


def _argument(toks: Sequence[Token]) -> str:
    """What a function is applied to: a number by its value, anything else as it is written."""
    if all(t.kind in ("num", "frac", "op", "open", "close", "sqrt") or t.text == "pi" for t in toks):
        try:
            value = Reader(toks).whole()
        except Unreadable:
            value = None
        if value is not None and (value.rational is not None or real(value) is not None):
            return str(value.rational) if value.rational is not None else mp.nstr(real(value), 40)
    return "".join(t.text for t in toks)


def names_in(toks: Sequence[Token]) -> tuple[str, ...] | None:
    """The names in `(x, y)`, or None."""
    if not toks or toks[0].text + toks[-1].text != "()" or matching(toks, 0) != len(toks) - 1:
        return None
    names = [name_of(part) for part in split(toks[1:-1], "sep", ",", ";")]
    return tuple(n[0] for n in names if n) if len(names) > 1 and all(names) else None


def _operator(toks: Sequence[Token]) -> bool:
    """E[X], Var(X): an operator and what it is applied to."""
    if len(toks) < 4 or toks[0].kind not in ("var", "text", "domain") or toks[1].text not in ("[", "("):
        return False
    bare = toks[0].text.removeprefix("mathbb(").removesuffix(")")
    return bare in _OPERATORS and matching(toks, 1) == len(toks) - 1 and toks[1].text + toks[-1].text in ("()", "[]")


def _applied(toks: Sequence[Token]) -> bool:
    """Whether `f(...)` or `P(...)` is no product: f(-1), P(X > 1), P(A | B)."""
    told = any(t.kind in ("rel", "set", "mid", "bar") or t.text == "," for t in toks[2:-1])
    return toks[0].text in ("f", "g", "h", "F", "G", "H") or (told and toks[0].text.isupper())


def labelled(toks: Sequence[Token]) -> int:
    """How many tokens are the name of the one thing behind them, as in `Domain: (0, 1)`; 0 for none."""
    if len(toks) < 3 - (toks[0].kind == "text"):
        return 0
    colon = toks[1].text == ":" and toks[0].kind in ("text", "word", "fn") and len(toks[0].text) > 2
    if not colon and (toks[0].kind != "text" or not _LABEL.fullmatch(toks[0].text)):
        return 0
    several = any(t.kind == "sep" and d == 0 for t, d in zip(toks, bracket_depths(toks), strict=True))
    return 0 if several or RESERVATION.search(toks[0].text.lower()) else 1 + colon
