"""Does it hang together? Programs end to end, compiled once, resumed to the bit, and honest about mistakes."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from cooper_jax import config, cooper
from cooper_jax.__main__ import COMMANDS, main
from cooper_jax.config import Config, Trainee, UserError
from cooper_jax.cooper import train
from cooper_jax.device import jits
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG, Verdict
from cooper_jax.mesh import sharding
from cooper_jax.model import weights
from cooper_jax.programs.annotate import annotate
from cooper_jax.programs.evaluate import evaluate
from cooper_jax.programs.fit_reward import fit_reward
from cooper_jax.programs.sft import sft
from cooper_jax.run import checkpoint, metrics, setup
from cooper_jax.run.curves import records

pytestmark = pytest.mark.usefixtures("one_device")


@pytest.fixture
def started(tiny_config: Config) -> Config:
    """A configuration whose warm start, labels and reward model stand."""
    sft(tiny_config)
    annotate(tiny_config)
    fit_reward(tiny_config)
    return tiny_config


def final_weights(cfg: Config, item: str) -> list[np.ndarray]:
    mesh = sharding.make_mesh(cfg.mesh)
    trainee = cfg.policy if item == "policy" else cfg.reward
    params = checkpoint.load_params(cfg.dir, item, weights.abstract(trainee.model, item == "reward", mesh))  # pyright: ignore
    return [np.asarray(leaf) for leaf in jax.tree.leaves(params)]


def timeless(run_dir: str) -> list[dict[str, float]]:
    clocks = ("seconds", "tokens_per_second")
    return [{k: v for k, v in r.items() if not k.startswith(clocks)} for r in records(run_dir)]


LOGGED = """
reward/mean reward/std reward/zero_std_groups rule/accuracy rule/unknown rm/agreement rm/precision rm/recall rm/auroc
rm/false_positive_rate rm/gap pairs/valid pairs/valid_rate reward_model/accuracy reward_model/margin policy/kl
policy/entropy policy/clip_fraction policy/sampler_ratio policy/sampler_gap completion/length completion/truncated
seconds/rollout seconds/encode seconds/wait seconds/decode seconds/score seconds/prepare seconds/policy
seconds/verify seconds/assistant seconds/reward seconds/log seconds/step tokens_per_second
"""


def test_the_chain_of_programs(started: Config, fresh_steps: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Every arm runs from one configuration; metrics are whole; every step was compiled exactly once."""
    cfg = replace(started, pairs=config.Pairs(per_question=2, replay=0.5, replay_rows=4, anchor=0.1, updates=2))
    train(replace(cfg, grpo=config.GRPO(updates=2)))
    rows = records(cfg.dir)
    assert [r["step"] for r in rows] == [1, 2, 3, 4]
    missing = [name for name in LOGGED.split() if not any(name in r for r in rows)]
    assert not missing
    assert any(r["pairs/valid"] > 0 for r in rows) and ["eval/accuracy" in r for r in rows] == [False, True] * 2
    for r in rows:
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
    for name in ("rollout", "score", "prepare", "advantages", "policy", "reward"):
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
        np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-3, atol=1e-4)


