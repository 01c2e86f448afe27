"""What an answer can be: values, words, tuples, sets, intervals, matrices, relations."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cooper_jax.host.verifier.mathematics.algebra.matrix import Matrix
from cooper_jax.host.verifier.mathematics.algebra.numeric import real
from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio
from cooper_jax.host.verifier.mathematics.algebra.sums import Mono
from cooper_jax.host.verifier.mathematics.reading.units import Unit


@dataclass(frozen=True)
class Value:
    """An expression. `digits`, `step`: significant digits of a decimal literal and what its last one is worth; `other`:
    what `a/bc` may mean as well."""

    ratio: Ratio
    digits: int = 0
    step: Fraction = Fraction(0)
    unit: Unit | None = None
    glued: bool = False
    """The unit was written without space or `\\text`, as in 10cm."""
    percent: bool = False
    other: Ratio | None = None
    inexact: bool = False
    """Some number in it is a decimal."""
    times: int = 1
    """What a word such as `dozen` has multiplied it by."""


@dataclass(frozen=True)
class Words:
    """Text. `value`: the product of its letters, where it may be one, as in `xy`."""

    text: str
    value: Ratio | None = None


@dataclass(frozen=True)
class Infinite:
    """Plus or minus infinity."""

    sign: int


@dataclass(frozen=True)
class Colon:
    """11:21, a ratio or a time."""

    parts: tuple["Answer", ...]


@dataclass(frozen=True)
class Based:
    """204_5: digits in a base, and what they are worth."""

    digits: str
    base: int
    value: Fraction


@dataclass(frozen=True)
class Pair:
    """(a, b), [a, b): a point, a list of two or an interval."""

    left: str
    first: "Answer"
    second: "Answer"
    right: str


@dataclass(frozen=True)
class Group:
    """Several answers. `kind`: "," as they stand, "(" tuple, "[" list, "{" set. Order counts for tuple and list."""

    kind: str
    items: tuple["Answer", ...]


@dataclass(frozen=True)
class Region:
    """Disjoint intervals in order, of `of` (a monomial such as x) or of nobody in particular."""

    intervals: tuple[tuple["End", "End"], ...]
    of: Mono | None = None


@dataclass(frozen=True)
class End:
    """An end of an interval: a real number, or `at` None for infinity."""

    at: Ratio | None
    closed: bool
    sign: int = 1

    @property
    def number(self) -> Any:
        """For ordering."""
        return self.sign * float("inf") if self.at is None else real(self.at)


@dataclass(frozen=True)
class Table:
    """A matrix or vector."""

    rows: Matrix


@dataclass(frozen=True)
class Equation:
    """`zero` = 0."""

    zero: Ratio


@dataclass(frozen=True)
class Inequality:
    """`low` op 0, with op `<`, `<=` or `!=`."""

    op: str
    low: Ratio


@dataclass(frozen=True)
class Named:
    """`name` = `value`, or `name` in `value`. `symbol`: the name is a variable; `loose`: it is an expression, as in
    2v = (1, 2), and the value says nothing without it."""

    name: str
    value: "Answer"
    symbol: bool
    loose: bool = False


@dataclass(frozen=True)
class System:
    """Several names with a value each. `ordered`: written as one tuple of names."""

    names: tuple[str, ...]
    values: tuple["Answer", ...]
    ordered: bool


Answer = (
    Value | Words | Infinite | Colon | Based | Pair | Group | Region | Table | Equation | Inequality | Named | System
)


@dataclass(frozen=True)
class Reading:
    """One way to read a text, and whether the text is likely to mean it."""

    answer: Answer
    likely: bool = True
