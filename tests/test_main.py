"""The `cooper` command: honest about mistakes, ready at once."""

import errno
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from runs import TOY, fails, one_error

from cooper_jax import config
from cooper_jax.__main__ import COMMANDS, entry, main
from cooper_jax.config import READS, Config, load, reads
from cooper_jax.programs import options

pytestmark = pytest.mark.usefixtures("one_device")


def test_mistakes_on_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "use one of train, sft" in fails(capsys, "tarin", code=2)
    assert "usage" in fails(capsys, code=2)
    assert "--policy.optim.rate" in fails(capsys, "train", TOY, "--policy.optim.rate", "1", code=2)
    assert "ten" in fails(capsys, "train", TOY, "--steps", "ten", code=2)
    assert "needs a config file first" in fails(capsys, "train")
    assert "no such file" in fails(capsys, "train", str(tmp_path / "none.py"))
    for given, message in (
        (
            ["--rollout.group", "1"],
            "rollout.group = 1: an advantage compares a completion with its group; use 2 or more",
        ),
        (["--rollout.at-once", "3"], "rollout.at_once = 3: must divide rollout.prompts ="),
        (["--policy.micro-batch", "48"], "policy.micro_batch = 48 does not divide the 256 rows"),
        (
            ["--policy.init", str(tmp_path / "nowhere")],
            "nowhere: no such folder; give a Hugging Face folder, or the directory of a run; train that model first",
        ),
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
        assert message in fails(capsys, "train", TOY, "--dir", str(tmp_path / "run"), *given), given


def test_ctrl_c_is_told_what_is_true_of_the_program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    for command in COMMANDS.values():  # Before anything is patched, which they would take for good.
        import_module(f"cooper_jax.{command.module}")
    for name, command in COMMANDS.items():
        monkeypatch.setattr(f"cooper_jax.{command.module}.{command.function}", interrupted)
        given = {"verify": ["rows.jsonl", "--out", "out.jsonl"], "generate": ["run", "--prompt", "1+1"]}
        given |= {"score": ["run", "rows.jsonl", "--out", "o"], "export": ["run", "--model", "policy", "--to", "o"]}
        said = fails(capsys, name, *given.get(name, [TOY]), code=130)
        assert said.startswith("error: interrupted; run the same command to ")
        assert ("checkpoint" in said) == (name in ("train", "sft", "fit-reward", "demo")), name
        assert (".partial" in said) == (name == "verify") and ("judge has said is kept" in said) == (name == "annotate")


ROW = '{"question": "1+1+1", "reference_answer": "3", "completion": "#3"}\n'
WRITES = {
    "train": [TOY, "--dir"],
    "sft": [TOY, "--sft.dir"],
    "fit-reward": [TOY, "--fit.dir"],
    "annotate": [TOY, "--annotate.dir"],
    "annotate a file": ["{rows}", "--judge", "lenient", "--verifier.rule", "arithmetic", "--out"],
    "evaluate": [TOY, "--evaluation.out"],
    "verify": ["{rows}", "--out"],
    "score": ["{reward}", "{rows}", "--out"],
    "export": ["{reward}", "--model", "reward", "--to"],
    "demo": ["--out"],
}


@pytest.mark.parametrize("program", WRITES)
def test_a_place_that_cannot_be_written_to(
    program: str, warm: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named, with the reason and the fix, before anything is computed."""
    monkeypatch.setattr(config, "load", lambda _: replace(warm, dir=warm.policy.init))
    rows, file, mounted = tmp_path / "rows.jsonl", tmp_path / "file", tmp_path / "mounted"
    rows.write_text(ROW)
    file.touch()
    mounted.mkdir()
    named = {"rows": rows, "reward": warm.reward.init}
    args = [program.split()[0], *(arg.format(**named) for arg in WRITES[program])]
    cases = {f"{file}/below": "file", str(tmp_path / ("n" * 300)): "nnn", str(mounted / "new"): "mounted"}
    if program not in ("verify", "score"):
        cases[str(file)] = "file"

    def read_only(real: Any) -> Any:
        def call(place: Any, mode: Any = "r", *rest: Any, **how: Any) -> Any:
            if str(place).startswith(str(mounted)) and mode not in ("r", "rb"):
                raise OSError(errno.EROFS, "Read-only file system", str(place))
            return real(place, mode, *rest, **how)

        return call

    monkeypatch.setattr(os, "mkdir", read_only(os.mkdir))
    monkeypatch.setattr(io, "open", read_only(io.open))
    real = os.access
    monkeypatch.setattr(os, "access", lambda place, mode: str(place) != str(mounted) and real(place, mode))
    for place, name in cases.items():
        said = one_error(capsys, *args, place)
        assert name in said and re.search(r"[:;,] (so )?give (another|a )", said), said


def test_a_path_that_is_too_long_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Also where it is read."""
    far = str(tmp_path / ("n" * 300))
    for args in (["train", far], ["evaluate", TOY, "--dir", far], ["generate", far, "--prompt", "1+1"]):
        assert f"{far}: File name too long; give a shorter name" in one_error(capsys, *args).replace("/config.json", "")


def test_a_traceback_does_not_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that nobody expected quotes what it likes."""

    def fail(*_: Any) -> None:
        raise RuntimeError("it said \x1b[2J\u202egnp.exe\x9b1m")

    monkeypatch.setattr("cooper_jax.__main__._run", fail)
    monkeypatch.setattr("sys.argv", ["cooper", "train", TOY])
    with pytest.raises(SystemExit) as stop:
        entry()
    said = capsys.readouterr().err
    assert stop.value.code == 1 and said.startswith("Traceback") and "in fail\n" in said
    assert r"RuntimeError: it said \x1b[2J\u202egnp.exe\x9b1m" in said


def test_help_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(name in fails(capsys, "--help", code=0) for name in COMMANDS)
    assert "--dtype" in fails(capsys, "export", "--help", code=0)
    assert "--deadline" in fails(capsys, "verify", "--help", code=0)
    said = fails(capsys, "train", TOY, "--help", "grpo", code=0)
    assert "--grpo.updates INT  (default: 1)" in said and "Passes over each rollout (mu)" in said


@pytest.mark.parametrize("program", READS)
def test_a_program_shows_what_it_reads_on_three_screens(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = fails(capsys, program, TOY, "--help", code=0)
    assert len(said.splitlines()) <= 165
    cfg = load(TOY)
    for setting in options.settings(cfg):
        section = ".".join(setting.name.split(".")[:2]).replace("_", "-")
        shown = f"{setting.option} " in said or (setting.name.count(".") > 1 and f"--{section}.*" in said)
        if not reads(program, setting.name):
            assert f"{setting.option} " not in said
        elif program != "demo":
            assert shown, setting.name


def test_every_setting_is_explained_and_read() -> None:
    for setting in options.settings(load(TOY)):
        assert any(reads(program, setting.name) for program in READS), f"nobody reads {setting.name}"
        assert setting.about, f"{setting.name} has no docstring"


@pytest.mark.parametrize(
    ("program", "args", "message"),
    [
        ("train", ["--fit.steps", "3"], "cooper train does not read --fit.steps; cooper fit-reward does"),
        ("sft", ["--policy.init=x"], "cooper sft does not read --policy.init; cooper annotate and cooper train do"),
        ("evaluate", ["--no-train-reward"], "cooper evaluate does not read --train-reward; cooper train does"),
        ("fit-reward", ["--grpo.no-packed"], "cooper fit-reward does not read --grpo.packed"),
        ("train", ["--rollout.promts", "4"], "no option --rollout.promts; did you mean --rollout.prompts"),
        ("train", ["--help", "nothing"], "cooper train has no setting nothing"),
    ],
)
def test_an_option_of_another_program_names_it(
    program: str, args: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in fails(capsys, program, TOY, *args, code=2)


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
