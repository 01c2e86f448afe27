"""The step of workload.py as Tunix's GRPOLearner takes it: vanilla rollout, actor and reference on one mesh.

    PYTHONPATH=benchmarks .bench/tunix/bin/python benchmarks/peers/with_tunix.py [--steps 10] [--json OUT] [--cache DIR]

Tunix does the least it can be asked for: a key/value cache of no more than the 96 slots, no log-probs from the sampler,
no gradient checkpointing, one micro-batch.
"""

# ruff: noqa: E402

import os
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import workload

GIVEN = workload.arguments(__doc__)  # JAX reads the environment when it is imported.
os.environ |= {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"}
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
import optax
from flax import nnx
from transformers import PreTrainedTokenizerFast
from tunix.models.qwen2 import model as qwen2
from tunix.rl import rl_cluster
from tunix.rl.grpo.grpo_learner import GRPOConfig, GRPOLearner
from tunix.rl.rollout.base_rollout import RolloutConfig

if GIVEN.model:
    raise SystemExit("error: --model: Tunix runs the small workload alone")
WORK, SHAPE = workload.SMALL, workload.SHAPE
NO_STOP = 10**6
"""A stop token outside the vocabulary: every row runs its full length."""


def make_model(mesh: jax.sharding.Mesh) -> nnx.Module:
    """Random weights of Qwen2. Tunix makes a model to load weights into, and leaves some of them zero."""
    cfg = qwen2.ModelConfig(
        num_layers=SHAPE.layers,
        vocab_size=SHAPE.vocab,
        embed_dim=SHAPE.width,
        hidden_dim=SHAPE.hidden,
        num_heads=SHAPE.heads,
        num_kv_heads=SHAPE.kv_heads,
        head_dim=SHAPE.width // SHAPE.heads,
        rope_theta=int(SHAPE.rope_theta),
        norm_eps=1e-6,
        use_tied_embedding=True,
    )
    with mesh:
        model = qwen2.Qwen2(cfg, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def fill(x: jax.Array) -> jax.Array:
        drawn = 0.02 * rng.standard_normal(x.shape, np.float32) if x.ndim > 1 else np.asarray(x)
        return jax.device_put(drawn.astype(x.dtype), whole)

    nnx.update(model, jax.tree.map(fill, nnx.state(model)))
    return model


def make_cluster(mesh: jax.sharding.Mesh, steps: int) -> rl_cluster.RLCluster:
    """Actor, reference and sampler."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=workload.make_tokenizer(SHAPE), pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    rate = optax.schedules.warmup_constant_schedule(0.0, workload.LEARNING_RATE, workload.WARM_UP)
    optimizer = optax.chain(
        optax.clip_by_global_norm(workload.GRAD_CLIP), optax.adamw(rate, weight_decay=workload.WEIGHT_DECAY)
    )
    roles = (rl_cluster.Role.ACTOR, rl_cluster.Role.REFERENCE, rl_cluster.Role.ROLLOUT)
    cfg = rl_cluster.ClusterConfig(
        role_to_mesh=dict.fromkeys(roles, mesh),
        rollout_engine="vanilla",
        offload_to_cpu=False,
        training_config=rl_cluster.RLTrainingConfig(
            actor_optimizer=optimizer,
            eval_every_n_steps=10**9,
            max_steps=steps,
            mini_batch_size=WORK.prompts,
            train_micro_batch_size=WORK.prompts,
        ),
        rollout_config=RolloutConfig(
            max_prompt_length=WORK.prompt_len,
            max_tokens_to_generate=WORK.completion_len,
            kv_cache_size=WORK.prompt_len + WORK.completion_len,
            temperature=1.0,
            top_p=1.0,
            top_k=None,
            eos_tokens=[NO_STOP],
        ),
    )
    return rl_cluster.RLCluster(
        actor=make_model(mesh), reference=make_model(mesh), tokenizer=tokenizer, cluster_config=cfg
    )


def timed(owner: Any, method: str, clock: workload.Clock, phase: str, wait: Callable[[Any], Any]) -> None:
    """Make `owner.method` a phase, whose result `wait` waits for."""
    inner = getattr(owner, method)

    def outer(*args: Any, **kwargs: Any) -> Any:
        with clock.phase(phase):
            result = inner(*args, **kwargs)
            wait(result)
        return result

    setattr(owner, method, outer)


def full_length(rollout: Any) -> None:
    """Tunix has fetched the tokens by now."""
    shape = [len(row) for row in rollout.tokens]
    assert shape == [WORK.completion_len] * WORK.rows, shape


def batches(steps: int, clock: workload.Clock) -> Iterator[dict[str, np.ndarray]]:
    """Training batches. The first step begins when the first is asked for."""
    clock.begin()
    for texts in WORK.texts(steps):
        yield {"prompts": np.array(texts)}


def main() -> None:
    """Run, print the figures, and write them to `--json`."""
    clock = workload.Clock(WORK)
    steps = WORK.steps_in_all(GIVEN.steps)
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("fsdp", "tp"))
    cluster = make_cluster(mesh, steps)
    wait_update = lambda _: jax.block_until_ready(nnx.state(cluster.actor_trainer.model))  # noqa: E731
    timed(cluster, "generate", clock, "rollout", full_length)
    timed(cluster, "get_ref_per_token_logps", clock, "reference", jax.block_until_ready)
    timed(cluster, "update_actor", clock, "update", wait_update)
    algorithm = GRPOConfig(
        num_generations=WORK.group,
        num_iterations=1,
        beta=WORK.kl_weight,
        epsilon=workload.CLIP,
        kl_loss_mode="low_var_kl",
    )
    reward = lambda prompts, completions, **_: [WORK.reward(text) for text in completions]  # noqa: E731
    learner = GRPOLearner(cluster, algorithm, reward)
    step = learner._run_global_step  # The one private name: where Tunix's own loop runs a step.

    def timed_step(*args: Any, **kwargs: Any) -> None:
        step(*args, **kwargs)
        clock.end_step()

    learner._run_global_step = timed_step
    learner.train(batches(steps, clock))
    clock.report(GIVEN, {"google-tunix": metadata.version("google-tunix"), "jax": jax.__version__})


if __name__ == "__main__":
    main()
