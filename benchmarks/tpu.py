"""A step compiled for TPU by the TPU's own compiler, on a machine without one: does it fit, with which kernels, and
what crosses chips?

    pip install 'libtpu==0.0.42.*'                  goes with JAX 0.10.2; 0.0.48.* with 0.11.2
    python benchmarks/tpu.py [--chips v5e:4x4] [--tensor 2] [--json OUT]        the programs of a step
    python benchmarks/tpu.py --head                 does the policy update's memory grow with tokens x vocabulary?

Shapes are of `cooper_jax.model.presets`; rows are packed, texts told apart by segments. Nothing runs, so there are no
speeds: seconds are the compiler's on this machine, bytes are of one chip. Arguments are what the program is given;
temporary is what it reserves beside, at its fullest; `in all` adds to that, and to results that take no argument's
place, what a run holds all the time: both models with their moments, and the reference in the compute type. `kernels`
counts the Pallas kernels. What libtpu says of accelerator type and hostnames means nothing here.

Below each program stands what crosses chips: bytes of the largest array that a chip gives or gets, times how often. A
loop that ends when the program finds that it has to (over tokens, over micro-batches) stands apart, one turn of it.

--head compiles the policy update four times, with T and V each at half and whole. What grows with T alone or with V
alone (activations; the embedding's gradient) cancels in temp(T, V) - temp(T/2, V) - temp(T, V/2) + temp(T/2, V/2). What
is left grows with T x V, and is set beside float32 logits [B, T, V] of the rows that a chip computes at one time.
"""

import argparse
import json
import math
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
from collectives import KINDS, Crossing, crossings, total
from jax.experimental import topologies
from jax.sharding import Mesh

from cooper_jax import config
from cooper_jax.config import Model, Trainee
from cooper_jax.device import jits
from cooper_jax.device.state import ModelState, Packing, PairBatch, PolicyBatch, Prompts, RMTexts
from cooper_jax.host.text import packing
from cooper_jax.mesh import sharding
from cooper_jax.model import attention, presets, transformer, weights
from cooper_jax.model.sample import Sampling

MEMORY_GB = {"v5e": 16, "v5p": 95, "v6e": 32}
"""Of one chip."""

Figures = dict[str, Any]
Lowered = Callable[[], jax.stages.Lowered]


