"""The mesh, the rules from axis letters to mesh axes, and the border between host and devices.

Nothing else names a mesh axis. Policy, reward model and all that belongs to them live on one mesh.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from cooper_jax import config
from cooper_jax.config import require

AXES = ("data", "fsdp", "tensor")
ROWS = ("data", "fsdp")
Rules = dict[str, tuple[str, ...]]
ACTIVATION_RULES: Rules = {"B": ROWS, "P": ROWS, "V": ("tensor",), "N": ("tensor",), "K": ("tensor",), "F": ("tensor",)}
"""Mesh axes that an axis letter is split over, most of all by the first."""
WEIGHT_RULES = ACTIVATION_RULES | {"D": ("fsdp",)}
DECODE_RULES = ACTIVATION_RULES | {"V": ("tensor", "fsdp"), "F": ("tensor", "fsdp")}
"""Of weights while decoding, and of what is computed from them. No weight crosses devices: the rows' vectors, which for
a token a row are the smaller, come to where weights lie. Attention's weights are whole over fsdp, so that a row's heads
are computed where its keys and values lie."""
DRAW_RULES: Rules = {"B": (*ROWS, "tensor")}
"""Of logits while tokens are drawn: those of a row are on one device."""


def make_mesh(cfg: config.Mesh, devices: Sequence[Any] | None = None) -> jax.sharding.Mesh:
    """The mesh of all devices of all processes (or of those given).

    Raises UserError if the axes do not multiply to their number.
    """
    devices = jax.devices() if devices is None else devices
    sizes = [cfg.data, cfg.fsdp, cfg.tensor]
    if -1 in sizes:
        sizes[sizes.index(-1)] = max(1, len(devices) // -math.prod(sizes))
    require(
        math.prod(sizes) == len(devices),
        f"mesh data x fsdp x tensor = {' x '.join(map(str, sizes))} does not use the {len(devices)} devices here; "
        "set --mesh.fsdp -1 to take what the other axes leave",
    )
    return jax.make_mesh(tuple(sizes), AXES, axis_types=(AxisType.Auto,) * 3, devices=devices)


def rows_divide(mesh: jax.sharding.Mesh, **rows: int) -> None:
    """Raise UserError unless every batch size in `rows` splits evenly over the mesh."""
    ways = ways_of(mesh)
    for name, size in rows.items():
        require(
            size % ways == 0,
            f"{name.replace('__', '.')} = {size} does not divide over the {ways} devices of mesh axes data x fsdp; "
            f"use a multiple of {ways}",
        )


def ways_of(mesh: jax.sharding.Mesh) -> int:
    """How many ways rows are split over `mesh`."""
    return math.prod(mesh.shape[axis] for axis in ROWS)


def row_ways() -> int:
    """How many ways rows are split over the mesh in use; 1 without a mesh."""
    shape = dict(jax.sharding.get_abstract_mesh().shape)
    return math.prod(shape.get(axis, 1) for axis in ROWS)


def copies(kv_heads: int) -> int:
    """How many devices of `tensor` share a key/value head, each with a copy; 1 without a mesh."""
    tensor = dict(jax.sharding.get_abstract_mesh().shape).get("tensor", 1)
    return max(1, tensor // kv_heads)


def spec(letters: str, shape: Sequence[int], mesh: Any, rules: Rules) -> PartitionSpec:
    """PartitionSpec of an array from its letters. A mesh axis serves the last letter that claims it, and only a size
    that divides over it: what does not is whole on each device."""
    taken, parts = set(), []
    for letter, size in reversed(list(zip(letters, shape, strict=False))):
        axes = [axis for axis in rules.get(letter, ()) if axis not in taken]
        while size % math.prod(mesh.shape[axis] for axis in axes):
            axes.pop()
        taken.update(axes)
        parts.append(tuple(axes) or None)
    return PartitionSpec(*reversed(parts))


def spec_in_use(letters: str, x: jax.Array, rules: Rules = ACTIVATION_RULES) -> PartitionSpec:
    """`spec` of an array on the mesh in use."""
    return spec(letters, x.shape, jax.sharding.get_abstract_mesh(), rules)


def constrain(x: jax.Array, letters: str, rules: Rules = ACTIVATION_RULES) -> jax.Array:
    """Pin an array to the mesh by its letters; without a mesh, `x` itself."""
    if jax.sharding.get_abstract_mesh().empty:
        return x
    return jax.lax.with_sharding_constraint(x, spec_in_use(letters, x, rules))


def by_rows(mesh: jax.sharding.Mesh) -> NamedSharding:
    """Sharding of a batch: its leading axis over the rows of the mesh."""
    return NamedSharding(mesh, PartitionSpec(ROWS))


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
    """Sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def like(tree: Any, mesh: jax.sharding.Mesh) -> Any:
    """Shapes, types and shardings of what `put` makes of `tree`."""

    def leaf(x: np.ndarray) -> jax.ShapeDtypeStruct:
        if _whole(x):
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=replicated(mesh))
        rows = x.shape[0] * jax.process_count()
        return jax.ShapeDtypeStruct((rows, *x.shape[1:]), x.dtype, sharding=by_rows(mesh))

    return jax.tree.map(leaf, tree)


def put(tree: Any, mesh: jax.sharding.Mesh) -> Any:
    """Host rows of this process -> global arrays split by rows; scalars and keys (rank 0 or `uint32`) replicated."""

    def leaf(x: np.ndarray) -> jax.Array:
        return jax.make_array_from_process_local_data(replicated(mesh) if _whole(x) else by_rows(mesh), x)

    return jax.tree.map(leaf, tree)


def _whole(x: np.ndarray) -> bool:
    return x.ndim == 0 or x.dtype == np.uint32


def place(x: np.ndarray, letters: str, mesh: jax.sharding.Mesh) -> jax.Array:
    """A weight that every process has whole -> a global array split by its letters."""
    where = NamedSharding(mesh, spec(letters, x.shape, mesh, WEIGHT_RULES))
    return jax.make_array_from_process_local_data(where, x, x.shape)


def fetch(tree: Any) -> Any:
    """Global arrays -> this process's rows (or whole scalars) as numpy; waits for them."""

    def leaf(x: jax.Array) -> np.ndarray:
        if x.is_fully_addressable:
            return np.asarray(jax.device_get(x))
        rows = {s.index[0].start or 0: s.data for s in x.addressable_shards} if x.ndim else {0: x.addressable_data(0)}
        parts = jax.device_get([rows[start] for start in sorted(rows)])
        return np.concatenate(parts) if x.ndim else np.asarray(parts[0])

    return jax.tree.map(leaf, tree)
