"""What stands between `\\begin` and `\\end`: matrices, cases, aligned lines."""

from collections.abc import Sequence

from cooper_jax.host.verifier.mathematics.algebra.ratio import mul, number
from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.answers.kinds import Answer, Group, Table, Value
from cooper_jax.host.verifier.mathematics.answers.parts import Read, split
from cooper_jax.host.verifier.mathematics.reading.expression import Reader
from cooper_jax.host.verifier.mathematics.reading.tokens import Token


def environment(toks: Sequence[Token], statement: Read) -> Answer:
    """The environment that the tokens are, with what may stand behind a matrix."""
    name = toks[2].text if len(toks) > 3 else ""
    if name == "vmatrix":
        return Value(Reader(toks).whole())
    if name in ("cases", "aligned", "align", "gathered", "array") and any(t.kind == "rel" for t in toks):
        end = next((i for i, t in enumerate(toks) if t.kind == "end"), 0)
        if not end or [t.text for t in toks[end + 1 :]] != ["{", name, "}"]:
            raise Unreadable("something behind an environment")
        if any(t.kind == "amp" and "rel" not in (toks[i - 1].kind, toks[i + 1].kind) for i, t in enumerate(toks[:end])):
            return _piecewise(toks[4:end], statement)
        inner = [t._replace(kind="sep", text=",") if t.kind == "row" else t for t in toks[4:end] if t.kind != "amp"]
        return statement(inner)
    reader = Reader(toks[1:])
    _, rows = reader.matrix()
    if "".join(t.text for t in toks[1 + reader.at :]) in ("^T", "^{T}"):
        return Table(tuple(zip(*rows, strict=True)))
    if reader.peek() is not None:
        raise Unreadable("arithmetic with a matrix")
    return Table(rows)


def _piecewise(toks: Sequence[Token], statement: Read) -> Answer:
    """Values with their conditions, in any order."""
    pieces: list[Answer] = []
    for row in split(toks, "row", ""):
        parts = split(row, "amp", "")
        if len(parts) != 2:
            raise Unreadable("a piece without its condition")
        condition = [t for t in parts[1] if not (t.kind in ("text", "word") and t.text in ("if", "for", "when"))]
        pieces.append(Group("[", (statement(parts[0]), statement(condition))))
    return Group("{", tuple(pieces))


def scaled(scale: Sequence[Token], a: Answer) -> Answer:
    """A number times a matrix."""
    if not isinstance(a, Table):
        raise Unreadable("arithmetic with a matrix")
    if len(scale) > 1 and scale[-1].text == "*":
        scale = scale[:-1]
    factor = number(-1) if [t.text for t in scale] == ["-"] else Reader(scale).whole()
    return Table(tuple(tuple(mul(factor, x) for x in row) for row in a.rows))
