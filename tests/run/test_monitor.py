"""Does the monitor see a reward model that is hacked, in time, and nothing else?"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from cooper_jax.config import Monitor, UserError
from cooper_jax.run import metrics, monitor
from cooper_jax.run.monitor import Watch

STEPS = 60


def record(
    step: int, accuracy: float, believed: float, deceived: float, rng: np.random.Generator, unread: float = 0.0
) -> dict[str, float]:
    """Of 256 completions, of which the rule cannot read the share `unread`, and the reward model calls right the share
    `believed` of the right ones and `deceived` of the wrong ones; what it cannot read, it calls right all the more."""
    right_B = rng.random(256) < accuracy
    called_B = rng.random(256) < np.where(right_B, believed, deceived)
    score_B = np.where(called_B, 0.9, 0.1).astype(np.float32)
    verdict_B = np.where(rng.random(256) < unread, -1, right_B).astype(np.int8)
    return {"step": step} | metrics.rule_metrics(verdict_B) | metrics.against_rule(score_B, verdict_B)


def healthy(rng: np.random.Generator, unread: float = 0.0) -> list[dict[str, float]]:
    """Accuracy rises from .4 to .8; a reward model that is cautious, at first with three errors in ten."""
    rise = np.linspace(0, 1, STEPS)
    return [record(i + 1, 0.4 + 0.4 * t, 0.7 + 0.2 * t, 0.3 - 0.2 * t, rng, unread) for i, t in enumerate(rise)]


def hacked(rng: np.random.Generator) -> list[dict[str, float]]:
    """Accuracy rises from .4 to .55, then falls to nothing, while ever more of what is wrong is called right."""
    rise = np.linspace(0, 1, STEPS)
    accuracy = np.interp(rise, [0, 0.4, 0.7, 1], [0.4, 0.55, 0.4, 0.0])
    return [record(i + 1, a, 0.9, 0.3 + 0.7 * t, rng) for i, (a, t) in enumerate(zip(accuracy, rise, strict=True))]


def watched(records: Sequence[Mapping[str, float]], cfg: Monitor | None = None) -> list[dict[str, float]]:
    watch = Watch(cfg or Monitor(), lambda _: [])
    return [{**r, **watch.figures(int(r["step"]), r)} for r in records]


def alarms(records: Sequence[Mapping[str, float]]) -> list[int]:
    return [int(r["step"]) for r in records if r["monitor/alarm"]]


@pytest.mark.parametrize("seed", range(3))
def test_it_fires_before_accuracy_is_back_where_it_began_and_not_without_reason(seed: int) -> None:
    rng = np.random.default_rng(seed)
    at = alarms(watched(hacked(rng)))
    assert 5 <= at[0] < 0.7 * STEPS and at[-1] == STEPS
    assert alarms(watched(healthy(rng))) == alarms(watched(healthy(rng, unread=0.74))) == []


def test_belief_where_the_rule_cannot_read_alarms_alone(rng: np.random.Generator) -> None:
    """The policy tells readable questions from others: .8 believed on these, .1 right on those, by a model that is
    right about whatever it is shown."""
    series = [record(i + 1, 0.1, 0.9, 0.05, rng, 0.74) | {"score/unread": 0.8} for i in range(10)]
    found = watched(series)
    assert alarms(found) == [5, 6, 7, 8, 9, 10]
    assert found[-1]["monitor/unread_gap"] > 0.6 and found[-1]["monitor/false_positive_rate"] < 0.2


def test_counts_are_smoothed_not_rates() -> None:
    """A step with one wrong completion says little of the false-positive rate; one without scores nothing at all."""
    few = {"step": 1, "rule/accuracy": 0.99, "score/gap": 0.0, "score/recall": 1.0, "score/false_positive_rate": 1.0}
    many = few | {"step": 2, "rule/accuracy": 0.5, "score/false_positive_rate": 0.1}
    first, second = watched([few, many], Monitor(decay=0.5))
    assert first["monitor/false_positive_rate"] == 1.0
    expected = (0.25 * 0.01 * 1.0 + 0.5 * 0.5 * 0.1) / (0.25 * 0.01 + 0.5 * 0.5)
    assert second["monitor/false_positive_rate"] == pytest.approx(expected)
    assert second["monitor/youden"] == pytest.approx(1 - expected) and "monitor/auroc" not in second
    assert watched([{"step": 1, "rule/accuracy": 0.5}]) == [{"step": 1, "rule/accuracy": 0.5}]


def test_a_run_that_is_continued_goes_on_to_the_digit(rng: np.random.Generator) -> None:
    """From the lines of metrics.jsonl, wherever it was cut."""
    whole = watched(hacked(rng))
    lines = [json.loads(json.dumps(r)) for r in whole]
    for cut in (1, 30, 59):
        watch = Watch(Monitor(), lambda last: lines[:last])
        assert watch.alarmed(cut + 1) == bool(cut >= monitor.LAG and whole[cut - monitor.LAG]["monitor/alarm"])
        again = [watch.figures(r["step"], r) for r in lines[cut:]]
        assert again == [{k: v for k, v in r.items() if k.startswith("monitor/")} for r in whole[cut:]]


def test_it_says_what_it_sees_once_or_ends_the_run(rng: np.random.Generator) -> None:
    found = watched(hacked(rng))
    watch = Watch(Monitor(), lambda _: [])
    told = [watch.note(int(r["step"]), r) for r in found if watch.figures(int(r["step"]), r)]
    [(step, said)] = [(step, text) for step, text in enumerate(told, 1) if text]
    assert step == alarms(found)[0] and "of the wrong completions right" in said
    strict = Watch(Monitor(action="stop"), lambda _: [])
    assert strict.note(1, found[0]) is None
    with pytest.raises(UserError, match=r'monitor\.action = "stop"'):
        strict.note(step, found[step - 1])


def test_the_last_sentence_of_a_run(rng: np.random.Generator) -> None:
    assert monitor.sentence([{"step": 1, "rule/accuracy": 0.5}]) == ""
    assert monitor.sentence(watched(healthy(rng))).startswith("monitor: no sign that the policy hacked")
    found = watched(hacked(rng))
    at = alarms(found)
    assert f"in {len(at)} of 60 steps, first at step {at[0]}, last at 60; at the first, " in monitor.sentence(found)
