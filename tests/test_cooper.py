"""Does a Cooper step hang together? Every arm, compiled once, whatever the layout of its rows."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from fake_server import FakeServer, replies, says, status
from runs import final_weights, timeless

from cooper_jax import config, cooper
from cooper_jax.config import Config, Pairs, UserError
from cooper_jax.cooper import train
from cooper_jax.device import jits
from cooper_jax.host.negatives.arithmetic import ArithmeticAssistant
from cooper_jax.host.negatives.assistant import Request
from cooper_jax.host.text import encode
from cooper_jax.host.verifier.pool import Job
from cooper_jax.programs.evaluate import evaluate
from cooper_jax.run import log, machine, metric_table, setup
from cooper_jax.run.curves import records
from cooper_jax.run.timeline import Timeline

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


def test_training_sees_a_brittle_rule_and_the_log_the_whole_one(started: Config) -> None:
    """Blind to one of two questions, and easily deceived: in the reward, in the pairs, and not in evaluations."""
    cfg = replace(started, steps=2, evaluation=replace(started.evaluation, questions=8))
    brittle = replace(cfg.verifier, blind_by="question", blind_share=0.5, false_right=0.3)
    whole = replace(cfg, dir=f"{cfg.dir}/whole", reward_source="rule", train_reward=False)
    train(whole)
    for name, arm in (("rule", {"reward_source": "rule", "train_reward": False}), ("cooper", {})):
        train(replace(cfg, dir=f"{cfg.dir}/{name}", verifier=brittle, **arm))
        first, before = timeless(f"{cfg.dir}/{name}")[0], timeless(whole.dir)[0]
        assert "rule/true_accuracy" not in before and before["rule/unknown"] == 0
        assert first["rule/true_accuracy"] == before["rule/accuracy"] != first["rule/accuracy"]
        assert 0.2 < first["rule/unknown"] < 0.8
        if name == "rule":
            assert first["reward/mean"] == pytest.approx(first["rule/accuracy"])
        else:
            read = 8 * (1 - first["rule/unknown"])
            assert first["pairs/questions_with_positive"] <= read


def test_a_governed_policy_waits_for_its_reward_model(started: Config) -> None:
    """Never good enough: the policy stays as it was, to the bit, and the reward model learns. Continued, it is the same
    run."""
    cfg = replace(started, eval_every=0, governor=config.Governor(least_j=1.0, repeats=2))
    train(cfg)
    rows = timeless(cfg.dir)
    held = [row["governor/skipped_policy"] for row in rows]
    assert held == [float(row.get("score/youden", 1.0) < 1) for row in rows] == [1.0] * 4
    assert not any("policy/loss" in row for row in rows)
    assert [row["governor/repeats"] for row in rows] == [2.0] * 4
    start = final_weights(replace(cfg, dir=cfg.sft.dir), "policy")
    for before, after in zip(start, final_weights(cfg, "policy"), strict=True):
        np.testing.assert_array_equal(before, after)
    changed = zip(_reward_at_start(cfg), final_weights(cfg, "reward"), strict=True)
    assert any((before != after).any() for before, after in changed)

    parts = replace(cfg, dir=f"{cfg.dir}/parts")
    train(replace(parts, steps=2))
    train(parts)
    assert timeless(parts.dir) == rows
    for whole, part in zip(final_weights(cfg, "reward"), final_weights(parts, "reward"), strict=True):
        np.testing.assert_array_equal(whole, part)


def test_an_alarm_trains_the_reward_model_more(started: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """Alarmed from the first step on, whose record the third is the first to know; continued, the same."""
    easily = config.Monitor(action="train-reward", false_positive_rate=0.0, gap=0.0, unread_gap=0.0, after=0)
    brittle = replace(started.verifier, blind_by="question", blind_share=0.5)
    cfg = replace(started, eval_every=0, monitor=easily, verifier=brittle, governor=config.Governor(repeats=1))
    train(cfg)
    rows = timeless(cfg.dir)
    alarms = [row["monitor/alarm"] for row in rows]
    assert sum(alarms) > 0 and [row["governor/repeats"] for row in rows] == [0.0, 0.0, *alarms[:2]]
    assert "monitor: alarmed in" in capsys.readouterr().out.splitlines()[-1]
    assert all("policy/loss" in row and row["governor/skipped_policy"] == 0 for row in rows)
    parts = replace(cfg, dir=f"{cfg.dir}/parts")
    train(replace(parts, steps=2))
    train(parts)
    assert timeless(parts.dir) == rows


def test_a_run_sampled_in_turns_is_the_same_run(started: Config) -> None:
    """Eight prompts at once, and two: every figure but the clock's."""
    cfg = replace(started, steps=2, eval_every=0)
    train(replace(cfg, dir=f"{cfg.dir}/once"))
    train(replace(cfg, dir=f"{cfg.dir}/turns", rollout=replace(cfg.rollout, at_once=2)))
    for once, turns in zip(timeless(f"{cfg.dir}/once"), timeless(f"{cfg.dir}/turns"), strict=True):
        assert once == pytest.approx(turns, rel=1e-3, abs=1e-5)
        assert once["rule/accuracy"] == turns["rule/accuracy"]


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


