"""The whole story in an object store, beside the same story on a disk. The store is a fake server; all else is real."""

import gc
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import fake_gcs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import toy_in
from folders import tokenizer_folder
from runs import final_weights, timeless

from cooper_jax import config
from cooper_jax.config import Config, UserError, path
from cooper_jax.cooper import train
from cooper_jax.host.text import benchmarks, data, labels, tokenizer
from cooper_jax.programs.annotate import annotate
from cooper_jax.programs.evaluate import evaluate
from cooper_jax.programs.export import Export, export
from cooper_jax.programs.fit_reward import fit_reward
from cooper_jax.programs.report import Report, report
from cooper_jax.programs.sft import sft
from cooper_jax.run.checkpoint import Checkpointer

pytestmark = [
    pytest.mark.usefixtures("one_device"),
    # gcsfs, of what is larger than a megabyte.
    pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning"),
]


def test_the_story(gs: str, gcs: fake_gcs.Store, warm: Config, started: Config) -> None:
    """Warm start, labels, reward model, training in two parts, evaluation, export, evaluation of the export: the same
    records and weights as on a disk."""
    cfg = toy_in(path(gs))
    sft(replace(cfg, profile=1, log=config.Log(tensorboard=True)))
    annotate(cfg)
    fit_reward(cfg)
    assert timeless(cfg.sft.dir) == timeless(warm.sft.dir)
    assert timeless(cfg.fit.dir) == timeless(warm.fit.dir)
    for name in ("labels.parquet", "report.md"):
        assert (path(cfg.annotate.dir) / name).read_bytes() == (Path(warm.annotate.dir) / name).read_bytes()

    for each in (cfg, started):
        train(replace(each, steps=2))
        train(each)
    assert timeless(cfg.dir) == timeless(started.dir)
    for item in ("policy", "reward"):
        for there, here in zip(final_weights(cfg, item), final_weights(started, item), strict=True):
            np.testing.assert_array_equal(there, here)
    bucket = gs.removeprefix("gs://")
    for name in ("profile/timeline.png", "profile/plugins/", "events.out.tfevents"):
        assert gcs.names(f"{bucket}/sft/{name}"), name

    figures = evaluate(cfg).figures
    assert json.loads((path(cfg.dir) / "evaluation.json").read_text()) == figures
    model = export(Export(cfg.dir, "policy", f"{gs}/model"))
    assert str(model) == f"{gs}/model"
    again = evaluate(replace(cfg, dir=str(model)))
    assert again.figures == figures and str(again.folder) == f"{gs}/model-evaluation"
    with pytest.raises(UserError, match="is there already; nothing is overwritten"):
        export(Export(cfg.dir, "policy", model))

    there = report(Report((cfg.dir,), f"{gs}/pages/report.html"))
    assert there.folder.read_text().startswith("<!doctype html>") and gcs.names(f"{bucket}/pages/report-")
    here = report(Report((started.dir,), Path(started.dir) / "report.html"))
    assert there.figures["samples"] == here.figures["samples"] and len(here.figures["samples"]["columns"]["step"]) > 0


def test_a_half_written_checkpoint_is_not_seen(gs: str, gcs: fake_gcs.Store, started: Config) -> None:
    """A store cannot rename a folder: what lacks its mark of completion does not count, and goes at the next start."""
    cfg = replace(started, dir=f"{gs}/run")
    train(cfg)
    folder = f"{gs.removeprefix('gs://')}/run/checkpoints"
    with Checkpointer(cfg.dir, 3) as checkpoints:
        assert checkpoints.latest() == 4
    del gcs.objects[f"{folder}/4/commit_success.txt"]
    with Checkpointer(cfg.dir, 3) as checkpoints:
        assert checkpoints.latest() == 2
    train(cfg)
    assert timeless(cfg.dir)[-1]["step"] == 4 and gcs.names(f"{folder}/4/commit_success.txt")


# From Python 3.13 on a buffer that gcsfs drops while a view of it is alive, with the upload that failed, is told of.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*BytesIO:pytest.PytestUnraisableExceptionWarning")
def test_a_store_that_refuses(gs: str, gcs: fake_gcs.Store, started: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it takes no more, the run ends with an error, and goes on where it stopped when it takes again."""
    cfg = replace(started, dir=f"{gs}/run")
    train(replace(cfg, steps=2))
    save = Checkpointer.save

    def full(self: Checkpointer, *args: Any) -> None:
        gcs.fail = True
        save(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "save", full)
        with pytest.raises(UserError, match="could not be written"):
            train(cfg)
    gcs.fail = False
    train(cfg)
    assert [record["step"] for record in timeless(cfg.dir)] == [1, 2, 3, 4]
    gc.collect()


def test_a_config_file(gs: str, tiny_config: Config) -> None:
    file = path(gs) / "mine.py"
    file.write_text(f"from cooper_jax.config import *\nconfig = {tiny_config!r}\n")
    assert config.load(str(file)) == tiny_config
    file.write_text("import this_is_not_there\n")
    with pytest.raises(UserError, match=rf"{file}, line 1: ModuleNotFoundError"):
        config.load(str(file))


def test_data_and_tokenizers(gs: str, tmp_path: Path) -> None:
    """What lies in a store reads as it does on a disk: rows of every kind of file, a tokenizer, labels."""
    rows = [{"question": f"What is {i}+1?", "answer": str(i + 1)} for i in range(30)]
    folder = tokenizer_folder(tmp_path / "tokenizer", "qwen")
    here, there = tokenizer.Tokenizer(folder), path(gs)
    here.save(there / "tokenizer")
    copied = tokenizer.Tokenizer(f"{gs}/tokenizer")
    assert copied.encode_batch(["12+34=46"]) == here.encode_batch(["12+34=46"])
    assert (copied.stop_ids, len(copied)) == (here.stop_ids, len(here))

    (there / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (there / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(rows).encode())
    for name, columns in (("a.parquet", rows), ("labels.parquet", [label(row) for row in rows])):
        with (there / name).open("wb") as file:
            pq.write_table(pa.Table.from_pylist(columns), file)
    for name in ("a.jsonl", "a.parquet"):
        read = data.training(config.Data(source=f"{gs}/{name}", held_out=10**9)).kept
        assert [(p.question, p.reference) for p in read] == [(r["question"], r["answer"]) for r in rows], name
    for name in ("a.jsonl", "a.json", "a.parquet"):
        assert [row for _, row in benchmarks.rows(f"{gs}/{name}")] == rows
    assert labels.read(f"{gs}/labels.parquet", here, 500).label_R.sum() == 30
    with pytest.raises(UserError, match=r"gs://.*/none\.jsonl: no such file"):
        data.training(config.Data(source=f"{gs}/none.jsonl"))


def label(row: dict[str, str]) -> dict[str, Any]:
    return {"question": row["question"], "reference_answer": row["answer"], "completion": row["answer"], "label": 1}


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="s3:// is not supported; give a local path or a gs:// one"):
        path("s3://bucket/run")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(UserError, match=r"gs://bucket/run needs the gcs extra: pip install 'cooper-jax\[gcs\]'"):
        path("gs://bucket/run")
