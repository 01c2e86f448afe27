"""Rows and cells of a matrix in LaTeX. What a cell is worth, the caller says."""

from collections.abc import Callable

from cooper_jax.host.verifier.mathematics.algebra.matrix import Matrix
from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio
from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.reading.cursor import Cursor
from cooper_jax.host.verifier.mathematics.reading.tokens import Token

MAX_SIDE = 8
"""Rows and columns of a matrix."""

_MATRICES = ("pmatrix", "bmatrix", "matrix", "vmatrix", "Bmatrix", "array", "smallmatrix", "Vmatrix")


def grid(at: Cursor, worth: Callable[[list[Token]], Ratio]) -> tuple[str, Matrix]:
    """The rest of `\\begin{name} ... \\end{name}`. Raises Unreadable unless all rows are of one length."""
    name = _environment(at)
    if name not in _MATRICES:
        raise Unreadable(f"the environment {name[:40]}")
    if name == "array":
        _skip_group(at)
    rows: list[list[Ratio]] = [[]]
    cell: list[Token] = []
    depth = 0
    while True:
        token = at.next()
        if token.kind == "begin":
            depth += 1
        if token.kind == "end" and depth:
            depth -= 1
        elif depth == 0 and token.kind in ("amp", "row", "end"):
            if cell or token.kind == "amp" or rows[-1]:
                rows[-1].append(worth(cell))
            cell = []
            if token.kind == "row":
                rows.append([])
            if token.kind == "end":
                break
            continue
        cell.append(token)
    if _environment(at) != name:
        raise Unreadable("an environment that does not end")
    rows = [row for row in rows if row]
    if not rows or len({len(row) for row in rows}) != 1 or max(len(rows), len(rows[0])) > MAX_SIDE:
        raise Unreadable("rows of different lengths, or too many")
    return name, tuple(map(tuple, rows))


def matrix_next(at: Cursor) -> bool:
    """Whether a matrix comes next, or brackets with one in them."""
    token = at.peek()
    return token is not None and "begin" in (token.kind, at.ahead().kind if token.text in ("(", "[") else "")


def enclosed(at: Cursor, worth: Callable[[list[Token]], Ratio]) -> Matrix:
    """The matrix that comes next, with the brackets around it."""
    token = at.next()
    if token.kind == "open":
        at.next()
    name, rows = grid(at, worth)
    if name == "vmatrix":
        raise Unreadable("a determinant of a number")
    if token.kind == "open":
        at.expect("close", {"(": ")", "[": "]"}[token.text])
    return rows


def _environment(at: Cursor) -> str:
    """Take a name in braces, as behind `\\begin`, without its star."""
    at.expect("open", "{")
    name = at.next().text
    if (star := at.peek()) is not None and star.text == "*":
        at.next()
    at.expect("close", "}")
    return name


def _skip_group(at: Cursor) -> None:
    at.expect("open", "{")
    while at.next().text != "}":
        pass
