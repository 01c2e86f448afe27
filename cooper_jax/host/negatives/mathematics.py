"""Rewriting of mathematical text by rule: a right solution, in LaTeX or prose, into one that ends in a wrong answer.

Faithful kinds leave nothing in the text that contradicts the wrong answer. Of a text whose working can be followed they
set a step up wrongly and work out the rest truly (`setups.py`): `answer` the step that gives the answer, `intermediate`
one before it. In any other text they put a wrong answer wherever the right one stands as a result, in each spelling
(`places.py`).
"""

import re
from collections.abc import Callable

import numpy as np

from cooper_jax.config import Rewriting
from cooper_jax.host.negatives import degenerate
from cooper_jax.host.negatives.assistant import Request, RuleAssistant
from cooper_jax.host.negatives.places import Span, replaced, restated, sentence, statement
from cooper_jax.host.negatives.setups import slipped
from cooper_jax.host.negatives.unworked import everywhere
from cooper_jax.host.negatives.wrong_answer import wrong_answer


class MathAssistant(RuleAssistant):
    """Rewriting of mathematical text, in its form: outer white space and the way to state an answer stand."""

    def written(self, kind: Rewriting, request: Request, rng: np.random.Generator) -> str | None:
        """A rewriting of that kind; None where the text states no answer, or none that a rule can make wrong."""
        stated = statement(request.completion, request.answer)
        text = _REWRITINGS[kind](request, stated, rng) if stated else None
        return text if text and text.strip() != request.completion.strip() else None


def _answer(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """Faithful: the last step is set up wrongly. Without one to follow, a wrong answer stands wherever the right one
    stood."""
    return _slip(request, stated, rng, last=True)


def _intermediate(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """Faithful: an earlier step is set up wrongly and the error carried to the end. Without one, `_answer`."""
    return _slip(request, stated, rng, last=False)


def _slip(request: Request, stated: Span, rng: np.random.Generator, last: bool) -> str | None:
    text = slipped(request.completion, request.problem.question, stated.start, stated.end, last, rng)
    return text or everywhere(request, stated, rng)


def _final(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """Only the last stated answer changes; a worked text is then at odds with itself."""
    change = wrong_answer(stated.text, rng)
    return replaced(request.completion, [Span(stated.start, stated.end, change.text)]) if change else None


def _ended(request: Request, stated: Span, rng: np.random.Generator, body: Callable[[str], str]) -> str | None:
    """`body` of the text, then its stating line with a wrong answer; outer white space as it was."""
    change = wrong_answer(stated.text, rng)
    if change is None:
        return None
    text = request.completion
    start, end = sentence(text, stated)
    line = replaced(text[start:end], [Span(stated.start - start, stated.end - start, change.text)])
    lead, tail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    written = body(text.strip()).strip()
    return lead + (f"{written}\n\n" if written else "") + line.strip() + tail


def _hedge(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """The right answer put in question, then a wrong one."""
    return _ended(request, stated, rng, lambda text: f"{text}\n\nBut is that right? Let me look again.")


def _omit(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """The work left out, a wrong answer alone."""
    return _ended(request, stated, rng, lambda _: "")


def _retract(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """The right answer taken back for a wrong one."""
    return _ended(request, stated, rng, lambda text: f"{text}\n\nNo, that is a mistake. Corrected:")


def _repeat(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """The wrong answer restated once or twice."""
    change = wrong_answer(stated.text, rng)
    if change is None:
        return None
    text = replaced(request.completion, restated(request, stated, change))
    again = statement(text, change.text)
    if again is None:
        return None
    start, end = sentence(text, again)
    tail = text[len(text.rstrip()) :]
    return text.rstrip() + f"\n\n{text[start:end].strip()}" * int(rng.integers(1, 3)) + tail


def _garble(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """The work in random order with sentences lost, then a wrong answer."""

    def body(text: str) -> str:
        work = request.completion[: sentence(request.completion, stated)[0]]
        pieces = [p for p in re.split(r"(?<=[.!?])\s+|\n+", work) if p.strip() and rng.random() < 0.7]
        return "\n".join(pieces[i] for i in rng.permutation(len(pieces)))

    return _ended(request, stated, rng, body)


_REWRITINGS: dict[str, Callable[[Request, Span, np.random.Generator], str | None]] = {
    "answer": _answer,
    "intermediate": _intermediate,
    "final": _final,
    "hedge": _hedge,
    "omit": _omit,
    "retract": _retract,
    "repeat": _repeat,
    "garble": _garble,
    "truncate": degenerate.truncate,
    "opener": degenerate.opener,
}
