"""What becomes of a pair: a right one, a wrong one, proved."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from cooper_jax.config import Pairs, Verifier
from cooper_jax.host import arithmetic
from cooper_jax.host.negatives import build as negatives
from cooper_jax.host.negatives.assistant import Request
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.pool import Pool
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, Verdict

PROBLEM = Problem("8+7-4", "11")
WORKED = "8+7=15;15-4=11#11"


class Scripted:
    """An assistant that replies from a list and notes what it was asked."""

    lockstep = False

    def __init__(self, rounds: Sequence[str | None]) -> None:
        self.rounds, self.asked = list(rounds), []

    def rewrite(self, requests: Sequence[Request], rng: np.random.Generator) -> list[str | None]:
        self.asked.append([r.problem.question for r in requests])
        reply = self.rounds[len(self.asked) - 1]
        return [reply] * len(requests)

    def figures(self) -> dict[str, float]:
        return {}


def build(
    rounds: Sequence[str | None], pool: Pool, cfg: Pairs, rng: np.random.Generator, right: bool = True
) -> tuple[list[negatives.Pair | None], dict[str, float], Scripted]:
    helper, cfg = Scripted(rounds), replace(cfg, length_ratio=10.0)
    texts = [WORKED, "#11", "#12", "#13"] if right else ["#9", "#8", "#12", "#13"]
    texts += ["#7", "#8", "#9", "8"]  # the second problem has no right completion
    verdicts = [
        arithmetic.verify(p.reference, t, True)
        for p, t in zip([PROBLEM] * 4 + [Problem("1+1+1", "3")] * 4, texts, strict=True)
    ]
    slots, figures = negatives.build(
        [PROBLEM, Problem("1+1+1", "3")], texts, verdicts, helper, pool, lambda t: len(t) < 20, cfg, rng
    )
    return slots, figures, helper


@pytest.fixture(scope="module")
def pool():
    with Pool(Verifier(rule="arithmetic", workers=1)) as own:
        yield own


def test_only_what_is_proved_wrong_becomes_a_negative(pool: Pool, rng: np.random.Generator) -> None:
    cfg = Pairs(per_question=1, tries=1)
    for reply, kept in (
        ("#12", True),
        (" #12\n", True),
        ("#11", False),  # still right
        ("8+7=15;15-4=12", False),  # states no answer
        ("", False),
        (None, False),  # did not finish
        ("8+7=15;15-4=12;12=12#12", False),  # longer than the policy could write
    ):
        slots, figures, helper = build([reply], pool, cfg, rng)
        assert (slots[0] is not None) == kept, reply
        assert slots[1] is None and helper.asked == [["8+7-4"]]  # no positive, no question to the assistant
        assert figures["pairs/valid"] == kept and figures["pairs/assistant_refused"] == (not kept)
        if slots[0]:
            assert slots[0].wrong == "#12" and slots[0].right in (WORKED, "#11")


def test_the_assistant_tries_again_for_open_slots_only(pool: Pool, rng: np.random.Generator) -> None:
    slots, figures, helper = build(["#11", None, "#12"], pool, Pairs(per_question=2, tries=3), rng)
    assert [s is not None for s in slots] == [True, True, False, False]
    assert len(helper.asked) == 3 and figures["pairs/assistant_asked"] == 6
    assert {s.right for s in slots if s} == {WORKED, "#11"}  # each positive once before any twice
    _, _, helper = build(["#12"] * 3, pool, Pairs(per_question=2, tries=3), rng)
    assert len(helper.asked) == 1
    _, figures, helper = build(["#12"], pool, Pairs(), rng, right=False)
    assert helper.asked == [] and figures["pairs/valid"] == 0


def test_positives_are_drawn_by_seed(pool: Pool) -> None:
    drawn = [
        tuple(s.right if s else None for s in build(["#12"], pool, Pairs(), np.random.default_rng(seed))[0])
        for seed in range(12)
    ]
    again = [
        tuple(s.right if s else None for s in build(["#12"], pool, Pairs(), np.random.default_rng(seed))[0])
        for seed in range(12)
    ]
    assert drawn == again and len(set(drawn)) == 2


def test_unknown_is_neither_positive_nor_proof(pool: Pool, rng: np.random.Generator) -> None:
    unknown = [Verdict(UNKNOWN, None, "deadline")] * 2
    slots, figures = negatives.build(
        [PROBLEM], ["#11", "#11"], unknown, Scripted(["#12"]), pool, lambda _: True, Pairs(), rng
    )
    assert slots == [None] and figures["pairs/questions_with_positive"] == 0
    with Pool(Verifier(rule="arithmetic", workers=1), blind=1.0) as blind:
        right = [Verdict(RIGHT, "11", "equal")] * 2
        slots, _ = negatives.build(
            [PROBLEM], ["#11"] * 2, right, Scripted(["#12"] * 3), blind, lambda _: True, Pairs(), rng
        )
    assert slots == [None]
