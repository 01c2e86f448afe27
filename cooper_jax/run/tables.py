"""Samples and pairs on disk: a parquet file of each for a step that is written, `samples/step-000040.parquet`.

Text stands as it was sampled: whoever shows it on a terminal makes it `visible`.
"""

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from cooper_jax.config import UserError, path
from cooper_jax.config.paths import PART, write

Row = dict[str, Any]

SAMPLES = pa.schema(
    {
        "step": pa.int32(),
        "row": pa.int32(),  # among all rows of the step, of all processes
        "group": pa.int32(),  # place of the question in the step
        "question": pa.string(),
        "reference": pa.string(),
        "completion": pa.string(),
        "tokens": pa.int32(),
        "finished": pa.bool_(),
        "score": pa.float32(),  # null in the rule arm
        "verdict": pa.string(),
        "reason": pa.string(),
        "reward": pa.float32(),
        "advantage": pa.float32(),
    }
)
PAIRS = pa.schema(
    {
        "step": pa.int32(),
        "slot": pa.int32(),
        "question": pa.string(),
        "reference": pa.string(),
        "right": pa.string(),
        "wrong": pa.string(),
        "origin": pa.string(),  # `assistant.kind`, or on_policy
        "kind": pa.string(),  # of rewriting; empty where the assistant has but one
        "right_before": pa.float32(),  # scores before the reward model's update, and after
        "wrong_before": pa.float32(),
        "right_after": pa.float32(),
        "wrong_after": pa.float32(),
    }
)
RECENT, OLD = 128, 128
"""Files of each kind that stay: the newest, and of those before them evenly spaced ones."""
_NAME = re.compile(r"step-(\d{6,})\.parquet")


class Tables(NamedTuple):
    """What is written of a step, counted from 1. No pairs: the run makes none."""

    step: int
    samples: list[Row]
    pairs: list[Row] | None


def folders(run_dir: str) -> dict[str, Path]:
    """Where samples and pairs lie."""
    return {kind: path(run_dir) / kind for kind in ("samples", "pairs")}


def steps(folder: Path) -> dict[int, Path]:
    """The files of a folder by their steps, in order; none where there is no such folder."""
    found = {int(match[1]): file for file in _listed(folder) if (match := _NAME.fullmatch(file.name))}
    return dict(sorted(found.items()))


def read(file: Path) -> list[Row]:
    """The rows of a file. Raises ValueError or OSError where it is damaged, or gone."""
    return pq.read_table(pa.BufferReader(file.read_bytes())).to_pylist()


class Files:
    """Writes tables in a thread of its own; a context manager.

    Continuing at `start` removes the files of later steps, which will be made again, and what a kill left half-written.
    Of each kind at most `RECENT` + `OLD` files stay, and that of the first step: see `surplus`.
    """

    def __init__(self, run_dir: str, start: int, every: int) -> None:
        self._folders, self._every = folders(run_dir), every
        self._thread = ThreadPoolExecutor(1, "samples")
        self._under_way: Future[None] | None = None
        for folder in self._folders.values():
            later = [file for step, file in steps(folder).items() if step > start]
            for file in [*later, *(file for file in _listed(folder) if file.name.endswith(PART))]:
                file.unlink()
        self._there = {kind: list(steps(folder)) for kind, folder in self._folders.items()}

    def write(self, tables: Tables) -> None:
        """Begin to write; returns at once. Raises UserError where the write before failed."""
        self.wait()
        self._under_way = self._thread.submit(self._write, tables)

    def _write(self, tables: Tables) -> None:
        for kind, schema, rows in (("samples", SAMPLES, tables.samples), ("pairs", PAIRS, tables.pairs)):
            if rows is None:
                continue
            folder, there = self._folders[kind], self._there[kind]
            if not there:
                folder.mkdir(parents=True, exist_ok=True)
            out = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_pylist(rows, schema), out, compression="zstd")
            write(folder / f"step-{tables.step:06d}.parquet", out.getvalue().to_pybytes())
            there.append(tables.step)
            for step in surplus(there, self._every):
                (folder / f"step-{step:06d}.parquet").unlink(missing_ok=True)
                there.remove(step)

    def wait(self) -> None:
        """Return when the last write is complete. Raises UserError where it failed."""
        if self._under_way:
            try:
                self._under_way.result()
            except Exception as error:  # Whatever a disk or a store's client raises.
                raise UserError(
                    f"samples could not be written: {error}; free some space, or set log.samples_every 0 to write none"
                ) from error
            finally:
                self._under_way = None

    def __enter__(self) -> "Files":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._thread.shutdown()
        try:
            self.wait()
        except UserError as failed:
            if error is None:
                raise
            print(f"warning: {failed}", flush=True)  # beside the error that ends the run


def surplus(there: Sequence[int], every: int) -> list[int]:
    """Of the steps, rising, that have a file: those whose file may go, so that `RECENT` + `OLD` and the first stay.

    Of all but the newest, multiples of `every` * 2^n stay, for the least n that leaves few enough. What goes depends on
    the newest step alone, so that a run which was continued ends with the files of one that was not.
    """
    old, stride = [step for step in there[:-RECENT] if step > 1], every
    while old and old[-1] // stride > OLD:
        stride *= 2
    return [step for step in old if step % stride]


def _listed(folder: Path) -> Iterable[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
