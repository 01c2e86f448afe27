"""Does a Cooper step hang together? Every arm, compiled once, whatever the layout of its rows."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from runs import final_weights, timeless

from cooper_jax import config, cooper
from cooper_jax.config import Config
from cooper_jax.cooper import train
from cooper_jax.device import jits
from cooper_jax.programs.evaluate import evaluate
from cooper_jax.run import metric_table
from cooper_jax.run.curves import records

pytestmark = pytest.mark.usefixtures("one_device")


LOGGED = """
reward/mean reward/std reward/zero_std_groups rule/accuracy rule/unknown score/agreement score/precision score/recall
score/auroc score/false_positive_rate score/gap pairs/valid pairs/valid_rate rm_update/accuracy rm_update/margin
policy/kl policy/entropy policy/clip_fraction policy/sampler_ratio policy/sampler_gap completion/length
completion/truncated seconds/rollout seconds/encode seconds/wait seconds/decode seconds/score seconds/prepare
seconds/policy_update seconds/verify seconds/assistant seconds/rm_update seconds/log seconds/step tokens_per_second
"""


def test_the_chain_of_programs(started: Config, fresh_steps: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Every arm runs from one configuration; metrics are whole; every step was compiled exactly once."""
    cfg = replace(started, pairs=config.Pairs(per_question=2, replay=0.5, replay_rows=4, anchor=0.1, updates=2))
    train(replace(cfg, grpo=config.GRPO(updates=2)))
    rows = records(cfg.dir)
    assert [r["step"] for r in rows] == [1, 2, 3, 4]
    missing = [name for name in LOGGED.split() if not any(name in r for r in rows)]
    assert not missing
    logged = {name for folder in (cfg.dir, cfg.sft.dir, cfg.fit.dir) for row in records(folder) for name in row} - {
        "step"
    }
    assert not [name for name in logged if not metric_table.explained(name)], "docs/metrics.md does not explain these"
    # A warm start of so few steps is right now and then: of 16 slots 4 or more were filled in each step on five seeds.
    assert any(r["pairs/valid"] > 0 for r in rows) and ["eval/accuracy" in r for r in rows] == [False, True] * 2
    for r in rows:
        # Rounding alone: 4e-7 and 8e-6 at most, on five seeds.
        assert r["policy/sampler_gap"] < 1e-4 and abs(r["policy/sampler_ratio"] - 1) < 1e-4
        assert r["pairs/valid"] <= 16 and r["pairs/valid"] == r["pairs/valid_rate"] * 16
    saved = json.loads((Path(cfg.dir) / "config.json").read_text())
    assert saved["pairs"]["updates"] == 2 and saved["policy"]["model"]["width"] == 16

    for name, arm in (("static", {}), ("rule", {"reward_source": "rule"})):
        other = replace(cfg, dir=str(Path(cfg.dir).parent / name), train_reward=False, steps=2, **arm)
        train(other)
        last = records(other.dir)[-1]
        assert ("score/agreement" in last) == (name == "static") and "pairs/valid" not in last
        if name == "rule":
            np.testing.assert_allclose(last["reward/mean"], last["rule/accuracy"], rtol=1e-5)
            assert not (Path(other.dir) / "checkpoints" / "2" / "reward").exists()
        else:
            for before, after in zip(_reward_at_start(cfg), final_weights(other, "reward"), strict=True):
                np.testing.assert_array_equal(before, after)

    evaluate(cfg)
    assert "greedy" in capsys.readouterr().out
    results = json.loads((Path(cfg.dir) / "evaluation.json").read_text())
    assert [r["temperature"] for r in results] == [1.0, 0.0]


def _reward_at_start(cfg: Config) -> list[np.ndarray]:
    return final_weights(replace(cfg, dir=cfg.fit.dir), "reward")


def test_every_step_is_compiled_once(started: Config, fresh_steps: None, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[jits.Jits] = []
    real = jits.make_jits
    monkeypatch.setattr(jits, "make_jits", lambda *a: made.append(real(*a)) or made[-1])
    train(replace(started, grpo=config.GRPO(updates=2), pairs=config.Pairs(updates=2)))
    for name in ("rollout", "score", "prepare", "advantages", "policy_update", "reward_update"):
        assert getattr(made[0], name)._cache_size() == 1, name


@pytest.mark.parametrize(
    "arm",
    [
        {},
        {"grpo": config.GRPO(packed=True, kl_weight=0.1), "pairs": config.Pairs(replay=0.5, replay_rows=4)},
        {"reward_source": "rule", "train_reward": False},
    ],
)
def test_a_step_is_compiled_before_the_first(
    started: Config, fresh_steps: None, monkeypatch: pytest.MonkeyPatch, arm: dict[str, Any]
) -> None:
    """All of it, and for the very arguments that it gets: the steps compile nothing."""
    compiled: list[Any] = []
    seen: list[int] = []
    real = cooper.cooper_step

    def note(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event.endswith("backend_compile_duration"):
            compiled.append(kwargs["fun_name"])

    def counted(*args: Any) -> Any:
        before = len(compiled)
        result = real(*args)
        seen.append(len(compiled) - before)
        return result

    monkeypatch.setattr(cooper, "cooper_step", counted)
    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        train(replace(started, steps=2, **arm))
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    assert seen == [0, 0]
    names = Counter(compiled)
    assert names["jit(rollout)"] == 2 and names["jit(prepare)"] == names["jit(advantages)"] == 1  # one evaluates


def test_packing_changes_no_run(started: Config) -> None:
    """The same samples, and the same figures of both updates, whatever the layout of the policy's rows."""
    shared = replace(started, steps=2, grpo=replace(started.grpo, kl_weight=0.1))
    packed = replace(shared, dir=f"{shared.dir}2", grpo=replace(shared.grpo, packed=True))
    train(shared)
    train(packed)
    for one, other in zip(timeless(shared.dir), timeless(packed.dir), strict=True):
        assert one.pop("policy/slots_filled") != other.pop("policy/slots_filled")
        assert one.keys() == other.keys()
        # Within a hundredth of this on five seeds, with the same samples in both steps.
        np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-3, atol=1e-4)


def test_another_seed_is_another_run(started: Config) -> None:
    other = replace(started, dir=started.dir + "2", seed=1)
    train(started)
    train(other)
    assert timeless(started.dir) != timeless(other.dir)
