"""Numbers and expressions with their currency, per cent sign or unit."""

import itertools
import re
from collections.abc import Sequence
from fractions import Fraction
from math import prod

from cooper_jax.host.verifier.mathematics.algebra.ratio import div, mul, number
from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.answers.kinds import Answer, Group, Named, Value, Words
from cooper_jax.host.verifier.mathematics.reading.expression import Reader
from cooper_jax.host.verifier.mathematics.reading.tokens import Token
from cooper_jax.host.verifier.mathematics.reading.units import PLAIN, Unit, unit
from cooper_jax.host.verifier.mathematics.reading.vocabulary import ODD, RESERVATION

_ARTICLES = ("a", "an", "of", "the")
"""Between a number and what it counts."""
_DATE = {"text", "word", "num"}
_NAMES = {"var", "word", "sqrt", "fn"}

_COUNTS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}


def quantity(toks: Sequence[Token]) -> Answer:
    """An expression with its currency, per cent sign or unit."""
    names: list[str] = []
    percent = glued = False
    toks = list(toks)
    sign = [t for t in toks[:1] if t.text in ("-", "+") and t.kind == "op"]
    if len(toks) > len(sign) + 1 and toks[len(sign)].kind == "money":
        names.append(toks[len(sign)].text)
        toks = [*sign, *toks[len(sign) + 1 :]]
    toks = _unbracketed(toks)
    head, tail = _parted(toks)
    if tail and head:
        if tail[0].kind == "percent":
            percent, tail = True, tail[1:]
        glued = bool(tail) and tail[0].kind == "word" and not tail[0].gap
        names += [_unit_text(tail)] if tail else []
    elif tail:
        raise Unreadable("a unit without a number")
    if (
        len(toks) <= 4
        and toks[0].kind in ("text", "word")
        and len(toks[0].text) > 2
        and {t.kind for t in toks} <= _DATE
    ):
        return Words(" ".join(t.text for t in toks))
    if any(t.kind in ("text", "money", "prime") for t in head):
        raise Unreadable("words within an expression")
    if len(names) == 2 and names[0] == "$" and names[1] in ("dollars", "dollar", "USD"):
        names.pop()
    words = [w for name in names for w in name.split()]
    times = prod(_COUNTS.get(w.removesuffix("s"), 1) for w in words)
    words = [w for w in words if w.removesuffix("s") not in _COUNTS]
    found = unit(" ".join(words)) if words else None
    qualified = found is not None and found.name and RESERVATION.search(found.name)
    if found is not None and found.name and (ODD.search(" ".join(names)) or (qualified and len(names) > 1)):
        raise Unreadable("a number with a reservation")
    if any(t.kind == "pm" for t in head):
        if sum(t.kind == "pm" and t.text == "+" for t in head) > 1:
            raise Unreadable("several plus-minus signs")
        if qualified:
            raise Unreadable("a number with a reservation")
        both = tuple(Value(Reader(head, sign=s).whole(), unit=found, percent=percent) for s in "+-")
        return Group(",", both)
    reader = Reader(head)
    ratio = reader.whole()
    if not ratio.num and any(a.value == 0 and b.kind in _NAMES for a, b in itertools.pairwise(head)):
        raise Unreadable("nothing of something")  # 0c may be a temperature, or a slip
    other = Reader(head, loose=True).whole() if reader.slash else None
    if times != 1:  # 2.5 million
        ratio = mul(ratio, number(times))
    if percent:
        ratio = div(ratio, number(100))
    value = Value(ratio, *_digits(head), None if qualified else found, glued, percent, other, _inexact(head), times)
    # `3 odd` is 3 to nobody but another `3 odd`.
    return Named(f"{found.name}:", value, False, True) if qualified and found else value


def _parted(toks: list[Token]) -> tuple[list[Token], list[Token]]:
    """An expression and the unit behind it."""
    end = len(toks)
    while end > 0 and _in_unit(toks, end - 1):
        end -= 1
    head, tail = toks[:end], toks[end:]
    # cos 60°, 10% + 20%: the sign behind belongs to what stands next to it alone; a unit to all, as in 2 cos t cm.
    called = any(t.kind in ("fn", "percent") for t in head) and not _measures(tail)
    while (
        tail
        and tail[0].text not in _ARTICLES
        and (called or tail[0].kind not in ("text", "word", "percent", "degree", "money", "prime"))
    ):
        head, tail = [*head, tail[0]], tail[1:]
    return head, tail


def _inexact(toks: list[Token]) -> bool:
    return any("." in t.text for t in toks)


_NOTED = re.compile(r"(-?(?:\d[\d.,/:]*)?\d)\s+\(([A-Za-z][A-Za-z .,'/-]{0,60})\)")
_RETAKEN = re.compile(
    r"\b(?:or|and|not|approx\w*|about|around|nearly|least|most|mod|base|wrong|incorrect|odd|even|prime|real|dozens?|hundreds?|"
    r"thousands?|millions?|sin|cos|tan|log|exp|sqrt|if|when|where|per ?cent|remain\w*)\b",
    re.IGNORECASE,
)


