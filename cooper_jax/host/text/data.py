"""Questions with references from many kinds of file, in a seeded order that can be taken up where it stopped.

A row is a question and an answer, each in a column that is named or recognised; docs/data.md shows them all.
"""

import hashlib
import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, BinaryIO, Generic, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cooper_jax.config import Data, UserError, path, require, visible
from cooper_jax.host import arithmetic

# In order of preference: where a row has both an `answer` and a worked `solution`, the reference is the `answer`.
_QUESTIONS = ("question", "problem", "prompt", "query")
_ANSWERS = (
    "reward_model.ground_truth", "reference_answer", "answer", "final_answer", "ground_truth", "target", "solution",
)  # fmt: skip
_EXAMPLES = 3
T = TypeVar("T")


class Message(NamedTuple):
    """One turn of a chat."""

    role: str
    content: str


class Problem(NamedTuple):
    """A question and its reference answer. `messages` put it to the policy, where its row brought a whole chat."""

    question: str
    reference: str
    messages: tuple[Message, ...] = ()


class Problems:
    """Problems of one source, and what became of the rest; as text, the line a program prints at its start."""

    def __init__(self, source: str, rows: int, problems: Sequence[Problem]) -> None:
        self.kept, self.source = list(problems), source
        self._said = f"{source}: {rows:,} rows"
        self._dropped: list[str] = []

    def note(self, count: int, reason: str, examples: Sequence[str] = ()) -> None:
        """Say that `count` rows were left out, with a few examples."""
        shown = f" (e.g. {', '.join(examples[:_EXAMPLES])})" if examples else ""
        if count:
            self._dropped.append(f"{count:,} {reason}{shown}")

    def drop(
        self, reason: str, wrong: Sequence[bool] | np.ndarray, shown: Callable[[Problem], str] | None = None
    ) -> None:
        """Leave out the problems that are `wrong`, and count them under `reason`."""
        out = [problem for problem, bad in zip(self.kept, wrong, strict=True) if bad]
        self.kept = [problem for problem, bad in zip(self.kept, wrong, strict=True) if not bad]
        self.note(len(out), reason, [shown(problem) for problem in out] if shown else ())

    def __str__(self) -> str:
        said = f"{self._said}; {len(self.kept):,} used" + "".join(f"; {part}" for part in self._dropped)
        return visible(said)


def training(cfg: Data) -> Problems:
    """The training problems of the source, each once.

    Raises UserError: no such source, a row that cannot be read (see `bad_rows`), or no row at all.
    """
    found = _read(cfg.source, cfg.split, cfg)
    once = list(dict.fromkeys(found.kept))
    found.note(len(found.kept) - len(once), "repeated")
    found.kept = once
    if not cfg.evaluation:
        found.drop("held out", [_kept_back(problem, cfg) for problem in once])
    return found


def held_out(cfg: Data) -> Problems:
    """The held-out problems: all of `cfg.evaluation`, or those that `training` keeps back. Raises as `training`."""
    if cfg.evaluation:
        return _read(cfg.evaluation, cfg.evaluation_split, cfg)
    found = _read(cfg.source, cfg.split, cfg)
    found.drop("for training", [not _kept_back(problem, cfg) for problem in found.kept])
    found.kept = list(dict.fromkeys(found.kept))
    return found


def digest(items: Iterable[Problem | str]) -> str:
    """A hash of problems or texts, and their order."""
    found = hashlib.sha256()
    for item in items:
        found.update(repr(item).encode())
    return found.hexdigest()[:16]


def sample(rows: Sequence[T], count: int, rng: np.random.Generator) -> list[T]:
    """`count` of the rows (all, if there are fewer), drawn by `rng`, in their order."""
    order = rng.permutation(len(rows))[:count]
    return [rows[i] for i in sorted(order)]


def _kept_back(problem: Problem, cfg: Data) -> bool:
    return zlib.crc32(problem.question.encode()) % cfg.held_out == 0


def _read(source: str, split: str, cfg: Data) -> Problems:
    if source == "arithmetic":
        questions = arithmetic.questions(cfg.max_operand)
        return Problems(source, len(questions), [Problem(q, str(arithmetic.results(q)[1])) for q in questions])
    problems: list[Problem] = []
    broken: list[str] = []
    names: tuple[str, str] | None = None
    count = 0
    for where, read in _rows(source, split, cfg):
        count += 1
        try:
            row = read()
            names = names or _columns(row, cfg)
            problems.append(_problem(row, *names, cfg.answer_after))
        except (ValueError, OverflowError, RecursionError, pa.ArrowException) as error:
            require(
                cfg.bad_rows == "skip",
                f"{where}: {error}; mend the row, or leave such rows out with --data.bad-rows skip",
            )
            broken.append(f"{where}: {error}")
    require(len(problems) > 0, f"{source} has no row that can be read" + "".join(f"; {b}" for b in broken[:1]))
    assert names is not None
    found = Problems(f"{source} ({names[0]} -> {names[1]})", count, problems)
    found.note(len(broken), "broken", broken)
    return found


def _rows(source: str, split: str, cfg: Data) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Each row's place, and how to read it; reading raises ValueError where the row is broken."""
    if source.startswith("tfds:"):
        yield from _tfds_rows(source, split, cfg)
        return
    file = path(source)
    require(
        file.suffix in (".jsonl", ".json", ".parquet"),
        f"data source {source!r}: use arithmetic, a .jsonl, .json or .parquet file, or tfds:NAME",
    )
    require(file.is_file(), f"data source {source}: no such file")
    with file.open("rb") as stream:
        if file.suffix == ".parquet":
            yield from _parquet_rows(source, stream, cfg)
            return
        if (array := _array(stream)) is not None:
            for number, row in enumerate(array, 1):
                yield f"{source}, object {number}", lambda row=row: _object(row)
            return
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield f"{source}, line {number}", lambda line=line: _object(_json(line))


