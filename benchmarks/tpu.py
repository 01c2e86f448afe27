"""The steps compiled for TPU by the TPU's own compiler, on a machine without one: do they fit, with which kernels?

    pip install 'libtpu==0.0.42.*'                  goes with JAX 0.10.2; 0.0.48.* with 0.11.2
    python benchmarks/tpu.py [--chip v5e] [--json OUT]              attention, both updates, sampling
    python benchmarks/tpu.py --head                 does the policy update's memory grow with tokens x vocabulary?

Shapes are of `cooper_jax.model.shapes`; rows are packed, texts told apart by segments. Nothing runs, so there are no
speeds: seconds are the compiler's on this machine, bytes are what it reserves on each chip. Arguments are weights,
moments and the batch; the updated state takes their place; temporary is all else at its fullest. `kernels` counts the
Pallas kernels in the compiled program. What libtpu says of accelerator type and hostnames means nothing here.

--head compiles the policy update four times, with T and V each at half and whole. What grows with T alone or with V
alone (activations; the embedding's gradient) cancels in temp(T, V) - temp(T/2, V) - temp(T, V/2) + temp(T/2, V/2). What
is left grows with T x V, and is set beside float32 logits [B, T, V] of the rows that a chip computes at one time.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# No chip is taken, so others may compile at the same time.
os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import Mesh

from cooper_jax import config
from cooper_jax.config import Model, Trainee
from cooper_jax.device import jits
from cooper_jax.device.state import ModelState, PairBatch, PolicyBatch, Prompts
from cooper_jax.mesh import sharding
from cooper_jax.model import attention
from cooper_jax.model import presets as shapes
from cooper_jax.model.sample import Sampling

CHIPS = {"v5e": ("v5e:2x2", 16), "v5p": ("v5p:2x2x1", 95), "v6e": ("v6e:2x2", 32)}
"""Four chips of each, and GB of memory on one."""

Figures = dict[str, Any]


def main() -> None:
    """Compile, print the table, write `--json`."""
    given = arguments()
    # What is compiled for chips that are not here could not be read back.
    jax.config.update("jax_enable_compilation_cache", False)
    topology, memory_gb = CHIPS[given.chip]
    try:
        chips = topologies.get_topology_desc(topology, "tpu").devices
    except RuntimeError as error:
        raise SystemExit(f"error: no TPU compiler (pip install libtpu, see --help): {error}") from None
    mesh = sharding.make_mesh(config.Mesh(), chips)
    model = replace(getattr(shapes, given.model), head_chunk=given.head_chunk)
    print(f"{given.model} on {mesh.size} x {given.chip} of {memory_gb} GB, {given.rows} rows of {given.slots} slots")
    figures = head(model, given, mesh) if given.head else whole(model, given, mesh)
    if given.json:
        Path(given.json).write_text(json.dumps({"arguments": vars(given), "figures": figures}, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chip", choices=CHIPS, default="v5e")
    parser.add_argument("--model", choices=[n for n in vars(shapes) if n.isupper()], default="QWEN2_5_1_5B")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--slots", type=int, default=4096)
    parser.add_argument("--parts", type=int, default=4, help="micro-batches that the rows are computed in")
    parser.add_argument(
        "--head-chunk", type=int, default=Model().head_chunk, help="tokens that have logits at one time"
    )
    parser.add_argument("--head", action="store_true", help="compare temporary memory over T and V")
    parser.add_argument("--json", default="")
    given = parser.parse_args()
    if given.rows % (4 * given.parts):
        parser.error(f"--rows {given.rows}: each of --parts {given.parts} must split evenly over 4 chips")
    return given


def whole(model: Model, given: argparse.Namespace, mesh: Mesh) -> dict[str, Figures]:
    """One layer's attention with its gradients, the two updates, and sampling with either cache."""
    rows, slots = given.rows // given.parts, given.slots

    def abstract(letters: str, *sizes: int) -> jax.ShapeDtypeStruct:
        where = jax.sharding.NamedSharding(mesh, sharding.spec(letters, sizes, mesh, sharding.ACTIVATION_RULES))
        return jax.ShapeDtypeStruct(sizes, model.dtype, sharding=where)

    def attended(q: jax.Array, k: jax.Array, v: jax.Array, segment_BT: jax.Array) -> jax.Array:
        return jnp.sum(attention.attend(q, k, v, segment_BT).astype(jnp.float32))

    q = abstract("BTNH", rows, slots, model.heads, model.head_dim)
    kv = abstract("BSKH", rows, slots, model.kv_heads, model.head_dim)
    segment_BT = batch_of(mesh, (rows, slots), jnp.int32)
    gradients = jax.jit(jax.grad(attended, (0, 1, 2)))
    programs = {
        "attention": lambda: lower(mesh, gradients, q, kv, kv, segment_BT),
        "policy update": lambda: policy_update(model, given, mesh),
        "reward update": lambda: reward_update(model, given, mesh),
        "sampling": lambda: sampling(model, given, mesh, int8=False),
        "sampling, int8 cache": lambda: sampling(model, given, mesh, int8=True),
    }
    print(f"{'':24}{'compile s':>10}{'arguments GB':>14}{'outputs GB':>12}{'temporary GB':>14}{'kernels':>9}")
    return {name: measure(name, program) for name, program in programs.items()}


