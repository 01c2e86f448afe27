"""The reward model as a classifier of the rule's verdicts, by stretches of the run: from samples, all of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN
from cooper_jax.reports.ran import Columns
from cooper_jax.run.metrics import calibration_error, classification

BINS = 10
LEAST = 15
"""Rows of a bin; with fewer it is joined to the next."""
STRETCHES = ("early", "middle", "late")


def by_stretch(tables: Sequence[Columns]) -> list[dict[str, Any]]:
    """Figures and the reliability curve of each third of the run, over all tables; none where nothing was scored."""
    step = np.concatenate([table["step"] for table in tables]) if tables else np.empty(0)
    if not len(step):
        return []
    score = np.concatenate([table["score"] for table in tables])
    verdict = np.concatenate([table["verdict"] for table in tables])
    known = np.isfinite(score) & (verdict != UNKNOWN)
    stretch = stretches(step)
    found = []
    for number, name in enumerate(STRETCHES):
        rows = known & (stretch == number)
        if rows.any():
            about = {"name": name, "first": int(step[rows].min()), "last": int(step[rows].max())}
            found.append(about | _figures(score[rows], verdict[rows] == RIGHT))
    return found


def stretches(step_N: np.ndarray) -> np.ndarray:
    """0, 1 or 2 for each step: in which third of those that were sampled it lies. Two have no middle, one is early."""
    known, place = np.unique(step_N, return_inverse=True)
    if len(known) < 3:
        return place * 2
    return place * 3 // len(known)


def _figures(score_N: np.ndarray, right_N: np.ndarray) -> dict[str, Any]:
    """Precision, recall, false-positive rate, AUROC as in `run.metrics`; J is recall - false-positive rate (Youden
    1950), with its standard error from the two binomials; `ece` the calibration error."""
    figures: dict[str, Any] = classification(score_N, right_N) | {"rows": len(score_N)}
    figures["ece"] = calibration_error(score_N, right_N)
    if "recall" in figures and "false_positive_rate" in figures:
        recall, rate = figures["recall"], figures["false_positive_rate"]
        figures["j"] = recall - rate
        spread = recall * (1 - recall) / right_N.sum() + rate * (1 - rate) / (~right_N).sum()
        figures["j_error"] = float(np.sqrt(spread))
    return figures | {"bins": _reliability(score_N, right_N)}


def _reliability(score_N: np.ndarray, right_N: np.ndarray) -> list[list[float]]:
    """Of each bin of scores: mean score, share right, its standard error, rows. Tenths, joined where they hold few."""
    place = np.minimum((score_N * BINS).astype(int), BINS - 1)
    for number in range(BINS - 1):
        if (place == number).sum() < LEAST:
            place[place == number] = number + 1
    if (place == BINS - 1).sum() < LEAST:
        place[place == BINS - 1] = place[place < BINS - 1].max(initial=0)
    made = []
    for number in np.unique(place):
        inside = place == number
        rows, share = int(inside.sum()), float(right_N[inside].mean())
        made.append([float(score_N[inside].mean()), share, float(np.sqrt(share * (1 - share) / rows)), rows])
    return made
