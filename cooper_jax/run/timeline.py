"""When the phases of a step ran, on the device and on the host, and `--profile`, which draws them."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import cycle, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, TypeVar

import jax

from cooper_jax.host.mirror import Mirror
from cooper_jax.run.metrics import Record

T = TypeVar("T")
WARM = 2
"""Steps that are not looked at: the first compiles, and the second begins in its wake."""
# Okabe & Ito's palette, told apart by colour-blind readers too; grey for waiting.
_COLOURS = {
    "device": ("#0072B2", "#56B4E9", "#8FD0BC", "#009E73", "#D55E00"),
    "host": ("#E69F00", "#F0E442", "#CC79A7", "#7A6A8A"),
}
_WAITING = {"wait": "#DCDCDC", "verify": "#B8B8B8"}


class Span(NamedTuple):
    """A phase of a step from its beginning to its end, in seconds of `time.perf_counter`."""

    phase: str
    row: Literal["device", "host"]
    begun: float
    ended: float


class Timeline:
    """When the phases of a step ran, measured without making the device wait for the host.

    Device work is dispatched and runs on in order, across steps too: one side thread for the whole run notes when each
    phase's outputs are ready. `after` is the step before.
    """

    def __init__(self, after: "Timeline | None" = None) -> None:
        self._spans: list[Span] = []
        self._watcher: ThreadPoolExecutor = after._watcher if after else ThreadPoolExecutor(1, "timeline")
        self._clock: dict[str, float] = after._clock if after else {"ready": 0.0}
        self._begun = self._start = time.perf_counter()
        self._waits = [self._watcher.submit(self._open)]

    def _open(self) -> None:
        self._start = max(self._begun, self._clock["ready"])

    @contextmanager
    def host(self, phase: str) -> Iterator[None]:
        """Time the body, host work or a wait for the device; a profiler shows it by this name."""
        begun = time.perf_counter()
        with jax.profiler.TraceAnnotation(phase):
            yield
        self._spans.append(Span(phase, "host", begun, time.perf_counter()))

    def device(self, phase: str, outputs: T) -> T:
        """Note when `outputs`, just dispatched and never donated, are ready. Returns them at once."""
        self._waits.append(self._watcher.submit(self._watch, phase, time.perf_counter(), outputs))
        return outputs

    def _watch(self, phase: str, dispatched: float, outputs: Any) -> None:
        jax.block_until_ready(outputs)
        begun, now = max(dispatched, self._clock["ready"]), time.perf_counter()
        self._spans.append(Span(phase, "device", begun, now))
        self._clock["ready"] = now

    def spans(self) -> list[Span]:
        """Wait for the last phase of this step; all of them, in the order of their beginnings."""
        wait(self._waits)
        return sorted(self._spans, key=lambda span: span.begun)

    def extent(self) -> tuple[float, float]:
        """Wait for the last phase of this step. The time this step added: from the end of the one before to its own."""
        ended = max((span.ended for span in self.spans()), default=self._begun)
        return self._start, ended

    def seconds(self) -> Record:
        """Wait for the last phase of this step. Seconds of each phase and, as `seconds/step`, of the extent."""
        taken: Record = {}
        for span in self.spans():
            taken[f"seconds/{span.phase}"] = taken.get(f"seconds/{span.phase}", 0.0) + span.ended - span.begun
        begun, ended = self.extent()
        return taken | {"seconds/step": ended - begun}


class Profile:
    """Watches `steps` steps from step `first`, counted from 1, into `folder`; a context manager, as a run may end
    before."""

    def __init__(self, folder: Path, first: int, steps: int) -> None:
        self._folder, self._first, self._last = folder, first, first + steps - 1
        self._seen: list[Timeline] = []
        self._mirror: Mirror | None = None

    @contextmanager
    def step(self, number: int, timeline: Timeline) -> Iterator[None]:
        """Around what is done for one step."""
        watched = self._first <= number <= self._last
        if watched and not self._mirror:
            self._start()
        with jax.profiler.StepTraceAnnotation("step", step_num=number):
            yield
        if watched:
            self._seen.append(timeline)
        if number == self._last:
            self._finish()

    def _start(self) -> None:
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0  # every Python call would drown what matters
        self._mirror = Mirror(self._folder)
        jax.profiler.start_trace(str(self._mirror.local), create_perfetto_trace=True, profiler_options=options)

    def _finish(self) -> None:
        if not self._mirror:
            return
        for timeline in self._seen:
            timeline.spans()  # waits for the device
        jax.profiler.stop_trace()
        mirror, self._mirror = self._mirror, None
        if jax.process_index() == 0 and self._seen:
            draw(self._seen, self._first, mirror.local / "timeline.png")
        mirror.close()
        if jax.process_index() == 0 and self._seen:
            print(
                f"profile: {self._folder / 'timeline.png'} shows steps {self._first} to "
                f"{self._first + len(self._seen) - 1}, idle {idle(self._seen):.0%}; the trace beside it opens at "
                f"https://ui.perfetto.dev (perfetto_trace.json.gz) and with tensorboard --logdir {self._folder}",
                flush=True,
            )

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._finish()
        if self._first <= self._last and not self._seen:
            print(f"profile: no step was watched; the first to be watched is step {self._first}", flush=True)


def idle(timelines: Sequence[Timeline]) -> float:
    """Share of the steps' time in which no phase of the device ran."""
    spans = [span for timeline in timelines for span in timeline.spans() if span.row == "device"]
    whole = sum(ended - begun for begun, ended in (timeline.extent() for timeline in timelines))
    return 1 - sum(span.ended - span.begun for span in spans) / whole


