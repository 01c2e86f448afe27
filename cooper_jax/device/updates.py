"""The losses of every trained model, each a weighted sum, and the one `update` that they share. Pure functions."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from cooper_jax import config
from cooper_jax.config import Model
from cooper_jax.device import optim
from cooper_jax.device.forward import policy_logp, worked_logp
from cooper_jax.device.state import ModelState, PairBatch, PolicyBatch, Worked
from cooper_jax.model import heads
from cooper_jax.rl import grpo, masked, pairs

Metrics = dict[str, jax.Array]
LossFn = Callable[[Any, Any], tuple[jax.Array, Metrics]]


def update(
    state: ModelState,
    batch: Any,
    *,
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    parts: int,
    used: int | jax.Array,
    first: int | jax.Array = 0,
    every: int = 1,
) -> tuple[ModelState, Metrics]:
    """One optimizer step of either model on the weighted sum that `loss_fn` computes, over the first `used` of `parts`
    micro-batches; of these, the `first` and `every`-th after it.

    `loss_fn` gives the loss and sums of metrics; "weight" is the sum of the batch's weights, by which the metrics (not
    the loss) are divided. A batch that weighs nothing leaves the state as it was, to the bit; so does one
    whose gradient or step is not finite, which counts as `skipped`.
    """
    grads, sums = optim.accumulate(loss_fn, state.params, batch, parts, used, first, every)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    moved = ModelState(state.updates + 1, optax.apply_updates(state.params, updates), opt_state)
    weight, norm = sums.pop("weight"), optax.tree.norm(grads)
    finite = jnp.isfinite(norm) & jnp.isfinite(optax.tree.norm(updates))
    state = jax.tree.map(partial(jnp.where, finite & (weight > 0)), moved, state)
    loss = sums.pop("loss")
    metrics = {name: total / jnp.where(weight > 0, weight, 1.0) for name, total in sums.items()}
    return state, {"loss": loss, "grad_norm": norm, "skipped": 1.0 - finite, **metrics}


def policy_update(state: ModelState, batch: PolicyBatch, *, cfg: config.GRPO, **how: Any) -> tuple[ModelState, Metrics]:
    """`update` of the policy, once on each minibatch. Metrics are means over these, but what tells the trainer from the
    sampler, which is of the first."""
    used = optim.used_parts(batch.weight_PGT > 0, batch.parts)
    how |= {"parts": batch.parts, "used": used}
    if cfg.minibatches == 1:
        state, metrics = update(state, batch, **how)
    else:

        def one(state: ModelState, first: jax.Array) -> tuple[ModelState, Metrics]:
            return update(state, _minibatch(batch, first, cfg), first=first, every=cfg.minibatches, **how)

        state, each = jax.lax.scan(one, state, jnp.arange(cfg.minibatches))
        metrics = {name: x_M[0] if name.startswith("sampler") else jnp.mean(x_M) for name, x_M in each.items()}
        metrics["skipped"] = jnp.sum(each["skipped"])
    held = jnp.sum(batch.segment_PGT > 0) + jnp.sum(batch.prompt_real_PS)
    slots = (batch.segment_PGT.size + batch.prompt_real_PS.size) / batch.parts * used
    return state, metrics | {"slots_filled": held / jnp.maximum(slots, 1.0)}


def _minibatch(batch: PolicyBatch, first: jax.Array, cfg: config.GRPO) -> PolicyBatch:
    """The batch with weight on the `first` micro-batch and every `cfg.minibatches`-th after it alone, as if these were
    all (of Dr. GRPO, whose divisor is a constant: of an equal share)."""
    whole = batch.weight_PGT
    mine_N = jnp.arange(batch.parts) % cfg.minibatches == first
    own = jnp.where(mine_N[None, :, None, None], optim.split(whole, batch.parts), 0.0).reshape(whole.shape)
    total = jnp.sum(own)
    up = cfg.minibatches if cfg.aggregation == "dr-grpo" else jnp.sum(whole) / jnp.where(total > 0, total, 1.0)
    return replace(batch, weight_PGT=own * up)


def policy_loss(
    params: Any, batch: PolicyBatch, *, cfg: config.GRPO, temperature: float, model: Model
) -> tuple[jax.Array, Metrics]:
    """GRPO: weighted sum of the clipped surrogate and beta times the KL penalty."""
    logp_BT, entropy_BT = policy_logp(params, batch, temperature, model)
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
    """Cooper's stage 2: the pairs, with anchor, the replayed texts, and the completions that the rule has judged."""
    rows: PairBatch = batch["pairs"]
    right_RU = heads.score(params, rows.token_RU, rows.segment_RU, model)
    wrong_RU = jnp.take_along_axis(right_RU, jnp.maximum(rows.wrong_RU, 0), axis=1)
    total = lambda x_RU: jnp.sum(batch["pair_weight_RU"] * x_RU)  # noqa: E731
    loss = total(pairs.anchored(right_RU, wrong_RU, cfg.weight, cfg.anchor))
    if cfg.replay:
        loss += cfg.replay * jnp.sum(batch["label_weight_RU"] * pairs.cross_entropy(right_RU, rows.label_RU))
    judged = {}
    if cfg.labels:
        cross = jnp.sum(batch["verdict_weight_RU"] * pairs.cross_entropy(right_RU, rows.verdict_RU))
        loss, judged = loss + cfg.labels * cross, {"label_loss": cross}
    return loss, {
        "loss": loss,
        "accuracy": total(right_RU > wrong_RU),
        "margin": total(right_RU - wrong_RU),
        "right": total(jax.nn.sigmoid(right_RU)),
        "wrong": total(jax.nn.sigmoid(wrong_RU)),
        "weight": jnp.sum(batch["weight_RU"]),
        **judged,
    }


