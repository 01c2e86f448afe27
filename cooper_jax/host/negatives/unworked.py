"""A wrong answer in place of the right one throughout a text whose working cannot be followed."""

from fractions import Fraction

import numpy as np

from cooper_jax.host.negatives.assistant import Request
from cooper_jax.host.negatives.equations import alone, tokens
from cooper_jax.host.negatives.language import counted, no_longer_one
from cooper_jax.host.negatives.numerals import literals, numbers, spelled
from cooper_jax.host.negatives.places import Span, core, replaced, restated
from cooper_jax.host.negatives.workings import enumerates
from cooper_jax.host.negatives.wrong_answer import wrong_answer

GUESSES = 12
"""How many wrong answers are tried."""


def everywhere(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """The completion with a wrong answer wherever the right one stands as a result; None where no rule makes one that
    the text can bear."""
    for _ in range(GUESSES):
        change = wrong_answer(stated.text, rng)
        if change is None:
            return None
        spans = restated(request, stated, change)
        old, new = core(stated.text, change.text)
        if old is None or new is None:
            return replaced(request.completion, spans)
        if not _likely(request, old.value, new.value):
            continue
        spans += _said(request, spans, old.value, new.value)
        edited = _in_language(request, spans, old.value, new.value)
        if edited is not None:
            return replaced(request.completion, edited)
    return None


def _likely(request: Request, old: Fraction, new: Fraction) -> bool:
    """Whether `new` may be the answer: no number that the text has, and no negative one where there is none."""
    known = list(literals(request.completion)) + list(literals(request.problem.question))
    below = any(n.value < 0 for n in known)
    return (below or new >= 0) and (new > 0 or old <= 0) and new not in {abs(n.value) for n in known}


def _said(request: Request, spans: list[Span], old: Fraction, new: Fraction) -> list[Span]:
    """Where the text says the right answer in words beside those `spans`, and the question does not have it."""
    text = request.completion
    if any(n.value == old for n in numbers(request.problem.question)):
        return []
    some = tokens(text)
    return [
        Span(token.start, token.end, spelled(new, token.text))
        for i, token in enumerate(some)
        if token.kind == "number" and token.value == old and alone(some, i) and counted(text, token.end)
        and not enumerates(text, token) and all(token.end <= s.start or s.end <= token.start for s in spans)
    ]  # fmt: skip


def _in_language(request: Request, spans: list[Span], old: Fraction, new: Fraction) -> list[Span] | None:
    """`spans`, with the nouns that the numbers count; None where these would not fit."""
    text = request.completion
    if new == 1 and any(counted(text, span.end) for span in spans):
        return None
    if old != 1:
        return spans
    more: list[Span] = []
    for span in spans:
        found = no_longer_one(text, span.start, span.end, f"{request.problem.question} {text}")
        if found is None:
            return None
        more += [Span(*edit) for edit in found]
    return spans + more
