"""Strictness in one place: 8 fake devices, rank promotion raises, warnings are errors (pyproject.toml), and no process
of the suite may hold more than `MOST` bytes."""

import ctypes
import gc
import os
import resource
import sys

# Compiling takes most of the suite's time; unoptimised programs compile twice as fast.
FLAGS = " --xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + FLAGS
os.environ["JAX_PLATFORMS"] = "cpu"
# ruff: noqa: E402

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fake_gcs
import jax
import numpy as np
import psutil
import pytest
from folders import ROOT
from small import see_one_device

from cooper_jax import config
from cooper_jax.config import Config, Model, Trainee
from cooper_jax.device import jits
from cooper_jax.mesh import sharding
from cooper_jax.programs.annotate import annotate
from cooper_jax.programs.fit_reward import fit_reward
from cooper_jax.programs.sft import sft
from cooper_jax.run import compiled

MOST = 2 * 2**30
"""Bytes that a process of the suite may hold."""
MOST_REAL = 10 * 2**30
"""With real weights, of both sides of a comparison."""
SWEEP = 1.3 * 2**30
"""Bytes at which a process drops its compiled programs before the next test."""
CACHE = ROOT / ".pytest_cache" / "compiled"

compiled.STRICT = True
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)

TINY = Model(
    vocab=118,
    width=16,
    layers=2,
    heads=4,
    kv_heads=2,
    head_dim=8,
    hidden=24,
    dtype="float32",
    remat="none",
    head_chunk=4,
)


@pytest.fixture
def tiny() -> Model:
    """A decoder small enough to compile at once: grouped heads, head_dim other than width / heads, several chunks."""
    return TINY


@pytest.fixture
def one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs see a single device."""
    see_one_device(monkeypatch)


@pytest.fixture
def cache_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """What commands compile is kept where the suite keeps it, not in the user's home."""
    monkeypatch.setenv("HOME", str(ROOT / ".pytest_cache"))


@pytest.fixture
def mesh() -> jax.sharding.Mesh:
    """The mesh of one device."""
    return sharding.make_mesh(config.Mesh(), jax.devices()[:1])


def toy_in(folder: Path) -> Config:
    """The built-in task over operands 1 and 2, tiny models, four steps; all under `folder`."""
    toy = config.load(config.builtin("toy.py"))
    model = Trainee(TINY, config.Optim(lr=1e-3, warmup=2))
    return replace(
        toy,
        policy=replace(model, init=str(folder / "sft")),
        reward=replace(model, init=str(folder / "reward")),
        dir=str(folder / "run"),
        steps=4,
        data=config.Data(max_operand=2, held_out=2),
        rollout=replace(toy.rollout, prompts=8, group=4),
        pairs=config.Pairs(per_question=2),
        scoring=config.Scoring(length=40),
        sft=replace(toy.sft, dir=str(folder / "sft"), steps=150, batch=32, examples=256),
        annotate=config.Annotate(dir=str(folder / "labels"), completions=64),
        fit=replace(
            toy.fit, dir=str(folder / "reward"), data=str(folder / "labels" / "labels.parquet"), steps=4, batch=16
        ),
        evaluation=config.Evaluation(questions=40, batch=32),
        eval_every=2,
        save_every=1000,
        compile_cache=str(CACHE),
    )


@pytest.fixture
def tiny_config(tmp_path: Path) -> Config:
    """`toy_in` the test's own directory."""
    return toy_in(tmp_path)


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A configuration whose warm start, labels and reward model stand; made once, and only read."""
    with pytest.MonkeyPatch.context() as patch:
        see_one_device(patch)
        cfg = toy_in(tmp_path_factory.mktemp("warm"))
        sft(cfg)
        annotate(cfg)
        fit_reward(cfg)
    return cfg


@pytest.fixture
def started(warm: Config, one_device: None, tmp_path: Path) -> Config:
    """`warm`, to be trained in the test's own directory, saved at every second step, on one device."""
    return replace(warm, dir=str(tmp_path / "run"), save_every=2)


@pytest.fixture(scope="session")
def gcs() -> Iterator[fake_gcs.Store]:
    """An object store on this machine, which the real clients of Google's take for theirs."""
    store = fake_gcs.Store()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", store.url)  # gcsfs, google-cloud-storage
        patch.setenv("TENSORSTORE_GCS_HTTP_URL", store.url)
        patch.setenv("GOOGLE_AUTH_TOKEN_FOR_TESTING", "anyone")  # tensorstore looks for no other
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # asks over another protocol
        pytest.importorskip("gcsfs", reason="the gcs extra is not installed")
        yield store


@pytest.fixture
def gs(gcs: fake_gcs.Store) -> str:
    """A bucket of the test's own, `gs://...`."""
    return f"gs://bucket{next(gcs.generations)}"


@pytest.fixture
def rng() -> np.random.Generator:
    """Seeded noise."""
    return np.random.default_rng(0)


@pytest.fixture
def fresh_steps() -> None:
    """Forget the steps compiled by other tests, so that compilations can be counted."""
    made = (jits.make_rollout, jits.make_score, jits.make_prepare, jits.make_advantages)
    for make in (*made, jits.make_policy_update, jits.make_reward_update):
        make.cache_clear()


# Memory. JAX keeps every program that it has compiled; a suite of many small ones would hold them all.


@pytest.fixture(autouse=True, scope="function")
def programs_are_dropped() -> Iterator[None]:
    """Past `SWEEP`, forget what was compiled; what is needed again comes from the cache on disk."""
    yield
    if psutil.Process().memory_info().rss > SWEEP:
        jax.clear_caches()
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)


def peak() -> int:
    """The most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


PEAKS = pytest.StashKey[dict[str, int]]()


def most(config: pytest.Config) -> int:
    """Bytes that a process may hold."""
    return MOST_REAL if config.getoption("--models") else MOST


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cooper_jax", "tests of real weights (tests/test_real.py)")
    group.addoption("--models", metavar="DIR", help="folder of the models that docs/models.md names")
    group.addoption("--data", metavar="DIR", help="folder with gsm8k_test.jsonl")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of real weights are for those who name them."""
    if not config.getoption("--models"):
        real = [item for item in items if item.get_closest_marker("real")]
        items[:] = [item for item in items if item not in real]
        config.hook.pytest_deselected(items=real)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[PEAKS] = {}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist has ended; one that crashed has left nothing to read."""
    if hasattr(node, "workeroutput"):
        node.config.stash[PEAKS][node.gateway.id] = node.workeroutput["peak"]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where a process held too much: the workers, or the only one there is."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["peak"] = peak()  # pyright: ignore[reportAttributeAccessIssue]
        return
    peaks = session.config.stash[PEAKS]
    peaks.update({} if peaks else {"this process": peak()})
    if session.exitstatus == pytest.ExitCode.OK and max(peaks.values()) > most(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What the processes held at most."""
    peaks = config.stash[PEAKS]
    held = ", ".join(f"{name} {size / 2**30:.2f} GiB" for name, size in sorted(peaks.items()))
    over = max(peaks.values()) > most(config)
    terminalreporter.write_line(f"memory at most: {held}" + f"; over {most(config) / 2**30:.0f} GiB" * over, red=over)
