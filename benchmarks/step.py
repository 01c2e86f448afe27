"""One GRPO step of ours on the workload that Tunix and TRL also run (see workload.py, which explains the figures).

python benchmarks/step.py [--steps 10] [--json OUT] [--cache DIR]
"""

# ruff: noqa: E402

import os
from dataclasses import replace
from typing import Any

import workload

GIVEN = workload.arguments(__doc__)  # JAX reads the environment when it is imported.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np

from cooper_jax import config
from cooper_jax.config import Config, Model, Optim, Trainee
from cooper_jax.device import jits, keys, loading
from cooper_jax.device.state import ModelState, Prompts
from cooper_jax.mesh import sharding
from cooper_jax.model.sample import Sampling
from cooper_jax.run import compiled

NO_STOP = -1


def comparison(steps_: int) -> Config:
    """The workload in our configuration."""
    model = Model(
        vocab=workload.VOCAB,
        width=workload.WIDTH,
        layers=workload.LAYERS,
        heads=workload.HEADS,
        kv_heads=workload.KV_HEADS,
        head_dim=workload.WIDTH // workload.HEADS,
        hidden=workload.HIDDEN,
        rope_theta=workload.ROPE_THETA,
        dtype="float32",
        remat="products",
    )
    optim = Optim(
        lr=workload.LEARNING_RATE,
        warmup=workload.WARM_UP,
        weight_decay=workload.WEIGHT_DECAY,
        grad_clip=workload.GRAD_CLIP,
    )
    return Config(
        policy=Trainee(model, optim, micro_batch=8),
        reward=Trainee(model),
        steps=steps_,
        reward_source="rule",
        train_reward=False,
        rollout=config.Rollout(
            prompts=workload.PROMPTS,
            group=workload.GROUP,
            prompt_len=workload.PROMPT_LEN,
            completion_len=workload.COMPLETION_LEN,
        ),
        grpo=config.GRPO(kl_weight=workload.KL_WEIGHT, clip_low=workload.CLIP, clip_high=workload.CLIP),
    )


def programs(
    cfg: Config, fns: jits.Jits, state: ModelState, reference: Any, mesh: jax.sharding.Mesh
) -> compiled.Programs:
    """What a step calls, as `cooper.programs` finds it for a run of ours."""
    shape = cfg.rollout.prompts, cfg.rollout.prompt_len
    prompts = Prompts(np.zeros(shape, np.int32), np.zeros(shape, bool))
    to_rollout = state.params, sharding.like(prompts, mesh), sharding.like(keys.key(0, keys.Use.ROLLOUT), mesh)
    rollout = jax.eval_shape(fns.rollout, *to_rollout)
    to_advantages = rollout, sharding.like(np.zeros(cfg.rollout.rows, np.float32), mesh)
    advantage_PGT, _ = jax.eval_shape(fns.advantages, *to_advantages)
    batch = replace(jax.eval_shape(fns.prepare, reference, rollout), advantage_PGT=advantage_PGT)
    return {
        "rollout": (fns.rollout, to_rollout),
        "policy": (fns.policy_update, (state, batch)),
        "prepare": (fns.prepare, (reference, rollout)),
        "advantages": (fns.advantages, to_advantages),
    }


def run(cfg: Config, mesh: jax.sharding.Mesh, clock: workload.Clock) -> None:
    """All steps, read by `clock`."""
    how = Sampling(cfg.rollout.group, cfg.rollout.completion_len, 1.0, 1.0, 0, (NO_STOP,), workload.PAD)
    tokenizer = workload.make_tokenizer()
    step_fns = jits.make_jits(cfg, how, mesh)
    state = loading.init_state(cfg.policy, False, mesh, keys.key(0, keys.Use.ROLLOUT), cfg.steps)
    reference = loading.for_compute(state.params, cfg.policy.model)
    clock.begin()
    compiled.ahead(programs(cfg, step_fns, state, reference, mesh))
    for step, texts in enumerate(workload.prompts(cfg.steps)):
        token_PS = np.array([row.ids for row in tokenizer.encode_batch(texts)], np.int32)
        prompts = sharding.put(Prompts(token_PS, np.ones(token_PS.shape, bool)), mesh)
        key = sharding.put(keys.key(0, keys.Use.ROLLOUT, step), mesh)
        with clock.phase("rollout"):
            rollout = jax.block_until_ready(step_fns.rollout(state.params, prompts, key))
        completions = tokenizer.decode_batch(sharding.fetch(rollout.token_BT))
        reward_B = sharding.put(np.array([workload.reward(text) for text in completions], np.float32), mesh)
        with clock.phase("reference"):
            batch = jax.block_until_ready(step_fns.prepare(reference, rollout))
        with clock.phase("update"):
            advantage_PGT, _ = step_fns.advantages(rollout, reward_B)
            batch = replace(batch, advantage_PGT=advantage_PGT)
            state, _ = jax.block_until_ready(step_fns.policy_update(state, batch))
        clock.end_step()
    assert sharding.fetch(rollout.real_BT).all(), "a completion ended early"


def main() -> None:
    """Run, print the figures, and write them to `--json`."""
    clock = workload.Clock()
    cfg = comparison(workload.steps_in_all(GIVEN.steps))
    mesh = sharding.make_mesh(cfg.mesh, jax.devices()[:1])
    with jax.set_mesh(mesh):
        run(cfg, mesh, clock)
    clock.report(GIVEN, {"jax": jax.__version__})


if __name__ == "__main__":
    main()
