"""The text of an answer -> tokens. LaTeX, plain text and Unicode mathematics come out alike; nothing is evaluated."""

import re
from fractions import Fraction
from typing import NamedTuple

from cooper_jax.host.verifier.mathematics.algebra.sums import TooBig, Unreadable
from cooper_jax.host.verifier.mathematics.reading.numerals import based
from cooper_jax.host.verifier.mathematics.reading.units import letters, unit
from cooper_jax.host.verifier.mathematics.reading.vocabulary import (
    ACCENT,
    COMMANDS,
    DROPPED,
    ESCAPES,
    FONT,
    FUNCTIONS,
    GREEK,
    SAME_ACCENT,
    SIGNS,
    SIZES,
    TEXT,
    UPRIGHT,
    WIDE,
    WORDS,
)

MAX_LENGTH = 4000
"""Characters of an answer that is read."""
MAX_TOKENS = 1500
_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<row>\\\\(?:\s*\[-?[\d.]+\s*[a-z]{2}\])?)|\\(?P<command>[A-Za-z]+)\*?|\\(?P<escape>[^A-Za-z\\])"
    r"|(?P<science>\d+(?:\.\d*)?[eE][+-]\d+|\d+\.\d+[eE]\d+|\d+[eE]\d{1,3}(?![\w.^{]))"
    r"|(?P<repeating>\d*\.\d*(?:\\overline\s*\{\d{1,30}\}|\\dot\s*\{?\d\}?(?:\d{0,28}\\dot\s*\{?\d\}?)?))"
    r"|(?P<cycle>\d*\.\(\d{1,30}\))"
    r"|(?P<number>\d+\.?\d*|\.\d+)|(?P<word>[A-Za-z]+)|(?P<relation><=|>=|!=|==|=<|=>|->|\*\*|~)"
    r"|(?P<other>.)",
    re.DOTALL,
)
_HALF = re.compile(r"([ap])(?:m\b|\.\s?m\b)\.?", re.IGNORECASE)
"""am and pm behind a time."""


_BASE_NAMES: dict[str, str] = {
    name: str(n + 2)
    for n, name in enumerate("two three four five six seven eight nine ten".split())  # noqa: SIM905
}


class Token(NamedTuple):
    """`kind` says what it is, `text` which one. `gap`: white space stood before it; 2: such as may part statements."""

    kind: str
    text: str
    gap: int = 0
    value: Fraction | None = None


def tokens(text: str) -> list[Token]:
    """Tokens of `plain` text. Raises Unreadable for what has no place in an answer, TooBig for more than the bounds."""
    if len(text) > MAX_LENGTH:
        raise TooBig("too long")
    out: list[Token] = []
    _scan(text, out, 0)
    return _joined(out)


def _scan(text: str, out: list[Token], depth: int) -> None:
    if depth > 8:
        raise TooBig("nested too deeply")
    at, gap = 0, 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        assert found is not None  # `other` matches anything.
        at, kind, piece = found.end(), found.lastgroup or "", found[found.lastgroup or 0]
        if len(out) > MAX_TOKENS:
            raise TooBig("too many tokens")
        if kind == "space" or piece == "~":
            gap = max(gap, 2 if piece == "~" else 1)
            continue
        if kind == "command":
            if piece in DROPPED | SIZES | WIDE:
                if piece in ("hspace", "vspace"):
                    at = _group(text, at)[1]
                elif piece in ("left", "right") and text[at : at + 1] == ".":
                    at += 1
                gap = max(gap, 2 if piece in WIDE else piece not in SIZES)
                continue
            if piece in TEXT | FONT:
                content, at = _group(text, at)
                _text(content, piece, out, depth, gap)
                gap = 0
                continue
            if piece in ACCENT:
                content, at = _group(text, at)
                out.append(_accented(piece, content, gap))
            else:
                out.append(_command(piece, gap))
        elif kind == "escape":
            if piece in ",;:!> \t\n/":
                gap = max(gap, 2 if piece == ";" else 1)
                continue
            if piece not in ESCAPES:
                raise Unreadable(f"\\{piece}")
            out.append(Token(*ESCAPES[piece], gap))
        elif kind == "cycle":
            out.append(Token("num", piece, gap, _number(piece.replace("(", "\\dot{"), "repeating")))
        elif kind in ("number", "science", "repeating"):
            out.append(Token("num", piece, gap, _number(piece, kind)))
        elif kind == "word":
            at = _word(piece, text, at, out, gap)
        elif kind == "relation":
            out.append(_relation(piece, gap))
        elif kind == "row":
            out.append(Token("row", "", gap))
        elif piece in SIGNS:
            out.append(Token(*SIGNS[piece], gap))
        elif piece.isalpha():
            out.append(Token("word", piece, gap))
        else:
            out.append(Token("bad", piece, gap))
        gap = 0


