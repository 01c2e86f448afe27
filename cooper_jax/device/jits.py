"""The device's share of the work: pure functions, and the only `jax.jit` calls, each beside its donation and sharding.

Every `make_*` is cached on its frozen configuration: the same step is traced and compiled once a process.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Mesh, NamedSharding

from cooper_jax import config
from cooper_jax.config import Config, Model, Trainee
from cooper_jax.device import optim
from cooper_jax.device.state import Judged, ModelState, Packing, Pairs, PolicyBatch, Prompts, Rollout, Worked
from cooper_jax.mesh import sharding
from cooper_jax.model import heads, hf, sample, transformer, weights
from cooper_jax.model.sample import Sampling
from cooper_jax.model.weights import Weight
from cooper_jax.rl import grpo, masked, pairs

Metrics = dict[str, jax.Array]
LossFn = Callable[[Any, Any], tuple[jax.Array, Metrics]]


@dataclass(frozen=True)
class Steps:
    """The six jitted functions of a Cooper step."""

    rollout: Callable[[Any, Prompts, jax.Array], Rollout]
    score: Callable[[Any, Judged], jax.Array]
    prepare: Callable[..., PolicyBatch]
    advantages: Callable[..., tuple[jax.Array, Metrics]]
    policy: Callable[[ModelState, PolicyBatch], tuple[ModelState, Metrics]]
    reward: Callable[[ModelState, Pairs], tuple[ModelState, Metrics]]


def make_steps(cfg: Config, sampling: Sampling, mesh: Mesh) -> Steps:
    """The steps of a run. `sampling` carries the tokenizer's stop and pad ids."""
    grpo_steps = cfg.steps * cfg.grpo.updates
    return Steps(
        rollout=make_rollout(cfg.policy.model, sampling, mesh),
        score=make_score(cfg.reward.model, mesh),
        prepare=make_prepare(cfg.policy, cfg.grpo, cfg.rollout, mesh),
        advantages=make_advantages(cfg.policy.micro_batch, cfg.grpo, cfg.rollout, mesh),
        policy=make_policy(cfg.policy, cfg.grpo, cfg.rollout.temperature, grpo_steps, mesh),
        reward=make_reward(cfg.reward, cfg.pairs, cfg.steps * cfg.pairs.updates, mesh),
    )


# The pure functions.


def rollout(params: Any, prompts: Prompts, key_data: jax.Array, *, how: Sampling, model: Model) -> Rollout:
    """Sample `how.group` completions of each prompt."""
    key = jax.random.wrap_key_data(key_data)
    drawn = sample.sample(params, prompts.token_PS, prompts.real_PS, key, how, model)
    return Rollout(prompts, drawn.token_BT, drawn.logp_BT, drawn.real_BT, drawn.finished_B)


def first_chances(params: Any, prompts: Prompts, *, first: tuple[tuple[int, ...], ...], model: Model) -> jax.Array:
    """Probability that the token after each prompt is one of each set of `first`, float32 [P, sets]."""
    hidden_PSD, _ = transformer.prefill(params, prompts.token_PS, prompts.real_PS, model)
    chance_PV = jax.nn.softmax(heads.logits(params, hidden_PSD[:, -1:], model)[:, 0], axis=-1)
    return jnp.stack([jnp.sum(chance_PV[:, jnp.array(ids)], axis=-1) for ids in first], axis=-1)


def logits(params: Any, text: Judged, *, model: Model) -> jax.Array:
    """What the reward model says of each text before the sigmoid, float32 [B]."""
    one = lambda part: heads.score(params, part[0], part[1], model)  # noqa: E731
    used = optim.used_parts(text.segment_RU > 0, text.parts)
    logit_RU = optim.in_parts(one, (text.token_RU, text.segment_RU), text.parts, used)
    return logit_RU.reshape(-1)[text.end_B]


def score(params: Any, text: Judged, *, model: Model) -> jax.Array:
    """Rewards in (0, 1), float32 [B]."""
    return jax.nn.sigmoid(logits(params, text, model=model))


