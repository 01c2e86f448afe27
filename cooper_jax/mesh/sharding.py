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
_WEIGHT_RULES = {"D": "fsdp", "V": "tensor", "N": "tensor", "K": "tensor", "F": "tensor"}
_ACTIVATION_RULES = {"B": ROWS, "P": ROWS, "V": "tensor", "N": "tensor", "K": "tensor", "F": "tensor"}


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


def weight_spec(letters: str) -> PartitionSpec:
    """PartitionSpec of a weight from its letters; a mesh axis serves the first letter that claims it."""
    taken, spec = set(), []
    for letter in letters:
        axis = _WEIGHT_RULES.get(letter)
        spec.append(axis if axis not in taken else None)
        taken.add(axis)
    return PartitionSpec(*spec)


def activation_spec(letters: str) -> PartitionSpec:
    """PartitionSpec of an activation from its letters."""
    return PartitionSpec(*(_ACTIVATION_RULES.get(letter) for letter in letters))


def constrain(x: jax.Array, letters: str) -> jax.Array:
    """Pin an activation to the mesh by its letters; without a mesh, `x` itself."""
    if jax.sharding.get_abstract_mesh().empty:
        return x
    return jax.lax.with_sharding_constraint(x, activation_spec(letters))


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
    return jax.make_array_from_process_local_data(NamedSharding(mesh, weight_spec(letters)), x, x.shape)


def fetch(tree: Any) -> Any:
    """Global arrays -> this process's rows (or whole scalars) as numpy; waits for them."""

    def leaf(x: jax.Array) -> np.ndarray:
        if x.is_fully_addressable:
            return np.asarray(jax.device_get(x))
        rows = {s.index[0].start or 0: s.data for s in x.addressable_shards} if x.ndim else {0: x.addressable_data(0)}
        parts = jax.device_get([rows[start] for start in sorted(rows)])
        return np.concatenate(parts) if x.ndim else np.asarray(parts[0])

    return jax.tree.map(leaf, tree)
