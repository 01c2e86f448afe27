"""The decoder: RMSNorm, rotary positions, grouped-query attention, SwiGLU, scanned over stacked layers.

One `block` serves training, prefill and decoding; they differ in the `attend` they hand it. In decoding the G rows of a
prompt take the place of the T positions of a row, since all else in a block works position by position.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cooper_jax.config import Model
from cooper_jax.model import attention
from cooper_jax.model.attention import TIME_AXES, Cache
from cooper_jax.sharding import constrain

Params = dict[str, Any]
KV = tuple[jax.Array, jax.Array]


def forward(params: Params, tokens_BT: jax.Array, segment_BT: jax.Array, cfg: Model) -> jax.Array:
    """Final hidden states [B, T, D]. A token sees those before it in its segment, from which positions are counted.

    `segment_BT` numbers the texts of packed rows, or is true where a row's one text stands, padding on either side; the
    states of padding mean nothing.
    """
    return _scan(params, tokens_BT, segment_BT, cfg, keep_kv=False)[0]


def prefill(params: Params, tokens_PS: jax.Array, real_PS: jax.Array, cfg: Model) -> tuple[jax.Array, KV]:
    """Hidden states [P, S, D] of the prompts, and their keys and values, each [L, P, S, K, H]."""
    return _scan(params, tokens_PS, real_PS, cfg, keep_kv=True)


def forward_grouped(
    params: Params, prompt_PS: jax.Array, prompt_real_PS: jax.Array, token_PGT: jax.Array, cfg: Model
) -> jax.Array:
    """Final hidden states [P, G, T, D] at the place before each completion token, from which it is predicted.

    Prompts are left-padded, completions right-padded. The G completions of a prompt share its pass.
    """
    (p, s), (_, g, t) = prompt_PS.shape, token_PGT.shape
    # The last token predicts nothing that is scored; padding stands behind what is, where no query sees it.
    own = t - 1
    before_TT = jnp.tril(jnp.ones((own, own), bool))
    start_P1 = jnp.sum(prompt_real_PS, axis=1, keepdims=True)
    position_PU = jnp.concatenate(
        [positions(prompt_real_PS), jnp.tile(start_P1 + jnp.arange(own)[None], (1, g))], axis=1
    )
    # One row a prompt: itself, then its completions. But for attention, a block does not ask where a token stands.
    token_PU = jnp.concatenate([prompt_PS, token_PGT[:, :, :-1].reshape(p, g * own)], axis=1)

    def attend(q: jax.Array, k: jax.Array, v: jax.Array) -> tuple[jax.Array, None]:
        grouped = lambda x: x[:, s:].reshape(p, g, own, *x.shape[2:])  # noqa: E731
        prompt_kv = k[:, :s], v[:, :s]
        prompts = attention.attend(q[:, :s], *prompt_kv, prompt_real_PS)
        completions = attention.attend_grouped(
            grouped(q), prompt_kv, prompt_real_PS, (grouped(k), grouped(v)), before_TT
        )
        return jnp.concatenate([prompts, completions.reshape(p, g * own, *q.shape[2:])], axis=1), None

    def layer(x_PUD: jax.Array, w: Params) -> tuple[jax.Array, None]:
        return block(x_PUD, w, position_PU, attend, cfg)

    x_PUD, _ = jax.lax.scan(_remat(layer, cfg), embed(params, token_PU, cfg), params["blocks"])
    last_PG1D = jnp.broadcast_to(x_PUD[:, None, s - 1 : s], (p, g, 1, cfg.width))
    x_PGTD = jnp.concatenate([last_PG1D, x_PUD[:, s:].reshape(p, g, own, cfg.width)], axis=2)
    return rms_norm(x_PGTD, params["final_norm"], cfg)


def decode(
    params: Params,
    tokens_PG: jax.Array,
    position_PG: jax.Array,
    prompt: Cache,
    prompt_real_PS: jax.Array,
    own: Cache,
    t: jax.Array,
    cfg: Model,
) -> tuple[jax.Array, Cache]:
    """Hidden states [P, G, D] of one more token in every row, and `own` with slot t written.

    Both caches are of all layers, [L, ...], as `cached` and `empty_cache` make them.
    """

    def layer(carry: tuple[jax.Array, Cache, jax.Array], inputs: tuple[Params, Cache]) -> tuple[Any, None]:
        x_PGD, own, index = carry
        weights, prompt = inputs

        def write(leaf: jax.Array | None, new: jax.Array | None, time: int) -> jax.Array | None:
            if leaf is None or new is None:
                return None
            start = [index, *[0] * (leaf.ndim - 1)]
            start[time] = t
            return jax.lax.dynamic_update_slice(leaf, new[None], start)

        def attend(q_PGNH: jax.Array, k_PGKH: jax.Array, v_PGKH: jax.Array) -> tuple[jax.Array, Cache]:
            new = cached((k_PGKH[:, :, None], v_PGKH[:, :, None]), int8=own.key_scale is not None)
            both = attention.as_read(Cache(*map(write, own, new, TIME_AXES)))
            mine = jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, keepdims=False), both)
            written_T = jnp.arange(both.key.shape[-1]) <= t
            return attention.attend_cached(q_PGNH, prompt, prompt_real_PS, mine, written_T), both

        x_PGD, own = block(x_PGD, weights, position_PG, attend, cfg)
        return (x_PGD, own, index + 1), None

    x_PGD = embed(params, tokens_PG, cfg)
    (x_PGD, own, _), _ = jax.lax.scan(layer, (x_PGD, own, jnp.int32(0)), (params["blocks"], prompt))
    return rms_norm(x_PGD, params["final_norm"], cfg), own


def cached(kv: KV, int8: bool) -> Cache:
    """Keys and values, each [..., T, K, H], laid out for decoding."""
    (key, value), scales = kv, ()
    if int8:
        (key, *scales), (value, *more) = map(_in_int8, kv)
        scales = [scale.swapaxes(-1, -2) for scale in (*scales, *more)]
    return Cache(jnp.moveaxis(key, -3, -1), value.swapaxes(-2, -3), *scales)


def _in_int8(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Each vector of the last axis as int8 and a float32 scale, its greatest entry at 127."""
    x32 = x.astype(jnp.float32)
    scale = jnp.max(jnp.abs(x32), axis=-1) / 127
    return jnp.round(x32 / jnp.maximum(scale, 1e-30)[..., None]).astype(jnp.int8), scale


