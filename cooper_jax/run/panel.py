"""What a run does, on a terminal: one panel that is drawn again in its place, and the newest sample in it.

Text of models is made `visible` before it gets there: what would steer the terminal is written out.
"""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel as Frame
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cooper_jax.config import visible
from cooper_jax.run.tables import Row

FIGURES = {
    "reward/mean": "reward",
    "rule/accuracy": "accuracy",
    "eval/accuracy": "held out",
    "score/gap": "gap",
    "score/false_positive_rate": "false pos.",
    "pairs/valid": "pairs",
    "policy/kl": "KL",
    "policy/entropy": "entropy",
    "completion/length": "length",
    "completion/truncated": "truncated",
}
"""What the panel shows of `cooper train`, and what it calls it."""
MONITOR = "monitor/"
WINDOW = 20
"""Steps over which the rate is measured."""
SPARK = 14
"""Signs of a curve."""
_BARS = "▁▂▃▄▅▆▇█"
_COLOURS = {"right": "green", "wrong": "red", "unknown": "yellow"}


class Panel:
    """A renderable of fixed height, once a run has logged its first figures: no line of it wraps."""

    def __init__(self, title: str, steps: int | None, shown: Sequence[str] = ()) -> None:
        self.status = ""
        """Said below; empty: nothing."""
        self._title, self._steps, self._step = title, steps, 0
        self._names = {**FIGURES, **{name: name.removeprefix("eval/") for name in shown if name not in FIGURES}}
        self._curves: dict[str, list[float]] = {}
        self._newest: Mapping[str, float] = {}
        self._ended: deque[tuple[int, float]] = deque(maxlen=WINDOW)
        self._took: deque[float] = deque(maxlen=WINDOW)
        self._sample: Row | None = None

    def note(self, step: int, record: Mapping[str, float], live: bool = True) -> None:
        """Take in the record of `step`. `live`: it has only just ended."""
        self._step, self._newest = step, record
        if live:
            self._ended.append((step, time.monotonic()))
        if "seconds/step" in record:
            self._took.append(record["seconds/step"])
        for name, value in record.items():
            if name in self._names or name.startswith(MONITOR):
                self._curves.setdefault(name, []).append(value)

    def show(self, samples: Sequence[Row]) -> None:
        """Show the first of the samples of a step."""
        self._sample = samples[0] if samples else self._sample

    def rate(self) -> float | None:
        """Steps a second: of the last that ended while we looked, or by the time that they say they took."""
        if len(self._ended) > 1:
            (first, begun), (last, ended) = self._ended[0], self._ended[-1]
            return (last - first) / (ended - begun) if ended > begun else None
        return len(self._took) / sum(self._took) if sum(self._took) else None

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [self._progress()]
        if self._curves:
            parts.append(self._figures())
        parts += self._last_sample()
        title, status = Text(visible(self._title), "bold"), Text(visible(self.status), "yellow")
        for line in (title, status):
            line.truncate(60, overflow="ellipsis")
        return Frame(
            Group(*parts), title=title, title_align="left", subtitle=status, subtitle_align="left", box=box.ROUNDED
        )

    def _progress(self) -> RenderableType:
        rate, steps = self.rate(), self._steps
        said = f"{self._step}/{steps}" if steps else f"step {self._step}"
        if rate:
            said += f"  {rate:.2g} steps/s" if rate < 10 else f"  {rate:.0f} steps/s"
        if rate and steps and self._step < steps:
            said += f"  {_clock((steps - self._step) / rate)} left"
        line = Table.grid(expand=True, padding=(0, 2))
        line.add_column(ratio=1)
        line.add_column(no_wrap=True)
        line.add_row(ProgressBar(total=steps or 1, completed=self._step if steps else 0), Text(said))
        return line

    def _figures(self) -> RenderableType:
        table = Table.grid(expand=True, padding=(0, 1))
        for _ in range(2):
            table.add_column(no_wrap=True, overflow="ellipsis", style="dim", max_width=12)
            table.add_column(no_wrap=True, justify="right", min_width=7)
            table.add_column(no_wrap=True, style="cyan", width=SPARK)
        names = [n for n in self._names if n in self._curves] + [n for n in self._curves if n.startswith(MONITOR)]
        cells = []
        for name in names:
            label = self._names.get(name, name.removeprefix(MONITOR))
            colour = "yellow" if name.startswith(MONITOR) else ""
            cells.append((Text(label), Text(_number(self._curves[name][-1]), colour), spark(self._curves[name])))
        half = -(-len(cells) // 2)
        for left, right in zip(cells[:half], [*cells[half:], ("", "", "")][:half], strict=True):
            table.add_row(*left, *right)
        return table

    def _last_sample(self) -> list[RenderableType]:
        if self._sample is None:
            return []
        row = self._sample
        score = "" if row["score"] is None else f", score {row['score']:.2f}"
        head = Text(f"step {row['step']}: ", "dim", no_wrap=True, overflow="ellipsis")
        head.append(row["verdict"], _COLOURS.get(row["verdict"], ""))
        head.append(f"{score}, {row['tokens']} tokens ({visible(row['reason'])})", "default")
        return [head, _Ends("? ", row["question"]), _Ends("> ", row["completion"])]


class _Ends:
    """One line of a text: where it is longer, its beginning and its end."""

    def __init__(self, mark: str, text: str) -> None:
        self._mark, self._text = mark, text

    def __rich_console__(self, console: Any, options: Any) -> Any:
        room = max(options.max_width - len(self._mark), 8)
        line = Text(visible(self._text))
        if line.cell_len > room:
            start = line[: len(line)].copy()
            start.truncate(room * 2 // 3, overflow="crop")
            end = Text(line.plain[::-1])
            end.truncate(room - start.cell_len - 3, overflow="crop")
            line = Text(f"{start.plain} … {end.plain[::-1]}")
        yield Text(self._mark, "dim", no_wrap=True, overflow="crop").append(line.plain, "default")


def spark(values: Sequence[float], width: int = SPARK) -> str:
    """A curve in one line, from the least to the greatest of the values; each sign stands for the mean of its part."""
    parts = np.array_split(np.asarray(values, float), min(width, len(values)))
    means = np.array([part.mean() for part in parts])
    low, high = means.min(), means.max()
    if high - low < 1e-9:
        return _BARS[0] * len(means)
    return "".join(_BARS[int(level)] for level in (means - low) / (high - low) * (len(_BARS) - 1) + 0.5)


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3f}" if 1e-3 <= abs(value) < 1e3 else f"{value:.3g}"


def _clock(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{left:02}" if minutes >= 60 else f"{minutes}:{left:02}"
