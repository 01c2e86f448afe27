"""How the text of an answer is read: separators, relations and brackets around expressions, units behind them."""

import itertools
import re
from collections.abc import Sequence
from fractions import Fraction
from math import prod

from cooper_jax.host.verifier.mathematics.algebra.equality import equal, probes_agree
from cooper_jax.host.verifier.mathematics.algebra.numeric import real
from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio, add, div, mul, neg, number, symbols, variable
from cooper_jax.host.verifier.mathematics.algebra.sums import TooBig, Unreadable, fresh
from cooper_jax.host.verifier.mathematics.reading.characters import plain
from cooper_jax.host.verifier.mathematics.reading.expression import Reader
from cooper_jax.host.verifier.mathematics.reading.kinds import (
    Answer,
    Based,
    Colon,
    Equation,
    Group,
    Inequality,
    Infinite,
    Named,
    Pair,
    Reading,
    Region,
    System,
    Table,
    Value,
    Words,
)
from cooper_jax.host.verifier.mathematics.reading.regions import (
    disjoint,
    excluded,
    intersection,
    named_value,
    region,
    solved,
    union,
)
from cooper_jax.host.verifier.mathematics.reading.spellings import recurring, respelled
from cooper_jax.host.verifier.mathematics.reading.tokens import Token, tokens
from cooper_jax.host.verifier.mathematics.reading.units import PLAIN, unit

MAX_DRESS = 32
"""Layers of dressing that are taken off an answer."""
MAX_ITEMS = 64


def read(text: str) -> tuple[Reading, ...]:
    """All ways to read `text`, the likeliest first. Raises Unreadable with the reason where there is none."""
    fresh()
    found: list[Reading] = []
    reason = Unreadable("empty")
    for variant, likely in _variants(undressed(text)):
        try:
            found.append(Reading(_read(variant), likely))
        except Unreadable as error:
            reason = error
        except RecursionError:
            reason = TooBig("nested too deeply")
    if not found:
        raise reason
    return tuple(found)


def undressed(text: str) -> str:
    """Without what surrounds an answer: boxes, dollar signs, bold type, final punctuation."""
    out = recurring(plain(text))
    for _ in range(MAX_DRESS):
        before = out
        out = re.sub(r"(?:\\[,;:!]|\\q?quad(?![A-Za-z])|~|\s)+$", "", out).strip(" \t\n\r\f,;:")
        if (said := re.fullmatch(r"\\text[a-z]*\s*\{([^{}\\$]*)\}", out)) and _SAID.search(said[1]):
            out = said[1]
        while out.endswith(".") and not out.endswith("\\."):
            out = out[:-1]
        if len(out) > 2 and out[0] == out[-1] and out[0] in "\"'`" and out.count(out[0]) == 2:
            out = out[1:-1]
        if out.startswith("**") and out.endswith("**") and len(out) > 4:
            out = out[2:-2]
        if (boxed := re.fullmatch(r"\\+f?boxed\s*\{(.*)\}", out, re.DOTALL)) and _balanced(boxed[1]):
            out = boxed[1]
        out = re.sub(r"(\\end\{(align|equation|gather)\*?\})\s*$", "", out)
        out = re.sub(r"^\\begin\{(align|equation|gather)\*?\}", "", out).strip()
        if out == before:
            break
    out = _BRACE.sub(r"\\begin{cases}\3\\end{cases}", out)
    out = re.sub(r"(?<!\\)\\[()\[\]](?!\d*(pt|em|ex|cm)\])", " ", out)
    if len(re.findall(r"(?<!\\)\$", out)) % 2 == 0:
        out = re.sub(r"(?<!\\)\$", " ", out)
    return respelled(re.sub(r"\\+boxed\s*(?=\{)", "", out).strip().rstrip("."))


_BRACE = re.compile(
    r"\\left\s*\\\{\s*\\begin\{(array|aligned)\}(\{[^{}]*\})?(.{1,1000}?)\\end\{\1\}\s*\\right\s*\.?", re.DOTALL
)
_SAID = re.compile(r"[\d,;=]|\b(?:and|or)\b")


def _balanced(text: str) -> bool:
    depth = 0
    for c in re.sub(r"\\[{}]", "", text):
        depth += (c == "{") - (c == "}")
        if depth < 0:
            return False
    return depth == 0


_THOUSANDS = re.compile(r"(?<![\d.,])(?!0)\d{1,3}(?:,\d{3})+(?![\d,])")


