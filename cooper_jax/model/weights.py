"""One row a weight; shapes, initial values, shardings and the Hugging Face layout follow from the row.

Letters: L layers, D width, N query heads, K key/value heads, H head size, F hidden, V vocabulary, Z one score.
`blocks` are stacked over L and scanned.
"""

import math
from itertools import groupby
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import NamedSharding

from cooper_jax.config import Model, require
from cooper_jax.mesh import sharding


class Weight(NamedTuple):
    """Path in the parameter tree, one letter an axis, and the letters summed over when it is applied.

    Nothing summed: a scale ("one") or a bias ("zero"). `hf` is its Hugging Face name, with {} for the layer;
    `hf_letters` the order of a layer's axes there, where the summed ones are joined into one, and so are the others.
    """

    path: str
    letters: str
    summed: str
    hf: str
    hf_letters: str
    start: str = "normal"

    @property
    def stacked(self) -> bool:
        """Whether all layers are in one array here, while each has a tensor of its own there."""
        return self.letters[0] == "L"


def table(cfg: Model, score: bool) -> list[Weight]:
    """The weights of a decoder with a language-model head, or with a scalar score head in its place."""
    layer = "model.layers.{}."
    rows = [
        Weight("embed", "VD", "D", "model.embed_tokens.weight", "VD"),
        Weight("blocks.attn_norm", "LD", "", layer + "input_layernorm.weight", "D", "one"),
        Weight("blocks.q", "LDNH", "D", layer + "self_attn.q_proj.weight", "NHD"),
        Weight("blocks.k", "LDKH", "D", layer + "self_attn.k_proj.weight", "KHD"),
        Weight("blocks.v", "LDKH", "D", layer + "self_attn.v_proj.weight", "KHD"),
        Weight("blocks.o", "LNHD", "NH", layer + "self_attn.o_proj.weight", "DNH"),
        Weight("blocks.mlp_norm", "LD", "", layer + "post_attention_layernorm.weight", "D", "one"),
        Weight("blocks.gate", "LDF", "D", layer + "mlp.gate_proj.weight", "FD"),
        Weight("blocks.up", "LDF", "D", layer + "mlp.up_proj.weight", "FD"),
        Weight("blocks.down", "LFD", "F", layer + "mlp.down_proj.weight", "DF"),
        Weight("final_norm", "D", "", "model.norm.weight", "D", "one"),
    ]
    if cfg.qkv_bias:
        rows += [
            Weight("blocks.q_bias", "LNH", "", layer + "self_attn.q_proj.bias", "NH", "zero"),
            Weight("blocks.k_bias", "LKH", "", layer + "self_attn.k_proj.bias", "KH", "zero"),
            Weight("blocks.v_bias", "LKH", "", layer + "self_attn.v_proj.bias", "KH", "zero"),
        ]
    if cfg.qk_norm:
        rows += [
            Weight("blocks.q_norm", "LH", "", layer + "self_attn.q_norm.weight", "H", "one"),
            Weight("blocks.k_norm", "LH", "", layer + "self_attn.k_norm.weight", "H", "one"),
        ]
    if score:
        rows.append(Weight("score", "DZ", "D", "score.weight", "ZD"))
    elif not cfg.tied:
        rows.append(Weight("unembed", "VD", "D", "lm_head.weight", "VD"))
    return rows


def _sizes(cfg: Model) -> dict[str, int]:
    return {
        "L": cfg.layers,
        "D": cfg.width,
        "N": cfg.heads,
        "K": cfg.kv_heads,
        "H": cfg.head_dim,
        "F": cfg.hidden,
        "V": cfg.vocab,
        "Z": 1,
    }


