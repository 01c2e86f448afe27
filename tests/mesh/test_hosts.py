"""Do several processes do what one does, and end together whatever becomes of one of them?

Real processes on this machine, started by `launch/local.sh`, two CPU devices each.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from folders import ROOT
from runs import timeless

from cooper_jax.config import UserError
from cooper_jax.mesh import hosts
from cooper_jax.run import tables

LAUNCH = ROOT / "launch" / "local.sh"
RUNS = ("sft", "worked", "reward", "rule", "static", "cooper", "hybrid")
# How full packed rows are depends on how many packings there are.
PACKED = ("slots_filled",)


def started(what: str, out: Path, *rest: str, processes: int = 2, **env: str) -> subprocess.Popen[str]:
    """`several.py` under way in so many processes."""
    command = [str(LAUNCH), "--processes", str(processes), "--devices", "2", "--program", what, str(out), *rest]
    quick = "--xla_backend_optimization_level=0"
    settings = {"COOPER": f"{sys.executable} {ROOT / 'tests' / 'several.py'}", "XLA_FLAGS": quick, "COOPER_GRACE": "60"}
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_"))} | settings | env
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    """What it said; it must end with `code`."""
    said, _ = process.communicate(timeout=600)
    assert process.returncode == code, said
    return said


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All programs in one process."""
    out = tmp_path_factory.mktemp("several") / "one"
    out.mkdir()
    ended(started("whole", out, processes=1))
    return out


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """All programs in two, whose devices take turns in the mesh; and what they said."""
    out = tmp_path_factory.mktemp("several") / "two"
    out.mkdir()
    return out, ended(started("whole", out, "0,2,1,3"))


def alike(mine: list[dict[str, float]], theirs: list[dict[str, float]], but: tuple[str, ...] = PACKED) -> None:
    """Records are those of the other run, up to rounding and `but` for what ends so."""
    assert len(mine) == len(theirs) > 0
    for a, b in zip(mine, theirs, strict=True):
        assert {n for n in a if not n.endswith(but)} == {n for n in b if not n.endswith(but)}
        for name in a:
            if not name.endswith(but):
                np.testing.assert_allclose(a[name], b[name], rtol=1e-2, atol=1e-4, err_msg=name)


def same_tables(mine: Path, theirs: Path) -> None:
    """Samples and pairs are those of the other run: text to the letter, numbers up to rounding."""
    for kind in ("samples", "pairs"):
        files = [tables.steps(run / kind) for run in (mine, theirs)]
        ended = timeless(str(mine))[-1]["step"]  # Of a run that stops early, nobody knows its last step before.
        written = set() if kind == "pairs" and mine.name != "cooper" else {1, 3} if ended == 3 else {1}
        assert files[0].keys() == files[1].keys() == written
        for step, file in files[0].items():
            rows, others = pq.read_table(file).to_pydict(), pq.read_table(files[1][step]).to_pydict()
            for name, values in rows.items():
                if values and isinstance(values[0], float):
                    np.testing.assert_allclose(values, others[name], rtol=1e-2, atol=2e-3, err_msg=name)
                else:
                    assert values == others[name], name


@pytest.mark.slow
def test_two_processes_are_one(one: Path, two: tuple[Path, str]) -> None:
    out, _ = two
    for name in RUNS:
        alike(timeless(str(out / name)), timeless(str(one / name)))
    for name in ("rule", "static", "cooper"):
        same_tables(out / name, one / name)
    labels = [pq.read_table(folder / "labels" / "labels.parquet").to_pylist() for folder in (one, out)]
    assert labels[0] == labels[1]
    figures = [json.loads((folder / "figures.json").read_text()) for folder in (one, out)]
    assert figures[0]["evaluated"] == figures[1]["evaluated"]
    assert (figures[0]["kept"], figures[1]["kept"]) == ([True], [True, True])  # asked again, nothing is done again
    np.testing.assert_allclose(figures[0]["scored"], figures[1]["scored"], rtol=1e-3, atol=1e-5)
    assert "pairs/style_accuracy" in timeless(str(out / "cooper"))[-1]


@pytest.mark.slow
def test_the_first_process_writes_and_speaks(one: Path, two: tuple[Path, str]) -> None:
    """The same files as of one process, every record once, and every line said once."""
    out, said = two
    files = lambda root: {str(f.relative_to(root)) for f in root.rglob("*") if "checkpoints" not in f.parts}  # noqa: E731
    assert files(out) == files(one)
    for name in RUNS:
        steps = [record["step"] for record in timeless(str(out / name))]
        assert steps == sorted(set(steps))
    assert said.count("train: ended at step 2 of 3: eval/accuracy is ") == 1
    assert said.count("train: the best checkpoint is that of step 2") == 1
    assert said.count("training data:") == 6 and "[1] train" not in said


