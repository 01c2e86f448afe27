"""`cooper report`: what runs did, as one page that opens anywhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cooper_jax.config import path, require, visible
from cooper_jax.config.errors import paths_named
from cooper_jax.config.paths import write
from cooper_jax.reports import figures, page, pictures
from cooper_jax.reports.arms import grouped
from cooper_jax.reports.ran import read_all
from cooper_jax.run.directory import Result, require_writable


@dataclass(frozen=True)
class Report:
    """One HTML page on one run or several, and its top charts as PNGs beside it."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN ...]")]
    """Run directories, or a folder of them such as a demo's. Those that differ by their seed alone are one arm, with a
    band."""
    out: Annotated[str | Path, tyro.conf.arg(metavar="PATH")] = "report.html"
    """The page: one file, which needs no network."""


def report(cfg: Report) -> Result:
    """Write the page; the figures are what stands in it.

    Raises UserError: no run there, a damaged file, or runs of different programs.
    """
    with paths_named():
        return _report(cfg)


def _report(cfg: Report) -> Result:
    require(len(cfg.runs) > 0, "cooper report needs a run: cooper report runs/cooper")
    out = path(cfg.out)
    require(not out.is_dir(), f"--out {out} is a folder; name a file")
    runs = read_all(cfg.runs)
    for run in runs:
        for note in run.notes:
            print(visible(f"warning: {run.dir}: {note}"))
    arms = grouped(runs)
    shown = page.content(runs, arms)
    out.parent.mkdir(parents=True, exist_ok=True)
    require_writable(out.parent)
    made = page.page(shown)
    write(out, made)
    drawn = _pictures(shown, out)
    for row in (row for found in shown["findings"] for row in found["rows"]):
        print(visible(f"{shown['runs'][row['run']]['name']}: {row['word']} ({row['state']}). {row['said']}"))
    print(f"wrote {out} ({len(made) / 1e6:.1f} MB) and {', '.join(file.name for file in drawn)}")
    return Result(out, shown)


def _pictures(shown: dict, out: Path) -> list[Path]:
    names = {chart.figure for chart in figures.TOP}
    top = [chart for chart in shown["charts"] if chart["figure"] in names] or shown["charts"][:2]
    files = []
    for chart in top:
        file = out.with_name(f"{out.stem}-{chart['figure'].replace('/', '-').replace('_', '-')}.png")
        pictures.draw(chart, shown["arms"], file)
        files.append(file)
    return files