def _array(stream: BinaryIO) -> list[Any] | None:
    """The rows of a file that is one JSON array; None, from the beginning again, of any other."""
    start = stream.read(64)
    stream.seek(0)
    if not start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        return None
    try:
        return json.loads(stream.read())
    except (ValueError, RecursionError):
        stream.seek(0)
        return None


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos + 1}") from None


def _object(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError('not a JSON object; each row must be one, such as {"question": ..., "answer": ...}')
    return row


def _parquet_rows(source: str, stream: Any, cfg: Data) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    try:
        file = pq.ParquetFile(stream)
        # Only these columns: others may hold whole worked solutions.
        wanted = {name.split(".")[0] for name in _columns(_nested(file.schema_arrow), cfg)}
        number = 0
        for batch in file.iter_batches(columns=sorted(wanted)):
            for place, row in enumerate(_values(batch)):
                yield f"{source}, row {number + place}", row
            number += len(batch)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{source} is not a parquet file, or damaged: {error}") from None
    except ValueError as error:
        raise UserError(f"{source}: {error}") from None


def _values(batch: pa.RecordBatch) -> Iterator[Callable[[], dict[str, Any]]]:
    """How to read each row of a batch; one by one where one of them, such as a date beyond the year 9999 or text that
    is no UTF-8, cannot be."""
    try:
        yield from (lambda row=row: row for row in batch.to_pylist())
    except (ValueError, OverflowError, pa.ArrowException):
        yield from (lambda i=i: batch.slice(i, 1).to_pylist()[0] for i in range(len(batch)))


def _nested(fields: Iterable[pa.Field]) -> dict[str, Any]:
    """The names of a schema, as a row without values."""
    return {f.name: _nested(f.type) if pa.types.is_struct(f.type) else None for f in fields}


def _tfds_rows(source: str, split: str, cfg: Data) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    import tensorflow_datasets as tfds  # without TensorFlow: data sources are read from array_record

    name = source.removeprefix("tfds:")
    try:
        rows: Any = tfds.data_source(name, split=split, data_dir=cfg.data_dir or None, download=False)
    except (ValueError, OSError, AssertionError, NotImplementedError) as error:
        first = f"{error}".strip().partition("\n")[0]
        raise UserError(
            f"{source}, split {split}: {first}; prepare the data set as array_record first (file_format in tfds), and "
            "name its folder with --data.data-dir"
        ) from None
    for number in range(len(rows)):
        yield f"{source}, split {split}, row {number}", lambda number=number: rows[number]


def _columns(row: dict[str, Any], cfg: Data) -> tuple[str, str]:
    """The columns of question and answer: as named in `cfg`, or the first known name that the row has."""

    def column(field: str, named: str, known: Sequence[str]) -> str:
        chosen = named or next((name for name in known if _has(row, name)), "")
        if not chosen or not _has(row, chosen):
            missing = f"no column {chosen}" if chosen else f"no column is a known name of the {field}"
            raise ValueError(f"{missing}; it has {', '.join(map(str, row))}; name the column with --data.{field}")
        return chosen

    return column("question", cfg.question, _QUESTIONS), column("answer", cfg.answer, _ANSWERS)


def _has(row: dict[str, Any], name: str) -> bool:
    at: Any = row
    for part in name.split("."):
        if not isinstance(at, dict) or part not in at:
            return False
        at = at[part]
    return True


def _problem(row: dict[str, Any], question: str, answer: str, answer_after: str) -> Problem:
    """Raises ValueError saying what is wrong with the row."""
    for name in (question, answer):
        if not _has(row, name):
            raise ValueError(f"no column {name}")
    asked, known = _at(row, question), _at(row, answer)
    messages = _messages(question, asked) if isinstance(asked, list) else ()
    if isinstance(known, list) and len(known) == 1:
        known = known[0]
    reference = text(answer, known)
    if answer_after:
        reference = text(answer, reference.rpartition(answer_after)[2])
    return Problem(messages[-1].content.strip() if messages else text(question, asked), reference, messages)


def _at(row: Any, name: str) -> Any:
    for part in name.split("."):
        row = row[part]
    return row


def _messages(name: str, chat: list[Any]) -> tuple[Message, ...]:
    for turn in chat:
        if not isinstance(turn, dict) or not all(isinstance(turn.get(key), str) for key in Message._fields):
            raise ValueError(f"column {name}: a message must be {{role, content}}, both text, not {turn!r:.80}")
    if not chat or chat[-1]["role"] != "user":
        raise ValueError(f"column {name}: the last message must be the user's")
    text(name, chat[-1]["content"])
    return tuple(Message(turn["role"], turn["content"]) for turn in chat)


def text(name: str, value: Any, empty: bool = False) -> str:
    """`value` of the column `name` as text; numbers are written out.

    Raises ValueError where it is something else or, but where `empty` is allowed, empty.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, int | float) and not isinstance(value, bool) and _finite(value):
        value = f"{value:.15g}" if isinstance(value, float) else str(value)
    if not isinstance(value, str):
        raise ValueError(f"column {name} must be text, not {value!r:.80}")
    value.encode()  # half of a surrogate pair is no text, and an error of its own kind here
    if not (empty or value.strip()):
        raise ValueError(f"column {name} is empty")
    return value.strip()


def _finite(value: float) -> bool:
    return isinstance(value, int) or math.isfinite(value)  # whole numbers may be too long for a float


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
