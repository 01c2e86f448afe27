"""`cooper annotate`: a file's completions, labelled where the rule and a model behind a server agree."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_server import FakeServer, says, status
from rows import write

from cooper_jax import config
from cooper_jax.__main__ import main
from cooper_jax.config import Config, UserError
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG
from cooper_jax.programs import annotate

ROWS = [{"question": "8+7-4", "reference_answer": "11", "completion": f"#{n}"} for n in (11, 12, 11, 13)]
ROWS += [
    {"question": "8+7-4", "reference_answer": "11", "completion": "#11~#12"},
    {"question": "8+7-4", "reference_answer": "11", "completion": "#11", "finished": False},
    {"question": "8+7-4", "reference_answer": "11", "completion": "#17"},
]


def test_annotation_by_a_server_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "rows.jsonl", tmp_path / "out"
    file.write_text("\n".join(map(json.dumps, ROWS)))

    def act(request: Any) -> None:
        completion = request.body["messages"][0]["content"].split("<completion>\n")[1].split("\n")[0]
        if completion == "#17":
            return status(500)(request)
        says("Perhaps" if completion == "#13" else "Yes" if "11" in completion else "No")(request)

    with FakeServer(act) as fake:
        server = config.Server(url=fake.url, model="m", retries=0, temperature=0.0)
        cfg = annotate.FromFile(out=str(out), server=server, verifier=config.Verifier("arithmetic", workers=1))
        annotate.annotate_file(str(file), cfg)
        assert len(fake.seen) == 6 and {s["temperature"] for s in fake.seen} == {0.0}  # equal rows are judged once
        fake.act = says("No")
        said = capsys.readouterr().out
        assert "trouble, at last: HTTP 500" in said
        assert "kept 3 of 7" in said and "gave no answer on 1 rows; run again" in said
        kept = pq.read_table(out / "labels.parquet").to_pylist()
        assert [(r["completion"], r["label"], r["row"]) for r in kept] == [("#11", 1, 0), ("#12", 0, 1), ("#11", 1, 2)]
        assert {r["judged_by"] for r in kept} == {json.loads((out / "report.json").read_text())["judge"]}
        figures = json.loads((out / "report.json").read_text())
        counts = {(c["rule"], c["judge"]): c["count"] for c in figures["cells"]}
        assert counts == {
            (RIGHT, RIGHT): 2,
            (WRONG, WRONG): 1,
            (WRONG, RIGHT): 2,
            (WRONG, UNKNOWN): 1,
            (WRONG, "none"): 1,
        }
        dropped = {k: v for k, v in figures.items() if k.startswith("dropped")}
        assert dropped == {
            "dropped": 4, "dropped_disagree": 2, "dropped_rule_unknown": 0, "dropped_judge_unknown": 1,
            "dropped_judge_silent": 1,
        }  # fmt: skip
        assert figures["agreement"] == 3 / 5 and figures["kappa"] == pytest.approx((0.6 - 0.44) / 0.56)
        page = (out / "report.md").read_text()
        assert "| wrong | 1 | 2 | 1 | 1 |" in page and '"completion": "#11~#12"' in page

        annotate.annotate_file(str(file), cfg)
        assert len(fake.seen) == 7  # only the row that got no answer
        assert len(pq.read_table(out / "labels.parquet")) == 4

        # Killed before the opinions were written down: each answer stands in the server's own cache.
        (out / "opinions.jsonl").unlink()
        annotate.annotate_file(str(file), cfg)
        assert len(fake.seen) == 7


def test_mistakes_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(ROWS[0]))
    for args, message in (
        ([str(tmp_path / "none.jsonl"), "--judge", "lenient", "--verifier.rule", "arithmetic"], "no such file"),
        ([str(file), "--judge", "lenient"], 'judge "lenient" reads the built-in task'),
        ([str(file)], "name it with --server.model"),
    ):
        with pytest.raises(SystemExit):
            main(["annotate", *args, "--out", str(tmp_path / "out")])
        assert message in capsys.readouterr().err


def test_the_lenient_judge_is_for_the_built_in_task(tiny_config: Config, tmp_path: Path) -> None:
    cfg = replace(tiny_config, data=config.Data(write(tmp_path / "real.jsonl", [{"question": "1+1?", "answer": "2"}])))
    with pytest.raises(UserError, match=r"would call all else wrong; take --annotate.judge server, mesh or none"):
        annotate.annotate(cfg)


@pytest.mark.parametrize(("kept", "missing"), [((0, 2), "wrong"), ((1, 3), "right"), ((0, 1), "")])
def test_a_label_that_is_missing_is_said(
    kept: tuple[int, ...], missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "rows.jsonl", [ROWS[i] for i in kept])
    cfg = annotate.FromFile(str(tmp_path / "out"), "lenient", verifier=config.Verifier("arithmetic", workers=1))
    annotate.annotate_file(file, cfg)
    said = capsys.readouterr().out
    assert (f"no completion is labelled {missing}" in said) == bool(missing) == ("warning" in said)


def test_the_rule_alone_may_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"question": "1+1?", "reference_answer": "2", "completion": completion}
        for completion in (r"\boxed{2}", r"\boxed{3}", r"\boxed{2.0}", "no answer")
    ]
    rows.append({"question": "x?", "reference_answer": r"\frac{1}", "completion": r"\boxed{1}"})
    cfg = annotate.FromFile(str(tmp_path / "out"), "none", verifier=config.Verifier(workers=1))
    figures = annotate.annotate_file(write(tmp_path / "rows.jsonl", rows), cfg).figures
    kept = pq.read_table(tmp_path / "out" / "labels.parquet").to_pylist()
    assert [(row["row"], row["label"]) for row in kept] == [(0, 1), (1, 0), (2, 1), (3, 0)]
    assert {row["judged_by"] for row in kept} == {"none, the rule alone"}
    assert figures["dropped_rule_unknown"] == 1
    assert "kept 4 of 5 completions: 2 right, 2 wrong, by the rule alone" in capsys.readouterr().out
    assert figures["agreement"] is None and figures["kappa"] is None


def test_a_folder_of_evaluations_is_read(tmp_path: Path) -> None:
    """What several models said, as `cooper evaluate` writes it: every completion of every row, cut ones as cut."""
    several = {"completions": [r"\boxed{2}", r"\boxed{3}"], "finished": [True, False], "accuracy": 0.5}
    (folder := tmp_path / "evaluations").mkdir()
    question = {"question": "1+1?", "reference_answer": "2"}
    pq.write_table(pa.Table.from_pylist([question | several] * 2), folder / "b.parquet")
    write(folder / "a.jsonl", [question | {"completion": r"\boxed{4}"}])
    (folder / "settings.txt").write_text("not a file of rows")
    main(["annotate", str(folder), "--out", str(tmp_path / "out"), "--judge", "none", "--verifier.workers", "1"])
    kept = pq.read_table(tmp_path / "out" / "labels.parquet").to_pylist()
    found = [(row["row"], row["completion"], row["label"]) for row in kept]
    assert found == [
        (0, r"\boxed{4}", 0), (1, r"\boxed{2}", 1), (2, r"\boxed{3}", 0), (3, r"\boxed{2}", 1), (4, r"\boxed{3}", 0)
    ]  # fmt: skip
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"a folder without a \.jsonl, \.json or \.parquet file"):
        annotate.annotate_file(str(empty), annotate.FromFile(str(tmp_path / "out"), "none"))