def test_resuming_gives_the_same_run_to_the_bit(started: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Straight, in two parts, stopped by Ctrl-C, and killed in the third step: the same records and weights."""
    folder = Path(started.dir).parent
    straight, parts, stopped, killed = (replace(started, dir=str(folder / n)) for n in ("a", "b", "c", "d"))
    train(straight)
    train(replace(parts, steps=2))
    train(parts)
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
    assert any(record["pairs/valid"] > 0 for record in records(straight.dir))  # both models really moved
    for other in (parts, stopped, killed):
        # The run in two parts was evaluated at the end of the first.
        assert timeless(other.dir) == timeless(straight.dir), other.dir
        for item in ("policy", "reward"):
            for a, b in zip(final_weights(straight, item), final_weights(other, item), strict=True):
                np.testing.assert_array_equal(a, b)


def test_another_seed_is_another_run(started: Config) -> None:
    other = replace(started, dir=started.dir + "2", seed=1)
    train(started)
    train(other)
    assert timeless(started.dir) != timeless(other.dir)


def test_a_directory_keeps_to_its_settings(started: Config) -> None:
    train(replace(started, steps=2))
    changed = replace(started, policy=replace(started.policy, optim=config.Optim(lr=0.5)), seed=3)
    with pytest.raises(
        UserError, match=r"policy.optim.lr was 0.001, now 0.5; .*seed was 0, now 3\); give the settings"
    ):
        train(changed)
    train(replace(started, steps=2, save_every=1, verifier=replace(started.verifier, workers=1)))  # these may change
    smaller = replace(started.reward.model, width=8)
    with pytest.raises(
        UserError, match=r"the reward in .* has .* of shape .*, this configuration wants .* reward.model the shapes"
    ):
        train(replace(started, dir=started.dir + "3", reward=replace(started.reward, model=smaller)))


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


def fails(capsys: pytest.CaptureFixture[str], *args: str, code: int = 1) -> str:
    """Run the command; it must end with `code` and without a traceback. Returns what it said."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(list(args))
    said = capsys.readouterr()
    assert stop.value.code == code
    assert "Traceback" not in said.err + said.out
    return said.err + said.out


TOY = config.builtin("toy.py")


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


def test_mistakes_in_a_config_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    head = f"from cooper_jax.config import *\nfrom dataclasses import replace\ntoy = load({TOY!r})\n"
    for body, message in (
        ("config = replace(toy, stepz=3)", r"line 4: TypeError"),
        ("config = replace(toy, steps='ten')", "Config.steps = 'ten'"),
        ("config = replace(toy, rollout=Rollout(group='8'))", "Rollout.group = '8'"),
        ("config = replace(toy", "line 4: SyntaxError"),
        ("import nothing_of_the_kind", "line 4: ModuleNotFoundError"),
        ("confg = toy", "defines no `config = Config(...)`"),
    ):
        file.write_text(head + body)
        said = fails(capsys, "train", str(file))
        assert message in said and str(file) in said, body


def test_mistakes_in_labels(tiny_config: Config, tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    cfg = replace(tiny_config, fit=replace(tiny_config.fit, data=str(path)))
    row = {"question": "1+1+1", "reference_answer": "3", "completion": "#3", "label": 1}
    for rows, message in (
        ([{"question": "1+1+1"}], r"lacks the columns \['reference_answer', 'completion', 'label'\]"),
        ([row, row | {"label": 2}], r"row 1: .*label 0 or 1"),
        ([row, row | {"completion": None}], "row 1: .*must be text"),
        ([row] * 3, "label more completions"),
        ([row | {"question": "x+1+1"}], "'x' .* not in the built-in task's vocabulary"),
    ):
        pq.write_table(pa.Table.from_pylist(rows), path)
        with pytest.raises(UserError, match=message):
            fit_reward(cfg)
    path.write_text("not parquet")
    with pytest.raises(UserError, match="is not a parquet file"):
        fit_reward(cfg)


def test_fitting_by_epochs_keeps_the_best(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evaluated after each epoch; the best epoch is kept and loaded, and a killed run goes on from the newest."""
    rows = [
        {"question": f"{a}+{b}+1", "reference_answer": f"{a + b + 1}", "completion": f"#{a + b + 1 + wrong}"}
        | {"label": 1 - wrong}
        for a in range(9)
        for b in range(9)
        for wrong in (0, 1)
    ]
    long = rows[0] | {"question": "+".join("1" * 40)}
    pq.write_table(pa.Table.from_pylist([*rows, long]), tmp_path / "labels.parquet")
    optim = config.Optim(lr=3e-3)  # learns at first, and then by leaps: the last epoch is not the best
    fit = config.Fit(dir=str(tmp_path / "a"), data=str(tmp_path / "labels.parquet"), epochs=5, batch=32, optim=optim)
    cfg = replace(tiny_config, fit=fit, keep=1, save_every=1000, reward=replace(tiny_config.reward, init=""))
    fit_reward(cfg)
    assert "1 of 163 rows left out: question and reference over 40 tokens" in capsys.readouterr().out
    lines = records(fit.dir)
    epoch = -(-sum(zlib.crc32(str(r["question"]).encode()[::-1]) / 2**32 >= 0.2 for r in rows) // 32)
    evaluated = {r["step"]: r["eval/accuracy"] for r in lines if "eval/accuracy" in r}
    assert list(evaluated) == [epoch * n for n in range(1, 6)] and len(lines) == epoch * 5
    names = ("accuracy", "precision", "recall", "auroc", "ece")
    assert not [name for name in names if not any(f"eval/{name}" in r for r in lines)]

    # Killed in the third epoch, and continued.
    killed = replace(cfg, fit=replace(fit, dir=str(tmp_path / "b")))
    real = metrics.finish

    def finish(record: Any, time: Any) -> Any:
        count.append(1)
        if len(count) == 2 * epoch + 2:
            raise RuntimeError("killed")
        return real(record, time)

    count: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(metrics, "finish", finish)
        with pytest.raises(RuntimeError):
            fit_reward(killed)
    fit_reward(killed)
    assert timeless(killed.fit.dir) == timeless(fit.dir)

    best = max(evaluated, key=lambda step: (evaluated[step], step))
    for folder in (fit.dir, killed.fit.dir):
        kept = {int(path.name) for path in (Path(folder) / "checkpoints").iterdir()}
        assert kept == {best, epoch * 5}
    weights = final_weights(replace(cfg, dir=fit.dir), "reward")
    until = replace(cfg, fit=replace(fit, dir=str(tmp_path / "c"), steps=best))
    fit_reward(until)
    for a, b in zip(weights, final_weights(replace(cfg, dir=until.fit.dir), "reward"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert best != epoch * 5, evaluated


def test_calibration_error() -> None:
    """By hand: two bins of 1/15, one of them off by 1/2, the other by 1/10."""
    score, label = np.array([0.5, 0.5, 0.9, 0.9]), np.array([0, 0, 1, 1])
    np.testing.assert_allclose(metrics.calibration_error(score, label), (2 * 0.5 + 2 * 0.1) / 4)
    np.testing.assert_allclose(metrics.calibration_error(np.array([1.0, 0.0]), np.array([1, 0])), 0)


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


def test_divergence_is_not_saved(started: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    real = cooper.cooper_step

    def step(*args: Any) -> Any:
        state, record = real(*args)
        return state, record | ({"policy/loss": float("nan")} if args[2] == 3 else {})

    monkeypatch.setattr(cooper, "cooper_step", step)
    with pytest.raises(UserError, match="policy/loss = nan: training has diverged"):
        train(started)
    assert not (Path(started.dir) / "checkpoints" / "4").exists()


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


def test_compiled_programs_are_kept_where_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The configuration's folder, unless the environment names one; a folder that cannot be made costs one line."""
    seen: dict[str, Any] = {}
    monkeypatch.setattr(jax.config, "update", seen.__setitem__)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    setup.keep_compiled(Config(Trainee(), Trainee()).compile_cache)
    assert seen["jax_compilation_cache_dir"] == str(tmp_path / ".cache" / "cooper_jax")
    assert seen["jax_persistent_cache_min_compile_time_secs"] < 1
    seen.clear()
    setup.keep_compiled("")
    (tmp_path / "file").touch()
    setup.keep_compiled(str(tmp_path / "file" / "folder"))
    assert not seen
    assert "compiled programs are not kept" in capsys.readouterr().out
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    setup.keep_compiled(str(tmp_path))
    assert "jax_compilation_cache_dir" not in seen


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
    heavy = "torch transformers sklearn sympy math_verify matplotlib scipy.stats tensorflow tensorflow_datasets"
    code = f"import sys, cooper_jax.cooper; print(*[name for name in {heavy.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_auroc(rng: np.random.Generator) -> None:
    """As scikit-learn has it, ties too."""
    right = rng.random(200) < 0.3
    score = np.round(rng.random(200) + 0.3 * right, 1)
    np.testing.assert_allclose(metrics.auroc(score, right), roc_auc_score(right, score), rtol=1e-12)


def test_reward_model_against_rule() -> None:
    verdicts = [Verdict(v, None, "") for v in (RIGHT, RIGHT, WRONG, WRONG, WRONG, UNKNOWN)]  # pyright: ignore
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


def test_tensorboard_is_written(started: Config) -> None:
    train(replace(started, steps=2, log=config.Log(tensorboard=True)))
    assert list(Path(started.dir).glob("events.out.tfevents.*"))


def test_wandb_needs_its_extra(started: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"pip install 'cooper-jax\[wandb\]'"):
        train(replace(started, log=config.Log(wandb="project")))