def empty_cache(prompts: int, group: int, length: int, int8: bool, cfg: Model) -> Cache:
    """Room for `length` tokens of [P, G] rows in all layers."""
    kv = jax.ShapeDtypeStruct((cfg.layers, prompts, group, length, cfg.kv_heads, cfg.head_dim), cfg.dtype)
    like = jax.eval_shape(lambda *kv: cached(kv, int8), kv, kv)
    return jax.tree.map(lambda leaf: constrain(jnp.zeros(leaf.shape, leaf.dtype), "LP_K"), like)


def in_compute_type(params: Params, cfg: Model) -> Params:
    """Weights as every pass casts them, for where they are read many times. The score head stays float32."""
    cast = lambda tree: jax.tree.map(lambda leaf: leaf.astype(cfg.dtype), tree)  # noqa: E731
    return {name: leaf if name == "score" else cast(leaf) for name, leaf in params.items()}


def block(
    x_BTD: jax.Array,
    w: Params,
    position_BT: jax.Array,
    attend: Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, Any]],
    cfg: Model,
) -> tuple[jax.Array, Any]:
    """One layer; also returns what `attend` keeps of the keys and values."""
    w = jax.tree.map(lambda leaf: leaf.astype(cfg.dtype), w)
    h_BTD = rms_norm(x_BTD, w["attn_norm"], cfg)
    q_BTNH = jnp.einsum("BTD,DNH->BTNH", h_BTD, w["q"])
    k_BTKH = jnp.einsum("BTD,DKH->BTKH", h_BTD, w["k"])
    v_BTKH = jnp.einsum("BTD,DKH->BTKH", h_BTD, w["v"])
    if cfg.qkv_bias:
        q_BTNH += w["q_bias"][None, None]
        k_BTKH += w["k_bias"][None, None]
        v_BTKH += w["v_bias"][None, None]
    if cfg.qk_norm:
        q_BTNH, k_BTKH = rms_norm(q_BTNH, w["q_norm"], cfg), rms_norm(k_BTKH, w["k_norm"], cfg)
    q_BTNH, k_BTKH = rope(q_BTNH, position_BT, cfg), rope(k_BTKH, position_BT, cfg)
    attended_BTNH, kept = attend(q_BTNH, k_BTKH, v_BTKH)
    x_BTD += jnp.einsum("BTNH,NHD->BTD", attended_BTNH, w["o"])
    h_BTD = rms_norm(x_BTD, w["mlp_norm"], cfg)
    gate_BTF = jax.nn.silu(jnp.einsum("BTD,DF->BTF", h_BTD, w["gate"]))
    up_BTF = jnp.einsum("BTD,DF->BTF", h_BTD, w["up"])
    x_BTD += jnp.einsum("BTF,FD->BTD", constrain(gate_BTF * up_BTF, "BTF"), w["down"])
    return constrain(x_BTD, "BTD"), kept


