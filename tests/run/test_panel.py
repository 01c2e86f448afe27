"""Does the panel fit its terminal, and obey no text but its own?"""

import io
from typing import Any

from rich.console import Console

from cooper_jax.run import panel
from cooper_jax.run.panel import FIGURES, Panel

EVIL = "\x1b[2J\x1b]0;title\x07[bold]8+7\u202e\n" + "漢字" * 60 + "the end#11"


def sample(**other: Any) -> dict[str, Any]:
    row = {"step": 40, "question": "8+7-4", "completion": "#12", "tokens": 3, "score": 0.93}
    return row | {"verdict": "wrong", "reason": "answers 12 for 11"} | other


def drawn(made: Panel, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=True, color_system=None).print(made)
    return out.getvalue().splitlines()


def full() -> Panel:
    made = Panel("cooper train  runs/" + "long/" * 30, 300)
    for step in range(1, 41):
        record = {name: step / 7 for name in FIGURES} | {"seconds/step": 0.5, "monitor/drift": 0.25}
        made.note(step, record, live=False)
    made.show([sample(question=EVIL, completion=EVIL, reason=EVIL)])
    made.status = "nothing new for 40 s; Ctrl-C ends " * 5
    return made


def test_no_line_wraps() -> None:
    """Whatever the width and the text, each line fills the frame, and the height is the same."""
    heights = set()
    for width in (60, 80, 81, 200):
        lines = drawn(full(), width)
        heights.add(len(lines))
        for line in lines:
            assert Console(width=999).render_str(line, markup=False, highlight=False).cell_len == width, line
    assert len(heights) == 1


def test_escape_codes_of_models_are_shown() -> None:
    text = "\n".join(drawn(full(), 120))
    assert "\x1b" not in text and "\u202e" not in text and "\\x1b[2J\\x1b]0;title\\x07[bold]" in text
    assert "the end#11" in text, "the end of a completion, where its answer stands, is not shown"


def test_what_is_shown_is_what_was_noted() -> None:
    text = "\n".join(drawn(full(), 80))
    for said in ("40/300", "2 steps/s", "2:10 left", "accuracy", "5.714", "drift", "0.250", "wrong, score 0.93"):
        assert said in text, said
    bare = Panel("cooper sft", None, ("sft/loss",))
    assert "step 0" in "\n".join(drawn(bare, 80))
    bare.note(1, {"sft/loss": 2.5})
    bare.show([])
    text = "\n".join(drawn(bare, 80))
    assert "step 1" in text and "sft/loss" in text and "2.500" in text and "score" not in text


def test_a_curve() -> None:
    assert panel.spark([1, 1]) == "▁▁" and panel.spark([0, 1]) == "▁█"
    assert panel.spark(range(80), 8) == "▁▂▃▄▅▆▇█"
