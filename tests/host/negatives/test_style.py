"""What form alone tells of the sides of a pair."""

import numpy as np
import pytest

from cooper_jax.host import arithmetic
from cooper_jax.host.negatives.arithmetic import ArithmeticAssistant
from cooper_jax.host.negatives.assistant import Request
from cooper_jax.host.negatives.build import Pair
from cooper_jax.host.negatives.style import Style, style_accuracy
from cooper_jax.host.text.data import Problem

PROBLEM = Problem("8+7-4", "11")


def test_form_alone_is_measured() -> None:
    rng = np.random.default_rng(0)
    questions = [f"question {n}" for n in range(40)]
    pairs, marked, longer = [], [], []
    for _ in range(120):
        question = str(rng.choice(questions))
        words = " ".join(rng.choice(["so", "thus", "we", "get", "add", "x", "and"], 30))
        right, wrong = f"{words} \\boxed{{{rng.integers(100)}}}", f"{words} \\boxed{{{rng.integers(100)}}}"
        pairs.append(Pair(Problem(question, "1"), right, wrong))
        marked.append(Pair(Problem(question, "1"), right, wrong + "\n"))
        longer.append(Pair(Problem(question, "1"), right, wrong.replace("and", "and so and")))
    assert style_accuracy(pairs) == pytest.approx(0.5, abs=0.1)
    assert style_accuracy(marked) > 0.95 and style_accuracy(longer) > 0.95
    assert style_accuracy([p._replace(problem=PROBLEM) for p in marked]) == 0.5
    style = Style(every=3, window=64)
    assert [bool(style.note(step, list(enumerate(marked[:20])))) for step in range(1, 10)] == [False] * 5 + [
        True,
        False,
        False,
        True,
    ]
    assert style.note(12, [])["pairs/style_accuracy"] > 0.95 and Style(0, 64).note(3, list(enumerate(marked))) == {}


def test_pairs_of_the_built_in_task_do_not_differ_in_form() -> None:
    rng = np.random.default_rng(0)
    questions = arithmetic.questions(11)
    requests = []
    for question in rng.choice(questions, 256):
        partial, result = arithmetic.results(question)
        text = f"{arithmetic.work(question, partial, result)}#{result}"
        requests.append(Request(Problem(question, str(result)), text, str(result)))
    for kinds, low, high in ((["answer", "intermediate"], 0.4, 0.6), (["hedge"], 0.95, 1.0)):
        texts = ArithmeticAssistant(kinds).rewrite(requests, [rng] * len(requests))  # pyright: ignore[reportArgumentType]
        pairs = [Pair(r.problem, r.completion, t or "") for r, t in zip(requests, texts, strict=True)]
        assert low <= style_accuracy(pairs) <= high
