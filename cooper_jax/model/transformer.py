"""The decoder: RMSNorm, rotary positions, grouped-query attention, SwiGLU, scanned over stacked layers.

One `block` serves training, prefill and decoding; they differ in the `attend` they hand it. In decoding the G rows of a
prompt take the place of the T positions of a row, since all else in a block works position by position.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cooper_jax.config import Model
from cooper_jax.mesh import sharding
from cooper_jax.mesh.sharding import ACTIVATION_RULES, DECODE_RULES, WEIGHT_RULES, Rules, constrain
from cooper_jax.model import attention
from cooper_jax.model.attention import TIME_AXES, Cache

Params = dict[str, Any]
KV = tuple[jax.Array, jax.Array]
Rotations = tuple[jax.Array, jax.Array]
Layers = Cache | tuple[Cache, ...]
"""Caches of all layers: stacked, or one by one."""


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
    turn = rotations(position_PU, cfg)
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
        return block(x_PUD, w, turn, attend, cfg)

    x_PUD, _ = jax.lax.scan(_remat(layer, cfg), embed(params, token_PU, cfg), params["blocks"])
    last_PG1D = jnp.broadcast_to(x_PUD[:, None, s - 1 : s], (p, g, 1, cfg.width))
    x_PGTD = jnp.concatenate([last_PG1D, x_PUD[:, s:].reshape(p, g, own, cfg.width)], axis=2)
    return rms_norm(x_PGTD, params["final_norm"], cfg)


def decode(
    params: Params,
    tokens_PG: jax.Array,
    position_PG: jax.Array,
    prompt: Layers,
    prompt_real_PS: jax.Array,
    own: Layers,
    t: jax.Array,
    cfg: Model,
) -> tuple[jax.Array, Layers]:
    """Hidden states [P, G, D] of one more token in every row, and `own` with slot t written.

    Weights of the blocks and both caches, as `cached` and `empty_cache` make them, have gone through `as_decoded`.
    """
    turn = rotations(position_PG, cfg)

    def layer(x_PGD: jax.Array, w: Params, prompt: Cache, own: Cache, index: Any) -> tuple[jax.Array, Cache]:
        """`index` is the layer's place in `own`, None where that is of this layer alone."""

        def write(leaf: jax.Array | None, new: jax.Array | None, time: int) -> jax.Array | None:
            if leaf is None or new is None:
                return None
            start: list[Any] = [0] * leaf.ndim
            start[time] = t
            if index is not None:
                start[0], new = index, new[None]
            return jax.lax.dynamic_update_slice(leaf, new, start)

        def attend(q_PGNH: jax.Array, k_PGKH: jax.Array, v_PGKH: jax.Array) -> tuple[jax.Array, Cache]:
            of_rows = lambda x: x.reshape(-1, 1, *x.shape[2:])  # noqa: E731
            new = cached((of_rows(k_PGKH), of_rows(v_PGKH)), int8=own.key_scale is not None)
            both = mine = attention.as_read(Cache(*map(write, own, new, TIME_AXES)))
            if index is not None:
                mine = jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, keepdims=False), both)
            written_T = jnp.arange(both.key.shape[-1]) <= t
            return attention.attend_cached(q_PGNH, prompt, prompt_real_PS, mine, written_T), both

        return block(x_PGD, w, turn, attend, cfg, DECODE_RULES)

    def scanned(carry: tuple[jax.Array, Cache, jax.Array], inputs: tuple[Params, Cache]) -> tuple[Any, None]:
        (x_PGD, own, index), (w, prompt) = carry, inputs
        return (*layer(x_PGD, w, prompt, own, index), index + 1), None

    x_PGD = embed(params, tokens_PG, cfg, DECODE_RULES)
    if isinstance(own, Cache):
        stacks: Any = params["blocks"], prompt
        (x_PGD, written, _), _ = jax.lax.scan(scanned, (x_PGD, own, jnp.int32(0)), stacks)
    else:
        written = ()
        for w, of_prompt, of_rows in zip(params["blocks"], prompt, own, strict=True):
            x_PGD, kept = layer(x_PGD, w, of_prompt, of_rows, None)
            written += (kept,)
    return rms_norm(x_PGD, params["final_norm"], cfg), written