def prepare(
    reference: Any,
    rolled: Rollout,
    packing: Packing | None = None,
    *,
    policy: Trainee,
    cfg: config.GRPO,
    sampled: config.Rollout,
) -> PolicyBatch:
    """The batch of a rollout with token weights and reference log-probs: all but the advantages, and so all that need
    not wait for rewards. `reference` is None without a KL penalty, `packing` where the completions of a prompt are to
    share its pass."""
    weight_BT = grpo.token_weights(rolled.real_BT, grpo.used(rolled.finished_B, cfg), cfg)
    if packing is None:
        together = rows_sharing_a_prompt(policy.micro_batch, sampled)
        parts = sampled.rows // (policy.micro_batch or sampled.rows)
        batch = _grouped(rolled, weight_BT, together, parts)
    else:
        batch = _packed(rolled, weight_BT, packing)
    if reference is None:
        return batch

    def one(part: PolicyBatch) -> jax.Array:
        return _logp(reference, part, sampled.temperature, policy.model)[0].reshape(part.token_PGT.shape)

    used = optim.used_parts(batch.real_PGT, batch.parts)
    return replace(batch, ref_logp_PGT=optim.in_parts(one, batch, batch.parts, used))


def advantages(
    rolled: Rollout,
    reward_B: jax.Array,
    packing: Packing | None = None,
    *,
    micro_batch: int,
    cfg: config.GRPO,
    sampled: config.Rollout,
) -> tuple[jax.Array, Metrics]:
    """`advantage_PGT` of the batch that `prepare` made with the same `packing`, and what is logged of a rollout."""
    reward_B = grpo.truncate_rewards(reward_B, rolled.finished_B, cfg)
    in_groups = lambda x_B: x_B.reshape(sampled.prompts, sampled.group)  # noqa: E731
    used_PG = in_groups(grpo.used(rolled.finished_B, cfg))
    advantage_PG, std_P = grpo.advantages(in_groups(reward_B), used_PG, cfg)
    slots = rolled.token_BT.shape[1]
    if packing is None:
        together = rows_sharing_a_prompt(micro_batch, sampled)
        advantage_PGT = jnp.repeat(advantage_PG.reshape(-1, together, 1), slots, axis=2)
    else:
        row_RU = packing.source_RU // (rolled.prompts.token_PS.shape[1] + slots)
        advantage_PGT = advantage_PG.reshape(-1)[row_RU][:, None]
    length_B = jnp.sum(rolled.real_BT, axis=1)
    return advantage_PGT, {
        "reward/mean": jnp.mean(reward_B),
        "reward/std": jnp.std(reward_B),
        "reward/group_std": jnp.mean(std_P),
        "reward/zero_std_groups": jnp.mean(std_P < 1e-6),
        "reward/floored_groups": jnp.mean(std_P < cfg.std_floor),
        "completion/length": jnp.mean(length_B.astype(jnp.float32)),
        "completion/tokens": jnp.sum(length_B),
        "completion/truncated": 1 - jnp.mean(rolled.finished_B),
    }


