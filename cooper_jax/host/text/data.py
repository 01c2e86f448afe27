"""Questions with references from many kinds of file, in a seeded order that can be taken up where it stopped.

A row is of a published format, or a question and an answer, each in a column that is named or recognised;
docs/data.md shows them all.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa

from cooper_jax.config import Data, require, visible
from cooper_jax.host import arithmetic
from cooper_jax.host.text import columns, files, formats
from cooper_jax.host.text.formats import Question, Row
from cooper_jax.host.text.problem import Message as Message
from cooper_jax.host.text.problem import Problem

_EXAMPLES = 3
T = TypeVar("T")
U = TypeVar("U")


class Problems(Generic[T]):
    """Problems of one source, and what became of the rest; as text, the line a program prints at its start."""

    def __init__(self, source: str, rows: int, problems: Sequence[T]) -> None:
        self.kept, self.source = list(problems), source
        self._said = f"{source}: {rows:,} rows"
        self._dropped: list[str] = []

    def note(self, count: int, reason: str, examples: Sequence[str] = ()) -> None:
        """Say that `count` rows were left out, with a few examples."""
        shown = f" (e.g. {', '.join(examples[:_EXAMPLES])})" if examples else ""
        if count:
            self._dropped.append(f"{count:,} {reason}{shown}")

    def drop(self, reason: str, wrong: Sequence[bool] | np.ndarray, shown: Callable[[T], str] | None = None) -> None:
        """Leave out the problems that are `wrong`, and count them under `reason`."""
        out = [problem for problem, bad in zip(self.kept, wrong, strict=True) if bad]
        self.kept = [problem for problem, bad in zip(self.kept, wrong, strict=True) if not bad]
        self.note(len(out), reason, [shown(problem) for problem in out] if shown else ())

    def of(self, kept: "Sequence[U]") -> "Problems[U]":
        """The same account of what was made of the problems, one of each."""
        found: Problems[U] = Problems(self.source, 0, kept)
        found._said, found._dropped = self._said, self._dropped
        return found

    def __str__(self) -> str:
        said = f"{self._said}; {len(self.kept):,} used" + "".join(f"; {part}" for part in self._dropped)
        return visible(said)


def training(cfg: Data) -> Problems[Problem]:
    """The training problems of the source, each once.

    Raises UserError: no such source, a row that cannot be read (see `bad_rows`), or no row at all.
    """
    found = _read(cfg.source, cfg.split, cfg)
    once = list(dict.fromkeys(found.kept))
    found.note(len(found.kept) - len(once), "repeated")
    found.kept = once
    if not cfg.evaluation:
        found.drop("held out", [kept_back(problem, cfg) for problem in once])
    return found


def held_out(cfg: Data) -> Problems[Problem]:
    """The held-out problems: all of `cfg.evaluation`, or those that `training` keeps back. Raises as `training`."""
    if cfg.evaluation:
        return _read(cfg.evaluation, cfg.evaluation_split, cfg)
    found = _read(cfg.source, cfg.split, cfg)
    found.drop("for training", [not kept_back(problem, cfg) for problem in found.kept])
    found.kept = list(dict.fromkeys(found.kept))
    return found


def digest(items: Iterable[tuple[Any, ...] | str]) -> str:
    """A hash of problems, of worked ones, or of texts, and their order."""
    found = hashlib.sha256()
    for item in items:
        found.update(repr(item).encode())
    return found.hexdigest()[:16]


def sample(rows: Sequence[T], count: int, rng: np.random.Generator) -> list[T]:
    """`count` of the rows (all, if there are fewer), drawn by `rng`, in their order."""
    order = rng.permutation(len(rows))[:count]
    return [rows[i] for i in sorted(order)]


def kept_back(problem: Problem, cfg: Data) -> bool:
    """Whether a question is held out where no other source is."""
    return zlib.crc32(problem.question.encode()) % cfg.held_out == 0


@dataclass(frozen=True)
class Form(Generic[T]):
    """How the rows of a source are read."""

    said: str
    """Of the columns, as a program says it at its start."""
    columns: Sequence[str]
    """What is read of a row."""
    read: Callable[[Row], T]
    """Raises ValueError saying what is wrong with a row."""


def collect(source: str, split: str, cfg: Data, form: Callable[[Row, str], Form[T]]) -> Problems[T]:
    """What the rows of a source, `PATH` or `NAME:PATH`, hold. `form` is given its first row and NAME.

    Raises UserError: no such source, a row that cannot be read (see `bad_rows`), or no row at all.
    """
    name, place = formats.named(source)
    kept: list[T] = []
    broken: list[str] = []
    chosen: Form[T] | None = None
    count = 0
    for where, read in files.rows(place, split, cfg, lambda row: form(row, name).columns):
        count += 1
        try:
            row = read()
            chosen = chosen or form(row, name)
            kept.append(chosen.read(row))
        except (ValueError, OverflowError, RecursionError, pa.ArrowException) as error:
            require(
                cfg.bad_rows == "skip",
                f"{where}: {error}; mend the row, or leave such rows out with --data.bad-rows skip",
            )
            broken.append(f"{where}: {error}")
    require(len(kept) > 0, f"{source} has no row that can be read" + "".join(f"; {b}" for b in broken[:1]))
    assert chosen is not None
    found = Problems(source if name else f"{source} ({chosen.said})", count, kept)
    found.note(len(broken), "broken", broken)
    return found


def question_form(row: Row, name: str, cfg: Data) -> Form[Question]:
    """How rows like `row` are read: as the published format `name`, as the one that their columns tell, or by columns.

    Raises ValueError where no column is known.
    """
    known = name or ("" if cfg.question or cfg.answer else formats.recognised(row))
    if known:
        return Form(known, tuple(row), partial(_published, known, name == ""))
    question, answer = columns.question(row, cfg), columns.answer(row, cfg)
    plain = lambda row: Question(columns.problem(row, question, answer, cfg.answer_after), "")  # noqa: E731
    return Form(f"{question} -> {answer}", (question, answer), plain)


def _published(known: str, guessed: bool, row: Row) -> Question:
    try:
        return formats.parsed(known, formats.FORMATS[known], row)
    except ValueError as error:
        hint = ", or, where it is of another format, name its columns with --data.question and --data.answer"
        raise ValueError(f"{error}{hint * guessed}") from None


def _read(source: str, split: str, cfg: Data) -> Problems[Problem]:
    if source == "arithmetic":
        questions = arithmetic.questions(cfg.max_operand)
        return Problems(source, len(questions), [Problem(q, str(arithmetic.results(q)[1])) for q in questions])
    sources = [other for other in (cfg.source, cfg.evaluation) if other]
    require(
        not (cfg.question or cfg.answer) or any(not formats.named(other)[0] for other in sources),
        f"{source} has the columns of its format; leave out --data.question and --data.answer, or name the file alone",
    )
    found = collect(source, split, cfg, lambda row, name: question_form(row, name, cfg))
    return found.of([question.problem for question in found.kept])


class Stream(Generic[T]):
    """Items in epochs, each in an order of its own. `cursor` counts the items handed out.

    `shuffle` gives the generator that orders an epoch (counted from 0), so that any place can be taken up at once.
    """

    def __init__(self, items: Sequence[T], shuffle: Callable[[int], np.random.Generator]) -> None:
        require(len(items) > 0, "the data source has no problems; check the options under data")
        self._items, self.cursor = items, 0
        # An epoch's order is asked for item by item, and a batch may lie across two.
        self._order = lru_cache(maxsize=2)(lambda epoch: shuffle(epoch).permutation(len(items)))

    def seek(self, cursor: int) -> None:
        """Go on as if `cursor` items had been handed out."""
        self.cursor = cursor

    def take(self, count: int) -> list[T]:
        """The next `count` items."""
        places = (divmod(i, len(self._items)) for i in range(self.cursor, self.cursor + count))
        self.cursor += count
        return [self._items[self._order(epoch)[place]] for epoch, place in places]
