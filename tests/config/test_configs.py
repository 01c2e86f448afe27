"""Does every configuration that ships hold together? Loaded, and its steps traced by shape, without weights or data."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from folders import ROOT

from cooper_jax import config
from cooper_jax.config import Config, Trainee
from cooper_jax.device import jits
from cooper_jax.device.state import Packing, PairBatch, Prompts, RMTexts
from cooper_jax.host.text import packing
from cooper_jax.mesh import sharding
from cooper_jax.model.sample import Sampling

DOCS = ROOT / "docs"
FILES = sorted((ROOT / "configs").glob("*.py"))
KEY = jax.ShapeDtypeStruct((2,), jnp.uint32)


def texts(rows: int, length: int) -> list[jax.ShapeDtypeStruct]:
    """Tokens and mask of `rows` texts."""
    return [jax.ShapeDtypeStruct((rows, length), kind) for kind in (jnp.int32, jnp.bool)]


def ints(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.int32)


def rows_of(units: int, longest: int, length: int, micro_batch: int, mesh: Any) -> packing.Shape:
    return packing.shape(units, longest, length, micro_batch, mesh.shape["data"] * mesh.shape["fsdp"])


def rm_texts(count: int, cfg: Config, mesh: Any) -> RMTexts:
    """Packed texts to score."""
    into = rows_of(count, cfg.scoring.length, 2 * cfg.scoring.length, cfg.scoring.micro_batch, mesh)
    return RMTexts(ints(into.rows, into.length), ints(into.rows, into.length), ints(count), parts=into.parts)


def pairs(slots: int, labelled: int, cfg: Config, mesh: Any) -> PairBatch:
    """Packed pairs and labelled texts."""
    window = cfg.scoring.length
    units, longest = (slots + -(-labelled // 2), 2 * window) if slots else (labelled, window)
    into = rows_of(units, longest, 2 * window, cfg.reward.micro_batch, mesh)
    return PairBatch(*(ints(into.rows, into.length) for _ in range(4)), parts=into.parts)


def fresh(trainee: Trainee, scored: bool, updates: int, mesh: Any) -> Any:
    """The shapes of a model's first state; reading its folder is left out."""
    return jax.eval_shape(jits.make_init(trainee, scored, updates, mesh), KEY)


def same(after: Any, before: Any) -> None:
    """A state comes back in the shapes and types it had."""
    shape = lambda x: (x.shape, x.dtype)  # noqa: E731
    assert jax.tree.map(shape, after) == jax.tree.map(shape, before)


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def shipped(request: pytest.FixtureRequest) -> tuple[Config, Any]:
    """A configuration, and a mesh of its hardware in fake devices: eight, or one where it asks for one."""
    text = request.param.read_text()
    for said in ("cooper ", "Expect"):
        assert said in text, f"the docstring of {request.param.name} does not say what to run and expect"
    assert "Hardware: " in text or request.param.stem == "toy"
    cfg = config.load(str(request.param))
    one = "Hardware: one GPU" in text or request.param.stem == "toy"
    return cfg, sharding.make_mesh(cfg.mesh, jax.devices()[:1] if one else jax.devices())


