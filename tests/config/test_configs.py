"""Does every configuration that ships hold together? Loaded, and its steps traced by the code that a run compiles them
with, without weights or data."""

import re
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from folders import ROOT
from jaxprs import made

from cooper_jax import config, cooper
from cooper_jax.config import Config, Trainee, UserError
from cooper_jax.device import jits, loading
from cooper_jax.device.state import CooperState, ModelState
from cooper_jax.host import arithmetic
from cooper_jax.host.text.data import Problem
from cooper_jax.mesh import sharding
from cooper_jax.run.setup import NO_LABELS, Labels, Machine, Run

DOCS = ROOT / "docs"
FILES = sorted((ROOT / "configs").glob("*.py"))
SMOLLM2 = {"vocab": 49_152, "width": 576, "layers": 30, "heads": 9, "kv_heads": 3, "head_dim": 64, "hidden": 1536}
"""Shapes that configs/first_run.py leaves to the folder."""
NOBODY: Any = None
"""In the place of what a trace does not ask: verifier, assistant, problems."""


def machine(cfg: Config, mesh: Any) -> Machine:
    """A program's machine, with the built-in task's tokenizer for a model's own."""
    models = {"policy": cfg.policy, "reward": cfg.reward}
    return Machine(cfg, mesh, models, dict.fromkeys(models, arithmetic.Tokenizer()), NOBODY, ExitStack())


def fresh(trainee: Trainee, scored: bool, updates: int, mesh: Any) -> ModelState:
    """The shapes of a model's first state; reading its folder is left out."""
    state = jax.eval_shape(jits.make_init(trainee, scored, updates, mesh), jax.ShapeDtypeStruct((2,), jnp.uint32))
    lie = lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where)  # noqa: E731
    return jax.tree.map(lie, state, jits.state_shardings(trainee, scored, updates, mesh))