def _variants(text: str) -> list[tuple[str, bool]]:
    """The text with its thousands joined and decimal commas turned into points; where in doubt both ways."""
    text = re.sub(r"(?<=\d)\\[,!;: ](?=\d{3}(?!\d))", "", text)
    if "," not in text:
        spaced = re.fullmatch(r"-?\d{1,3}(?:[ ~]\d{3})+", text)
        return [(re.sub(r"[ ~]", "", text) if spaced else text, True)]
    text = re.sub(r"(?<=\d),\s*\\!\s*(?=\d{3})", "", text)
    text = re.sub(r"(?<=\d)\{,\}(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<=\d)\{,\}(?=\d)", ".", text)
    if re.fullmatch(r"-?\d{1,3}(\.\d{3})+,\d+", text):
        return [(text.replace(".", "").replace(",", "."), True)]
    if text.count(",") == 1 and re.search(r"(?<![\d.])0,\d", text) and not re.search(r"[(\[{]", text):
        point = re.sub(r"(?<=0),(?=\d)", ".", text)
        # 0,1 may be two numbers; 0,125 and 0,05 hardly.
        return [(point, True)] if re.search(r"0,(?:0\d|\d{3})", text) else [(text, True), (point, False)]
    if _THOUSANDS.search(text):
        joined = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
        inside = re.search(r"[(\[{][^)\]}]*\d,\d{3}", text.replace("\\frac{", "").replace("\\text{", ""))
        if inside and not re.search(r",\s", text):
            return [(text, True), (joined, False)] if re.search(r",0\d\d", text) else [(text, True)]
        if inside or re.search(r",0\d\d", text):
            return [(joined, True)]
        return [(joined, True), (text, True)]
    if re.fullmatch(r"\D*\d+,\d+\D*", text) and not re.search(r"[(\[{=<>]", text):
        return [(text, True), (re.sub(r"(?<=\d),(?=\d)", ".", text), False)]
    return [(text, True)]


_DAY = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[/-]\d{1,2}[/-]\d{4}")


def _read(text: str) -> Answer:
    if _DAY.fullmatch(text):
        return Words(text)
    based = re.fullmatch(r"\(?\s*(?:\\text\{)?([0-9A-Fa-f]{1,200})\}?\s*\)?_\{?\s*(?:\\text\{)?(\d{1,2})\}{0,2}", text)
    if based and based[1][0].isdigit() and 2 <= int(based[2]) <= 36:
        return Based(based[1].upper().lstrip("0") or "0", int(based[2]))
    return _statement(tokens(text), text)


def _statement(toks: Sequence[Token], text: str = "") -> Answer:
    toks = _stripped(toks)
    if words := _words(toks, text):
        return words
    if any(t.text in ("lor", "land") for t in toks):
        if not any(t.kind == "rel" for t in toks):
            raise Unreadable("a formula of logic")
        toks = [t._replace(text={"lor": "or", "land": "and"}[t.text]) if t.text in ("lor", "land") else t for t in toks]
    if _labelled(toks):
        return Named(toks[0].text.rstrip(": ").lower(), _statement(toks[1:]), False)
    if len(parts := _split(toks, "sep", "or")) > 1:
        return _alternatives([_statement(p) for p in parts])
    if len(parts := _conjunction(toks)) > 1:
        return _listed([_statement(p) for p in parts], together=True)
    if len(parts := _split(toks, "sep", ";")) > 1:
        return _listed([_statement(p) for p in parts])
    if len(parts := _split(toks, "sep", ",", "and")) > 1:
        return _listed([_statement(p) for p in parts])
    return _relation(toks)


def _labelled(toks: Sequence[Token]) -> bool:
    """Whether this is one thing with its name, as in `Domain: (0, 1)`."""
    if len(toks) < 2 or toks[0].kind != "text" or not _LABEL.fullmatch(toks[0].text):
        return False
    several = any(t.kind == "sep" and d == 0 for t, d in zip(toks, _depths(toks), strict=True))
    return not several and not _NO_UNIT.search(toks[0].text.lower())


def _stripped(toks: Sequence[Token]) -> Sequence[Token]:
    """Without separators at the ends and without braces around all of it."""
    while True:
        if toks and (toks[0].kind == "sep" or (toks[0].kind == "text" and toks[0].text.strip(" :.") in _LEADING)):
            toks = toks[1:]
        elif (toks and toks[-1].kind in ("sep", "row")) or (toks and toks[-1] == Token("bad", ".")):
            toks = toks[:-1]
        elif len(toks) > 2 and toks[0].text == "{" and _matching(toks, 0) == len(toks) - 1:
            toks = toks[1:-1]
        else:
            break
    if not toks:
        raise Unreadable("empty")
    if len(toks) > 1000:
        raise TooBig("too long")
    return toks


_LABEL = re.compile(r"[A-Za-z][A-Za-z ]{2,30}:")
_LEADING = {"The answer is", "the answer is", "Answer", "or", "and"}


