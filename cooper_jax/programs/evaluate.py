"""`cooper evaluate`: a policy on held-out questions and benchmarks, with training's own sampler and verifier; a reward
model on VerifyBench."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cooper_jax.config import Config, require
from cooper_jax.device import jits
from cooper_jax.host.text import benchmarks, data, encode
from cooper_jax.host.text.benchmarks import Judgement, Question
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, Verdict
from cooper_jax.mesh import sharding
from cooper_jax.model import hf
from cooper_jax.programs.generate import Completion, Sampler
from cooper_jax.run import loop, metrics, setup
from cooper_jax.run.metrics import Record
from cooper_jax.run.setup import Machine

EVALUATION_SEED = 100
HELD_OUT = "held-out"
_COUNTS = ("completions", "left_out")
Row = dict[str, Any]


class HeldOut:
    """Held-out questions. The noise is the same at every call, so that the steps of a run compare."""

    def __init__(self, here: Machine) -> None:
        self._here, cfg = here, here.cfg
        sharding.rows_divide(here.mesh, evaluation__batch=cfg.evaluation.batch)
        hint = "; name held-out questions with --data.evaluation, or lower --data.held-out"
        problems = setup.usable(data.held_out(cfg.data), here, training=False, hint=hint)
        self.questions = [Question(p, "") for p in data.sample(problems, cfg.evaluation.questions, cfg.seed)]

    def accuracy(self, params: Any) -> Record:
        """`policy_figures` at the first of `evaluation.temperatures`, for the log of a run."""
        rows = policy_rows(params, self.questions, self._here.cfg.evaluation.temperatures[0], self._here)
        return {f"eval/{name}": value for name, value in policy_figures(rows).items()}


def policy_rows(
    params: Any, questions: Sequence[Question], temperature: float, here: Machine, shown: str = ""
) -> list[Row]:
    """One row a question: its completions, the rule's verdicts and answers, lengths in tokens.

    With `shown`, the name of the questions, a progress bar.
    """
    cfg = here.cfg.evaluation
    samples = cfg.samples if temperature else 1
    sampler = Sampler(here, samples, temperature, cfg.top_p, EVALUATION_SEED)
    drawn: list[Completion] = []
    pending = []
    batches = sampler.batches(params, [question.problem for question in questions])
    for problems, completions in track(batches, shown, -(-len(questions) // cfg.batch), disable=not shown):
        drawn += completions
        # Graded while the next batch is sampled.
        jobs = [c.job(problems[i // samples]) for i, c in enumerate(completions)]
        pending.append(here.verifier.submit(jobs))
    verdicts = [verdict for part in pending for verdict in part.result()]
    return [
        _row(question, drawn[i * samples : (i + 1) * samples], verdicts[i * samples : (i + 1) * samples])
        for i, question in enumerate(questions)
    ]


def _row(question: Question, completions: Sequence[Completion], verdicts: Sequence[Verdict]) -> Row:
    return {
        "question": question.problem.question,
        "reference_answer": question.problem.reference,
        "kind": question.kind,
        "accuracy": float(np.mean([v.verdict == RIGHT for v in verdicts])),
        "completions": [c.text for c in completions],
        "answers": [v.answer for v in verdicts],
        "verdicts": [v.verdict for v in verdicts],
        "lengths": [len(c.token_ids) for c in completions],
        "finished": [c.finished for c in completions],
    }


def policy_figures(rows: Sequence[Row]) -> Record:
    """avg@k (`accuracy`) with its standard error over questions, and shares of unknown verdicts and of truncated
    completions, and their mean length in tokens; of several samples also maj@k (`majority`) and pass@1, 2, 4 ... k.

    An unknown verdict counts as not right. One question has no standard error.
    """
    right_QK = np.array([[v == RIGHT for v in row["verdicts"]] for row in rows], float)
    questions, k = right_QK.shape
    per_question = right_QK.mean(axis=1)
    every = lambda name: np.concatenate([row[name] for row in rows])  # noqa: E731
    figures = {
        "accuracy": float(per_question.mean()),
        "unknown": float(np.mean(every("verdicts") == UNKNOWN)),
        "truncated": 1 - float(np.mean(every("finished"))),
        "length": float(np.mean(every("lengths"))),
        "questions": float(questions),
        "samples": float(k),
    }
    if questions > 1:
        figures["standard_error"] = float(per_question.std(ddof=1) / np.sqrt(questions))
    if k > 1:
        figures["majority"] = float(np.mean([majority(row["answers"], row["verdicts"]) for row in rows]))
        for n in sorted({k} | {2**i for i in range(k.bit_length())}):
            figures[f"pass@{n}"] = float(np.mean([pass_at(n, k, int(c)) for c in right_QK.sum(axis=1)]))
    return figures


def pass_at(n: int, samples: int, right: int) -> float:
    """Unbiased estimate of the chance that one of `n` samples is right: 1 - C(k-c, n) / C(k, n) (Chen et al. 2021)."""
    return 1 - comb(samples - right, n) / comb(samples, n)


def majority(answers: Sequence[str | None], verdicts: Sequence[str]) -> float:
    """Whether the most frequent answer is right (Wang et al. 2023); a tie counts as the share of its right answers.

    Answers that the rule calls right are one answer, however they are spelled; others are told apart by their text,
    white space aside; a completion without an answer has no vote.
    """
    votes = Counter(
        RIGHT if v == RIGHT else "".join(a.split()) for a, v in zip(answers, verdicts, strict=True) if a is not None
    )
    top = [answer for answer, count in votes.items() if count == max(votes.values())]
    return top.count(RIGHT) / len(top) if top else 0.0


def reward_rows(params: Any, judgements: Sequence[Judgement], here: Machine, shown: str = "") -> list[Row]:
    """One row a labelled completion, with the reward model's score. `shown` is as in `policy_rows`."""
    cfg, size = here.cfg, here.cfg.evaluation.batch
    sharding.rows_divide(here.mesh, evaluation__batch=size)
    score = jits.make_score(cfg.reward.model, here.mesh)
    scores = []
    for start in track(range(0, len(judgements), size), shown, disable=not shown):
        some = [judgements[i % len(judgements)] for i in range(start, start + size)]
        texts = here.packed(here.judged([j.problem for j in some], [j.completion for j in some]))
        scores.append(sharding.fetch(score(params, here.put(texts))))
    return [
        {
            "question": j.problem.question,
            "reference_answer": j.problem.reference,
            "completion": j.completion,
            "right": j.right,
            "answer_type": j.kind,
            "answer_subtype": j.subkind,
            "score": float(s),
        }
        for j, s in zip(judgements, np.concatenate(scores), strict=False)
    ]