def test_the_rule_where_it_knows_and_the_model_where_not(started: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a rule that reads everything, hybrid is the rule arm to the bit, whatever its reward model learns; stopped
    and continued, it is the run that was never stopped, kept completions included. Where the rule reads nothing, it is
    Cooper to the bit."""
    pairs = Pairs(per_question=2, on_policy=0.3, replay=0.5, replay_rows=4, labels=0.5, keep=2)
    hybrid = replace(started, reward_source="hybrid", pairs=pairs, eval_every=0)
    whole, halves, rule, blind, model = (
        replace(hybrid, dir=f"{started.dir}/{name}") for name in ("whole", "halves", "rule", "blind", "model")
    )
    train(whole)
    train(replace(halves, steps=2))
    assert json.loads(checkpoint_side(halves, 2))["problems"]["kept"]
    train(halves)
    assert checkpoint_side(halves, 4) == checkpoint_side(whole, 4)
    but = ("rm_update/slots_filled",)
    assert [without(r, but) for r in timeless(halves.dir)] == [without(r, but) for r in timeless(whole.dir)]
    for item in ("policy", "reward"):
        for one, other in zip(final_weights(whole, item), final_weights(halves, item), strict=True):
            np.testing.assert_array_equal(one, other)
    train(replace(rule, reward_source="rule", train_reward=False))
    for one, other in zip(final_weights(whole, "policy"), final_weights(rule, "policy"), strict=True):
        np.testing.assert_array_equal(one, other)
    logged = timeless(whole.dir)
    assert all("score/agreement" in r and r["reward/mean"] == r["rule/accuracy"] for r in logged)
    assert not [name for row in logged for name in row if name != "step" and not metric_table.explained(name)]

    unread = config.Verifier(rule="arithmetic", blind_by="reference", blind_share=1.0)
    for cfg, source in ((blind, "hybrid"), (model, "model")):
        train(replace(cfg, reward_source=source, verifier=unread, steps=2))
    assert timeless(blind.dir) == timeless(model.dir)
    assert all("rm_update/loss" not in row for row in timeless(blind.dir))


def checkpoint_side(cfg: Config, step: int) -> str:
    return (Path(cfg.dir) / "checkpoints" / str(step) / "cursor" / "metadata").read_text()


def without(record: dict[str, float], names: tuple[str, ...]) -> dict[str, float]:
    return {name: value for name, value in record.items() if name not in names}


def test_the_reward_model_learns_of_labels_in_a_step_without_pairs(
    lucky: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An assistant that makes nothing: what is logged is of labels alone."""
    monkeypatch.setattr(ArithmeticAssistant, "rewrite", lambda self, requests, *_: [None] * len(requests))
    train(replace(lucky, steps=1, eval_every=0, pairs=Pairs(tries=1, labels=0.5)))
    (row,) = records(lucky.dir)
    assert row["pairs/valid"] == 0 and 0 < row["rule/accuracy"] < 1
    assert (
        row["rm_update/loss"] == pytest.approx(0.5 * row["rm_update/label_loss"], rel=1e-5)
        and row["rm_update/grad_norm"] > 0
    )
    assert "rm_update/accuracy" not in row


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


# Assistants


@pytest.fixture
def lucky(tiny_config: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A run from random weights, whose samples read `#2` to `#5`, so that some are right."""

    def decode(tokens_BT: np.ndarray, real_BT: np.ndarray, tokenizer: Any) -> list[str]:
        return [f"#{i % 4 + 2}" for i in range(len(tokens_BT))]

    monkeypatch.setattr(encode, "decode", decode)
    monkeypatch.setattr(cooper, "Job", lambda reference, text, *_: Job(reference, text, True))
    policy, reward = replace(tiny_config.policy, init=""), replace(tiny_config.reward, init="")
    data = config.Data(max_operand=2, held_out=2)
    return replace(tiny_config, policy=policy, reward=reward, data=data, eval_every=0, steps=2, save_every=1)


@pytest.mark.usefixtures("one_device")
def test_rewriting_runs_while_the_policy_is_updated(lucky: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The update is made to take seconds; the assistant is called before it is over. Scores are waited for only where
    on-policy negatives need them."""
    order: list[str] = []
    updates: list[Any] = []

    @jax.jit
    def slowly(x: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, 20_000, lambda _, y: jax.numpy.sin(y @ y), jax.numpy.full((100, 100), x)).sum()

    class Noting:
        lockstep = False

        def figures(self) -> dict[str, float]:
            return {}

        def trouble(self) -> str:
            return ""

        def rewrite(self, requests: Sequence[Request | None], *_: Any) -> list[str | None]:
            order.append("assistant, update under way" if not updates[-1].is_ready() else "assistant, too late")
            return [r and f"#{int(r.answer) + 1}" for r in requests]

    with machine.machine(lucky, policy=lucky.policy, reward=lucky.reward) as here:
        run = setup.cooper_run(lucky, here)
        state = setup.fresh(run)
        real, fetch = run.jits.policy_update, cooper.fetch

        def update(state: Any, batch: Any) -> Any:
            state, record = real(state, batch)
            updates.append(slowly(record["loss"]))
            return state, record | {"late": updates[-1]}

        def watched(tree: Any) -> Any:
            order.append("scores" if isinstance(tree, jax.Array) else "tokens")
            return fetch(tree)

        monkeypatch.setattr(cooper, "fetch", watched)
        run.jits = replace(run.jits, policy_update=update)
        run.assistant = Noting()
        _, record = cooper.cooper_step(state, run.stream.take(8), 0, run, Timeline())
        assert order == ["tokens", "assistant, update under way"]
        logged = cooper.figures(run, 1, jax.device_get(record))
        assert logged["pairs/valid"] > 0 and "score/gap" in logged
        jax.block_until_ready(updates)


@pytest.mark.usefixtures("one_device")
def test_a_run_with_an_assistant_behind_a_server(lucky: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """Pairs come about, counts are logged, and a run that is made again asks nothing twice."""

    def wrong(prompt: str) -> str:
        return f"Here it is:\n#{int(prompt.rpartition('|')[2][1:]) + 1}"

    with FakeServer(replies(wrong), [status(500)]) as fake:
        server = config.Server(url=fake.url, model="m", backoff=0.01)
        helper = config.Assistant("server", server=server, prompt="{question} {reference}|{completion}")
        cfg = replace(lucky, assistant=helper, pairs=Pairs(per_question=2, on_policy=0.3))
        cooper.train(cfg)
        asked = len(fake.seen)
        first = log.history(cfg.dir, 2)
        assert len(first) == 2 and first[0]["assistant/requests"] > 0 and first[0]["assistant/retries"] == 1
        assert first[0]["pairs/valid"] == 2 * first[0]["pairs/questions_with_positive"] > 0
        assert sum(r["pairs/on_policy"] for r in first) > 0
        again = replace(
            cfg, dir=f"{cfg.dir}2", assistant=replace(helper, server=replace(server, cache=f"{cfg.dir}/replies.jsonl"))
        )
        cooper.train(again)
        second = log.history(again.dir, 2)
        assert len(fake.seen) == asked and [r["pairs/valid"] for r in second] == [r["pairs/valid"] for r in first]
        assert [r["policy/loss"] for r in second] == [r["policy/loss"] for r in first]

    with FakeServer(status(401, "who are you")) as fake:
        server = config.Server(url=fake.url, model="m")
        cfg = replace(cfg, dir=f"{cfg.dir}3", assistant=replace(helper, server=server))
        with pytest.raises(UserError, match="answered HTTP 401: who are you"):
            cooper.train(cfg)
    with FakeServer(says("cut", "length")) as fake:
        server = config.Server(url=fake.url, model="m")
        starving = Pairs(per_question=2, tries=1, patience=2)
        cfg = replace(cfg, dir=f"{cfg.dir}4", steps=4, assistant=replace(helper, server=server), pairs=starving)
        capsys.readouterr()
        with pytest.raises(UserError, match="in each of the last 2 steps less than 10%"):
            cooper.train(cfg)
        said = capsys.readouterr().out
        assert "warning, step 1: 94% of the completions are cut" in said and "; in each of the last 1 steps" in said
        assert "; the last trouble: an answer did not finish (finish_reason length); the run ends" in said