def _words(toks: Sequence[Token], text: str) -> Words | None:
    kinds = {t.kind for t in toks}
    if not kinds & {"word", "text"} or not kinds <= {"word", "text", "var", "prime", "fn"} or ("fn" in kinds and len(
        toks) < 3):  # fmt: skip
        return None
    if len(toks) == 1:
        only = toks[0].text
        value = None
        if toks[0].kind == "word" and 2 <= len(only) <= 4 and only.isascii() and not re.fullmatch("[ivx]+", only):
            value = Reader(toks).whole()
        return Words(only, value)
    if kinds == {"word", "var"} and all(len(t.text) <= 3 and not t.gap for t in toks[1:]):
        return None  # letters with indices, side by side: a product
    return Words("".join((" " if t.gap or t.kind == "text" else "") + t.text for t in toks).strip())


def _depths(toks: Sequence[Token]) -> list[int]:
    """The depth of brackets at each token."""
    out, depth = [], 0
    for t in toks:
        if t.kind in ("close", "end"):
            depth -= 1
        out.append(depth)
        if t.kind in ("open", "begin"):
            depth += 1
    return out


def _split(toks: Sequence[Token], kind: str, *texts: str) -> list[Sequence[Token]]:
    """The parts between separators outside all brackets; empty parts are left out."""
    if not any(t.kind == kind and t.text in texts for t in toks):
        return [toks] if toks else []
    parts: list[Sequence[Token]] = []
    start = 0
    for i, (t, depth) in enumerate(zip(toks, _depths(toks), strict=True)):
        if depth == 0 and t.kind == kind and t.text in texts:
            parts.append(toks[start:i])
            start = i + 1
    parts.append(toks[start:])
    parts = [p for p in parts if p]
    if len(parts) > MAX_ITEMS:
        raise TooBig("too many elements")
    return parts


def _conjunction(toks: Sequence[Token]) -> list[Sequence[Token]]:
    """Parts between `and`s that are lists or inequalities: p = 5, q = 2 and p = 7, q = 2; 1 < x and x < 2."""
    parts = _split(toks, "sep", "and")
    if len(parts) < 2:
        return []
    inner = [len(_split(p, "sep", ",", ";")) for p in parts]
    if min(inner) > 1 and len(set(inner)) == 1 and all(_split(p, "rel", "=")[1:] for p in parts):
        return parts
    if max(inner) == 1 and all(
        any(t.kind == "rel" and t.text in ("<", "<=", ">", ">=", "!=") for t in p) for p in parts
    ):
        return parts
    return []


def _matching(toks: Sequence[Token], start: int) -> int:
    depth = 0
    for i in range(start, len(toks)):
        depth += toks[i].kind == "open"
        depth -= toks[i].kind == "close"
        if depth == 0:
            return i
    raise Unreadable("brackets do not match")


def _alternatives(parts: list[Answer]) -> Answer:
    """Answers joined by `or`: a union of regions, or a list."""
    regions = [region(p) for p in parts]
    if any(isinstance(named_value(p), Region | Inequality) for p in parts) and all(r is not None for r in regions):
        return union([r for r in regions if r is not None])
    if all(isinstance(p, Words) or (isinstance(p, Value) and _is_name(p)) for p in parts):
        raise Unreadable("one name or another")
    return _listed(parts)


def _is_name(a: Value) -> bool:
    return a.unit is None and any(a.ratio == variable(name) for name in symbols(a.ratio))


def _listed(parts: list[Answer], together: bool = False) -> Answer:
    """Answers side by side: one name for all, a name for each, or a list. `together`: inequalities that all hold."""
    if len(parts) == 1:
        return parts[0]
    if (region_ := _together(parts, together)) is not None:
        return region_
    names = [p.name if isinstance(p, Named) else None for p in parts]
    values = [p.value if isinstance(p, Named) else p for p in parts]
    given = {n for n in names if n is not None}
    if len(given) == 1 and names[0] is not None:
        first = next(p for p in parts if isinstance(p, Named))
        return Named(first.name, Group(",", _flat(values)), first.symbol)
    if None not in names and len(given) == len(names) and len(given) == len(set(names)):
        return System(tuple(n for n in names if n), tuple(values), False)
    return Group(",", _flat(parts))


def _together(parts: list[Answer], together: bool) -> Region | None:
    """Conditions on one variable as one: x > 0, x != 1; x < -2, x > 2; x != 1, 2. None for anything else."""
    regions = [p for p in parts if isinstance(p, Region)]
    first = parts[0]
    if len(regions) == len(parts):
        if together or sum(not _excludes(r) for r in regions) < 2:
            return intersection(regions)
        if len(parts) == 2 and regions[0].of == regions[1].of is not None and disjoint(*regions):
            return union(regions)
    elif isinstance(first, Region) and _excludes(first) and all(isinstance(p, Value) for p in parts[1:]):
        others = [excluded(p.ratio, first.of) for p in parts[1:] if isinstance(p, Value)]
        return intersection([first, *others])
    return None


