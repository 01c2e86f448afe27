"""What `cooper inspect` says of a checkpoint, and of two."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runs import fails, said

from cooper_jax import Inspect, inspect
from cooper_jax.config import Config
from cooper_jax.mesh import sharding
from cooper_jax.model import weights
from cooper_jax.programs.fit_reward import fit_reward
from cooper_jax.run import checkpoint
from cooper_jax.run.leaves import Leaves, difference


def test_what_a_checkpoint_holds(warm: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """Names, shapes and values are those that the run's own reader gives; sums are as saved; JSON is whole."""
    run = warm.sft.dir
    printed = said(capsys, "inspect", run)
    assert f"{run}, step 150, the " in printed and printed.rstrip().endswith("bytes, as saved")
    assert "sft.steps = 150" in printed and "eval_every = 2" in printed
    found = json.loads(said(capsys, "inspect", run, "--json"))
    assert (found["step"], found["as_saved"]) == (150, True) and found["settings"]["policy.model.width"] == 16
    assert found == json.loads(json.dumps(inspect(Inspect(run)).figures))
    mesh = sharding.make_mesh(warm.mesh)
    params = checkpoint.load_params(run, "policy", weights.abstract(warm.policy.model, False, mesh))
    leaves = {leaf["name"]: leaf for leaf in found["leaves"]}
    mine = Leaves(run)
    assert {name for name in leaves if name.startswith("policy.params.blocks.")} == {
        f"policy.params.blocks.{name}" for name in params["blocks"]
    }
    for name, array in params["blocks"].items():
        leaf = leaves[f"policy.params.blocks.{name}"]
        assert (tuple(leaf["shape"]), leaf["dtype"], leaf["bytes"]) == (array.shape, "float32", array.nbytes)
        np.testing.assert_array_equal(mine.read(leaf["name"]), np.asarray(array))
    assert len({leaf["sha256"] for leaf in found["leaves"]}) > len(params["blocks"])


def test_two_are_compared(warm: Config, one_device: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, reward, other = warm.sft.dir, warm.fit.dir, str(tmp_path / "reward")
    fit_reward(replace(warm, fit=replace(warm.fit, dir=other, steps=2)))
    assert "the settings are the same" in said(capsys, "inspect", run, run)
    found = json.loads(said(capsys, "inspect", run, reward, "--json"))
    assert found["other"]["run"] == reward and {leaf["verdict"] for leaf in found["leaves"]} == {"absent"}
    command = ("inspect", reward, other, "--step", "4", "--other-step", "2", "--json")
    found = json.loads(said(capsys, *command))
    assert found["settings"]["fit.steps"] == [4, 2]
    embed = next(leaf for leaf in found["leaves"] if leaf["name"] == "reward.params.embed")
    a, b = Leaves(reward).read("reward.params.embed"), Leaves(other).read("reward.params.embed")
    assert embed["max_abs_difference"] == float(np.abs(a.astype(np.float64) - b).max())
    assert embed["verdict"] == "differs"


def test_damage_and_other_settings_are_seen(warm: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(warm.sft.dir, copy)
    cursor = copy / "checkpoints" / "150" / "cursor" / "metadata"
    kept = json.loads(cursor.read_text())
    kept["checksums"]["policy"]["params"] += 1
    cursor.write_text(json.dumps(kept))
    (copy / "config.json").write_text(json.dumps(json.loads((copy / "config.json").read_text()) | {"seed": 7}))
    assert said(capsys, "inspect", str(copy)).rstrip().endswith("DAMAGED: policy.params")
    compared = said(capsys, "inspect", warm.sft.dir, str(copy))
    assert "settings that differ\n  seed: 0 | 7\n" in compared
    [count] = re.findall(r"(\d+ of \d+) arrays are the same", compared)
    assert len(set(count.split(" of "))) == 1


def test_differences_of_arrays() -> None:
    def floats(*values: float) -> np.ndarray:
        return np.array(values, np.float32)

    assert difference(floats(1, 2, np.nan), floats(1, 2, np.nan)) == 0.0
    assert difference(floats(1, 2, np.nan), floats(1, 2, 3)) is None
    assert difference(floats(1, -2), floats(1, 2)) == 4.0
    assert difference(floats(1, 2), np.array([1, 5], np.int32)) == 3.0
    assert difference(floats(), floats()) == 0.0


def test_what_is_refused(warm: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such folder; give the directory of a run" in fails(capsys, "inspect", str(tmp_path / "none"))
    assert "has no checkpoint of step 7; choose from" in fails(capsys, "inspect", warm.sft.dir, "--step", "7")
    assert "--other-step 7 without OTHER" in fails(capsys, "inspect", warm.sft.dir, "--other-step", "7")