def abstract_run(cfg: Config, mesh: Any) -> tuple[Run, CooperState]:
    """What `cooper train` steps with, of models that are shapes."""
    here, drawn = machine(cfg, mesh), cfg.rollout
    policy = fresh(cfg.policy, False, cfg.steps * cfg.grpo.optimizer_steps, mesh)
    reward = fresh(cfg.reward, True, cfg.steps * cfg.pairs.updates, mesh)
    copies = sharding.prompt_copies(drawn.prompts, drawn.group, mesh, drawn.turns)
    how = here.sampling(drawn.group // copies, drawn.temperature, drawn.top_p, drawn.top_k, drawn.turns)
    frozen = partial(loading.for_compute, model=cfg.policy.model)
    run = Run(
        cfg=cfg,
        machine=here,
        copies=copies,
        counted=(),
        inputs={},
        jits=jits.make_jits(cfg, how, mesh),
        reference=jax.eval_shape(frozen, policy.params) if cfg.grpo.kl_weight else None,
        verifier=NOBODY,
        assistant=NOBODY,
        style=NOBODY,
        watch=NOBODY,
        kept=NOBODY,
        stream=NOBODY,
        replay=Labels([Problem("1+1+1", "3")], ["#3"], np.ones(1)) if cfg.pairs.replay else NO_LABELS,
    )
    return run, CooperState(policy, reward)


def updates(out: Any, state: ModelState) -> None:
    """A state comes back in the shapes and types it had, and with a loss."""
    after, metrics = out
    shape = lambda x: (x.shape, x.dtype)  # noqa: E731
    assert jax.tree.map(shape, after) == jax.tree.map(shape, state)
    assert metrics["loss"].shape == ()


def _of_smollm2(trainee: Trainee) -> Trainee:
    return replace(trainee, model=replace(trainee.model, qkv_bias=False, **SMOLLM2))


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def shipped(request: pytest.FixtureRequest) -> tuple[Config, Any]:
    """A configuration, and a mesh of its hardware in fake devices: eight, or one where it asks for one."""
    text = request.param.read_text()
    for said in ("cooper ", "Expect"):
        assert said in text, f"the docstring of {request.param.name} does not say what to run and expect"
    assert "Hardware: " in text or request.param.stem == "toy"
    cfg = config.load(str(request.param))
    if request.param.stem == "first_run":
        assert not cfg.policy.model.given and not cfg.reward.model.given
        cfg = replace(cfg, **{name: _of_smollm2(getattr(cfg, name)) for name in ("policy", "reward")})
    one = "Hardware: one GPU" in text or request.param.stem in ("toy", "first_run")
    return cfg, sharding.make_mesh(cfg.mesh, jax.devices()[:1] if one else jax.devices())


def test_a_whole_step_is_traced(shipped: tuple[Config, Any]) -> None:
    """With the shapes for which a run compiles it: rollout, scores, advantages, both updates; and nowhere are there
    logits of more tokens than `head_chunk` (or one a row), let alone [B, T, V]."""
    cfg, mesh = shipped
    if not cfg.policy.model.given:
        assert cfg.fit.init and not cfg.policy.init  # it fits a reward model and no more
        return
    drawn = cfg.rollout
    sharding.rows_divide(mesh, prompts=drawn.prompts, policy=0 if cfg.grpo.packed else cfg.policy.micro_batch)
    with jax.set_mesh(mesh):
        run, state = abstract_run(cfg, mesh)
        found = cooper.programs(run, state)
        traced = {name: fn.trace(*args) for name, (fn, args) in found.items()}
    assert traced["rollout"].out_info.token_BT.shape == (drawn.rows, drawn.completion_len)
    score_B = traced["score"].out_info
    assert (score_B.shape, score_B.dtype) == ((drawn.rows,), jnp.float32)
    updates(traced["policy_update"].out_info, state.policy)
    assert state.reward is not None
    updates(traced["rm_update"].out_info, state.reward)

    batch = found["policy_update"][1][1]
    model, rows = cfg.policy.model, batch.token_PGT.shape[0] * batch.token_PGT.shape[1] // batch.parts
    for name in ("prepare", "policy_update"):
        logits = [x for x in made(traced[name].jaxpr) if x.ndim > 1 and x.shape[-1] == model.vocab]
        most = max((x.size // model.vocab for x in logits), default=0)
        assert most <= max(model.head_chunk, rows) < batch.token_PGT.size, (name, most)
        assert logits or run.reference is None


def test_minibatches_are_whole_micro_batches() -> None:
    toy = config.load(config.builtin("toy.py"))
    mesh = sharding.make_mesh(toy.mesh, jax.devices()[:1])
    with jax.set_mesh(mesh):
        run, state = abstract_run(replace(toy, grpo=replace(toy.grpo, minibatches=3)), mesh)
        with pytest.raises(UserError, match=r"grpo.minibatches = 3 does not divide the 4 micro-batches of a step"):
            cooper.programs(run, state)


def test_fitting_the_reward_model_is_traced(shipped: tuple[Config, Any]) -> None:
    cfg, mesh = shipped
    sharding.rows_divide(mesh, evaluation=cfg.evaluation.batch)
    here, nothing = machine(cfg, mesh), np.zeros(1, np.int32)
    trainee = Trainee(cfg.reward.model, cfg.fit.optim, micro_batch=cfg.reward.micro_batch)
    rows = here.packed_pairs(0, [], cfg.fit.batch, [nothing] * cfg.fit.batch, np.zeros(cfg.fit.batch, np.int32))
    texts = here.packed([nothing] * cfg.evaluation.batch)
    with jax.set_mesh(mesh):
        state = fresh(trainee, True, 10, mesh)
        updates(jits.make_fit_update(trainee, 10, mesh).trace(state, here.like(rows)).out_info, state)
        score = jits.make_score(cfg.reward.model, mesh)
        assert score.trace(state.params, here.like(texts)).out_info.shape == (cfg.evaluation.batch,)


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
        if name in ("gsm8k", "first_run"):  # make their own reward model, from a model of the policy's size
            assert cfg.reward.init == cfg.fit.dir and cfg.fit.data == f"{cfg.annotate.dir}/labels.parquet"
        elif name not in ("toy", "verifyrm"):
            assert cfg.reward.init == named["verifyrm"].fit.dir and cfg.reward.model == named["verifyrm"].reward.model
    assert len({cfg.dir for cfg in named.values()}) == len(named)
