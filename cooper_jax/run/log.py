"""One record a step, fetched one step late: to metrics.jsonl, a progress bar, TensorBoard and W&B."""

import hashlib
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
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from cooper_jax.config import Log, UserError, is_local, path
from cooper_jax.config.paths import absolute, write
from cooper_jax.host.mirror import Mirror
from cooper_jax.run.metrics import Record
from cooper_jax.run.tables import Files, Tables
from cooper_jax.run.timeline import Timeline


class Writer:
    """One record a step to `metrics.jsonl` (TensorBoard, W&B) and to a progress bar; a context manager.

    Continuing at `start` drops the records of later steps, which will be made again.
    """

    def __init__(self, run_dir: str, program: str, cfg: Log, start: int, steps: int, shown: Sequence[str]) -> None:
        self._shown, self._steps, self._program, self._started = shown, steps, program, time.perf_counter()
        self._every = max(1, steps // 10)
        self._files = ExitStack()
        self._board = self._wandb = None
        if cfg.tensorboard:
            self._board = _start_tensorboard(str(self._files.enter_context(Mirror(run_dir)).local))
        if cfg.wandb:
            self._wandb = _start_wandb(cfg.wandb, run_dir)
        metrics = self._files.enter_context(Mirror(path(run_dir) / "metrics.jsonl")).local
        found, damaged = read(metrics)
        if damaged:
            print(f"warning: {metrics}: {damaged} damaged lines are left out", flush=True)
        write(metrics, "".join(json.dumps(record) + "\n" for record in found if record["step"] <= start))
        self._file = metrics.open("a")
        self._tables = self._files.enter_context(Files(run_dir, start, cfg.samples_every))
        self._console = Console(highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            expand=True,
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(program, total=steps, completed=start, rate="", figures="")
        self._done_before = start

    def write(self, step: int, record: Record, tables: Tables | None) -> None:
        """Log the record of `step` (counted from 1), and its samples and pairs, if they are due."""
        self._file.write(json.dumps({"step": step, **record}) + "\n")
        self._file.flush()
        for name, value in record.items():
            if self._board:
                self._board.add_scalar(name, value, step)
        if self._wandb:
            self._wandb.log(record, step=step)
        if tables:
            self._tables.write(tables)
        rate = (step - self._done_before) / (time.perf_counter() - self._started)
        figures = "  ".join(f"{name} {record[name]:.3f}" for name in self._shown if name in record)
        self._bar.update(self._task, completed=step, rate=f"{rate:.1f} steps/s", figures=figures)
        if self._bar.disable and (step == self._done_before + 1 or step % self._every == 0 or step == self._steps):
            left = (self._steps - step) / rate
            print(f"{self._program} {step}/{self._steps}  {rate:.1f} steps/s  {left:.0f} s left  {figures}", flush=True)

    def wait(self) -> None:
        """Return when all that was written is on disk. Raises UserError where it cannot be."""
        self._tables.wait()

    def __enter__(self) -> "Writer":
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.stop()
        self._file.close()
        if self._board:
            self._board.close()
        if self._wandb:
            self._wandb.finish()
        self._files.close()


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
    lines = metrics.read_bytes().splitlines() if metrics.exists() else []
    found = []
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


def _start_tensorboard(run_dir: str) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError:
        raise UserError(
            "log.tensorboard = true needs the tensorboard extra: pip install 'cooper-jax[tensorboard]'"
        ) from None
    return SummaryWriter(run_dir)


def _start_wandb(project: str, run_dir: str) -> Any:
    try:
        import wandb  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise UserError(f"log.wandb = {project!r} needs the wandb extra: pip install 'cooper-jax[wandb]'") from None
    # The directory names the run, so that continuing it continues the same curves.
    folder = absolute(run_dir)
    identity = hashlib.sha1(str(folder).encode()).hexdigest()[:12]
    local = run_dir if is_local(folder) else None  # W&B keeps its files in the working directory then.
    return wandb.init(project=project, dir=local, name=folder.name, id=identity, resume="allow")
