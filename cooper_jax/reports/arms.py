"""Runs that differ by their seed alone are an arm; curves of an arm with its seeds' mean and standard error."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cooper_jax.config import reads
from cooper_jax.reports.ran import Ran

POINTS = 300
"""Of a curve that is drawn, at most: neighbours are averaged."""
_OWN = ("seed", "dir", "steps", "eval_every", "save_every", "keep", "profile", "watchdog", "log", "compile_cache")
_OWN += ("sft.dir", "annotate.dir", "fit.dir", "mesh", "max_skipped", "evaluation", "verifier.workers")
"""Settings in which the runs of an arm may differ: places, and what changes no number of a step."""
_PLACES = ("policy.init", "reward.init", "fit.data", "sft.init", "fit.init", "annotate.mesh.init")
"""Settings that name what an earlier program has made, for each seed anew."""
_NAMES = {("rule", False): "rule", ("model", False): "static", ("model", True): "cooper"}


class Arm(NamedTuple):
    """Runs with the same settings."""

    name: str
    runs: list[int]
    """Their places in the list of runs."""
    differs: dict[str, Any]
    """Settings that other arms have otherwise."""
    colour: int
    """Of the palette; the paper's three arms have the colours of `run.curves`."""


def grouped(runs: Sequence[Ran]) -> list[Arm]:
    """Arms in the order of their first runs."""
    own = [_shared(run) for run in runs]
    groups: list[list[int]] = []
    for number, settings in enumerate(own):
        home = next((group for group in groups if own[group[0]] == settings), None)
        home.append(number) if home else groups.append([number])
    firsts = [own[group[0]] for group in groups]
    varying = [name for name in dict.fromkeys(name for each in firsts for name in each) if _varies(name, firsts)]
    differs = [{name: each.get(name) for name in varying} for each in firsts]
    names = _names([runs[group[0]] for group in groups], differs)
    colours = _colours([paper_arm(runs[group[0]]) for group in groups])
    return [Arm(*each) for each in zip(names, groups, differs, colours, strict=True)]


def _varies(name: str, settings: Sequence[dict[str, Any]]) -> bool:
    return any(each.get(name) != settings[0].get(name) for each in settings)


def _shared(run: Ran) -> dict[str, Any]:
    """The settings that a run's program reads, without its own places; in the place of a model or of labels the seed's
    number counts for any: runs/seed0/sft and runs/seed1/sft."""
    number = re.compile(rf"(?<!\d){run.seed}(?!\d)")
    found = {}
    for name, value in run.settings.items():
        if not name.startswith(_OWN) and reads(run.program, name):
            found[name] = number.sub("SEED", value) if name.endswith(_PLACES) else value
    return found


def paper_arm(run: Ran) -> str:
    """rule, static or cooper, by the two settings that make it; of another program, the program."""
    if run.program != "train" or "reward_source" not in run.settings:
        return run.program
    return _NAMES.get((run.settings["reward_source"], bool(run.settings.get("train_reward"))), "train")


def _names(firsts: Sequence[Ran], differs: Sequence[dict[str, Any]]) -> list[str]:
    """The paper's name of each, and as many settings as tell those apart that share it; else their folder."""
    plain = [paper_arm(run) for run in firsts]
    names = []
    for run, name, own in zip(firsts, plain, differs, strict=True):
        same = [other for other, its in zip(differs, plain, strict=True) if its == name]
        said = [f"{key.rpartition('.')[2]} {own[key]}" for key in own if _varies(key, same)]
        names.append(" ".join([name, *(f"· {part}" for part in said[:2]), *(["…"] if len(said) > 2 else [])]))
        if len(same) > 1 and (not said or names.count(names[-1]) > 1):
            names[-1] = f"{name} · {run.folder}"
    return names


def _colours(plain: Sequence[str]) -> list[int]:
    fixed = {"rule": 0, "static": 1, "cooper": 2}
    free = iter([number for number in range(8) if number not in [fixed.get(name) for name in plain]] * len(plain))
    taken: set[int] = set()
    colours = []
    for name in plain:
        colour = fixed.get(name, -1)
        colours.append(next(free) if colour < 0 or colour in taken else colour)
        taken.add(colours[-1])
    return colours


def smoothed(value_N: np.ndarray) -> np.ndarray:
    """The running mean over a fortieth of the curve, symmetric about each step; of few points, the points."""
    half = len(value_N) // 80
    if not half:
        return value_N
    total = np.concatenate([[0.0], np.cumsum(value_N)])
    at = np.arange(len(value_N))
    reach = np.minimum(half, np.minimum(at, len(value_N) - 1 - at))
    return (total[at + reach + 1] - total[at - reach]) / (2 * reach + 1)


def thinned(curve_2N: np.ndarray) -> np.ndarray:
    """At most POINTS points: the means of equal stretches."""
    if curve_2N.shape[1] <= POINTS:
        return curve_2N
    edges = np.linspace(0, curve_2N.shape[1], POINTS + 1).astype(int)[:-1]
    counts = np.diff([*edges, curve_2N.shape[1]])
    return np.add.reduceat(curve_2N, edges, axis=1) / counts


class Curves(NamedTuple):
    """A figure of one arm."""

    seeds: list[np.ndarray]
    """Of each run that has it [2, N], smoothed."""
    raw: np.ndarray
    """Of a run alone [2, N], as logged; of several, empty."""
    mean: np.ndarray
    """Over the runs, at the steps that all have [2, N]."""
    error: np.ndarray
    """Standard error of that mean [N]: over seeds or, of a single run's evaluation, over its questions. nan: none."""


def curves(runs: Sequence[Ran], name: str) -> Curves | None:
    """The figure `name` of the runs of an arm; None where none has it."""
    found = [(run, run.curve(name)) for run in runs]
    found = [(run, curve) for run, curve in found if curve.shape[1]]
    if not found:
        return None
    smooth = [thinned(np.stack([step, smoothed(value)])) for _, (step, value) in found]
    if len(found) == 1:
        run, curve = found[0]
        error = np.full(smooth[0].shape[1], np.nan)
        if name == "eval/accuracy":
            stated = dict(run.curve("eval/standard_error").T)
            error = np.array([stated.get(step, np.nan) for step in smooth[0][0]])
        return Curves(smooth, thinned(curve), smooth[0], error)
    common = sorted(set.intersection(*(set(curve[0]) for curve in smooth)))
    at = [dict(curve.T) for curve in smooth]
    value_SN = np.array([[seed[step] for step in common] for seed in at]).reshape(len(at), len(common))
    error = value_SN.std(axis=0, ddof=1) / np.sqrt(len(at))
    return Curves(smooth, np.empty((2, 0)), np.array([common, value_SN.mean(axis=0)]), error)
