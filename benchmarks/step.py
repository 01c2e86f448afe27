"""One GRPO step of ours on the workload that Tunix and TRL also run (see workload.py, which explains the figures).

python benchmarks/step.py [--steps 10] [--model FOLDER] [--json OUT] [--cache DIR]
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
from cooper_jax.config import Config, Model, Optim, Prompting, Trainee
from cooper_jax.device import jits, keys
from cooper_jax.device.loading import for_compute
from cooper_jax.device.state import ModelState, Prompts
from cooper_jax.host.text import encode
from cooper_jax.host.text.data import Problem
from cooper_jax.mesh import sharding
from cooper_jax.model.sample import Sampling
from cooper_jax.run import compiled, start

NO_STOP = -1
WORK: workload.Workload = GIVEN.work
MICRO_BATCH = 8


class Words:
    """The tokenizer of the random model: prompts as arrays, completions as texts."""

    pad_id = workload.PAD

    def __init__(self, shape: workload.Shape) -> None:
        self._words = workload.make_tokenizer(shape)

    def prompts(self, texts: list[str]) -> Prompts:
        """All of one length."""
        token_PS = np.array([row.ids for row in self._words.encode_batch(texts)], np.int32)
        return Prompts(token_PS, np.ones(token_PS.shape, bool))

    def read(self, token_BT: np.ndarray) -> list[str]:
        """As text."""
        return self._words.decode_batch(token_BT)


class Chats:
    """The tokenizer and chat template of a folder, as a run has them."""

    def __init__(self, trainee: Trainee) -> None:
        self._own = start.tokenizer("policy", trainee, "benchmark")
        self.pad_id = self._own.pad_id

    def prompts(self, texts: list[str]) -> Prompts:
        """Padded on the left to `prompt_len`."""
        problems = [Problem(text, "") for text in texts]
        return Prompts(*encode.prompts(problems, self._own, Prompting(), WORK.prompt_len))

    def read(self, token_BT: np.ndarray) -> list[str]:
        """As text."""
        return self._own.decode_batch(token_BT.tolist())


def trainee() -> Trainee:
    """The policy in our configuration."""
    optim = Optim(
        lr=workload.LEARNING_RATE,
        warmup=workload.WARM_UP,
        weight_decay=workload.WEIGHT_DECAY,
        grad_clip=workload.GRAD_CLIP,
    )
    kind, run_time = WORK.model, Model(dtype="float32", remat="products")
    if isinstance(kind, str):
        return start.resolve("policy", Trainee(run_time, optim, init=kind, micro_batch=MICRO_BATCH))
    shapes = kind._asdict() | {"head_dim": kind.width // kind.heads}
    return Trainee(replace(run_time, **shapes), optim, micro_batch=MICRO_BATCH)


def comparison(policy: Trainee, steps: int) -> Config:
    """The workload in our configuration. No completion ends by itself, and all are paid for all the same."""
    return Config(
        policy=policy,
        reward=Trainee(policy.model),
        steps=steps,
        reward_source="rule",
        train_reward=False,
        rollout=config.Rollout(
            prompts=WORK.prompts,
            group=WORK.group,
            prompt_len=WORK.prompt_len,
            completion_len=WORK.completion_len,
        ),
        grpo=config.GRPO(kl_weight=WORK.kl_weight, clip_low=workload.CLIP, clip_high=workload.CLIP, truncated="score"),
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
    texts = Words(WORK.model) if isinstance(WORK.model, workload.Shape) else Chats(cfg.policy)
    how = Sampling(cfg.rollout.group, cfg.rollout.completion_len, 1.0, 1.0, 0, (NO_STOP,), texts.pad_id)
    step_fns = jits.make_jits(cfg, how, mesh)
    state = start.initial_state(cfg.policy, "policy", 0, cfg.steps, mesh)
    reference = for_compute(state.params, cfg.policy.model) if WORK.kl_weight else None
    clock.begin()
    compiled.ahead(programs(cfg, step_fns, state, reference, mesh))
    for step, asked in enumerate(WORK.texts(cfg.steps)):
        prompts = sharding.put(texts.prompts(asked), mesh)
        key = sharding.put(keys.key(0, keys.Use.ROLLOUT, step), mesh)
        with clock.phase("rollout"):
            rollout = jax.block_until_ready(step_fns.rollout(state.params, prompts, key))
        completions = texts.read(sharding.fetch(rollout.token_BT))
        reward_B = sharding.put(np.array([WORK.reward(text) for text in completions], np.float32), mesh)
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
    clock = workload.Clock(WORK)
    cfg = comparison(trainee(), WORK.steps_in_all(GIVEN.steps))
    mesh = sharding.make_mesh(cfg.mesh, jax.devices()[:1])
    with jax.set_mesh(mesh):
        run(cfg, mesh, clock)
    clock.report(GIVEN, {"jax": jax.__version__})


if __name__ == "__main__":
    main()
