"""What lies in a run directory beside checkpoints and metrics, and whether a run may go on there."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cooper_jax import config
from cooper_jax.config import Config, UserError, is_local, path, require
from cooper_jax.config.paths import copy_files, read_object, write
from cooper_jax.mesh import hosts
from cooper_jax.model import hf

# What may differ when a run is continued: none of it changes the numbers of a step, but for rounding.
_FREE = (
    "steps",
    "dir",
    "eval_every",
    "save_every",
    "keep",
    "max_skipped",
    "compile_cache",
    "profile",
    "log",
    "evaluation",
    "mesh",
)
_FREE += ("policy.micro_batch", "reward.micro_batch", "scoring.micro_batch", "rollout.at_once")
_FREE += ("policy.model.remat", "reward.model.remat")
_FREE += ("stop", "watchdog", "verifier.workers", "pairs.style", "pairs.min_valid_rate", "pairs.patience")
_FREE += tuple(
    f"assistant.server.{name}"
    for name in ("url", "key_env", "concurrency", "deadline", "retries", "backoff", "longest_wait", "breaker", "cache")
)


class Result(NamedTuple):
    """What a program returns: where its files lie, and the figures that it prints."""

    folder: Path
    figures: Any


def make_dir(run_dir: str) -> None:
    """Create a directory to write into. Raises UserError where it cannot be made, or cannot be written to."""
    try:
        path(run_dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the directory {run_dir} cannot be made: {error.strerror}; give another") from None
    require_writable(run_dir)


def require_writable(folder: str | Path) -> None:
    """Raise UserError where the system says that nothing can be written into `folder`."""
    writable = not is_local(folder) or os.access(folder, os.W_OK | os.X_OK)
    require(writable, f"the directory {folder} cannot be written to; give another, or have it opened to you")


@contextmanager
def alone(run_dir: str) -> Iterator[None]:
    """Keep the run directory to this run while the body runs. On this machine's disks only: an object store has no
    locks. Raises UserError where another run has it."""
    if not is_local(run_dir) or not hosts.is_main():
        yield
        return
    with (path(run_dir) / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another run is writing into {run_dir}; wait for it or stop it, or give another directory"
            ) from None
        except OSError as error:
            print(f"warning: {run_dir} cannot be locked ({error.strerror}); start no other run there", flush=True)
        yield


def begun(run_dir: str) -> bool:
    """Whether a run that can be continued lies there."""
    kept = path(run_dir) / "checkpoints"
    return kept.is_dir() and any(step.name.isdecimal() for step in kept.iterdir())


def write_config(cfg: Config, run_dir: str) -> None:
    """Write the resolved configuration, `config.json`."""
    write(path(run_dir) / "config.json", config.to_json(cfg))


def tokenizer(run_dir: str | Path, item: str) -> Path:
    """Where a run keeps the tokenizer of a model."""
    return path(run_dir) / "tokenizer" / item


def origin(run_dir: str | Path, item: str) -> Path:
    """Where a run keeps what the Hugging Face folder of its start says of a model, such as the ids that end a text."""
    return path(run_dir) / "origin" / item


def keep_origin(run_dir: str, item: str, where: str) -> None:
    """Keep it, so that an export has it when that folder is gone; runs hand it on."""
    names = ("config.json", "generation_config.json") if item == "policy" else ("config.json",)
    if where:
        source = path(where) if hf.is_folder(where) else origin(where, item)
        copy_files(source, origin(run_dir, item), names)


def same_inputs(found: dict[str, Any], run_dir: str, continued: bool) -> None:
    """Keep hashes of what a run starts from in `inputs.json`.

    Raises UserError where a run that is continued finds others; what it does not read may differ.
    """
    file = path(run_dir) / "inputs.json"
    fix = "put back the file that the run wrote; without it the run goes on, and takes the inputs for the same"
    kept = read_object(file, fix) if continued and file.is_file() else {}
    changed = [name for name, value in found.items() if kept.get(name, value) != value]
    require(
        not changed,
        f"{run_dir} holds a run that started from another {', another '.join(changed)}: that file or folder has "
        "changed since; put back what it was to continue, or give another directory to start anew",
    )
    if hosts.is_main():
        write(file, json.dumps(found | kept, indent=2) + "\n")


def same_settings(cfg: Config, run_dir: str, program: str) -> None:
    """Raise UserError where the run that stands in `run_dir` had other settings, of those that `program` reads."""
    old = config.flat(json.loads(config.to_json(config.from_json(path(run_dir) / "config.json"))))
    new = config.flat(json.loads(config.to_json(cfg)))
    # A minibatch is so many micro-batches: other rows would be in it.
    held = ("policy.micro_batch",) if cfg.grpo.minibatches > 1 else ()
    changed = [
        f"{name} was {old.get(name)!r}, now {new.get(name)!r}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
        and config.reads(program, name)
        and (name in held or not name.startswith(_FREE))
    ]
    if old["steps"] != cfg.steps and "cosine" in (cfg.policy.optim.schedule, cfg.reward.optim.schedule):
        changed.append(f"steps was {old['steps']}, now {cfg.steps}, which moves the cosine schedule")
    require(
        not changed,
        f"{run_dir} holds a run with other settings ({'; '.join(changed)}); "
        "give the settings of that run to continue it, or another directory to start anew",
    )