def _accented(accent: str, content: str, gap: int) -> Token:
    """A letter with its accent, an index set outside of it: \\overline{z_1} and \\bar z_1 are one name."""
    name = re.sub(r"[\s{}\\]", "", content).replace("imath", "i").replace("jmath", "j")
    if accent == "mathbb" and name in "RZNQC" and name:
        return Token("domain", name, gap)
    base, mark, index = name.partition("_")
    return Token("var", f"{SAME_ACCENT.get(accent, accent)}({base}){mark}{index}", gap)


def _command(name: str, gap: int) -> Token:
    if name in COMMANDS:
        kind, text = COMMANDS[name]
        return Token(kind, text, gap)
    if name in FUNCTIONS:
        return Token("fn", FUNCTIONS[name], gap)
    if name in GREEK:
        return Token("var", name, gap)
    return Token("bad", f"\\{name}", gap)


def _relation(sign: str, gap: int) -> Token:
    if sign == "**":
        return Token("op", "^", gap)
    if sign == "->":
        return Token("arrow", "", gap)
    return Token("rel", {"==": "=", "=<": "<=", "=>": "bad"}.get(sign, sign), gap)


def _group(text: str, at: int) -> tuple[str, int]:
    """The content of the braces at `at` (or the one token there), and where it ends."""
    while at < len(text) and text[at].isspace():
        at += 1
    if at >= len(text):
        raise Unreadable("a command without its argument")
    if text[at] != "{":
        found = re.compile(r"\\[A-Za-z]+|.", re.DOTALL).match(text, at)
        assert found is not None
        return found[0], found.end()
    depth = 0
    for end in range(at, len(text)):
        if text[end] == "{" and text[end - 1] != "\\":
            depth += 1
        elif text[end] == "}" and text[end - 1] != "\\":
            depth -= 1
            if depth == 0:
                return text[at + 1 : end], end + 1
    raise Unreadable("braces do not match")


def _text(content: str, command: str, out: list[Token], depth: int, gap: int) -> None:
    """`\\text{...}`: words stay one token; numbers, single letters, conjunctions and mathematics are read on."""
    bare = re.sub(r"~|\\[ ,;:!]", " ", content).strip()
    after_number = bool(out) and out[-1].kind in ("num", "close", "degree", "percent")
    after_unit = len(out) > 1 and out[-1].text in ("/", "*", "-") and out[-2].kind == "text"
    conjunction = re.fullmatch(r"[,;\s]*(and|or)[,;\s]*", bare)
    if conjunction:
        out.append(Token("sep", conjunction[1], True))
    elif not bare:
        return
    elif re.fullmatch(r"per ?cent|degrees?", bare):
        out.append(Token("degree" if bare[0] == "d" else "percent", "", gap))
    elif re.fullmatch(r"(infinity|infty)", bare, re.IGNORECASE):
        out.append(Token("infty", "", gap))
    elif bare in ("min", "mins", "sec", "secs") and (after_number or after_unit) and command in UPRIGHT:
        out.append(Token("text", bare, gap))
    elif bare in FUNCTIONS and command in ("operatorname", "mathrm"):
        out.append(Token("fn", FUNCTIONS[bare], gap))
    elif (after_number or after_unit) and command in UPRIGHT and _is_unit(bare):
        out.append(Token("text", re.sub(r"\\(cdot|times)", "*", bare), gap))
    elif len(bare) == 1 and bare.isalpha():
        out.append(Token("var", bare, gap))
    elif command == "mathrm" and re.fullmatch("[A-Za-z]{2}", bare) and out and not unit(bare).dimensions and (
        out[-1].kind in ("op", "rel") or out[-1].text == "{"):  # fmt: skip
        out.append(Token("word", bare, gap))  # a product in upright letters
    elif half := _HALF.fullmatch(bare):
        out.append(Token("text", f"{half[1]}m".lower(), gap))
    elif re.fullmatch(r"[\s\d.,+\-(){}\\$^_/=]*|\(?[A-Za-z]\)?[.:]?", bare) or (
        command in FONT and re.search(r"[\\^_\d+=]", bare)
    ):
        _scan(bare.replace("$", ""), out, depth + 1)
    else:
        if re.match(r"(and|or)\b", bare):
            out.append(Token("sep", bare[:3].strip(), True))
        out.append(Token("text", bare, gap or content[:1].isspace()))


