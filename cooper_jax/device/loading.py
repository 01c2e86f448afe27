"""A model's weights on the mesh: born there, read from the tensors of a Hugging Face folder, and written to one."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Mesh

from cooper_jax.config import Model, Trainee
from cooper_jax.device import jits
from cooper_jax.device.state import ModelState
from cooper_jax.mesh import sharding
from cooper_jax.model import hf, transformer, weights


def init_state(trainee: Trainee, scored: bool, mesh: Mesh, key_data: np.ndarray, updates: int) -> ModelState:
    """A fresh state, born on the mesh: random weights and empty moments."""
    return jits.make_init(trainee, scored, updates, mesh)(sharding.put(key_data, mesh))


def abstract_state(trainee: Trainee, scored: bool, mesh: Mesh, updates: int) -> ModelState:
    """Shapes, types and shardings of a state, of which nothing is made."""
    key = jax.ShapeDtypeStruct((2,), np.uint32)
    shapes = jax.eval_shape(jits.make_init(trainee, scored, updates, mesh), key)
    lie = lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where)  # noqa: E731
    return jax.tree.map(lie, shapes, jits.state_shardings(trainee, scored, updates, mesh))


def frozen(state: ModelState, model: Model) -> ModelState:
    """A fresh state that will not be trained: weights in the compute type, no moments."""
    return replace(state, params=for_compute(state.params, model), opt_state=())


def abstract_frozen(trainee: Trainee, scored: bool, mesh: Mesh) -> ModelState:
    """Shapes, types and shardings of a `frozen` state."""
    like = weights.abstract(trainee.model, scored, mesh)
    cast = jax.eval_shape(partial(transformer.in_compute_type, cfg=trainee.model), like)
    params = jax.tree.map(lambda x, to: x.update(dtype=to.dtype), like, cast)
    return ModelState(jax.ShapeDtypeStruct((), np.int32, sharding=sharding.replicated(mesh)), params, ())


def in_types_of(like: Any, params: Any) -> Any:
    """`params` in the types of the abstract tree `like`."""
    return jax.tree.map(lambda to, x: x if x.dtype == to.dtype else x.astype(to.dtype), like, params)


def checksum(params: Any) -> int:
    """A number that changes with any bit of `params`, whatever their layout."""
    return int(sharding.fetch(jits.make_checksum()(params)))


def blank(like: Any) -> Any:
    """Zeros laid out as the abstract tree `like`, for `load` to write over."""
    return jits.make_zeros(like)()


def load(params: Any, tensors: Iterable[hf.Tensor]) -> Any:
    """`params` with the tensors of a Hugging Face folder written over them, in place: `params` are consumed.

    A weight without a tensor stays as it is. The host holds one tensor at a time, the devices one beside the weights.
    """
    flat: dict[Any, Any] = flatten_dict(params, sep=".")
    for row, layer, array in tensors:
        where = flat[row.path].sharding
        tensor = sharding.place(array, row.hf_letters, where.mesh)
        index = sharding.put(np.int32(layer or 0), where.mesh)
        flat[row.path] = jits.make_write(row, where)(flat[row.path], tensor, index).block_until_ready()
    return unflatten_dict(flat, sep=".")


def unload(params: Any, model: Model, scored: bool, dtype: hf.Dtype, mesh: Mesh) -> Iterator[np.ndarray]:
    """The tensors of `hf.layout`, in that order, each fetched when it is drawn."""
    flat: dict[Any, Any] = flatten_dict(params, sep=".")
    for row, layer in hf.layout(model, scored):
        tensor = jits.make_read(row, dtype, mesh)(flat[row.path], sharding.put(np.int32(layer or 0), mesh))
        yield sharding.fetch(tensor).reshape(weights.hf_shape(row, model))


def for_compute(params: Any, model: Model) -> Any:
    """A copy of weights that will not be trained, in the compute type, to which every pass would cast them: half of the
    memory in bfloat16, and the same results to the bit."""
    return jits.make_copy(model)(params)
