"""Are the logged figures right, and do they arrive where they are asked for?"""

import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cooper_jax import config
from cooper_jax.config import Config, UserError
from cooper_jax.cooper import train
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG, Verdict
from cooper_jax.run import metrics

pytestmark = pytest.mark.usefixtures("one_device")


def test_auroc(rng: np.random.Generator) -> None:
    """As scikit-learn has it, ties too."""
    right = rng.random(200) < 0.3
    score = np.round(rng.random(200) + 0.3 * right, 1)
    np.testing.assert_allclose(metrics.auroc(score, right), roc_auc_score(right, score), rtol=1e-12)


def test_calibration_error() -> None:
    """By hand: two bins of 1/15, one of them off by 1/2, the other by 1/10."""
    score, label = np.array([0.5, 0.5, 0.9, 0.9]), np.array([0, 0, 1, 1])
    np.testing.assert_allclose(metrics.calibration_error(score, label), (2 * 0.5 + 2 * 0.1) / 4)
    np.testing.assert_allclose(metrics.calibration_error(np.array([1.0, 0.0]), np.array([1, 0])), 0)


def test_reward_model_against_rule() -> None:
    verdicts = metrics.coded([Verdict(v, None, "") for v in (RIGHT, RIGHT, WRONG, WRONG, WRONG, UNKNOWN)])  # pyright: ignore
    score = np.array([0.9, 0.4, 0.8, 0.2, 0.1, 0.99])
    got = metrics.against_rule(score, verdicts)
    want = {"agreement": 3 / 5, "precision": 1 / 2, "recall": 1 / 2, "false_positive_rate": 1 / 3, "auroc": 5 / 6}
    want["gap"] = 2.4 / 5 - 2 / 5
    assert got.keys() == {f"score/{k}" for k in want}
    for name, value in want.items():
        np.testing.assert_allclose(got[f"score/{name}"], value, err_msg=name)
    assert metrics.rule_metrics(verdicts) == {"rule/accuracy": 2 / 6, "rule/unknown": 1 / 6}
    assert metrics.against_rule(score[-1:], verdicts[-1:]) == {}
    assert "auroc" not in metrics.against_rule(score[:2], verdicts[:2])


@pytest.mark.parametrize(
    ("package", "extra", "log"),
    [("wandb", "wandb", config.Log(wandb="project")), ("tensorboardX", "tensorboard", config.Log(tensorboard=True))],
)
def test_an_extra_that_is_missing_is_named(
    started: Config, monkeypatch: pytest.MonkeyPatch, package: str, extra: str, log: config.Log
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"pip install 'cooper-jax\[{extra}\]'"):
        train(replace(started, log=log))
