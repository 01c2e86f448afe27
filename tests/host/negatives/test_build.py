"""What becomes of a pair: a right one, a wrong one, proved."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cooper_jax.config import Pairs, UserError, Verifier
from cooper_jax.host import arithmetic
from cooper_jax.host.negatives import build as negatives
from cooper_jax.host.negatives.assistant import Request, Rewritten
from cooper_jax.host.negatives.build import Starvation
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.brittle import Brittle
from cooper_jax.host.verifier.pool import Job, Pool
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG, Verdict

PROBLEM, OTHER = Problem("8+7-4", "11"), Problem("1+1+1", "3")
WORKED = "8+7=15;15-4=11#11"


class Scripted:
    """An assistant that replies from a list and notes what it was asked."""

    lockstep = False

    def __init__(self, rounds: Sequence[str | None]) -> None:
        self.rounds, self.asked = list(rounds), []

    def rewrite(self, requests: Sequence[Request | None], *_: Any) -> list[str | None]:
        self.asked.append([r.problem.question for r in requests if r])
        reply = self.rounds[len(self.asked) - 1]
        return [r and reply for r in requests]

    def trouble(self) -> str:
        return "HTTP 503: overloaded"

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
        [PROBLEM, Problem("1+1+1", "3")], texts, verdicts, helper, pool, lambda t: len(t) < 20, cfg, lambda _: rng
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


def test_what_is_no_attempt_is_a_negative_if_the_rule_calls_it_wrong(pool: Pool, rng: np.random.Generator) -> None:
    """Without an answer, and however short; the same text from an assistant that meant to state one is refused."""
    for reply, kept in (
        (Rewritten.of("8+7=", "truncate"), True),
        ("8+7=", False),
        (Rewritten.of("#11", "truncate"), False),
        (Rewritten.of("x", "opener"), True),
    ):
        slots, figures, _ = build([reply], pool, Pairs(tries=1), rng)
        assert [s and s.wrong for s in slots] == [reply if kept else None, None]
        assert figures["pairs/valid"] == kept
    slots, figures, _ = build([Rewritten.of("8+7=" * 5, "truncate")], pool, Pairs(tries=1), rng)
    assert slots == [None, None] and figures["pairs/refused_length"] == 1  # the policy could not have finished it


def test_a_question_without_a_positive_takes_those_of_earlier_steps(pool: Pool, rng: np.random.Generator) -> None:
    """Its own come first."""
    texts = ["#11", "#12", "#9", "#8"]
    verdicts = [
        arithmetic.verify(p.reference, t, True) for p, t in zip([PROBLEM] * 2 + [OTHER] * 2, texts, strict=True)
    ]
    kept = {PROBLEM: {WORKED: "11"}, OTHER: {"1+1=2;2+1=3#3": "3"}}
    for earlier, want in ((kept, ["#11", "1+1=2;2+1=3#3"]), ({}, ["#11", None])):
        slots, figures = negatives.build(
            [PROBLEM, OTHER], texts, verdicts, Scripted(["#7"]), pool, lambda _: True, Pairs(length_ratio=10.0),
            lambda _: rng, kept=lambda problem, earlier=earlier: earlier.get(problem, {}),
        )  # fmt: skip
        assert [slot and slot.right for slot in slots] == want
        assert figures["pairs/kept"] == (want[1] is not None)
        assert figures["pairs/questions_with_positive"] == sum(slot is not None for slot in slots)


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
        [PROBLEM], ["#11", "#11"], unknown, Scripted(["#12"]), pool, lambda _: True, Pairs(), lambda _: rng
    )
    assert slots == [None] and figures["pairs/questions_with_positive"] == 0
    blind = Brittle(pool, Verifier(rule="arithmetic", blind_by="question", blind_share=1.0))
    right = [Verdict(RIGHT, "11", "equal")] * 2
    slots, _ = negatives.build(
        [PROBLEM], ["#11"] * 2, right, Scripted(["#12"] * 3), blind, lambda _: True, Pairs(), lambda _: rng
    )
    assert slots == [None]


class Fixed:
    """An assistant and a verifier that say what the test wants."""

    lockstep = False

    def __init__(self, text: str | None, verdict: Verdict | None = None) -> None:
        self.text, self.verdict, self.asked = text, verdict or Verdict(WRONG, "12", "different"), 0

    def rewrite(self, requests: Sequence[Request | None], *_: Any) -> list[str | None]:
        asked = [r for r in requests if r]
        self.asked += len(asked)
        assert all(r.answer == "11" for r in asked)
        return [r and self.text for r in requests]

    def figures(self) -> dict[str, float]:
        return {}

    def submit(self, jobs: Sequence[Job]) -> Any:
        self.jobs = jobs
        return self

    def result(self) -> list[Verdict]:
        return [self.verdict] * len(self.jobs)


def pairs_of(fixed: Any, cfg: Pairs, completions: Sequence[str], score: Sequence[float] | None = None) -> Any:
    verdicts = [
        Verdict(RIGHT if "11" in c else WRONG, c if c.strip("#") and "cut" not in c else None, "") for c in completions
    ]
    verdicts = [v._replace(answer="11") if v.verdict == RIGHT else v for v in verdicts]
    return negatives.build(
        [PROBLEM], completions, verdicts, fixed, fixed, lambda t: len(t) < 100, cfg, np.random.default_rng,
        None if score is None else np.array(score),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "verdict", "refusal"),
    [
        (None, Verdict(WRONG, None, ""), "unfinished"),
        ("so \\boxed{11}", Verdict(RIGHT, "11", ""), "right"),
        ("so \\boxed{1x}", Verdict(UNKNOWN, "1x", ""), "unknown"),
        ("so \\boxed{}", Verdict(WRONG, None, ""), "no_answer"),
        ("so it must be that this is \\boxed{12}", Verdict(WRONG, "12", ""), "length"),
        ("so #### 12 it is", Verdict(WRONG, "12", ""), "form"),
        ("```\\boxed{12}```", Verdict(WRONG, "12", ""), "form"),
        (" so \\boxed{12}\n", Verdict(WRONG, "12", ""), None),
    ],
)
def test_why_a_rewriting_is_refused(text: str | None, verdict: Verdict, refusal: str | None) -> None:
    slots, figures = pairs_of(Fixed(text, verdict), Pairs(tries=2, length_ratio=1.5), ["so \\boxed{11}", "x"])
    refused = {k: v for k, v in figures.items() if k.startswith("pairs/refused_") and v}
    assert refused == ({f"pairs/refused_{refusal}": 2.0} if refusal else {})
    assert (slots[0] is None) == (refusal is not None) and figures["pairs/assistant_refused"] == sum(refused.values())
    if slots[0]:
        assert slots[0].wrong == "so \\boxed{12}"  # outer white space is no difference


def test_on_policy_negatives_are_the_best_scored_wrong_samples() -> None:
    completions = ["#11", "#9", "#12", "cut 8", "#9", "#7"]
    score = [0.1, 0.3, 0.9, 1.0, 0.5, 0.2]
    helper = Fixed("#13")
    slots, figures = pairs_of(helper, Pairs(per_question=4, on_policy=1.0), completions, score)
    assert [s.wrong for s in slots] == ["#12", "#9", "#7", "#13"]  # each text once; what states no answer never
    assert figures["pairs/on_policy"] == 3 and helper.asked == 1 and {s.right for s in slots} == {"#11"}
    shares = []
    for seed in range(200):
        slots, figures = negatives.build(
            [PROBLEM], ["#11", "#9"], [Verdict(RIGHT, "11", ""), Verdict(WRONG, "9", "")], helper, helper,  # pyright: ignore
            lambda _: True, Pairs(on_policy=0.3), lambda _, seed=seed: np.random.default_rng(seed),
            np.array([0.0, 1.0]),
        )  # fmt: skip
        shares.append(figures["pairs/on_policy"])
    assert 0.2 < np.mean(shares) < 0.4
    slots, figures = pairs_of(helper, Pairs(on_policy=1.0), ["#9", "#8"], [0.5, 0.6])
    assert slots == [None] and figures["pairs/questions_with_positive"] == 0  # no positive, no pair


def test_false_equations_are_counted_on_either_side() -> None:
    for right, reply, want in (
        ("7 + 4 = 11 \\boxed{11}", "7 + 4 = 12 \\boxed{12}", (0.0, 1.0)),
        ("7 + 5 = 11 \\boxed{11}", "7 + 5 = 12 \\boxed{12}", (1.0, 0.0)),
        ("\\boxed{11}", "\\boxed{12}", (0.0, 0.0)),
    ):
        _, figures = pairs_of(Fixed(reply), Pairs(), [right, "x"])
        record = negatives.no_counts() | figures
        assert list(record) == list(figures) == list(negatives.no_counts())  # by place, processes add them up
        record["pairs/valid"] *= 2  # as if another process had made a pair without any
        negatives.shares(record)
        got = record["pairs/false_equations_right"], record["pairs/false_equations_wrong"]
        assert got == (want[0] / 2, want[1] / 2) and record["pairs/valid_rate"] == 2.0
    without = negatives.no_counts() | {"pairs/slots": 4.0}
    negatives.shares(without)
    assert without["pairs/valid_rate"] == 0 and not any("false" in name for name in without)  # no pair, no share


def step_of(positives: float, valid: float) -> dict[str, float]:
    return {"pairs/questions_with_positive": positives, "pairs/valid": valid}


def test_a_run_without_pairs_warns_and_ends() -> None:
    cfg = Pairs(per_question=2, min_valid_rate=0.5, patience=5)

    def watch(records: Iterable[dict[str, float]], past: list[dict[str, float]] | None = None) -> list[str | None]:
        starvation = Starvation(cfg, lambda step: (past or [])[:step])
        start = len(past or [])
        return [starvation.note(start + i + 1, record) for i, record in enumerate(records)]

    healthy = [step_of(8, 16), step_of(1, 1), step_of(8, 8)]
    assert watch(healthy * 10) == [None] * 30
    poor, barren = step_of(8, 7), step_of(0, 0)
    said = watch([*healthy, *[poor] * 4, *healthy, *[poor] * 4])
    assert [i for i, s in enumerate(said) if s] == [5, 12] and "less than 50% of the slots" in str(said[5])
    with pytest.raises(UserError, match=r"in each of the last 5 steps less than 50% .* the assistant fails"):
        watch([*healthy, *[poor] * 5])
    lost = Starvation(cfg, lambda _: [poor] * 4, lambda: "HTTP 503: overloaded")
    with pytest.raises(UserError, match="the last trouble: HTTP 503: overloaded"):
        lost.note(5, poor)
    with pytest.raises(UserError, match="no completion of any question was right in the last 5 steps"):
        watch([poor, *[barren] * 5])
    assert all(s is None or "no completion" not in s for s in watch([barren, barren, poor, barren, barren, healthy[0]]))
    # Steps without a positive say nothing of the assistant; what was before a restart is counted.
    with pytest.raises(UserError, match="in each of the last 5"):
        watch([poor] * 3, [*healthy, poor, barren, poor])
    assert watch([poor] * 2, [*healthy, poor, poor])[-1] is None
