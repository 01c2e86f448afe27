"""The mesh, the rules from axis letters to mesh axes, and the border between host and devices.

Nothing else names a mesh axis. Policy, reward model and all that belongs to them live on one mesh.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from cooper_jax import config
from cooper_jax.config import require
from cooper_jax.mesh import hosts

AXES = ("data", "fsdp", "tensor")
ROWS = ("data", "fsdp")
Rules = dict[str, tuple[str, ...]]
ACTIVATION_RULES: Rules = {"B": ROWS, "P": ROWS, "V": ("tensor",), "N": ("tensor",), "K": ("tensor",), "F": ("tensor",)}
"""Mesh axes that an axis letter is split over, most of all by the first."""
WEIGHT_RULES = ACTIVATION_RULES | {"D": ("fsdp",)}
DECODE_RULES = ACTIVATION_RULES | {"V": ("tensor", "fsdp"), "F": ("tensor", "fsdp")}
"""Of weights while decoding and of the head in training too, and of what is computed from them. No such weight crosses
devices: the rows' vectors, which for a token a row are the smaller, come to where it lies. Attention's weights are
whole over fsdp, so that a row's heads are computed where its keys and values lie."""
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


class Share(NamedTuple):
    """Which rows of a batch this process holds, by the sharding's index map: `parts` of the `ways` equal parts that
    rows are cut in. Where the tensor axis spans processes, several hold the same, and one `leads` them."""

    ways: int
    parts: tuple[int, ...]
    place: int
    """Of this share among all."""
    shares: int
    leads: bool
    shared: bool
    """Whether any rows of the mesh are held by several processes."""

    def rows(self, total: int) -> np.ndarray:
        """Places, rising, of this process's rows among `total`."""
        size = total // self.ways
        return (np.array(self.parts)[:, None] * size + np.arange(size)).reshape(-1)


@cache
def share(mesh: jax.sharding.Mesh) -> Share:
    """This process's share of rows. Raises UserError where the processes' devices do not cut rows evenly."""
    ways = ways_of(mesh)
    held: dict[int, set[int]] = {}
    for device, (rows, *_) in by_rows(mesh).devices_indices_map((ways,)).items():
        held.setdefault(device.process_index, set()).add(rows.start or 0)
    whose: dict[tuple[int, ...], list[int]] = {}
    for process, parts in sorted(held.items()):
        whose.setdefault(tuple(sorted(parts)), []).append(process)
    sizes = {len(parts) for parts in whose}
    require(
        len(sizes) == 1 and sum(map(len, whose)) == ways,
        f"mesh data x fsdp x tensor = {' x '.join(str(mesh.shape[axis]) for axis in AXES)}: the devices of a process "
        "do not hold whole shares of the rows; make mesh.tensor a divisor or a multiple of the devices of a process",
    )
    parts = tuple(sorted(held[jax.process_index()]))
    return Share(
        ways=ways,
        parts=parts,
        place=sorted(whose).index(parts),
        shares=len(whose),
        leads=whose[parts][0] == jax.process_index(),
        shared=any(len(processes) > 1 for processes in whose.values()),
    )


def prompt_copies(prompts: int, group: int, mesh: jax.sharding.Mesh, turns: int = 1) -> int:
    """How often each of `prompts` prompts is repeated, its `group` split among the copies, so that those of each of
    `turns` can be split over the mesh: 128 prompts with 8 completions each use 256 devices as 256 prompts with 4.

    Raises UserError where no number will do.
    """
    ways, at_once = ways_of(mesh), prompts // turns
    found = next((n for n in range(1, group + 1) if group % n == 0 and at_once * n % ways == 0), 0)
    require(
        found > 0,
        f"rollout.{'prompts' if turns == 1 else 'at_once'} = {at_once} with rollout.group = {group} does not divide "
        f"over the {ways} devices of mesh axes data x fsdp; use a multiple of {ways} prompts, or a group that divides "
        "what is missing",
    )
    mine = share(mesh).rows(prompts * found) // found
    require(
        bool(np.all(np.unique(mine, return_counts=True)[1] == found)),
        f"rollout.prompts = {prompts}: the completions of one question would lie on {found} devices of different "
        "processes; use more prompts, or a smaller mesh",
    )
    return found


def like(tree: Any, mesh: jax.sharding.Mesh) -> Any:
    """Shapes, types and shardings of what `put` makes of `tree`."""

    def leaf(x: np.ndarray) -> jax.ShapeDtypeStruct:
        if _whole(x):
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=replicated(mesh))
        rows = x.shape[0] * share(mesh).shares
        return jax.ShapeDtypeStruct((rows, *x.shape[1:]), x.dtype, sharding=by_rows(mesh))

    return jax.tree.map(leaf, tree)