def _excludes(r: Region) -> bool:
    """Whether it is all but a point, of a variable."""
    return r.of is not None and len(r.intervals) == 2 and excluded(r.intervals[0][1].at, r.of) == r


def _flat(items: Sequence[Answer]) -> tuple[Answer, ...]:
    out: list[Answer] = []
    for item in items:
        out += item.items if isinstance(item, Group) and item.kind == "," else [item]
    if len(out) > MAX_ITEMS:
        raise TooBig("too many elements")
    return tuple(out)


# Relations.

_FLIP = {">": "<", ">=": "<="}


def _relation(toks: Sequence[Token]) -> Answer:
    signs = [t for t, d in zip(toks, _depths(toks), strict=True) if d == 0 and t.kind == "rel" and t.text != ":"]
    if not signs:
        return _colon(toks)
    kinds = {t.text for t in signs}
    parts = _parts(toks)
    if "~" in kinds:
        return _approximate(toks, parts)
    if kinds == {"in"} and len(parts) == 2:
        inside = _statement(parts[1])
        if isinstance(inside, Value | Infinite):
            raise Unreadable("an element of a number")
        names = [_name(p) for p in _split(parts[0], "sep", ",")]
        if names[0] is None:
            raise Unreadable("an expression in a set")  # x^2 in (0, 1)
        return Named(names[0][0], inside, True)
    if kinds == {"="}:
        return _equation(parts)
    if kinds <= {"<", "<=", ">", ">="} or (kinds == {"!="} and len(parts) == 2):
        return _inequality([s.text for s in signs], parts)
    raise Unreadable("relations of several kinds")


def _parts(toks: Sequence[Token]) -> list[Sequence[Token]]:
    parts: list[list[Token]] = [[]]
    for t, depth in zip(toks, _depths(toks), strict=True):
        if depth == 0 and t.kind == "rel" and t.text != ":":
            parts.append([])
        else:
            parts[-1].append(t)
    return list(parts)


def _approximate(toks: Sequence[Token], parts: list[Sequence[Token]]) -> Answer:
    """`exact ~ decimal` states the exact value."""
    first = next(i for i, t in enumerate(toks) if t.kind == "rel" and t.text == "~")
    if not parts[0]:
        raise Unreadable("only approximately")
    if not parts[-1]:
        raise Unreadable("approximately nothing")
    exact = _statement(toks[:first])
    if (len(parts) == 2 and _name(parts[0])) or isinstance(exact, Equation | Words):
        raise Unreadable("only approximately")
    return exact


def _equation(parts: list[Sequence[Token]]) -> Answer:
    if not parts[0] or len(parts) > 12:
        raise Unreadable("an equation without its left side, or too long")
    if not parts[-1]:
        raise Unreadable("an equation without its right side")
    head, last = _name(parts[0]), parts[-1]
    if (names := _names(parts[0])) and len(parts) == 2:
        values = _statement(last)
        if isinstance(values, Pair):
            values = Group("(", (values.first, values.second))
        if isinstance(values, Group) and values.kind == "(" and len(values.items) == len(names):
            return System(names, values.items, True)
        if isinstance(values, Group) and values.kind == ",":
            return values
        raise Unreadable("names and values do not pair")
    if head is None and len(parts) == 2 and (tail := _name(last)) is not None and tail[1]:
        value = _statement(parts[0])
        if isinstance(value, Value) and not symbols(value.ratio):
            return Named(tail[0], value, True)
    value = _product(_statement(last))
    middle = [_product(_statement(p)) for p in parts[(1 if head else 0) : -1]]
    if head is not None:
        _consistent([*middle, value])
        if isinstance(value, Value) and head[1] and head[0] in symbols(value.ratio):
            return Equation(add(variable(head[0]), neg(value.ratio)))
        return Named(head[0], value, head[1])
    if isinstance(value, Value) and len(middle) == 1 and isinstance(middle[0], Value):
        left = middle[0].ratio
        if symbols(left) or symbols(value.ratio):
            if middle[0].unit or value.unit:
                raise Unreadable("an equation between measures")
            return Equation(add(left, neg(value.ratio)))
    elif isinstance(value, Value) and any(isinstance(m, Value) and symbols(m.ratio) for m in middle):
        raise Unreadable("a chain of equations")
    several = isinstance(value, Group) and value.kind in (",", "{")
    for m in middle:
        unknown = isinstance(m, Value) and symbols(m.ratio) and not several
        if m != value and not isinstance(value, Value) and not unknown:
            raise Unreadable("an equation of unlike things")
        if isinstance(value, Value) and not isinstance(m, Value):
            raise Unreadable("an equation of unlike things")
    _consistent([*middle, value])
    return value


