"""Evaluations on disk: written after each set, taken up again, never overwritten by another's."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cooper_jax import config
from cooper_jax.config import Config, UserError, path
from cooper_jax.config.paths import read_object
from cooper_jax.mesh import hosts
from cooper_jax.model import hf
from cooper_jax.run import directory
from cooper_jax.run.metrics import Record, Row

Which = dict[str, Any]
"""What a record is of: a set and, of a policy, a temperature."""
_FREE = ("dir", "evaluation.sets", "evaluation.temperatures", "evaluation.out", "mesh", "compile_cache")
_FREE += ("verifier.workers",)


def folder(cfg: Config, name: str) -> Path:
    """Where an evaluation is written: `evaluation.out`, or the run, or a folder beside a Hugging Face folder, which is
    not ours to write into."""
    if cfg.evaluation.out:
        return path(cfg.evaluation.out)
    return path(f"{path(cfg.dir)}-{name}") if hf.is_folder(cfg.dir) else path(cfg.dir)


class Kept:
    """The records and rows of one evaluation: `NAME.json`, `NAME.parquet`, and `NAME.settings.json`, by which it is
    known again.

    An evaluation of another model, other settings or other data that stands there already is set aside under a number.
    The first process reads and writes; all call every method.
    """

    def __init__(self, cfg: Config, name: str, data: Mapping[str, str]) -> None:
        self.folder, self._name = folder(cfg, name), name
        self._records: list[dict[str, Any]] = []
        self._rows: list[Row] = []
        with hosts.together():
            if hosts.is_main():
                directory.make_dir(str(self.folder))
                self._settings = {"settings": _settings(cfg), "model": _model(cfg.dir), "data": dict(data)}
                self._take_up()
        self._records = hosts.first(self._records)

    def record(self, which: Which) -> dict[str, Any] | None:
        """The record that is there already, or None."""
        return next((r for r in self._records if which.items() <= r.items()), None)

    def add(self, which: Which, figures: Record, rows: Sequence[Row]) -> None:
        """Write them, whole or not at all."""
        self._records.append({**which, **figures})
        self._rows += [{**which, **row} for row in rows]
        with hosts.together():
            if hosts.is_main():
                self._write()

    def _take_up(self) -> None:
        """What the same evaluation has left; of another one nothing."""
        before: dict[str, Any] = {}
        records, rows = [], []
        try:
            before = read_object(self._file("settings.json"), "")
            records = [dict(record) for record in json.loads(self._file("json").read_text())]
            with self._file("parquet").open("rb") as rows_file:
                rows = pq.read_table(rows_file).to_pylist()
        except (OSError, ValueError, TypeError, UserError, pa.ArrowException):
            before = {}  # Cut by a kill, or not ours.
        data, now = before.get("data", {}), self._settings
        same = all(before.get(key) == now[key] for key in ("settings", "model"))
        if same and all(data.get(name, own) == own for name, own in now["data"].items()):
            now["data"] = data | now["data"]
            self._records = records
            done = [(r.get("set"), r.get("temperature")) for r in records]
            self._rows = [row for row in rows if (row["set"], row.get("temperature")) in done]
        else:
            self._set_aside()
        self._put("settings.json", json.dumps(self._settings, indent=2).encode())

    def _set_aside(self) -> None:
        """Rename the files of another evaluation."""
        there = [end for end in ("json", "parquet", "settings.json") if self._file(end).is_file()]
        if there:
            number = next(n for n in range(1, 1 << 20) if not (self.folder / f"{self._name}-{n}.json").is_file())
            for end in there:
                self._file(end).rename(self.folder / f"{self._name}-{number}.{end}")
            print(f"an evaluation of another model, settings or data is kept as {self.folder}/{self._name}-{number}.*")

    def _write(self) -> None:
        part = self._file("parquet.part")
        with part.open("wb") as file:
            pq.write_table(pa.Table.from_pylist(self._rows), file)
        part.replace(self._file("parquet"))
        self._put("json", (json.dumps(self._records, indent=2) + "\n").encode())

    def _put(self, end: str, content: bytes) -> None:
        part = self._file(f"{end}.part")
        part.write_bytes(content)
        part.replace(self._file(end))

    def _file(self, end: str) -> Path:
        return self.folder / f"{self._name}.{end}"


def _settings(cfg: Config) -> dict[str, Any]:
    """Those that settle the figures of a set at a temperature."""
    every = config.flat(json.loads(config.to_json(cfg)))
    return {name: every[name] for name in every if config.reads("evaluate", name) and not name.startswith(_FREE)}


def _model(where: str) -> list[Any]:
    """What tells the weights in `where` from others: a run's checkpoints, or the files of a Hugging Face folder."""
    if hf.is_folder(where):
        weights = [file for file in path(where).iterdir() if file.suffix == ".safetensors"]
        return sorted([file.name, *_size_and_time(file.stat())] for file in weights)
    kept = path(where) / "checkpoints"
    return (
        [str(path(where)), *sorted(int(step.name) for step in kept.iterdir() if step.name.isdecimal())]
        if kept.is_dir()
        else []
    )


def _size_and_time(about: Any) -> tuple[int, int]:
    """Bytes, and seconds since 1970; an object store has its own words for them."""
    if hasattr(about, "st_size"):
        return about.st_size, int(about.st_mtime)
    return about.length, int(about.mtime)