def put(tree: Any, mesh: jax.sharding.Mesh) -> Any:
    """Rows of this process, in the order of `Share.rows`, -> global arrays split by rows; scalars and keys (rank 0 or
    `uint32`) replicated. Of rows that several processes hold, those of the one that leads are taken."""
    own = share(mesh)

    def leaf(x: np.ndarray) -> jax.Array:
        if _whole(x):
            return _array(x.shape, replicated(mesh), lambda _: x)
        if own.shared:
            return _led(x, own, mesh)
        return _by_parts(x, own, by_rows(mesh), 0)

    return jax.tree.map(leaf, tree)


def _array(shape: tuple[int, ...], where: NamedSharding, of_device: Callable[[Any], np.ndarray]) -> jax.Array:
    with jax.transfer_guard_host_to_device("allow"):
        return jax.make_array_from_callback(shape, where, of_device)


def _by_parts(x: np.ndarray, own: Share, where: NamedSharding, axis: int) -> jax.Array:
    """This process's rows, along `axis`, to where each of its parts belongs."""
    size = x.shape[axis] // len(own.parts)
    offset = {part * size: place * size for place, part in enumerate(own.parts)}
    shape = list(x.shape)
    shape[axis] *= own.shares

    def of_device(index: Any) -> np.ndarray:
        first = offset[index[axis].start or 0]
        return x[(*index[:axis], slice(first, first + size))]

    return _array(tuple(shape), where, of_device)


def _led(x: np.ndarray, own: Share, mesh: jax.sharding.Mesh) -> jax.Array:
    """Rows that several processes hold: each adds what it has, which is nothing but for one, across the tensor axis."""
    across, kind = mesh.shape["tensor"], x.dtype
    # Of the first of the leader's devices alone: the others, and the other processes, add nothing.
    mine = np.asarray(mesh.devices).reshape(own.ways, across)[own.parts[0]]
    first = next(i for i, device in enumerate(mine) if device.process_index == jax.process_index())
    added = np.zeros((across, *x.shape), np.int8 if np.issubdtype(kind, np.bool_) else kind)
    if own.leads:
        added[first] = x
    each = _by_parts(added, own, NamedSharding(mesh, PartitionSpec("tensor", ROWS)), 1)
    with jax.transfer_guard("allow"):
        return jax.device_put(jnp.sum(each, axis=0, dtype=each.dtype).astype(kind), by_rows(mesh))


def like_once(counts: int, mesh: jax.sharding.Mesh) -> jax.ShapeDtypeStruct:
    """Shape, type and sharding of what `put_once` makes of so many float32 counts."""
    return jax.ShapeDtypeStruct((mesh.size, counts), np.float32, sharding=NamedSharding(mesh, PartitionSpec(AXES)))


def put_once(count_N: np.ndarray, mesh: jax.sharding.Mesh) -> jax.Array:
    """This process's counts -> a global array [devices, N] in which every process's stand once, beside zeros: its sum
    over devices is that over processes."""
    like, first = like_once(len(count_N), mesh), True

    def of_device(_: Any) -> np.ndarray:
        nonlocal first
        mine, first = (count_N if first else np.zeros_like(count_N)), False
        return mine[None]

    return _array(like.shape, like.sharding, of_device)


def _whole(x: np.ndarray) -> bool:
    return x.ndim == 0 or x.dtype == np.uint32


def place(x: np.ndarray, letters: str, mesh: jax.sharding.Mesh) -> jax.Array:
    """A weight that every process has whole -> a global array split by its letters."""
    where = NamedSharding(mesh, spec(letters, x.shape, mesh, WEIGHT_RULES))
    return _array(x.shape, where, lambda index: x[index])


def fetch(tree: Any) -> Any:
    """Global arrays -> this process's rows, in the order of `Share.rows`, or what is replicated, whole; waits."""

    def leaf(x: jax.Array) -> np.ndarray:
        if x.is_fully_addressable:
            return np.asarray(jax.device_get(x))
        if x.is_fully_replicated:
            return np.asarray(jax.device_get(x.addressable_data(0)))
        rows = {shard.index[0].start or 0: shard.data for shard in x.addressable_shards}
        return np.concatenate(jax.device_get([rows[first] for first in sorted(rows)]))

    return jax.tree.map(leaf, tree)


def collect(mine: Sequence[Any], total: int, mesh: jax.sharding.Mesh) -> list[Any]:
    """What belongs to each of `total` rows, of every process, in their order; `mine` to this process's. All processes
    must call; anything that JSON holds."""
    own, found = share(mesh), [None] * total
    for rows, items in hosts.gather((own.rows(total).tolist(), list(mine)) if own.leads else ([], [])):
        for row, item in zip(rows, items, strict=True):
            found[row] = item
    return found