def fit_loss(params: Any, batch: dict[str, Any], *, model: Model) -> tuple[jax.Array, Metrics]:
    """VerifyRM: mean binary cross-entropy over the labelled texts of the whole batch."""
    rows: PairBatch = batch["pairs"]
    logit_RU = heads.score(params, rows.token_RU, rows.segment_RU, model)
    total = lambda x_RU: jnp.sum(batch["label_weight_RU"] * x_RU)  # noqa: E731
    loss = total(pairs.cross_entropy(logit_RU, rows.label_RU))
    right = total((logit_RU > 0) == (rows.label_RU > 0))
    return loss, {"loss": loss, "accuracy": right, "weight": jnp.sum(batch["label_weight_RU"])}


def reward_update(state: ModelState, rows: PairBatch, *, labels_alone: bool, **how: Any) -> tuple[ModelState, Metrics]:
    """`update` of the reward model: means over the pairs, over the labelled texts and over each class of judged ones.
    Labelled texts come along with pairs, or with judged texts of both classes: without these nothing moves, unless they
    are all there is to be (`labels_alone`)."""
    paired_RU, labelled_RU = rows.wrong_RU >= 0, rows.label_RU >= 0
    pair_weight_RU, verdict_weight_RU = masked.mean_weights(paired_RU), masked.balanced_weights(rows.verdict_RU)
    weight_RU = jnp.where(jnp.any(paired_RU), pair_weight_RU, verdict_weight_RU)
    label_weight_RU = masked.mean_weights(labelled_RU) * (labels_alone | jnp.any(weight_RU > 0))
    batch = {"pairs": rows, "pair_weight_RU": pair_weight_RU, "label_weight_RU": label_weight_RU}
    batch |= {"verdict_weight_RU": verdict_weight_RU, "weight_RU": weight_RU}
    used = optim.used_parts(rows.segment_RU > 0, rows.parts)
    state, metrics = update(state, batch, parts=rows.parts, used=used, **how)
    slots = rows.segment_RU.size / rows.parts * used
    return state, metrics | {"slots_filled": jnp.sum(rows.segment_RU > 0) / jnp.maximum(slots, 1.0)}


def sft_loss(params: Any, batch: dict[str, Any], *, model: Model) -> tuple[jax.Array, Metrics]:
    """Mean cross-entropy of the completions' tokens."""
    logp_BT, entropy_BT = worked_logp(params, batch["worked"], model)
    loss = -jnp.sum(batch["weight_BT"] * logp_BT)
    entropy = jnp.sum(batch["weight_BT"] * entropy_BT)
    return loss, {"loss": loss, "entropy": entropy, "weight": jnp.sum(batch["weight_BT"])}


def sft_update(state: ModelState, worked: Worked, **how: Any) -> tuple[ModelState, Metrics]:
    """`update` on worked solutions: the mean is over all completion tokens of the batch."""
    batch = {"worked": worked, "weight_BT": masked.mean_weights(worked.real_BT)}
    if worked.segment_BT is None:
        return update(state, batch, parts=worked.parts, used=worked.parts, **how)
    used = optim.used_parts(worked.real_BT, worked.parts)
    state, metrics = update(state, batch, parts=worked.parts, used=used, **how)
    slots = worked.segment_BT.size / worked.parts * used
    return state, metrics | {"slots_filled": jnp.sum(worked.segment_BT > 0) / jnp.maximum(slots, 1.0)}
