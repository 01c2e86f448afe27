"""Benchmarks: files of published formats, whole, and completions that people labelled.

docs/data.md shows a row of each.
"""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from cooper_jax.config import UserError, path, require
from cooper_jax.host.text.formats import FORMATS, Row, parsed
from cooper_jax.host.text.problem import Problem, text


class Labelled(NamedTuple):
    """A completion that people labelled right or wrong: a test of the reward model."""

    problem: Problem
    completion: str
    right: bool
    kind: str
    subkind: str


def _verifybench(row: Row) -> Labelled:
    right = row["gold_correct"]
    if right not in (True, False):
        raise ValueError(f"gold_correct = {right!r:.80} is not true or false")
    return Labelled(
        Problem(text("question", row["question"]), text("answer", row["answer"])),
        text("completion", row["completion"], empty=True),
        bool(right),
        row.get("answer_type") or "",
        row.get("answer_subtype") or "",
    )


POLICY = FORMATS
"""Formats on which a policy is measured."""
REWARD: dict[str, Callable[[Row], Labelled]] = {"verifybench": _verifybench, "verifybench-hard": _verifybench}
"""Formats on which a reward model is."""


def split_name(named: str) -> tuple[str, str]:
    """`NAME:PATH` -> (NAME, PATH). Raises UserError for a name that is no format."""
    name, _, path = named.partition(":")
    if not path or name not in POLICY | REWARD:
        known = ", ".join(POLICY | REWARD)
        raise UserError(f"evaluation.sets: {named!r} is not NAME:PATH with NAME one of {known}; e.g. gsm8k:test.jsonl")
    return name, path


def read(name: str, place: str) -> list[Any]:
    """The file at `place` as questions, or as labelled, of the format `name`.

    Raises UserError: as `rows`, or a row (named by its line) that is not of the format.
    """
    parse: Callable[[Row], Any] = (POLICY | REWARD)[name]
    found = []
    for where, row in rows(place):
        try:
            found.append(parsed(name, parse, row))
        except ValueError as error:
            raise UserError(f"{where}: {error}") from None
    return found


def completions(place: str) -> Iterator[tuple[str, Problem, str, Row]]:
    """Completions to be labelled or scored, each with its place: the columns question, reference_answer (or
    gold), completion. A row of what `cooper evaluate` writes has several, in `completions` and `finished`.

    `place` is a file or a folder, whose files come in the order of their names. Raises UserError: as `rows`, or a row
    (named by its line) without one of the columns as text.
    """
    for where, whole in _of_files(place):
        for row in _several(where, whole):
            known = "gold" if "gold" in row and "reference_answer" not in row else "reference_answer"
            try:
                question, reference = (text(name, row[name]) for name in ("question", known))
                completion = text("completion", row["completion"], empty=True)
            except KeyError as error:
                raise UserError(f"{where}: needs {error}; it has {', '.join(map(str, whole))}") from None
            except ValueError as error:
                raise UserError(f"{where}: {error}") from None
            yield where, Problem(question, reference), completion, row


def _of_files(place: str) -> Iterator[tuple[str, Row]]:
    if not path(place).is_dir():
        yield from rows(place)
        return
    files = sorted(file for file in path(place).iterdir() if file.suffix in (".jsonl", ".json", ".parquet"))
    require(files != [], f"{place}: a folder without a .jsonl, .json or .parquet file; give the one that holds them")
    for file in files:
        yield from rows(str(file))


def _several(where: str, row: Row) -> Iterator[Row]:
    """A row for each of its `completions`; the row itself where it has none."""
    several = row.get("completions")
    if "completion" in row or not isinstance(several, list):
        yield row
        return
    finished = row.get("finished", [True] * len(several))
    same = isinstance(finished, list) and len(finished) == len(several)
    require(same, f"{where}: finished must say of each of the {len(several)} completions whether it was cut off")
    for completion, end in zip(several, finished, strict=True):
        yield row | {"completion": completion, "finished": end}


def rows(place: str) -> Iterator[tuple[str, Row]]:
    """Each row and its place, of a parquet file, a file of JSON lines, or one JSON array of objects.

    Raises UserError: no such file, no row, not parquet or JSON.
    """
    require(path(place).is_file(), f"{place}: no such file")
    found = _parquet(place) if place.endswith(".parquet") else _lines_or_array(place)
    where = None
    for where, row in found:
        require(isinstance(row, dict), f"{where}: not a JSON object")
        yield where, row
    require(where is not None, f"{place} has no rows")


def _parquet(place: str) -> Iterator[tuple[str, Any]]:
    try:
        with path(place).open("rb") as file:
            rows = pq.read_table(file).to_pylist()
    except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
        raise UserError(f"{place} is not a parquet file, or damaged: {error}") from None
    yield from ((f"{place}, row {number}", row) for number, row in enumerate(rows))


def _lines_or_array(place: str) -> Iterator[tuple[str, Any]]:
    try:
        with io.TextIOWrapper(path(place).open("rb"), encoding="utf-8-sig") as file:
            whole = file.read()
    except UnicodeDecodeError as error:
        raise UserError(f"{place} is not text: {error}; use .jsonl, .json or .parquet") from None
    if whole.lstrip().startswith("["):
        yield from ((f"{place}, object {number}", row) for number, row in enumerate(_json(place, 1, whole), 1))
        return
    for number, line in enumerate(whole.split("\n"), 1):
        if line.strip():
            yield f"{place}, line {number}", _json(place, number, line)


def _json(place: str, line: int, whole: str) -> Any:
    try:
        return json.loads(whole)
    except json.JSONDecodeError as error:
        where = f"{place}, line {line + error.lineno - 1}"
        raise UserError(f"{where}: not JSON: {error.msg} at character {error.colno}") from None
    except ValueError as error:  # a number of too many digits
        raise UserError(f"{place}, line {line}: not JSON that can be read: {error}") from None
    except RecursionError:
        raise UserError(f"{place}, line {line}: nested too deeply") from None
