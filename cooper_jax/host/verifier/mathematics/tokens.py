"""The text of an answer -> tokens. LaTeX, plain text and Unicode mathematics come out alike; nothing is evaluated."""

# ruff: noqa: RUF001, SIM905 (tables of look-alikes, and lists of words)

import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

from cooper_jax.host.verifier.mathematics.algebra.sums import TooBig, Unreadable
from cooper_jax.host.verifier.mathematics.units import letters, unit

MAX_LENGTH = 4000
"""Characters of an answer that is read."""
MAX_TOKENS = 1500


class Token(NamedTuple):
    """`kind` says what it is, `text` which one. `gap`: white space stood before it."""

    kind: str
    text: str
    gap: bool = False
    value: Fraction | None = None


FUNCTIONS = {
    **{name: name for name in "sin cos tan sec csc cot sinh cosh tanh arcsin arccos arctan ln log exp gcd lcm".split()},
    **{name: name for name in "max min det floor ceil abs arcsinh arccosh arctanh cbrt".split()},
    **{"asin": "arcsin", "acos": "arccos", "atan": "arctan", "lg": "lg", "tg": "tan", "ctg": "cot", "Re": "Re"},
    **{"arcsec": "arcsec", "arccot": "arccot", "arccsc": "arccsc", "Im": "Im", "sgn": "sgn"},
}
_COMMANDS: dict[str, tuple[str, str]] = {
    **{name: ("frac", "frac") for name in ("frac", "dfrac", "tfrac", "cfrac", "rac")},
    **{name: ("binom", "binom") for name in ("binom", "dbinom", "tbinom")},
    **{"cdot": ("op", "*"), "times": ("op", "*"), "ast": ("op", "*"), "div": ("op", "/"), "bullet": ("op", "*")},
    **{"pm": ("pm", "+"), "mp": ("pm", "-"), "infty": ("infty", ""), "sqrt": ("sqrt", ""), "pi": ("var", "pi")},
    **{"le": ("rel", "<="), "leq": ("rel", "<="), "leqslant": ("rel", "<="), "leqq": ("rel", "<=")},
    **{"ge": ("rel", ">="), "geq": ("rel", ">="), "geqslant": ("rel", ">="), "geqq": ("rel", ">=")},
    **{"lt": ("rel", "<"), "gt": ("rel", ">"), "ne": ("rel", "!="), "neq": ("rel", "!="), "in": ("rel", "in")},
    **{"approx": ("rel", "~"), "thickapprox": ("rel", "~"), "simeq": ("rel", "~"), "colon": ("rel", ":")},
    **{"mid": ("mid", ""), "vert": ("bar", "|"), "lvert": ("bar", "|"), "rvert": ("bar", "|"), "equals": ("rel", "=")},
    **{"cup": ("set", "cup"), "cap": ("set", "cap"), "setminus": ("set", "minus"), "backslash": ("set", "minus")},
    **{"emptyset": ("empty", ""), "varnothing": ("empty", ""), "lbrace": ("open", "\\{"), "rbrace": ("close", "\\}")},
    **{"lfloor": ("open", "\\lfloor"), "rfloor": ("close", "\\rfloor"), "lceil": ("open", "\\lceil")},
    **{"rceil": ("close", "\\rceil"), "lbrack": ("open", "["), "rbrack": ("close", "]"), "lor": ("sep", "lor")},
    **{"vee": ("sep", "lor"), "land": ("sep", "land"), "wedge": ("sep", "land"), "sum": ("big", "sum")},
    **{"prod": ("big", "prod"), "bmod": ("op", "mod"), "mod": ("op", "mod"), "degree": ("degree", "")},
    **{"circ": ("circ", ""), "prime": ("prime", "'"), "langle": ("open", "("), "rangle": ("close", ")")},
    **{"begin": ("begin", ""), "end": ("end", ""), "rightarrow": ("arrow", ""), "to": ("arrow", "")},
    **{"because": ("bad", ""), "therefore": ("drop", ""), "R": ("domain", "R"), "Z": ("domain", "Z")},
    **{"N": ("domain", "N"), "Q": ("domain", "Q"), "C": ("domain", "C"), "newline": ("row", ""), "cr": ("row", "")},
    **{"varepsilon": ("var", "epsilon"), "varphi": ("var", "phi"), "vartheta": ("var", "theta")},
}
_DROPPED = set(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm displaystyle textstyle scriptstyle "
    "limits nolimits quad qquad hfill mathstrut strut noindent thinspace enspace rm bf it normalsize large Large "
    "kern hline negthinspace".split()
)
_TEXT = set("text textbf textit textrm textnormal textsf texttt mbox emph textup hbox underline".split())
_UPRIGHT = set("text textrm textnormal mbox mathrm operatorname".split())
_FONT = set("mathrm mathbf mathit mathsf mathtt boldsymbol bm pmb mathnormal operatorname".split())
_ACCENT = set(
    "overline bar hat widehat vec overrightarrow tilde widetilde dot ddot mathbb mathcal mathfrak mathscr angle "
    "triangle overarc".split()
)
_GREEK = set(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron rho sigma tau upsilon phi chi "
    "psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar".split()
)
_ESCAPES = {
    "{": ("open", "\\{"),
    "}": ("close", "\\}"),
    "%": ("percent", ""),
    "$": ("money", "$"),
    "|": ("bar", "|"),
    "&": ("bad", "&"),
    "#": ("bad", "#"),
    "_": ("bad", "_"),
}
_SIGNS: dict[str, tuple[str, str]] = {
    **{c: ("op", c) for c in "+-*/^_!"},
    **{c: ("open", c) for c in "([{"},
    **{c: ("close", c) for c in ")]}"},
    **{",": ("sep", ","), ";": ("sep", ";"), "&": ("amp", ""), "|": ("bar", "|"), "%": ("percent", "")},
    **{"=": ("rel", "="), "<": ("rel", "<"), ">": ("rel", ">"), ":": ("rel", ":"), "$": ("money", "$")},
    **{
        "€": ("money", "€"),
        "£": ("money", "£"),
        "¥": ("money", "¥"),
        "¢": ("money", "¢"),
        "₹": ("money", "₹"),
        "'": ("prime", "'"),
    },
}
_UNICODE = {
    **dict.fromkeys("−–—‐‑‒﹣－", "-"),
    **dict.fromkeys("×⋅·∙∗⁎", "*"),
    **dict.fromkeys("\u00a0\u202f\u205f\u3000\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a", " "),
    **dict.fromkeys("\u200b\u2060\ufeff\u2061\u2062\u2063\u2064", ""),
    **dict.fromkeys("’‘′`´", "'"),
    **dict.fromkeys("∕⁄÷", "/"),
    **{"≤": r"\le ", "⩽": r"\le ", "≦": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≧": r"\ge ", "≠": r"\ne "},
    **{"≈": r"\approx ", "∈": r"\in ", "∪": r"\cup ", "∩": r"\cap ", "∖": r"\setminus ", "∅": r"\emptyset "},
    **{"±": r"\pm ", "∓": r"\mp ", "∞": r"\infty ", "√": r"\sqrt ", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"},
    **{"°": r"\degree ", "º": r"\degree ", "π": r"\pi ", "ℝ": r"\R ", "ℤ": r"\Z ", "ℕ": r"\N ", "ℚ": r"\Q "},
    **{"。": ".", "、": ",", "“": '"', "”": '"', "⟨": "(", "⟩": ")", "∑": r"\sum ", "∏": r"\prod ", "∣": "|"},
    **{"∨": r"\lor ", "∧": r"\land ", "∠": r"\angle ", "ϕ": r"\phi ", "ℓ": r"\ell "},
}
_SUPER = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni", strict=True))
_SUB = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-", strict=True))
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
_WORDS: dict[str, tuple[str, str]] = {
    "pi": ("var", "pi"),
    "and": ("sep", "and"),
    "or": ("sep", "or"),
    "infinity": ("infty", ""),
    "infty": ("infty", ""),
    "inf": ("infty", ""),
    "oo": ("infty", ""),
    "percent": ("percent", ""),
    "sqrt": ("fn", "sqrt"),
    "theta": ("var", "theta"),
    "union": ("set", "cup"),
    "pm": ("pm", "+"),
    "degrees": ("degree", ""),
    "degree": ("degree", ""),
}


def plain(text: str) -> str:
    """Unicode mathematics in LaTeX and ASCII; outer white space and final punctuation gone.

    Raises Unreadable for control characters and combining marks.
    """
    out = text if text.isascii() else "".join(_plain_pieces(text))
    if any((c < " " and c not in "\n\t\r\f") or (unicodedata.category(c) in ("Mn", "Cs", "Cc", "Co") and c not in
           "\n\t\r\f") for c in out):  # fmt: skip
        raise Unreadable("characters that no answer has")
    if r"\begin" not in out:
        out = re.sub(r"\\\\+(?=[A-Za-z])", r"\\", out)
    return re.sub(r"\s{3,}", " ", out).strip()


def _plain_pieces(text: str) -> list[str]:
    out: list[str] = []
    at = 0
    while at < len(text):
        c = text[at]
        for table, mark in ((_SUPER, "^"), (_SUB, "_")):
            if c in table:
                end = at
                while end < len(text) and text[end] in table:
                    end += 1
                out.append(f"{mark}{{{''.join(table[x] for x in text[at:end])}}}")
                at = end
                break
        else:
            if c in _UNICODE:
                out.append(_UNICODE[c])
            elif unicodedata.category(c) == "No" and "⁄" in unicodedata.normalize("NFKC", c):
                top, bottom = unicodedata.normalize("NFKC", c).split("⁄")
                out.append(rf"\frac{{{top}}}{{{bottom}}}")
            elif 0xFF01 <= ord(c) <= 0xFF5E or 0x1D400 <= ord(c) <= 0x1D7FF:
                wide = unicodedata.normalize("NFKC", c)
                out.append(_UNICODE.get(wide, wide))
            elif "GREEK" in unicodedata.name(c, "") and c.isalpha():
                out.append(_greek(c))
            else:
                out.append(c)
            at += 1
    return out


def _greek(c: str) -> str:
    name = unicodedata.name(c).split()[-1].lower().replace("lamda", "lambda")
    name = name.capitalize() if c.isupper() else name
    return f"\\{name} " if name in _GREEK | {"pi"} else c


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
    at, gap = 0, False
    while at < len(text):
        found = _TOKEN.match(text, at)
        assert found is not None  # `other` matches anything.
        at, kind, piece = found.end(), found.lastgroup or "", found[found.lastgroup or 0]
        if len(out) > MAX_TOKENS:
            raise TooBig("too many tokens")
        if kind == "space":
            gap = True
            continue
        if kind == "command":
            if piece in _DROPPED or piece in ("hspace", "vspace"):
                if piece in ("hspace", "vspace"):
                    at = _group(text, at)[1]
                elif piece in ("left", "right") and text[at : at + 1] == ".":
                    at += 1
                gap = True
                continue
            if piece in _TEXT | _FONT:
                content, at = _group(text, at)
                _text(content, piece, out, depth, gap)
                gap = False
                continue
            if piece in _ACCENT:
                content, at = _group(text, at)
                name = re.sub(r"[\s{}\\]", "", content).replace("imath", "i").replace("jmath", "j")
                if piece == "mathbb" and name in "RZNQC" and name:
                    out.append(Token("domain", name, gap))
                else:
                    out.append(Token("var", f"{piece}({name})", gap))
            else:
                out.append(_command(piece, gap))
        elif kind == "escape":
            if piece in ",;:!> \t\n/":
                gap = True
                continue
            if piece not in _ESCAPES:
                raise Unreadable(f"\\{piece}")
            out.append(Token(*_ESCAPES[piece], gap))
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
        elif piece in _SIGNS:
            out.append(Token(*_SIGNS[piece], gap))
        elif piece.isalpha():
            out.append(Token("word", piece, gap))
        else:
            out.append(Token("bad", piece, gap))
        gap = False


def _command(name: str, gap: bool) -> Token:
    if name in _COMMANDS:
        kind, text = _COMMANDS[name]
        return Token(kind, text, gap)
    if name in FUNCTIONS:
        return Token("fn", FUNCTIONS[name], gap)
    if name in _GREEK:
        return Token("var", name, gap)
    return Token("bad", f"\\{name}", gap)


def _relation(sign: str, gap: bool) -> Token:
    if sign == "**":
        return Token("op", "^", gap)
    if sign == "->":
        return Token("arrow", "", gap)
    if sign == "~":  # LaTeX's unbreakable space.
        return Token("drop", "", True)
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


def _text(content: str, command: str, out: list[Token], depth: int, gap: bool) -> None:
    """`\\text{...}`: words stay one token; numbers, single letters, conjunctions and mathematics are read on."""
    bare = re.sub(r"~|\\[ ,;:!]", " ", content).strip()
    after_number = bool(out) and out[-1].kind in ("num", "close", "degree", "percent")
    after_unit = len(out) > 1 and out[-1].text in ("/", "*") and out[-2].kind == "text"
    conjunction = re.fullmatch(r"[,;\s]*(and|or)[,;\s]*", bare)
    if conjunction:
        out.append(Token("sep", conjunction[1], True))
    elif not bare:
        return
    elif re.fullmatch(r"per ?cent|degrees?", bare):
        out.append(Token("degree" if bare[0] == "d" else "percent", "", gap))
    elif re.fullmatch(r"(infinity|infty)", bare, re.IGNORECASE):
        out.append(Token("infty", "", gap))
    elif bare in FUNCTIONS and command in ("operatorname", "mathrm"):
        out.append(Token("fn", FUNCTIONS[bare], gap))
    elif (after_number or after_unit) and command in _UPRIGHT and _is_unit(bare):
        out.append(Token("text", re.sub(r"\\(cdot|times)", "*", bare), gap))
    elif len(bare) == 1 and bare.isalpha():
        out.append(Token("var", bare, gap))
    elif half := _HALF.fullmatch(bare):
        out.append(Token("text", f"{half[1]}m".lower(), gap))
    elif re.fullmatch(r"[\s\d.,+\-(){}\\$^_/=]*|\(?[A-Za-z]\)?[.:]?", bare) or (
        command in _FONT and re.search(r"[\\^_\d+=]", bare)
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


def _word(word: str, text: str, at: int, out: list[Token], gap: bool) -> int:
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
    elif word in _WORDS or lower in ("pi", "infinity", "and", "or"):
        out.append(Token(*_WORDS.get(word) or _WORDS[lower], gap))
    elif split := re.fullmatch(r"(sin|cos|tan|ln|log|sqrt)([a-z])", word):
        out.append(Token("fn", split[1], gap))
        out.append(Token("var", split[2], False))
    elif len(word) == 1:
        # x3 is a name; a space or a sign ends it.
        index = re.compile(r"\d{1,3}(?![\d.])").match(text, at)
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
        if token.kind == "op" and token.text == "_" and out and out[-1].kind in ("var", "bar", "word", "text"):
            inner, end = _raw_group(found, at)
            if not inner:
                raise Unreadable("an empty subscript")
            index = "".join(t.text for t in inner)
            if out[-1].kind == "var":
                out[-1] = out[-1]._replace(text=f"{out[-1].text}_{index}")
            elif out[-1].kind == "word":
                last = out.pop()
                out.append(last._replace(text=last.text[:-1])) if len(last.text) > 1 else None
                out.append(Token("var", f"{last.text[-1]}_{index}", False))
            at = end
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