def _product(a: Answer) -> Answer:
    """In an equation `xy` is a product, not a word."""
    return Value(a.value) if isinstance(a, Words) and a.value is not None else a


def _consistent(chain: list[Answer]) -> None:
    """Raise Unreadable for a chain such as 1 = 2."""
    numbers = [a for a in chain if isinstance(a, Value) and not symbols(a.ratio)]
    for a, b in itertools.pairwise(numbers):
        if equal(a.ratio, b.ratio) is not True and not _rounded(a, b) and not (
            equal(a.ratio, b.ratio) is None and probes_agree(a.ratio, b.ratio)):  # fmt: skip
            raise Unreadable("the equation contradicts itself")


def _rounded(a: Value, b: Value) -> bool:
    x, y = real(a.ratio), real(b.ratio)
    return bool(a.digits or b.digits) and x is not None and y is not None and abs(x - y) <= abs(x) / 100


def _name(toks: Sequence[Token]) -> tuple[str, bool] | None:
    """The name on the left of `=`, and whether it is a variable; None for an expression."""
    toks = list(toks)
    while len(toks) > 2 and toks[0].text == "{" and _matching(toks, 0) == len(toks) - 1:
        toks = toks[1:-1]
    if not toks or len(toks) > 12:
        return None
    if len(toks) == 1 and toks[0].kind == "var":
        return (toks[0].text, True) if toks[0].text not in ("e", "i", "pi") else None
    text = "".join(t.text for t in toks)
    if any(t.kind == "text" and (_NO_UNIT.search(t.text.lower()) or _ODD.search(t.text)) for t in toks):
        return None
    if re.fullmatch(r"[A-Za-z]\^\{?-1\}?\([a-z]\)|frac\{?d\w*\}?\{?d\w\}?", text):
        return text, False
    kinds = {t.kind for t in toks}
    if kinds == {"var", "set"} and all(t.text.isupper() or t.kind == "set" for t in toks):
        return text, False
    if kinds <= {"text", "word", "var"} and (kinds & {"text"} or text.isupper() or len(text) > 4):
        return text, False
    if len(toks) > 3 and toks[0].kind in ("var", "word") and toks[1].text == "(" and not toks[1].gap:
        simple = all(t.kind in ("var", "word", "num", "sep", "text") for t in toks[2:-1])
        if _matching(toks, 1) == len(toks) - 1 and (simple or _applied(toks)):
            return text, False
    if _operator(toks) or (toks[0].kind == "fn" and toks[0].text == "det"):
        return text, False
    if len(toks) == 3 and toks[0].text + toks[2].text == "[]" and toks[1].kind == "word" and toks[1].text.isupper():
        return text, False  # [ABC] is an area
    inside = [t.text for t in toks[1:-1]]
    if toks[0].kind == "bar" == toks[-1].kind and inside and all(x.isupper() or x.startswith("vec(") for x in inside):
        return text, False
    ratio = _split(toks, "rel", ":")
    if len(ratio) > 1 and all(_name(part) for part in ratio):
        return text, False
    return None


_OPERATORS = {"E", "Var", "Cov", "SD", "Pr", "P", "V"}


def _operator(toks: Sequence[Token]) -> bool:
    """E[X], Var(X): an operator and what it is applied to."""
    if len(toks) < 4 or toks[0].kind not in ("var", "text", "domain") or toks[1].text not in ("[", "("):
        return False
    bare = toks[0].text.removeprefix("mathbb(").removesuffix(")")
    return bare in _OPERATORS and _matching(toks, 1) == len(toks) - 1


def _applied(toks: Sequence[Token]) -> bool:
    """Whether `f(...)` or `P(...)` is no product: f(-1), P(X > 1), P(A | B)."""
    told = any(t.kind in ("rel", "set", "mid", "bar") or t.text == "," for t in toks[2:-1])
    return toks[0].text in ("f", "g", "h", "F", "G", "H") or (told and toks[0].text.isupper())


def _names(toks: Sequence[Token]) -> tuple[str, ...] | None:
    """The names in `(x, y)`, or None."""
    if not toks or toks[0].text != "(" or _matching(toks, 0) != len(toks) - 1:
        return None
    names = [_name(part) for part in _split(toks[1:-1], "sep", ",", ";")]
    return tuple(n[0] for n in names if n) if len(names) > 1 and all(names) else None


