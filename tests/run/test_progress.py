"""Does work that takes long show signs of life, in a file too?"""

import io
import time

import pytest

from cooper_jax.run import progress


def test_lines_while_a_piece_of_work_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_S", 0.01)
    monkeypatch.setattr(progress, "EVERY_S", 0.01)
    out = io.StringIO()
    with progress.shown("gsm8k", 1319, "questions", out) as note:
        while "gsm8k: 0 of 1,319 questions" not in out.getvalue():
            time.sleep(0.01)
        note(256)
        while "gsm8k: 256 of 1,319" not in out.getvalue():
            time.sleep(0.01)
        note(1319)
    assert out.getvalue().endswith("gsm8k: 1,319 of 1,319 questions, 0 s\n")


def test_short_work_says_nothing() -> None:
    out = io.StringIO()
    for what in ("", "quick"):
        with progress.shown(what, 1, "models", out) as note:
            note(1)
    assert out.getvalue() == ""
