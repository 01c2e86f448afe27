"""Are samples and pairs on disk what the step saw, whole, once, and the same however the run came about?"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from runs import timeless

from cooper_jax import config
from cooper_jax.config import Config, UserError
from cooper_jax.cooper import train
from cooper_jax.host import arithmetic
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG, Verdict
from cooper_jax.run import seen, tables
from cooper_jax.run.tables import PAIRS, SAMPLES, Files, Tables


@pytest.fixture(scope="module")
def whole(warm: Config, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Five steps, each written; some negatives are the policy's own."""
    from small import see_one_device

    pairs = replace(warm.pairs, on_policy=0.5, per_question=3)
    cfg = replace(warm, dir=str(tmp_path_factory.mktemp("seen") / "run"), steps=5, eval_every=0, save_every=2)
    cfg = replace(cfg, pairs=pairs, log=config.Log(samples_every=1, samples=20))
    with pytest.MonkeyPatch.context() as patch:
        see_one_device(patch)
        train(cfg)
    return cfg


def of(cfg: Config, kind: str) -> dict[int, Any]:
    return {step: pq.read_table(file) for step, file in tables.steps(Path(cfg.dir) / kind).items()}


def test_the_files_have_the_schema(whole: Config) -> None:
    """Whole groups, in order; five questions of four samples; no more pairs than samples."""
    samples, pairs = of(whole, "samples"), of(whole, "pairs")
    assert list(samples) == list(pairs) == [1, 2, 3, 4, 5]
    for step, table in samples.items():
        assert table.schema.equals(SAMPLES) and table["step"].to_pylist() == [step] * 20
        assert table["row"].to_pylist() == list(range(20)) and table["group"].to_pylist() == [i // 4 for i in range(20)]
        for name in SAMPLES.names:
            assert table[name].null_count == 0, name
    for step, table in pairs.items():
        slots = table["slot"].to_pylist()
        assert table.schema.equals(PAIRS) and slots == sorted(set(slots)) and all(0 <= slot < 20 for slot in slots)
        assert set(table["step"].to_pylist()) <= {step}


def test_the_numbers_are_the_step_s(whole: Config) -> None:
    """Verdicts and reasons are the rule's; rewards, advantages and the reward model's scores of pairs follow from the
    rows; and so does what the log says of them."""
    records, moved, origins = timeless(whole.dir), 0, set()
    for step, table in of(whole, "samples").items():
        rows = table.to_pylist()
        for row in rows:
            verdict = arithmetic.verify(row["reference"], row["completion"], row["finished"])
            assert row["verdict"] == verdict.verdict
            assert row["tokens"] <= whole.rollout.completion_len and 0 < row["score"] < 1
            assert row["reward"] == (row["score"] if row["finished"] else 0)
        reward_PG = np.array([row["reward"] for row in rows]).reshape(-1, 4)
        std_P1 = np.maximum(reward_PG.std(axis=1, ddof=1, keepdims=True), whole.grpo.std_floor)
        advantage_PG = (reward_PG - reward_PG.mean(axis=1, keepdims=True)) / std_P1
        np.testing.assert_allclose([row["advantage"] for row in rows], advantage_PG.reshape(-1), rtol=1e-3, atol=1e-4)
        pairs = of(whole, "pairs")[step].to_pylist()
        assert len(pairs) <= records[step - 1]["pairs/valid"]
        for pair in pairs:
            assert arithmetic.verify(pair["reference"], pair["right"], True).verdict == RIGHT
            assert arithmetic.verify(pair["reference"], pair["wrong"], True).verdict == WRONG
            origins.add((pair["origin"], pair["kind"]))
            # A right side is a sample, scored as such before the update.
            same = [r for r in rows if (r["question"], r["completion"]) == (pair["question"], pair["right"])]
            for row in same:
                np.testing.assert_allclose(pair["right_before"], row["score"], atol=1e-4)
            moved += pair["right_before"] != pair["right_after"]
    assert moved > 0 and origins <= {("on_policy", ""), ("rule", "answer"), ("rule", "intermediate")}
    assert {origin for origin, _ in origins} == {"on_policy", "rule"}


def test_a_reason_says_what_was_answered() -> None:
    assert seen.reason(Verdict(WRONG, "7", "different"), "8") == "answers 7 for 8"
    assert seen.reason(Verdict(WRONG, None, "unfinished"), "8") == "unfinished"
    assert seen.reason(Verdict(UNKNOWN, None, "no verdict within 2 s"), "8") == "no verdict within 2 s"
    assert seen.reason(Verdict(WRONG, "\ud800" + "x" * 999, "different"), "8").endswith("x for 8")


@pytest.mark.usefixtures("one_device")
def test_a_run_that_is_continued_leaves_the_same_files(
    whole: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It crashes at step 4, after the samples of step 3, and is saved at 2 alone: what came later goes, also what a
    kill has left half-written, and is made again."""
    cfg = replace(whole, dir=str(tmp_path / "run"))
    real = tables.Files.write

    def fails(self: Files, made: Tables) -> None:
        real(self, made)
        if made.step == 3:
            self.wait()
            raise KeyError("crash")  # No error that is saved before.

    with monkeypatch.context() as patch, pytest.raises(KeyError):
        patch.setattr(Files, "write", fails)
        train(cfg)
    folder = Path(cfg.dir) / "samples"
    assert list(tables.steps(folder)) == [1, 2, 3]
    (folder / "step-000004.parquet.part").write_bytes(b"PAR1")
    train(replace(cfg, steps=3))
    assert sorted(file.name for file in folder.iterdir()) == [f"step-00000{i}.parquet" for i in (1, 2, 3)]
    train(cfg)
    for kind in ("samples", "pairs"):
        assert of(cfg, kind) == of(whole, kind)


def test_what_is_due(whole: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first, every second, the last; without rewards of a model no score, without its training no pairs."""
    from small import see_one_device

    see_one_device(monkeypatch)
    rule = replace(whole, dir=str(tmp_path / "rule"), reward_source="rule", train_reward=False)
    train(replace(rule, steps=5, log=config.Log(samples_every=2, samples=1)))
    made = of(rule, "samples")
    assert list(made) == [1, 2, 4, 5] and not (tmp_path / "rule" / "pairs").exists()
    assert all(len(table) == 4 and table["score"].null_count == 4 for table in made.values())
    never = replace(rule, dir=str(tmp_path / "never"), steps=1, log=config.Log(samples_every=0))
    train(never)
    assert not (tmp_path / "never" / "samples").exists()


def test_a_long_run_stays_under_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest stay, and older ones evenly spaced; the same for a run that was continued in between."""
    monkeypatch.setattr(tables, "RECENT", 4)
    monkeypatch.setattr(tables, "OLD", 4)

    def after(steps: range, there: list[int]) -> list[int]:
        for step in steps:
            there = [*there, step]
            there = [s for s in there if s not in tables.surplus(there, 10)]
            assert len(there) <= 9
        return there

    first = [1, *range(10, 41, 10)]
    assert after(range(10, 50, 10), [1]) == first
    whole = after(range(10, 1010, 10), [1])
    assert whole == [1, 320, 640, 960, 970, 980, 990, 1000]
    assert after(range(510, 1010, 10), after(range(10, 510, 10), [1])) == whole
    # What a run left that had gone on to 600 and is continued at 500.
    left = [step for step in after(range(10, 610, 10), [1]) if step <= 500]
    assert after(range(510, 1010, 10), left) == whole


def test_a_write_that_fails_is_told_with_the_next(tmp_path: Path) -> None:
    row = {"step": 1, "row": 0}
    (tmp_path / "samples").write_text("a file where a folder should be")
    said = "samples could not be written: .*; free some space, or set log.samples"
    with pytest.raises(UserError, match=said), Files(str(tmp_path), 0, 1) as files:
        files.write(Tables(1, [row], None))
        files.write(Tables(2, [row], None))
    with pytest.raises(UserError, match="samples could not be written"), Files(str(tmp_path), 0, 1) as files:
        files.write(Tables(1, [row], None))
