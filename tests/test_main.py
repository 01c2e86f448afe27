"""The `cooper` command: honest about mistakes, ready at once."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from runs import TOY, fails

from cooper_jax.__main__ import COMMANDS, main

pytestmark = pytest.mark.usefixtures("one_device")


def test_mistakes_on_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "use one of train, sft" in fails(capsys, "tarin", code=2)
    assert "usage" in fails(capsys, code=2)
    assert "--policy.optim.rate" in fails(capsys, "train", TOY, "--policy.optim.rate", "1", code=2)
    assert "ten" in fails(capsys, "train", TOY, "--steps", "ten", code=2)
    assert "needs a config file first" in fails(capsys, "train")
    assert "no such file" in fails(capsys, "train", str(tmp_path / "none.py"))
    for options, message in (
        (
            ["--rollout.group", "1"],
            "rollout.group = 1: an advantage compares a completion with its group; use 2 or more",
        ),
        (["--policy.micro-batch", "48"], "policy.micro_batch = 48 does not divide the 256 rows"),
        (["--policy.init", str(tmp_path / "nowhere")], "nowhere holds no checkpoints; train that model first"),
        (["--policy.init", "", "--reward.init", "", "--rollout.prompt-len", "3"], "raise --rollout.prompt-len to 6"),
        (["--policy.model.heads", "3"], "model.heads = 3 is not a multiple of model.kv_heads = 2"),
        (["--mesh.fsdp", "3"], "does not use the 1 devices"),
        (["--reward-source", "rule"], "add --no-train-reward"),
        (["--rollout.temperature", "0"], "use 1.0 in training"),
        (["--policy.model.vocab", "50"], "smaller than the tokenizer's 118 tokens"),
        (["--scoring.length", "12", "--policy.init", "", "--reward.init", ""], "raise --scoring.length"),
        (["--pairs.replay", "1"], "set both, or neither"),
        (
            ["--policy.init", "", "--reward.init", "", "--pairs.replay", "1", "--pairs.replay-rows", "8"],
            "cooper annotate",
        ),
    ):
        assert message in fails(capsys, "train", TOY, "--dir", str(tmp_path / "run"), *options), options


def test_ctrl_c_is_told_what_is_true_of_the_program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    for name, command in COMMANDS.items():
        monkeypatch.setattr(f"cooper_jax.{command.module}.{command.function}", interrupted)
        given = {"verify": ["rows.jsonl", "--out", "out.jsonl"], "generate": ["run", "--prompt", "1+1"]}
        given |= {"score": ["run", "rows.jsonl", "--out", "o"], "export": ["run", "--model", "policy", "--to", "o"]}
        said = fails(capsys, name, *given.get(name, [TOY]), code=130)
        assert said.startswith("error: interrupted; run the same command to ")
        assert ("checkpoint" in said) == (name in ("train", "sft", "fit-reward", "demo")), name
        assert (".partial" in said) == (name == "verify") and ("judge has said is kept" in said) == (name == "annotate")


def test_help_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(name in fails(capsys, "--help", code=0) for name in COMMANDS)
    assert "--dtype" in fails(capsys, "export", "--help", code=0)
    assert "--deadline" in fails(capsys, "verify", "--help", code=0)
    for name in (name for name, command in COMMANDS.items() if not command.options):
        said = fails(capsys, name, "--help", code=0)
        assert "--policy.optim.lr" in said and "Optimizer steps on each batch (mu)" in said


def test_the_command_starts_without_jax() -> None:
    """`cooper --help` and the verifier's workers import no jax."""
    code = (
        "import sys; from cooper_jax.__main__ import main; import cooper_jax.host.verifier.worker; "
        "assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_training_starts_without_what_it_may_not_need() -> None:
    """Libraries that take long to import are imported where they are used."""
    heavy = "torch transformers sklearn sympy math_verify matplotlib scipy.stats tensorflow tensorflow_datasets grain"
    code = f"import sys, cooper_jax.cooper; print(*[name for name in {heavy.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("generate", ("--max-new", "the stop token included", "0 is greedy", "auto: chat where the tokenizer has a")),
        ("score", ("--out", "in the order of the rows", "a longer completion loses its head", "its default, 2048")),
        ("export", ("--to", "nothing is overwritten")),
        (
            "evaluate",
            ("--evaluation.sets", "Benchmarks as NAME:PATH", "--evaluation.top-p", "a reward model on its own"),
        ),
    ],
)
def test_help_explains_each_option(
    command: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    shown = " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    assert stop.value.code == 0 and not [word for word in words if word not in shown], shown