def main() -> None:
    """Compile, print the table, write `--json`."""
    given = arguments()
    # What is compiled for chips that are not here could not be read back.
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        chips = topologies.get_topology_desc(given.chips, "tpu").devices
    except RuntimeError as error:
        raise SystemExit(f"error: no TPU compiler (pip install libtpu, see --help): {error}") from None
    mesh = sharding.make_mesh(config.Mesh(given.data, -1, given.tensor), chips)
    model = replace(getattr(presets, given.model), head_chunk=given.head_chunk)
    weights.check_mesh("policy", model, mesh)
    memory_gb = MEMORY_GB[given.chips.split(":")[0]]
    print(f"{given.model} on {given.chips}, {memory_gb} GB a chip, mesh {dict(mesh.shape)}")
    figures = head(model, given, mesh) if given.head else whole(model, given, mesh)
    if given.json:
        Path(given.json).write_text(json.dumps({"arguments": vars(given), "figures": figures}, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chips", default="v5e:2x2", help=f"a kind of {', '.join(MEMORY_GB)}, and how many each way")
    parser.add_argument("--data", type=int, default=1)
    parser.add_argument("--tensor", type=int, default=1, help="fsdp takes what data and tensor leave")
    parser.add_argument("--model", choices=[n for n in vars(presets) if n.isupper()], default="QWEN2_5_1_5B")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--prompt-len", type=int, default=1024)
    parser.add_argument("--completion-len", type=int, default=3072)
    parser.add_argument("--at-once", type=int, default=1, help="rows of a micro-batch on each chip")
    parser.add_argument("--only", nargs="*", default=[], help="programs of the table")
    parser.add_argument("--int8", action="store_true", help="keys and values of decoding in int8")
    parser.add_argument(
        "--head-chunk", type=int, default=Model().head_chunk, help="tokens that have logits at one time"
    )
    parser.add_argument("--head", action="store_true", help="compare temporary memory over T and V")
    parser.add_argument("--json", default="")
    return parser.parse_args()


def whole(model: Model, given: argparse.Namespace, mesh: Mesh) -> dict[str, Figures]:
    """One layer's attention with its gradients, and the programs of a step."""
    trainee = Trainee(model)
    policy, reward = fresh(trainee, False, mesh), fresh(trainee, True, mesh)
    reference = jax.tree.map(lambda x: x.update(dtype=model.dtype), policy.params)
    sampled = config.Rollout(given.prompts, given.group, given.prompt_len, given.completion_len)
    slots = sampled.prompt_len + sampled.completion_len
    rows, _, parts = packing.shape(sampled.rows, slots, slots, given.at_once * sharding.ways_of(mesh), mesh.size)
    batch = lambda kind, *sizes: batch_of(mesh, sizes, kind)  # noqa: E731
    ints = batch(jnp.int32, rows, slots)
    how = Sampling(sampled.group, sampled.completion_len, 1.0, 1.0, 0, (2,), 0, given.int8)
    prompts = Prompts(*(batch(kind, sampled.prompts, sampled.prompt_len) for kind in (jnp.int32, bool)))
    key = jax.ShapeDtypeStruct((2,), jnp.uint32, sharding=sharding.replicated(mesh))
    rollout = jits.make_rollout(model, how, mesh)

    def prepare() -> jax.stages.Lowered:
        with jax.set_mesh(mesh):
            shapes = jax.eval_shape(rollout, policy.params, prompts, key)
        rolled = jax.tree.map(lambda x: batch(x.dtype, *x.shape), shapes)
        make = jits.make_prepare(trainee, config.GRPO(), sampled, mesh)
        return lower(mesh, make, reference, rolled, Packing(ints, ints, parts=parts))

    reward_update = jits.make_reward_update(trainee, config.Pairs(), 100, mesh)
    texts = RMTexts(ints, ints, batch(jnp.int32, sampled.rows), parts=parts)
    pairs = PairBatch(ints, ints, ints, ints, ints, parts=parts)
    programs: dict[str, Lowered] = {
        "attention": lambda: attended(model, mesh, given.at_once * sharding.ways_of(mesh), slots),
        "rollout": lambda: lower(mesh, rollout, policy.params, prompts, key),
        "prepare": prepare,
        "score": lambda: lower(mesh, jits.make_score(model, mesh), reward.params, texts),
        "policy update": lambda: policy_update(model, rows, slots, parts, mesh),
        "reward update": lambda: lower(mesh, reward_update, reward, pairs),
    }
    held = sum(map(share, jax.tree.leaves((policy, reward, reference))))
    print(f"{given.prompts} prompts of {given.prompt_len} x {given.group} completions of {given.completion_len}")
    print(f"{rows} packed rows of {slots} in {parts} micro-batches; held all the time {held / 1e9:.3f} GB")
    heading()
    chosen = {name: program for name, program in programs.items() if not given.only or name in given.only}
    return {name: measure(name, program, held) for name, program in chosen.items()}


def head(model: Model, given: argparse.Namespace, mesh: Mesh) -> dict[str, Figures]:
    """The policy update at T and V, each half and whole; 16 rows in 4 micro-batches."""
    figures, rows, parts, slots = {}, 4 * mesh.size, 4, given.prompt_len + given.completion_len
    heading()
    for t in (slots // 2, slots):
        for vocab in (model.vocab // 2, model.vocab):
            program = lambda v=vocab, t=t: policy_update(replace(model, vocab=v), rows, t, parts, mesh)  # noqa: E731
            name = f"{t:,} x {vocab:,}"
            figures[name] = measure(name, program, 0)
    small, wide, long, both = (x["temporary"] for x in figures.values())
    logits = rows // parts / sharding.ways_of(mesh) * slots * model.vocab * 4
    grown = both - long - wide + small
    print(f"grows with T x V: {grown / 1e9:.3f} GB; float32 logits at {name}: {logits / 1e9:.3f} GB")
    return figures | {"both": {"grown": grown, "logits": logits}}


def attended(model: Model, mesh: Mesh, rows: int, slots: int) -> jax.stages.Lowered:
    """Gradients of one layer's attention."""

    def abstract(letters: str, heads: int) -> jax.ShapeDtypeStruct:
        sizes = rows, slots, heads, model.head_dim
        where = jax.sharding.NamedSharding(mesh, sharding.spec(letters, sizes, mesh, sharding.ACTIVATION_RULES))
        return jax.ShapeDtypeStruct(sizes, model.dtype, sharding=where)

    def out(q: jax.Array, k: jax.Array, v: jax.Array, segment_BT: jax.Array) -> jax.Array:
        k, v = map(transformer.of_each_device, (k, v))
        return jnp.sum(attention.attend(q, k, v, segment_BT).astype(jnp.float32))

    kv, segment_BT = abstract("BSKH", model.kv_heads), batch_of(mesh, (rows, slots), jnp.int32)
    return lower(mesh, jax.jit(jax.grad(out, (0, 1, 2))), abstract("BTNH", model.heads), kv, kv, segment_BT)


def policy_update(model: Model, rows: int, slots: int, parts: int, mesh: Mesh) -> jax.stages.Lowered:
    """GRPO on packed rows, with a KL penalty."""
    of_slots = lambda kind: batch_of(mesh, (rows, 1, slots), kind)  # noqa: E731
    nothing = lambda kind: batch_of(mesh, (rows, 0), kind)  # noqa: E731
    ints, floats, marks = of_slots(jnp.int32), of_slots(jnp.float32), of_slots(bool)
    batch = PolicyBatch(nothing(jnp.int32), nothing(bool), ints, ints, marks, floats, floats, floats, floats, parts)
    trainee = Trainee(model)
    update = jits.make_policy_update(trainee, config.GRPO(), 1.0, 100, mesh)
    return lower(mesh, update, fresh(trainee, False, mesh), batch)


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


def share(x: jax.ShapeDtypeStruct) -> int:
    """Bytes of an array on one chip."""
    where: Any = x.sharding
    return math.prod(where.shard_shape(x.shape)) * x.dtype.itemsize


def heading() -> None:
    """Of the table that `measure` prints."""
    columns = ("arguments GB", "temporary GB", "in all GB")
    print(f"{'':24}{'compile s':>10}" + "".join(f"{name:>14}" for name in columns) + f"{'kernels':>9}")


def measure(name: str, program: Lowered, held: int) -> Figures:
    """Compile; print a row of the table, and what crosses chips below. `held` is what a chip holds all the time."""
    lowered, start = program(), time.perf_counter()
    compiled = lowered.compile()
    seconds, text = time.perf_counter() - start, compiled.as_text() or ""
    kernels = text.count('custom_call_target="tpu_custom_call"')
    memory: Any = compiled.memory_analysis()
    results = memory.output_size_in_bytes - memory.alias_size_in_bytes
    figures = {
        "compile_s": seconds,
        "arguments": memory.argument_size_in_bytes,
        "outputs": memory.output_size_in_bytes,
        "temporary": memory.temp_size_in_bytes,
        "in_all": held + memory.temp_size_in_bytes + results,
        "kernels": kernels,
    }
    columns = "".join(f"{figures[key] / 1e9:14.3f}" for key in ("arguments", "temporary", "in_all"))
    print(f"{name:24}{seconds:10.1f}{columns}{kernels:9}", flush=True)
    found = crossings(text)
    loops = dict.fromkeys(one.loop for one in found)
    # In the order in which they stand; what crosses once comes first.
    by_loop = [by_kind([one for one in found if one.loop == loop]) for loop in sorted(loops, key=bool)]
    for loop, kinds in zip(sorted(loops, key=bool), by_loop, strict=True):
        each = ", ".join(f"{kind} {number} x, {size / 1e6:,.1f} MB" for kind, (number, size) in kinds.items())
        print(f"    {'a turn of a loop' if loop else 'once'}: {each}", flush=True)
    return figures | {"crossing": by_loop}


def by_kind(found: list[Crossing]) -> dict[str, tuple[int, int]]:
    """How many collectives of each kind, and their bytes."""
    of_kind = {kind: [one for one in found if one.kind == kind] for kind in KINDS}
    return {kind: (sum(one.times for one in some), total(some)) for kind, some in of_kind.items() if some}


if __name__ == "__main__":
    main()
