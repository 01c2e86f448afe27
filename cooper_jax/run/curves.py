"""Run directories -> curves and tables."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from cooper_jax.config import path
from cooper_jax.run import log

# Okabe & Ito's palette: told apart by colour-blind readers too.
_COLOURS = {"rule": "#0072B2", "static": "#D55E00", "cooper": "#009E73", "hybrid": "#CC79A7"}
_LABELS = {"rule": "rule reward", "static": "static reward model", "cooper": "Cooper", "hybrid": "hybrid"}


def records(run_dir: str) -> list[dict[str, float]]:
    """The records of `metrics.jsonl`."""
    return log.read(path(run_dir) / "metrics.jsonl")[0]


def report(results: dict[str, Any], out: Path) -> None:
    """Write `report.png` and print the table of a demo's `results`; names the files at the end."""
    arms = list(results["seeds"][0]["arms"])
    figure = Figure(figsize=(11, 4.2), dpi=150, layout="constrained")
    accuracy, reward = figure.subplots(1, 2)
    _curves(accuracy, results, arms, out, "eval/accuracy")
    _curves(reward, results, arms, out, "reward/mean")
    warm = float(np.mean([seed["warm_start"]["accuracy"] for seed in results["seeds"]]))
    accuracy.axhline(warm, color="0.35", linestyle=(0, (4, 3)), linewidth=1)
    accuracy.text(0.99, warm + 0.015, "warm start", color="0.35", ha="right", transform=accuracy.get_yaxis_transform())
    accuracy.set_title("True accuracy, held-out questions", loc="left", fontweight="bold")
    reward.set_title("Reward in training", loc="left", fontweight="bold")
    seeds = len(results["seeds"])
    asides = [f"{seeds} seeds, mean in bold"] * (seeds > 1) + ([results["rule"]] if "rule" in results else [])
    figure.supxlabel(f"training step  ({'; '.join(asides)})" if asides else "training step")
    with (out / "report.png").open("wb") as file:
        figure.savefig(file, format="png")
    _table(results, arms)
    print(f"wrote {out / 'report.png'} and {out / 'results.json'}")


def _curves(axes: Axes, results: dict[str, Any], arms: list[str], out: Path, name: str) -> None:
    ends = []
    for arm in arms:
        curves = []
        for seed in results["seeds"]:
            rows = [r for r in records(str(out / f"seed{seed['seed']}" / arm)) if name in r]
            points = [(r["step"], r[name]) for r in rows]
            if name == "eval/accuracy":
                points.insert(0, (0, seed["warm_start"]["accuracy"]))
            curves.append(np.array(points))
        for curve in curves if len(curves) > 1 else []:
            axes.plot(*curve.T, color=_COLOURS[arm], linewidth=0.7, alpha=0.35)
        mean = np.mean(curves, axis=0)
        axes.plot(*mean.T, color=_COLOURS[arm], linewidth=2.2, label=_LABELS[arm])
        ends.append((float(mean[-1, 1]), arm, float(mean[-1, 0])))
    _name_ends(axes, ends)
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)


def _name_ends(axes: Axes, ends: list[tuple[float, str, float]]) -> None:
    """Each curve's name at its end, in its colour, moved apart where they would overlap."""
    height = -1.0
    for value, arm, last in sorted(ends):
        height = max(value, height + 0.065)
        axes.annotate(
            _LABELS[arm],
            (last, height),
            xytext=(6, 0),
            textcoords="offset points",
            color=_COLOURS[arm],
            va="center",
            fontweight="bold",
            annotation_clip=False,
        )


def _table(results: dict[str, Any], arms: list[str]) -> None:
    table = Table(title="Held-out accuracy at temperature 1 (greedy), and the reward training ended with")
    table.add_column("seed")
    table.add_column("warm start", justify="right")
    for arm in arms:
        table.add_column(_LABELS[arm], justify="right")
        table.add_column("reward", justify="right")
    shown = lambda r: f"{r['accuracy']:.3f} ({r['greedy']:.2f})"  # noqa: E731
    for seed in results["seeds"]:
        cells = [
            cell for arm in arms for cell in (shown(seed["arms"][arm]), f"{seed['arms'][arm]['final_reward']:.2f}")
        ]
        table.add_row(str(seed["seed"]), shown(seed["warm_start"]), *cells)
    if len(results["seeds"]) > 1:
        mean = lambda values: f"{np.mean(list(values)):.3f}"  # noqa: E731
        cells = []
        for arm in arms:
            for figure in ("accuracy", "final_reward"):
                cells.append(mean(seed["arms"][arm][figure] for seed in results["seeds"]))
        table.add_row(
            "mean", mean(seed["warm_start"]["accuracy"] for seed in results["seeds"]), *cells, end_section=True
        )
    Console().print(table)
