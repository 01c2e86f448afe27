"""A small batch's sizes, an update run on it, one device: shared by the tests of what runs on the device."""

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from cooper_jax.config import Model, Optim, Rollout, Trainee
from cooper_jax.device.state import ModelState
from cooper_jax.mesh import sharding

P, G, S, T, U, Q = 8, 2, 5, 6, 12, 8
ROLLOUT = Rollout(prompts=P, group=G, prompt_len=S, completion_len=T)


def trainee(tiny: Model, **kwargs: Any) -> Trainee:
    return Trainee(tiny, Optim(lr=1e-2, warmup=0), **kwargs)


def run(make: Any, state: ModelState, batch: Any, mesh: jax.sharding.Mesh) -> tuple[ModelState, dict[str, float]]:
    with jax.set_mesh(mesh):
        moved, metrics = make(jax.tree.map(lambda x: x.copy(), state), sharding.put(batch, mesh))
    return moved, {k: float(v) for k, v in metrics.items()}


def close(a: Any, b: Any, atol: float = 1e-6) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=2e-4, atol=atol), a, b)


def see_one_device(patch: pytest.MonkeyPatch) -> None:
    """Make programs see a single device."""
    patch.setattr(sharding, "make_mesh", partial(sharding.make_mesh, devices=jax.devices()[:1]))
