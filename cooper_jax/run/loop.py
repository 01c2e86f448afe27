"""The loop of every training program: step, log one step late, evaluate, save; continue where the directory stopped."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any

from cooper_jax import config
from cooper_jax.config import Config, UserError, require
from cooper_jax.device.state import CooperState
from cooper_jax.model import hf
from cooper_jax.run import metrics
from cooper_jax.run.checkpoint import Checkpointer
from cooper_jax.run.compiled import Once, Programs, ahead
from cooper_jax.run.setup import Machine
from cooper_jax.run.timeline import WARM, Profile

StepFn = Callable[[CooperState, int, metrics.Timeline], tuple[CooperState, dict[str, Any]]]

# What may differ when a run is continued: none of it changes the numbers of a step.
_FREE = ("steps", "dir", "eval_every", "save_every", "keep", "compile_cache", "profile", "log", "evaluation", "mesh")
_FREE += ("verifier.workers", "verifier.deadline", "pairs.style", "pairs.min_valid_rate", "pairs.patience")
_FREE += tuple(
    f"assistant.server.{name}"
    for name in ("url", "key_env", "concurrency", "deadline", "retries", "backoff", "longest_wait", "breaker", "cache")
)
_STAGE_2 = ("reward", "train_reward", "grpo", "pairs", "judging", "assistant")
_UNREAD = {
    "sft": (*_STAGE_2, "annotate", "fit"),
    "fit-reward": ("policy", "train_reward", "reward_source", "grpo", "pairs", "assistant", "sft", "annotate"),
    "train": ("sft", "annotate", "fit"),
}
"""Sections that a program does not read."""


def run(
    program: str,
    here: Machine,
    run_dir: str,
    steps: int,
    state: CooperState,
    step_fn: StepFn,
    evaluate: Callable[[CooperState], metrics.Record],
    eval_every: int,
    shown: tuple[str, ...],
    seek: Callable[[int], None] = lambda _: None,
    cursor: Callable[[], int] = lambda: 0,
    best: str = "",
    programs: Callable[[CooperState], Programs] = lambda _: {},
) -> CooperState:
    """Bring the run in `run_dir` to `steps` steps and return its state.

    `step_fn(state, step, timeline)` takes one step (counted from 0) and returns metrics still on the device; `evaluate`
    adds held-out figures every `eval_every` steps and after the last. `seek` and `cursor` set and read the place in the
    data. With `best`, a figure of `evaluate`, the state at its greatest is kept too, for `checkpoint.load_params`.
    `programs` are what a step calls, to be compiled together before the first. What an export needs beside the weights
    is copied into the directory: tokenizers, and what was said of the models where they came from. The first Ctrl-C or
    SIGTERM ends the run after the step in progress, saved.
    """
    cfg = here.cfg
    make_dir(run_dir)
    with Checkpointer(run_dir, cfg.keep, best != "") as checkpoints:
        start = checkpoints.latest() or 0
        if start:
            _same_settings(cfg, run_dir, _FREE + _UNREAD[program])
        write_config(cfg, run_dir)
        for item, trainee in here.models.items():
            here.tokenizers[item].save(Path(run_dir) / "tokenizer" / item)
            _keep_origin(run_dir, item, trainee.init)
        if start:
            state, place = checkpoints.restore(start, state)
            seek(place)
        if start >= steps:
            print(f"{program}: {run_dir} already has its {steps} steps")
            return state
        ahead(programs(state))
        with (
            metrics.Writer(run_dir, program, cfg.log, start, steps, shown) as writer,
            Profile(Path(run_dir) / "profile", start + 1 + WARM, cfg.profile) as profile,
            _until_signal() as stopped,
        ):
            late: tuple[int, dict[str, Any], metrics.Timeline] | None = None
            timeline = None
            once = Once()
            for done in range(start + 1, steps + 1):
                timeline = metrics.Timeline(after=timeline)
                with once("step", done), profile.step(done, timeline):
                    state, record = step_fn(state, done - 1, timeline)
                    if late:
                        with timeline.host("log"):
                            writer.write(late[0], metrics.finish(*late[1:]))
                figures = {}
                if done == steps or (eval_every and done % eval_every == 0):
                    with once("evaluation after step", done):
                        figures = evaluate(state)
                record |= figures
                late = (done, record, timeline)
                if done % cfg.save_every == 0 or done == steps or stopped or best in figures:
                    # Written first, so that a state that has diverged is never saved.
                    writer.write(done, metrics.finish(record, timeline))
                    late = None
                    checkpoints.save(done, state, cursor(), figures.get(best, -inf) if best else None)
                if stopped and done < steps:
                    raise Interrupted(f"{program}: stopped by {stopped[0]} and saved at step {done} of {steps}; "
                                      "run the same command to continue")  # fmt: skip
    return state


class Interrupted(UserError):
    """Stopped by a signal, everything saved."""

    exit_code = 130


def make_dir(run_dir: str) -> None:
    """Create the run directory. Raises UserError where it cannot be."""
    try:
        Path(run_dir).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise UserError(
            f"the run directory {run_dir} cannot be made: {error.strerror}; give another with --dir"
        ) from None


def write_config(cfg: Config, run_dir: str) -> None:
    """Write the resolved configuration, `config.json`."""
    (Path(run_dir) / "config.json").write_text(config.to_json(cfg))


def origin(run_dir: str | Path, item: str) -> Path:
    """Where a run keeps what the Hugging Face folder of its start says of a model, such as the ids that end a text."""
    return Path(run_dir) / "origin" / item


def _keep_origin(run_dir: str, item: str, where: str) -> None:
    """Keep it, so that an export has it when that folder is gone; runs hand it on."""
    source, kept = Path(where) if hf.is_folder(where) else origin(where, item), origin(run_dir, item)
    names = ("config.json", "generation_config.json") if item == "policy" else ("config.json",)
    for file in (source / name for name in names if where and (source / name).is_file()):
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, kept / file.name)


def _same_settings(cfg: Config, run_dir: str, free: tuple[str, ...]) -> None:
    """Raise UserError where the run that stands in `run_dir` had other settings."""
    old = _flat(json.loads((Path(run_dir) / "config.json").read_text()))
    new = _flat(json.loads(config.to_json(cfg)))
    changed = [
        f"{name} was {old.get(name)!r}, now {new.get(name)!r}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name) and not name.startswith(free)
    ]
    if old["steps"] != cfg.steps and "cosine" in (cfg.policy.optim.schedule, cfg.reward.optim.schedule):
        changed.append(f"steps was {old['steps']}, now {cfg.steps}, which moves the cosine schedule")
    require(
        not changed,
        f"{run_dir} holds a run with other settings ({'; '.join(changed)}); "
        "give the settings of that run to continue it, or another directory to start anew",
    )


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


@contextmanager
def _until_signal() -> Iterator[list[str]]:
    """A list that the first SIGINT or SIGTERM fills with its name; the second acts as usual."""
    seen: list[str] = []
    previous: dict[int, Any] = {}

    def note(number: int, _: Any) -> None:
        seen.append(signal.Signals(number).name)
        print(f"\n{seen[0]}: saving after this step; once more to stop at once", flush=True)
        for each, handler in previous.items():
            signal.signal(each, handler)

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, note)
        yield seen
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
