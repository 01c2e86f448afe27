"""What is found damaged, changed or taken when a run starts again, and what a bad update does."""

import fcntl
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from runs import timeless

from cooper_jax import config, cooper
from cooper_jax.config import Config, UserError
from cooper_jax.cooper import train
from cooper_jax.device import updates
from cooper_jax.device.state import ModelState
from cooper_jax.host.text import data
from cooper_jax.programs.export import Export, export
from cooper_jax.run import compiled, machine, questions
from cooper_jax.run.curves import records

pytestmark = pytest.mark.usefixtures("one_device")


def test_a_resumed_run_holds_its_models_once(started: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a step as many bytes live as in that step of a straight run."""
    held: dict[int, int] = {}
    real = cooper.cooper_step

    def step(state: Any, problems: Any, number: int, *rest: Any) -> Any:
        held[number] = sum(x.nbytes for x in jax.live_arrays() if not x.is_deleted())
        return real(state, problems, number, *rest)

    monkeypatch.setattr(cooper, "cooper_step", step)
    train(replace(started, dir=f"{started.dir}0"))
    straight = held[3]
    train(replace(started, steps=2))
    train(started)
    assert held[3] <= 1.02 * straight


def test_another_start_is_refused(started: Config) -> None:
    train(replace(started, steps=2))
    file = Path(started.dir) / "inputs.json"
    kept = json.loads(file.read_text())
    for name in ("data", "the policy's first weights"):
        file.write_text(json.dumps(kept | {name: "other"}))
        with pytest.raises(UserError, match=re.escape(f"started from another {name}: that file or folder has changed")):
            train(started)
    file.write_text(json.dumps(kept))
    train(started)
    with pytest.raises(UserError, match=r"verifier.deadline was 2"):
        train(replace(started, verifier=replace(started.verifier, deadline=9.0)))


def test_a_start_that_is_gone(started: Config, tmp_path: Path, tiny: config.Model) -> None:
    """A run goes on without the folders it started from, which gave shapes and tokenizers too, unless the KL penalty
    needs the policy's weights. One that has not begun does not start."""
    folders = {name: str(tmp_path / name) for name in ("policy", "reward")}
    for name, folder in folders.items():
        export(Export(getattr(started, name).init, name, folder))  # pyright: ignore[reportArgumentType]
    run_time = {name: getattr(tiny, name) for name in config.RUN_TIME}
    models = {
        name: replace(getattr(started, name), model=config.Model(**run_time), init=folder)
        for name, folder in folders.items()
    }
    cfg = replace(started, **models, steps=2, grpo=replace(started.grpo, kl_weight=0.0))
    penalised = replace(cfg, dir=f"{cfg.dir}2", grpo=started.grpo)
    straight = replace(cfg, dir=f"{cfg.dir}3", steps=4)
    for each in (cfg, penalised, straight):
        train(each)
    for folder in folders.values():
        shutil.rmtree(folder)
    train(replace(cfg, steps=4))
    assert timeless(cfg.dir) == timeless(straight.dir)
    with pytest.raises(
        UserError, match=r"policy.init = .*policy is gone, and the KL penalty measures from the weights"
    ):
        train(replace(penalised, steps=4))
    with pytest.raises(UserError, match=r"policy: no such folder"):
        train(replace(cfg, dir=f"{cfg.dir}4"))


def test_a_damaged_log_is_mended(started: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """A cut line, a line of nothing, bytes that are no text: said, left out, and the run goes on."""
    train(replace(started, steps=2))
    log = Path(started.dir) / "metrics.jsonl"
    first, second = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(first + b"\x00\x00\xff\n" + second + b'[1]\n{"step": 3, "rewa')
    assert [r["step"] for r in records(started.dir)] == [1, 2]
    train(started)
    assert "metrics.jsonl: 3 damaged lines are left out" in capsys.readouterr().out
    assert [r["step"] for r in records(started.dir)] == [1, 2, 3, 4]


def test_a_directory_is_one_run_s(started: Config) -> None:
    Path(started.dir).mkdir()
    with (Path(started.dir) / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"another run is writing into .*; wait for it or stop it"):
            train(started)
    train(started)


def test_weights_that_are_not_what_was_saved(started: Config) -> None:
    train(replace(started, steps=2))
    [file] = [
        f
        for f in (Path(started.dir) / "checkpoints" / "2" / "cursor").iterdir()
        if f.suffix == ".json" or f.name == "metadata"
    ]
    kept = json.loads(file.read_text())
    kept["checksums"]["policy"]["params"] += 1
    file.write_text(json.dumps(kept))
    with pytest.raises(UserError, match=r"is damaged: the policy's params are not what was saved"):
        train(started)
    with pytest.raises(UserError, match=r"is damaged: the policy's params are not what was saved"):
        train(replace(started, policy=replace(started.policy, init=started.dir), dir=f"{started.dir}2"))


def test_what_stood_before_a_failing_step_is_saved(started: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    real = cooper.cooper_step

    def step(state: Any, problems: Any, number: int, *rest: Any) -> Any:
        if number == 3:
            raise RuntimeError("a fault of ours")
        return real(state, problems, number, *rest)

    cfg = replace(started, save_every=1000)
    with monkeypatch.context() as patch:
        patch.setattr(cooper, "cooper_step", step)
        with pytest.raises(RuntimeError, match="a fault of ours"):
            train(cfg)
    assert (Path(cfg.dir) / "checkpoints" / "3").is_dir() and [r["step"] for r in records(cfg.dir)] == [1, 2, 3]
    train(cfg)
    straight = replace(cfg, dir=f"{cfg.dir}2")
    train(straight)
    assert timeless(cfg.dir) == timeless(straight.dir)


def test_no_evaluation_where_none_is_asked_for(started: Config) -> None:
    train(replace(started, steps=2, eval_every=0))
    assert not any(name.startswith("eval/") for name in records(started.dir)[-1])


def test_steps_without_pairs_update_no_reward_model(started: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is computed, and nothing of it logged; also in the first step, after which nothing is compiled."""
    real, cooper_step, called = cooper.negatives.build, cooper.cooper_step, []
    replayed = replace(started.pairs, replay=1.0, replay_rows=4)

    def build(problems: Any, *rest: Any) -> Any:
        slots, counts = real(problems, *rest)
        return ([None] * len(slots), counts | {"pairs/valid": 0.0}) if len(called) < 2 else (slots, counts)

    def step(state: Any, problems: Any, number: int, *rest: Any) -> Any:
        called.append(number)
        before = state.reward
        made, record = cooper_step(state, problems, number, *rest)
        assert (made.reward is before) == (number < 1)
        return made, record

    monkeypatch.setattr(cooper, "cooper_step", step)
    monkeypatch.setattr(cooper.negatives, "build", build)
    train(replace(started, steps=3, pairs=replayed))
    first, *others = records(started.dir)
    assert not any("rm_update" in name for name in first)
    assert all(record["rm_update/loss"] > 0 and record["seconds/rm_update"] > 0 for record in others)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_update_that_is_not_finite_is_left_out(bad: float) -> None:
    """A gradient that is not finite under a finite loss: nothing moves, to the bit, and it is counted."""
    params = {"w": jnp.arange(4.0)}
    optimizer = optax.adamw(0.1)
    state = ModelState(jnp.int32(3), params, optimizer.init(params))

    def loss_fn(params: Any, batch: Any) -> Any:
        # The square root's slope at 0 is infinite, its value is not.
        loss = jnp.sum(jnp.sqrt(params["w"] * batch["x"]))
        return loss, {"loss": loss, "weight": jnp.float32(1)}

    update = jax.jit(lambda s, b: updates.update(s, b, loss_fn=loss_fn, optimizer=optimizer, parts=1, used=1))
    moved, record = update(state, {"x": jnp.array([1.0, 1.0, 1.0, 1.0 if np.isinf(bad) else bad])})
    assert record["skipped"] == 1
    jax.tree.map(np.testing.assert_array_equal, moved, state)
    good = replace(state, params={"w": jnp.arange(1.0, 5.0)})
    moved, record = update(good, {"x": jnp.ones(4)})
    assert record["skipped"] == 0 and moved.updates == 4


def test_what_is_compiled_again_is_warned_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "STRICT", False)
    once, fn = compiled.Once(), jax.jit(lambda x: x + 1)
    for n in (1, 2):
        with once("step", n):
            fn(jnp.zeros(n))
    said = capsys.readouterr().out
    assert said.startswith("warning: step 2 compiled ") and "now f32[2] and before f32[1]" in said


def test_references_are_read_by_the_workers(started: Config) -> None:
    """Within their deadline and memory: what a reference provokes costs that reference alone."""
    cfg = replace(started, verifier=config.Verifier(deadline=1.0, workers=1))
    references = ["3", r"\left(\left(2^{64}\right)!\right)!", r"\frac{1}{", "a red house"]
    asked = [data.Problem("1+1+1", reference) for reference in references]
    with machine.machine(cfg, policy=cfg.policy) as here:
        kept = [p.reference for p in questions.usable(data.Problems("rows", 4, asked), here, training=False)]
    assert kept[0] == "3" and r"\frac{1}{" not in kept