def _several(toks: Sequence[Token]) -> list[Value]:
    """The values of a list or set, as in plus-minus one."""
    found = _statement(toks)
    if not isinstance(found, Group) or found.kind not in (",", "{"):
        return []
    values = [x for x in found.items if isinstance(x, Value)]
    return values if len(values) == len(found.items) else []


def _inequality(ops: list[str], parts: list[Sequence[Token]]) -> Answer:
    if any(not p for p in parts) or len(parts) > 4:
        raise Unreadable("an inequality that lacks a side")
    if ops == ["!="] and len(values := _several(parts[1])) > 1:  # x != +-1
        left = Reader(parts[0]).whole()
        return _listed([solved("!=", add(left, neg(v.ratio))) for v in values])
    sides: list[Ratio | Infinite] = []
    for part in parts:
        name = _name(part)
        if name and not name[1]:
            sides.append(variable(name[0]))
            continue
        side = _statement(part)
        if isinstance(side, Words) and side.value is not None:
            side = Value(side.value)
        if not isinstance(side, Value | Infinite):
            raise Unreadable("an inequality of things that are not numbers")
        sides.append(side.ratio if isinstance(side, Value) else side)
    found: list[Answer] = []
    for op, left, right in zip(ops, sides, sides[1:], strict=False):
        if op in _FLIP:
            op, left, right = _FLIP[op], right, left
        if isinstance(left, Infinite) or isinstance(right, Infinite):
            if op == "!=" or left == Infinite(1) or right == Infinite(-1):
                raise Unreadable("an inequality about infinity")
            continue  # -oo < x says nothing.
        found.append(solved(op, add(left, neg(right))))
    if not found:
        raise Unreadable("an inequality about infinity")
    if len(found) == 1:
        return found[0]
    if all(isinstance(f, Region) for f in found):
        return intersection([f for f in found if isinstance(f, Region)])
    return Group("{", tuple(found))


# Objects.


def _colon(toks: Sequence[Token]) -> Answer:
    parts = _split(toks, "rel", ":")
    if len(parts) > 1:
        if len(parts) > 4:
            raise Unreadable("a ratio of many terms")
        return Colon(tuple(_object(p) for p in parts))
    return _object(toks)


def _object(toks: Sequence[Token]) -> Answer:
    toks = _stripped(toks)
    joined = _set_operation(toks)
    if joined is not None:
        return joined
    first = toks[0]
    if first.kind == "close" and first.text == "]" and toks[-1].text in ("[", "]"):
        return _pair(toks, {"]": "("}[first.text], {"[": ")", "]": "]"}[toks[-1].text])
    if first.text == "[" and toks[-1].text == "[" and len(toks) > 3:
        return _pair(toks, "[", ")")
    if first.kind == "open" and first.text in ("(", "[", "\\{") and _matching(toks, 0) == len(toks) - 1:
        return _bracketed(toks)
    if first.kind == "empty" and len(toks) == 1:
        return Group("{", ())
    if first.kind == "domain" and len(toks) == 1:
        return Words(f"the set {first.text}")
    start = next((i for i, t in enumerate(toks) if t.kind == "begin"), -1)
    if start == 0:
        return _environment(toks)
    if start > 0 and not any(t.kind == "begin" for t in toks[start + 1 :]):
        return _scaled(toks[:start], _environment(toks[start:]))
    infinite = [t for t in toks if t.kind == "infty"]
    if infinite:
        if len(toks) > 2 or (len(toks) == 2 and toks[0].text not in ("+", "-")) or toks[-1].kind != "infty":
            raise Unreadable("arithmetic with infinity")
        return Infinite(-1 if toks[0].text == "-" else 1)
    if words := _words(toks, ""):
        return words
    return _quantity(toks)


def _set_operation(toks: Sequence[Token]) -> Answer | None:
    depths = _depths(toks)
    at = [
        i
        for i in range(1, len(toks) - 1)
        if depths[i] == 0 and toks[i].kind in ("set", "op", "var") and _joins_sets(*toks[i - 1 : i + 2])
    ]
    if not at:
        return None
    parts = [toks[a:b] for a, b in zip([0, *(i + 1 for i in at)], [*at, len(toks)], strict=True)]
    regions = [region(_object(p)) for p in parts]
    if any(r is None for r in regions):
        raise Unreadable("a union of things that are not intervals")
    known = [r for r in regions if r is not None]
    kinds = {{"U": "cup", "-": "minus"}.get(toks[i].text, toks[i].text) for i in at}
    if kinds == {"cup"}:
        return union(known)
    if kinds == {"cap"}:
        return intersection(known)
    if kinds == {"minus"} and len(known) == 2 and all(low is high for low, high in known[1].intervals):
        holes = [excluded(p.at, None) for p, _ in known[1].intervals]
        return intersection([known[0], *holes])
    raise Unreadable("a mixture of set operations")