def _is_unit(text: str) -> bool:
    """Whether upright letters behind a number are a unit: m, or m/s^2; A and C are more often names."""
    if len(text) == 1:
        return text in "lTFH" or (text not in "AC" and letters([(text, Fraction(1))]) is not None)
    # Words are read as text anyway.
    return re.search(r"[\\^]", text) is not None and bool(unit(re.sub(r"\\(cdot|times)", "*", text)).dimensions)


def _word(word: str, text: str, at: int, out: list[Token], gap: int) -> int:
    """Append what a run of plain letters stands for; where to read on."""
    lower = word.lower()
    behind = bool(out) and out[-1].kind == "num"
    if behind and (half := _HALF.match(text, at - len(word))):
        out.append(Token("text", f"{half[1]}m".lower(), gap))
        return half.end()
    if word in ("min", "mins") and behind and not re.compile(r"\s*[\\({_]").match(text, at):
        out.append(Token("text", "min", gap))
    elif word in FUNCTIONS or (lower in FUNCTIONS and len(word) > 2):
        out.append(Token("fn", FUNCTIONS.get(word) or FUNCTIONS[lower], gap))
    elif word in WORDS or lower in ("pi", "infinity", "and", "or"):
        out.append(Token(*WORDS.get(word) or WORDS[lower], gap))
    elif split := re.fullmatch(r"(sin|cos|tan|ln|log|sqrt)([a-z])", word):
        out.append(Token("fn", split[1], gap))
        out.append(Token("var", split[2], False))
    elif len(word) == 1:
        # x3 is a name; a space or a sign ends it.
        # N2^{-N} is N times a power.
        index = re.compile(r"\d{1,3}(?![\d.]|\s*\^\s*(?:\{[^{}]*[A-Za-z]|\(?-?\d*[A-Za-z]))").match(text, at)
        out.append(Token("var", f"{word}_{index[0]}" if index else word, gap))
        return index.end() if index else at
    else:
        out.append(Token("word", word, gap))
    return at


def _number(piece: str, kind: str) -> Fraction:
    if len(piece) > MAX_LENGTH:
        raise TooBig("a number of too many digits")
    if kind == "science":
        mantissa, exponent = re.split("[eE]", piece)
        if abs(int(exponent)) > 2000:
            raise TooBig("a number of too many digits")
        return Fraction(mantissa.rstrip(".")) * Fraction(10) ** int(exponent)
    if kind == "repeating":
        whole, _, decimals = piece.partition(".")
        head, _, cycle = (re.sub(r"[^\d\\]", "", part) for part in decimals.partition("\\"))
        cycle = cycle.replace("\\", "")
        once = Fraction(int(whole + head or 0), 10 ** len(head))
        return once + Fraction(int(cycle), 10 ** len(head) * (10 ** len(cycle) - 1))
    return Fraction(piece.rstrip(".") if not piece.startswith(".") else "0" + piece)


