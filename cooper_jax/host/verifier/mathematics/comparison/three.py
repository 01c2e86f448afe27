"""True, False and None for neither: what a comparison says, and what follows from several."""

from collections.abc import Callable, Iterable

from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio

Decide = Callable[[Ratio, Ratio], bool | None]
"""Whether two expressions are equal."""


def every(results: Iterable[bool | None]) -> bool | None:
    """Whether all hold: False where one does not, else None where one is open."""
    found = list(results)
    if False in found:
        return False
    return None if None in found else True
