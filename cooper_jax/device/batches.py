"""A rollout and its rewards -> the batch that the policy's loss reads. Pure functions."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from cooper_jax import config
from cooper_jax.config import Trainee
from cooper_jax.device import optim
from cooper_jax.device.forward import policy_logp
from cooper_jax.device.state import Packing, PolicyBatch, Rollout
from cooper_jax.mesh import sharding
from cooper_jax.rl import grpo

Metrics = dict[str, jax.Array]


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
        return policy_logp(reference, part, sampled.temperature, policy.model)[0].reshape(part.token_PGT.shape)

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
    reward_B, advantage_PG, std_P = _paid(rolled, reward_B, cfg, sampled)
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


def graded(rolled: Rollout, reward_B: jax.Array, *, cfg: config.GRPO, sampled: config.Rollout) -> dict[str, jax.Array]:
    """What files of samples say of each completion in numbers, [B] each: the reward as given (`score`) and as paid, the
    advantage, the tokens, and whether it finished."""
    paid_B, advantage_PG, _ = _paid(rolled, reward_B, cfg, sampled)
    return {
        "score": reward_B,
        "reward": paid_B,
        "advantage": advantage_PG.reshape(-1),
        "tokens": jnp.sum(rolled.real_BT, axis=1),
        "finished": rolled.finished_B,
    }


def _paid(
    rolled: Rollout, reward_B: jax.Array, cfg: config.GRPO, sampled: config.Rollout
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Rewards as the policy is paid them [B], their advantages [P, G], and the groups' stds [P]."""
    reward_B = grpo.truncate_rewards(reward_B, rolled.finished_B, cfg)
    in_groups = lambda x_B: x_B.reshape(sampled.prompts, sampled.group)  # noqa: E731
    used_PG = in_groups(grpo.used(rolled.finished_B, cfg))
    return reward_B, *grpo.advantages(in_groups(reward_B), used_PG, cfg)


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
