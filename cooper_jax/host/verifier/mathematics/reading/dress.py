"""What surrounds an answer in its text, taken off: boxes, dollar signs, bold type, final punctuation."""

import re

from cooper_jax.host.verifier.mathematics.reading.characters import plain
from cooper_jax.host.verifier.mathematics.reading.spellings import recurring, respelled

MAX_DRESS = 32
"""Layers of dressing that are taken off an answer."""

_BRACE = re.compile(
    r"\\left\s*\\\{\s*\\begin\{(array|aligned)\}(\{[^{}]*\})?(.{1,1000}?)\\end\{\1\}\s*\\right\s*\.?", re.DOTALL
)

_TEXT = re.compile(r"\\text(?:bf|it|rm|normal|sf|tt|up)?\s*\{([^{}\\$]*)\}")
_SAID = re.compile(r"[\d,;=]|\b(?:and|or)\b")


def undressed(text: str) -> str:
    """Without what surrounds an answer: boxes, dollar signs, bold type, final punctuation."""
    out = recurring(plain(text))
    for _ in range(MAX_DRESS):
        before = out
        out = re.sub(r"(?:\\[,;:!]|\\q?quad(?![A-Za-z])|~|\s)+$", "", out).strip(" \t\n\r\f,;:")
        if (said := _TEXT.fullmatch(out)) and _SAID.search(said[1]):
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
    if len(parts := re.split(r"(?<!\\)\$", out)) % 2:
        # Between two formulas with nothing else there one statement ends.
        out = " ".join("~" if 0 < i < len(parts) - 1 and not i % 2 and p.isspace() else p for i, p in enumerate(parts))
    return respelled(re.sub(r"\\+boxed\s*(?=\{)", "", out).strip().rstrip("."))


def _balanced(text: str) -> bool:
    depth = 0
    for c in re.sub(r"\\[{}]", "", text):
        depth += (c == "{") - (c == "}")
        if depth < 0:
            return False
    return depth == 0
