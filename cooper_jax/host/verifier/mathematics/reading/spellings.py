"""Several spellings of one thing, brought to one in the text before it is read. Every pattern takes linear time."""

import re
from collections.abc import Callable
from fractions import Fraction

from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable

_BASES = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = r"[-+]?\(?\d[\dA-Fa-f.]{0,200}\)?"
_BASE = rf" ?(?:base[ -]?)?\}}? ?({'|'.join(_BASES)}|\d\d?) ?"
_UPRIGHT = r"\\(?:text|mathrm|operatorname)\s*\{\s*"
_ENDLESS = re.compile(r"(?<!\d)(\d*\.\d{1,60})\s*(?:\.\.\.|…|\\[lcd]?dots(?![A-Za-z]))")
_CONDITION = re.compile(
    r"(?:[\s,;]|\\[,; ]|\\q?quad|\\text\s*\{\s*(?:for|where|with)?\s*(?:any|all)?\s*(?:integers?)?\s*\})*"
    r"\(?\s*\b([kmn])\s*\\in\s*(?:\\mathbb\s*\{?\s*Z\s*\}?|\\Z|Z)\s*\)?$"
)


def _chosen(found: re.Match[str]) -> str:
    """C_{10}^5 as a binomial coefficient; C_1^2 is the square of a constant."""
    n, k = int(found[1]), int(found[2])
    return rf"\binom{{{n}}}{{{k}}}" if n >= max(4, k) else found[0]


def _stacked(found: re.Match[str]) -> str:
    return rf"\{'binom' if found[2] == 'choose' else 'frac'}{{{found[1]}}}{{{found[3]}}}"


def _based(found: re.Match[str]) -> str:
    return f"{found[1]}_{{{_BASES.index(found[2]) + 2 if found[2] in _BASES else found[2]}}}"


_SPELLINGS: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    ("color", re.compile(r"\\(?:text)?color\s*\{[A-Za-z]{1,20}\}"), lambda _: ""),
    ("'clock", re.compile(r"o'clock"), lambda _: "oclock"),
    ("10", re.compile(r"(?<=\d) ?[xX] ?(?=10\s?(?:\^|\*\*))"), lambda _: r"\times "),
    (r"\choose", re.compile(r"\{([^{}]{1,40})\\(choose)(?![A-Za-z])([^{}]{1,40})\}"), _stacked),
    (r"\over", re.compile(r"\{([^{}]{1,40})\\(over)(?![A-Za-z])([^{}]{1,40})\}"), _stacked),
    ("C_", re.compile(r"(?<![A-Za-z\\])C_\{?(\d{1,3})\}?\^\{?(\d{1,3})\}?(?!\d)"), _chosen),
    ("C_", re.compile(r"^(?:\{ ?\})?\^\{?(\d{1,3})\}? ?C_\{?(\d{1,3})\}?$"), _chosen),
    ("{o}", re.compile(rf"\^ ?\{{? ?{_UPRIGHT}o\}} ?\}}?"), lambda _: r"^\circ"),
    (
        "mod",
        re.compile(
            rf"\( ?(?:{_UPRIGHT}mod ?\}}?|\\b?mod|mod)(?:\\?[ ,;~])* ?\{{?(\w+)\}}?\}}? ?\)|\\pmod ?\{{?(\w+)\}}?"
        ),
        lambda m: rf"\pmod{{{m[1] or m[2]}}}",
    ),
    ("_", re.compile(rf"^({_DIGITS}) ?_ ?\{{? ?(?:{_UPRIGHT})?\(?{_BASE}\)?\}}?\}}?$"), _based),
    ("base", re.compile(rf"^({_DIGITS}) ?{_UPRIGHT}\(?{_BASE}\)?\}}$"), _based),
)
"""A text that a spelling must have, the spelling, and what is put for it."""


_ORDINAL = re.compile(
    r"(?<![\d.,A-Za-z^_{])(\d{1,6})\s?(?:\^\s?\{\s?\\(?:text|mathrm|rm)\s?\{\s?(\w\w)\s?\}\s?\}|\^\s?\{\s?(\w\w)\s?\}"
    r"|\^?\s?\\(?:text|mathrm|textsuperscript)\s?\{\s?(\w\w)\s?\}|(?<=\d)(\w\w))(?![A-Za-z(^])"
)


def _counted(found: re.Match[str]) -> str:
    """5 for 5th, where the ending is the number's own."""
    n, end = int(found[1]), next(g for g in found.groups()[1:] if g)
    own = "th" if n // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return found[1] if end == own else found[0]


_PRIME = r"(?:\^\s*\{?\s*\\prime\s*\}?|')"
_PRIMES = r"(?:\^\s*\{?\s*\\prime\s*\\prime\s*\}?|''|\")"
_MINUTES = re.compile(
    rf"(?<![\d.])(\d{{1,4}})\s*(?:\^\s*\{{?\s*\\circ\s*\}}?|\\degree)\s*(\d{{1,2}}(?:\.\d{{1,6}})?)\s*{_PRIME}(?!\s*\\prime|')"
    rf"(?:\s*(\d{{1,2}}(?:\.\d{{1,6}})?)\s*{_PRIMES})?"
)


def _degrees(found: re.Match[str]) -> str:
    """Degrees, minutes and seconds as a fraction of degrees."""
    whole = int(found[1]) + Fraction(found[2]) / 60 + Fraction(found[3] or 0) / 3600
    return rf"\frac{{{whole.numerator}}}{{{whole.denominator}}}^{{\circ}}"


def respelled(text: str) -> str:
    """The text with one spelling for what has several, and without the condition that a counter is an integer."""
    for hint, pattern, plainer in _SPELLINGS:
        if hint in text:
            text = pattern.sub(plainer, text)
    if any(end in text for end in ("st", "nd", "rd", "th")):
        text = _ORDINAL.sub(_counted, text)
    if "prime" in text or "'" in text:
        text = _MINUTES.sub(_degrees, text)
    condition = _CONDITION.search(text, max(0, len(text) - 80)) if r"\in" in text else None
    if condition is None:
        return text
    rest = text[: condition.start()]
    counted = re.search(rf"(?<![A-Za-z]){condition[1]}(?![A-Za-z])", rest)
    return rest if counted and not re.search(r"[<>]|\\(?:[lg]|in|ne)", rest) else text


def recurring(text: str) -> str:
    """0.1666... with its cycle marked. Raises Unreadable unless the cycle stands there three times."""
    return _ENDLESS.sub(_marked, text) if "..." in text or "dots" in text or "…" in text else text


def _marked(found: re.Match[str]) -> str:
    if cycle := re.search(r"(\d{1,12}?)\1\1+$", found[1].partition(".")[2]):
        return found[1][: len(found[1]) - len(cycle[0])] + rf"\overline{{{cycle[1]}}}"
    raise Unreadable("a decimal that goes on")


def squeezed(bare: str) -> str:
    """Without white space that parts nothing, and with one spelling of what has several."""
    out = re.sub(r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle)(?![A-Za-z])", "", bare)
    out = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", out)
    out = re.sub(r"\\(?:text|textbf|mathrm|mathbf|textit|textnormal|mbox)\s*\{\s*([A-Za-z]+)\s*\}", r"{\1}", out)
    out = re.sub(r"(\\[A-Za-z]+)\s+(?![A-Za-z])", r"\1", out)
    return re.sub(r"(?<!\w)\s+|\s+(?!\w)", "", re.sub(r"\s+", " ", out)).strip()
