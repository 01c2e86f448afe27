"""The best checkpoint is kept and taken; a run ends by its own rule, at the same step however often it was resumed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from runs import fails, final_weights, said, timeless

from cooper_jax import cooper
from cooper_jax.config import Config, Evaluation, Stop, UserError
from cooper_jax.cooper import train
from cooper_jax.programs.evaluate import evaluate
from cooper_jax.run import checkpoint
from cooper_jax.run.early import Early
from cooper_jax.run.held_out import HeldOut

FIGURES = [0.2, 0.5, 0.4, 0.3, 0.5, 0.9]
"""What the evaluations after steps 1, 2 ... find."""


def reason(stop: Stop, figures: list[float], every: int = 1) -> str:
    early = Early(stop, "eval/accuracy", every)
    for step, figure in enumerate(figures, 1):
        early.note(step, {"eval/accuracy": figure})
    return early.reason


def test_when_a_run_ends() -> None:
    assert reason(Stop(patience=2), FIGURES[:3]) == ""
    assert "has not risen above 0.5 in 2 evaluations" in reason(Stop(patience=2), FIGURES[:4])
    assert reason(Stop(patience=1), [0.5, 0.5])  # as good is no better
    assert reason(Stop(at=0.5), FIGURES[:1]) == "" and "is 0.5, and stop.at is 0.5" in reason(Stop(at=0.5), FIGURES[:2])
    assert reason(Stop(), FIGURES) == ""
    assert reason(Stop(patience=1), [0.2, 0.5, 0.1, 0.5], every=2)
    assert reason(Stop(patience=1), [0.2, 0.5, 0.1, 0.6], every=2) == ""  # step 3 was the last of a shorter run
    early = Early(Stop(patience=1), "eval/accuracy", 1)
    early.note(1, {"reward/mean": 1.0})
    assert early.reason == ""


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"stop": Stop(patience=2)}, r"keep_best names, and it is empty; add --keep-best eval/accuracy"),
        ({"keep_best": "eval/accuracy", "eval_every": 0}, r"nothing is evaluated; set eval_every"),
        ({"keep_best": "reward/mean"}, r"keep_best = 'reward/mean': with 1 sample of each .* from eval/accuracy$"),
        ({"keep_best": "eval/pass@3"}, r"with 1 sample"),
    ],
)
def test_what_is_refused(changed: dict[str, Any], complaint: str, tiny_config: Config) -> None:
    with pytest.raises(UserError, match=complaint):
        replace(tiny_config, **changed)
    several = Evaluation(samples=4, temperatures=(1.0,))
    assert replace(tiny_config, keep_best="eval/pass@2", evaluation=several).keep_best == "eval/pass@2"


@pytest.fixture
def best(started: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Six steps, evaluated after each with the figures above; to be ended by patience after the fourth."""
    real, calls = cooper.cooper_step, [0]

    def step(state: Any, asked: Any, number: int, *rest: Any) -> Any:
        calls[0] = number
        return real(state, asked, number, *rest)

    monkeypatch.setattr(cooper, "cooper_step", step)
    monkeypatch.setattr(HeldOut, "accuracy", lambda self, params: {"eval/accuracy": FIGURES[calls[0]]})
    return replace(
        started, steps=6, eval_every=1, save_every=100, keep=1, keep_best="eval/accuracy", stop=Stop(patience=2)
    )


def test_a_run_ends_early_and_its_best_is_taken(best: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """In one go and in two parts: the same records, the same best; begun once more, nothing is trained."""
    result = train(best)
    told = capsys.readouterr().out
    assert told.count("has not risen above") == 1
    assert "train: ended at step 4 of 6: eval/accuracy has not risen above 0.5 in 2 evaluations" in told
    assert result.figures["step"] == 4 and result.figures["eval/accuracy"] == 0.3
    assert checkpoint.choose(best.dir).step == 2 and checkpoint.choose(best.dir, 4).step == 4
    parts = replace(best, dir=best.dir + "2")
    for steps in (3, 6):
        train(replace(parts, steps=steps))
    assert timeless(parts.dir) == timeless(best.dir)
    for a, b in zip(final_weights(best, "policy"), final_weights(parts, "policy"), strict=True):
        np.testing.assert_array_equal(a, b)
    capsys.readouterr()
    again = train(best)
    told = capsys.readouterr().out
    assert "was ended at step 4: eval/accuracy has not risen" in told and again.figures == result.figures

    command = ("export", best.dir, "--model", "policy", "--to", best.dir + "/out")
    assert "the policy of step 2, the best (the newest is 4)" in said(capsys, *command)
    evaluate(replace(best, evaluation=replace(best.evaluation, questions=4, temperatures=(0.0,))))
    assert "run, step 2, the best (the newest is 4)" in " ".join(capsys.readouterr().out.split())
    command = ("export", best.dir, "--model", "policy", "--step", "3", "--to", best.dir + "/other")
    assert "has no checkpoint of step 3; choose from 2, 4, or" in fails(capsys, *command)
