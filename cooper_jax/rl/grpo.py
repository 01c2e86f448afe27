"""Group-relative policy optimisation: advantages, the clipped surrogate, the KL penalty, and how tokens are averaged.

Letters: P prompts, G completions of each, B = P * G rows, T tokens. `real_BT` marks the tokens of the completions.
"""

import jax
import jax.numpy as jnp

from cooper_jax.config import GRPO
from cooper_jax.rl import masked

LOG_RATIO_LIMIT = 10.0


def truncate_rewards(reward_B: jax.Array, finished_B: jax.Array, cfg: GRPO) -> jax.Array:
    """Rewards once `cfg.truncated` has dealt with unfinished completions: "zero" gives these 0."""
    return jnp.where(finished_B, reward_B, 0.0) if cfg.truncated == "zero" else reward_B


def used(finished_B: jax.Array, cfg: GRPO) -> jax.Array:
    """Which rows are used at all [B] bool: with `cfg.truncated` = "mask" no unfinished one (DAPO's overlong filter)."""
    return finished_B if cfg.truncated == "mask" else jnp.ones_like(finished_B)


def advantages(reward_PG: jax.Array, used_PG: jax.Array, cfg: GRPO) -> tuple[jax.Array, jax.Array]:
    """A = (r - mean of the group) / max(std, floor), 0 for unused rows; and the groups' stds [P].

    Shao et al. 2024 (DeepSeekMath, sec. 4.1.2) divide by the group's std; `batch` takes the std of all rewards
    (Liu et al. 2025, tricks or traps), `none` divides by nothing (Liu et al. 2025, Dr. GRPO).
    """
    std_P1 = masked.std(reward_PG, used_PG, axis=1, keepdims=True)
    centred_PG = jnp.where(used_PG, reward_PG - masked.mean(reward_PG, used_PG, axis=1, keepdims=True), 0.0)
    if cfg.std == "group":
        centred_PG = centred_PG / jnp.maximum(std_P1, cfg.std_floor)
    elif cfg.std == "batch":
        centred_PG = centred_PG / jnp.maximum(masked.std(reward_PG, used_PG), cfg.std_floor)
    return centred_PG, std_P1[:, 0]


def token_weights(real_BT: jax.Array, used_B: jax.Array, cfg: GRPO) -> jax.Array:
    """Weight of each token's loss [B, T], from the whole batch; they sum to 1 (Dr. GRPO: to the share of T used).

    token-mean: 1 / all tokens (DAPO, Yu et al. 2025, eq. 12). sequence-mean: 1 / (rows * tokens of the row) (GRPO,
    eq. 3).
    dr-grpo: 1 / (rows * T), a constant (Liu et al. 2025, sec. 3).
    """
    mask_BT = real_BT & used_B[:, None]
    if cfg.aggregation == "token-mean":
        return masked.mean_weights(mask_BT)
    length_B1 = jnp.sum(mask_BT, axis=1, keepdims=True)
    rows = jnp.maximum(jnp.sum(length_B1 > 0), 1)
    if cfg.aggregation == "dr-grpo":
        return mask_BT / (rows * real_BT.shape[1]).astype(jnp.float32)
    return mask_BT / (rows * jnp.maximum(length_B1, 1)).astype(jnp.float32)


def ratios(logp_BT: jax.Array, old_logp_BT: jax.Array, segment_BT: jax.Array, cfg: GRPO) -> jax.Array:
    """pi / pi_old of each token [B, T]; with `ratio = "sequence"` its completion's geometric mean.

    `segment_BT` numbers the completions of a row from 1; 0 is no completion's. GSPO (Zheng et al. 2025, eq. 7):
    s = (pi(o) / pi_old(o))^(1 / |o|).
    """
    log_ratio_BT = jnp.where(segment_BT > 0, logp_BT - old_logp_BT, 0.0)
    if cfg.ratio == "sequence":
        log_ratio_BT = masked.segment_mean(log_ratio_BT, segment_BT)
    return jnp.exp(log_ratio_BT)


def surrogate(ratio_BT: jax.Array, advantage_BT: jax.Array, cfg: GRPO) -> tuple[jax.Array, jax.Array]:
    """Loss of each token, -min(r A, clip(r, 1 - low, 1 + high) A), and where the clip decided it, both [B, T].

    Schulman et al. 2017, eq. 7; separate bounds as in DAPO, eq. 10. `dual_clip` = c bounds the loss of A < 0 by -c A
    (Ye et al. 2020, eq. 5).
    """
    free_BT = -ratio_BT * advantage_BT
    clipped_BT = -jnp.clip(ratio_BT, 1 - cfg.clip_low, 1 + cfg.clip_high) * advantage_BT
    loss_BT = jnp.maximum(free_BT, clipped_BT)
    was_clipped_BT = clipped_BT > free_BT
    if cfg.dual_clip is not None:
        bound_BT = -cfg.dual_clip * advantage_BT
        bounded_BT = (advantage_BT < 0) & (loss_BT > bound_BT)
        loss_BT = jnp.where(bounded_BT, bound_BT, loss_BT)
        was_clipped_BT |= bounded_BT
    return loss_BT, was_clipped_BT


def kl(logp_BT: jax.Array, ref_logp_BT: jax.Array, cfg: GRPO) -> jax.Array:
    """Estimate of KL(pi || pi_ref) at each token [B, T], from d = log pi_ref - log pi clamped to +-10.

    Schulman 2020 (Approximating KL divergence): k1 = -d, k2 = d^2 / 2, k3 = exp(d) - d - 1.
    """
    d_BT = jnp.clip(ref_logp_BT - logp_BT, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    if cfg.kl == "k1":
        return -d_BT
    if cfg.kl == "k2":
        return d_BT**2 / 2
    return jnp.expm1(d_BT) - d_BT
