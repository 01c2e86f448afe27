"""What a traced or compiled function computes, for tests that ask how it does so."""

import math
import re
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


def makers(compiled: str, dtype: str, sizes: tuple[int, ...]) -> dict[int, set[str]]:
    """Of a compiled program's text: the opcodes that make arrays of so many elements, whatever the order of axes."""
    found: dict[int, set[str]] = {size: set() for size in sizes}
    for shape, opcode in re.findall(rf"= {dtype}\[([\d,]+)\]\S* ([\w-]+)\(", compiled):
        size = math.prod(map(int, shape.split(",")))
        if size in found:
            found[size].add(opcode)
    return found
