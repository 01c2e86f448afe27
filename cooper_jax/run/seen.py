"""What a step is seen to do: its samples and pairs, kept on the way, and made into tables once the step is logged."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from cooper_jax.device.state import RMTexts, Rollout
from cooper_jax.host.negatives.build import Pair
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.verdict import WRONG, Verdict
from cooper_jax.mesh import hosts
from cooper_jax.mesh.sharding import fetch
from cooper_jax.run.setup import Run
from cooper_jax.run.tables import Row, Tables
from cooper_jax.run.timeline import Timeline

SHOWN = 200
"""Characters of an answer that a reason repeats."""


class Seen:
    """The samples and pairs of `step`, counted from 1, where `log.samples_every` asks for them; else each method does
    nothing. All processes call each, and none waits for the device before `tables`."""

    def __init__(self, run: Run, step: int, asked: Sequence[Problem]) -> None:
        log = run.cfg.log
        self._run, self._step, self._asked = run, step, asked
        self._due = log.samples_every > 0 and (step in (1, run.cfg.steps) or step % log.samples_every == 0)
        self._places = run.machine.mine(range(len(asked)), run.copies)
        self._told: list[list[Any]] = []
        self._graded: dict[str, jax.Array] = {}
        self._pairs: list[tuple[int, Pair]] = []
        self._texts: list[RMTexts] = []
        self._scores: list[list[jax.Array]] = []

    def samples(
        self, rollout: Rollout, completions: Sequence[str], verdicts: Sequence[Verdict], reward_B: jax.Array
    ) -> None:
        """Keep this process's completions, and what became of them, of as many whole groups as are written."""
        if not self._due:
            return
        group = self._run.cfg.rollout.group
        most = max(1, self._run.cfg.log.samples // group)
        rows = [place * group + i for place in self._places for i in range(group)]
        for row, text, verdict in zip(rows, completions, verdicts, strict=True):
            if row < most * group:
                reference = self._asked[row // group].reference
                self._told.append([row, _encodable(text), verdict.verdict, reason(verdict, reference)])
        self._graded = self._run.jits.graded(rollout, reward_B)

    def pairs_before(self, slots: Sequence[Pair | None], params: Any, time: Timeline) -> None:
        """Keep this process's pairs, as far as they are written, and what the reward model says of them before its
        update, which may take `params`."""
        if not self._due:
            return
        with time.host("samples"):
            run, each = self._run, self._run.cfg.pairs.per_question
            numbers = [place * each + i for place in self._places for i in range(each)]
            most = run.cfg.log.samples
            self._pairs = [(n, pair) for n, pair in zip(numbers, slots, strict=True) if pair and n < most]
            problems = [pair.problem for _, pair in self._pairs for _ in range(2)]
            texts = run.machine.rm_texts(problems, [side for _, p in self._pairs for side in (p.right, p.wrong)])
            # In the shape in which samples are scored, which is compiled; as often in each process.
            room, sides = run.cfg.rollout.rows // run.machine.share.shares, 2 * min(len(slots), most)
            for first in range(0, sides, room):
                part = texts[first : first + room]
                part += [np.zeros(0, np.int32)] * (room - len(part))
                self._texts.append(run.machine.put(run.machine.packed(part)))
        self._score(params, time)

    def pairs_after(self, params: Any, time: Timeline) -> None:
        """What the reward model says of them after its update."""
        if self._due:
            self._score(params, time)

    def _score(self, params: Any, time: Timeline) -> None:
        self._scores.append([time.device("samples", self._run.jits.score(params, texts)) for texts in self._texts])

    def tables(self) -> Tables | None:
        """Rows of all processes, in their order; whole in the first process. None of a step that is not written."""
        if not self._due:
            return None
        leads = self._run.machine.share.leads
        scores = [np.concatenate(fetch(parts)) for parts in self._scores]
        pairs: list[list[Any]] = []
        for i, (slot, pair) in enumerate(self._pairs):
            said = [float(score_B[2 * i + side]) for score_B in scores for side in (0, 1)]
            origin = "on_policy" if pair.on_policy else self._run.cfg.assistant.kind
            pairs.append([slot, _encodable(pair.right), _encodable(pair.wrong), origin, pair.kind, *said])
        found = hosts.gather((self._told, pairs) if leads else ([], []))
        graded = {name: x_B.tolist() for name, x_B in fetch(self._graded).items()}
        samples = [self._sample(graded, *told) for some, _ in found for told in some]
        made = [self._pair(*told) for _, some in found for told in some]
        by = lambda name: lambda row: row[name]  # noqa: E731
        trains = self._run.cfg.train_reward
        return Tables(self._step, sorted(samples, key=by("row")), sorted(made, key=by("slot")) if trains else None)

    def _sample(self, graded: dict[str, list[Any]], row: int, text: str, verdict: str, why: str) -> Row:
        group = row // self._run.cfg.rollout.group
        of_row = {name: values[row] for name, values in graded.items()}
        if self._run.cfg.reward_source == "rule":
            of_row["score"] = None
        about = {"step": self._step, "row": row, "group": group} | self._about(group)
        return about | {"completion": text, "verdict": verdict, "reason": why} | of_row

    def _pair(self, slot: int, right: str, wrong: str, origin: str, kind: str, *scores: float) -> Row:
        names = ("right_before", "wrong_before", "right_after", "wrong_after")
        about = {"step": self._step, "slot": slot} | self._about(slot // self._run.cfg.pairs.per_question)
        sides = {"right": right, "wrong": wrong, "origin": origin, "kind": kind}
        return about | sides | dict(zip(names, scores, strict=True))

    def _about(self, place: int) -> Row:
        asked = self._asked[place]
        return {"question": _encodable(asked.question), "reference": _encodable(asked.reference)}


def reason(verdict: Verdict, reference: str) -> str:
    """Why a verdict is what it is; of one for another answer than the reference, both."""
    if verdict.verdict == WRONG and verdict.answer is not None:
        return _encodable(f"answers {verdict.answer[:SHOWN]} for {reference[:SHOWN]}")
    return _encodable(verdict.reason)


def _encodable(text: str) -> str:
    """`text` as UTF-8 can hold it: half a surrogate pair, which JSON lets through, becomes `?`."""
    return text.encode(errors="replace").decode()