def embed(params: Params, tokens_BT: jax.Array, cfg: Model) -> jax.Array:
    """Token embeddings [B, T, D] in the compute type."""
    return constrain(params["embed"].astype(cfg.dtype)[tokens_BT], "BTD")


def rms_norm(x_BTD: jax.Array, scale_D: jax.Array, cfg: Model) -> jax.Array:
    """x / rms(x) * scale over the last axis, the mean square in float32 (Zhang & Sennrich 2019, eq. 4)."""
    x32_BTD = x_BTD.astype(jnp.float32)
    unit_BTD = x32_BTD * jax.lax.rsqrt(jnp.mean(x32_BTD**2, axis=-1, keepdims=True) + cfg.norm_eps)
    scale_BTD = jnp.expand_dims(scale_D.astype(x_BTD.dtype), range(x_BTD.ndim - 1))
    return unit_BTD.astype(x_BTD.dtype) * scale_BTD


def rope(x_BTNH: jax.Array, position_BT: jax.Array, cfg: Model) -> jax.Array:
    """Rotate pairs (i, i + H/2) by position * frequency_i (Su et al. 2021, in Hugging Face's order of pairs)."""
    half = cfg.head_dim // 2
    angle = position_BT[:, :, None, None].astype(jnp.float32) * frequencies(cfg)[None, None, None]
    cos, sin = jnp.cos(angle).astype(x_BTNH.dtype), jnp.sin(angle).astype(x_BTNH.dtype)
    first, second = x_BTNH[..., :half], x_BTNH[..., half:]
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def frequencies(cfg: Model) -> np.ndarray:
    """Radians a position, float32 [H/2]: theta^(-2i/H), stretched as in Llama 3.1 where the model asks for it.

    There, wavelengths beyond original_len / low_freq_factor grow by `factor`, those below original_len /
    high_freq_factor stay, and between the two the frequency is interpolated, linearly in original_len / wavelength.
    """
    # On the host in float64: a rounding error here is multiplied by the position.
    frequency = cfg.rope_theta ** (-np.arange(0, cfg.head_dim, 2) / cfg.head_dim)
    scaling = cfg.rope_scaling
    if scaling:
        turns = scaling.original_len * frequency / (2 * np.pi)
        kept = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
        kept = np.clip(kept, 0, 1)
        frequency = frequency * (kept + (1 - kept) / scaling.factor)
    return frequency.astype(np.float32)


def positions(segment_BT: jax.Array) -> jax.Array:
    """Position of each token in its segment, from 0."""
    slot_1T = jnp.arange(segment_BT.shape[1])[None]
    begins_BT = jnp.pad(segment_BT[:, 1:] != segment_BT[:, :-1], ((0, 0), (1, 0)))
    return slot_1T - jax.lax.cummax(jnp.where(begins_BT, slot_1T, 0), axis=1)


def _remat(layer: Callable[..., Any], cfg: Model) -> Callable[..., Any]:
    """`layer`, keeping for the backward pass all that it computes, its products with weights, or its input alone."""
    if cfg.remat == "none":
        return layer
    kept = jax.checkpoint_policies.dots_with_no_batch_dims_saveable if cfg.remat == "products" else None
    return jax.checkpoint(layer, policy=kept)


def _scan(
    params: Params, tokens_BT: jax.Array, segment_BT: jax.Array, cfg: Model, keep_kv: bool
) -> tuple[jax.Array, Any]:
    position_BT = positions(segment_BT)

    def attend(q: jax.Array, k: jax.Array, v: jax.Array) -> tuple[jax.Array, KV | None]:
        return attention.attend(q, k, v, segment_BT), (k, v) if keep_kv else None

    def layer(x_BTD: jax.Array, w: Params) -> tuple[jax.Array, KV | None]:
        return block(x_BTD, w, position_BT, attend, cfg)

    body = layer if keep_kv else _remat(layer, cfg)
    x_BTD, kept = jax.lax.scan(body, embed(params, tokens_BT, cfg), params["blocks"])
    return rms_norm(x_BTD, params["final_norm"], cfg), kept
