"""Do weights stay where they are while tokens are drawn? Read off the compiled sampler."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from collectives import crossings, total

from cooper_jax import config
from cooper_jax.config import Model
from cooper_jax.device import jits
from cooper_jax.device.state import Prompts
from cooper_jax.mesh import sharding
from cooper_jax.model import transformer, weights
from cooper_jax.model.sample import Sampling

HOW = Sampling(group=1, length=40, temperature=1.0, top_p=1.0, top_k=0, stop=(2,), pad=0)
WIDE = Model(vocab=1024, width=128, layers=2, heads=8, kv_heads=8, head_dim=16, hidden=1024, dtype="float32")
"""Weights that are larger than what is computed of a few rows."""


def crossing(model: Model, mesh: jax.sharding.Mesh, prompts: int) -> list[int]:
    """Bytes that cross devices at a token, in each of the compiled sampler's loops over tokens."""
    rows = [jax.ShapeDtypeStruct((prompts, 8), kind, sharding=sharding.by_rows(mesh)) for kind in (jnp.int32, bool)]
    key = jax.ShapeDtypeStruct((2,), jnp.uint32, sharding=sharding.replicated(mesh))
    rollout = jits.make_rollout.__wrapped__(model, HOW, mesh)
    with jax.set_mesh(mesh):
        params = weights.abstract(model, False, mesh)
        found = crossings(rollout.lower(params, Prompts(*rows), key).compile().as_text() or "")
    loops = dict.fromkeys(one.loop for one in found if one.loop)
    return [total([one for one in found if one.loop == loop]) for loop in loops]


def of_rows(model: Model, mesh: jax.sharding.Mesh, rows: int) -> int:
    """Bytes of what is computed of so many rows and has a reason to cross: four vectors of each row a layer and three
    more, logits on their way to the devices that draw, and some numbers of a row."""
    vector = model.width * jnp.dtype(model.dtype).itemsize
    logits = 2 * model.vocab * 4 // mesh.shape["fsdp"]
    return rows // mesh.shape["data"] * ((4 * model.layers + 3) * vector + logits + 64)


@pytest.mark.parametrize(
    ("axes", "stacked"),
    [
        (config.Mesh(1, 8, 1), False),
        (config.Mesh(1, 8, 1), True),
        (config.Mesh(1, 1, 8), True),
        pytest.param(config.Mesh(1, 4, 2), True, marks=pytest.mark.slow),
        (config.Mesh(2, 2, 2), True),
    ],
    ids=str,
)
def test_no_weight_crosses_devices(axes: config.Mesh, stacked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a token there crosses no more than what is computed of its rows, layer by layer as on CPU and with layers in
    their stacks as elsewhere. One layer's weights would be six times as much."""
    if stacked:
        monkeypatch.setattr(transformer, "as_decoded", lambda tree, cfg: tree)
    mesh = sharding.make_mesh(axes)
    (found,) = crossing(WIDE, mesh, 16)
    bound = of_rows(WIDE, mesh, 16)
    assert 0 < found <= bound < 3 * WIDE.width * WIDE.hidden * 4 / 6


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("axes", [config.Mesh(1, 16, 1), config.Mesh(1, 2, 8), config.Mesh(1, 4, 4)], ids=str)
def test_no_weight_crosses_the_chips_of_a_tpu(axes: config.Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of v5e:4x4, compiled without one; and of the second loop, over the rows brought together."""
    pytest.importorskip("libtpu")
    from jax.experimental import topologies

    monkeypatch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    model = replace(WIDE, vocab=4096, width=512, kv_heads=2, head_dim=128, hidden=8192, dtype="bfloat16")
    mesh = sharding.make_mesh(axes, topologies.get_topology_desc("v5e:4x4", "tpu").devices)
    ways = sharding.ways_of(mesh)
    for found, rows in zip(crossing(model, mesh, 64 * ways), (64 * ways, 8 * ways), strict=True):
        assert 0 < found <= of_rows(model, mesh, rows) < 3 * model.layers * model.width * model.hidden * 2
