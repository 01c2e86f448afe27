"""Every `jax.jit` of the package, each beside its donation and its shardings.

Every `make_*` is cached on its frozen configuration: the same function is traced and compiled once a process. `total`
is how many updates a model will get, where a cosine schedule ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding

from cooper_jax import config
from cooper_jax.config import Config, Model, Trainee
from cooper_jax.device import batches, forward, optim, updates
from cooper_jax.device.state import ModelState, PairBatch, PolicyBatch, Prompts, RMTexts, Rollout, Worked
from cooper_jax.device.updates import LossFn, Metrics
from cooper_jax.mesh import sharding
from cooper_jax.model import hf, transformer, weights
from cooper_jax.model.sample import Sampling
from cooper_jax.model.weights import Weight


@dataclass(frozen=True)
class Jits:
    """The jitted functions of a Cooper step."""

    rollout: Callable[[Any, Prompts, jax.Array], Rollout]
    score: Callable[[Any, RMTexts], jax.Array]
    prepare: Callable[..., PolicyBatch]
    advantages: Callable[..., tuple[jax.Array, Metrics]]
    tell_all: Callable[..., tuple[jax.Array, jax.Array, jax.Array]]
    graded: Callable[[Rollout, jax.Array], dict[str, jax.Array]]
    policy_update: Callable[[ModelState, PolicyBatch], tuple[ModelState, Metrics]]
    reward_update: Callable[[ModelState, PairBatch], tuple[ModelState, Metrics]]


def make_jits(cfg: Config, sampling: Sampling, mesh: Mesh) -> Jits:
    """The functions of a run. `sampling` carries the tokenizer's stop and pad ids."""
    policy_updates = cfg.steps * cfg.grpo.optimizer_steps
    return Jits(
        rollout=make_rollout(cfg.policy.model, sampling, mesh),
        score=make_score(cfg.reward.model, mesh),
        prepare=make_prepare(cfg.policy, cfg.grpo, cfg.rollout, mesh),
        advantages=make_advantages(cfg.policy.micro_batch, cfg.grpo, cfg.rollout, mesh),
        tell_all=make_tell_all(mesh),
        graded=make_graded(cfg.grpo, cfg.rollout, mesh),
        policy_update=make_policy_update(cfg.policy, cfg.grpo, cfg.rollout.temperature, policy_updates, mesh),
        reward_update=make_reward_update(cfg.reward, cfg.pairs, cfg.steps * cfg.pairs.updates, mesh),
    )


@cache
def make_rollout(model: Model, how: Sampling, mesh: Mesh) -> Callable[[Any, Prompts, jax.Array], Rollout]:
    """Jitted `rollout`."""
    return _jit(
        partial(forward.rollout, how=how, model=model), mesh, many_small=True, out_shardings=sharding.by_rows(mesh)
    )


@cache
def make_chances(model: Model, first: tuple[tuple[int, ...], ...], mesh: Mesh) -> Callable[[Any, Prompts], jax.Array]:
    """Jitted `first_chances`."""
    return _jit(partial(forward.first_chances, first=first, model=model), mesh, out_shardings=sharding.by_rows(mesh))


@cache
def make_logits(model: Model, mesh: Mesh) -> Callable[[Any, RMTexts], jax.Array]:
    """Jitted `logits`."""
    return _jit(partial(forward.logits, model=model), mesh, out_shardings=sharding.by_rows(mesh))


@cache
def make_score(model: Model, mesh: Mesh) -> Callable[[Any, RMTexts], jax.Array]:
    """Jitted `score`."""
    return _jit(partial(forward.score, model=model), mesh, out_shardings=sharding.by_rows(mesh))


@cache
def make_prepare(policy: Trainee, cfg: config.GRPO, sampled: config.Rollout, mesh: Mesh) -> Callable[..., Any]:
    """Jitted `prepare`."""
    fn = partial(batches.prepare, policy=policy, cfg=cfg, sampled=sampled)
    return _jit(fn, mesh, out_shardings=sharding.by_rows(mesh))


