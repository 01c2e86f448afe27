"""`cooper watch`: what a run does, seen from outside; another process writes it."""

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.live import Live

from cooper_jax.config import Config, is_local, path
from cooper_jax.run import log, start, tables
from cooper_jax.run.directory import Result
from cooper_jax.run.metrics import Record
from cooper_jax.run.panel import FIGURES, Panel

EVERY, EVERY_STORE = 0.5, 5.0
"""Seconds between looks, at a folder of this machine and at one in an object store."""
QUIET_S = 30.0
"""Seconds without a record that are worth a word."""


@dataclass(frozen=True)
class Watch:
    """Which run."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run directory; its metrics.jsonl and samples/ are read, and nothing is written."""
    once: bool = False
    """Show what stands there, and end."""


def watch(cfg: Watch) -> Result:
    """Show the run until it has its last step, or Ctrl-C: a panel on a terminal, a line a step elsewhere.

    The figures are those of the newest record. Raises UserError where there is no run.
    """
    ran = start.configuration(cfg.run)
    console, follow = Console(highlight=False), Follow(path(cfg.run) / "metrics.jsonl")
    newest: Record = {}
    panel: Panel | None = None
    shown = Live(console=console, refresh_per_second=log.REFRESH) if console.is_terminal else nullcontext()
    try:
        with shown as live:
            for records in _looks(follow, cfg):
                newest = records[-1] if records else newest
                ran = start.configuration(cfg.run) if follow.begun_anew else ran  # It may take more steps now.
                program, steps = _program(ran, newest)
                if panel is None or follow.begun_anew:
                    panel = Panel(f"cooper {program}  {cfg.run}", steps)
                for record in records:
                    panel.note(int(record["step"]), record, live=not follow.first)
                if live:
                    panel.status = _status(follow, newest, steps)
                    panel.show(_samples(cfg.run))
                    live.update(panel)
                else:
                    _print_lines(program, steps, records)
                if steps and newest.get("step", 0) >= steps:
                    break
    except KeyboardInterrupt:
        pass  # The run goes on; only the looking ends.
    return Result(path(cfg.run), newest)


class Follow:
    """Reads what has been added to a `metrics.jsonl` that another process writes: whole lines alone."""

    def __init__(self, file: Path) -> None:
        self._file, self._place, self._which = file, 0, None
        self._newest = time.monotonic()
        self.first = True
        """Whether this look is the first at the file."""
        self.begun_anew = False
        """Whether it has become another: a run that is continued writes it anew."""

    def records(self) -> list[Record]:
        """Records that were not there at the last look; all of them where the file has become another."""
        self.first, self.begun_anew = self._which is None, False
        try:
            about = self._file.stat()
            which = getattr(about, "st_ino", 0)
            if self._which is not None and (which != self._which or _size(about) < self._place):
                self._place, self.begun_anew, self.first = 0, True, True
            with self._file.open("rb") as file:
                file.seek(self._place)
                added = file.read()
        except FileNotFoundError:
            return []
        self._which = which
        whole, end, _ = added.rpartition(b"\n")
        self._place += len(whole + end)
        self._newest = time.monotonic() if whole else self._newest
        return log.parse(whole)[0]

    def quiet_s(self) -> float:
        """Seconds since anything was added."""
        return time.monotonic() - self._newest


def _size(about: Any) -> int:
    return about.st_size if hasattr(about, "st_size") else about.length


def _looks(follow: Follow, cfg: Watch) -> Iterator[list[Record]]:
    yield follow.records()
    while not cfg.once:
        time.sleep(EVERY if is_local(cfg.run) else EVERY_STORE)
        yield follow.records()


def _program(ran: Config, record: Record) -> tuple[str, int | None]:
    """Which program writes there, by the names of its figures, and how many steps it takes, where that is settled."""
    if "fit/loss" in record:
        return "fit-reward", ran.fit.steps or None
    if "sft/loss" in record:
        return "sft", ran.sft.steps or None
    return "train", ran.steps


def _samples(run_dir: str) -> list[tables.Row]:
    """The newest samples that are whole; none where there are none."""
    for _, file in reversed(tables.steps(tables.folders(run_dir)["samples"]).items()):
        try:
            return tables.read(file)
        except (OSError, ValueError):  # It went, or another tool has damaged it.
            continue
    return []


def _status(follow: "Follow", newest: Record, steps: int | None) -> str:
    """What there is to say of a run beside its figures."""
    if steps and newest.get("step", 0) >= steps:
        return "finished"
    if not newest:
        return "waiting for the first step; Ctrl-C ends"
    if follow.quiet_s() > QUIET_S:
        return f"nothing new for {follow.quiet_s():.0f} s; Ctrl-C ends"
    return "Ctrl-C ends the watching; the run goes on"


def _print_lines(program: str, steps: int | None, records: list[Record]) -> None:
    for record in records:
        figures = "  ".join(f"{name} {record[name]:.3f}" for name in FIGURES if name in record)
        print(f"{program} {record['step']:.0f}{f'/{steps}' if steps else ''}  {figures}", flush=True)