def noted(text: str) -> tuple[str, Unit] | None:
    """The number and the unit of `9 (apples)`, whatever words stand in the brackets, but for those that change it."""
    found = _NOTED.fullmatch(text)
    if found and (counted := _COUNTS.get(found[2].lower().split()[0].removesuffix("s"))):
        return found[1], Unit(frozenset([("count", 1)]), Fraction(counted), "")
    if found is None or _RETAKEN.search(found[2]) or re.match(r"[ap]\.?m\b", found[2], re.IGNORECASE):
        return None
    words = unit(found[2])
    return (found[1], words) if words.dimensions or re.search(r"[A-Za-z]{3}", found[2]) else None


def _unbracketed(toks: list[Token]) -> list[Token]:
    """`9 (apples)` and `3 (m/s)` without the brackets around the unit."""
    start = next((i for i, t in enumerate(toks) if t.text == "(" and t.gap), 0)
    inside = toks[start + 1 : -1]
    if not start or toks[-1].text != ")" or not inside or not _numeric(toks[:start]):
        return toks
    worded = [t for t in inside if t.kind in ("word", "text", "money", "degree", "percent")]
    simple = all(t in worded or t.text in ("/", "^", "{", "}") or t.kind in ("num", "var") for t in inside)
    if not worded or not simple or any(t.kind == "num" and b.text not in ("^", "{") for b, t in _after(inside)):
        return toks
    if len(inside) == 1 and inside[0].kind in ("percent", "degree", "money"):
        return [*toks[:start], *inside]
    unit_ = " ".join(t.text or t.kind for t in inside)
    return [*toks[:start], Token("text", unit_, 1)]


def _after(toks: list[Token]) -> list[tuple[Token, Token]]:
    """Each token with the one before it."""
    return list(itertools.pairwise([Token("", ""), *toks]))


def _in_unit(toks: list[Token], i: int) -> bool:
    t = toks[i]
    if t.text in _ARTICLES and t.gap and 0 < i < len(toks) - 1 and toks[i - 1].kind in ("num", "word"):
        behind = toks[i + 1]  # an hour, of the apples
        return behind.gap > 0 and (behind.kind == "word" or behind.text == "a") and _in_unit(toks, i + 1)
    if t.kind in ("text", "percent", "degree", "money"):
        return True
    if t.kind == "word":
        return t.text in PLAIN or t.text.lower() in PLAIN or t.text.lower().removesuffix("s") in PLAIN or (
            len(t.text) > 2 and t.gap > 0 and i > 0 and _numeric(toks[:i]))  # fmt: skip
    if t.kind == "num":
        return i > 1 and toks[i - 1].text == "^" and toks[i - 2].kind in ("text", "word") and _in_unit(toks, i - 2)
    if t.text == "-" and t.kind == "op" and 0 < i < len(toks) - 1 and toks[i - 1].kind == toks[i + 1].kind == "text":
        return True  # N-m
    if t.text in ("^", "/", "*") and t.kind == "op":
        return 0 < i < len(toks) - 1 and _in_unit(toks, i - 1)
    if t.kind in ("open", "close") and t.text in "{}":
        return any(x.text == "^" for x in toks[max(0, i - 3) : i]) and any(_in_unit(toks, j) for j in
            range(max(0, i - 5), i) if toks[j].kind in ("text", "word"))  # fmt: skip
    return False


def _numeric(toks: list[Token]) -> bool:
    """Whether these are a number and words behind it."""
    rest = [t for t in toks if t.kind != "word" and not (t.text == "a" and t.gap)]
    return bool(rest) and all(t.kind in ("num", "frac", "open", "close", "sqrt", "op", "money") for t in rest)


def _measures(tail: list[Token]) -> bool:
    """Whether these are an upright unit, of other things than angles."""
    if not tail or tail[0].kind != "text" or not tail[0].gap:
        return False
    found = unit(_unit_text(tail))
    return bool(found.dimensions) and not {"angle", "radian"} & dict(found.dimensions).keys()


def _unit_text(toks: Sequence[Token]) -> str:
    return " ".join("degree" if t.kind == "degree" else "*" if t.text == "-" else t.text for t in toks)


def _digits(toks: Sequence[Token]) -> tuple[int, Fraction]:
    """Significant digits of a decimal literal and what the last is worth; zeros for anything else."""
    text = "".join(t.text for t in toks if t.kind != "pm")
    found = re.fullmatch(r"[-+]?(\d*\.\d*)(?:(?:[eE]|\*10\^)\{?([-+]?\d{1,4})\}?)?", text)
    if not found:
        return 0, Fraction(0)
    mantissa, exponent = found[1], found[2]
    whole, _, decimals = mantissa.partition(".")
    return len((whole + decimals).lstrip("0")), Fraction(10) ** (int(exponent or 0) - len(decimals))
