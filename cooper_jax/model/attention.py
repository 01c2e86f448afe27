"""Attention. Which kernel runs is decided here and nowhere else.

Letters: T queries, S keys, K key/value heads, M = N / K query heads on each of them.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint

from cooper_jax.mesh.sharding import constrain, spec_in_use

MASKED = -1e30
BLOCK = 128
"""Slots that a kernel takes at a time, at least."""


class Cache(NamedTuple):
    """Keys and values that lie as the products of decoding want them, so that none is copied; in front stand layers and
    rows. In int8 each vector has a scale; else there is none."""

    key: Any
    """[..., K, H, T]"""
    value: Any
    """[..., K, T, H]"""
    key_scale: Any = None
    """[..., K, T]"""
    value_scale: Any = None


TIME_AXES = Cache(-1, -2, -1, -1)


def attend(q_BTNH: jax.Array, k_BSKH: jax.Array, v_BSKH: jax.Array, segment_BT: jax.Array) -> jax.Array:
    """Causal grouped-query attention, T = S, in which a token sees those of its own segment; softmax in float32.

    `segment_BT` holds integers, or booleans where a row is one text and padding. Returns [B, T, N, H].
    """
    kernel = choose(platform(), q_BTNH)
    if kernel is xla:
        return constrain(xla(q_BTNH, k_BSKH, v_BSKH, segment_BT), "BTNH")
    # The partitioner cannot cut a kernel: each device runs it on its own rows and heads.
    kv_spec = spec_in_use("BSKH", k_BSKH)
    specs = (spec_in_use("BTNH", q_BTNH), kv_spec, kv_spec, spec_in_use("BT", segment_BT))
    own = jax.shard_map(kernel, in_specs=specs, out_specs=specs[0], check_vma=False)
    return own(q_BTNH, k_BSKH, v_BSKH, segment_BT.astype(jnp.int32))


def platform() -> str:
    """Kind of the devices of the mesh in use."""
    device = jax.sharding.get_abstract_mesh().abstract_device
    return device.platform if device else "cpu"


def choose(where: str, q_BTNH: jax.Array) -> Callable[..., jax.Array]:
    """The kernel of `attend` on the devices of the mesh in use: `splash` on TPU, `triton` on GPU, for whole blocks of
    tokens; `xla` for everything else."""
    _, slots, _, head_dim = q_BTNH.shape
    if where == "tpu" and slots % BLOCK == 0:
        return splash
    if where == "gpu" and slots % BLOCK == 0 and head_dim in (64, 128) and q_BTNH.dtype.itemsize == 2:
        return triton
    return xla


def xla(q_BTNH: jax.Array, k_BSKH: jax.Array, v_BSKH: jax.Array, segment_BT: jax.Array) -> jax.Array:
    """Plain einsums, with weights [B, N, T, S] in memory."""
    slots = k_BSKH.shape[1]
    causal_TS = jnp.tril(jnp.ones((slots, slots), bool))
    return _dense(q_BTNH, k_BSKH, v_BSKH, causal_TS[None] & (segment_BT[:, :, None] == segment_BT[:, None, :]))


def splash(
    q_BTNH: jax.Array, k_BSKH: jax.Array, v_BSKH: jax.Array, segment_BT: jax.Array, interpret: bool = False
) -> jax.Array:
    """JAX's Pallas kernel for TPU: never a [T, S] array, no blocks above the diagonal, heads grouped as they are."""
    # A quarter of a second, which a run on CPU is spared.
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernels
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks

    slots, heads, head_dim = q_BTNH.shape[1:]
    block = math.gcd(slots, 4 * BLOCK)
    kernel: Any = kernels.make_splash_mha(
        masks.MultiHeadMask([masks.CausalMask((slots, slots))] * heads),
        block_sizes=kernels.BlockSizes(
            block, block, block_q_dkv=block, block_kv_dkv=block, block_q_dq=block, block_kv_dq=block
        ),
        head_shards=1,
        q_seq_shards=1,
        interpret=interpret,
    )
    one = lambda q, k, v, segment: kernel(q, k, v, kernels.SegmentIds(segment, segment))  # noqa: E731
    q_BNTH, k_BKSH, v_BKSH = (x.swapaxes(1, 2) for x in (q_BTNH * head_dim**-0.5, k_BSKH, v_BSKH))
    return jax.vmap(one)(q_BNTH, k_BKSH, v_BKSH, segment_BT).swapaxes(1, 2)


