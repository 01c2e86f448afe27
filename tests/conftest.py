"""Strictness in one place: 8 fake devices, rank promotion raises, warnings are errors (pyproject.toml)."""

import os

# Compiling takes most of the suite's time; unoptimised programs compile twice as fast.
FLAGS = " --xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + FLAGS
os.environ["JAX_PLATFORMS"] = "cpu"
# ruff: noqa: E402

from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

from cooper_jax import config
from cooper_jax.config import Config, Model, Trainee
from cooper_jax.device import jits
from cooper_jax.mesh import sharding

CACHE = Path(__file__).parent.parent / ".pytest_cache" / "compiled"

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
    monkeypatch.setattr(sharding, "make_mesh", partial(sharding.make_mesh, devices=jax.devices()[:1]))


@pytest.fixture
def mesh() -> jax.sharding.Mesh:
    """The mesh of one device."""
    return sharding.make_mesh(config.Mesh(), jax.devices()[:1])


@pytest.fixture
def tiny_config(tmp_path: Path) -> Config:
    """The built-in task over operands 1 and 2, tiny models, four steps; all under the test's own directory."""
    toy = config.load(config.builtin("toy.py"))
    model = Trainee(TINY, config.Optim(lr=1e-3, warmup=2))
    return replace(
        toy,
        policy=replace(model, init=str(tmp_path / "sft")),
        reward=replace(model, init=str(tmp_path / "reward")),
        dir=str(tmp_path / "run"),
        steps=4,
        data=config.Data(max_operand=2, held_out=2),
        rollout=replace(toy.rollout, prompts=8, group=4),
        pairs=config.Pairs(per_question=2),
        scoring=config.Scoring(length=40),
        sft=replace(toy.sft, dir=str(tmp_path / "sft"), steps=60, batch=32, examples=256),
        annotate=config.Annotate(dir=str(tmp_path / "labels"), completions=64),
        fit=replace(
            toy.fit, dir=str(tmp_path / "reward"), data=str(tmp_path / "labels" / "labels.parquet"), steps=4, batch=16
        ),
        evaluation=config.Evaluation(questions=40, batch=32),
        eval_every=2,
        save_every=2,
        compile_cache=str(CACHE),
    )


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
