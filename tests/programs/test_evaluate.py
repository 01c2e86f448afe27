"""Are the figures right? Estimators against enumeration, and the whole program."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rows import write
from runs import fails

from cooper_jax import config
from cooper_jax.__main__ import main
from cooper_jax.config import Config, UserError
from cooper_jax.host.verifier.pool import Pool
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG
from cooper_jax.model import hf
from cooper_jax.programs import evaluate, fit_reward, sft
from cooper_jax.run.held_out import votes
from cooper_jax.run.metrics import majority, pass_at, policy_figures, reward_figures

R, W, U = RIGHT, WRONG, UNKNOWN


def test_a_limit_draws_rows_by_the_seed(tiny_config: Config) -> None:
    rows = list(range(40))
    some = [
        evaluate._drawn(rows, replace(tiny_config, seed=seed, evaluation=config.Evaluation(limit=9)))
        for seed in (0, 0, 1)
    ]
    assert some[0] == some[1] != some[2]
    assert len(set(some[0])) == 9
    assert some[0] == sorted(some[0]) != rows[:9]
    assert evaluate._drawn(rows, tiny_config) == rows
    with pytest.raises(UserError, match=r"evaluation.limit = -1: must not be negative; 0 asks all"):
        config.Evaluation(limit=-1)


# Figures


@pytest.mark.parametrize("samples", [1, 2, 5, 8])
def test_pass_at_n_is_the_mean_over_all_subsets(samples: int) -> None:
    for right in range(samples + 1):
        answers = [i < right for i in range(samples)]
        for n in range(1, samples + 1):
            want = np.mean([any(subset) for subset in combinations(answers, n)])
            np.testing.assert_allclose(pass_at(n, samples, right), want, atol=1e-12)


@pytest.mark.parametrize(
    ("answers", "verdicts", "want"),
    [
        (["4", "4", "5"], [R, R, W], 1),
        (["4", "5", "5"], [R, W, W], 0),
        (["4", "5"], [R, W], 1 / 2),  # a tie counts as its share
        (["4", "5", "6"], [R, W, W], 1 / 3),
        (["1/2", "0.5", "3", "3"], [R, R, W, W], 1 / 2),  # right answers are one, however they are spelled
        (["3 x", "3x", "4"], [W, W, R], 0),  # white space does not part answers
        (["4", None, None], [R, W, W], 1),  # without an answer, no vote
        (["4", "?", "?"], [R, U, U], 0),  # what the rule cannot decide has one, and is not right
        ([None, None], [W, W], 0),
        (["4", "4", ".5", "0.50", r"\frac12"], [R, R, W, W, W], 0),  # wrong ones too are one
    ],
)
def test_the_majority(answers: list[str | None], verdicts: list[str], want: float, asking: Any) -> None:
    np.testing.assert_allclose(majority(votes(answers, verdicts, len(answers), asking)), want)


@pytest.fixture(scope="module")
def asking() -> Iterator[Any]:
    """What `votes` needs of a machine: the rule and its verifier."""
    cfg = replace(config.load(config.builtin("toy.py")), verifier=config.Verifier(workers=1))
    with Pool(cfg.verifier) as pool:
        yield SimpleNamespace(cfg=cfg, verifier=pool)


def test_questions_vote_apart(asking: Any) -> None:
    answers = [".5", "0.50", "4", "4", "1/2", "0.5"]
    assert votes(answers, [W, W, R, R, W, W], 3, asking) == [".5", ".5", R, R, "1/2", "1/2"]


def row(verdicts: list[str], lengths: list[int], finished: list[bool]) -> dict[str, Any]:
    answers = [{R: "1", W: "2", U: "3"}[v] for v in verdicts]
    votes = [R if v == R else a for v, a in zip(verdicts, answers, strict=True)]
    return {"answers": answers, "votes": votes, "verdicts": verdicts, "lengths": lengths, "finished": finished}


def test_figures_of_a_policy_by_hand() -> None:
    rows = [
        row([R, R, R, W], [1, 2, 3, 4], [True] * 4),
        row([W, W, W, W], [5, 5, 5, 5], [True, True, True, False]),
        row([R, W, U, W], [0, 0, 0, 0], [True] * 4),
    ]
    got = policy_figures(rows)
    mean = np.array([3 / 4, 0, 1 / 4])
    want = {
        "accuracy": 1 / 3,
        "standard_error": mean.std(ddof=1) / np.sqrt(3),
        "unknown": 1 / 12,
        "truncated": 1 / 12,
        "length": 30 / 12,
        "questions": 3,
        "samples": 4,
        "majority": 1 / 3,
        "pass@1": 1 / 3,
        "pass@2": (1 + 0 + 1 / 2) / 3,
        "pass@4": 2 / 3,
    }
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, err_msg=name)
    one = policy_figures([row([R], [7], [True])])
    assert one == {"accuracy": 1, "unknown": 0, "truncated": 0, "length": 7, "questions": 1, "samples": 1}
    assert {name for name in policy_figures([row([R] * 6, [1] * 6, [True] * 6)]) if "pass" in name} == {
        f"pass@{n}" for n in (1, 2, 4, 6)
    }


def test_the_standard_error_is_of_questions_not_of_samples(rng: np.random.Generator) -> None:
    """Against the spread of avg@k over fresh draws of questions and samples."""

    def draw() -> dict[str, float]:
        chance_Q = rng.beta(0.3, 0.3, 50)  # most questions are nearly always, or never, answered
        return policy_figures([row(list(np.where(rng.random(8) < p, R, W)), [1] * 8, [True] * 8) for p in chance_Q])

    figures = [draw() for _ in range(300)]
    spread = np.std([f["accuracy"] for f in figures])
    assert 0.85 < np.mean([f["standard_error"] for f in figures]) / spread < 1.15


def test_figures_of_a_reward_model_by_hand() -> None:
    of = lambda score, right, kind, subkind: {  # noqa: E731
        "score": score, "right": right, "answer_type": kind, "answer_subtype": subkind,
    }  # fmt: skip
    rows = [
        of(0.9, True, "Numeric", "Integer"),
        of(0.6, False, "Numeric", "Float"),
        of(0.2, True, "Numeric", "Integer"),
        of(0.1, False, "String", ""),
    ]
    got = reward_figures(rows)
    want = {
        "accuracy": 1 / 2,
        "precision": 1 / 2,
        "recall": 1 / 2,
        "false_positive_rate": 1 / 2,
        "auroc": 3 / 4,
        "completions": 4,
        "answer_type/Numeric": 1 / 3,
        "answer_type/String": 1,
        "answer_subtype/Float": 0,
        "answer_subtype/Integer": 1 / 2,
    }
    assert got == pytest.approx(want)


# The program


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, str]:
    """Benchmarks in the built-in task's vocabulary, with rows that are left out."""
    sums = [(f"{a}+{b}+1", a + b + 1) for a in (1, 2, 3) for b in (1, 2)]
    gsm = [{"question": q, "answer": f"#### {n}"} for q, n in sums]
    math = [{"problem": q, "answer": str(n), "level": 1} for q, n in sums]
    math += [{"problem": "1+" * 9 + "1", "answer": "10"}, {"problem": "9+9+9", "answer": "about 27"}]
    judged = [
        {"question": q, "answer": f"{n}", "completion": f"#{n + i}", "gold_correct": i == 0}
        | {"answer_type": "Numeric", "answer_subtype": "Integer" if n < 5 else "[/Large]\x1b[2J"}
        for q, n in sums
        for i in (0, 1)
    ]
    judged.append(judged[0] | {"question": "1+" * 40 + "1"})
    return {
        "gsm8k": write(tmp_path / "gsm.jsonl", gsm),
        "math500": write(tmp_path / "math.parquet", math),
        "verifybench": write(tmp_path / "verify.json", judged),
    }