def triton(
    q_BTNH: jax.Array, k_BSKH: jax.Array, v_BSKH: jax.Array, segment_BT: jax.Array, interpret: bool = False
) -> jax.Array:
    """JAX's Pallas kernel for GPU: never a [T, S] array, no blocks above the diagonal; a group's keys are repeated."""
    from jax.experimental.pallas.ops.gpu import attention as kernels

    # What fits the registers and 99 KB of shared memory of a block at H = 128.
    sizes = kernels.BlockSizes(block_q=128, block_k=64, block_q_dkv=32, block_kv_dkv=64, block_q_dq=64, block_kv_dq=32)
    heads, head_dim = q_BTNH.shape[2:]
    k_BSNH, v_BSNH = (jnp.repeat(x, heads // x.shape[2], axis=2) for x in (k_BSKH, v_BSKH))
    options = {"sm_scale": head_dim**-0.5, "causal": True, "block_sizes": sizes, "interpret": interpret}
    return kernels.mha(q_BTNH, k_BSNH, v_BSNH, segment_BT, **options)


def attend_grouped(
    q_PGTNH: jax.Array,
    prompt: tuple[jax.Array, jax.Array],
    prompt_real_PS: jax.Array,
    own: tuple[jax.Array, jax.Array],
    own_mask_TU: jax.Array,
) -> jax.Array:
    """Attention of G rows that share a prompt: one softmax over the prompt's keys and the row's own.

    `prompt` is keys and values [P, S, K, H] of all G rows; `own` is [P, G, U, K, H], of which query t may see what
    `own_mask_TU` says. Returns [P, G, T, N, H].
    """
    (p, g, t, *_), slots = q_PGTNH.shape, prompt_real_PS.shape[1]
    rows = lambda x: x.reshape(p * g, *x.shape[2:])  # noqa: E731
    of_group = lambda x: rows(jnp.broadcast_to(x[:, None], (p, g, *x.shape[1:])))  # noqa: E731
    # Repeated for each row: little beside the weights, and one product and one softmax instead of two.
    key, value = (
        jnp.concatenate([of_group(shared), rows(mine)], axis=1) for shared, mine in zip(prompt, own, strict=True)
    )
    shared_BTS = jnp.broadcast_to(of_group(prompt_real_PS)[:, None], (p * g, t, slots))
    mine_BTU = jnp.broadcast_to(own_mask_TU[None], (p * g, *own_mask_TU.shape))
    out = _dense(rows(q_PGTNH), key, value, jnp.concatenate([shared_BTS, mine_BTU], axis=2))
    return constrain(out.reshape(q_PGTNH.shape), "PGTNH")


def _dense(q_BTNH: jax.Array, k_BSKH: jax.Array, v_BSKH: jax.Array, seen_BTS: jax.Array) -> jax.Array:
    """softmax(q k / sqrt(H)) v over the keys that are `seen_BTS`, [B, T, N, H]."""
    b, t, n, h = q_BTNH.shape
    kv_heads = k_BSKH.shape[2]
    q_BKTMH = (q_BTNH * h**-0.5).reshape(b, t, kv_heads, n // kv_heads, h).swapaxes(1, 2)
    out_BKTMH = _weighted(q_BKTMH, k_BSKH.swapaxes(1, 2), v_BSKH.swapaxes(1, 2), seen_BTS)
    return out_BKTMH.swapaxes(1, 2).reshape(q_BTNH.shape)


@jax.custom_vjp
def _weighted(q_BKTMH: jax.Array, k_BKSH: jax.Array, v_BKSH: jax.Array, seen_BTS: jax.Array) -> jax.Array:
    return _weighted_forward(q_BKTMH, k_BKSH, v_BKSH, seen_BTS)[0]


def _weighted_forward(
    q_BKTMH: jax.Array, k_BKSH: jax.Array, v_BKSH: jax.Array, seen_BTS: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    logits_BKTMS = jnp.einsum("BKTMH,BKSH->BKTMS", q_BKTMH, k_BKSH, preferred_element_type=jnp.float32)
    logits_BKTMS = jnp.where(seen_BTS[:, None, :, None], logits_BKTMS, MASKED)
    weights_BKTMS = jax.nn.softmax(logits_BKTMS, axis=-1).astype(q_BKTMH.dtype)
    out_BKTMH = jnp.einsum("BKTMS,BKSH->BKTMH", weights_BKTMS, v_BKSH)
    return out_BKTMH, (q_BKTMH, k_BKSH, v_BKSH, weights_BKTMS, out_BKTMH)


def _weighted_backward(kept: tuple[jax.Array, ...], out_grad_BKTMH: jax.Array) -> tuple[Any, ...]:
    """The mean of the weights' gradients under the weights is taken as the sum of outputs times theirs, H terms for S
    (Dao et al. 2022, appendix B.4): XLA on CPU takes five times as long over the former."""
    q_BKTMH, k_BKSH, v_BKSH, weights_BKTMS, out_BKTMH = kept
    f32 = jnp.float32
    v_grad_BKSH = jnp.einsum("BKTMS,BKTMH->BKSH", weights_BKTMS, out_grad_BKTMH)
    weights_grad_BKTMS = jnp.einsum("BKTMH,BKSH->BKTMS", out_grad_BKTMH, v_BKSH, preferred_element_type=f32)
    mean_BKTM1 = jnp.sum(out_BKTMH.astype(f32) * out_grad_BKTMH.astype(f32), axis=-1, keepdims=True)
    logits_grad_BKTMS = (weights_BKTMS * (weights_grad_BKTMS - mean_BKTM1)).astype(q_BKTMH.dtype)
    q_grad_BKTMH = jnp.einsum("BKTMS,BKSH->BKTMH", logits_grad_BKTMS, k_BKSH)
    k_grad_BKSH = jnp.einsum("BKTMS,BKTMH->BKSH", logits_grad_BKTMS, q_BKTMH)
    return q_grad_BKTMH, k_grad_BKSH, v_grad_BKSH, None


_weighted.defvjp(_weighted_forward, _weighted_backward)


def attend_cached(
    q_PGNH: jax.Array,
    prompt: Cache,
    prompt_real_PS: jax.Array,
    own: Cache,
    written_T: jax.Array,
) -> jax.Array:
    """`attend_grouped` of one token a row, over one layer's caches of prompts [P, ...] and rows [B, ...], B = P * G.

    Of the rows' own those before `written_T` ends are seen. Returns [P, G, N, H].
    """
    p, g, n, h = q_PGNH.shape
    k = own.key.shape[1]
    m = n // k
    q_PGKMH = (q_PGNH * h**-0.5).reshape(p, g, k, m, h)
    q_PKRH = q_PGKMH.transpose(0, 2, 1, 3, 4).reshape(p, k, g * m, h)
    shared = _with_keys("PKRH,PKHS->PKRS", q_PKRH, prompt)
    shared = jnp.where(prompt_real_PS[:, None, None], shared, MASKED)
    mine = _with_keys("BKMH,BKHT->BKMT", q_PGKMH.reshape(p * g, k, m, h), own)
    mine = jnp.where(written_T[None, None, None], mine, MASKED)
    to_shared = lambda x: x.reshape(p, g, k, m).swapaxes(1, 2).reshape(p, k, g * m)  # noqa: E731
    to_mine = lambda x: x.reshape(p, k, g, m, *x.shape[3:]).swapaxes(1, 2).reshape(p * g, k, m, *x.shape[3:])  # noqa: E731
    top_BKM = jnp.maximum(to_mine(jnp.max(shared, axis=-1)), jnp.max(mine, axis=-1))
    shared, mine = jnp.exp(shared - to_shared(top_BKM)[..., None]), jnp.exp(mine - top_BKM[..., None])
    total_BKM = to_mine(jnp.sum(shared, axis=-1)) + jnp.sum(mine, axis=-1)
    kind = q_PGNH.dtype
    out_PKRH = _of_values("PKRS,PKSH->PKRH", shared, prompt, kind)
    out = _of_values("BKMT,BKTH->BKMH", mine, own, kind)
    out = (out + to_mine(out_PKRH)) / total_BKM[..., None]
    return constrain(out.astype(kind).reshape(q_PGNH.shape), "P_NH")


def as_read(cache: Cache) -> Cache:
    """All layers' caches, [L, B, ...], in the layout in which `attend_cached` reads them.

    Left to itself the TPU's compiler lays time first, in which one token is written fastest, and then turns a layer's
    whole cache around at every token to read it.
    """
    if platform() != "tpu":
        return cache

    def pinned(leaf: jax.Array) -> jax.Array:
        in_order = lambda part: with_layout_constraint(part, Layout(tuple(range(part.ndim))))  # noqa: E731
        # The partitioner does not see through the constraint: each device pins its own part.
        spec = spec_in_use("LBK", leaf)
        return jax.shard_map(in_order, in_specs=spec, out_specs=spec, check_vma=False)(leaf)

    return jax.tree.map(pinned, cache)


def _with_keys(axes: str, q: jax.Array, cache: Cache) -> jax.Array:
    """Products of queries with keys, float32. A scale belongs to a key as a whole, and so to the product."""
    logits = jnp.einsum(axes, q, cache.key.astype(q.dtype), preferred_element_type=jnp.float32)
    return logits if cache.key_scale is None else logits * cache.key_scale[..., None, :]


def _of_values(axes: str, weights: jax.Array, cache: Cache, kind: Any) -> jax.Array:
    """Weighted sums of values, float32. A scale belongs to a value as a whole, and so to its weight."""
    weights = weights if cache.value_scale is None else weights * cache.value_scale[..., None, :]
    return jnp.einsum(axes, weights.astype(kind), cache.value.astype(kind), preferred_element_type=jnp.float32)
