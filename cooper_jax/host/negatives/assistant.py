"""Who rewrites a right completion into a wrong one: by rule, for the built-in task and for mathematical text
(`rewrite.py`), or a model behind a server.

A request is a problem and a right completion of it; the reply is a finished text, or None. Whether the text is wrong is
not the assistant's word but the verifier's: see `negatives.py`.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from cooper_jax.config import Rewriting
from cooper_jax.host import arithmetic
from cooper_jax.host.server import Chat, Server
from cooper_jax.host.text.data import Problem


class Request(NamedTuple):
    """A right completion to be rewritten."""

    problem: Problem
    completion: str
    answer: str
    """What the completion answers, as the verifier read it."""


class Assistant(Protocol):
    """Rewrites, one round at a time; a reply is None where no finished text came of it. `lockstep`: it is called in
    every round, also for nothing, so that all processes of a mesh call it equally often."""

    lockstep: bool

    def rewrite(self, requests: Sequence[Request], rng: np.random.Generator) -> list[str | None]: ...

    def figures(self) -> dict[str, float]:
        """Counts since the last call, for the log."""
        ...


class ArithmeticAssistant:
    """Rule-based rewriting for `a±b±c`; each request draws one of `kinds`."""

    lockstep = False

    def __init__(self, kinds: Sequence[Rewriting]) -> None:
        self._kinds = list(kinds)

    def rewrite(self, requests: Sequence[Request], rng: np.random.Generator) -> list[str | None]:
        """A wrong version of each completion. Every one states a final answer near the reference."""
        return [_REWRITINGS[self._kinds[rng.integers(len(self._kinds))]](request, rng) for request in requests]

    def figures(self) -> dict[str, float]:
        """None."""
        return {}


class ServerAssistant:
    """A model behind a server, asked with `prompt`; every request has a seed of its own."""

    lockstep = False

    def __init__(self, server: Server, prompt: str) -> None:
        self._server, self._prompt = server, prompt

    def rewrite(self, requests: Sequence[Request], rng: np.random.Generator) -> list[str | None]:
        """Ask for all at once and wait. Raises UserError where the server refuses for good."""
        chats = [Chat(asked(self._prompt, r.problem, r.completion), int(rng.integers(2**31))) for r in requests]
        replies = self._server.ask(chats)
        return [
            None if reply.text is None else without_chatter(reply.text, request.completion)
            for request, reply in zip(requests, replies, strict=True)
        ]

    def figures(self) -> dict[str, float]:
        """What the server counted."""
        return {f"assistant/{name}": count for name, count in self._server.figures().items()}


def asked(prompt: str, problem: Problem, completion: str) -> str:
    """What a model is asked about a completion: `prompt` with question, reference and completion put in."""
    return filled(prompt, question=problem.question, reference=problem.reference, completion=completion)


def filled(prompt: str, **texts: str) -> str:
    """`prompt` with each {name} replaced; what is put in is not searched, and other braces stand."""
    return re.sub("|".join(rf"\{{{name}\}}" for name in texts), lambda found: texts[found[0][1:-1]], prompt)


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


def _restate(completion: str, old: int, new: int) -> str:
    """`new` wherever `old` stands as a result, behind `=` or `#`. An operand that happens to equal it is left alone."""
    return re.sub(rf"(?<=[=#]){old}(?!\d)", str(new), completion)


def _answer(request: Request, rng: np.random.Generator) -> str:
    """Faithful: the wrong answer stands everywhere the right one stood."""
    right = int(request.problem.reference)
    return _restate(request.completion, right, arithmetic.near(right, rng))


def _steps(request: Request, rng: np.random.Generator) -> str:
    """Faithful: the first step is wrong and the error carried to the end. Without a step to spoil, `_answer`."""
    partial, result = arithmetic.steps(request.problem.question)
    wrong = arithmetic.near(partial, rng)
    off = result + wrong - partial
    step = f"={partial};{partial}"
    if step not in request.completion or not 0 <= off <= arithmetic.MAX_NUMBER:
        return _answer(request, rng)
    return _restate(request.completion, result, off).replace(step, f"={wrong};{wrong}", 1)


def _final(request: Request, rng: np.random.Generator) -> str:
    """Only the last stated answer changes; a worked text is then at odds with itself."""
    body = request.completion[: request.completion.rindex("#")]
    return f"{body}#{arithmetic.near(int(request.problem.reference), rng)}"


def _hedge(request: Request, rng: np.random.Generator) -> str:
    """The right answer put in question, then a wrong one."""
    return f"{request.completion}?#{arithmetic.near(int(request.problem.reference), rng)}"


def _omit(request: Request, rng: np.random.Generator) -> str:
    """The work left out, a wrong answer alone."""
    return f"#{arithmetic.near(int(request.problem.reference), rng)}"


def _retract(request: Request, rng: np.random.Generator) -> str:
    """The right answer taken back for a wrong one."""
    return f"{request.completion}~#{arithmetic.near(int(request.problem.reference), rng)}"


def _repeat(request: Request, rng: np.random.Generator) -> str:
    """The wrong answer restated once or twice."""
    wrong = _answer(request, rng)
    return wrong + f"~#{arithmetic.answer(wrong)}" * int(rng.integers(1, 3))


def _garble(request: Request, rng: np.random.Generator) -> str:
    """The work in random order with pieces lost, then a wrong answer."""
    pieces = re.findall(r"\d+|[^\d ]", request.completion[: request.completion.rindex("#")])
    kept = [p for p in pieces if rng.random() < 0.7]
    return f"{' '.join(rng.permutation(kept))}#{arithmetic.near(int(request.problem.reference), rng)}"


_REWRITINGS: dict[str, Callable[[Request, np.random.Generator], str]] = {
    "answer": _answer,
    "steps": _steps,
    "final": _final,
    "hedge": _hedge,
    "omit": _omit,
    "retract": _retract,
    "repeat": _repeat,
    "garble": _garble,
}