def test_a_whole_step_is_traced(shipped: tuple[Config, Any]) -> None:
    """Rollout, scores, advantages, both updates: each takes what the one before gives."""
    cfg, mesh = shipped
    if not cfg.policy.model.given:
        assert cfg.fit.init and not cfg.policy.init  # it fits a reward model and no more
        return
    drawn, slots = cfg.rollout, cfg.rollout.prompts * cfg.pairs.per_question
    sharding.rows_divide(mesh, prompts=drawn.prompts, policy=0 if cfg.grpo.packed else cfg.policy.micro_batch)
    how = Sampling(drawn.group, drawn.completion_len, drawn.temperature, drawn.top_p, drawn.top_k, (2, 3), 0)
    with jax.set_mesh(mesh):
        made = jits.make_jits(cfg, how, mesh)
        policy = fresh(cfg.policy, False, cfg.steps * cfg.grpo.updates, mesh)
        reward = fresh(cfg.reward, True, cfg.steps * cfg.pairs.updates, mesh)
        rolled = jax.eval_shape(made.rollout, policy.params, Prompts(*texts(drawn.prompts, drawn.prompt_len)), KEY)
        assert rolled.token_BT.shape == (drawn.rows, drawn.completion_len)
        score_B = jax.eval_shape(made.score, reward.params, rm_texts(drawn.rows, cfg, mesh))
        assert (score_B.shape, score_B.dtype) == ((drawn.rows,), jnp.float32)
        reference = policy.params if cfg.grpo.kl_weight else None
        places = None
        if cfg.grpo.packed:
            both = drawn.prompt_len + drawn.completion_len
            into = rows_of(drawn.rows, both, 2 * both, cfg.policy.micro_batch, mesh)
            places = Packing(*(ints(into.rows, into.length) for _ in range(2)), parts=into.parts)
        batch = jax.eval_shape(made.prepare, reference, rolled, places)
        advantage_PGT, _ = jax.eval_shape(made.advantages, rolled, score_B, places)
        batch = replace(batch, advantage_PGT=advantage_PGT)
        after, metrics = jax.eval_shape(made.policy_update, policy, batch)
        same(after, policy)
        assert metrics["loss"].shape == ()
        after, metrics = jax.eval_shape(made.reward_update, reward, pairs(slots, cfg.pairs.replay_rows, cfg, mesh))
        same(after, reward)
        assert metrics["loss"].shape == ()


def test_fitting_the_reward_model_is_traced(shipped: tuple[Config, Any]) -> None:
    cfg, mesh = shipped
    sharding.rows_divide(mesh, evaluation=cfg.evaluation.batch)
    trainee = Trainee(cfg.reward.model, cfg.fit.optim, micro_batch=cfg.reward.micro_batch)
    with jax.set_mesh(mesh):
        state = fresh(trainee, True, 10, mesh)
        update = jits.make_fit_update(trainee, 10, mesh)
        after, metrics = jax.eval_shape(update, state, pairs(0, cfg.fit.batch, cfg, mesh))
        same(after, state)
        assert metrics["loss"].shape == ()
        score = jits.make_score(cfg.reward.model, mesh)
        scored = jax.eval_shape(score, state.params, rm_texts(cfg.evaluation.batch, cfg, mesh))
        assert scored.shape == (cfg.evaluation.batch,)


def test_the_documents_configuration(tmp_path: Path) -> None:
    """docs/models.md shows one that loads, its shapes left open."""
    [shown] = re.findall(r"```python\n(from cooper_jax.config.+?)```", (DOCS / "models.md").read_text(), re.S)
    (tmp_path / "mine.py").write_text(shown)
    cfg = config.load(str(tmp_path / "mine.py"))
    assert (
        cfg.policy.init == "models/MyPolicy" and not cfg.policy.model.given and "\\boxed{}" in cfg.prompting.instruction
    )


def test_the_papers_settings() -> None:
    """As arXiv 2508.05613 states them, and every file's arms in runs of their own."""
    named = {file.stem: config.load(str(file)) for file in FILES}
    for name in ("qwen2_5_1_5b", "llama3_2_1b"):
        cfg = named[name]
        assert (cfg.policy.optim.lr, cfg.reward.optim.lr, cfg.rollout.temperature, cfg.rollout.top_p) == (
            1e-6,
            1e-5,
            1,
            1,
        )
        grpo = cfg.grpo
        assert (grpo.clip_low, grpo.clip_high, grpo.kl, grpo.kl_weight) == (0.2, 0.2, "k3", 0.001)
        assert grpo.aggregation == "token-mean" and (cfg.pairs.per_question, cfg.pairs.updates) == (1, 1)
        evaluated = cfg.evaluation
        assert (evaluated.samples, evaluated.temperatures, evaluated.top_p, len(evaluated.sets)) == (8, (0.7,), 0.95, 5)
    fit = named["verifyrm"].fit
    assert (fit.optim.lr, fit.epochs, fit.optim.weight_decay) == (2e-5, 3, 0.01)
    for name, cfg in named.items():
        if name not in ("toy", "verifyrm"):
            assert cfg.reward.init == named["verifyrm"].fit.dir and cfg.reward.model == named["verifyrm"].reward.model
    assert len({cfg.dir for cfg in named.values()}) == len(named)
