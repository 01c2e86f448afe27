"""Does a configuration's training step fit one device? Its own programs, compiled ahead of time, and their memory.

    pip install 'libtpu==0.0.42.*'                  goes with JAX 0.10.2; 0.0.48.* with 0.11.2
    python benchmarks/memory.py configs/gsm8k.py [--chips v5p:2x2x1] [--devices 1] [--json OUT] [--rollout.at-once 8]

Options with dots override the configuration's, as those of `cooper train` do. Nothing is read or run: weights are
shapes, and the programs are those that `cooper train` compiles before its first step, at the same shapes. The compiler
is the TPU's, for `--devices` chips of that kind. Another device's compiler lays out and schedules otherwise: for a GPU,
states and caches are the same and temporary memory is an estimate.

`held` is what a run holds all the time: both models with their moments, and the reference. `in all` is the most that
there is at a time in a program: what is held, its other arguments, its temporary memory and what it returns anew.
"""

import argparse
import json
import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# No chip is taken, so others may compile at the same time.
os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")

import jax
import tyro
from jax.experimental import topologies

from cooper_jax import config, cooper
from cooper_jax.config import Config
from cooper_jax.device import jits, loading
from cooper_jax.device.state import CooperState
from cooper_jax.host import arithmetic
from cooper_jax.host.text.labels import NO_LABELS
from cooper_jax.mesh import sharding
from cooper_jax.run.machine import Machine
from cooper_jax.run.setup import Run

NOBODY: Any = None


def main() -> None:
    """Compile, print the table, write `--json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--chips", default="v5p:2x2x1", help="a kind of chip that libtpu compiles for")
    parser.add_argument("--devices", type=int, default=1, help="how many of them the mesh has")
    parser.add_argument("--only", nargs="*", default=[], help="programs of the table")
    parser.add_argument("--json", default="")
    given, rest = parser.parse_known_args()
    cfg = tyro.cli(Config, default=config.load(given.config), args=rest)
    # What is compiled for chips that are not here could not be read back.
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        chips = topologies.get_topology_desc(given.chips, "tpu").devices[: given.devices]
    except RuntimeError as error:
        raise SystemExit(f"error: no TPU compiler (pip install libtpu, see --help): {error}") from None
    mesh = sharding.make_mesh(cfg.mesh, chips)
    run, state = abstract(cfg, mesh)
    held = sum(map(bytes_of, jax.tree.leaves((state, run.reference))))
    rows = cfg.rollout.rows // cfg.rollout.turns
    print(f"{given.config} {' '.join(rest)}\n{given.devices} x {given.chips}: {rows} completions at a time")
    print(f"held {held / 1e9:.2f} GB: " + ", ".join(f"{k} {v / 1e9:.2f}" for k, v in parts(run, state).items()))
    print(f"{'':16}{'temporary GB':>14}{'in all GB':>12}{'compile s':>12}")
    figures: dict[str, Any] = {"held": held}
    with jax.set_mesh(mesh):
        programs = cooper.programs(run, state)
        for name, (fn, args) in programs.items():
            if not given.only or name in given.only:
                figures[name] = measure(name, fn.lower(*args), held, (state, run.reference), args)
    if given.json:
        Path(given.json).write_text(json.dumps(figures, indent=1) + "\n")


def measure(name: str, lowered: jax.stages.Lowered, held: int, kept: Any, args: Any) -> dict[str, float]:
    """Compile; print a row of the table."""
    start = time.perf_counter()
    memory: Any = lowered.compile().memory_analysis()
    seconds = time.perf_counter() - start
    mine = {id(leaf) for leaf in jax.tree.leaves(kept)}
    other = sum(bytes_of(leaf) for leaf in jax.tree.leaves(args) if id(leaf) not in mine)
    anew = memory.output_size_in_bytes - memory.alias_size_in_bytes
    whole = held + other + memory.temp_size_in_bytes + anew
    print(f"{name:16}{memory.temp_size_in_bytes / 1e9:14.2f}{whole / 1e9:12.2f}{seconds:12.1f}", flush=True)
    return {"temporary": memory.temp_size_in_bytes, "in_all": whole, "compile_s": seconds}


def parts(run: Run, state: CooperState) -> dict[str, int]:
    """Bytes of what is held, on one device."""
    trees = {"policy": state.policy, "reward model": state.reward, "reference": run.reference}
    return {name: sum(map(bytes_of, jax.tree.leaves(tree))) for name, tree in trees.items()}


def bytes_of(x: Any) -> int:
    """Of an array's part on one device."""
    shape = x.sharding.shard_shape(x.shape) if getattr(x, "sharding", None) else x.shape
    size = x.dtype.itemsize
    for axis in shape:
        size *= axis
    return size


def abstract(cfg: Config, mesh: jax.sharding.Mesh) -> tuple[Run, CooperState]:
    """What `cooper train` steps with, of models that are shapes; the built-in task's tokenizer stands for theirs."""
    drawn, models = cfg.rollout, {"policy": cfg.policy, "reward": cfg.reward}
    here = Machine(cfg, mesh, models, dict.fromkeys(models, arithmetic.Tokenizer()), NOBODY, ExitStack())
    policy = loading.abstract_state(cfg.policy, False, mesh, cfg.steps * cfg.grpo.optimizer_steps)
    reward = None
    if cfg.reward_source != "rule" and cfg.train_reward:
        reward = loading.abstract_state(cfg.reward, True, mesh, cfg.steps * cfg.pairs.updates)
    elif cfg.reward_source != "rule":
        reward = loading.abstract_frozen(cfg.reward, True, mesh)
    copies = sharding.prompt_copies(drawn.prompts, drawn.group, mesh, drawn.turns)
    how = here.sampling(drawn.group // copies, drawn.temperature, drawn.top_p, drawn.top_k, drawn.turns)
    reference = loading.abstract_frozen(cfg.policy, False, mesh).params if cfg.grpo.kl_weight else None
    run = Run(
        cfg=cfg, machine=here, copies=copies, jits=jits.make_jits(cfg, how, mesh), reference=reference, verifier=NOBODY,
        assistant=NOBODY, counted=("pairs",), style=NOBODY, watch=NOBODY, kept=NOBODY, stream=NOBODY,
        replay=NO_LABELS, inputs={},
    )  # fmt: skip
    return run, CooperState(policy, reward)


if __name__ == "__main__":
    main()
