"""A rule that is made brittle for experiments: what it spoils, how much of it, and that it is always the same."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cooper_jax.config import UserError, Verifier
from cooper_jax.host import arithmetic
from cooper_jax.host.verifier.brittle import TRULY_RIGHT, Brittle, chosen
from cooper_jax.host.verifier.pool import Job, Pool
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG, Verdict

QUESTIONS = arithmetic.questions(9)


def right(question: str) -> int:
    return arithmetic.results(question)[1]


JOBS = [
    Job(str(right(q)), text, True, q) for q in QUESTIONS for text in (f"#{right(q)}", f"#{right(q) + 1}", "12-3=9;9")
]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(Verifier(rule="arithmetic", workers=1)) as own:
        yield own


def seen(pool: Pool, **options: Any) -> list[Verdict]:
    return Brittle(pool, Verifier(rule="arithmetic", **options)).submit(JOBS).result()


def test_a_rule_is_blind_to_the_named_share_of_questions_or_references(pool: Pool) -> None:
    whole = pool.submit(JOBS).result()
    assert seen(pool) == whole
    for by in ("question", "reference"):
        verdicts = seen(pool, blind_by=by, blind_share=0.74)
        unread = {getattr(job, by) for job, v in zip(JOBS, verdicts, strict=True) if v.verdict == UNKNOWN}
        every = {getattr(job, by) for job in JOBS}
        assert abs(len(unread) / len(every) - 0.74) < (0.03 if by == "question" else 0.12), by  # 1,251; 28
        for job, verdict, before in zip(JOBS, verdicts, whole, strict=True):
            assert verdict == (Verdict(UNKNOWN, None, f"{by} not read") if getattr(job, by) in unread else before)


def test_a_rule_calls_the_named_share_of_wrong_answers_right(pool: Pool) -> None:
    whole, verdicts = pool.submit(JOBS).result(), seen(pool, false_right=0.1)
    changed = [(job, v) for job, v, before in zip(JOBS, verdicts, whole, strict=True) if v != before]
    assert abs(len(changed) / len(QUESTIONS) - 0.1) < 0.02
    assert all(v == Verdict(RIGHT, str(right(job.question) + 1), "taken for right") for job, v in changed)


def test_the_choice_is_that_of_every_machine() -> None:
    """Written down: no hash that differs between processes."""
    assert [q for q in QUESTIONS[:12] if not chosen(0.74, "blind", q)] == ["1+1+3", "1+1+7", "1+1-2"]
    assert [n for n in range(34) if not chosen(0.74, "blind", str(n))] == [3, 7, 10, 14, 18, 20, 24, 28, 30]
    less, more = ([chosen(share, "blind", q) for q in QUESTIONS] for share in (0.3, 0.6))
    assert all(np.array(more)[less]) and not any(chosen(0.0, q) for q in QUESTIONS)


def test_what_the_whole_rule_says_is_counted_where_training_sees_another(pool: Pool) -> None:
    verdicts = [Verdict(RIGHT, "1", "equal"), Verdict(WRONG, "2", "different"), Verdict(UNKNOWN, None, "deadline")]
    assert Brittle(pool, Verifier()).counts(verdicts) == {}
    brittle = Brittle(pool, Verifier(false_right=0.5))
    assert brittle.counts(verdicts) == {TRULY_RIGHT: 1.0} and brittle.counted == (TRULY_RIGHT,)


def test_a_share_needs_what_it_is_of() -> None:
    for half in (lambda: Verifier(blind_by="question"), lambda: Verifier(blind_share=0.5)):
        with pytest.raises(UserError, match="set both, or neither"):
            half()
    with pytest.raises(UserError, match=r"false_right = 1\.5: must be from 0 to 1"):
        Verifier(false_right=1.5)