@cache
def make_advantages(micro_batch: int, cfg: config.GRPO, sampled: config.Rollout, mesh: Mesh) -> Callable[..., Any]:
    """Jitted `advantages`."""
    fn = partial(batches.advantages, micro_batch=micro_batch, cfg=cfg, sampled=sampled)
    return _jit(fn, mesh, out_shardings=(sharding.by_rows(mesh), sharding.replicated(mesh)))


@cache
def make_tell_all(mesh: Mesh) -> Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array, jax.Array]]:
    """Jitted: verdict_B, reward_B and the sums over devices of count_WN, whole in every process."""
    fn = lambda verdict_B, reward_B, count_WN: (verdict_B, reward_B, jnp.sum(count_WN, axis=0))  # noqa: E731
    return _jit(fn, mesh, out_shardings=sharding.replicated(mesh))


@cache
def make_graded(cfg: config.GRPO, sampled: config.Rollout, mesh: Mesh) -> Callable[..., dict[str, jax.Array]]:
    """Jitted `graded`, whole in every process."""
    return _jit(partial(batches.graded, cfg=cfg, sampled=sampled), mesh, out_shardings=sharding.replicated(mesh))


@cache
def make_whole(mesh: Mesh) -> Callable[[jax.Array], jax.Array]:
    """Jitted: rows, whole in every process."""
    return _jit(lambda x_B: x_B, mesh, out_shardings=sharding.replicated(mesh))


@cache
def make_total(mesh: Mesh) -> Callable[[jax.Array], jax.Array]:
    """Jitted sum over devices of count_WN, whole in every process."""
    return _jit(partial(jnp.sum, axis=0), mesh, out_shardings=sharding.replicated(mesh))


@cache
def make_policy_update(
    trainee: Trainee, cfg: config.GRPO, temperature: float, total: int, mesh: Mesh
) -> Callable[..., Any]:
    """Jitted policy update; the state is donated."""
    loss_fn = partial(updates.policy_loss, cfg=cfg, temperature=temperature, model=trainee.model)
    return _jit_update(partial(updates.policy_update, cfg=cfg), loss_fn, trainee, False, total, mesh)


@cache
def make_reward_update(trainee: Trainee, cfg: config.Pairs, total: int, mesh: Mesh) -> Callable[..., Any]:
    """Jitted reward model update on pairs; the state is donated."""
    loss_fn = partial(updates.reward_loss, cfg=cfg, model=trainee.model)
    return _jit_update(partial(updates.reward_update, labels_alone=False), loss_fn, trainee, True, total, mesh)


@cache
def make_fit_update(trainee: Trainee, total: int, mesh: Mesh) -> Callable[..., Any]:
    """Jitted reward model update on labelled texts; the state is donated."""
    loss_fn = partial(updates.fit_loss, model=trainee.model)
    return _jit_update(partial(updates.reward_update, labels_alone=True), loss_fn, trainee, True, total, mesh)


@cache
def make_sft_update(trainee: Trainee, total: int, mesh: Mesh) -> Callable[..., Any]:
    """Jitted supervised update of the policy; the state is donated."""
    return _jit_update(updates.sft_update, partial(updates.sft_loss, model=trainee.model), trainee, False, total, mesh)


@cache
def make_surprise(model: Model, mesh: Mesh) -> Callable[[Any, Worked], tuple[jax.Array, jax.Array]]:
    """Jitted `surprise`."""
    return _jit(partial(forward.surprise, model=model), mesh, out_shardings=sharding.replicated(mesh))


def _jit_update(
    step: Callable[..., Any], loss_fn: LossFn, trainee: Trainee, scored: bool, total: int, mesh: Mesh
) -> Callable[[ModelState, Any], tuple[ModelState, Metrics]]:
    def fn(state: ModelState, batch: Any) -> tuple[ModelState, Metrics]:
        return step(state, batch, loss_fn=loss_fn, optimizer=optim.make_optimizer(trainee.optim, total))

    outs = (state_shardings(trainee, scored, total, mesh), sharding.replicated(mesh))
    return _jit(fn, mesh, donate_argnums=0, out_shardings=outs)


