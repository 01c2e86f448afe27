"""`cooper verify`: rows in, verdicts out in the same order, a summary; mistakes named by file and line."""

import json
from pathlib import Path

import pytest

from cooper_jax.__main__ import main

ROWS = [
    {"gold": "4", "completion": r"\boxed{4}", "more": 1},
    {"gold": "4", "completion": "The answer is 5."},
    {"reference_answer": "4", "completion": ""},
    {"gold": r"\frac12", "completion": "0.5"},
    {"gold": 4, "completion": r"\boxed{9^{9^9}}"},
    {"gold": None, "completion": r"\boxed{4}"},
]


def run(tmp_path: Path, text: str, *more: str) -> list[dict]:
    (tmp_path / "in.jsonl").write_text(text)
    main(["verify", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out" / "o.jsonl"), "--workers", "1", *more])
    return [json.loads(line) for line in (tmp_path / "out" / "o.jsonl").read_text().splitlines()]


def test_verdicts_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(tmp_path, "".join(json.dumps(r) + "\n" for r in ROWS))
    assert [r["verdict"] for r in out] == ["right", "wrong", "wrong", "right", "unknown", "unknown"]
    assert [r["answer"] for r in out] == ["4", "5", None, "0.5", "9^{9^9}", None]
    assert all(set(r) == {"verdict", "reason", "answer", "seconds"} and 0 <= r["seconds"] < 2 for r in out)
    said = capsys.readouterr().out
    assert "6 verdicts" in said and "33.3%" in said and "wrote" in said
    assert 'training and annotation take "boxed"' in said
    (strict,) = run(tmp_path, json.dumps(ROWS[1]), "--extract", "boxed")
    assert (strict["verdict"], strict["answer"]) == ("wrong", None)
    assert "training" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"gold": "4", "completion": "4"}\n{"gold": ', "in.jsonl, line 2: not JSON"),
        ('{"gold": "4"}', "in.jsonl, line 1: has no `completion`"),
        ('{"completion": "4"}', "in.jsonl, line 1: has no `reference_answer`"),
        ("[]", "in.jsonl, line 1: must be an object"),
        ("\n\n", "has no rows"),
    ],
)
def test_broken_rows_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, text)
    said = capsys.readouterr().err
    assert stopped.value.code == 1 and said.startswith("error: ") and message in said and "Traceback" not in said


def test_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["verify", str(tmp_path / "none.jsonl"), "--out", str(tmp_path / "o")])
    assert "no such file" in capsys.readouterr().err
