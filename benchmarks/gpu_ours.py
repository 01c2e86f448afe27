"""Our parts of gpu.py, which runs this once for each: `--part policy`, `reward`, `decode` or `device`.

The figures go to `--json`; gpu.py reads them.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from gpu_shapes import Shape

from cooper_jax import config
from cooper_jax.device import jits, keys, loading
from cooper_jax.device.state import PairBatch, Prompts, Rollout
from cooper_jax.host.text import packing
from cooper_jax.mesh import sharding
from cooper_jax.model.sample import Sampling

WARM = 1
"""Calls after the one that compiles, before those that count."""

Figures = dict[str, Any]


def main() -> None:
    """Run one part, write its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--json", required=True)
    parser.add_argument("--exact", required=True, help="the Shape, as JSON")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    figures = PARTS[given.part](Shape(**json.loads(given.exact)), given.repeats)
    Path(given.json).write_text(json.dumps(figures))


def device_name(shape: Shape, repeats: int) -> Figures:
    """What JAX calls the device."""
    return {"device": jax.devices()[0].device_kind}


def configuration(shape: Shape) -> config.Config:
    """The shapes in our configuration."""
    model = config.Model(
        vocab=shape.vocab,
        width=shape.width,
        layers=shape.layers,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        hidden=shape.hidden,
        rope_theta=1e6,
        dtype="bfloat16",
        remat="full",
    )
    return config.Config(
        policy=config.Trainee(model, micro_batch=shape.micro_batch),
        reward=config.Trainee(model),
        steps=100,
        rollout=config.Rollout(
            prompts=shape.train_prompts,
            group=shape.group,
            prompt_len=shape.train_prompt_len,
            completion_len=shape.train_len - shape.train_prompt_len,
        ),
        grpo=config.GRPO(kl_weight=0.0),
    )


def policy_update(shape: Shape, repeats: int) -> Figures:
    """Seconds of a GRPO update."""
    cfg = configuration(shape)
    rolled, rows = cfg.rollout, cfg.rollout.rows
    mesh = sharding.make_mesh(cfg.mesh, jax.devices()[:1])
    rng = np.random.default_rng(0)
    tokens = lambda *size: rng.integers(3, shape.vocab, size).astype(np.int32)  # noqa: E731
    rollout = Rollout(
        prompts=Prompts(tokens(rolled.prompts, rolled.prompt_len), np.ones((rolled.prompts, rolled.prompt_len), bool)),
        token_BT=tokens(rows, rolled.completion_len),
        logp_BT=np.full((rows, rolled.completion_len), -np.log(shape.vocab), np.float32),
        real_BT=np.ones((rows, rolled.completion_len), bool),
        finished_B=np.ones(rows, bool),
    )
    how = Sampling(rolled.group, rolled.completion_len, 1.0, 1.0, 0, (-1,), 0)
    with jax.set_mesh(mesh):
        step_fns = jits.make_jits(cfg, how, mesh)
        reward_B = sharding.put(rng.random(rows).astype(np.float32), mesh)
        placed = sharding.put(rollout, mesh)
        advantage_PGT, _ = step_fns.advantages(placed, reward_B)
        batch = replace(step_fns.prepare(None, placed), advantage_PGT=advantage_PGT)
        state = loading.init_state(cfg.policy, False, mesh, keys.key(0, keys.Use.ROLLOUT), cfg.steps)

        def call() -> None:
            nonlocal state
            state, metrics = step_fns.policy_update(state, batch)
            jax.block_until_ready((state, metrics))

        return timed(call, repeats) | {"rows": rows, "tokens": rows * shape.train_len} | device_memory()


def reward_update(shape: Shape, repeats: int) -> Figures:
    """Seconds of a reward model update on pairs."""
    cfg = configuration(shape)
    mesh = sharding.make_mesh(cfg.mesh, jax.devices()[:1])
    rng = np.random.default_rng(0)

    text = lambda: rng.integers(3, shape.vocab, shape.pair_len).astype(np.int32)  # noqa: E731
    into = packing.shape(shape.pairs, 2 * shape.pair_len, 2 * shape.pair_len, cfg.reward.micro_batch, 1)
    pairs = [(text(), text()) for _ in range(shape.pairs)]
    rows = PairBatch(*packing.pairs(pairs, [], np.zeros(0), into, 0), into.parts)
    how = Sampling(cfg.rollout.group, cfg.rollout.completion_len, 1.0, 1.0, 0, (-1,), 0)
    with jax.set_mesh(mesh):
        update = jits.make_jits(cfg, how, mesh).reward_update
        state = loading.init_state(cfg.reward, True, mesh, keys.key(0, keys.Use.ROLLOUT), cfg.steps)
        batch = sharding.put(rows, mesh)

        def call() -> None:
            nonlocal state
            state, metrics = update(state, batch)
            jax.block_until_ready((state, metrics))

        return timed(call, repeats) | {"rows": 2 * shape.pairs} | device_memory()


def decode(shape: Shape, repeats: int) -> Figures:
    """Seconds of a rollout, its prefill included."""
    cfg = configuration(shape)
    mesh = sharding.make_mesh(cfg.mesh, jax.devices()[:1])
    rng = np.random.default_rng(0)
    token_PS = rng.integers(3, shape.vocab, (shape.decode_prompts, shape.decode_prompt_len)).astype(np.int32)
    how = Sampling(shape.group, shape.decode_len, 1.0, 1.0, 0, (-1,), 0)
    with jax.set_mesh(mesh):
        params = loading.init_state(cfg.policy, False, mesh, keys.key(0, keys.Use.ROLLOUT), cfg.steps).params
        rollout = jits.make_rollout(cfg.policy.model, how, mesh)
        prompts = sharding.put(Prompts(token_PS, np.ones(token_PS.shape, bool)), mesh)
        key = sharding.put(keys.key(0, keys.Use.ROLLOUT, 1), mesh)
        call = lambda: jax.block_until_ready(rollout(params, prompts, key))  # noqa: E731
        rows = shape.decode_prompts * shape.group
        return timed(call, repeats) | {"rows": rows, "tokens": rows * shape.decode_len} | device_memory()


def timed(call: Callable[[], Any], repeats: int) -> Figures:
    """Median seconds of `call`, which waits for its result; and what the first, which compiles, takes longer."""
    taken = []
    for _ in range(1 + WARM + repeats):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    seconds = statistics.median(taken[1 + WARM :])
    return {"seconds": seconds, "compile_s": taken[0] - seconds}


def device_memory() -> Figures:
    """The most the allocator held, GiB; a CPU's keeps no count."""
    stats = jax.devices()[0].memory_stats()
    return {"peak_gib": stats["peak_bytes_in_use"] / 2**30} if stats else {}


PARTS: dict[str, Callable[[Shape, int], Figures]] = {
    "device": device_name,
    "policy": policy_update,
    "reward": reward_update,
    "decode": decode,
}

if __name__ == "__main__":
    main()