def as_decoded(tree: Any, cfg: Model) -> Any:
    """What is stacked by layers, [L, ...], as `decode` goes through it: as it is; on CPU, where XLA copies a layer out
    of its stack to read it, layer by layer."""
    if attention.platform() != "cpu":
        return tree
    leaves, like = jax.tree.flatten(tree)
    return tuple(like.unflatten([leaf[i] for leaf in leaves]) for i in range(cfg.layers))


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


def empty_cache(rows: int, length: int, int8: bool, cfg: Model) -> Cache:
    """Room for `length` tokens of so many rows in all layers."""
    heads = cfg.kv_heads * sharding.copies(cfg.kv_heads)
    kv = jax.ShapeDtypeStruct((cfg.layers, rows, length, heads, cfg.head_dim), cfg.dtype)
    like = jax.eval_shape(lambda *kv: cached(kv, int8), kv, kv)
    return jax.tree.map(lambda leaf: constrain(jnp.zeros(leaf.shape, leaf.dtype), "LBK"), like)


def in_compute_type(params: Params, cfg: Model) -> Params:
    """Weights as every pass casts them, for where they are read many times. The score head stays float32."""
    cast = lambda tree: jax.tree.map(lambda leaf: leaf.astype(cfg.dtype), tree)  # noqa: E731
    return {name: leaf if name == "score" else cast(leaf) for name, leaf in params.items()}


def block(
    x_BTD: jax.Array,
    w: Params,
    turn: Rotations,
    attend: Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, Any]],
    cfg: Model,
    rules: Rules = ACTIVATION_RULES,
) -> tuple[jax.Array, Any]:
    """One layer; also returns what `attend` keeps of the keys and values."""
    w = jax.tree.map(lambda leaf: leaf.astype(cfg.dtype), w)
    h_BTD = rms_norm(x_BTD, w["attn_norm"], cfg)
    q_BTNH = linear("BTD,DNH->BTNH", h_BTD, w["q"])
    k_BTKH = linear("BTD,DKH->BTKH", h_BTD, w["k"])
    v_BTKH = linear("BTD,DKH->BTKH", h_BTD, w["v"])
    if cfg.qkv_bias:
        q_BTNH += w["q_bias"][None, None]
        k_BTKH += w["k_bias"][None, None]
        v_BTKH += w["v_bias"][None, None]
    if cfg.qk_norm:
        q_BTNH, k_BTKH = rms_norm(q_BTNH, w["q_norm"], cfg), rms_norm(k_BTKH, w["k_norm"], cfg)
    q_BTNH, k_BTKH = rope(q_BTNH, turn), rope(k_BTKH, turn)
    attended_BTNH, kept = attend(q_BTNH, of_each_device(k_BTKH), of_each_device(v_BTKH))
    x_BTD += linear("BTNH,NHD->BTD", attended_BTNH, w["o"])
    h_BTD = rms_norm(x_BTD, w["mlp_norm"], cfg)
    gate_BTF = jax.nn.silu(linear("BTD,DF->BTF", h_BTD, w["gate"]))
    up_BTF = linear("BTD,DF->BTF", h_BTD, w["up"])
    x_BTD += linear("BTF,FD->BTD", constrain(gate_BTF * up_BTF, "BTF", rules), w["down"])
    return constrain(x_BTD, "BTD"), kept


def of_each_device(kv_BTKH: jax.Array) -> jax.Array:
    """Keys or values with as many heads as `tensor` has devices, if these are more: each head as often as there are
    devices whose queries read it."""
    copies = sharding.copies(kv_BTKH.shape[2])
    return kv_BTKH if copies == 1 else constrain(jnp.repeat(kv_BTKH, copies, axis=2), "BTKH")


