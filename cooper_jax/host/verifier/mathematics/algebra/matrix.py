"""Matrices of exact values."""

from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio, add, div, mul, neg, number
from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable

Matrix = tuple[tuple[Ratio, ...], ...]


def determinant(rows: Matrix) -> Ratio:
    """The determinant. Raises Unreadable unless the matrix is square and small."""
    if len({len(rows), *map(len, rows)}) != 1 or len(rows) > 4:
        raise Unreadable("a determinant that is not square, or too large")
    first = rows[0]  # pyright: ignore[reportGeneralTypeIssues]
    if len(rows) == 1:
        return first[0]
    total = number(0)
    for k, head in enumerate(first):
        term = mul(head, determinant(_minor(rows, 0, k)))
        total = add(total, neg(term) if k % 2 else term)
    return total


def inverse(rows: Matrix) -> Matrix:
    """The inverse, by Cramer's rule. Raises Unreadable where there is none, or the matrix is not small."""
    whole = determinant(rows)
    if len(rows) == 1:
        return ((div(number(1), whole),),)

    def cell(i: int, k: int) -> Ratio:
        minor = determinant(_minor(rows, k, i))
        return div(neg(minor) if (i + k) % 2 else minor, whole)

    return tuple(tuple(cell(i, k) for k in range(len(rows))) for i in range(len(rows)))


def _minor(rows: Matrix, i: int, k: int) -> Matrix:
    """Without row i and column k."""
    return tuple(row[:k] + row[k + 1 :] for j, row in enumerate(rows) if j != i)
