"""What is logged: reward model against rule, seconds of each phase, and one record a step, fetched one step late."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, TypeVar

import jax
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from cooper_jax.config import Log, UserError, require
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, Verdict

THRESHOLD = 0.5
BINS = 15
Record = dict[str, float]
T = TypeVar("T")


def rule_metrics(verdicts: Sequence[Verdict]) -> Record:
    """Accuracy by the rule (unknown counts as not right) and the share of unknown verdicts."""
    return {
        "rule/accuracy": float(np.mean([v.verdict == RIGHT for v in verdicts])),
        "rule/unknown": float(np.mean([v.verdict == UNKNOWN for v in verdicts])),
    }


def against_rule(score_B: np.ndarray, verdicts: Sequence[Verdict]) -> Record:
    """The reward model as a classifier of the rule's verdicts (unknown left out), at the threshold 1/2.

    The false-positive rate, of texts the rule calls wrong that score above 1/2, shows hacking first; `gap` is mean
    score - rule accuracy. A figure without rows to count (precision with no positive, say) is left out.
    """
    known = np.array([v.verdict != UNKNOWN for v in verdicts])
    if not known.any():
        return {}
    label = np.array([v.verdict == RIGHT for v in verdicts])[known]
    return {f"rm/{k}": v for k, v in classification(score_B[known], label).items()} | {
        "rm/gap": float(score_B[known].mean() - label.mean())
    }


def classification(score_B: np.ndarray, label_B: np.ndarray) -> Record:
    """Accuracy (agreement), precision, recall, false-positive rate and AUROC of scores against 0/1 labels."""
    label, called = label_B.astype(bool), score_B > THRESHOLD
    out = {"agreement": float(np.mean(called == label))}
    if called.any():
        out["precision"] = float(np.mean(label[called]))
    if label.any():
        out["recall"] = float(np.mean(called[label]))
    if not label.all():
        out["false_positive_rate"] = float(np.mean(called[~label]))
        if label.any():
            out["auroc"] = auroc(score_B, label)
    return out


def auroc(score_B: np.ndarray, right_B: np.ndarray) -> float:
    """Chance that a right one scores above a wrong one, a tie counting half; there must be both (Mann and Whitney)."""
    right, wrong = score_B[right_B], np.sort(score_B[~right_B])
    below, not_above = np.searchsorted(wrong, right), np.searchsorted(wrong, right, "right")
    return float((below + not_above).mean() / (2 * len(wrong)))


def calibration_error(score_B: np.ndarray, label_B: np.ndarray) -> float:
    """Expected calibration error: |mean score - share of right ones|, averaged over equal-width bins by their rows.

    Source: Guo et al., arXiv 1706.04599, with scores of the right class for confidences.
    """
    bin_B = np.minimum((score_B * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bin_B, score_B.astype(float) - label_B, BINS)
    return float(np.abs(gaps).sum() / len(score_B))


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


class Writer:
    """One record a step to `metrics.jsonl` (TensorBoard, W&B) and to a progress bar; a context manager.

    Continuing at `start` drops the records of later steps, which will be made again.
    """

    def __init__(self, run_dir: str, program: str, cfg: Log, start: int, steps: int, shown: Sequence[str]) -> None:
        self._shown, self._steps, self._program, self._started = shown, steps, program, time.perf_counter()
        self._every = max(1, steps // 10)
        self._board = self._wandb = None
        if cfg.tensorboard:
            from tensorboardX import SummaryWriter

            self._board = SummaryWriter(run_dir)
        if cfg.wandb:
            self._wandb = _start_wandb(cfg.wandb, run_dir)
        path = Path(run_dir) / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        path.write_text("".join(line for line in lines if json.loads(line)["step"] <= start))
        self._file = path.open("a")
        self._console = Console(highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            expand=True,
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(program, total=steps, completed=start, rate="", figures="")
        self._done_before = start

    def write(self, step: int, record: Record) -> None:
        """Log the record of `step` (counted from 1)."""
        self._file.write(json.dumps({"step": step, **record}) + "\n")
        self._file.flush()
        for name, value in record.items():
            if self._board:
                self._board.add_scalar(name, value, step)
        if self._wandb:
            self._wandb.log(record, step=step)
        rate = (step - self._done_before) / (time.perf_counter() - self._started)
        figures = "  ".join(f"{name} {record[name]:.3f}" for name in self._shown if name in record)
        self._bar.update(self._task, completed=step, rate=f"{rate:.1f} steps/s", figures=figures)
        if self._bar.disable and (step == self._done_before + 1 or step % self._every == 0 or step == self._steps):
            left = (self._steps - step) / rate
            print(f"{self._program} {step}/{self._steps}  {rate:.1f} steps/s  {left:.0f} s left  {figures}", flush=True)

    def __enter__(self) -> "Writer":
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.stop()
        self._file.close()
        if self._board:
            self._board.close()
        if self._wandb:
            self._wandb.finish()


def history(run_dir: str, last: int) -> list[Record]:
    """The records of `metrics.jsonl` up to step `last`."""
    path = Path(run_dir) / "metrics.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [record for record in records if record["step"] <= last]


def _start_wandb(project: str, run_dir: str) -> Any:
    try:
        import wandb  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise UserError(f"log.wandb = {project!r} needs the wandb extra: pip install 'cooper-jax[wandb]'") from None
    # The directory names the run, so that continuing it continues the same curves.
    identity = hashlib.sha1(str(Path(run_dir).absolute()).encode()).hexdigest()[:12]
    return wandb.init(project=project, dir=run_dir, name=Path(run_dir).name, id=identity, resume="allow")


def finish(metrics: dict[str, Any], timeline: Timeline) -> Record:
    """Wait for a step: its scalars as floats, and the seconds of its phases.

    Raises UserError where a loss is no longer a number.
    """
    record = {name: float(value) for name, value in jax.device_get(metrics).items()} | timeline.seconds()
    for name, value in record.items():
        require(
            not name.endswith("loss") or np.isfinite(value),
            f"{name} = {value}: training has diverged; lower the learning rate, "
            "and continue from the last checkpoint by running the same command",
        )
    if "completion/tokens" in record:
        record["tokens_per_second"] = record["completion/tokens"] / record["seconds/step"]
    return record
