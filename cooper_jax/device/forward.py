"""What is computed without training: samples, log-probs, scores, the chances of a first token. Pure functions."""

from typing import Any

import jax
import jax.numpy as jnp

from cooper_jax.config import Model
from cooper_jax.device import optim
from cooper_jax.device.state import PolicyBatch, Prompts, RMTexts, Rollout, Worked
from cooper_jax.model import heads, sample, transformer
from cooper_jax.model.sample import Sampling


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


def logits(params: Any, text: RMTexts, *, model: Model) -> jax.Array:
    """What the reward model says of each text before the sigmoid, float32 [B]."""
    one = lambda part: heads.score(params, part[0], part[1], model)  # noqa: E731
    used = optim.used_parts(text.segment_RU > 0, text.parts)
    logit_RU = optim.in_parts(one, (text.token_RU, text.segment_RU), text.parts, used)
    return logit_RU.reshape(-1)[text.end_B]


def score(params: Any, text: RMTexts, *, model: Model) -> jax.Array:
    """Rewards in (0, 1), float32 [B]."""
    return jax.nn.sigmoid(logits(params, text, model=model))


def policy_logp(params: Any, batch: PolicyBatch, temperature: float, model: Model) -> tuple[jax.Array, jax.Array]:
    """Log-probs and entropies, [P * G, T]."""
    if batch.prompt_PS.shape[1] == 0:
        return heads.packed_logp(params, batch.token_PGT[:, 0], batch.segment_PGT[:, 0], temperature, model)
    return heads.completion_logp(params, batch.prompt_PS, batch.prompt_real_PS, batch.token_PGT, temperature, model)


def worked_logp(params: Any, worked: Worked, model: Model) -> tuple[jax.Array, jax.Array]:
    """Log-probs and entropies of what is to be imitated, [B, T]. Mean nothing but where `real_BT` holds."""
    if worked.segment_BT is not None:
        return heads.packed_logp(params, worked.token_BT, worked.segment_BT, 1.0, model)
    alone = worked.token_BT[:, None]
    return heads.completion_logp(params, worked.prompt_BS, worked.prompt_real_BS, alone, 1.0, model)


def surprise(params: Any, worked: Worked, *, model: Model) -> tuple[jax.Array, jax.Array]:
    """Summed cross-entropy of the completions' tokens of packed rows, and how many they are."""

    def of_rows(part: Worked) -> jax.Array:
        return -jnp.sum(jnp.where(part.real_BT, worked_logp(params, part, model)[0], 0.0), axis=1)

    loss_B = optim.in_parts(of_rows, worked, worked.parts, optim.used_parts(worked.real_BT, worked.parts))
    return jnp.sum(loss_B), jnp.sum(worked.real_BT)
