"""The loop of every training program: step, log one step late, evaluate, save; continue where the directory stopped."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any

from cooper_jax.config import UserError, path
from cooper_jax.device.state import CooperState
from cooper_jax.run import directory, log
from cooper_jax.run.checkpoint import Checkpointer
from cooper_jax.run.compiled import Once, Programs, ahead
from cooper_jax.run.directory import Result
from cooper_jax.run.machine import Machine
from cooper_jax.run.metrics import Record
from cooper_jax.run.timeline import WARM, Profile, Timeline

StepFn = Callable[[CooperState, int, Timeline], tuple[CooperState, dict[str, Any]]]


@dataclass(frozen=True)
class Training:
    """What a training program brings to the loop."""

    program: str
    dir: str
    """Run directory."""
    steps: int
    step_fn: StepFn
    """Takes one step (counted from 0) and returns metrics still on the device."""
    evaluate: Callable[[CooperState], Record]
    """Held-out figures, every `eval_every` steps (0: never) and after the last."""
    eval_every: int
    shown: tuple[str, ...]
    """Figures beside the progress bar."""
    seek: Callable[[int], None] = lambda _: None
    """Set the place in the data, which `cursor` reads."""
    cursor: Callable[[], int] = lambda: 0
    best: str = ""
    """A figure of `evaluate`: the state at its greatest is kept too, for `checkpoint.load_params`."""
    programs: Callable[[CooperState], Programs] = lambda _: {}
    """What a step calls, to be compiled together before the first."""


class Interrupted(UserError):
    """Stopped by a signal, everything saved."""

    exit_code = 130


def run(training: Training, here: Machine, state: CooperState) -> Result:
    """Bring the run in its directory to `training.steps` steps; its figures are those of the last.

    What an export needs beside the weights is copied into the directory: tokenizers, and what was said of the models
    where they came from. The first Ctrl-C or SIGTERM ends the run after the step in progress, saved.
    """
    directory.make_dir(training.dir)
    with Checkpointer(training.dir, here.cfg.keep, training.best != "") as checkpoints:
        start = checkpoints.latest() or 0
        if start:
            directory.same_settings(here.cfg, training.dir, training.program)
        directory.write_config(here.cfg, training.dir)
        for item, trainee in here.models.items():
            here.tokenizers[item].save(directory.tokenizer(training.dir, item))
            directory.keep_origin(training.dir, item, trainee.init)
        if start:
            state, place = checkpoints.restore(start, state)
            training.seek(place)
        if start >= training.steps:
            print(f"{training.program}: {training.dir} already has its {training.steps} steps")
        else:
            ahead(training.programs(state))
            _steps(training, here, checkpoints, state, start)
    records = log.history(training.dir, training.steps)
    return Result(path(training.dir), records[-1] if records else {})


def _steps(training: Training, here: Machine, checkpoints: Checkpointer, state: CooperState, start: int) -> None:
    cfg, steps, best = here.cfg, training.steps, training.best
    late: tuple[int, dict[str, Any], Timeline] | None = None
    timeline = None
    once = Once()
    with (
        log.Writer(training.dir, training.program, cfg.log, start, steps, training.shown) as writer,
        Profile(path(training.dir) / "profile", start + 1 + WARM, cfg.profile) as profile,
        _until_signal() as stopped,
    ):
        for done in range(start + 1, steps + 1):
            timeline = Timeline(after=timeline)
            with once("step", done), profile.step(done, timeline):
                state, record = training.step_fn(state, done - 1, timeline)
                if late:
                    with timeline.host("log"):
                        writer.write(late[0], log.finish(*late[1:]))
            figures: Record = {}
            if done == steps or (training.eval_every and done % training.eval_every == 0):
                with once("evaluation after step", done):
                    figures = training.evaluate(state)
            record |= figures
            late = (done, record, timeline)
            if done % cfg.save_every == 0 or done == steps or stopped or best in figures:
                # Written first, so that a state that has diverged is never saved.
                writer.write(done, log.finish(record, timeline))
                late = None
                checkpoints.save(done, state, training.cursor(), figures.get(best, -inf) if best else None)
            if stopped and done < steps:
                checkpoints.wait()
                raise Interrupted(
                    f"{training.program}: stopped by {stopped[0]} and saved at step {done} of {steps}; "
                    "run the same command to continue"
                )


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