def reward_figures(rows: Sequence[Row]) -> Record:
    """Accuracy at the threshold 1/2, precision, recall, false-positive rate, AUROC; accuracy by type and subtype."""
    score = np.array([row["score"] for row in rows])
    label = np.array([row["right"] for row in rows])
    figures = metrics.classification(score, label)
    figures = {"accuracy": figures.pop("agreement"), **figures, "completions": float(len(rows))}
    correct = (score > metrics.THRESHOLD) == label
    for column in ("answer_type", "answer_subtype"):
        kinds = np.array([row[column] for row in rows])
        figures |= {f"{column}/{kind}": float(correct[kinds == kind].mean()) for kind in np.unique(kinds) if kind}
    return figures


def measure(cfg: Config, where: str) -> dict[float, Record]:
    """Figures on held-out questions of the policy in `where`, at each of `evaluation.temperatures`."""
    with setup.machine(cfg, policy=replace(cfg.policy, init=where)) as here:
        params = setup.load_params(where, "policy", here.cfg.policy, here.mesh)
        questions = HeldOut(here).questions
        return {t: policy_figures(policy_rows(params, questions, t, here)) for t in cfg.evaluation.temperatures}


def evaluate(cfg: Config) -> None:
    """Evaluate the model in `cfg.dir`, a run or a Hugging Face folder, on `evaluation.sets` or held-out questions.

    Prints tables; writes `evaluation.json` (figures) and `evaluation.parquet` (a row a question or completion) for
    policies, `verifybench.json` and `.parquet` for reward models, into the run or, of a folder, beside it.
    Raises UserError before anything is computed: a set that cannot be read, or named twice.
    """
    named = [benchmarks.split_name(text) for text in cfg.evaluation.sets]
    names = [name for name, _ in named]
    require(len(names) == len(set(names)), f"evaluation.sets: {', '.join(names)}: name each once")
    sets = {name: benchmarks.read(name, path) for name, path in named}
    asked = {name: questions for name, questions in sets.items() if name in benchmarks.POLICY}
    if asked or not sets:
        _policy(cfg, asked)
    judged = {name: judgements for name, judgements in sets.items() if name in benchmarks.REWARD}
    if judged:
        _reward(cfg, judged)


