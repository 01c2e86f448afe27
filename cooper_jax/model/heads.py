"""What is read off the hidden states: token log-probs, chunked so that [B, T, V] never exists, and the reward score."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from cooper_jax.config import Model
from cooper_jax.mesh.sharding import DECODE_RULES, constrain
from cooper_jax.model.transformer import Params, forward, forward_grouped


def logits(params: Params, hidden_BTD: jax.Array, cfg: Model) -> jax.Array:
    """Float32 logits [B, T, V]; for sampling and for one chunk at a time."""
    head_VD = _pinned(params.get("unembed", params["embed"]).astype(cfg.dtype))
    z_BTV = jnp.einsum("BTD,VD->BTV", hidden_BTD, head_VD, preferred_element_type=jnp.float32)
    return constrain(z_BTV, "BTV", DECODE_RULES)


def _pinned(head_VD: jax.Array) -> jax.Array:
    """Split over the vocabulary alone, in training too: a chunk's hidden states are less than the head and than its
    gradient, which would else be gathered and summed anew for each."""
    return constrain(head_VD, "VD", DECODE_RULES)


def token_logp(
    params: Params, hidden_BTD: jax.Array, token_BT: jax.Array, temperature: float, cfg: Model
) -> tuple[jax.Array, jax.Array]:
    """Log-probs of the given tokens and entropies of their distributions, both [B, T], at `temperature`.

    The head runs over chunks of positions, forward and backward, so that no more than `cfg.head_chunk` tokens have
    logits at one time. No gradient flows through the entropy, which is for the log.
    """
    return _token_logp(hidden_BTD, params.get("unembed", params["embed"]), token_BT, temperature, cfg)


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _token_logp(
    hidden_BTD: jax.Array, head_VD: jax.Array, token_BT: jax.Array, temperature: float, cfg: Model
) -> tuple[jax.Array, jax.Array]:
    return _token_logp_forward(hidden_BTD, head_VD, token_BT, temperature, cfg)[0]


def _token_logp_forward(
    hidden_BTD: jax.Array, head_VD: jax.Array, token_BT: jax.Array, temperature: float, cfg: Model
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, ...]]:
    head = _pinned(head_VD.astype(cfg.dtype))

    def one(chunk: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        hidden_BCD, token_BC = chunk
        z_BCV = logits({"embed": head}, hidden_BCD, cfg) / temperature
        top_BC1 = jnp.max(z_BCV, axis=-1, keepdims=True)
        weight_BCV = jnp.exp(z_BCV - top_BC1)
        total_BC = jnp.sum(weight_BCV, axis=-1)
        norm_BC = top_BC1[..., 0] + jnp.log(total_BC)
        picked_BC = jnp.sum(jnp.where(_is(token_BC, z_BCV), z_BCV, 0.0), axis=-1)
        return picked_BC - norm_BC, norm_BC - jnp.sum(weight_BCV * z_BCV, axis=-1) / total_BC, norm_BC

    chunked = _chunks(hidden_BTD.shape, cfg)
    logp, entropy, norm = (_join(x, token_BT) for x in jax.lax.map(one, (chunked(hidden_BTD), chunked(token_BT))))
    return (logp, entropy), (hidden_BTD, head_VD, token_BT, norm)


def _token_logp_backward(
    temperature: float, cfg: Model, kept: tuple[jax.Array, ...], gradients: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array, None]:
    """d logp / d logits = one-hot - softmax, a chunk at a time; the head's gradient is summed in float32."""
    hidden_BTD, head_VD, token_BT, norm_BT = kept
    head = _pinned(head_VD.astype(cfg.dtype))

    def one(head_grad_VD: jax.Array, chunk: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        hidden_BCD, token_BC, norm_BC, gradient_BC = chunk
        z_BCV = logits({"embed": head}, hidden_BCD, cfg) / temperature
        share_BCV = _is(token_BC, z_BCV) - jnp.exp(z_BCV - norm_BC[..., None])
        z_grad_BCV = (share_BCV * (gradient_BC / temperature)[..., None]).astype(cfg.dtype)
        f32 = jnp.float32
        head_grad_VD += jnp.einsum("BCV,BCD->VD", z_grad_BCV, hidden_BCD, preferred_element_type=f32)
        hidden_grad_BCD = jnp.einsum("BCV,VD->BCD", z_grad_BCV, head).astype(hidden_BCD.dtype)
        return head_grad_VD, constrain(hidden_grad_BCD, "BCD")

    chunked = _chunks(hidden_BTD.shape, cfg)
    parts = tuple(map(chunked, (hidden_BTD, token_BT, norm_BT, gradients[0])))
    head_grad_VD, hidden_grad = jax.lax.scan(one, _pinned(jnp.zeros(head_VD.shape, jnp.float32)), parts)
    return _join(hidden_grad, token_BT), head_grad_VD.astype(head_VD.dtype), None


_token_logp.defvjp(_token_logp_forward, _token_logp_backward)


def _is(token_BC: jax.Array, z_BCV: jax.Array) -> jax.Array:
    """Where the vocabulary's entry is the token; unlike a gather, this stays where a split vocabulary lies."""
    return jnp.arange(z_BCV.shape[-1])[None, None] == token_BC[..., None]


def _chunks(shape: tuple[int, ...], cfg: Model) -> Callable[[jax.Array], jax.Array]:
    """A function that cuts [B, T, ...] into [chunks, B, C, ...] of at most `cfg.head_chunk` tokens (at least one a
    row), padded at the end."""
    b, t = shape[:2]
    chunk = min(max(1, cfg.head_chunk // b), t)
    count = -(-t // chunk)

    def cut(x: jax.Array) -> jax.Array:
        padded = jnp.pad(x, ((0, 0), (0, count * chunk - t), *((0, 0),) * (x.ndim - 2)))
        return padded.reshape(b, count, chunk, *x.shape[2:]).swapaxes(0, 1)

    return cut


def _join(parts: jax.Array, token_BT: jax.Array) -> jax.Array:
    count, b, chunk, *rest = parts.shape
    return parts.swapaxes(0, 1).reshape(b, count * chunk, *rest)[:, : token_BT.shape[1]]


def completion_logp(
    params: Params,
    prompt_PS: jax.Array,
    prompt_real_PS: jax.Array,
    token_PGT: jax.Array,
    temperature: float,
    cfg: Model,
) -> tuple[jax.Array, jax.Array]:
    """Log-prob and entropy [B, T] of each completion token, B = P * G, given the (left-padded) prompt and the tokens
    before it. Means nothing behind a completion's end."""
    hidden_PGTD = forward_grouped(params, prompt_PS, prompt_real_PS, token_PGT, cfg)
    p, g, t = token_PGT.shape
    return token_logp(params, hidden_PGTD.reshape(p * g, t, cfg.width), token_PGT.reshape(p * g, t), temperature, cfg)


def packed_logp(
    params: Params, token_RU: jax.Array, segment_RU: jax.Array, temperature: float, cfg: Model
) -> tuple[jax.Array, jax.Array]:
    """Log-prob and entropy [R, U] of each token given those before it in its text. Means nothing of a text's first."""
    # The last token's state is not read, but rows of round length are what the attention kernels take.
    hidden_RUD = forward(params, token_RU, segment_RU, cfg)
    both = token_logp(params, hidden_RUD[:, :-1], token_RU[:, 1:], temperature, cfg)
    logp_RU, entropy_RU = (jnp.pad(x, ((0, 0), (1, 0))) for x in both)
    return logp_RU, entropy_RU


def score(params: Params, token_RU: jax.Array, segment_RU: jax.Array, cfg: Model) -> jax.Array:
    """Reward logits [R, U], float32, of the text up to each token; what counts is that of a text's last."""
    hidden_RUD = forward(params, token_RU, segment_RU, cfg)
    return jnp.einsum("BTD,DZ->BTZ", hidden_RUD.astype(jnp.float32), params["score"])[..., 0]
