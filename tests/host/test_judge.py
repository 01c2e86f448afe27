"""The second annotator: what it says, what is kept of it, what it is given."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from cooper_jax.config import UserError
from cooper_jax.host import judge
from cooper_jax.host.cache import Cache
from cooper_jax.host.judge import Opinion, Row
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG

ROW = {"question": "8+7-4", "reference_answer": "11", "completion": "#11"}


def test_yes_and_no() -> None:
    for reply, want in (
        ("Yes", RIGHT), ("no.", WRONG), ("**Yes**", RIGHT), ("\\boxed{No}", WRONG), ("<think>yes</think>No", WRONG),
        ("The answers agree. Yes", RIGHT), ("Yes, though at first I thought no", WRONG), ("No: 3 is not 4", WRONG),
        ("", UNKNOWN), ("Perhaps", UNKNOWN), ("It is yes or no, maybe", UNKNOWN), ("Nothing agrees", UNKNOWN),
    ):  # fmt: skip
        assert judge.opinion(reply).verdict == want, reply


def test_opinions_are_kept_by_judge_and_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "CHUNK", 2)

    class Counting:
        lockstep = False
        trouble = staticmethod(lambda: "")

        def __init__(self, name: str) -> None:
            self.name, self.asked = name, 0

        def judge(self, rows: Sequence[Row]) -> list[Opinion | None]:
            self.asked += len(rows)
            if self.asked > 2:
                raise KeyboardInterrupt
            return [Opinion(RIGHT, "Yes")] * len(rows)

    rows = [Row(Problem("q", "1"), c) for c in "aabcde"]
    first = Counting("a")
    with Cache(tmp_path / "c.jsonl") as cache, pytest.raises(KeyboardInterrupt):
        list(judge.opinions(first, rows, cache))
    second = Counting("a")
    with Cache(tmp_path / "c.jsonl") as cache:
        done = list(judge.opinions(second, rows[:4], cache))
        assert second.asked == 2 and [n for n, _ in done] == [2, 4]  # the first chunk, a alone, was kept
        other = Counting("b")
        next(judge.opinions(other, rows, cache))
        assert other.asked == 1


def test_mistakes_in_rows(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    good = json.dumps(ROW)
    for text, message in (
        (f"{good}\n{{", "rows.jsonl, line 2: not JSON"),
        (f"{good}\n\n[1]", "line 3: not a JSON object"),
        ('{"question": "a"}', "line 1: needs .reference_answer.; it has question"),
        (json.dumps(ROW | {"finished": 1}), "line 1: finished = 1 must be true or false"),
        ("", "has no rows"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=message):
            judge.read_rows(str(file))
    (tmp_path / "rows.parquet").write_text("no")
    with pytest.raises(UserError, match="is not a parquet file"):
        judge.read_rows(str(tmp_path / "rows.parquet"))