def _policy(cfg: Config, sets: dict[str, list[Question]]) -> None:
    records, rows = [], []
    with setup.machine(cfg, policy=replace(cfg.policy, init=cfg.dir)) as here:
        found = {name: _usable(name, questions, here) for name, questions in sets.items()}
        found = found or {HELD_OUT: HeldOut(here).questions}
        params = setup.load_params(cfg.dir, "policy", here.cfg.policy, here.mesh)
        for name, questions in found.items():
            left_out = len(sets.get(name, questions)) - len(questions)
            for temperature in cfg.evaluation.temperatures:
                answered = policy_rows(params, questions, temperature, here, name)
                rows += [{"set": name, "temperature": temperature, **row} for row in answered]
                figures = policy_figures(answered) | {"left_out": left_out}
                records.append({"set": name, "temperature": temperature, **figures})
    several = any("majority" in record for record in records)
    table = Table("set", "samples", "accuracy", title=cfg.dir, box=None, padding=(0, 1, 0, 0))
    for heading in (*(("maj@k", "pass@k") if several else ()), "tokens", "cut", "unknown", "asked"):
        table.add_column(heading, justify="right")
    for r in records:
        k = int(r["samples"])
        votes = (_cell(r.get("majority")), _cell(r.get(f"pass@{k}"))) if several else ()
        error = f" ± {r['standard_error']:.3f}" if "standard_error" in r else ""
        table.add_row(
            r["set"], f"{k} at {r['temperature']:g}" if r["temperature"] else "greedy", _cell(r["accuracy"]) + error,
            *votes, f"{r['length']:.0f}", _cell(r["truncated"]), _cell(r["unknown"]), f"{r['questions']:.0f}",
        )  # fmt: skip
    _finish(cfg, "evaluation", table, records, rows)


def _usable(name: str, questions: Sequence[Question], here: Machine) -> list[Question]:
    """The questions that fit the prompt and whose reference the rule reads; what is left out is counted and said."""
    problems = data.Problems(name, len(questions), [question.problem for question in questions])
    kept = set(setup.usable(problems, here, training=False))
    return [question for question in questions if question.problem in kept]


def _reward(cfg: Config, sets: dict[str, list[Judgement]]) -> None:
    records, rows = [], []
    with setup.machine(cfg, reward=replace(cfg.reward, init=cfg.dir)) as here:
        found = {name: _fitting(name, judgements, here) for name, judgements in sets.items()}
        params = setup.load_params(cfg.dir, "reward", here.cfg.reward, here.mesh)
        for name, judgements in found.items():
            scored = reward_rows(params, judgements, here, name)
            rows += [{"set": name, **row} for row in scored]
            figures = reward_figures(scored) | {"left_out": len(sets[name]) - len(judgements)}
            records.append({"set": name, **figures})
    table = Table("set", "figure", title=cfg.dir)
    table.add_column("value", justify="right")
    for record in records:
        for name, value in list(record.items())[1:]:
            table.add_row(record["set"], name, str(int(value)) if name in _COUNTS else _cell(value))
        table.add_section()
    _finish(cfg, "verifybench", table, records, rows)


def _fitting(name: str, judgements: Sequence[Judgement], here: Machine) -> list[Judgement]:
    """Those whose question and reference leave a completion room; what is left out is counted and said."""
    problems = data.Problems(name, len(judgements), [judgement.problem for judgement in judgements])
    limit, sizes = here.cfg.judging.length, encode.window_sizes(problems.kept, here.tokenizers["reward"])
    hint = f"raise --judging.length to {max(sizes)} to keep them all"
    problems.drop(f"with question and reference over {limit:,} tokens ({hint})", sizes > limit)
    require(len(problems.kept) > 0, f"nothing is left of {problems}")
    if len(problems.kept) < len(judgements):
        print(problems, flush=True)
    return [judgement for judgement, size in zip(judgements, sizes, strict=True) if size <= limit]


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _finish(cfg: Config, name: str, table: Table, records: list[dict[str, Any]], rows: list[Row]) -> None:
    folder = Path(f"{Path(cfg.dir)}-{name}") if hf.is_folder(cfg.dir) else Path(cfg.dir)
    loop.make_dir(str(folder))
    (folder / f"{name}.json").write_text(json.dumps(records, indent=2) + "\n")
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    Console().print(table)
    print(f"wrote {folder / name}.json and {folder / name}.parquet")
