"""With which versions and on which devices a run began and went on: a line of `starts.jsonl` each time."""

import json
import platform
import time
from importlib.metadata import version
from typing import Any

import jax

from cooper_jax.config import path
from cooper_jax.config.paths import write
from cooper_jax.mesh import hosts

FILE = "starts.jsonl"
_PACKAGES = ("cooper_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def note(run_dir: str, step: int, mesh: jax.sharding.Mesh) -> None:
    """Note that the run starts after `step`, here and now."""
    start = {
        "step": step,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kind": mesh.devices.flat[0].device_kind,
        "devices": mesh.devices.size,
        "processes": hosts.count(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    }
    file = path(run_dir) / FILE
    write(file, (file.read_text() if file.is_file() else "") + json.dumps(start) + "\n")


def starts(run_dir: str) -> list[dict[str, Any]]:
    """What was noted, in its order; of a run of before, nothing."""
    file = path(run_dir) / FILE
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