def init(cfg: Model, score: bool, key: jax.Array) -> dict[str, Any]:
    """Random float32 weights: normal with variance 1 / fan-in; writers to the residual stream 1 / (2 L) of it."""
    sizes = _sizes(cfg)
    rows = table(cfg, score)
    tree = {}
    for row, row_key in zip(rows, jax.random.split(key, len(rows)), strict=True):
        shape = tuple(sizes[c] for c in row.letters)
        if row.start != "normal":
            tree[row.path] = jnp.full(shape, 1.0 if row.start == "one" else 0.0, jnp.float32)
            continue
        residual = row.path in ("blocks.o", "blocks.down")
        std = (math.prod(sizes[c] for c in row.summed) * (2 * cfg.layers if residual else 1)) ** -0.5
        tree[row.path] = std * jax.random.normal(row_key, shape, jnp.float32)
    return unflatten_dict(tree, sep=".")


def abstract(cfg: Model, score: bool, mesh: jax.sharding.Mesh) -> dict[str, Any]:
    """Shape, type and sharding of each weight."""
    sizes = _sizes(cfg)

    def leaf(row: Weight) -> jax.ShapeDtypeStruct:
        shape = tuple(sizes[c] for c in row.letters)
        where = NamedSharding(mesh, sharding.spec(row.letters, shape, mesh, sharding.WEIGHT_RULES))
        return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=where)

    return unflatten_dict({row.path: leaf(row) for row in table(cfg, score)}, sep=".")


def laid_out(params: dict[str, Any], rules: sharding.Rules, cfg: Model) -> dict[str, Any]:
    """A decoder's weights, pinned to the mesh by `rules`."""
    flat: dict[Any, Any] = flatten_dict(params, sep=".")
    laid = {row.path: sharding.constrain(flat[row.path], row.letters, rules) for row in table(cfg, score=False)}
    return unflatten_dict(laid, sep=".")


def hf_shape(row: Weight, cfg: Model) -> tuple[int, ...]:
    """Shape of a layer's tensor in a Hugging Face file: a matrix [out, in], or a vector."""
    sizes = _sizes(cfg)
    joined = groupby(row.hf_letters, key=lambda letter: letter in row.summed)
    return tuple(math.prod(sizes[letter] for letter in letters) for _, letters in joined)


def hf_axes(row: Weight, cfg: Model) -> tuple[int, ...]:
    """The same with its axes split, one size for each of `hf_letters`."""
    sizes = _sizes(cfg)
    return tuple(sizes[letter] for letter in row.hf_letters)


def from_hf(row: Weight, tensor: jax.Array) -> jax.Array:
    """A layer's tensor with the axes of `hf_letters` -> our order of axes, float32."""
    ours = row.letters.removeprefix("L")
    return jnp.transpose(tensor, [row.hf_letters.index(letter) for letter in ours]).astype(jnp.float32)


def to_hf(row: Weight, weight: jax.Array, dtype: str) -> jax.Array:
    """The reverse of `from_hf`, rounded to `dtype`."""
    ours = row.letters.removeprefix("L")
    return jnp.transpose(weight, [ours.index(letter) for letter in row.hf_letters]).astype(dtype)


def check_mesh(name: str, cfg: Model, mesh: jax.sharding.Mesh) -> None:
    """Raise UserError where an axis of a weight does not divide over the mesh axis it is split on. Key/value heads may
    also be fewer than the devices, and divide their number."""
    sizes = _sizes(cfg)
    words = {"D": "width", "N": "heads", "K": "kv_heads", "F": "hidden", "V": "vocab"}
    for letter, word in words.items():
        axis, *_ = sharding.WEIGHT_RULES[letter]
        ways = mesh.shape[axis]
        size, fit = sizes[letter], f"a multiple of {ways}"
        if letter == "K":
            fit += " or a divisor"
        require(
            size % ways == 0 or (letter == "K" and ways % size == 0),
            f"{name}.model.{word} = {size} does not divide over the {ways} devices of mesh.{axis}; "
            f"use {fit}, or a smaller mesh.{axis}",
        )


def is_matrix(params: Any) -> Any:
    """Tree of bools: weights that are summed over, which weight decay applies to (not scales, not biases)."""
    vectors = ("norm", "bias")
    return unflatten_dict({path: not path[-1].endswith(vectors) for path in flatten_dict(params)})
