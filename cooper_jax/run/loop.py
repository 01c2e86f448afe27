"""The loop of every training program: step, log one step late, evaluate, save; continue where the directory stopped."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Any

import jax

from cooper_jax.config import Stop, UserError, path
from cooper_jax.device import jits
from cooper_jax.device.state import CooperState
from cooper_jax.mesh import hosts
from cooper_jax.mesh.sharding import fetch
from cooper_jax.run import directory, log, provenance
from cooper_jax.run.checkpoint import Checkpointer
from cooper_jax.run.compiled import Once, Programs, ahead
from cooper_jax.run.directory import Result
from cooper_jax.run.early import Early
from cooper_jax.run.machine import Machine
from cooper_jax.run.metrics import Record
from cooper_jax.run.signals import until_signal
from cooper_jax.run.timeline import WARM, Profile, Timeline
from cooper_jax.run.watchdog import Watchdog

StepFn = Callable[[CooperState, int, Timeline], tuple[CooperState, dict[str, Any]]]


@dataclass(frozen=True)
class Training:
    """What a training program brings to the loop."""

    program: str
    dir: str
    """Run directory."""
    steps: int
    fresh: Callable[[], CooperState]
    """Makes the first state."""
    resumed: Callable[[], CooperState]
    """Shapes, types and shardings of a state: one that is restored is never beside another."""
    step_fn: StepFn
    """Takes one step (counted from 0) and returns metrics still on the device."""
    evaluate: Callable[[CooperState], Record]
    """Held-out figures, every `eval_every` steps and after the last; 0: never."""
    eval_every: int
    shown: tuple[str, ...]
    """Figures beside the progress bar."""
    figures: Callable[[int, dict[str, Any]], dict[str, Any]] = lambda _, record: record
    """Makes numbers of what a step (counted from 1) returned, once it has been fetched."""
    check: Callable[[int, Record], str | None] = lambda *_: None
    """Looks at the record of a step (counted from 1): a warning where one is due. Raises UserError to end the run."""
    seek: Callable[[Any], None] = lambda _: None
    """Set the place in the data, which `cursor` reads."""
    cursor: Callable[[], Any] = lambda: 0
    """Anything that JSON holds, and that a step does not change."""
    inputs: dict[str, Any] = field(default_factory=dict)
    """What a run that is continued must find as it was, once `fresh` or `resumed` has been called."""
    best: str = ""
    """A figure of `evaluate`: the state at its greatest is kept too, for `checkpoint.load_params`."""
    least: bool = False
    """The state at the least of `best` instead."""
    stop: Stop = field(default_factory=Stop)
    """When `best` ends the run before its last step."""
    programs: Callable[[CooperState], Programs] = lambda _: {}
    """What a step calls, to be compiled together before the first."""


class Interrupted(UserError):
    """Stopped by a signal, everything saved."""

    exit_code = 130


def run(training: Training, here: Machine) -> Result:
    """Bring the run in its directory to `training.steps` steps; its figures are those of the last.

    What an export needs beside the weights is copied into the directory: tokenizers, and what was said of the models
    where they came from. The first Ctrl-C or SIGTERM, in any process, ends the run after a step, saved.
    """
    with ExitStack() as stack:
        with hosts.together():
            directory.make_dir(training.dir)
            stack.enter_context(directory.alone(training.dir))
        _run(training, here)
    records = log.history(training.dir, training.steps) if hosts.is_main() else []
    return Result(path(training.dir), hosts.first(records[-1] if records else {}))


def _run(training: Training, here: Machine) -> None:
    with Checkpointer(training.dir, here.cfg.keep, training.best != "") as checkpoints:
        start = checkpoints.latest() or 0
        with hosts.together():
            if start:
                directory.same_settings(here.cfg, training.dir, training.program)
        with hosts.together():
            if hosts.is_main():
                _describe(training, here)
        past = hosts.first(log.history(training.dir, start) if training.best and hosts.is_main() else [])
        early = Early(training.stop, training.best, training.eval_every, past)
        if start >= training.steps or early.reason:
            had = f"was ended at step {start}: {early.reason}" if early.reason else f"already has its {start} steps"
            print(f"{training.program}: {training.dir} {had}", flush=True)
        else:
            state = training.resumed() if start else training.fresh()
            with hosts.together():
                directory.same_inputs(training.inputs, training.dir, start > 0)
                if hosts.is_main():
                    provenance.note(training.dir, start, here.mesh)
            if start:
                state, place = checkpoints.restore(start, state)
                training.seek(place)
            ahead(training.programs(state))
            _steps(training, here, checkpoints, state, start, early)
        if training.best:
            checkpoints.wait()
            _say_best(training, checkpoints, early)


def _say_best(training: Training, checkpoints: Checkpointer, early: Early) -> None:
    if best := checkpoints.best():
        step, merit = best
        figure = f"{training.best} {-merit if training.least else merit:.4g}"
        print(
            f"{training.program}: the best checkpoint is that of step {step} ({figure}); what reads this run takes it",
            flush=True,
        )


def _describe(training: Training, here: Machine) -> None:
    directory.write_config(here.cfg, training.dir)
    for item, trainee in here.models.items():
        here.tokenizers[item].save(directory.tokenizer(training.dir, item))
        directory.keep_origin(training.dir, item, trainee.init)


def _steps(
    training: Training, here: Machine, checkpoints: Checkpointer, state: CooperState, start: int, early: Early
) -> None:
    cfg, steps, best = here.cfg, training.steps, training.best
    late: tuple[int, dict[str, Any], Timeline] | None = None
    timeline, ending = None, None
    once = Once()
    with hosts.together():
        made = log.Nowhere()
        if hosts.is_main():
            made = log.Writer(training.dir, training.program, cfg.log, start, steps, training.shown)
    with (
        made as writer,
        Profile(path(training.dir) / "profile", start + 1 + WARM, cfg.profile) as profile,
        until_signal() as stopped,
        Watchdog(cfg.watchdog) as watchdog,
    ):
        flags, write = _Flags(training, here, stopped), _Log(training, here, writer)
        for done in range(start + 1, steps + 1):
            timeline = Timeline(after=timeline)
            before = partial(_rescue, checkpoints, write, late, done - 1, state, training.cursor())
            with _otherwise(before), once("step", done), profile.step(done, timeline):
                state, record = training.step_fn(state, done - 1, timeline)
                if late:
                    with timeline.host("log"):
                        ending = write(*late)
            watchdog.beat()
            figures: Record = {}
            if training.eval_every and (done == steps or done % training.eval_every == 0):
                with once("evaluation after step", done), watchdog.off():
                    figures = training.evaluate(state)
            record |= figures
            early.note(done, figures)
            late = (done, record, timeline)
            ending = ending or flags.after(done)
            if done % cfg.save_every == 0 or done == steps or ending or best in figures:
                ending = write(*late) or ending
                late = None
                with here.trouble.held():
                    writer.wait()  # A step that is saved is not made again, and nor are its samples.
                checkpoints.save(done, state, training.cursor(), _merit(training, figures) if best else None)
            if ending:
                checkpoints.wait()
                raise ending
            if early.reason:
                print(f"{training.program}: ended at step {done} of {steps}: {early.reason}", flush=True)
                return


def _merit(training: Training, figures: Record) -> float:
    """What is greatest at the best state; -inf where it is not known."""
    figure = figures.get(training.best)
    return -inf if figure is None else -figure if training.least else figure


@contextmanager
def _otherwise(rescue: Callable[[], None]) -> Iterator[None]:
    """Where the body fails, `rescue` before the error goes on."""
    try:
        yield
    except Exception:
        rescue()
        raise


def _rescue(checkpoints: Checkpointer, write: "_Log", late: Any, step: int, state: CooperState, cursor: Any) -> None:
    """Save what stood before a step that failed, unless the step has consumed it already, or others would have to save
    with this process."""
    whole = not any(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    if hosts.count() == 1 and whole and step > (checkpoints.latest() or 0):
        if late:
            write(*late)
        checkpoints.save(step, state, cursor)
        checkpoints.wait()
        print(f"saved at step {step}, before the step that failed", flush=True)


class _Log:
    """Writes the records of steps, and looks at them."""

    def __init__(self, training: Training, here: Machine, writer: log.Writer | log.Nowhere) -> None:
        self._training, self._here, self._writer = training, here, writer
        self._skipped = 0

    def __call__(self, step: int, metrics: dict[str, Any], timeline: Timeline) -> UserError | None:
        """Write the record of `step`; the error with which `training.check` ends the run, the same in every process.

        Raises UserError where too many updates in a row were not finite: there is nothing to be saved.
        """
        seen = metrics.pop("seen", None)
        record = log.finish(metrics, timeline, partial(self._training.figures, step))
        tables = seen.tables() if seen else None
        with self._here.trouble.held():
            self._writer.write(step, record, tables)
        self._count_skipped(step, record)
        try:
            if warning := self._training.check(step, record):
                print(f"warning, step {step}: {warning}", flush=True)
        except UserError as error:
            return UserError(f"{error}; the run is saved, and the same command continues it", agreed=True)
        return None

    def _count_skipped(self, step: int, record: Record) -> None:
        names = [name for name, value in record.items() if name.endswith("/skipped") and value > 0]
        self._skipped = self._skipped + 1 if names else 0
        if self._skipped >= self._here.cfg.max_skipped:
            raise UserError(
                f"{names[0]}: the gradient was not finite in {self._skipped} steps in a row, up to step {step}: "
                "training has diverged; lower the learning rate. The updates were left out; the same command continues "
                "from the last checkpoint",
                agreed=True,
            )


class _Flags:
    """Whether any process was told to stop, or is in trouble: known to all after the same step.

    What a process says is summed on the device, and read a step later, when it need not be waited for.
    """

    def __init__(self, training: Training, here: Machine, stopped: list[str]) -> None:
        self._training, self._here, self._stopped = training, here, stopped
        self._before: Any = None

    def after(self, step: int) -> UserError | None:
        """The error that ends the run after `step`, the same in every process."""
        here, steps = self._here, self._training.steps
        said = [float(bool(self._stopped)), float(here.trouble.reason is not None)]
        if hosts.count() > 1:
            sent = jits.make_total(here.mesh)(here.put_once(said))
            said, self._before = self._before if step < steps else sent, sent
            said = fetch(said) if said is not None else [0.0, 0.0]
        stop, trouble = said
        if trouble:
            try:
                hosts.agree_on(here.trouble.reason)
            except UserError as error:
                return error
        if stop:
            names = [name for some in hosts.gather(self._stopped) for name in some]
            return Interrupted(
                f"{self._training.program}: stopped by {names[0]} and saved at step {step} of {steps}; "
                "run the same command to continue",
                agreed=True,
            )
        return None
