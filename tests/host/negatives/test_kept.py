"""Are the latest right completions of a question kept, in bounded room, the same in every process and after a stop?"""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cooper_jax.host.negatives.kept import Kept
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG, Verdict

PROBLEMS = [Problem(f"{i}+0+0", str(i)) for i in range(4)]
GROUP = 2
# A step: of each question, each of its completions by a number, and whether the rule calls it right.
STEPS = st.lists(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=GROUP, max_size=GROUP), min_size=4, max_size=4
    ),
    max_size=6,
)
Step = Sequence[Sequence[tuple[int, bool]]]


def add(kept: Kept, step: Step, mine: Sequence[int] = range(4)) -> None:
    rows = [(f"{i} way {n}", right) for i in mine for n, right in step[i]]
    verdicts = [Verdict(RIGHT, "a", "") if right else Verdict(WRONG, None, "") for _, right in rows]
    kept.add(mine, [PROBLEMS[i] for i in mine], [text for text, _ in rows], verdicts)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 3))
def test_the_latest_are_kept(steps: list[Step], most: int) -> None:
    kept = Kept(most)
    for step in steps:
        add(kept, step)
    for i, problem in enumerate(PROBLEMS):
        right = [f"{i} way {n}" for step in steps for n, good in step[i] if good]
        assert len(kept.of(problem)) == min(most, len(set(right)))
        assert set(kept.of(problem)) <= set(right) and (not right or right[-1] in kept.of(problem))


@settings(max_examples=40, deadline=None)
@given(STEPS, st.integers(1, 3), st.permutations(range(4)))
def test_it_does_not_matter_who_has_a_question_and_when_a_run_stops(
    steps: list[Step], most: int, whose: list[int]
) -> None:
    one = Kept(most)
    said: list[Any] = []
    gather = lambda value: said.append(value) or []  # noqa: E731
    for step in steps:
        add(one, step)
    two = Kept(most, lambda _: json.loads(json.dumps(said[::-1])))
    for step in steps:
        said.clear()
        for mine in (sorted(whose[:2]), sorted(whose[2:])):
            add(Kept(most, gather), step, mine)
        add(two, step, [0])
        again = Kept(most, lambda _: json.loads(json.dumps(said[::-1])))
        again.load(json.loads(json.dumps(two.state())))
        two = again
    assert json.dumps(two.state()) == json.dumps(one.state())


def test_room_is_bounded_and_the_oldest_go_first() -> None:
    """A question that is right again is the latest; so much text is never kept."""
    kept = Kept(2, room=3 * len("0 way 0a"))
    for i in (0, 1, 2, 0, 3):
        add(kept, [[(0, i == place)] * GROUP for place in range(4)])
    assert [bool(kept.of(problem)) for problem in PROBLEMS] == [True, False, True, True]
    state = kept.state()
    add(kept, [[(1, True)] * GROUP] * 4)
    assert sum(len(text) + len(answer) for _, texts in kept.state() for text, answer in texts) <= 24
    kept.load(state)
    assert kept.state() == state  # a later step has not changed it


def test_nothing_is_kept_unless_asked_and_of_unknown_ones_never() -> None:
    for kept, verdict in ((Kept(0), Verdict(RIGHT, "a", "")), (Kept(2), Verdict(UNKNOWN, "a", ""))):
        kept.add([0], PROBLEMS[:1], ["x"], [verdict])
        assert kept.state() == [] and kept.of(PROBLEMS[0]) == {}
