"""What a report says of runs: in words, in figures, as a page that no text of a model can bend."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import run_dirs
from matplotlib.image import imread
from runs import one_error, said
from sklearn.metrics import roc_auc_score

from cooper_jax.config import UserError
from cooper_jax.programs.report import Report, report
from cooper_jax.reports import classifier, findings, novelty, page, texts
from cooper_jax.reports.arms import curves, grouped, smoothed, thinned
from cooper_jax.reports.ran import Ran, read_all
from cooper_jax.run import metric_table


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two seeds of the cooper arm, a hacked one and the rule's."""
    folder = tmp_path_factory.mktemp("runs")
    made = (("cooper", 0), ("cooper", 1), ("static", 0), ("rule", 0))
    return [str(run_dirs.run(folder / f"seed{seed}" / arm, arm, seed)) for arm, seed in made]


@pytest.fixture(scope="module")
def runs(places: list[str]) -> list[Ran]:
    return read_all(places)


def test_seeds_are_one_arm_with_a_band(runs: list[Ran]) -> None:
    """Runs that differ in the seed and in places of it alone; the band is the standard error over seeds."""
    arms = grouped(runs)
    assert [(arm.name, arm.runs) for arm in arms] == [("cooper", [0, 1]), ("static", [2]), ("rule", [3])]
    assert arms[0].differs == {"reward_source": "model", "train_reward": True}
    band = curves(runs[:2], "rule/accuracy")
    one, other = (run.curve("rule/accuracy")[1] for run in runs[:2])
    assert band is not None and len(band.seeds) == 2
    np.testing.assert_allclose(band.mean[1], (one + other) / 2)
    np.testing.assert_allclose(band.error, np.abs(one - other) / 2)  # of two: |a - b| / 2
    alone = curves(runs[2:3], "eval/accuracy")
    assert alone is not None and set(alone.error) == {0.015}  # stated by the evaluation
    assert curves(runs, "no/such") is None


def test_arms_of_one_kind_are_told_apart(runs: list[Ran]) -> None:
    other = replace(runs[0], settings=runs[0].settings | {"reward.optim.lr": 0.5}, dir="elsewhere/run")
    assert [arm.name for arm in grouped([runs[0], other])] == ["cooper · lr 0.002", "cooper · lr 0.5"]
    blind = replace(runs[0], settings={}, dir="some/place")
    assert grouped([blind])[0].name == "train"


def test_curves_keep_their_means() -> None:
    value = np.random.default_rng(0).normal(size=1000)
    assert smoothed(value[:50]) is not None and np.array_equal(smoothed(value[:50]), value[:50])
    smooth = smoothed(value)
    assert smooth.std() < value.std() / 2
    np.testing.assert_allclose(smooth[500], value[488:513].mean())
    np.testing.assert_allclose(smooth[[0, -1]], value[[0, -1]])
    curve = thinned(np.stack([np.arange(1.0, 1001), value]))
    assert curve.shape == (2, 300)
    weights = np.diff([*np.linspace(0, 1000, 301).astype(int)])
    np.testing.assert_allclose(np.average(curve[1], weights=weights), value.mean())


def told(truth: list[float], reward: list[float], source: str = "model", **settings: object) -> findings.Outcome:
    """The outcome of a run with these held-out accuracies and rewards, every ten steps."""
    steps = range(10, 10 * len(truth) + 1, 10)
    rows = zip(steps, truth, reward, strict=True)
    records = [{"step": s, "eval/accuracy": t, "eval/standard_error": 0.01, "reward/mean": r} for s, t, r in rows]
    made = {"reward_source": source, "steps": 10 * len(truth)} | settings
    run = Ran("runs/x", "train", made, records, {}, {}, {}, [], [30], [], 0.0)  # pyright: ignore
    found = findings.outcome(run)
    assert findings.in_words(run, found)
    return found


