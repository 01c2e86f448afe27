"""Sums of matrices times expressions, as in c_1 [1, 2]^T e^t + c_2 ([0, 1]^T + t [1, 2]^T)."""

from collections.abc import Sequence

from cooper_jax.host.verifier.mathematics.algebra.matrix import Matrix, inverse
from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio, add, mul, neg, number
from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.answers.parts import bracket_depths, matching
from cooper_jax.host.verifier.mathematics.reading.expression import Reader
from cooper_jax.host.verifier.mathematics.reading.tokens import Token


def combination(toks: Sequence[Token]) -> Matrix:
    """The matrix that the tokens are worth. Raises Unreadable for a term without a matrix or with two of them."""
    total: Matrix | None = None
    for negative, term in _terms(toks):
        rows = _term(term)
        rows = tuple(tuple(map(neg, row)) for row in rows) if negative else rows
        if total is None:
            total = rows
        elif (len(total), len(total[0])) != (len(rows), len(rows[0])):
            raise Unreadable("matrices of different sizes")
        else:
            total = tuple(tuple(map(add, x, y)) for x, y in zip(total, rows, strict=True))
    if total is None:
        raise Unreadable("empty")
    return total


def _terms(toks: Sequence[Token]) -> list[tuple[bool, list[Token]]]:
    """The terms of a sum, and whether each is taken away."""
    out: list[tuple[bool, list[Token]]] = [(False, [])]
    for t, depth in zip(toks, bracket_depths(toks), strict=True):
        before = out[-1][1][-1:]
        if depth == 0 and t.kind == "op" and t.text in "+-" and not (before and before[0].text in ("*", "/", "^", "_")):
            if before:
                out.append((t.text == "-", []))
            else:
                out[-1] = (out[-1][0] != (t.text == "-"), [])
        else:
            out[-1][1].append(t)
    return out


def _term(toks: list[Token]) -> Matrix:
    """One matrix with its factors before and behind it."""
    start = next((i for i, t in enumerate(toks) if t.kind == "begin"), -1)
    if start < 0:
        raise Unreadable("arithmetic with a matrix")
    depths = bracket_depths(toks)
    opening = next(i for i in range(start + 1) if all(depths[j] > 0 for j in range(i + 1, start + 1)))
    if opening < start:
        end = matching(toks, opening) + 1
        if toks[opening].text + toks[end - 1].text not in ("()", "[]", "{}"):
            raise Unreadable("brackets around a matrix")
        rows = combination(toks[opening + 1 : end - 1])
        if opening and toks[opening - 1].kind == "var" and _applies(toks[opening - 1].text):
            raise Unreadable("a value or a product")
    else:
        end = next(i for i in range(start, len(toks)) if toks[i].kind == "end" and depths[i] == depths[start])
        end = matching(toks, end + 1) + 1
        reader = Reader(toks[start + 1 : end])
        name, rows = reader.matrix()
        if name in ("vmatrix", "Vmatrix") or reader.peek() is not None:
            raise Unreadable("arithmetic with a matrix")
    before, behind = toks[:opening], toks[end:]
    script = "".join(t.text for t in behind[:5])
    for power, worked in (("^T", _turned), ("^{T}", _turned), ("^{-1}", inverse)):
        if script.startswith(power):
            rows, behind = worked(rows), behind[len(power) :]
            break
    if before and before[-1].text == "*":
        before = before[:-1]
    if behind and behind[0].text == "*":
        behind = behind[1:]
    if any(t.kind in ("begin", "bar", "text", "money") for t in (*before, *behind)):
        raise Unreadable("arithmetic with a matrix")
    for factor in (before, behind):
        if factor:
            rows = _times(Reader(factor).whole(), rows)
    return rows


def determinants(toks: Sequence[Token]) -> bool:
    """Whether matrices stand between bars or behind `det`: what is worth a number."""
    return any(t.kind == "bar" or t.text in ("det", "vmatrix") for t in toks)


def _applies(name: str) -> bool:
    """Whether a name before brackets is more likely a map than a factor."""
    return len(name) == 1 and (name.isupper() or name in "fgh")


def _turned(rows: Matrix) -> Matrix:
    return tuple(zip(*rows, strict=True))


def _times(scale: Ratio, rows: Matrix) -> Matrix:
    return rows if scale == number(1) else tuple(tuple(mul(scale, x) for x in row) for row in rows)
