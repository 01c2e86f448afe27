"""Do TensorBoard and W&B get figures, tables and pictures, in order, and text of models as text?"""

import struct
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imsave

from cooper_jax import config
from cooper_jax.config import Config
from cooper_jax.cooper import train
from cooper_jax.run import boards, metric_table
from cooper_jax.run.boards import Boards
from cooper_jax.run.tables import Tables

EVIL = "a | b <script>alert(1)</script>\n**c** \x1b[2J"


def tables(step: int) -> Tables:
    row = {"step": step, "completion": EVIL, "score": 0.5, "verdict": "wrong"}
    return Tables(step, [row, row | {"score": 0.9, "verdict": "right"}], [{"step": step, "right": "#1", "wrong": EVIL}])


def test_a_table_of_text_is_text() -> None:
    text = boards.markdown(tables(1).samples)
    lines = text.splitlines()
    assert len(lines) == 4 and {line.count("|") for line in lines} == {5} and "0.900" in lines[3]
    assert not set(text.partition("---")[2]) & set("<>*`\x1b[]") and "&#60;script&#62;" in text


def test_a_picture_of_scores() -> None:
    picture = boards.scores(tables(1).samples)
    assert picture.dtype == np.uint8 and picture.shape == (320, 600, 3) and picture.std() > 10


def test_the_charts_are_the_table_s() -> None:
    """Every figure of the table stands in one chart, under the group it has there."""
    layout = metric_table.charts()
    assert list(layout) == list(metric_table.TABLE)
    for title, group in layout.items():
        assert list(group) == list(metric_table.TABLE[title])
        assert all(kind == "Multiline" and len(tags) == 1 for kind, tags in group.values())
    assert layout["Time"]["seconds/*"] == ["Multiline", ["^seconds/.*$"]]


@pytest.mark.usefixtures("one_device")
def test_a_run_on_tensorboard(started: Config) -> None:
    """What the event files hold, read back: figures of every step, samples and pairs as text, a picture of scores, and
    that of the profile."""
    timeline = Path(started.dir) / "profile" / "timeline.png"  # as `profile` leaves it
    timeline.parent.mkdir(parents=True)
    imsave(timeline, boards.scores(tables(1).samples))
    train(replace(started, steps=3, eval_every=0, save_every=9, log=config.Log(tensorboard=True, samples_every=2)))
    found: dict[str, list[int]] = {}
    texts: list[bytes] = []
    for file in Path(started.dir).glob("events.out.tfevents.*"):
        for event in events(file.read_bytes()):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(event.step)
                texts += value.tensor.string_val
    assert found["reward/mean"] == [1, 2, 3]
    assert found["samples/table/text_summary"] == found["pairs/table/text_summary"] == [1, 2, 3]
    assert found["samples/scores"] == [1, 2, 3] and found["profile/timeline"] == [3]
    assert "custom_scalars__config__" in found and any(b"| step | row | group | question |" in text for text in texts)


def events(content: bytes) -> Iterator[Any]:
    """Of a file of records: length, checksum, event, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    while content:
        [size] = struct.unpack("<Q", content[:8])
        yield Event.FromString(content[12 : 12 + size])
        content = content[16 + size :]


class Board:
    """Stands in for the package wandb: notes what it is given."""

    def __init__(self) -> None:
        self.logged: list[tuple[int, dict[str, Any]]] = []
        self.ended = False

    def init(self, **about: Any) -> "Board":
        self.about = about
        return self

    def log(self, values: dict[str, Any], step: int) -> None:
        self.logged.append((step, values))

    def finish(self) -> None:
        self.ended = True

    def Table(self, columns: list[str], data: list[list[Any]]) -> Any:
        return SimpleNamespace(columns=columns, data=data)

    def Image(self, picture: np.ndarray) -> np.ndarray:
        return picture


def test_wandb_gets_each_step_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Board()
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    with Boards(str(tmp_path), config.Log(wandb="mine")) as made:
        for step in range(1, 6):
            made.write(step, {"reward/mean": step / 5}, tables(step) if step % 2 else None)
    assert [step for step, _ in stand_in.logged] == [1, 2, 3, 4, 5] and stand_in.ended
    assert stand_in.about["project"] == "mine" and stand_in.about["resume"] == "allow"
    first, second = (values for _, values in stand_in.logged[:2])
    assert second == {"reward/mean": 0.4}
    assert first["samples/table"].columns[:2] == ["step", "completion"] and first["samples/table"].data[0][1] == EVIL
    assert first["pairs/table"].data == [[1, "#1", EVIL]] and first["samples/scores"].shape == (320, 600, 3)


def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package itself, without a network; where the extra is installed."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with Boards(str(tmp_path), config.Log(wandb="mine")) as made:
        for step in (1, 2):
            made.write(step, {"reward/mean": step / 5}, tables(step))
    [run] = (tmp_path / "wandb").glob("offline-run-*")
    assert list(run.glob("run-*.wandb"))
    assert len(list(run.rglob("*.table.json"))) == 4 and len(list(run.rglob("*.png"))) == 2


def test_a_write_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Board()
    monkeypatch.setattr(stand_in, "log", lambda *_, **__: 1 / 0)
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    with pytest.raises(ZeroDivisionError), Boards(str(tmp_path), config.Log(wandb="mine")) as made:
        made.write(1, {}, None)
    assert stand_in.ended
