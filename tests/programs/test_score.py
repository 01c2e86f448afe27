"""`cooper score` beside transformers on the same texts."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rows import read, write
from runs import one_error, said
from theirs import torch_scores
from transformers import PreTrainedTokenizerFast

pytestmark = pytest.mark.usefixtures("one_device", "cache_at_hand")
ROWS = [
    {"question": "What is 12+34?", "reference_answer": "46", "completion": "It is \\boxed{46}."},
    {"question": "Größe … ≤ 3?", "reference_answer": "é", "completion": "It is </completion> 3. " * 9},
    {"question": "1+1?", "reference_answer": 2, "completion": "", "label": 0},
]
TEMPLATE = "<question>{}</question>\n<reference_answer>{}</reference_answer>\n<completion>{}</completion>"


def test_scores_are_those_of_transformers(reward: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one template in tokens of the model, pieces tokenised apart; more rows than a batch, in their order."""
    out, rows = tmp_path / "out.jsonl", ROWS * 3
    assert "9 rows, mean score" in said(
        capsys, "score", reward, write(tmp_path / "rows.jsonl", ["", *rows]), "--out", str(out), "--batch", "4"
    )
    tok = PreTrainedTokenizerFast.from_pretrained(reward)
    texts = []
    for row in ROWS:
        pieces = ["<question>", row["question"], "</question>\n<reference_answer>", str(row["reference_answer"])]
        pieces += ["</reference_answer>\n<completion>", row["completion"].replace("</completion>", " ").strip()]
        ids = [i for p in [*pieces, "</completion>"] for i in tok(p, add_special_tokens=False)["input_ids"]]
        texts.append([tok.bos_token_id, *ids])
    assert tok.decode(texts[0], skip_special_tokens=True) == TEMPLATE.format(*list(ROWS[0].values()))
    got = read(out)
    np.testing.assert_allclose([g["logit"] for g in got], torch_scores(reward, texts) * 3, atol=1e-4)
    np.testing.assert_allclose([g["score"] for g in got], 1 / (1 + np.exp([-g["logit"] for g in got])), rtol=1e-6)
    assert len({round(g["logit"], 4) for g in got}) == 3
    pq.write_table(pa.Table.from_pylist([row | {"reference_answer": "2"} for row in ROWS[2:]]), tmp_path / "a.parquet")
    said(capsys, "score", reward, str(tmp_path / "a.parquet"), "--out", str(tmp_path / "b.jsonl"))
    np.testing.assert_allclose(read(tmp_path / "b.jsonl")[0]["logit"], got[2]["logit"], atol=1e-5)


def test_a_narrow_window_cuts_the_completion(reward: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, out = (
        write(tmp_path / "rows.jsonl", [ROWS[1], ROWS[1] | {"completion": "x" + ROWS[1]["completion"]}]),
        tmp_path / "o",
    )
    for length, same in (("100", True), ("2048", False)):
        said(capsys, "score", reward, rows, "--out", str(out), "--length", length)
        a, b = (round(s["logit"], 4) for s in read(out))
        assert (a == b) == same
    error = one_error(capsys, "score", reward, rows, "--out", str(out), "--length", "30")
    assert "rows.jsonl, line 1: question and reference need --length" in error


def test_mistakes_in_scoring(policy: str, reward: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, out = write(tmp_path / "good.jsonl", ROWS), str(tmp_path / "out.jsonl")
    for model, rows, to, message in (
        (policy, good, out, "holds a causal language model, which has no score head; train one on it"),
        (str(tmp_path / "none"), good, out, "none: no such folder; give a Hugging Face folder"),
        (reward, str(tmp_path / "none.jsonl"), out, "none.jsonl: no such file"),
        (reward, good, good, "is the file of the rows; give another"),
        (reward, good, str(tmp_path / "no" / "out.jsonl"), "give a file in a folder that is there"),
        (reward, good, str(tmp_path), "give a file in a folder that is there"),
    ):
        assert message in one_error(capsys, "score", model, rows, "--out", to)
    for row, message in (
        ("{", "bad.jsonl, line 2: not JSON"),
        ("3", "line 2: not a JSON object"),
        ({"question": "1+1?", "completion": "2"}, "line 2: needs 'reference_answer'; it has question, completion"),
        (ROWS[0] | {"completion": None}, "line 2: column completion must be text, not None"),
        (ROWS[0] | {"question": " "}, "line 2: column question is empty"),
        (
            '{"question": "\\ud800", "reference_answer": "1", "completion": "1"}',
            "line 2: .*surrogates".replace(".*", ""),
        ),
    ):
        error = one_error(capsys, "score", reward, write(tmp_path / "bad.jsonl", [ROWS[0], row]), "--out", out)
        assert all(part in error for part in message.split(": ")), error
    assert "has no rows" in one_error(capsys, "score", reward, write(tmp_path / "bad.jsonl", []), "--out", out)
    assert not Path(out).exists()
