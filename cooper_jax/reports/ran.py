"""Run directories, read: settings, figures, samples, pairs, and what is known of where a run ran."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cooper_jax.config import flat, path, require
from cooper_jax.config.paths import read_object
from cooper_jax.run import log, provenance, tables
from cooper_jax.run.metrics import Record

Columns = dict[str, np.ndarray]
"""A table: each column [rows]; text as objects, a number that is missing as nan."""
_PROGRAMS = {"reward/mean": "train", "sft/loss": "sft", "fit/loss": "fit-reward"}
"""A figure of every step, and the program that logs it."""
_STEPS = {"train": "steps", "sft": "sft.steps", "fit-reward": "fit.steps"}


@dataclass(frozen=True)
class Ran:
    """A run as its directory tells it."""

    dir: str
    program: str
    settings: dict[str, Any]
    """By dotted names."""
    records: list[Record]
    samples: Columns
    pairs: Columns
    inputs: dict[str, Any]
    """Hashes of data and first weights."""
    starts: list[dict[str, Any]]
    """Where and with which versions the run began, and went on."""
    checkpoints: list[int]
    """Steps of those that are kept."""
    notes: list[str]
    """What could not be read."""
    idle: float
    """Seconds since the last figure was written."""

    @property
    def last(self) -> int:
        """The last step that was logged."""
        return int(self.records[-1]["step"])

    @property
    def steps(self) -> int:
        """Steps that the run is to take; 0 where its settings do not say."""
        return int(self.settings.get(_STEPS[self.program]) or 0)

    @property
    def seed(self) -> int:
        """Of all randomness."""
        return int(self.settings.get("seed", 0))

    @property
    def folder(self) -> str:
        """The last part of the directory."""
        return self.dir.rstrip("/").rpartition("/")[2] or self.dir

    def curve(self, name: str) -> np.ndarray:
        """Steps and values of a figure [2, N], where it was logged."""
        found = [(record["step"], record[name]) for record in self.records if name in record]
        return np.array(found, float).reshape(-1, 2).T


def read_all(places: Sequence[str]) -> list[Ran]:
    """The runs in `places`; a folder that holds runs of training, a demo's say, stands for all of these.

    Raises UserError: no run there, a damaged file, or runs of different programs, whose figures mean different things.
    """
    folders = [folder for place in places for folder in _folders(place)]
    runs = [_read(folder) for folder in dict.fromkeys(map(str, folders))]
    programs = sorted({run.program for run in runs})
    require(
        len(programs) == 1,
        f"these are runs of {' and '.join(programs)}, whose figures mean different things: make a page of each "
        f"({'; '.join(f'{run.dir}: {run.program}' for run in runs)})",
    )
    return runs


def _folders(place: str) -> list[Path]:
    folder = path(place)
    require(folder.is_dir(), f"{place}: no such folder; give the directory of a run, which holds metrics.jsonl")
    if (folder / "metrics.jsonl").is_file():
        return [folder]
    inner = sorted(file.parent for deep in ("*", "*/*") for file in folder.glob(f"{deep}/metrics.jsonl"))
    found = [each for each in inner if _program(log.read(each / "metrics.jsonl")[0]) == "train"]
    others = f"; those in {', '.join(map(str, inner))} are of other programs: name them" if inner else ""
    require(len(found) > 0, f"{place} holds no metrics.jsonl, and no folder in it a run of `cooper train`{others}")
    return found


def _program(records: Sequence[Record]) -> str:
    return next((name for figure, name in _PROGRAMS.items() if records and figure in records[0]), "")


def _read(place: str) -> Ran:
    folder, notes = path(place), []
    records, damaged = log.read(folder / "metrics.jsonl")
    require(len(records) > 0, f"{place}/metrics.jsonl holds no step yet; wait for the first, or give another run")
    program = _program(records)
    require(program != "", f"{place}/metrics.jsonl is of no training program: its first step has no reward or loss")
    if damaged:
        notes.append(f"{damaged} damaged lines of metrics.jsonl are left out")
    fix = "put back the file that the run wrote, or give another run"
    settings = read_object(folder / "config.json", fix) if (folder / "config.json").is_file() else {}
    inputs = read_object(folder / "inputs.json", fix) if (folder / "inputs.json").is_file() else {}
    states, kept, last = folder / "checkpoints", tables.folders(place), int(max(record["step"] for record in records))
    names = [each.name for each in states.iterdir()] if states.is_dir() else []
    return Ran(
        place,
        program,
        flat(settings),
        sorted(records, key=lambda record: record["step"]),
        _table(kept["samples"], tables.SAMPLES, last, notes),
        _table(kept["pairs"], tables.PAIRS, last, notes),
        inputs,
        provenance.starts(place),
        sorted(int(name) for name in names if name.isdecimal()),
        notes,
        max(0.0, time.time() - _written(folder / "metrics.jsonl")),
    )


def _written(file: Path) -> float:
    """When `file` was last written, in seconds of `time.time`; an object store's files have an `mtime` of their own."""
    stat: Any = file.stat()
    return float(getattr(stat, "st_mtime", None) or getattr(stat, "mtime", None) or time.time())


def _table(folder: Path, schema: pa.Schema, last: int, notes: list[str]) -> Columns:
    """The files of a folder as one table, up to step `last`: what a run has logged."""
    rows: list[tables.Row] = []
    for step, file in tables.steps(folder).items():
        if step > last:
            continue
        try:
            rows += _whole(tables.read(file), schema, file)
        except (ValueError, OSError) as error:
            notes.append(f"{folder.name}/{file.name} cannot be read and is left out: {str(error).splitlines()[0]}")
    return {field.name: _column([row[field.name] for row in rows], field.type) for field in schema}


def _whole(rows: list[tables.Row], schema: pa.Schema, file: Path) -> list[tables.Row]:
    missing = [name for name in schema.names if rows and name not in rows[0]]
    require(not missing, f"{file} lacks the columns {', '.join(missing)}: another version wrote it; move it away")
    return rows


def _column(found: list[Any], kind: pa.DataType) -> np.ndarray:
    if pa.types.is_string(kind):
        made = np.empty(len(found), object)
        made[:] = ["" if value is None else str(value) for value in found]
        return made
    if pa.types.is_floating(kind):
        return np.array([np.nan if value is None else value for value in found], float)
    return np.array(found, kind.to_pandas_dtype())
