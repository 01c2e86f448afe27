"""Matrices of exact values."""

from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio, add, mul, neg, number
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
        minor = tuple(row[:k] + row[k + 1 :] for row in rows[1:])
        term = mul(head, determinant(minor))
        total = add(total, neg(term) if k % 2 else term)
    return total
