"""What a checkpoint holds, array by array: read on the host, without the mesh of the run that wrote it."""

import hashlib
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from cooper_jax.config import UserError, require
from cooper_jax.config.paths import absolute, read_object
from cooper_jax.run.checkpoint import choose, unreadable

CHUNK = 1 << 22
"""Values compared at one time."""


class Leaf(NamedTuple):
    """One array of a checkpoint."""

    name: str
    """Dotted, the model first: policy.params.blocks.q."""
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Of the array, as it is in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


class Leaves:
    """The arrays of one checkpoint of a run, by name; each is read when it is asked for, and none is kept."""

    def __init__(self, run_dir: str, step: int = 0) -> None:
        """`step` is as `checkpoint.choose` has it. Raises UserError where there is none, or it is damaged."""
        self.chosen = choose(run_dir, step)
        self.folder = absolute(run_dir) / "checkpoints" / str(self.chosen.step)
        self.cursor = read_object(self.folder / "cursor" / "metadata", "remove that checkpoint")
        merit = self.folder / "metrics" / "metrics"
        self.figure: float | None = None
        """Of the evaluation after that step, as `checkpoint.save` had it; None: there was none."""
        if merit.is_file() and np.isfinite(figure := read_object(merit, "remove that checkpoint")["figure"]):
            self.figure = figure
        self.leaves: dict[str, Leaf] = {}
        self._trees: dict[str, Any] = {}
        self._places: dict[str, tuple[str, int]] = {}
        self._handler = ocp.PyTreeCheckpointHandler()
        for item in ("policy", "reward"):
            if (self.folder / item).is_dir():
                self._list(item)
        require(len(self.leaves) > 0, f"{self.folder} holds no model; remove that checkpoint")

    def _list(self, item: str) -> None:
        try:
            tree = self._handler.metadata(epath.Path(self.folder / item)).tree
        except Exception as error:  # Orbax raises bare ones too.
            raise UserError(unreadable(self.folder, error)) from error
        self._trees[item] = tree
        for place, (keys, about) in enumerate(jax.tree_util.tree_flatten_with_path(tree)[0]):
            name = ".".join([item, *(str(getattr(key, "key", getattr(key, "idx", ""))) for key in keys)])
            self.leaves[name] = Leaf(name, tuple(about.shape), str(np.dtype(about.dtype)))
            self._places[name] = item, place

    def read(self, name: str) -> np.ndarray:
        """One array. Raises UserError where it is damaged."""
        item, place = self._places[name]
        leaves, structure = jax.tree.flatten(self._trees[item])
        wanted = [leaf if i == place else ocp.PLACEHOLDER for i, leaf in enumerate(leaves)]
        how = structure.unflatten([ocp.RestoreArgs(restore_type=np.ndarray)] * len(leaves))
        args = ocp.args.PyTreeRestore(structure.unflatten(wanted), restore_args=how)
        try:
            tree = self._handler.restore(epath.Path(self.folder / item), args=args)
        except Exception as error:  # as in `_list`
            raise UserError(unreadable(self.folder, error)) from error
        return next(np.asarray(leaf) for leaf in jax.tree.leaves(tree) if leaf is not ocp.PLACEHOLDER)

    def saved_checksums(self) -> dict[str, int]:
        """What `loading.checksum` was of each part when it was saved: policy.params and so on."""
        kept = self.cursor.get("checksums", {})
        return {f"{item}.{part}": total for item, parts in kept.items() for part, total in parts.items()}


class Checksums:
    """What `loading.checksum` gives of the parts of a checkpoint, from their arrays one after the other."""

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def add(self, name: str, array: np.ndarray) -> None:
        """Arrays of a part must come in the order of its tree."""
        part = ".".join(name.split(".")[:2])
        self._counts[part] = self._counts.get(part, 0) + 1
        total = int(_bits(array).sum(dtype=np.uint64)) * (2 * self._counts[part] + 1)
        self._totals[part] = (self._totals.get(part, 0) + total) % 2**32

    def differ(self, saved: dict[str, int]) -> list[str]:
        """The parts that are not what was saved."""
        return [part for part, total in saved.items() if self._totals.get(part, 0) != total]


def digest(array: np.ndarray) -> str:
    """The first 16 hexadecimal digits of SHA-256 over the array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()[:16]


def difference(a: np.ndarray, b: np.ndarray) -> float | None:
    """The greatest absolute difference of two arrays of one shape; 0 where they are equal, None where it is not finite.

    What is the same to the bit is equal, be it a number or not.
    """
    if a.dtype == b.dtype and np.array_equal(_bits(a), _bits(b)):
        return 0.0
    flat, other, most = a.reshape(-1), b.reshape(-1), 0.0
    for i in range(0, flat.size, CHUNK):
        x, y = flat[i : i + CHUNK].astype(np.float64), other[i : i + CHUNK].astype(np.float64)
        with np.errstate(invalid="ignore"):
            most = np.maximum(most, np.abs(x - y).max())  # which hands on what is no number
    return float(most) if np.isfinite(most) else None


def _bits(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.dtype(f"uint{8 * array.dtype.itemsize}"))
