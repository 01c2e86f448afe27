"""The page's top charts as PNGs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6A8A", "#8A7D2E")
"""Okabe and Ito's, told apart by colour-blind readers too; page.css has the same, and lighter ones for the dark."""


def draw(chart: dict[str, Any], arms: Sequence[dict[str, Any]], file: Path) -> None:
    """Write one of `figures.charts` as a PNG."""
    from matplotlib.figure import Figure  # takes half a second

    figure = Figure(figsize=(6.4, 3.8), dpi=150, layout="constrained")
    axes = figure.subplots()
    for drawn in chart["arms"]:
        arm = arms[drawn["arm"]]
        colour = COLOURS[arm["colour"] % len(COLOURS)]
        step, mean = np.array(drawn["x"], float), np.array(drawn["y"], float)
        for seed in [*drawn["seeds"], *([drawn["raw"]] if drawn["raw"] else [])]:
            axes.plot(*np.array(seed, float), color=colour, linewidth=0.6, alpha=0.3)
        if drawn["e"]:
            error = np.array(drawn["e"], float)
            axes.fill_between(step, mean - error, mean + error, color=colour, alpha=0.18, linewidth=0)
        axes.plot(step, mean, color=colour, linewidth=2, label=arm["name"])
    axes.set_title(chart["title"], loc="left", fontweight="bold")
    axes.set_xlabel("training step")
    if chart["share"]:
        axes.set_ylim(-0.02, 1.02)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=9)
    with file.open("wb") as opened:
        figure.savefig(opened, format="png")
