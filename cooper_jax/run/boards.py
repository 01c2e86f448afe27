"""TensorBoard and Weights & Biases: the figures of metrics.jsonl, tables of samples and pairs, and pictures."""

import hashlib
import io
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import numpy as np

from cooper_jax.config import Log, UserError, is_local, path, visible
from cooper_jax.config.paths import absolute
from cooper_jax.host.mirror import Mirror
from cooper_jax.run.metric_table import charts
from cooper_jax.run.metrics import Record
from cooper_jax.run.tables import Row, Tables

BINS = 20
_MARKUP = "&<>|`*_[]()#~\\!"
# Okabe & Ito's palette, told apart by colour-blind readers too.
_COLOURS = {"right": "#009E73", "wrong": "#D55E00", "unknown": "#999999"}


class Boards:
    """Writes where `cfg` says, in a thread of its own, in order; a context manager.

    Raises UserError where a package is missing.
    """

    def __init__(self, run_dir: str, cfg: Log) -> None:
        self._run_dir, self._files = run_dir, ExitStack()
        self._board = self._wandb = None
        if cfg.tensorboard:
            self._board = _start_tensorboard(str(self._files.enter_context(Mirror(run_dir)).local))
        if cfg.wandb:
            self._wandb = _start_wandb(cfg.wandb, run_dir)
        self._thread = ThreadPoolExecutor(1, "boards")
        self._under_way: list[Future[None]] = []

    def write(self, step: int, record: Record, tables: Tables | None) -> None:
        """Begin to write; returns at once. Raises what a write before has raised."""
        if not (self._board or self._wandb):
            return
        self._check()
        self._under_way.append(self._thread.submit(self._write, step, record, tables))

    def _write(self, step: int, record: Record, tables: Tables | None) -> None:
        rows = {"samples": tables.samples, "pairs": tables.pairs or []} if tables else {}
        rows = {kind: some for kind, some in rows.items() if some}
        pictures = {}
        if tables and any(row["score"] is not None for row in tables.samples):
            pictures["samples/scores"] = scores(tables.samples)
        self._add(step, record, rows, pictures)

    def _add(self, step: int, record: Record, rows: dict[str, list[Row]], pictures: dict[str, np.ndarray]) -> None:
        if self._board:
            for name, value in record.items():
                self._board.add_scalar(name, value, step)
            for kind, some in rows.items():
                self._board.add_text(f"{kind}/table", markdown(some), step)
            for name, picture in pictures.items():
                self._board.add_image(name, picture, step, dataformats="HWC")
        if self._wandb:
            import wandb  # pyright: ignore[reportMissingImports]

            found: dict[str, Any] = dict(record)
            for kind, some in rows.items():
                found[f"{kind}/table"] = wandb.Table(columns=list(some[0]), data=[list(row.values()) for row in some])
            found |= {name: wandb.Image(picture) for name, picture in pictures.items()}
            self._wandb.log(found, step=step)

    def _check(self) -> None:
        """Raise what a write has raised."""
        done = [each for each in self._under_way if each.done()]
        self._under_way = [each for each in self._under_way if each not in done]
        for each in done:
            each.result()

    def __enter__(self) -> "Boards":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with self._files:
            self._thread.shutdown()
            if self._board:
                self._board.close()
            if self._wandb:
                self._wandb.finish()
        if error is None:
            self._check()

    def profile(self, step: int) -> None:
        """Add the picture of the profile, if there is one, as of `step`."""
        timeline = path(self._run_dir) / "profile" / "timeline.png"
        if (self._board or self._wandb) and timeline.is_file():
            from matplotlib.image import imread

            picture = (imread(io.BytesIO(timeline.read_bytes()), "png")[..., :3] * 255).astype(np.uint8)
            self._under_way.append(self._thread.submit(self._add, step, {}, {}, {"profile/timeline": picture}))


def markdown(rows: list[Row]) -> str:
    """Rows as a table of markdown, in which text of models is text: no markup, no HTML, no escape codes."""

    def cell(value: Any) -> str:
        shown = f"{value:.3f}" if isinstance(value, float) else visible(str(value))
        return "".join(f"&#{ord(sign)};" if sign in _MARKUP else sign for sign in shown)

    lines = [list(rows[0]), ["---"] * len(rows[0]), *(map(cell, row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def scores(rows: list[Row]) -> np.ndarray:
    """How many samples of each verdict have which score: a picture, uint8 [height, width, 3]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes: Any = figure.subplots()
    for verdict, colour in _COLOURS.items():
        found = [row["score"] for row in rows if row["verdict"] == verdict]
        if found:
            axes.hist(found, bins=BINS, range=(0, 1), color=colour, alpha=0.7, label=f"{verdict} ({len(found)})")
    axes.set_xlabel("score")
    axes.set_ylabel("samples")
    axes.set_title("What the reward model says, by the rule's verdict", loc="left")
    axes.legend(frameon=False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _start_tensorboard(run_dir: str) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError:
        raise UserError(
            "log.tensorboard = true needs the tensorboard extra: pip install 'cooper-jax[tensorboard]'"
        ) from None
    board = SummaryWriter(run_dir)
    board.add_custom_scalars(charts())
    return board


def _start_wandb(project: str, run_dir: str) -> Any:
    try:
        import wandb  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise UserError(f"log.wandb = {project!r} needs the wandb extra: pip install 'cooper-jax[wandb]'") from None
    # The directory names the run, so that continuing it continues the same curves.
    folder = absolute(run_dir)
    identity = hashlib.sha1(str(folder).encode()).hexdigest()[:12]
    local = run_dir if is_local(folder) else None  # W&B keeps its files in the working directory then.
    return wandb.init(project=project, dir=local, name=folder.name, id=identity, resume="allow")
