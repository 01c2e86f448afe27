"""A row of tokens taken apart at what stands outside all brackets."""

import itertools
from collections.abc import Callable, Sequence

from cooper_jax.host.verifier.mathematics.algebra.sums import TooBig, Unreadable
from cooper_jax.host.verifier.mathematics.answers.kinds import Answer
from cooper_jax.host.verifier.mathematics.reading.tokens import Token

Read = Callable[[Sequence[Token]], Answer]
"""How a part is read: readers of relations and brackets are told, for what stands inside may be anything again."""
MAX_ITEMS = 64
"""Elements of a list."""

_LEADING = {"The answer is", "the answer is", "Answer", "or", "and"}


def stripped(toks: Sequence[Token]) -> Sequence[Token]:
    """Without separators at the ends and without braces around all of it."""
    while True:
        if toks and (toks[0].kind == "sep" or (toks[0].kind == "text" and toks[0].text.strip(" :.") in _LEADING)):
            toks = toks[1:]
        elif (toks and toks[-1].kind in ("sep", "row")) or (toks and toks[-1] == Token("bad", ".")):
            toks = toks[:-1]
        elif len(toks) > 2 and toks[0].text == "{" and matching(toks, 0) == len(toks) - 1:
            toks = toks[1:-1]
        else:
            break
    if not toks:
        raise Unreadable("empty")
    if len(toks) > 1000:
        raise TooBig("too long")
    return toks


def bracket_depths(toks: Sequence[Token]) -> list[int]:
    """The depth of brackets at each token."""
    out, depth = [], 0
    for t in toks:
        if t.kind in ("close", "end"):
            depth -= 1
        out.append(depth)
        if t.kind in ("open", "begin"):
            depth += 1
    return out


def split(toks: Sequence[Token], kind: str, *texts: str) -> list[Sequence[Token]]:
    """The parts between separators outside all brackets; empty parts are left out."""
    if not any(t.kind == kind and t.text in texts for t in toks):
        return [toks] if toks else []
    parts: list[Sequence[Token]] = []
    start = 0
    for i, (t, depth) in enumerate(zip(toks, bracket_depths(toks), strict=True)):
        if depth == 0 and t.kind == kind and t.text in texts:
            parts.append(toks[start:i])
            start = i + 1
    parts.append(toks[start:])
    parts = [p for p in parts if p]
    if len(parts) > MAX_ITEMS:
        raise TooBig("too many elements")
    return parts


def statements(toks: Sequence[Token]) -> list[Sequence[Token]]:
    """What a line break or a wide space parts, as in `x = 1 \\\\ y = 2`: statements, or nothing is parted."""
    marks = [i for i, t in enumerate(toks) if i and (t.kind == "row" or t.gap > 1)]
    if not marks:
        return []
    depths = bracket_depths(toks)
    bounds = [0, *(i for i in marks if not depths[i]), len(toks)]
    parts = [toks[a:b] for a, b in itertools.pairwise(bounds)]
    parts = [stripped([t for t in p if t.kind != "row"]) for p in parts if any(t.kind not in ("row", "sep") for t in p)]
    return parts if len(parts) > 1 and all(map(_relates, parts)) else []


def _relates(toks: Sequence[Token]) -> bool:
    """Whether a sign of relation stands between two sides, and no words before them."""
    signs = [i for i, (t, d) in enumerate(zip(toks, bracket_depths(toks), strict=True)) if t.kind == "rel" and not d]
    return bool(signs) and signs[0] > 0 and signs[-1] < len(toks) - 1 and toks[0].kind != "text"


def conjunction(toks: Sequence[Token]) -> list[Sequence[Token]]:
    """Parts between `and`s that are lists or inequalities: p = 5, q = 2 and p = 7, q = 2; 1 < x and x < 2."""
    parts = split(toks, "sep", "and")
    if len(parts) < 2:
        return []
    inner = [len(split(p, "sep", ",", ";")) for p in parts]
    if min(inner) > 1 and len(set(inner)) == 1 and all(split(p, "rel", "=")[1:] for p in parts):
        return parts
    if max(inner) == 1 and all(
        any(t.kind == "rel" and t.text in ("<", "<=", ">", ">=", "!=") for t in p) for p in parts
    ):
        return parts
    return []


def matching(toks: Sequence[Token], start: int) -> int:
    """Where the bracket at `start` closes."""
    depth = 0
    for i in range(start, len(toks)):
        depth += toks[i].kind == "open"
        depth -= toks[i].kind == "close"
        if depth == 0:
            return i
    raise Unreadable("brackets do not match")