def _joins_sets(before: Token, sign: Token, after: Token) -> bool:
    if sign.text == "U":
        return before.kind == "close" and after.kind == "open"
    return sign.kind == "set" or (sign.text == "-" and before.kind in ("domain", "close") and after.text == "\\{")


def _pair(toks: Sequence[Token], left: str, right: str) -> Answer:
    items = _split(toks[1:-1], "sep", ",", ";")
    if len(items) != 2:
        raise Unreadable("an interval needs two ends")
    return Pair(left, _object(items[0]), _object(items[1]), right)


def _bracketed(toks: Sequence[Token]) -> Answer:
    left, right, inside = toks[0].text, toks[-1].text, toks[1:-1]
    if left == "\\{":
        if right != "\\}":
            raise Unreadable("brackets do not match")
        return _set(inside)
    if right not in (")", "]"):
        raise Unreadable("brackets do not match")
    items = _split(inside, "sep", ";") if any(t.text == ";" for t in inside) else _split(inside, "sep", ",")
    if not items:
        raise Unreadable("empty brackets")
    if len(items) == 1:
        if left + right not in ("()", "[]"):
            raise Unreadable("brackets do not match")
        return _statement(inside)
    answers = tuple(_statement(i) for i in items)
    if any(isinstance(a, Group) and a.kind == "," for a in answers):
        raise Unreadable("a plus-minus inside a tuple")
    if len(answers) == 2:
        return Pair(left, answers[0], answers[1], right)
    if left + right not in ("()", "[]"):
        raise Unreadable("brackets do not match")
    return Group(left, answers)


def _set(inside: Sequence[Token]) -> Answer:
    if not inside:
        return Group("{", ())
    for mark in (("mid", ""), ("rel", ":"), ("bar", "|")):
        parts = _split(inside, *mark)
        if len(parts) == 2 and not any(t.kind == "num" for t in parts[0]):
            head = [t.text for t in parts[0]]
            if parts[0][0].kind != "var" or (len(head) > 1 and head[1:] != ["in", "R"]):
                raise Unreadable("a set of other things than real numbers")
            condition = _statement(parts[1])
            if isinstance(condition, Region) and condition.of == frozenset([(("v", head[0]), Fraction(1))]):
                return Region(condition.intervals)  # the variable is bound
            raise Unreadable("a set by a condition that is no inequality")
    answer = _statement(inside)
    if isinstance(answer, Named) and answer.symbol and isinstance(answer.value, Group):
        answer = answer.value  # {x = 1, x = 2}
    if isinstance(answer, Group) and answer.kind == ",":
        return Group("{", answer.items)
    if isinstance(answer, System):
        raise Unreadable("a set of equations")
    return Group("{", (answer,))


def _environment(toks: Sequence[Token]) -> Answer:
    name = toks[2].text if len(toks) > 3 else ""
    if name == "vmatrix":
        return Value(Reader(toks).whole())
    if name in ("cases", "aligned", "align", "gathered", "array") and any(t.kind == "rel" for t in toks):
        end = next(i for i, t in enumerate(toks) if t.kind == "end")
        if any(t.kind == "amp" and "rel" not in (toks[i - 1].kind, toks[i + 1].kind) for i, t in enumerate(toks[:end])):
            return _piecewise(toks[4:end])
        inner = [t._replace(kind="sep", text=",") if t.kind == "row" else t for t in toks[4:end] if t.kind != "amp"]
        return _statement(inner)
    reader = Reader(toks[1:])
    _, rows = reader.matrix()
    if "".join(t.text for t in toks[1 + reader.at :]) in ("^T", "^{T}"):
        return Table(tuple(zip(*rows, strict=True)))
    if reader.peek() is not None:
        raise Unreadable("arithmetic with a matrix")
    return Table(rows)


def _piecewise(toks: Sequence[Token]) -> Answer:
    """Values with their conditions, in any order."""
    pieces: list[Answer] = []
    for row in _split(toks, "row", ""):
        parts = _split(row, "amp", "")
        if len(parts) != 2:
            raise Unreadable("a piece without its condition")
        condition = [t for t in parts[1] if not (t.kind in ("text", "word") and t.text in ("if", "for", "when"))]
        pieces.append(Group("[", (_statement(parts[0]), _statement(condition))))
    return Group("{", tuple(pieces))


