"""The paper's three behaviours on the built-in task, through the command its user types."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.image import imread

from cooper_jax.__main__ import main
from cooper_jax.config import UserError, builtin, load
from cooper_jax.programs.demo import Demo


def test_quick_demo_shows_hacking_and_its_cure(tmp_path: Path) -> None:
    env = os.environ | {"XLA_FLAGS": ""}  # one device, optimised
    command = [sys.executable, "-m", "cooper_jax", "demo", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(f"wrote {tmp_path / 'report.png'} and {tmp_path / 'results.json'}")

    results = json.loads((tmp_path / "results.json").read_text())
    assert results["seconds"] > 0
    (seed,) = results["seeds"]
    warm, arms = seed["warm_start"]["accuracy"], seed["arms"]
    assert seed["seed"] == 0 and seed["warm_start"]["questions"] >= 1000
    assert arms["static"]["accuracy"] <= 0.25 and arms["static"]["final_reward"] >= 0.7
    assert arms["rule"]["accuracy"] >= warm + 0.2
    assert arms["cooper"]["accuracy"] >= warm + 0.15
    for arm in arms:
        records = [json.loads(line) for line in (tmp_path / "seed0" / arm / "metrics.jsonl").read_text().splitlines()]
        assert [r["step"] for r in records] == list(range(1, 51))
    # Ten steps at either end: those of one step are some thirty pairs.
    of_ten = lambda steps: sum(r["rm_update/accuracy"] for r in steps) / 10  # noqa: E731
    assert of_ten(records[-10:]) > of_ten(records[:10])
    picture = imread(tmp_path / "report.png")
    assert picture.shape[0] > 400 and picture.std() > 0.05


def test_a_demo_names_its_mistakes() -> None:
    toy = load(builtin("toy.py"))
    with pytest.raises(UserError, match="choose from rule, static, cooper"):
        Demo(config=toy, arms=("rules",))
    with pytest.raises(UserError, match="name at least one"):
        Demo(config=toy, seeds=())


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--dir", "x"], "--dir x: the demo has its own; use --out"),
        (["--seed", "3"], "--seed 3: the demo has its own; use --seeds"),
        (["--no-train-reward"], "use --arms"),
        (["--fit.data", "x"], "--fit.data x: the demo has its own; use --out"),
        (["--quick", "--steps", "9"], "--steps 9: the demo has its own; use them without --quick"),
    ],
)
def test_what_the_demo_sets_itself_is_refused(option: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["demo", *option])
    assert stop.value.code == 1 and said in capsys.readouterr().err
