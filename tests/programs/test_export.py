"""What is exported from a run of the built-in task says what the run says."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rows import read, write
from runs import one_error, said
from theirs import torch_ids
from transformers import PreTrainedTokenizerFast

from cooper_jax.config import Config
from cooper_jax.programs import fit_reward, sft

pytestmark = pytest.mark.usefixtures("one_device", "cache_at_hand")


def test_a_run_of_the_built_in_task_and_its_export(
    tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = replace(tiny_config, sft=replace(tiny_config.sft, steps=20))
    sft.sft(cfg)
    labels = [
        {"question": f"{a}+{b}+1", "reference_answer": f"{a + b + 1}", "completion": f"#{a + b + y}", "label": y}
        for a in range(1, 9) for b in range(1, 9) for y in (0, 1)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(labels), tmp_path / "labels.parquet")
    fit_reward.fit_reward(
        replace(cfg, reward=replace(cfg.reward, init=""), fit=replace(cfg.fit, data=str(tmp_path / "labels.parquet")))
    )
    rows = write(tmp_path / "rows.jsonl", labels[:5])
    results = []
    for name, run in (("policy", cfg.sft.dir), ("reward", cfg.fit.dir)):
        folder = str(tmp_path / f"{name}-exported")
        said(capsys, "export", run, "--model", name, "--to", folder)
        for model in (run, folder):
            if name == "policy":
                args = ("generate", model, "--prompt", "1+2+2", "--temperature", "0", "--max-new", "12", "--json")
                results.append(json.loads(said(capsys, *args))["samples"][0])
            else:
                said(capsys, "score", model, rows, "--out", str(tmp_path / "out.jsonl"))
                results.append(read(tmp_path / "out.jsonl"))
    from_run, from_folder, scored_run, scored_folder = results
    # As words the exported tokenizer's tokens run together, where this task's own puts spaces between numbers.
    assert from_run.pop("text").replace(" ", "") == from_folder.pop("text")
    assert from_run == from_folder and scored_run == scored_folder and len(scored_run) == 5
    tok = PreTrainedTokenizerFast.from_pretrained(tmp_path / "policy-exported")
    ids = tok.apply_chat_template([{"role": "user", "content": "1+2+2"}])["input_ids"]
    assert from_run["token_ids"] == torch_ids(str(tmp_path / "policy-exported"), ids, 12)
    # The window of a run is the one that it was trained with.
    long = write(tmp_path / "long.jsonl", [labels[0] | {"question": "1+" * 30 + "1"}])
    assert "over 40" in one_error(capsys, "score", cfg.fit.dir, long, "--out", str(tmp_path / "out.jsonl"))
    assert "is not in the built-in task's vocabulary" in one_error(capsys, "generate", cfg.sft.dir, "--prompt", "what?")
    assert "holds no reward model" in one_error(
        capsys, "score", cfg.sft.dir, rows, "--out", str(tmp_path / "out.jsonl")
    )