def draw(timelines: Sequence[Timeline], first: int, path: Path) -> None:
    """The phases of the device over those of the host, on one axis of time, from step `first` on."""
    from matplotlib.figure import Figure  # takes half a second, and few runs draw
    from matplotlib.patches import Patch

    spans = [span for timeline in timelines for span in timeline.spans()]
    extents = [timeline.extent() for timeline in timelines]
    zero, end = extents[0][0], extents[-1][1]
    inches = min(max(9.0, 2.6 * len(timelines)), 30.0)
    figure = Figure(figsize=(inches, 3.0), dpi=150, layout="constrained")
    axes, scale = figure.subplots(), inches / (end - zero)
    seconds: dict[tuple[str, str], float] = {}
    for span in sorted(spans, key=lambda span: (span.row, span.begun)):
        seconds[span.row, span.phase] = seconds.get((span.row, span.phase), 0.0) + span.ended - span.begun
    colours = {row: cycle(some) for row, some in _COLOURS.items()}
    colour = {(row, phase): _WAITING.get(phase) or next(colours[row]) for row, phase in seconds}
    for span in spans:
        begun, taken = span.begun - zero, span.ended - span.begun
        y = 1.0 if span.row == "device" else 0.0
        axes.barh(y, taken, 0.8, begun, color=colour[span.row, span.phase], edgecolor="white", linewidth=0.3)
        _label(axes, span.phase, begun + taken / 2, y, taken * scale)
    for (_, ended), (begun, _) in pairwise(extents):
        axes.axvspan(ended - zero, begun - zero, color="0.95", linewidth=0)
        _label(axes, "evaluation or checkpoint", (ended + begun) / 2 - zero, 0.5, (begun - ended) * scale)
    for number, (begun, _) in enumerate(extents, first):
        axes.axvline(begun - zero, color="0.35", linewidth=0.8, linestyle=(0, (2, 2)))
        axes.annotate(
            f" step {number}", (begun - zero, 1.0), xycoords=("data", "axes fraction"), va="bottom", fontsize=8
        )
    mean = sum(ended - begun for begun, ended in extents) / len(timelines)
    axes.set_title(
        f"{mean * 1000:,.0f} ms a step, the device idle {idle(timelines):.0%}", loc="left", pad=18, fontweight="bold"
    )
    axes.set_xlim(0, end - zero)
    axes.set_ylim(-0.55, 1.55)
    axes.set_yticks([0, 1], ["host", "device"])
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("seconds")
    named = {key: f"{key[1]} {1000 * taken / len(timelines):,.1f} ms" for key, taken in seconds.items()}
    shown = [Patch(color=colour[key], label=label) for key, label in named.items()]
    figure.legend(
        handles=shown, loc="outside lower center", ncols=min(len(shown), int(inches / 1.5)), fontsize=8, frameon=False
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _label(axes: Any, text: str, x: float, y: float, inches: float) -> None:
    """`text` at a place that is `inches` wide, if it finds room there."""
    if inches > 0.085 * len(text) + 0.05:
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color="0.1", clip_on=True)
