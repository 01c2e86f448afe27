"""The page's charts, and where the time of a run went."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cooper_jax.reports.arms import Arm, curves
from cooper_jax.reports.ran import Ran
from cooper_jax.run.metric_table import TABLE
from cooper_jax.run.metrics import Record

DEVICE = ("rollout", "prepare", "score", "advantages", "policy_update", "rm_update", "sft", "fit")
"""Phases that run on the device; the others are the host's, beside it."""
WARM = 2
"""Steps whose times are not counted: they compile."""


class Chart(NamedTuple):
    """One figure of all arms."""

    title: str
    figure: str
    group: str
    share: bool = False
    """Lies between 0 and 1, and is drawn so."""


TOP = (
    Chart("Held-out accuracy", "eval/accuracy", "Truth and pay", True),
    Chart("Reward", "reward/mean", "Truth and pay", True),
    Chart("Rule accuracy", "rule/accuracy", "Truth and pay", True),
    Chart("Gap: score over rule", "score/gap", "Truth and pay"),
)
CHARTS = (
    *TOP,
    Chart("Informedness J", "score/youden", "Reward model against the rule"),
    Chart("AUROC", "score/auroc", "Reward model against the rule", True),
    Chart("False-positive rate", "score/false_positive_rate", "Reward model against the rule", True),
    Chart("Recall", "score/recall", "Reward model against the rule", True),
    Chart("Precision", "score/precision", "Reward model against the rule", True),
    Chart("Agreement", "score/agreement", "Reward model against the rule", True),
    Chart("Valid slots", "pairs/valid_rate", "Pairs", True),
    Chart("Pair accuracy", "rm_update/accuracy", "Pairs", True),
    Chart("Pair margin", "rm_update/margin", "Pairs"),
    Chart("Style accuracy", "pairs/style_accuracy", "Pairs", True),
    Chart("Questions with a positive", "pairs/questions_with_positive", "Pairs"),
    Chart("Reward model's loss", "rm_update/loss", "Pairs"),
    Chart("KL from the reference", "policy/kl", "Policy"),
    Chart("Entropy", "policy/entropy", "Policy"),
    Chart("Clipped tokens", "policy/clip_fraction", "Policy"),
    Chart("Gradient norm", "policy/grad_norm", "Policy"),
    Chart("Length", "completion/length", "Policy"),
    Chart("Truncated", "completion/truncated", "Policy"),
    Chart("Groups without contrast", "reward/zero_std_groups", "Policy", True),
    Chart("Unknown verdicts", "rule/unknown", "Policy"),
    Chart("Loss", "sft/loss", "Training"),
    Chart("Loss", "fit/loss", "Training"),
    Chart("Held-out loss", "eval/loss", "Training"),
    Chart("Held-out AUROC", "eval/auroc", "Training", True),
    Chart("Seconds a step", "seconds/step", "Speed"),
    Chart("Tokens a second", "tokens_per_second", "Speed"),
)
_ABOUT = {name: text for group in TABLE.values() for name, text in group.items()}


def charts(runs: Sequence[Ran], arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """What the page draws: of each arm the mean with its error, and each seed."""
    made = []
    for chart in CHARTS:
        drawn = []
        for number, arm in enumerate(arms):
            found = curves([runs[run] for run in arm.runs], chart.figure)
            if found:
                drawn.append(
                    {
                        "arm": number,
                        "x": rounded(found.mean[0]),
                        "y": rounded(found.mean[1]),
                        "e": rounded(found.error) if np.isfinite(found.error).any() else None,
                        "seeds": [list(map(rounded, seed)) for seed in found.seeds] if len(found.seeds) > 1 else [],
                        "raw": list(map(rounded, found.raw)) if len(found.raw[0]) > 60 else None,
                    }
                )
        if drawn:
            about = _ABOUT.get(chart.figure, "")
            made.append(chart._asdict() | {"about": about, "arms": drawn})
    return made


def rounded(value_N: np.ndarray) -> list[float | None]:
    """Four digits, None for what is no number."""
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in value_N.tolist()]


def refusals(runs: Sequence[Ran], arm: Arm) -> dict[str, Any] | None:
    """Of an arm's slots: how many became pairs, and why rewritings were refused; sums over its runs."""
    records = [record for run in arm.runs for record in runs[run].records]
    total = lambda name: sum(record.get(name, 0.0) for record in records)  # noqa: E731
    reasons = sorted({name for record in records for name in record if name.startswith("pairs/refused_")})
    if not total("pairs/valid"):
        return None
    return {
        "valid": total("pairs/valid"),
        "on_policy": total("pairs/on_policy"),
        "asked": total("pairs/assistant_asked"),
        "refused": total("pairs/assistant_refused"),
        "why": {name.removeprefix("pairs/refused_"): total(name) for name in reasons if total(name)},
    }


def time(runs: Sequence[Ran], arm: Arm) -> dict[str, Any]:
    """Mean seconds a step of each phase, without the first WARM steps; the device's idle share and the goodput.

    Goodput is the share of the steps' wall time in which the device worked on updates that were applied, or on their
    way: neither idle, nor in a step whose update was skipped.
    """
    records = [record for run in arm.runs for record in _warm(runs[run].records)]
    whole = sum(record["seconds/step"] for record in records)
    names = sorted({name for record in records for name in record if name.startswith("seconds/")} - {"seconds/step"})
    phases = []
    for name in names:
        phase, taken = name.removeprefix("seconds/"), sum(record.get(name, 0.0) for record in records)
        row = "device" if phase in DEVICE else "wait" if phase in ("wait", "verify") else "host"
        phases.append({"phase": phase, "row": row, "seconds": taken / max(len(records), 1)})
    phases.sort(key=lambda each: (("device", "host", "wait").index(each["row"]), -each["seconds"]))
    busy = [sum(record.get(f"seconds/{name}", 0.0) for name in DEVICE) for record in records]
    useful = [0.0 if _skipped(record) else share for record, share in zip(records, busy, strict=True)]
    tokens = sum(record.get("completion/tokens", 0.0) for record in records)
    return {
        "phases": phases,
        "step": whole / max(len(records), 1),
        "idle": 1 - min(sum(busy) / whole, 1.0) if whole else None,
        "goodput": min(sum(useful) / whole, 1.0) if whole else None,
        "tokens": tokens / whole if whole and tokens else None,
        "hours": whole / 3600,
    }


def _warm(records: list[Record]) -> list[Record]:
    timed = [record for record in records if "seconds/step" in record]
    return timed[WARM:] or timed


def _skipped(record: Record) -> bool:
    return any(value > 0 for name, value in record.items() if name.endswith("/skipped"))
