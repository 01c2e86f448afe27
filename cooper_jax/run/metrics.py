"""Figures: the rule on completions, the reward model as a classifier of verdicts, a policy on held-out questions."""

from collections import Counter
from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np

from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG, Verdict

THRESHOLD = 0.5
BINS = 15
Record = dict[str, float]
Row = dict[str, Any]


def coded(verdicts: Sequence[Verdict]) -> np.ndarray:
    """Verdicts as numbers, int8 [B]: wrong 0, right 1, unknown -1."""
    return np.array([{RIGHT: 1, WRONG: 0, UNKNOWN: -1}[v.verdict] for v in verdicts], np.int8)


def rule_metrics(verdict_B: np.ndarray) -> Record:
    """Accuracy by the rule (unknown counts as not right) and the share of unknown verdicts; of `coded` verdicts."""
    return {"rule/accuracy": float(np.mean(verdict_B == 1)), "rule/unknown": float(np.mean(verdict_B < 0))}


def against_rule(score_B: np.ndarray, verdict_B: np.ndarray) -> Record:
    """The reward model as a classifier of the rule's `coded` verdicts (unknown left out), at the threshold 1/2.

    The false-positive rate, of texts the rule calls wrong that score above 1/2, shows hacking first; `youden` is recall
    less this rate; `gap` is mean score - rule accuracy; `unread` the mean score of what is left out. A figure without
    rows to count (precision with no positive, say) is left out.
    """
    known = verdict_B >= 0
    unread = {} if known.all() else {"score/unread": float(score_B[~known].mean())}
    if not known.any():
        return unread
    score_B, label = score_B[known], verdict_B[known] == 1
    found = classification(score_B, label) | {"gap": float(score_B.mean() - label.mean())}
    if "recall" in found and "false_positive_rate" in found:
        found["youden"] = found["recall"] - found["false_positive_rate"]
    return {f"score/{name}": value for name, value in found.items()} | unread


def drop_empty(record: Record, verdict_B: np.ndarray) -> None:
    """Leave out what the reward model's update said of nothing: of pairs where there were none, of judged completions
    where not both classes were there."""
    empty = () if record["pairs/valid"] else ("accuracy", "margin", "right", "wrong")
    empty += () if {0, 1} <= set(verdict_B.tolist()) else ("label_loss",)
    for name in empty:
        record.pop(f"rm_update/{name}", None)


def classification(score_B: np.ndarray, label_B: np.ndarray) -> Record:
    """Accuracy (agreement), precision, recall, false-positive rate and AUROC of scores against 0/1 labels."""
    label, called = label_B.astype(bool), score_B > THRESHOLD
    out = {"agreement": float(np.mean(called == label))}
    if called.any():
        out["precision"] = float(np.mean(label[called]))
    if label.any():
        out["recall"] = float(np.mean(called[label]))
    if not label.all():
        out["false_positive_rate"] = float(np.mean(called[~label]))
        if label.any():
            out["auroc"] = auroc(score_B, label)
    return out


def auroc(score_B: np.ndarray, right_B: np.ndarray) -> float:
    """Chance that a right one scores above a wrong one, a tie counting half; there must be both (Mann and Whitney)."""
    right, wrong = score_B[right_B], np.sort(score_B[~right_B])
    below, not_above = np.searchsorted(wrong, right), np.searchsorted(wrong, right, "right")
    return float((below + not_above).mean() / (2 * len(wrong)))


def calibration_error(score_B: np.ndarray, label_B: np.ndarray) -> float:
    """Expected calibration error: |mean score - share of right ones|, averaged over equal-width bins by their rows.

    Source: Guo et al., arXiv 1706.04599, with scores of the right class for confidences.
    """
    bin_B = np.minimum((score_B * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bin_B, score_B.astype(float) - label_B, BINS)
    return float(np.abs(gaps).sum() / len(score_B))


def policy_figures(rows: Sequence[Row]) -> Record:
    """avg@k (`accuracy`) with its standard error over questions, and shares of unknown verdicts and of truncated
    completions, and their mean length in tokens; of several samples also maj@k (`majority`) and pass@1, 2, 4 ... k.

    An unknown verdict counts as not right. One question has no standard error.
    """
    right_QK = np.array([[v == RIGHT for v in row["verdicts"]] for row in rows], float)
    questions, k = right_QK.shape
    per_question = right_QK.mean(axis=1)
    every = lambda name: np.concatenate([row[name] for row in rows])  # noqa: E731
    figures = {
        "accuracy": float(per_question.mean()),
        "unknown": float(np.mean(every("verdicts") == UNKNOWN)),
        "truncated": 1 - float(np.mean(every("finished"))),
        "length": float(np.mean(every("lengths"))),
        "questions": float(questions),
        "samples": float(k),
    }
    if questions > 1:
        figures["standard_error"] = float(per_question.std(ddof=1) / np.sqrt(questions))
    if k > 1:
        figures["majority"] = float(np.mean([majority(row["votes"]) for row in rows]))
        for n in sorted({k} | {2**i for i in range(k.bit_length())}):
            figures[f"pass@{n}"] = float(np.mean([pass_at(n, k, int(c)) for c in right_QK.sum(axis=1)]))
    return figures


def pass_at(n: int, samples: int, right: int) -> float:
    """Unbiased estimate of the chance that one of `n` samples is right: 1 - C(k-c, n) / C(k, n) (Chen et al. 2021)."""
    return 1 - comb(samples - right, n) / comb(samples, n)


def majority(votes: Sequence[str | None]) -> float:
    """Whether the most frequent vote is right (Wang et al. 2023); a tie counts as the share of its right ones.

    Votes are as `held_out.votes` casts them: RIGHT, another answer, or None.
    """
    counts = Counter(vote for vote in votes if vote is not None)
    top = [vote for vote, count in counts.items() if count == max(counts.values())]
    return top.count(RIGHT) / len(top) if top else 0.0


def reward_figures(rows: Sequence[Row]) -> Record:
    """Accuracy at the threshold 1/2, precision, recall, false-positive rate, AUROC; accuracy by type and subtype."""
    score = np.array([row["score"] for row in rows])
    label = np.array([row["right"] for row in rows])
    figures = classification(score, label)
    figures = {"accuracy": figures.pop("agreement"), **figures, "completions": float(len(rows))}
    correct = (score > THRESHOLD) == label
    for column in ("answer_type", "answer_subtype"):
        kinds = np.array([row[column] for row in rows])
        figures |= {f"{column}/{kind}": float(correct[kinds == kind].mean()) for kind in np.unique(kinds) if kind}
    return figures
