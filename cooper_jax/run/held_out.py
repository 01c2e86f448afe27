"""Held-out questions, asked with training's own sampler and verifier; and a reward model on labelled completions."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import jax
import numpy as np

from cooper_jax.device import jits, keys
from cooper_jax.device.keys import Use
from cooper_jax.device.state import RMTexts
from cooper_jax.host.text import data
from cooper_jax.host.text.benchmarks import Labelled
from cooper_jax.host.text.formats import Question
from cooper_jax.host.verifier.pool import Job
from cooper_jax.host.verifier.verdict import RIGHT, Verdict
from cooper_jax.mesh import hosts, sharding
from cooper_jax.run import progress, questions
from cooper_jax.run.machine import Machine
from cooper_jax.run.metrics import Record, Row, policy_figures
from cooper_jax.run.sampler import Completion, Sampler

_FORMS = {"hash": "#### {}", "phrase": "The answer is {}.", "last": "{}"}


class HeldOut:
    """Held-out questions. The noise is the same at every call, so that the steps of a run compare."""

    def __init__(self, here: Machine) -> None:
        self._here, cfg = here, here.cfg
        sharding.rows_divide(here.mesh, evaluation__batch=cfg.evaluation.batch)
        hint = "; name held-out questions with --data.evaluation, or lower --data.held-out"
        with hosts.together():
            problems = questions.usable(data.held_out(cfg.data), here, training=False, hint=hint)
        hosts.same("the processes' data", {"held-out": data.digest(problems)})
        rng = keys.generator(cfg.seed, Use.HELD_OUT)
        self.questions = [Question(p, "") for p in data.sample(problems, cfg.evaluation.questions, rng)]

    def accuracy(self, params: Any) -> Record:
        """`policy_figures` at the first of `evaluation.temperatures`, for the log of a run."""
        rows = policy_rows(params, self.questions, self._here.cfg.evaluation.temperatures[0], self._here)
        return {f"eval/{name}": value for name, value in policy_figures(rows).items()}


def policy_rows(
    params: Any, questions: Sequence[Question], temperature: float, here: Machine, shown: str = ""
) -> list[Row]:
    """One row a question, in every process: its completions, the rule's verdicts and answers, lengths in tokens.

    Each process samples and verifies its share. `shown`, the name of the questions, is what progress is said of.
    """
    cfg = here.cfg.evaluation
    samples = cfg.samples if temperature else 1
    sampler = Sampler(here, samples, temperature, cfg.top_p, Use.EVALUATION)
    places: list[int] = []
    drawn: list[Completion] = []
    pending = []
    batches = sampler.batches(params, [question.problem for question in questions])
    with progress.shown(shown, len(questions), "questions") as note:
        for number, (some, completions) in enumerate(batches, 1):
            places += some
            drawn += completions
            # Graded while the next batch is sampled.
            jobs = [c.job(questions[some[i // samples]].problem) for i, c in enumerate(completions)]
            pending.append(here.verifier.submit(jobs))
            note(min(number * cfg.batch, len(questions)))
    verdicts = [verdict for part in pending for verdict in part.result()]
    cast = votes([v.answer for v in verdicts], [v.verdict for v in verdicts], samples, here)
    rows = []
    for i, place in enumerate(places):
        own = slice(i * samples, (i + 1) * samples)
        rows.append((place, _row(questions[place], drawn[own], verdicts[own]) | {"votes": cast[own]}))
    return [row for _, row in sorted((row for some in hosts.gather(rows) for row in some), key=lambda row: row[0])]


def votes(answers: Sequence[str | None], verdicts: Sequence[str], samples: int, here: Machine) -> list[str | None]:
    """The vote of each completion, `samples` of each question side by side: RIGHT, its answer, or None without one.

    Wrong answers that the rule calls equal are one, the first, however they are spelled.
    """
    form = _FORMS.get(here.cfg.verifier.extract, "\\boxed{{{}}}")
    said = [RIGHT if v == RIGHT else a and "".join(a.split()) for a, v in zip(answers, verdicts, strict=True)]
    groups = [list(dict.fromkeys(a for a in said[i : i + samples] if a)) for i in range(0, len(said), samples)]
    pairs = [(i, a, b) for i, some in enumerate(groups) for a, b in combinations(some, 2) if RIGHT not in (a, b)]
    if here.cfg.verifier.rule != "math":  # Answers of the built-in task are digits.
        return said
    found = here.verifier.submit([Job(a, form.format(b), True) for _, a, b in pairs]).result()
    same: dict[tuple[int, str], str] = {}
    for (i, a, b), verdict in zip(pairs, found, strict=True):
        if verdict.verdict == RIGHT:
            same.setdefault((i, b), same.get((i, a), a))
    return [a and same.get((i // samples, a), a) for i, a in enumerate(said)]


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


def in_batches(
    ask: Callable[[Any, RMTexts], jax.Array],
    params: Any,
    texts: Callable[[Sequence[int]], Sequence[np.ndarray]],
    count: int,
    here: Machine,
    shown: str = "",
) -> np.ndarray:
    """What `ask`, a jitted `score` or `logits`, says of `count` texts, float32 [count] in every process,
    `evaluation.batch` at a time; `texts(places)` encodes those of this process. `shown` is as in `policy_rows`."""
    size, found = here.cfg.evaluation.batch, []
    sharding.rows_divide(here.mesh, evaluation__batch=size)
    whole = jits.make_whole(here.mesh)
    with progress.shown(shown, count, "texts") as note:
        for first in range(0, count, size):
            some = texts([i % count for i in here.mine(range(first, first + size))])
            found.append(sharding.fetch(whole(ask(params, here.put(here.packed(some))))))
            note(min(first + size, count))
    return np.concatenate(found)[:count]


def reward_rows(params: Any, labelled: Sequence[Labelled], here: Machine, shown: str = "") -> list[Row]:
    """One row a labelled completion, with the reward model's score. `shown` is as in `policy_rows`."""

    def texts(places: Sequence[int]) -> Sequence[np.ndarray]:
        some = [labelled[i] for i in places]
        return here.rm_texts([j.problem for j in some], [j.completion for j in some])

    score = jits.make_score(here.cfg.reward.model, here.mesh)
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
        for j, s in zip(labelled, in_batches(score, params, texts, len(labelled), here, shown), strict=True)
    ]
