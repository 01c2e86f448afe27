"""What a traced function computes, for tests that ask how it does so."""

from collections.abc import Iterator
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn


def equations(jaxpr: Any) -> Iterator[JaxprEqn]:
    """All equations of a jaxpr, those of loops, branches and calls inside it too."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in equation.params.values():
            for each in inner if isinstance(inner, (tuple, list)) else [inner]:
                if isinstance(each, (Jaxpr, ClosedJaxpr)):
                    yield from equations(each)


def made(jaxpr: Any) -> Iterator[Any]:
    """Shapes and types of all arrays that are computed on the way."""
    return (out.aval for equation in equations(jaxpr) for out in equation.outvars)
