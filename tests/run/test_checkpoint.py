"""Resumed to the bit; and what becomes of a run whose settings, disk or numbers are not in order."""

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from etils import epath
from runs import TOY, fails, final_weights, said, timeless

from cooper_jax import config, cooper
from cooper_jax.config import Config, UserError
from cooper_jax.cooper import train
from cooper_jax.run import checkpoint, directory, provenance
from cooper_jax.run.curves import records

pytestmark = pytest.mark.usefixtures("one_device")


def test_resuming_gives_the_same_run_to_the_bit(started: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Straight, in two parts, stopped by Ctrl-C, and killed in the third step: the same records and weights."""
    folder = Path(started.dir).parent
    straight, parts, stopped, killed = (replace(started, dir=str(folder / n)) for n in ("a", "b", "c", "d"))
    train(straight)
    train(replace(parts, steps=2))
    train(parts)
    begun, went_on = provenance.starts(parts.dir)
    assert (begun["step"], went_on["step"], begun["devices"], begun["kind"]) == (0, 2, 1, "cpu")
    assert begun["versions"]["jax"] == went_on["versions"]["jax"] == jax.__version__
    real = cooper.cooper_step

    def disturbed(at: int, act: Callable[[], None]) -> Callable[..., Any]:
        def step(state: Any, problems: Any, number: int, *rest: Any) -> Any:
            if number == at:
                act()
            return real(state, problems, number, *rest)

        return step

    def crash() -> None:
        raise RuntimeError("killed")

    usual = signal.getsignal(signal.SIGINT)  # ignored, where the suite runs in the background
    with monkeypatch.context() as patch:
        patch.setattr(cooper, "cooper_step", disturbed(2, lambda: signal.raise_signal(signal.SIGINT)))
        with pytest.raises(
            UserError, match="stopped by SIGINT and saved at step 3 of 4; run the same command"
        ) as error:
            train(stopped)
        assert error.value.exit_code == 130
        patch.setattr(cooper, "cooper_step", disturbed(3, crash))
        with pytest.raises(RuntimeError):
            train(killed)
    assert signal.getsignal(signal.SIGINT) is usual
    train(stopped)
    train(killed)
    assert any(record["pairs/valid"] > 0 for record in records(straight.dir))  # both models moved
    for other in (parts, stopped, killed):
        # The run in two parts was evaluated at the end of the first.
        assert timeless(other.dir) == timeless(straight.dir), other.dir
        for item in ("policy", "reward"):
            for a, b in zip(final_weights(straight, item), final_weights(other, item), strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("arm", ["cooper", "static"])
def test_bfloat16_on_the_devices_and_back(arm: str, started: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """First moments in bfloat16, and a frozen reward model in its compute type, without moments: a run in two parts is
    the run in one, and what is exported is what the run computed with."""
    half = replace(started.reward.model, dtype="bfloat16")
    optim = replace(started.policy.optim, moments="bfloat16")
    straight = replace(
        started,
        dir=f"{started.dir}/a",
        policy=replace(started.policy, optim=optim),
        reward=replace(started.reward, optim=optim, model=half),
        train_reward=arm == "cooper",
    )
    parts = replace(straight, dir=f"{started.dir}/b")
    train(straight)
    train(replace(parts, steps=2))
    train(parts)
    assert timeless(parts.dir) == timeless(straight.dir)
    before = final_weights(replace(straight, dir=started.fit.dir), "reward")
    for item in ("policy", "reward"):
        for a, b in zip(final_weights(straight, item), final_weights(parts, item), strict=True):
            np.testing.assert_array_equal(a, b)
    rounded = [leaf.astype(jnp.bfloat16).astype(np.float32) for leaf in before]
    same = [np.array_equal(a, b) for a, b in zip(final_weights(straight, "reward"), rounded, strict=True)]
    # The score head alone stays in float32.
    assert sum(same) == (len(same) - 1 if arm == "static" else 0)
    stored = stored_types(Path(straight.dir) / "checkpoints" / "4" / "reward")
    assert ("opt_state" in stored) == (arm == "cooper")
    assert stored["params"]["blocks"]["q"] == ("float32" if arm == "cooper" else "bfloat16")
    said(capsys, "export", straight.dir, "--model", "reward", "--to", f"{started.dir}/out")


def stored_types(item: Path) -> Any:
    """Type of each array of a checkpoint's item."""
    tree = ocp.PyTreeCheckpointHandler().metadata(epath.Path(item)).tree
    return jax.tree.map(lambda leaf: str(np.dtype(leaf.dtype)), {k: v for k, v in tree.items() if v})


def test_a_directory_keeps_to_its_settings(started: Config) -> None:
    train(replace(started, steps=2))
    changed = replace(started, policy=replace(started.policy, optim=config.Optim(lr=0.5)), seed=3)
    with pytest.raises(
        UserError, match=r"policy.optim.lr was 0.001, now 0.5; .*seed was 0, now 3\); give the settings"
    ):
        train(changed)
    roomier = replace(started.policy, micro_batch=4, model=replace(started.policy.model, remat="none"))
    train(replace(started, steps=3, save_every=1, verifier=replace(started.verifier, workers=1), policy=roomier))
    smaller = replace(started.reward.model, width=8)
    with pytest.raises(
        UserError, match=r"the reward in .* has .* of shape .*, this configuration wants .* reward.model the shapes"
    ):
        train(replace(started, dir=started.dir + "3", reward=replace(started.reward, model=smaller)))


def test_minibatches_keep_their_rows(tmp_path: Path) -> None:
    trainee = config.Trainee(config.Model(), micro_batch=64)
    cfg = Config(trainee, trainee, grpo=config.GRPO(minibatches=2))
    (tmp_path / "config.json").write_text(config.to_json(cfg))
    other = replace(cfg, policy=replace(cfg.policy, micro_batch=32), reward=replace(cfg.reward, micro_batch=32))
    with pytest.raises(UserError, match=r"other settings \(policy.micro_batch was 64, now 32\); give"):
        directory.same_settings(other, str(tmp_path), "train")


def as_user(cfg: Config, *args: str) -> subprocess.CompletedProcess[str]:
    """`cooper` in a process of its own, on one device, with `cfg` as its config file."""
    file = Path(cfg.dir).parent / "config.py"
    file.write_text(f"from cooper_jax.config import *\nconfig = {cfg!r}\n")
    env = os.environ | {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    command = [sys.executable, "-m", "cooper_jax", args[0], str(file), *args[1:]]
    return subprocess.run(command, env=env, capture_output=True, text=True)


def test_a_damaged_checkpoint_is_an_error(started: Config) -> None:
    train(replace(started, steps=2))
    for file in (Path(started.dir) / "checkpoints" / "2" / "policy").rglob("d/*"):
        file.write_bytes(b"junk")
    done = as_user(started, "train")
    assert done.returncode == 1
    assert re.search(r"error: the checkpoint .*checkpoints/2 is damaged: .*; remove that folder", done.stderr)
    assert "Traceback" not in done.stderr


LATE = """import asyncio, signal
from cooper_jax.run import checkpoint, signals
signal.signal(signal.SIGINT, signal.default_int_handler)
with signals.heeded(lambda: None):
    checkpoint._hush()
loop = asyncio.new_event_loop()
loop.close()
class Reading:
    def __del__(self):
        loop.call_soon_threadsafe(print)
Reading()
print("done")"""


def test_what_threads_of_orbax_say_after_the_program_is_not_shown() -> None:
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_no_space_left(started: Config, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: one message, the last whole checkpoint stands, and the run can go on."""
    train(replace(started, steps=2))
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
        with pytest.raises(UserError, match=r"no space left: the checkpoint of step 4 needs 1 MB .* has 1 MB free"):
            train(started)
    with monkeypatch.context() as patch:
        full = OSError(errno.ENOSPC, "No space left on device")
        patch.setattr(checkpoint.Checkpointer, "save", lambda *_: (_ for _ in ()).throw(full))
        patch.setattr(config, "load", lambda _: started)
        assert "no space left on the device" in fails(capsys, "train", TOY)
    train(started)
    assert [r["step"] for r in records(started.dir)] == [1, 2, 3, 4]


def test_divergence_is_not_saved(started: Config) -> None:
    """A learning rate that ruins the weights in a step: later gradients are not finite, updates are left out, and the
    run ends; what was saved is finite, to the last weight."""
    policy = replace(started.policy, optim=config.Optim(lr=1e15, warmup=0, grad_clip=1e9))
    cfg = replace(started, policy=policy, steps=20, save_every=1, max_skipped=2)
    with pytest.raises(UserError, match=r"policy/skipped: the gradient was not finite in 2 steps in a row, up to step"):
        train(cfg)
    rows = records(cfg.dir)
    assert [row["policy/skipped"] for row in rows[-2:]] == [1, 1] and "policy/loss" not in rows[-1]
    saved = [int(path.name) for path in (Path(cfg.dir) / "checkpoints").iterdir()]
    assert max(saved) < len(rows)
    assert all(np.isfinite(leaf).all() for leaf in final_weights(cfg, "policy"))
