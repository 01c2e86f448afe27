"""Rewriting in the built-in task: every kind states a wrong answer, and leaves nothing else of the right one; or, of
the degenerate ones, states none."""

import re

import numpy as np
import pytest

from cooper_jax.host import arithmetic
from cooper_jax.host.negatives import arithmetic as rewriting
from cooper_jax.host.negatives.arithmetic import ArithmeticAssistant
from cooper_jax.host.negatives.assistant import Request
from cooper_jax.host.negatives.degenerate import DEGENERATE
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.verdict import WRONG

TOKENIZER = arithmetic.Tokenizer()
PROBLEM = Problem("8+7-4", "11")
WORKED = "8+7=15;15-4=11#11"


COMPLETIONS = (WORKED, "#11", "#12~#11", "8+7=15;15-4=11#11~#11", "11=11#11")


@pytest.mark.parametrize("kind", list(rewriting._REWRITINGS))
@pytest.mark.parametrize("text", COMPLETIONS)
def test_every_kind_rewrites_into_a_wrong_answer_or_none(kind: str, text: str, rng: np.random.Generator) -> None:
    helper = ArithmeticAssistant([kind])  # pyright: ignore
    for reply in helper.rewrite([Request(PROBLEM, text, "11")] * 50, [rng] * 50):
        assert reply is not None
        verdict = arithmetic.verify("11", reply, True)
        assert verdict.verdict == WRONG and reply, reply
        assert (verdict.answer is None) == (kind in DEGENERATE) == (kind in ("truncate", "opener")), reply
        TOKENIZER.encode(reply)


@pytest.mark.parametrize("kind", ["answer", "intermediate"])
def test_faithful_rewriting_leaves_no_trace_of_the_right_answer(kind: str, rng: np.random.Generator) -> None:
    for reply in ArithmeticAssistant([kind]).rewrite([Request(PROBLEM, WORKED, "11")] * 100, [rng] * 100):  # pyright: ignore
        assert reply is not None
        assert "11" not in re.findall(r"(?<=[=#])\d+$|(?<==)\d+(?=#)", reply)
        assert reply.split("=")[-1] == f"{arithmetic.answer(reply)}#{arithmetic.answer(reply)}"
        if kind == "intermediate":
            partial = reply.split("=")[1].split(";")[0]
            assert reply.startswith(f"8+7={partial};{partial}-4=") and partial != "15"
            assert int(partial) - 4 == int(arithmetic.answer(reply) or -1)


def test_an_operand_equal_to_the_answer_is_left_alone(rng: np.random.Generator) -> None:
    problem = Problem("5+3-3", "5")
    for reply in ArithmeticAssistant(["answer"]).rewrite([Request(problem, "5+3=8;8-3=5#5", "5")] * 20, [rng] * 20):
        assert reply is not None and reply.startswith("5+3=8;8-3=")