def _joined(found: list[Token]) -> list[Token]:
    """Subscripts and primes made part of their names, `^\\circ` one token, invisible tokens dropped."""
    out: list[Token] = []
    at = 0
    while at < len(found):
        token = found[at]
        at += 1
        if token.kind == "drop":
            continue
        if token.kind == "op" and token.text == "^":
            inner, end = _raw_group(found, at)
            if inner and all(t.kind in ("circ", "degree") for t in inner):
                out.append(Token("degree", "", token.gap))
                at = end
                continue
            if (power := "".join(t.text for t in inner)) and re.fullmatch(r"-?\d", power) and out and (
                out[-1].kind in ("text", "word")):  # fmt: skip
                out += [token, Token("num", power, False, Fraction(power))]
                at = end
                continue
            if inner and all(t.kind == "prime" for t in inner) and out and out[-1].kind == "var":
                out[-1] = out[-1]._replace(text=out[-1].text + "'" * len(inner))
                at = end
                continue
        if token.kind == "op" and token.text == "_" and out and out[-1].kind in ("var", "word", "text", "num"):
            at = _indexed(out, *_raw_group(found, at))
            continue
        if token.kind == "frac" and (ratio := _unit_ratio(found, at)):
            out += ratio[0]
            at = ratio[1]
            continue
        if token.kind == "var" and token.text in ("C", "F") and out and out[-1].kind == "degree":
            token = token._replace(kind="text")
        if token.kind == "prime" and out and out[-1].kind == "var":
            out[-1] = out[-1]._replace(text=out[-1].text + "'")
            continue
        out.append(token)
    return out


def _indexed(out: list[Token], inner: list[Token], end: int) -> int:
    """Join a subscript to the name or the numeral before it; returns `end`."""
    if not inner:
        raise Unreadable("an empty subscript")
    index = "".join(t.text for t in inner)
    last = out.pop()
    if last.kind == "num":
        out.append(_numeral(last, index))
    elif last.kind == "text":
        out.append(last._replace(text=f"{last.text}_{index}"))
    else:
        if last.kind == "word" and len(last.text) > 1:
            out.append(last._replace(text=last.text[:-1]))
        name = last.text[-1] if last.kind == "word" else last.text.rstrip("'")
        primes = "'" * (len(last.text) - len(name)) if last.kind == "var" else ""
        gap = last.gap if last.kind == "var" or len(last.text) == 1 else 0
        out.append(Token("var", f"{name}_{_sorted(index)}{primes}", gap))
    return end


def _sorted(index: str) -> str:
    """An index with its terms in order: n+1 for 1+n."""
    terms = re.findall(r"[+-]?[^+-]+", index)
    if len(terms) < 2 or "".join(terms) != index:
        return index
    signed = [t if t[0] in "+-" else f"+{t}" for t in terms]
    return "".join(sorted(signed, key=lambda t: (t[1].isdigit(), t[1:], t[0]))).removeprefix("+")


def _numeral(digits: Token, base: str) -> Token:
    """A number in the base that its index names. Raises Unreadable for one that has no such digits."""
    found = based(digits.text, _BASE_NAMES.get(base, base))
    return Token("based", f"{found.digits}_{found.base}", digits.gap, found.value)


def _unit_ratio(found: list[Token], at: int) -> tuple[list[Token], int] | None:
    """The m, / and s in `\\frac{\\text{km}}{\\text{h}}` and where it ends; None for other fractions."""
    if at + 2 > len(found) or found[at].text != "{":
        return None
    top, middle = _raw_group(found, at)
    if middle >= len(found):
        return None
    bottom, end = _raw_group(found, middle)
    parts = [*top, *bottom]
    if len(parts) != 2 or not all(t.kind in ("text", "var") for t in parts) or {t.kind for t in parts} == {"var"}:
        return None
    return [parts[0]._replace(kind="text"), Token("op", "/"), parts[1]._replace(kind="text")], end


def _raw_group(found: list[Token], at: int) -> tuple[list[Token], int]:
    """The tokens in the braces at `at`, or the one token there; and where they end."""
    if at >= len(found):
        raise Unreadable("an empty script")
    if found[at].text != "{":
        return [found[at]], at + 1
    depth = 0
    for end in range(at, len(found)):
        depth += (found[end].text == "{") - (found[end].text == "}")
        if depth == 0:
            return found[at + 1 : end], end + 1
    raise Unreadable("braces do not match")
