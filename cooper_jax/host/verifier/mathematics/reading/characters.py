"""Unicode mathematics put into LaTeX and ASCII."""

# ruff: noqa: RUF001 (tables of look-alikes)

import re
import unicodedata

from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.reading.vocabulary import (
    ACCENT,
    COMMANDS,
    DROPPED,
    FONT,
    FUNCTIONS,
    GREEK,
    SIZES,
    TEXT,
    WIDE,
)

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


_KNOWN = {
    *COMMANDS,
    *FUNCTIONS,
    *GREEK,
    *DROPPED,
    *SIZES,
    *WIDE,
    *TEXT,
    *FONT,
    *ACCENT,
    "boxed",
    "fbox",
    "pmod",
    "over",
}
_KNOWN |= {"choose", "dots", "ldots", "cdots", "color", "textcolor", "int", "lim"}
"""Commands: behind two backslashes anything else begins a line."""


def plain(text: str) -> str:
    """Unicode mathematics in LaTeX and ASCII; outer white space and final punctuation gone.

    Raises Unreadable for control characters and combining marks.
    """
    out = _backslashes(text)
    out = out if out.isascii() else "".join(_plain_pieces(out))
    if any((c < " " and c not in "\n\t\r\f") or (unicodedata.category(c) in ("Mn", "Cs", "Cc", "Co") and c not in
           "\n\t\r\f") for c in out):  # fmt: skip
        raise Unreadable("characters that no answer has")
    if r"\begin" not in out:
        out = re.sub(r"\\\\+([A-Za-z]+)", lambda m: "\\" + m[1] if m[1] in _KNOWN else m[0], out)
    return re.sub(r"\s{3,}", " ", out).strip()


_EATEN = re.compile(
    r"[\x07\x08\x0b\x0c](?=[A-Za-z])|\t(?=(?:ext[a-z]*|frac|binom|imes|heta|an|riangle|au|o|ilde|op)(?![a-z]))"
    r"|\r(?=(?:ight|angle|floor|ceil|brace|brack|ho)(?![a-z]))|\n(?=(?:eq|u|abla|otin|eg|eqq)(?![a-z]))"
)
_LETTER = {"\x07": "a", "\x08": "b", "\x0b": "v", "\x0c": "f", "\t": "t", "\r": "r", "\n": "n"}


def _backslashes(text: str) -> str:
    """With the commands whose backslash and first letter JSON took for a control character: form feed + `rac`."""
    return _EATEN.sub(lambda found: "\\" + _LETTER[found[0]], text)


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
    return f"\\{name} " if name in GREEK | {"pi"} else c
