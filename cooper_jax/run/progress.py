"""Signs of life of work that takes minutes: a bar on a terminal, lines elsewhere, in pieces of work too."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

FIRST_S, EVERY_S = 5.0, 30.0
"""Seconds until the first line, and between lines, whether or not a piece of work has ended."""


@contextmanager
def shown(what: str, total: int, unit: str, to: TextIO | None = None) -> Iterator[Callable[[int], None]]:
    """Around work of `total` units: its body calls what it is given with how many are done. Without `what`, nothing is
    shown; of one unit, its time alone."""
    file = to or sys.stdout
    console = Console(file=file)
    if not what:
        yield lambda _: None
    elif console.is_terminal:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(TextColumn("{task.description}", markup=False), *columns, console=console) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)
    else:
        with _lines(what, total, unit, file) as note:
            yield note


@contextmanager
def _lines(what: str, total: int, unit: str, file: TextIO) -> Iterator[Callable[[int], None]]:
    begun, done, said, over = time.monotonic(), 0, False, threading.Event()

    def note(count: int) -> None:
        nonlocal done
        done = count

    def line() -> None:
        nonlocal said
        said = True
        of = f": {done:,} of {total:,} {unit}" if total > 1 else ""
        print(f"{what}{of}, {time.monotonic() - begun:.0f} s", file=file, flush=True)

    def now_and_then() -> None:
        wait = FIRST_S
        while not over.wait(wait):
            line()
            wait = EVERY_S

    thread = threading.Thread(target=now_and_then, name="progress", daemon=True)
    thread.start()
    try:
        yield note
    finally:
        over.set()
        thread.join()
    if said:
        line()
