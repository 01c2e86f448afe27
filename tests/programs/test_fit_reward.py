"""Fitting the reward model: labels that are not in order, and epochs of which the best is kept."""

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import final_weights, timeless

from cooper_jax import config
from cooper_jax.config import Config, UserError
from cooper_jax.programs.fit_reward import fit_reward
from cooper_jax.run import log, metrics
from cooper_jax.run.curves import records

pytestmark = pytest.mark.usefixtures("one_device")


def test_mistakes_in_labels(tiny_config: Config, tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    cfg = replace(tiny_config, fit=replace(tiny_config.fit, data=str(path)))
    row = {"question": "1+1+1", "reference_answer": "3", "completion": "#3", "label": 1}
    for rows, message in (
        ([{"question": "1+1+1"}], r"lacks the columns \['reference_answer', 'completion', 'label'\]"),
        ([row, row | {"label": 2}], r"row 1: .*label 0 or 1"),
        ([row, row | {"completion": None}], "row 1: .*must be text"),
        ([row] * 3, "label more completions"),
        ([row | {"question": "x+1+1"}], "'x' .* not in the built-in task's vocabulary"),
    ):
        pq.write_table(pa.Table.from_pylist(rows), path)
        with pytest.raises(UserError, match=message):
            fit_reward(cfg)
    path.write_text("not parquet")
    with pytest.raises(UserError, match="is not a parquet file"):
        fit_reward(cfg)


def test_fitting_by_epochs_keeps_the_best(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evaluated after each epoch; the best epoch is kept and loaded, and a killed run goes on from the newest.

    Which epoch that is, the test says: so few steps leave it to rounding.
    """
    accuracies = (0.5, 0.7, 0.9, 0.6, 0.8)
    script = iter([*accuracies, *accuracies, *accuracies[:3]])  # straight, in two parts, and until the best
    scripted = lambda *args: metrics.classification(*args) | {"agreement": next(script)}  # noqa: E731
    monkeypatch.setattr("cooper_jax.programs.fit_reward.classification", scripted)
    rows = [
        {"question": f"{a}+{b}+1", "reference_answer": f"{a + b + 1}", "completion": f"#{a + b + 1 + wrong}"}
        | {"label": 1 - wrong}
        for a in range(9)
        for b in range(9)
        for wrong in (0, 1)
    ]
    long = rows[0] | {"question": "+".join("1" * 40)}
    pq.write_table(pa.Table.from_pylist([*rows, long]), tmp_path / "labels.parquet")
    fit = config.Fit(dir=str(tmp_path / "a"), data=str(tmp_path / "labels.parquet"), epochs=5, batch=32)
    cfg = replace(tiny_config, fit=fit, keep=1, save_every=1000, reward=replace(tiny_config.reward, init=""))
    fit_reward(cfg)
    assert "1 of 163 rows left out: question and reference over 40 tokens" in capsys.readouterr().out
    lines = records(fit.dir)
    epoch = -(-sum(zlib.crc32(str(r["question"]).encode()[::-1]) / 2**32 >= 0.2 for r in rows) // 32)
    evaluated = {r["step"]: r["eval/accuracy"] for r in lines if "eval/accuracy" in r}
    assert evaluated == {epoch * n: value for n, value in enumerate(accuracies, 1)} and len(lines) == epoch * 5
    names = ("accuracy", "recall", "auroc", "ece")
    assert not [name for name in names if not any(f"eval/{name}" in r for r in lines)]

    # Killed in the third epoch, and continued.
    killed = replace(cfg, fit=replace(fit, dir=str(tmp_path / "b")))
    real = log.finish

    def finish(*record: Any) -> Any:
        count.append(1)
        if len(count) == 2 * epoch + 2:
            raise RuntimeError("killed")
        return real(*record)

    count: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(log, "finish", finish)
        with pytest.raises(RuntimeError):
            fit_reward(killed)
    fit_reward(killed)
    assert timeless(killed.fit.dir) == timeless(fit.dir)

    best = 3 * epoch
    for folder in (fit.dir, killed.fit.dir):
        kept = {int(path.name) for path in (Path(folder) / "checkpoints").iterdir()}
        assert kept == {best, epoch * 5}
    weights = final_weights(replace(cfg, dir=fit.dir), "reward")
    until = replace(cfg, fit=replace(fit, dir=str(tmp_path / "c"), steps=best))
    fit_reward(until)
    for a, b in zip(weights, final_weights(replace(cfg, dir=until.fit.dir), "reward"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert next(script, None) is None
