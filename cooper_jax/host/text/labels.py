"""Labelled completions: the rows of VerifyRM's parquet, which `cooper annotate` writes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cooper_jax.config import UserError, path, require
from cooper_jax.host.text import encode
from cooper_jax.host.text.data import Problem

COLUMNS = ("question", "reference_answer", "completion", "label")


@dataclass
class Labels:
    """Labelled completions, the rows of VerifyRM's parquet."""

    problems: list[Problem]
    completions: list[str]
    label_R: np.ndarray
    left_out: str = ""
    """What was left out of the file, as a line to print."""


NO_LABELS = Labels([], [], np.zeros(0, np.float32))


def read(place: str, tokenizer: encode.Tokenizer, length: int) -> Labels:
    """Rows of a parquet file in VerifyRM's columns; those that overflow the reward model's window of `length` tokens
    are left out and counted.

    Raises UserError naming file, row and rule.
    """
    rows = _rows(place)
    problems = [Problem(row["question"], row["reference_answer"]) for row in rows]
    fits = encode.window_sizes(problems, tokenizer) <= length
    require(
        bool(fits.any()),
        f"{place}: no question and reference fit into scoring.length = {length}; raise --scoring.length",
    )
    kept = np.flatnonzero(fits)
    over = f"{(~fits).sum():,} of {len(rows):,} rows left out: question and reference over {length:,} tokens"
    return Labels(
        [problems[i] for i in kept],
        [rows[i]["completion"] for i in kept],
        np.array([rows[i]["label"] for i in kept], np.float32),
        "" if fits.all() else f"{place}: {over}",
    )


def _rows(place: str) -> list[dict[str, Any]]:
    require(
        path(place).is_file(), f"{place}: no such file; make it with `cooper annotate`, or give another with --fit.data"
    )
    try:
        with path(place).open("rb") as file:
            table = pq.read_table(file)
        missing = [c for c in COLUMNS if c not in table.column_names]
        rows = [] if missing else table.select(COLUMNS).to_pylist()
    except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
        raise UserError(f"{place} is not a parquet file, or damaged: {error}") from None
    have = table.column_names
    require(not missing, f"{place} lacks the columns {missing}; it has {have}, needed are {list(COLUMNS)}")
    require(len(rows) > 0, f"{place} has no rows")
    for number, row in enumerate(rows):
        require(
            row["label"] in (0, 1) and all(isinstance(row[c], str) for c in COLUMNS[:3]),
            f"{place}, row {number}: {row}: question, reference_answer and completion must be text and label 0 or 1",
        )
    return rows
