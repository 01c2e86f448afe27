"""The last right completions of each question: positives for the steps in which it has none."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.verdict import RIGHT, Verdict

ROOM = 32 * 2**20
"""Characters kept in all; beyond these, the questions that have been right least recently are forgotten."""
Texts = tuple[tuple[str, str], ...]


class Kept:
    """Up to `most` right completions of each question, each with the answer that the rule read in it.

    Every process keeps those of all, so that what a question gets does not depend on who held it before. `gather` gives
    what it is given in every process, where there are several.
    """

    def __init__(self, most: int, gather: Callable[[Any], list[Any]] = lambda value: [value], room: int = ROOM) -> None:
        self._most, self._gather, self._room = most, gather, room
        self._texts: dict[str, Texts] = {}
        self._size = 0

    def of(self, problem: Problem) -> Mapping[str, str]:
        """Completion -> answer of the question, as of the last `add`."""
        return dict(self._texts.get(_key(problem), ()))

    def add(
        self,
        places: Sequence[int],
        problems: Sequence[Problem],
        completions: Sequence[str],
        verdicts: Sequence[Verdict],
    ) -> None:
        """Keep the right ones of a step: of each of this process's `problems`, whose `places` are those in the whole
        batch, a group of completions. All processes must call; does nothing where nothing is to be kept."""
        if not self._most:
            return
        group, found = len(completions) // len(problems), []
        for i, (place, problem) in enumerate(zip(places, problems, strict=True)):
            row = range(i * group, (i + 1) * group)
            right = {completions[j]: verdicts[j].answer or "" for j in row if verdicts[j].verdict == RIGHT}
            if right:
                found.append([int(place), _key(problem), list(right.items())[-self._most :]])
        for _, key, right in sorted(item for some in self._gather(found) for item in some):
            texts = dict(self._forget(key))
            for text, answer in right:
                texts.pop(text, None)  # to the end: it is the latest again
                texts[text] = answer
            self._texts[key] = tuple(texts.items())[-self._most :]
            self._size += _size(self._texts[key])
        while self._size > self._room:
            self._forget(next(iter(self._texts)))

    def state(self) -> list[Any]:
        """What `load` takes: anything that JSON holds, and unchanged by a later `add`."""
        return list(self._texts.items())

    def load(self, state: Sequence[Any]) -> None:
        """Go on from what `state` gave."""
        self._texts = {key: tuple((text, answer) for text, answer in texts) for key, texts in state}
        self._size = sum(map(_size, self._texts.values()))

    def _forget(self, key: str) -> Texts:
        texts = self._texts.pop(key, ())
        self._size -= _size(texts)
        return texts


def _key(problem: Problem) -> str:
    return hashlib.sha256(json.dumps(problem).encode()).hexdigest()[:24]


def _size(texts: Texts) -> int:
    return sum(len(text) + len(answer) for text, answer in texts)
