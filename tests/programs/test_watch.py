"""Does `cooper watch` follow a run that another process writes?"""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from runs import one_error, said

from cooper_jax import config
from cooper_jax.config import Config, path
from cooper_jax.programs.watch import Follow
from cooper_jax.run import tables
from cooper_jax.run.tables import Files, Tables

# The suite may run in the background, where Ctrl-C is ignored.
START = """import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from cooper_jax.__main__ import entry
entry()"""
ROW = {"step": 2, "row": 0, "group": 0, "question": "1+1+1", "reference": "3", "completion": "\x1b[31m#4\x1b]0;x\x07"}
ROW |= {"tokens": 2, "finished": True, "score": 0.75, "verdict": "wrong", "reason": "answers 4 for 3"}
ROW |= {"reward": 0.75, "advantage": 1.0}


@pytest.fixture
def run(tiny_config: Config, tmp_path: Path) -> Path:
    """A run of four steps that has not begun."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(config.to_json(tiny_config))
    return folder


def line(step: int) -> str:
    return json.dumps({"step": step, "reward/mean": step / 4, "rule/accuracy": 0.5}) + "\n"


def test_it_reads_whole_lines_as_they_come(run: Path) -> None:
    """A half-written last line is read once it is whole; a damaged one is left out; a file that is written anew, as a
    run does that is continued, is read anew."""
    file = run / "metrics.jsonl"
    follow = Follow(file)
    assert follow.records() == []
    file.write_text(line(1) + line(2)[:9])
    assert [record["step"] for record in follow.records()] == [1] and follow.first
    assert follow.records() == [] and not follow.first
    with file.open("a") as out:
        out.write(line(2)[9:] + "garbage\n" + line(3))
    assert [record["step"] for record in follow.records()] == [2, 3] and not follow.begun_anew
    other = run / "other"
    other.write_text(line(1) + line(2) + line(3) + line(4))
    other.replace(file)
    assert [record["step"] for record in follow.records()] == [1, 2, 3, 4] and follow.begun_anew


def test_lines_where_there_is_no_terminal(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It follows until the last step, and ends by itself; with --once at once."""
    file = run / "metrics.jsonl"
    assert said(capsys, "watch", str(run), "--once") == ""
    file.write_text(line(1))
    assert said(capsys, "watch", str(run), "--once") == "train 1/4  reward/mean 0.250  rule/accuracy 0.500\n"

    def write() -> None:
        with file.open("a") as out:
            for step in (2, 3, 4):
                time.sleep(0.2)
                out.write(line(step))
                out.flush()

    writer = threading.Thread(target=write)
    writer.start()
    lines = said(capsys, "watch", str(run)).splitlines()
    writer.join()
    assert [each.split("  ")[0] for each in lines] == ["train 1/4", "train 2/4", "train 3/4", "train 4/4"]


def test_in_an_object_store(gs: str) -> None:
    """Tables are written there, and go where a run is continued before them; lines are read as they come."""
    with Files(gs, 0, 1) as files:
        for step in (1, 2):
            files.write(Tables(step, [ROW | {"step": step}], None))
            files.wait()
    found = tables.steps(tables.folders(gs)["samples"])
    assert list(found) == [1, 2] and tables.read(found[2])[0] == ROW
    with Files(gs, 1, 1):
        assert list(tables.steps(tables.folders(gs)["samples"])) == [1]
    file = path(gs) / "metrics.jsonl"
    follow = Follow(file)
    assert follow.records() == []
    file.write_text(line(1))
    assert [record["step"] for record in follow.records()] == [1]
    file.write_text(line(1) + line(2) + "{")
    assert [record["step"] for record in follow.records()] == [2] and not follow.begun_anew
    file.write_text("")
    assert follow.records() == [] and follow.begun_anew


def test_a_place_without_a_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such folder" in one_error(capsys, "watch", str(tmp_path / "none"))
    assert "holds no config.json" in one_error(capsys, "watch", str(tmp_path))


def test_a_terminal_and_ctrl_c(run: Path) -> None:
    """The panel has figures and the newest sample, whose escape codes stay text; Ctrl-C ends it, with 0 and in peace,
    and leaves the cursor visible."""
    (run / "metrics.jsonl").write_text(line(1) + line(2))
    with Files(str(run), 0, 1) as files:
        files.write(Tables(2, [ROW], None))
    master, slave = pty.openpty()
    command = [sys.executable, "-c", START, "watch", str(run)]
    env = os.environ | {
        "COLUMNS": "80",
        "LINES": "24",
        "TERM": "xterm-256color",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True) as process:
        os.close(slave)
        (late := threading.Timer(60, process.kill)).start()
        seen = b""
        while b"Ctrl-C ends the watching" not in seen:
            seen += os.read(master, 4096)
        process.send_signal(signal.SIGINT)
        try:
            while more := os.read(master, 4096):
                seen += more
        except OSError:  # Linux's end of a terminal whose other side is closed.
            pass
        assert process.wait(30) == 0
        late.cancel()
    os.close(master)
    text = seen.decode()
    assert "2/4" in text and "wrong" in text and "\\x1b[31m#4\\x1b]0;x\\x07" in text
    assert "\x1b[31m#4" not in text and "\x1b]0" not in text
    assert "Traceback" not in text and "rror" not in text and "\x1b[?25h" in text
