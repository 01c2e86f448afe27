"""One record a step, fetched one step late: to metrics.jsonl, a terminal, TensorBoard and W&B."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.live import Live

from cooper_jax.config import Log, path
from cooper_jax.config.paths import write
from cooper_jax.host.mirror import Mirror
from cooper_jax.run.boards import Boards
from cooper_jax.run.metrics import Record
from cooper_jax.run.panel import Panel
from cooper_jax.run.tables import Files, Tables
from cooper_jax.run.timeline import Timeline

REFRESH = 4
"""How often a second the panel is drawn."""


class Writer:
    """One record a step to `metrics.jsonl` (TensorBoard, W&B), and to a panel on a terminal or lines elsewhere; samples
    and pairs to their files; a context manager.

    Continuing at `start` drops the records and files of later steps, which will be made again.
    """

    def __init__(self, run_dir: str, program: str, cfg: Log, start: int, steps: int, shown: Sequence[str]) -> None:
        self._shown, self._steps, self._program, self._started = shown, steps, program, time.perf_counter()
        self._every = max(1, steps // 10)
        self._start = self._step = start
        self._open = ExitStack()
        with ExitStack() as opened:  # What is open is closed where the next cannot be had.
            self._boards = opened.enter_context(Boards(run_dir, cfg))
            metrics = opened.enter_context(Mirror(path(run_dir) / "metrics.jsonl")).local
            found, damaged = read(metrics)
            if damaged:
                print(f"warning: {metrics}: {damaged} damaged lines are left out", flush=True)
            before = [record for record in found if record["step"] <= start]
            write(metrics, "".join(json.dumps(record) + "\n" for record in before))
            self._file = opened.enter_context(metrics.open("a"))
            self._tables = opened.enter_context(Files(run_dir, start, cfg.samples_every))
            self._open = opened.pop_all()
        self._console = Console(highlight=False, soft_wrap=True)
        self._panel = Panel(f"cooper {program}  {run_dir}", steps, shown) if self._console.is_terminal else None
        if self._panel:
            for record in before:
                self._panel.note(int(record["step"]), record, live=False)

    def write(self, step: int, record: Record, tables: Tables | None) -> None:
        """Log the record of `step` (counted from 1), and its samples and pairs, if they are due."""
        self._step = step
        self._file.write(json.dumps({"step": step, **record}) + "\n")
        self._file.flush()
        self._boards.write(step, record, tables)
        if tables:
            self._tables.write(tables)
        if self._panel:
            self._panel.note(step, record)
            self._panel.show(tables.samples if tables else [])
        elif step == self._start + 1 or step % self._every == 0 or step == self._steps:
            rate = (step - self._start) / (time.perf_counter() - self._started)
            figures = "  ".join(f"{name} {record[name]:.3f}" for name in self._shown if name in record)
            left = (self._steps - step) / rate
            print(f"{self._program} {step}/{self._steps}  {rate:.1f} steps/s  {left:.0f} s left  {figures}", flush=True)

    def wait(self) -> None:
        """Return when all that was written is on disk. Raises UserError where it cannot be."""
        self._tables.wait()

    def __enter__(self) -> "Writer":
        if self._panel:
            self._open.enter_context(Live(self._panel, console=self._console, refresh_per_second=REFRESH))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with self._open:
            self._boards.profile(self._step)


class Nowhere:
    """The writer of a process that does not write."""

    def write(self, step: int, record: Record, tables: Tables | None) -> None:
        """Do nothing."""

    def wait(self) -> None:
        """Do nothing."""

    def __enter__(self) -> "Nowhere":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def read(metrics: Path) -> tuple[list[Record], int]:
    """The records that stand in a `metrics.jsonl`, none where there is no file, and how many lines are none: one that a
    kill or a full disk has cut."""
    return parse(metrics.read_bytes() if metrics.exists() else b"")


def parse(content: bytes) -> tuple[list[Record], int]:
    """`read`, of what a file holds."""
    lines, found = content.splitlines(), []
    for line in lines:
        try:
            record = json.loads(line)
            found += [record] if isinstance(record["step"], int) else []
        except (ValueError, TypeError, KeyError):
            continue
    return found, len(lines) - len(found)


def history(run_dir: str, last: int) -> list[Record]:
    """The records of `metrics.jsonl` up to step `last`."""
    return [record for record in read(path(run_dir) / "metrics.jsonl")[0] if record["step"] <= last]


def finish(
    metrics: dict[str, Any], timeline: Timeline, figures: Callable[[dict[str, Any]], dict[str, Any]] = dict
) -> Record:
    """Wait for a step: what `figures` makes of its metrics, as floats, and the seconds of its phases. What is no finite
    number is left out."""
    found = {name: float(value) for name, value in figures(jax.device_get(metrics)).items()}
    record = {name: value for name, value in found.items() if np.isfinite(value)} | timeline.seconds()
    if "completion/tokens" in record:
        record["tokens_per_second"] = record["completion/tokens"] / record["seconds/step"]
    return record
