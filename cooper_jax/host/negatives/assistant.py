"""Who rewrites a right completion into a wrong one: what any assistant is given and gives, and a model behind a server.

A request is a problem and a right completion of it; the reply is a finished text, or None. Whether the text is wrong is
not the assistant's word but the verifier's: see `build.py`. By rule: `arithmetic.py` and `mathematics.py`.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from cooper_jax.config import Rewriting
from cooper_jax.host.server import Chat, Server
from cooper_jax.host.text.data import Problem
from cooper_jax.host.text.templates import asked


class Request(NamedTuple):
    """A right completion to be rewritten."""

    problem: Problem
    completion: str
    answer: str
    """What the completion answers, as the verifier read it."""


class Rewritten(str):
    """A text that knows its kind of rewriting, where an assistant has several."""

    kind: Rewriting

    @classmethod
    def of(cls, text: str, kind: Rewriting) -> "Rewritten":
        """`text`, of `kind`."""
        made = cls(text)
        made.kind = kind
        return made


class Assistant(Protocol):
    """Rewrites, one round at a time; a reply is None where no finished text came of it. `lockstep`: it is called in
    every round, also for nothing, so that all processes of a mesh call it equally often.

    A request stands in its slot; the slots of which nothing is asked hold None. What is drawn for it comes from its own
    generator in `rngs`, whatever else is asked beside it; for all together from `key`, uint32 [2], which is the same in
    every process.
    """

    lockstep: bool

    def rewrite(
        self, requests: Sequence[Request | None], rngs: Sequence[np.random.Generator], key: np.ndarray | None = None, /
    ) -> list[str | None]: ...

    def figures(self) -> dict[str, float]:
        """Counts since the last call, for the log."""
        ...

    def trouble(self) -> str:
        """Why the last text that failed to come did not, in a line; empty where nothing can be said."""
        ...


class RuleAssistant(ABC):
    """Rewriting by rule; each request draws one of `kinds`."""

    lockstep = False

    def __init__(self, kinds: Sequence[Rewriting]) -> None:
        self._kinds = list(kinds)

    @abstractmethod
    def written(self, kind: Rewriting, request: Request, rng: np.random.Generator) -> str | None:
        """A rewriting of that kind; None where the rule finds none."""

    def rewrite(
        self, requests: Sequence[Request | None], rngs: Sequence[np.random.Generator], key: np.ndarray | None = None
    ) -> list[str | None]:
        """A wrong version of each completion."""
        return [self._one(request, rng) if request else None for request, rng in zip(requests, rngs, strict=True)]

    def figures(self) -> dict[str, float]:
        """None."""
        return {}

    def trouble(self) -> str:
        """Nothing."""
        return ""

    def _one(self, request: Request, rng: np.random.Generator) -> str | None:
        kind = self._kinds[rng.integers(len(self._kinds))]
        text = self.written(kind, request, rng)
        return None if text is None else Rewritten.of(text, kind)


class ServerAssistant:
    """A model behind a server, asked with `prompt`; every request has a seed of its own."""

    lockstep = False

    def __init__(self, server: Server, prompt: str) -> None:
        self._server, self._prompt = server, prompt

    def rewrite(
        self, requests: Sequence[Request | None], rngs: Sequence[np.random.Generator], key: np.ndarray | None = None
    ) -> list[str | None]:
        """Ask for all at once and wait. Raises UserError where the server refuses for good."""
        wanted = [(r, rng) for r, rng in zip(requests, rngs, strict=True) if r]
        chats = [Chat(asked(self._prompt, r.problem, r.completion), int(rng.integers(2**31))) for r, rng in wanted]
        replies = iter(self._server.ask(chats))
        return [_reply(next(replies).text, request) if request else None for request in requests]

    def figures(self) -> dict[str, float]:
        """What the server counted."""
        return {f"assistant/{name}": count for name, count in self._server.figures().items()}

    def trouble(self) -> str:
        """What the server met with last."""
        return self._server.trouble


def _reply(text: str | None, request: Request) -> str | None:
    return None if text is None else without_chatter(text, request.completion)


_FENCED = re.compile(r"```\w*\n(.*?)\n?```", re.DOTALL)
_OPENING = re.compile(
    r"(?:sure|certainly|of course|okay|ok|here(?:'s| is| are| it is)|below is)\b[^\n]*[:.!]\s*\n", re.IGNORECASE
)


def without_chatter(reply: str, completion: str) -> str:
    """A model's text without what it wraps around a solution. In this order, where `completion` has none of it itself:
    everything through the last `</think>`; first lines that open with Sure, Certainly, Of course, Okay, Here is or
    Below is and end in `:`, `.` or `!`; a code fence around all the rest. Nothing else is touched."""
    if "</think>" not in completion:
        reply = reply.rpartition("</think>")[2]
    reply = reply.strip()
    while not _OPENING.match(completion) and (opening := _OPENING.match(reply)):
        reply = reply[opening.end() :].strip()
    fenced = _FENCED.fullmatch(reply)
    return fenced[1].strip() if fenced and "```" not in completion else reply
