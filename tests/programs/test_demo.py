"""The paper's three behaviours on the built-in task, through the command its user types."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from cooper_jax.__main__ import main
from cooper_jax.config import Annotate, Config, UserError, builtin, load
from cooper_jax.programs.demo import Demo, brittle, case, check, decent, demo


@pytest.mark.slow  # below, on a small scale
def test_quick_demo_shows_hacking_and_its_cure(tmp_path: Path) -> None:
    env = os.environ | {"XLA_FLAGS": ""}  # one device, optimised
    command = [sys.executable, "-m", "cooper_jax", "demo", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(f"wrote {tmp_path / 'report.png'} and {tmp_path / 'results.json'}")

    results = json.loads((tmp_path / "results.json").read_text())
    assert results["seconds"] > 0
    (seed,) = results["seeds"]
    arms = seed["arms"]
    assert seed["seed"] == 0 and seed["warm_start"]["questions"] >= 1000
    # Fifty steps are chaotic. On seeds 0 to 4 these differences were at least .30, .37, .28 and .45; half of that is
    # asked of seed 0, which has .34, .65, .49 and .90.
    accuracy = {arm: figures["accuracy"] for arm, figures in arms.items()}
    believed = {arm: figures["final_reward"] - figures["accuracy"] for arm, figures in arms.items()}
    assert accuracy["rule"] >= seed["warm_start"]["accuracy"] + 0.15
    assert accuracy["rule"] >= accuracy["static"] + 0.18
    assert accuracy["cooper"] >= accuracy["static"] + 0.14  # the cure
    assert believed["static"] >= believed["cooper"] + 0.22  # the hacking: reward without accuracy
    whole(tmp_path, seed, 50)


def test_a_demo_on_a_small_scale(tiny_config: Config, one_device: None, tmp_path: Path) -> None:
    """Models and runs too small to learn anything: every arm is there, measured and drawn."""
    demo(Demo(config=replace(tiny_config, steps=2), seeds=(7,), out=tmp_path))
    [seed] = json.loads((tmp_path / "results.json").read_text())["seeds"]
    assert seed["seed"] == 7
    whole(tmp_path, seed, 2)


def test_the_brittle_case_has_its_rule_start_and_words() -> None:
    toy = load(builtin("toy.py"))
    chosen = Demo(config=toy, brittle=True)
    check(chosen, toy)
    assert chosen.decent and not Demo(config=toy).decent
    assert case(brittle(toy)) == "in training the rule cannot read 74% of the questions"
    of_all, of_readable = decent(brittle(toy)), decent(replace(brittle(toy), annotate=Annotate(brittle=True)))
    assert of_all.annotate.completions == 8000 and of_all.fit.steps == of_all.fit.eval_every == 240
    assert of_readable.annotate.completions == pytest.approx(8000 / 0.26, abs=1)
    with pytest.raises(UserError, match="use them without --start decent"):
        check(replace(chosen, config=replace(toy, fit=replace(toy.fit, steps=90))), toy)


def whole(out: Path, seed: dict[str, Any], steps: int) -> None:
    """All arms of a seed have figures and records, and there is a picture."""
    assert seed["arms"].keys() == {"rule", "static", "cooper"}
    for arm, figures in seed["arms"].items():
        lines = (out / f"seed{seed['seed']}" / arm / "metrics.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert [r["step"] for r in records] == list(range(1, steps + 1))
        assert ("rm_update/accuracy" in records[0]) == (arm == "cooper")
        last = [r["reward/mean"] for r in records[-5:]]
        assert figures["final_reward"] == pytest.approx(sum(last) / len(last))
        assert 0 <= figures["accuracy"] <= 1
    picture = imread(out / "report.png")
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
