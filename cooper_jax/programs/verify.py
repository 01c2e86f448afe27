"""`cooper verify`: the rule by itself, on a file of references and completions."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TextIO

import numpy as np
import tyro
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from cooper_jax.config import Extraction, UserError, Verifier, path, require
from cooper_jax.config.errors import paths_named
from cooper_jax.config.processors import processors
from cooper_jax.host.verifier.pool import Job, Pool, Timed
from cooper_jax.run.directory import Result

CHUNK = 2048
"""Rows under way at a time."""
_ROW = '{"reference_answer": ..., "completion": ...}'


@dataclass(frozen=True)
class Verify:
    """Verify completions against references, both read from IN."""

    rows: Annotated[str | Path, tyro.conf.Positional, tyro.conf.arg(metavar="IN")]
    """JSON lines with `reference_answer` (or `gold`) and `completion`; other fields are not read."""
    out: Annotated[str | Path, tyro.conf.arg(metavar="PATH")]
    """JSON lines in the same order: `verdict` (right, wrong or unknown), `reason`, `answer` (null: none stated) and
    `seconds`."""
    workers: int = field(default_factory=processors)
    """Processes that verify; by default as many as this process may use processors."""
    deadline: float = Verifier.deadline
    """Seconds of computing for one verdict; then the worker is killed, replaced, and the verdict is `unknown`."""
    extract: Extraction = "auto"
    """Where the answer of a completion is: in `boxed`; behind `####` (`hash`); behind "the answer is" (`phrase`); the
    `last` mathematics or number; or `auto`: a box if one stands in the text, else the first of the others that applies,
    else the whole text."""


def verify(cfg: Verify) -> Result:
    """Write the verdicts and print a summary; the figures are the verdicts.

    Raises UserError: no such file, or a line that is not an object with `reference_answer` and `completion`. A field
    that is neither text nor number gets the verdict `unknown`.
    """
    with paths_named():
        return _verify(cfg, path(cfg.rows), path(cfg.out))


def _verify(cfg: Verify, source: Path, out: Path) -> Result:
    require(source.is_file(), f"{source}: no such file; give a file of JSON lines, each {_ROW}")
    require(source.resolve() != out.resolve(), f"--out {out} is the input itself; name another file")
    rows = list(_rows(source))
    require(len(rows) > 0, f"{source} has no rows")
    settings = Verifier(extract=cfg.extract, workers=cfg.workers, deadline=cfg.deadline)
    require(not out.is_dir(), f"--out {out} is a folder; name a file")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    begun = time.perf_counter()
    timed: list[Timed] = []
    with Pool(settings) as pool, partial.open("w") as file, Progress(transient=True) as progress:
        task = progress.add_task("verify", total=len(rows))
        for start in range(0, len(rows), CHUNK):
            timed += pool.submit(rows[start : start + CHUNK]).timed()
            _write(file, timed[start:])
            progress.update(task, completed=len(timed))
        lost = pool.lost
    partial.replace(out)
    _report(timed, time.perf_counter() - begun, lost)
    if cfg.extract != Verifier.extract:
        print(
            f'answers were looked for by --extract {cfg.extract}; training and annotation take "{Verifier.extract}" '
            "unless verifier.extract says otherwise, and may give other verdicts"
        )
    print(f"wrote {out}")
    return Result(out, [each.verdict for each in timed])


def _rows(source: Path) -> Iterator[Job]:
    with source.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{source}, line {number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(f"{where}: not JSON: {error}") from None
            except RecursionError:
                raise UserError(f"{where}: not JSON that can be read: nested too deeply") from None
            require(isinstance(row, dict), f"{where}: must be an object, {_ROW}")
            named = {"reference_answer": row.get("gold")} | row if "gold" in row else row
            for name in ("reference_answer", "completion"):
                require(name in named, f"{where}: has no `{name}`; each row is {_ROW}")
            yield Job(_text(named["reference_answer"]), _text(named["completion"]), True)


def _text(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None  # pyright: ignore[reportReturnType]


def _write(file: TextIO, timed: list[Timed]) -> None:
    for verdict, seconds in timed:
        row = {"verdict": verdict.verdict, "reason": verdict.reason, "answer": verdict.answer}
        file.write(json.dumps(row | {"seconds": round(seconds, 6)}) + "\n")


def _report(timed: list[Timed], wall: float, lost: int) -> None:
    count = Counter(t.verdict.verdict for t in timed)
    title = f"{len(timed)} verdicts in {wall:.1f} s; {lost} workers killed or died"
    table = Table("verdict", "rows", "share", "mean ms", "p99 ms", title=title)
    for verdict in (*("right", "wrong", "unknown"), "all"):
        ms = [1000 * t.seconds for t in timed if verdict in ("all", t.verdict.verdict)]
        figures = (f"{np.mean(ms):.2f}", f"{np.percentile(ms, 99):.1f}") if ms else ("", "")
        shown = count[verdict] if verdict != "all" else len(timed)
        table.add_row(verdict, str(shown), f"{shown / len(timed):.1%}", *figures)
    Console().print(table)