@pytest.mark.usefixtures("one_device")
def test_evaluate_whole(
    tiny_config: Config,
    sets: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A policy on two benchmarks, and a reward model: figures, rows and tables, from the command line."""
    cfg = replace(tiny_config, evaluation=replace(tiny_config.evaluation, batch=4, samples=4))
    sft.sft(cfg)
    file = tmp_path / "config.py"
    file.write_text(f"from cooper_jax.config import *\nconfig = {cfg!r}\n")
    capsys.readouterr()
    named = [f"{name}:{sets[name]}" for name in ("gsm8k", "math500")]
    main(["evaluate", str(file), "--dir", cfg.sft.dir, "--evaluation.sets", *named])
    said = capsys.readouterr().out
    assert all(word in said for word in ("gsm8k", "math500", "4 at 1", "greedy", " ± 0.", "maj@k", "pass@k"))
    assert "math500: 8 rows; 6 used; 1 with prompts over 7 tokens" in said and "(e.g. about 27)" in said
    records = json.loads((Path(cfg.sft.dir) / "evaluation.json").read_text())
    assert [(r["set"], r["temperature"], r["samples"], r["questions"], r["left_out"]) for r in records] == [
        ("gsm8k", 1.0, 4, 6, 0), ("gsm8k", 0.0, 1, 6, 0), ("math500", 1.0, 4, 6, 2), ("math500", 0.0, 1, 6, 2),
    ]  # fmt: skip
    rows = pq.read_table(Path(cfg.sft.dir) / "evaluation.parquet").to_pylist()
    assert len(rows) == 24
    for record in records:
        own = [r for r in rows if (r["set"], r["temperature"]) == (record["set"], record["temperature"])]
        assert policy_figures(own) | {"left_out": record["left_out"]} == {
            k: v for k, v in record.items() if k not in ("set", "temperature")
        }
        np.testing.assert_allclose(np.mean([r["accuracy"] for r in own]), record["accuracy"])
    for r in rows:
        assert len(r["completions"]) == len(r["finished"]) == (4 if r["temperature"] else 1)
        for text, answer, verdict, length, finished in zip(
            r["completions"], r["answers"], r["verdicts"], r["lengths"], r["finished"], strict=True
        ):
            assert (verdict == RIGHT) == (finished and text.endswith(f"#{r['reference_answer']}"))
            assert answer is None or text.endswith(f"#{answer}")
            assert 1 <= length <= 24 and (finished or length == 24)
    assert {r["kind"] for r in rows if r["set"] == "math500"} == {"level 1"}
    _goes_on(file, cfg, named, records, capsys, monkeypatch)

    fit = replace(cfg, reward=replace(cfg.reward, init=""), fit=replace(cfg.fit, data=str(tmp_path / "labels.parquet")))
    labels = [
        {"question": f"{a}+{b}+1", "reference_answer": f"{a + b + 1}", "completion": f"#{a + b + y}", "label": y}
        for a in range(1, 9) for b in range(1, 9) for y in (0, 1)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(labels), fit.fit.data)
    fit_reward.fit_reward(fit)
    capsys.readouterr()
    evaluate.evaluate(
        replace(cfg, dir=fit.fit.dir, evaluation=replace(cfg.evaluation, sets=(f"verifybench:{sets['verifybench']}",)))
    )
    said = capsys.readouterr().out
    assert (
        "answer_subtype/[/Large]\\x1b[2J" in said
        and "\x1b" not in said
        and "1 with question and reference over 40 tokens" in said
    )
    [record] = json.loads((Path(fit.fit.dir) / "verifybench.json").read_text())
    rows = pq.read_table(Path(fit.fit.dir) / "verifybench.parquet").to_pylist()
    assert record == {"set": "verifybench", **reward_figures(rows), "left_out": 1}
    assert record["completions"] == 12 and {"answer_type/Numeric", "answer_subtype/Integer"} <= record.keys()
    assert [r["right"] for r in rows] == [True, False] * 6 and all(0 < r["score"] < 1 for r in rows)


def _goes_on(
    file: Path,
    cfg: Config,
    named: list[str],
    records: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a kill, what was evaluated is not done again; another evaluation overwrites nothing, and has a folder."""
    run, real, asked = Path(cfg.sft.dir), evaluate.policy_rows, []

    def rows_but_of_the_last(params: Any, questions: Any, temperature: float, here: Any, shown: str) -> Any:
        asked.append(shown)
        if shown == killed:
            raise KeyboardInterrupt
        return real(params, questions, temperature, here, shown)

    monkeypatch.setattr(evaluate, "policy_rows", rows_but_of_the_last)
    args = ["evaluate", str(file), "--dir", cfg.sft.dir, "--evaluation.sets", *named]
    killed = ""
    main(args)
    assert asked == [] and json.loads((run / "evaluation.json").read_text()) == records
    again = [*args, "--seed", "0", "--evaluation.out", str(run.parent / "again")]
    killed = "math500, greedy"
    assert "what was evaluated before is kept" in fails(capsys, *again, code=130)
    assert json.loads((run.parent / "again" / "evaluation.json").read_text()) == records[:3]
    asked.clear()
    killed = ""
    main(again)
    assert asked == ["math500, greedy"]
    assert json.loads((run.parent / "again" / "evaluation.json").read_text()) == records
    assert len(pq.read_table(run.parent / "again" / "evaluation.parquet")) == 24
    capsys.readouterr()
    main([*args[:-1], "--evaluation.temperatures", "0", "--rollout.completion-len", "3"])
    assert "is kept as" in capsys.readouterr().out
    assert json.loads((run / "evaluation-1.json").read_text()) == records
    [new] = json.loads((run / "evaluation.json").read_text())
    assert new["length"] <= 3


@pytest.mark.usefixtures("one_device")
def test_mistakes_before_anything_is_computed(tiny_config: Config, sets: dict[str, str], tmp_path: Path) -> None:
    def sets_of(*named: str, **options: Any) -> Config:
        return replace(tiny_config, evaluation=replace(tiny_config.evaluation, sets=named), **options)

    gsm, judged = f"gsm8k:{sets['gsm8k']}", f"verifybench:{sets['verifybench']}"
    (tmp_path / "empty").mkdir()
    tiny_config = replace(tiny_config, dir=str(tmp_path / "empty"))
    for cfg, message in (
        (sets_of(gsm, gsm), "evaluation.sets: gsm8k, gsm8k: name each once"),
        (sets_of(gsm, "verifybench:nowhere.json"), "nowhere.json: no such file"),
        (sets_of("gsm8k.jsonl"), "is not NAME:PATH"),
        (sets_of(gsm, dir=str(tmp_path / "none")), "none: no such folder; give a Hugging Face folder"),
        (
            sets_of(gsm, rollout=replace(tiny_config.rollout, prompt_len=2)),
            "no problem is left of gsm8k: 6 rows; 0 used; 6 with prompts over 2 tokens .raise --rollout.prompt-len to",
        ),
        (sets_of(judged, scoring=config.Scoring(10)), "nothing is left of verifybench: .*raise --scoring.length to"),
    ):
        with pytest.raises(UserError, match=message) as error:
            evaluate.evaluate(cfg)
        assert not list((tmp_path / "empty").iterdir()) and not (tmp_path / "none").exists()
        assert "--data.evaluation" not in str(error.value)
    assert not hf.is_folder(tmp_path / "empty")