@cache
def make_init(trainee: Trainee, scored: bool, total: int, mesh: Mesh) -> Callable[[jax.Array], ModelState]:
    """Jitted making of a fresh state from the raw data of a key."""
    optimizer = optim.make_optimizer(trainee.optim, total)

    def build(key_data: jax.Array) -> ModelState:
        params = weights.init(trainee.model, scored, jax.random.wrap_key_data(key_data))
        return ModelState(jnp.int32(0), params, optimizer.init(params))

    return _jit(build, mesh, once=True, out_shardings=state_shardings(trainee, scored, total, mesh))


@cache
def state_shardings(trainee: Trainee, scored: bool, total: int, mesh: Mesh) -> ModelState:
    """Where each leaf of a ModelState lives: moments beside their weights, counters everywhere."""
    optimizer = optim.make_optimizer(trainee.optim, total)
    params = weights.abstract(trainee.model, scored, mesh)
    layout = jax.tree.map(lambda x: x.sharding, params)
    whole = sharding.replicated(mesh)
    with jax.transfer_guard("allow"):  # optax makes a few constants to see which leaves stand for weights.
        opt_state = optax.tree.map_params(
            optimizer,
            lambda _, where: where,
            jax.eval_shape(optimizer.init, params),
            layout,
            transform_non_params=lambda _: whole,
        )
    return ModelState(updates=whole, params=layout, opt_state=opt_state)


@cache
def make_checksum() -> Callable[[Any], jax.Array]:
    """Jitted uint32 sum of all bits of arrays of 16 or 32 bits, each with its own weight, whatever their layout."""

    def total(tree: Any) -> jax.Array:
        as_bits = lambda x: jax.lax.bitcast_convert_type(x, jnp.dtype(f"uint{8 * x.dtype.itemsize}"))  # noqa: E731
        sums = [jnp.uint32(0), *(jnp.sum(as_bits(x), dtype=jnp.uint32) for x in jax.tree.leaves(tree))]
        weight_N = jnp.arange(len(sums), dtype=jnp.uint32) * 2 + 1
        return jnp.sum(weight_N * jnp.stack(sums), dtype=jnp.uint32)

    return jax.jit(total)


def make_zeros(like: Any) -> Callable[[], Any]:
    """Jitted zeros, laid out as the abstract tree `like`."""
    zeros = lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)  # noqa: E731
    return jax.jit(zeros, out_shardings=jax.tree.map(lambda x: x.sharding, like))


@cache
def make_copy(model: Model) -> Callable[[Any], Any]:
    """Jitted copy of weights in the compute type."""
    return jax.jit(lambda params: transformer.in_compute_type(jax.tree.map(jnp.copy, params), model))


@cache
def make_write(row: Weight, where: NamedSharding) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array]:
    """Jitted writing of one Hugging Face tensor into a weight, which is donated."""

    def write(weight: jax.Array, tensor: jax.Array, layer: jax.Array) -> jax.Array:
        ours = weights.from_hf(row, tensor)
        return jax.lax.dynamic_update_index_in_dim(weight, ours, layer, 0) if row.stacked else weight.at[:].set(ours)

    return jax.jit(write, donate_argnums=0, out_shardings=where)


@cache
def make_read(row: Weight, dtype: hf.Dtype, mesh: Mesh) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Jitted reading of one Hugging Face tensor off a weight, whole on every device."""

    def read(weight: jax.Array, layer: jax.Array) -> jax.Array:
        ours = jax.lax.dynamic_index_in_dim(weight, layer, keepdims=False) if row.stacked else weight
        return weights.to_hf(row, ours, dtype)

    return jax.jit(read, out_shardings=sharding.replicated(mesh))


def _jit(
    fn: Callable[..., Any], mesh: Mesh, many_small: bool = False, once: bool = False, **how: Any
) -> Callable[..., Any]:
    """`jax.jit` for the devices of `mesh`.

    For a CPU at LLVM's level 1 (what runs once, at 0), and with the plainer of XLA's emitters (which JAX 0.11 no longer
    has) but for programs of many small kernels: half of the time to compile what runs as fast (benchmarks/NOTES.md).
    """
    on_cpu: dict[str, Any] = {"xla_backend_optimization_level": 0 if once else 1}
    if jax.__version_info__ < (0, 11):
        on_cpu["xla_cpu_use_fusion_emitters"] = many_small
    return jax.jit(fn, compiler_options=on_cpu if mesh.devices.flat[0].platform == "cpu" else None, **how)