@pytest.mark.slow
def test_killed_it_ends_and_continues_to_the_same_numbers(one: Path, tmp_path: Path) -> None:
    """One of two processes is shot; the other ends in bounded time, with an exit code that has launchers start again.
    The same command then gives the records of an undisturbed run."""
    for name in ("sft", "reward", "labels"):
        (tmp_path / name).symlink_to(one / name)
    run = started("train", tmp_path, REST="1")
    metrics = tmp_path / "shot" / "metrics.jsonl"
    wait_for(lambda: (tmp_path / "shot" / "checkpoints" / "1").exists() and metrics.read_text().count("\n") >= 1, run)
    children = [p for p in psutil.Process(run.pid).children(recursive=True) if "several.py" in " ".join(p.cmdline())]
    begun = time.monotonic()
    max(children, key=lambda p: p.pid).send_signal(signal.SIGKILL)
    said, _ = run.communicate(timeout=120)
    assert run.returncode not in (0, 1, 2, 130) and time.monotonic() - begun < hosts.HEARTBEAT_S + 30
    # The collective that misses it fails, or the coordinator does.
    assert "or one that it needs, is lost" in said or "another task died" in said
    ended(started("train", tmp_path))
    # Style is measured on the pairs of one life of a process.
    alike(timeless(str(tmp_path / "shot")), timeless(str(one / "cooper")), (*PACKED, "style_accuracy"))


@pytest.mark.slow
def test_a_signal_to_one_saves_in_all(one: Path, tmp_path: Path) -> None:
    """SIGTERM reaches one process alone: all end after the same step, saved, and say why once."""
    for name in ("sft", "reward", "labels"):
        (tmp_path / name).symlink_to(one / name)
    run = started("train", tmp_path, "40", REST="0.3")
    metrics = tmp_path / "shot" / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.read_text().count("\n") >= 1, run)
    children = [p for p in psutil.Process(run.pid).children(recursive=True) if "several.py" in " ".join(p.cmdline())]
    max(children, key=lambda p: p.pid).send_signal(signal.SIGTERM)
    said = ended(run, 130)
    [step] = re.findall(r"stopped by SIGTERM and saved at step (\d+) of 40", said)
    assert (tmp_path / "shot" / "checkpoints" / step).is_dir()
    assert len(timeless(str(tmp_path / "shot"))) == int(step)


@pytest.mark.slow
def test_what_one_process_alone_sees_ends_all(one: Path, tmp_path: Path) -> None:
    """An assistant that refuses in one process: all end cleanly, saved, with the reason once. So do settings that
    differ, before anything is computed."""
    for name in ("sft", "reward", "labels"):
        (tmp_path / name).symlink_to(one / name)
    refused = started("refuse", tmp_path)
    said = ended(refused, 1)
    assert said.count("who are you") == 1 and "error: process 1: the server said 401" in said, said
    [saved] = (tmp_path / "refused" / "checkpoints").iterdir()
    assert int(saved.name) in (2, 3) and len(timeless(str(tmp_path / "refused"))) == int(saved.name)
    said = ended(started("differ", tmp_path), 1)
    assert said.count("settings differ: seed is 0 in process 0 and 1 in process 1") == 1, said


def wait_for(ready: Any, run: subprocess.Popen[str]) -> None:
    begun = time.monotonic()
    while not ready():
        assert run.poll() is None and time.monotonic() - begun < 200, run.communicate()[0]
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"JAX_NUM_PROCESSES": "2"}, "JAX_COORDINATOR_ADDRESS, JAX_PROCESS_ID not set, beside JAX_NUM_PROCESSES"),
        (("here", "2", "0"), "JAX_COORDINATOR_ADDRESS = 'here': give host:port"),
        (("here:1", "two", "0"), "JAX_NUM_PROCESSES = 'two': must be a whole number"),
        (("here:1", "2", "2"), "JAX_PROCESS_ID = 2: must be below JAX_NUM_PROCESSES = 2"),
    ],
)
def test_wrong_variables_are_named(given: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    for name, text in (given if isinstance(given, dict) else dict(zip(names, given, strict=True))).items():
        monkeypatch.setenv(name, text)
    with pytest.raises(UserError, match=re.escape(said)):
        hosts.start()