def test_in_words() -> None:
    """Hacked: truth falls from its best while the reward does not; and the neighbours of that word."""
    hacked = told([0.5, 0.6, 0.62, 0.4, 0.2, 0.1], [0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
    assert (hacked.word, hacked.since, hacked.best) == ("hacked", 30, 30)
    assert hacked.figures["gap"] == pytest.approx(0.85)
    assert told([0.5, 0.6, 0.62, 0.4, 0.2, 0.1], [0.5, 0.6, 0.6, 0.4, 0.3, 0.1]).word == "collapsed"
    assert told([0.3, 0.6, 0.7, 0.6, 0.6, 0.6], [0.3, 0.6, 0.7, 0.6, 0.6, 0.6]).word == "declined"
    assert told([0.5, 0.6, 0.62, 0.4, 0.2, 0.1], [0.9] * 6, "rule").word == "collapsed"  # the rule is no model
    assert told([0.5, 0.5, 0.5, 0.51, 0.5, 0.51], [0.5, 0.6, 0.7, 0.8, 0.8, 0.8]).word == "drifting"
    assert told([0.4, 0.5, 0.6, 0.7, 0.8, 0.8], [0.4, 0.5, 0.6, 0.7, 0.8, 0.8]).word == "learned"
    assert told([0.50, 0.51, 0.49, 0.50, 0.51, 0.50], [0.5] * 6).word == "unchanged"
    assert told([0.5], [0.5]).word == "unknown"


def test_words_of_whole_runs(runs: list[Ran]) -> None:
    """Since when, the sign before it, where its checkpoint is, and where to look."""
    static = findings.of_arm(runs, [2])
    [row] = static["rows"]
    assert static["word"] == "hacked" and row["sign"] < 30 and row["since"] in (10, 20)
    assert row["finished"] and row["state"] == "finished, 60 steps"
    assert row["checkpoint"] == "nearest checkpoint kept: 60"
    assert row["looks"][0] == (
        f"wrong completions that score high, from step {row['since']} on",
        f"show=high&sort=disagreement&from={row['since']}",
    )
    both = findings.of_arm(runs, [0, 1])
    assert both["word"] == "learned" and "2 of 2 seeds learned" in both["said"] and "±" in both["said"]
    half = replace(runs[2], records=runs[2].records[:40], idle=7300.0)
    assert findings.state(half) == "step 40 of 60; last written 2 h ago"
    starved = replace(runs[0], records=[record | {"pairs/valid_rate": 0.1} for record in runs[0].records])
    assert ("few slots become pairs (10%): the reward model hardly learns", "pairs") in findings.looks(
        starved, findings.outcome(starved)
    )


def test_the_reward_model_by_stretches(runs: list[Ran]) -> None:
    """Counts of all samples; AUROC is scikit-learn's; J falls as the static arm is hacked."""
    table = runs[2].samples
    early, middle, late = classifier.by_stretch([table])
    assert (early["first"], late["last"], middle["rows"]) == (10, 60, 64)
    rows = table["step"] >= 50
    right, score = table["verdict"][rows] == "right", table["score"][rows]
    assert late["auroc"] == pytest.approx(roc_auc_score(right, score))
    assert late["j"] == pytest.approx((score[right] > 0.5).mean() - (score[~right] > 0.5).mean())
    assert early["j"] > 0.6 > 0.4 > late["j"] and 0 < late["j_error"] < 0.2
    assert sum(count for *_, count in late["bins"]) == late["rows"] == 64
    assert sum(share * count for _, share, _, count in late["bins"]) == pytest.approx(right.sum())
    assert sum(mean * count for mean, _, _, count in late["bins"]) == pytest.approx(score.sum())
    assert all(count >= classifier.LEAST and 0 <= error <= 0.5 for _, _, error, count in late["bins"])
    [whole] = classifier.by_stretch([{name: column[:9] for name, column in table.items()}])
    assert len(whole["bins"]) == 1  # nine rows are one bin
    assert classifier.by_stretch([runs[3].samples]) == []  # the rule arm has no scores
    assert classifier.stretches(np.array([5, 9, 9])).tolist() == [0, 2, 2]


def test_what_grew_is_the_trick(runs: list[Ran]) -> None:
    """The static arm's answer taken back; numbers count as one word; a healthy arm has no such thing."""
    found = novelty.of_arm([runs[2].samples])["paid"]
    assert found is not None and found["late"]["right"] < found["early"]["right"]
    worst = next(row for row in found["grams"][:3] if "~" in row["text"])
    assert "\u2039n\u203a" in worst["text"] and not re.search(r"\d", worst["text"])
    assert worst["now"] > worst["was"] + 0.2 and worst["right"] < 0.1
    assert any("~" in row["text"] for row in found["endings"])
    assert sum(found["lengths"]["shares"][1]) == pytest.approx(1)
    healthy = novelty.of_arm([run.samples for run in runs[:2]])
    assert not any("~" in row["text"] for each in healthy.values() if each for row in each["grams"])
    assert [novelty.tricks(run.samples) for run in runs[:2]] == [[], []]


@pytest.mark.parametrize(("late_share", "score", "named"), [(0.25, 0.0, True), (0.05, 0.0, False), (0.25, 1.0, True)])
def test_a_trick_that_spreads_is_named(runs: list[Ran], late_share: float, score: float, named: bool) -> None:
    """Paid or no longer: once the reward model has learned to see it, the share of the completions still tells."""
    table = dict(runs[0].samples)
    late = (table["step"] >= 50) & (np.arange(len(table["step"])) % 20 < 20 * late_share)
    table["completion"] = np.where(late, "5=5#5", table["completion"])
    table["score"] = np.where(late, score, table["score"])
    table["verdict"] = np.where(late, "wrong", table["verdict"])
    run = replace(runs[0], samples=table)
    said = [text for text, place in findings.looks(run, findings.outcome(run)) if place == "novelty"]
    assert bool(said) == named
    assert all("from 0% to" in text and "\u2039n\u203a = \u2039n\u203a" in text for text in said)
    common = dict(table, completion=np.full(len(late), "5=5#5"))  # from the start: nothing new
    assert novelty.tricks(common) == []


def test_one_answer_to_everything_is_seen(runs: list[Ran]) -> None:
    """A policy that ends in #3 whatever is asked: the form is as before, the number is not."""
    table = dict(runs[2].samples)
    late = table["step"] >= 50
    table["completion"] = np.where(late, "7+10=13;13+3=3#3", table["completion"])
    table["score"] = np.ones(len(late))
    table["verdict"] = np.where(late, "wrong", "right")
    found = novelty.of_arm([table])["paid"]
    assert found is not None
    [ending] = [row for row in found["endings"] if row["text"] == "3 # 3"]
    assert ending["now"] == 1 and ending["was"] < 0.2 and ending["right"] == 0
    assert "13" in [row["text"] for row in found["grams"]]


def test_samples_are_chosen_by_what_they_say(runs: list[Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step's strongest disagreement is there with its whole group, and no more rows than asked."""
    monkeypatch.setattr(texts, "SAMPLES", 60)
    shown = texts.samples(runs[2:3])
    columns, table = shown["columns"], runs[2].samples
    assert len(columns["step"]) == 60 < shown["total"][0] == 192
    there = set(zip(columns["step"], columns["row"], strict=True))
    assert len(there) == 60
    gap = texts.disagreement(table)
    for step in np.unique(table["step"]):
        rows = np.flatnonzero(table["step"] == step)
        assert (step, table["row"][rows[np.nanargmax(gap[rows])]]) in there
    assert all(value is None or abs(value) < 10 for value in columns["score"])
    monkeypatch.setattr(texts, "ROOM", 1000)
    assert 0 < len(texts.samples(runs)["columns"]["step"]) < 60
    assert texts.samples([])["columns"]["step"] == []


def test_pairs_show_what_differs() -> None:
    right, wrong = "8+7=15;15-4=11#11", "8+7=15;15-4=12#12"
    spans = texts.changed(right, wrong)
    assert [right[a:b] for a, b in spans[0]] == ["11", "11"] and [wrong[a:b] for a, b in spans[1]] == ["12", "12"]
    assert texts.changed("so \U0001d465 is 3", "so \U0001d465 is 4") == [
        [[9, 10]],
        [[9, 10]],
    ]  # in UTF-16, as scripts count
    assert texts.changed("same", "same") == [[], []]
    one, two = "a " * 3000 + "b", "a " * 3000 + "c"
    assert texts.changed(one, two) == [[[6000, 6001]], [[6000, 6001]]]


def test_hostile_text_is_harmless(tmp_path: Path) -> None:
    """What a model writes ends no script, turns no text, reaches no terminal, and comes back whole from the JSON."""
    place = run_dirs.run(tmp_path / "run", every=0)
    rows = run_dirs.samples("static", 10, 60, 1, np.random.default_rng(0))
    rows[0] |= {"completion": run_dirs.HOSTILE, "question": run_dirs.HOSTILE, "reason": run_dirs.HOSTILE}
    run_dirs.table(place / "samples", 10, rows, run_dirs.SAMPLES)
    (place / "inputs.json").write_text(json.dumps({run_dirs.HOSTILE: run_dirs.HOSTILE}))
    out = tmp_path / "page.html"
    report(Report((str(place),), out))
    made = out.read_text()
    assert made.count("</script>") == 2 and made.count("<script") == 2
    assert not re.search("[\x00-\x08\x0b-\x1f\u2028-\u202e]", made)
    shown = json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', made, re.S)[0])
    spelt = shown["samples"]["columns"]["completion"][0]
    assert spelt.startswith("</script><script>") and "\\x1b[31mred" in spelt and "\\u202eturned" in spelt
    assert "{{DATA}}" in spelt and shown["samples"]["columns"]["verdict"]
    assert "\\x1b" in next(iter(shown["runs"][0]["inputs"]))


def test_the_command(places: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One page and its pictures; a folder of runs stands for them; nothing in the page is fetched."""
    out = tmp_path / "new" / "report.html"
    found = said(capsys, "report", str(Path(places[0]).parents[1]), "--out", str(out))
    assert "static: hacked (finished, 60 steps)" in found and "cooper, seed 1: learned" in found
    assert f"wrote {out}" in found
    made = out.read_text()
    assert len(made.encode()) < 1_500_000
    assert "default-src 'none'" in made and not re.search(r"(src|href)=[\"']?(https?:)?//", made)
    for name in ("eval-accuracy", "reward-mean", "rule-accuracy", "score-gap"):
        picture = imread(out.with_name(f"report-{name}.png"))
        assert picture.shape[:2] == (570, 960) and picture.std() > 0.05
    shown = json.loads(re.findall(r'id="data">(.*?)</script>', made, re.S)[0])
    for chart in shown["charts"]:
        assert chart["about"] or chart["figure"] in ("eval/loss", "eval/auroc", "sft/loss", "fit/loss")
        assert metric_table.explained(chart["figure"])
    cooper = next(arm for arm, each in enumerate(shown["arms"]) if each["name"] == "cooper")
    assert shown["refusals"][cooper]["why"] == {"right": 480.0} and shown["refusals"].count(None) == 2
    time = shown["time"][cooper]
    assert time["idle"] == pytest.approx(0.25) and time["goodput"] == pytest.approx(0.75)
    assert [each["phase"] for each in time["phases"]] == ["policy_update", "rollout", "decode", "wait"]


def test_skipped_steps_are_no_goodput(runs: list[Ran]) -> None:
    from cooper_jax.reports import figures

    records = [record | {"policy/skipped": float(record["step"] > 31)} for record in runs[0].records]
    half = figures.time([replace(runs[0], records=records)], grouped(runs[:1])[0])
    assert half["goodput"] == pytest.approx(0.75 * 29 / 58) and half["idle"] == pytest.approx(0.25)


def test_runs_without_samples(tmp_path: Path) -> None:
    """Old runs, and those that kept none: the page has the curves, and says the rest."""
    place = run_dirs.run(tmp_path / "run", "cooper", steps=1, every=0)
    (place / "inputs.json").unlink()
    shown = report(Report((str(place),), tmp_path / "page.html")).figures
    assert shown["samples"]["columns"]["step"] == [] and shown["pairs"]["rows"] == []
    assert shown["classifier"] == [[]] and shown["novelty"] == [None]
    assert shown["findings"][0]["word"] == "unknown" and shown["runs"][0]["starts"] == []
    assert page.page(shown)


def test_damage_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = run_dirs.run(tmp_path / "run", steps=20)
    (place / "samples" / "step-000010.parquet").write_bytes(b"PAR1 cut")
    with (place / "metrics.jsonl").open("a") as file:
        file.write('{"step": 21, "rew')
    told_so = said(capsys, "report", str(place), "--out", str(tmp_path / "page.html"))
    assert "1 damaged lines of metrics.jsonl are left out" in told_so
    assert "samples/step-000010.parquet cannot be read and is left out" in told_so
    [run] = read_all([str(place)])
    assert np.unique(run.samples["step"]).tolist() == [20]


def test_samples_of_steps_that_are_undone_are_not_shown(tmp_path: Path) -> None:
    """A run that continues from a checkpoint drops later records; files of later steps may still lie there."""
    place = run_dirs.run(tmp_path / "run", steps=30)
    lines = (place / "metrics.jsonl").read_text().splitlines(keepends=True)
    (place / "metrics.jsonl").write_text("".join(lines[:20]))
    [run] = read_all([str(place)])
    assert run.last == 20 and run.samples["step"].max() == 20


def test_mistakes(tmp_path: Path, places: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "needs a run" in one_error(capsys, "report")
    assert "no such folder" in one_error(capsys, "report", str(tmp_path / "none"))
    assert "holds no metrics.jsonl" in one_error(capsys, "report", str(tmp_path))
    assert "is a folder; name a file" in one_error(capsys, "report", places[0], "--out", str(tmp_path))
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "metrics.jsonl").write_text("")
    assert "holds no step yet" in one_error(capsys, "report", str(empty))
    (empty / "metrics.jsonl").write_text('{"step": 1, "sft/loss": 2.0, "seconds/step": 1.0}\n')
    assert "runs of sft and train" in one_error(capsys, "report", str(empty), places[0])
    old = run_dirs.run(tmp_path / "old", steps=10)
    rows = run_dirs.samples("rule", 10, 10, 1, np.random.default_rng(0))
    run_dirs.table(old / "samples", 10, rows, run_dirs.SAMPLES.remove(run_dirs.SAMPLES.get_field_index("reason")))
    with pytest.raises(UserError, match="lacks the columns reason"):
        read_all([str(old)])