def head(model: Model, given: argparse.Namespace, mesh: Mesh) -> dict[str, Figures]:
    """The policy update at T and V, each half and whole."""
    figures = {}
    print(f"{'T x V':24}{'compile s':>10}{'arguments GB':>14}{'outputs GB':>12}{'temporary GB':>14}{'kernels':>9}")
    for slots in (given.slots // 2, given.slots):
        for vocab in (model.vocab // 2, model.vocab):
            cut = argparse.Namespace(**vars(given) | {"slots": slots})
            name = f"{slots:,} x {vocab:,}"
            figures[name] = measure(name, lambda v=vocab, cut=cut: policy_update(replace(model, vocab=v), cut, mesh))
    small, wide, long, both = (x["temporary"] for x in figures.values())
    logits = given.rows // given.parts / mesh.size * given.slots * model.vocab * 4
    grown = both - long - wide + small
    print(f"grows with T x V: {grown / 1e9:.3f} GB; float32 logits at {name}: {logits / 1e9:.3f} GB")
    return figures | {"both": {"grown": grown, "logits": logits}}


def policy_update(model: Model, given: argparse.Namespace, mesh: Mesh) -> jax.stages.Lowered:
    """GRPO on packed rows, with a KL penalty."""
    slots = lambda kind: batch_of(mesh, (given.rows, 1, given.slots), kind)  # noqa: E731
    nothing = lambda kind: batch_of(mesh, (given.rows, 0), kind)  # noqa: E731
    ints, floats, marks = slots(jnp.int32), slots(jnp.float32), slots(bool)
    batch = PolicyBatch(
        nothing(jnp.int32), nothing(bool), ints, ints, marks, floats, floats, floats, floats, parts=given.parts
    )
    trainee = Trainee(model)
    update = jits.make_policy_update(trainee, config.GRPO(), 1.0, 100, mesh)
    return lower(mesh, update, fresh(trainee, False, mesh), batch)


def reward_update(model: Model, given: argparse.Namespace, mesh: Mesh) -> jax.stages.Lowered:
    """PairBatch, in packed rows."""
    ints = batch_of(mesh, (given.rows, given.slots), jnp.int32)
    trainee = Trainee(model)
    update = jits.make_reward_update(trainee, config.Pairs(), 100, mesh)
    return lower(mesh, update, fresh(trainee, True, mesh), PairBatch(ints, ints, ints, ints, parts=given.parts))


def sampling(model: Model, given: argparse.Namespace, mesh: Mesh, int8: bool) -> jax.stages.Lowered:
    """As many prompts as rows, each of a quarter of the slots, with eight completions of the rest."""
    prompt = given.slots // 4
    how = Sampling(8, given.slots - prompt, 1.0, 1.0, 0, (2,), 0, int8)
    prompts = Prompts(batch_of(mesh, (given.rows, prompt), jnp.int32), batch_of(mesh, (given.rows, prompt), bool))
    key = jax.ShapeDtypeStruct((2,), jnp.uint32, sharding=sharding.replicated(mesh))
    weights = fresh(Trainee(model), False, mesh).params
    return lower(mesh, jits.make_rollout(model, how, mesh), weights, prompts, key)


def lower(mesh: Mesh, fn: Any, *args: Any) -> jax.stages.Lowered:
    """The program of a jitted function on the mesh. Only this sees the mesh: nothing can be computed on its chips."""
    with jax.set_mesh(mesh):
        return fn.lower(*args)


def batch_of(mesh: Mesh, sizes: tuple[int, ...], kind: Any) -> jax.ShapeDtypeStruct:
    """An array of a batch, by rows over the mesh."""
    return jax.ShapeDtypeStruct(sizes, kind, sharding=sharding.by_rows(mesh))


def fresh(trainee: Trainee, scored: bool, mesh: Mesh) -> ModelState:
    """Shapes and places of a first state."""
    state = jax.eval_shape(jits.make_init(trainee, scored, 100, mesh), jax.ShapeDtypeStruct((2,), jnp.uint32))
    place = lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where)  # noqa: E731
    return jax.tree.map(place, state, jits.state_shardings(trainee, scored, 100, mesh))


def measure(name: str, program: Callable[[], jax.stages.Lowered]) -> Figures:
    """Compile; print a row of the table."""
    lowered, start = program(), time.perf_counter()
    compiled = lowered.compile()
    seconds = time.perf_counter() - start
    kernels = (compiled.as_text() or "").count('custom_call_target="tpu_custom_call"')
    memory: Any = compiled.memory_analysis()
    figures = {
        "compile_s": seconds,
        "arguments": memory.argument_size_in_bytes,
        "outputs": memory.output_size_in_bytes,
        "temporary": memory.temp_size_in_bytes,
        "kernels": kernels,
    }
    arguments, outputs, temporary = (figures[key] / 1e9 for key in ("arguments", "outputs", "temporary"))
    print(f"{name:24}{seconds:10.1f}{arguments:14.3f}{outputs:12.3f}{temporary:14.3f}{kernels:9}", flush=True)
    return figures


if __name__ == "__main__":
    main()