def rows_sharing_a_prompt(micro_batch: int, sampled: config.Rollout) -> int:
    """How many rows of a group stay together, so that their prompt is computed once: all, or as many as micro-batches
    and the mesh leave together."""
    rows, ways = micro_batch or sampled.rows, sharding.row_ways()
    fits = lambda g: rows % g == 0 and (rows // g) % ways == 0  # noqa: E731
    return max(g for g in range(1, sampled.group + 1) if sampled.group % g == 0 and (g == 1 or fits(g)))


def _grouped(rolled: Rollout, weight_BT: jax.Array, together: int, parts: int) -> PolicyBatch:
    rows = lambda x_BT: x_BT.reshape(-1, together, x_BT.shape[1])  # noqa: E731
    times = rolled.token_BT.shape[0] // together // rolled.prompts.token_PS.shape[0]
    by_prompt = lambda x_PS: jnp.repeat(x_PS, times, axis=0)  # noqa: E731
    return PolicyBatch(
        prompt_PS=by_prompt(rolled.prompts.token_PS),
        prompt_real_PS=by_prompt(rolled.prompts.real_PS),
        token_PGT=rows(rolled.token_BT),
        segment_PGT=rows(rolled.real_BT.astype(jnp.int32)),
        real_PGT=rows(rolled.real_BT),
        old_logp_PGT=rows(rolled.logp_BT),
        ref_logp_PGT=rows(rolled.logp_BT),
        weight_PGT=rows(weight_BT),
        parts=parts,
    )


def _packed(rolled: Rollout, weight_BT: jax.Array, packing: Packing) -> PolicyBatch:
    rows = rolled.token_BT.shape[0]
    prompt_BS = jnp.repeat(rolled.prompts.token_PS, rows // rolled.prompts.token_PS.shape[0], axis=0)

    def rows_of(prompt_BS: jax.Array, own_BT: jax.Array) -> jax.Array:
        flat = jnp.concatenate([prompt_BS.astype(own_BT.dtype), own_BT], axis=1).reshape(-1)
        return jnp.where(packing.segment_RU > 0, flat[packing.source_RU], flat.dtype.type(0))[:, None]

    of_completions = partial(rows_of, jnp.zeros_like(prompt_BS))
    old_logp_PGT = of_completions(rolled.logp_BT)
    nothing = jnp.zeros((packing.source_RU.shape[0], 0), prompt_BS.dtype)
    return PolicyBatch(
        prompt_PS=nothing,
        prompt_real_PS=nothing.astype(bool),
        token_PGT=rows_of(prompt_BS, rolled.token_BT),
        segment_PGT=packing.segment_RU[:, None],
        real_PGT=of_completions(rolled.real_BT),
        old_logp_PGT=old_logp_PGT,
        ref_logp_PGT=old_logp_PGT,
        weight_PGT=of_completions(weight_BT),
        parts=packing.parts,
    )


def _logp(params: Any, batch: PolicyBatch, temperature: float, model: Model) -> tuple[jax.Array, jax.Array]:
    """Log-probs and entropies, [P * G, T]."""
    if batch.prompt_PS.shape[1] == 0:
        return heads.packed_logp(params, batch.token_PGT[:, 0], batch.segment_PGT[:, 0], temperature, model)
    return heads.completion_logp(params, batch.prompt_PS, batch.prompt_real_PS, batch.token_PGT, temperature, model)


def update(
    state: ModelState,
    batch: Any,
    *,
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    parts: int,
    used: int | jax.Array,
) -> tuple[ModelState, Metrics]:
    """One optimizer step of either model on the weighted sum that `loss_fn` computes, over the first `used` of `parts`
    micro-batches.

    `loss_fn` gives the loss and sums of metrics; "weight" is the sum of the batch's weights, by which the metrics (not
    the loss) are divided. A batch that weighs nothing leaves the state as it was, to the bit.
    """
    grads, sums = optim.accumulate(loss_fn, state.params, batch, parts, used)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    moved = ModelState(state.step + 1, optax.apply_updates(state.params, updates), opt_state)
    weight = sums.pop("weight")
    state = jax.tree.map(partial(jnp.where, weight > 0), moved, state)
    loss = sums.pop("loss")
    metrics = {name: total / jnp.where(weight > 0, weight, 1.0) for name, total in sums.items()}
    return state, {"loss": loss, "grad_norm": optax.tree.norm(grads), **metrics}


def policy_update(state: ModelState, batch: PolicyBatch, **how: Any) -> tuple[ModelState, Metrics]:
    """`update` of the policy."""
    used = optim.used_parts(batch.weight_PGT > 0, batch.parts)
    state, metrics = update(state, batch, parts=batch.parts, used=used, **how)
    held = jnp.sum(batch.segment_PGT > 0) + jnp.sum(batch.prompt_real_PS)
    slots = (batch.segment_PGT.size + batch.prompt_real_PS.size) / batch.parts * used
    return state, metrics | {"slots_filled": held / jnp.maximum(slots, 1.0)}


def policy_loss(
    params: Any, batch: PolicyBatch, *, cfg: config.GRPO, temperature: float, model: Model
) -> tuple[jax.Array, Metrics]:
    """GRPO: weighted sum of the clipped surrogate and beta times the KL penalty."""
    logp_BT, entropy_BT = _logp(params, batch, temperature, model)
    rows = lambda x_PGT: x_PGT.reshape(logp_BT.shape)  # noqa: E731
    real_BT, old_logp_BT, weight_BT = rows(batch.real_PGT), rows(batch.old_logp_PGT), rows(batch.weight_PGT)
    ratio_BT = grpo.ratios(logp_BT, old_logp_BT, rows(batch.segment_PGT) * real_BT, cfg)
    loss_BT, clipped_BT = grpo.surrogate(ratio_BT, rows(batch.advantage_PGT), cfg)
    total = lambda x_BT: jnp.sum(weight_BT * x_BT)  # noqa: E731
    drift_BT = jnp.where(real_BT, logp_BT - old_logp_BT, 0.0)
    metrics = {
        "entropy": total(entropy_BT),
        "clip_fraction": total(clipped_BT),
        "sampler_ratio": total(jnp.exp(drift_BT)),
        "sampler_gap": total(jnp.abs(drift_BT)),
        "weight": jnp.sum(weight_BT),
    }
    if cfg.kl_weight:
        kl_BT = grpo.kl(logp_BT, rows(batch.ref_logp_PGT), cfg)
        loss_BT += cfg.kl_weight * kl_BT
        metrics["kl"] = total(kl_BT)
    loss = total(loss_BT)
    return loss, {"loss": loss, **metrics}


def reward_loss(params: Any, batch: dict[str, Any], *, cfg: config.Pairs, model: Model) -> tuple[jax.Array, Metrics]:
    """Cooper's stage 2: the pairs, with anchor, and the replayed texts."""
    rows: Pairs = batch["pairs"]
    right_RU = heads.score(params, rows.token_RU, rows.segment_RU, model)
    wrong_RU = jnp.take_along_axis(right_RU, jnp.maximum(rows.wrong_RU, 0), axis=1)
    total = lambda x_RU: jnp.sum(batch["pair_weight_RU"] * x_RU)  # noqa: E731
    loss = total(pairs.anchored(right_RU, wrong_RU, cfg.weight, cfg.anchor))
    if cfg.replay:
        loss += cfg.replay * jnp.sum(batch["label_weight_RU"] * pairs.cross_entropy(right_RU, rows.label_RU))
    return loss, {
        "loss": loss,
        "accuracy": total(right_RU > wrong_RU),
        "margin": total(right_RU - wrong_RU),
        "right": total(jax.nn.sigmoid(right_RU)),
        "wrong": total(jax.nn.sigmoid(wrong_RU)),
        "weight": jnp.sum(batch["pair_weight_RU"]),
    }


def fit_loss(params: Any, batch: dict[str, Any], *, model: Model) -> tuple[jax.Array, Metrics]:
    """VerifyRM: mean binary cross-entropy over the labelled texts of the whole batch."""
    rows: Pairs = batch["pairs"]
    logit_RU = heads.score(params, rows.token_RU, rows.segment_RU, model)
    total = lambda x_RU: jnp.sum(batch["label_weight_RU"] * x_RU)  # noqa: E731
    loss = total(pairs.cross_entropy(logit_RU, rows.label_RU))
    right = total((logit_RU > 0) == (rows.label_RU > 0))
    return loss, {"loss": loss, "accuracy": right, "weight": jnp.sum(batch["label_weight_RU"])}


def reward_update(state: ModelState, rows: Pairs, *, labels_alone: bool, **how: Any) -> tuple[ModelState, Metrics]:
    """`update` of the reward model: means over the pairs and over the labelled texts. Labels come along with pairs:
    without one, nothing moves, unless they are all there is to be (`labels_alone`)."""
    paired_RU, labelled_RU = rows.wrong_RU >= 0, rows.label_RU >= 0
    label_weight_RU = masked.mean_weights(labelled_RU) * (labels_alone | jnp.any(paired_RU))
    batch = {"pairs": rows, "pair_weight_RU": masked.mean_weights(paired_RU), "label_weight_RU": label_weight_RU}
    used = optim.used_parts(rows.segment_RU > 0, rows.parts)
    state, metrics = update(state, batch, parts=rows.parts, used=used, **how)
    slots = rows.segment_RU.size / rows.parts * used
    return state, metrics | {"slots_filled": jnp.sum(rows.segment_RU > 0) / jnp.maximum(slots, 1.0)}


def sft_loss(params: Any, batch: dict[str, Any], *, model: Model) -> tuple[jax.Array, Metrics]:
    """Mean cross-entropy of the completions' tokens."""
    worked: Worked = batch["worked"]
    alone = worked.token_BT[:, None]
    logp_BT, entropy_BT = heads.completion_logp(params, worked.prompt_BS, worked.prompt_real_BS, alone, 1.0, model)
    loss = -jnp.sum(batch["weight_BT"] * logp_BT)
    entropy = jnp.sum(batch["weight_BT"] * entropy_BT)
    return loss, {"loss": loss, "entropy": entropy, "weight": jnp.sum(batch["weight_BT"])}


def sft_update(state: ModelState, worked: Worked, **how: Any) -> tuple[ModelState, Metrics]:
    """`update` on worked solutions: the mean is over all completion tokens of the batch."""
    batch = {"worked": worked, "weight_BT": masked.mean_weights(worked.real_BT)}
    return update(state, batch, parts=worked.parts, used=worked.parts, **how)


# The jitted functions.


def init_state(trainee: Trainee, scored: bool, mesh: Mesh, key_data: np.ndarray, steps: int) -> ModelState:
    """A fresh state, born on the mesh: random weights and empty moments."""
    return make_init(trainee, scored, steps, mesh)(sharding.put(key_data, mesh))


@cache
def make_init(trainee: Trainee, scored: bool, steps: int, mesh: Mesh) -> Callable[[jax.Array], ModelState]:
    """Jitted making of a fresh state from the raw data of a key."""
    optimizer = optim.make_optimizer(trainee.optim, steps)

    def build(key_data: jax.Array) -> ModelState:
        params = weights.init(trainee.model, scored, jax.random.wrap_key_data(key_data))
        return ModelState(jnp.int32(0), params, optimizer.init(params))

    return _jit(build, mesh, once=True, out_shardings=state_shardings(trainee, scored, steps, mesh))


@cache
def state_shardings(trainee: Trainee, scored: bool, steps: int, mesh: Mesh) -> ModelState:
    """Where each leaf of a ModelState lives: moments beside their weights, counters everywhere."""
    optimizer = optim.make_optimizer(trainee.optim, steps)
    params = abstract_params(trainee, scored, mesh)
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
    return ModelState(step=whole, params=layout, opt_state=opt_state)


def abstract_params(trainee: Trainee, scored: bool, mesh: Mesh) -> Any:
    """Shapes, types and shardings of a model's weights."""
    return weights.abstract(trainee.model, scored, mesh)


def blank(like: Any) -> Any:
    """Zeros laid out as the abstract tree `like`, for `load` to write over."""
    zeros = lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)  # noqa: E731
    return jax.jit(zeros, out_shardings=jax.tree.map(lambda x: x.sharding, like))()


def load(params: Any, tensors: Iterable[hf.Tensor]) -> Any:
    """`params` with the tensors of a Hugging Face folder written over them, in place: `params` are consumed.

    A weight without a tensor stays as it is. The host holds one tensor at a time, the devices one beside the weights.
    """
    flat: dict[Any, Any] = flatten_dict(params, sep=".")
    for row, layer, array in tensors:
        where = flat[row.path].sharding
        tensor = sharding.place(array, row.hf_letters, where.mesh)
        index = sharding.put(np.int32(layer or 0), where.mesh)
        flat[row.path] = _make_write(row, where)(flat[row.path], tensor, index).block_until_ready()
    return unflatten_dict(flat, sep=".")


@cache
def _make_write(row: Weight, where: NamedSharding) -> Callable[[jax.Array, jax.Array, jax.Array], jax.Array]:
    def write(weight: jax.Array, tensor: jax.Array, layer: jax.Array) -> jax.Array:
        ours = weights.from_hf(row, tensor)
        return jax.lax.dynamic_update_index_in_dim(weight, ours, layer, 0) if row.stacked else weight.at[:].set(ours)

    return jax.jit(write, donate_argnums=0, out_shardings=where)


def unload(params: Any, model: Model, scored: bool, dtype: hf.Dtype, mesh: Mesh) -> Iterator[np.ndarray]:
    """The tensors of `hf.layout`, in that order, each fetched when it is drawn."""
    flat: dict[Any, Any] = flatten_dict(params, sep=".")
    for row, layer in hf.layout(model, scored):
        tensor = _make_read(row, dtype, mesh)(flat[row.path], sharding.put(np.int32(layer or 0), mesh))
        yield sharding.fetch(tensor).reshape(weights.hf_shape(row, model))


@cache
def _make_read(row: Weight, dtype: hf.Dtype, mesh: Mesh) -> Callable[[jax.Array, jax.Array], jax.Array]:
    def read(weight: jax.Array, layer: jax.Array) -> jax.Array:
        ours = jax.lax.dynamic_index_in_dim(weight, layer, keepdims=False) if row.stacked else weight
        return weights.to_hf(row, ours, dtype)

    return jax.jit(read, out_shardings=sharding.replicated(mesh))


@cache
def make_rollout(model: Model, how: Sampling, mesh: Mesh) -> Callable[[Any, Prompts, jax.Array], Rollout]:
    """Jitted `rollout`."""
    return _jit(partial(rollout, how=how, model=model), mesh, many_small=True, out_shardings=sharding.by_rows(mesh))


@cache
def make_chances(model: Model, first: tuple[tuple[int, ...], ...], mesh: Mesh) -> Callable[[Any, Prompts], jax.Array]:
    """Jitted `first_chances`."""
    return _jit(partial(first_chances, first=first, model=model), mesh, out_shardings=sharding.by_rows(mesh))


@cache
def make_logits(model: Model, mesh: Mesh) -> Callable[[Any, Judged], jax.Array]:
    """Jitted `logits`."""
    return _jit(partial(logits, model=model), mesh, out_shardings=sharding.by_rows(mesh))


@cache
def make_score(model: Model, mesh: Mesh) -> Callable[[Any, Judged], jax.Array]:
    """Jitted `score`."""
    return _jit(partial(score, model=model), mesh, out_shardings=sharding.by_rows(mesh))


@cache
def make_prepare(policy: Trainee, cfg: config.GRPO, sampled: config.Rollout, mesh: Mesh) -> Callable[..., Any]:
    """Jitted `prepare`."""
    fn = partial(prepare, policy=policy, cfg=cfg, sampled=sampled)
    return _jit(fn, mesh, out_shardings=sharding.by_rows(mesh))


@cache
def make_advantages(micro_batch: int, cfg: config.GRPO, sampled: config.Rollout, mesh: Mesh) -> Callable[..., Any]:
    """Jitted `advantages`."""
    fn = partial(advantages, micro_batch=micro_batch, cfg=cfg, sampled=sampled)
    return _jit(fn, mesh, out_shardings=(sharding.by_rows(mesh), sharding.replicated(mesh)))


@cache
def make_policy(trainee: Trainee, cfg: config.GRPO, temperature: float, steps: int, mesh: Mesh) -> Callable[..., Any]:
    """Jitted policy update; the state is donated."""
    loss_fn = partial(policy_loss, cfg=cfg, temperature=temperature, model=trainee.model)
    return _jit_update(policy_update, loss_fn, trainee, False, steps, mesh)


@cache
def make_reward(trainee: Trainee, cfg: config.Pairs, steps: int, mesh: Mesh) -> Callable[..., Any]:
    """Jitted reward model update on pairs; the state is donated."""
    loss_fn = partial(reward_loss, cfg=cfg, model=trainee.model)
    return _jit_update(partial(reward_update, labels_alone=False), loss_fn, trainee, True, steps, mesh)


@cache
def make_fit(trainee: Trainee, steps: int, mesh: Mesh) -> Callable[..., Any]:
    """Jitted reward model update on labelled texts; the state is donated."""
    loss_fn = partial(fit_loss, model=trainee.model)
    return _jit_update(partial(reward_update, labels_alone=True), loss_fn, trainee, True, steps, mesh)


@cache
def make_sft(trainee: Trainee, steps: int, mesh: Mesh) -> Callable[..., Any]:
    """Jitted supervised update of the policy; the state is donated."""
    return _jit_update(sft_update, partial(sft_loss, model=trainee.model), trainee, False, steps, mesh)


def _jit_update(
    step: Callable[..., Any], loss_fn: LossFn, trainee: Trainee, scored: bool, steps: int, mesh: Mesh
) -> Callable[[ModelState, Any], tuple[ModelState, Metrics]]:
    def fn(state: ModelState, batch: Any) -> tuple[ModelState, Metrics]:
        return step(state, batch, loss_fn=loss_fn, optimizer=optim.make_optimizer(trainee.optim, steps))

    outs = (state_shardings(trainee, scored, steps, mesh), sharding.replicated(mesh))
    return _jit(fn, mesh, donate_argnums=0, out_shardings=outs)


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


def frozen(params: Any, model: Model) -> Any:
    """A copy of weights that will not be trained, in the compute type, to which every pass would cast them: half of the
    memory in bfloat16, and the same results to the bit."""
    return jax.jit(lambda tree: transformer.in_compute_type(jax.tree.map(jnp.copy, tree), model))(params)


def key_data(*entropy: int) -> np.ndarray:
    """Raw data of a JAX key from integers such as seed and step: made on the host, the same on every host."""
    return np.random.SeedSequence(entropy).generate_state(2)
