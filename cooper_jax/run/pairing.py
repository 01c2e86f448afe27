"""What a step has for the reward model: verified pairs, replayed labels, and completions that the rule has judged."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from cooper_jax.device import keys
from cooper_jax.device.keys import Use
from cooper_jax.device.state import PairBatch
from cooper_jax.host.negatives import build as negatives
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.verdict import RIGHT, WRONG, Verdict
from cooper_jax.mesh import hosts
from cooper_jax.run import metrics
from cooper_jax.run.setup import Run


def build(
    run: Run,
    step: int,
    problems: Sequence[Problem],
    places: Sequence[int],
    completions: Sequence[str],
    verdicts: Sequence[Verdict],
    score_B: np.ndarray | None,
) -> tuple[Sequence[negatives.Pair | None], dict[str, float]]:
    """A slot for each pair that the step may have, and counts of how they came about. No pairs where the assistant
    fails for good, which ends the run after this step. Keeps the right completions for later steps (`pairs.keep`)."""
    draw = partial(keys.generator, run.cfg.seed, Use.PAIRS, step)
    slots: Sequence[negatives.Pair | None] = [None] * (len(problems) * run.cfg.pairs.per_question)
    counts = negatives.no_counts() | {"pairs/slots": float(len(slots))}
    with run.machine.trouble.held():
        slots, counts = negatives.build(
            problems, completions, verdicts, run.assistant, run.verifier, run.machine.fits, run.cfg.pairs, draw,
            score_B, places, run.kept.of if run.machine.share.leads else lambda _: {},
        )  # fmt: skip
    run.kept.add(places, problems, completions, verdicts)
    return slots, counts | run.assistant.figures()


def teaches(run: Run, slots: Sequence[negatives.Pair | None], verdicts: Sequence[Verdict]) -> bool:
    """Whether the step has anything for the reward model, in any process: a pair or, with `pairs.labels`, a right and a
    wrong completion. All processes must call."""
    seen = {v.verdict for v in verdicts} if run.cfg.pairs.labels else set()
    pair, right, wrong = map(any, zip(*hosts.gather([any(slots), RIGHT in seen, WRONG in seen]), strict=True))
    return pair or (right and wrong)


def batch(
    run: Run,
    slots: Sequence[negatives.Pair | None],
    step: int,
    texts: Sequence[np.ndarray] = (),
    verdicts: Sequence[Verdict] = (),
) -> PairBatch:
    """The slots that are not empty as arrays, with rows to replay and, of the step's completions as the reward model
    reads them, those that the rule has judged."""
    rm_texts, made = run.machine.rm_texts, [slot for slot in slots if slot]
    problems = [pair.problem for pair in made]
    sides = zip(rm_texts(problems, [p.right for p in made]), rm_texts(problems, [p.wrong for p in made]), strict=True)
    rng, replay, count = keys.generator(run.cfg.seed, Use.REPLAY, step), run.replay, run.cfg.pairs.replay_rows
    some = run.machine.dealt(rng.choice(len(replay.completions), count) if replay.completions else np.zeros(0, int))
    old = rm_texts([replay.problems[i] for i in some], [replay.completions[i] for i in some])
    labelled = count if replay.completions else 0
    judged = _judged(run, texts, verdicts) if run.cfg.pairs.labels else (0, (), ())
    return run.machine.packed_pairs(len(slots), list(sides), labelled, old, replay.label_R[some], judged)


def _judged(
    run: Run, texts: Sequence[np.ndarray], verdicts: Sequence[Verdict]
) -> tuple[int, list[np.ndarray], np.ndarray]:
    """Room for all completions of a step; this process's that the rule has judged, and their verdicts as 0 and 1."""
    verdict_B = metrics.coded(verdicts)
    known = [text for text, verdict in zip(texts, verdict_B, strict=True) if verdict >= 0]
    return run.cfg.rollout.rows, known, verdict_B[verdict_B >= 0]