def linear(axes: str, x: jax.Array, w: jax.Array) -> jax.Array:
    """`einsum(axes, x, w)` of activations with weights, for axes as "BTD,DF->BTF": the last of the activations with the
    first of the weights.

    The weights' gradient is asked for as they lie. Autodiff asks for its transpose, to which XLA on CPU comes by a copy
    of the larger factor and a slower product; as einsum contracts "NH", in its own order, both factors are copied.
    """
    of_x, of_w = axes.split("->")[0].split(",")
    return _linear(sum(letter in of_x for letter in of_w), x, w)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _linear(count: int, x: jax.Array, w: jax.Array) -> jax.Array:
    """The last `count` axes of x contracted with the first of w."""
    return jnp.tensordot(x, w, count)


def _linear_forward(count: int, x: jax.Array, w: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return jnp.tensordot(x, w, count), (x, w)


def _linear_backward(count: int, kept: tuple[jax.Array, jax.Array], out: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, w = kept
    rows = tuple(range(x.ndim - count))
    of_out, of_w = tuple(range(len(rows), out.ndim)), tuple(range(count, w.ndim))
    return jnp.tensordot(out, w, (of_out, of_w)), jnp.tensordot(x, out, (rows, rows))


_linear.defvjp(_linear_forward, _linear_backward)


def embed(params: Params, tokens_BT: jax.Array, cfg: Model, rules: Rules = WEIGHT_RULES) -> jax.Array:
    """Token embeddings [B, T, D] in the compute type, looked up where `rules` lay the table."""
    return constrain(constrain(params["embed"].astype(cfg.dtype)[tokens_BT], "BTD", rules), "BTD")


def rms_norm(x_BTD: jax.Array, scale_D: jax.Array, cfg: Model) -> jax.Array:
    """x / rms(x) * scale over the last axis, the mean square in float32 (Zhang & Sennrich 2019, eq. 4)."""
    # Rows and slots as one axis: on CPU XLA takes ten times as long over sums where there is but one row.
    x_ND = x_BTD.reshape(-1, *x_BTD.shape[2:])
    x32_ND = x_ND.astype(jnp.float32)
    unit_ND = x32_ND * jax.lax.rsqrt(jnp.mean(x32_ND**2, axis=-1, keepdims=True) + cfg.norm_eps)
    scale_D = jnp.expand_dims(scale_D.astype(x_BTD.dtype), range(x_ND.ndim - 1))
    return (unit_ND.astype(x_BTD.dtype) * scale_D).reshape(x_BTD.shape)


def rotations(position_BT: jax.Array, cfg: Model) -> Rotations:
    """Cosine and sine of position * frequency_i, each [B, T, 1, H/2]: once for all layers."""
    angle = position_BT[:, :, None, None].astype(jnp.float32) * frequencies(cfg)[None, None, None]
    return jnp.cos(angle).astype(cfg.dtype), jnp.sin(angle).astype(cfg.dtype)


def rope(x_BTNH: jax.Array, turn: Rotations) -> jax.Array:
    """Rotate pairs (i, i + H/2) by the angles of `rotations` (Su et al. 2021, in Hugging Face's order of pairs)."""
    cos, sin = turn
    first, second = jnp.split(x_BTNH, 2, axis=-1)
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
    turn = rotations(positions(segment_BT), cfg)

    def attend(q: jax.Array, k: jax.Array, v: jax.Array) -> tuple[jax.Array, KV | None]:
        return attention.attend(q, k, v, segment_BT), (k, v) if keep_kv else None

    def layer(x_BTD: jax.Array, w: Params) -> tuple[jax.Array, KV | None]:
        return block(x_BTD, w, turn, attend, cfg)

    body = layer if keep_kv else _remat(layer, cfg)
    x_BTD, kept = jax.lax.scan(body, embed(params, tokens_BT, cfg), params["blocks"])
    return rms_norm(x_BTD, params["final_norm"], cfg), kept