def _scaled(scale: Sequence[Token], a: Answer) -> Answer:
    """A number times a matrix."""
    if not isinstance(a, Table):
        raise Unreadable("arithmetic with a matrix")
    if len(scale) > 1 and scale[-1].text == "*":
        scale = scale[:-1]
    factor = number(-1) if [t.text for t in scale] == ["-"] else Reader(scale).whole()
    return Table(tuple(tuple(mul(factor, x) for x in row) for row in a.rows))


def _quantity(toks: Sequence[Token]) -> Answer:
    """An expression with its currency, per cent sign or unit."""
    names: list[str] = []
    percent = glued = False
    head = toks = list(toks)
    sign = [t for t in toks[:1] if t.text in ("-", "+") and t.kind == "op"]
    if len(toks) > len(sign) + 1 and toks[len(sign)].kind == "money":
        names.append(toks[len(sign)].text)
        toks = [*sign, *toks[len(sign) + 1 :]]
    end = len(toks)
    while end > 0 and _in_unit(toks, end - 1):
        end -= 1
    head, tail = toks[:end], toks[end:]
    # cos 60°, 10% + 20%: the sign behind belongs to what stands next to it alone.
    called = any(t.kind in ("fn", "percent") for t in head)
    while tail and (called or tail[0].kind not in ("text", "word", "percent", "degree", "money", "prime")):
        head, tail = [*head, tail[0]], tail[1:]
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
    if found is not None and found.name and (_NO_UNIT.search(found.name) or _ODD.search(" ".join(names))):
        raise Unreadable("a number with a reservation")
    if any(t.kind == "pm" for t in head):
        if sum(t.kind == "pm" and t.text == "+" for t in head) > 1:
            raise Unreadable("several plus-minus signs")
        both = tuple(Value(Reader(head, sign=s).whole(), unit=found, percent=percent) for s in "+-")
        return Group(",", both)
    reader = Reader(head)
    ratio = reader.whole()
    other = Reader(head, loose=True).whole() if reader.slash else None
    if times != 1:  # 2.5 million
        ratio = mul(ratio, number(times))
    if percent:
        ratio = div(ratio, number(100))
    return Value(ratio, *_digits(head), found, glued, percent, other, any("." in t.text for t in head))


_DATE = {"text", "word", "num"}
_ODD = re.compile(r"[\d\\<>=!?+&|~]")
_NO_UNIT = re.compile(
    r"\b(?:or|and|not|to|than|about|approx\w*|if|when|plus|minus|more|less|most|least|other\w*|negative|wrong|incorrect|"
    r"false|pi|sqrt|root|squared?$|cubed?$|factorial|half|halve|third|quarter|\w+th|mod|base|time|over|per ?cent)\b"
)
"""What changes the number before it, or takes it back."""
_COUNTS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}


def _in_unit(toks: list[Token], i: int) -> bool:
    t = toks[i]
    if t.kind in ("text", "percent", "degree", "money"):
        return True
    if t.kind == "word":
        return t.text in PLAIN or t.text.lower() in PLAIN or t.text.lower().removesuffix("s") in PLAIN or (
            len(t.text) > 2 and t.gap and i > 0 and _numeric(toks[:i]))  # fmt: skip
    if t.kind == "num":
        return i > 1 and toks[i - 1].text == "^" and toks[i - 2].kind in ("text", "word") and _in_unit(toks, i - 2)
    if t.text in ("^", "/", "*") and t.kind == "op":
        return 0 < i < len(toks) - 1 and _in_unit(toks, i - 1)
    if t.kind in ("open", "close") and t.text in "{}":
        return any(x.text == "^" for x in toks[max(0, i - 3) : i]) and any(_in_unit(toks, j) for j in
            range(max(0, i - 5), i) if toks[j].kind in ("text", "word"))  # fmt: skip
    return False


def _numeric(toks: list[Token]) -> bool:
    """Whether these are a number and words behind it."""
    rest = [t for t in toks if t.kind != "word"]
    return bool(rest) and all(t.kind in ("num", "frac", "open", "close", "sqrt", "op", "money") for t in rest)


def _unit_text(toks: Sequence[Token]) -> str:
    return " ".join("degree" if t.kind == "degree" else t.text for t in toks)


def _digits(toks: Sequence[Token]) -> tuple[int, Fraction]:
    """Significant digits of a decimal literal and what the last is worth; zeros for anything else."""
    text = "".join(t.text for t in toks if t.kind != "pm")
    found = re.fullmatch(r"[-+]?(\d*\.\d*)(?:(?:[eE]|\*10\^)\{?([-+]?\d{1,4})\}?)?", text)
    if not found:
        return 0, Fraction(0)
    mantissa, exponent = found[1], found[2]
    whole, _, decimals = mantissa.partition(".")
    return len((whole + decimals).lstrip("0")), Fraction(10) ** (int(exponent or 0) - len(decimals))
