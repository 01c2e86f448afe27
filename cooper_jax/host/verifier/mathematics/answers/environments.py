"""What stands between `\\begin` and `\\end`, but for matrices: cases, aligned lines."""

from collections.abc import Sequence

from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.answers.kinds import Answer, Group
from cooper_jax.host.verifier.mathematics.answers.parts import Read, split
from cooper_jax.host.verifier.mathematics.reading.tokens import Token


def environment(toks: Sequence[Token], statement: Read) -> Answer | None:
    """The cases or lines that the tokens are; None for a matrix."""
    name = toks[2].text if len(toks) > 3 else ""
    if name not in ("cases", "aligned", "align", "gathered", "array") or not any(t.kind == "rel" for t in toks):
        return None
    end = next((i for i, t in enumerate(toks) if t.kind == "end"), 0)
    if not end or [t.text for t in toks[end + 1 :]] != ["{", name, "}"]:
        raise Unreadable("something behind an environment")
    if any(t.kind == "amp" and "rel" not in (toks[i - 1].kind, toks[i + 1].kind) for i, t in enumerate(toks[:end])):
        return _piecewise(toks[4:end], statement)
    inner = [t._replace(kind="sep", text=",") if t.kind == "row" else t for t in toks[4:end] if t.kind != "amp"]
    return statement(inner)


def _piecewise(toks: Sequence[Token], statement: Read) -> Answer:
    """Values with their conditions, in any order."""
    pieces: list[Answer] = []
    for row in split(toks, "row", ""):
        parts = [p for p in split(row, "amp", "") if not all(map(_introduces, p))]
        if len(parts) != 2:
            raise Unreadable("a piece without its condition")
        condition = [t for t in parts[1] if not _introduces(t)]
        pieces.append(Group("[", (statement(parts[0]), statement(condition))))
    return Group("{", tuple(pieces))


def _introduces(t: Token) -> bool:
    """Whether it is the `if` of a condition."""
    return t.kind in ("text", "word") and t.text in ("if", "for", "when")
