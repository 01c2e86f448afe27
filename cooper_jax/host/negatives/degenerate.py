"""Negatives that are no attempt at an answer: text cut short, or an opening and nothing behind it.

A judge that compares with a reference is fooled by openings and signs alone, and learns not to be from texts cut short
(Zhao et al. 2025, arXiv 2507.08794). Such a text states no answer, so the proof is another than for a rewriting: the
rule must call it wrong, which it does of a text without an answer, and it holds nothing of the positive's answer, so
that no other way to find one would call it right. An unknown verdict proves nothing here either.
"""

import re
from collections.abc import Sequence

import numpy as np

from cooper_jax.config import Rewriting
from cooper_jax.host.negatives.assistant import Request
from cooper_jax.host.negatives.numerals import literals, numbers
from cooper_jax.host.negatives.places import Span

OPENINGS = ("Thought process:", "Let's solve this problem step by step.", "Solution", ":", ".", ",")
"""Of the paper's "master keys", those in English."""


DEGENERATE: frozenset[Rewriting | str] = frozenset({"truncate", "opener"})
"""Kinds that are to state no answer. `build.py` asks of them neither the positive's form nor its length."""


def cut(text: str, ends: Sequence[int], rng: np.random.Generator) -> str | None:
    """`text` up to one of `ends`, drawn at random; None where there is none."""
    return text[: ends[int(rng.integers(len(ends)))]] if ends else None


def truncate(request: Request, stated: Span, rng: np.random.Generator) -> str | None:
    """Mathematical text cut between words, somewhere before it first has the answer in any spelling."""
    text = request.completion.strip()
    found = [m.start() for m in re.finditer(rf"(?<!\w){re.escape(stated.text)}(?!\w)", text)]
    worth = {abs(n.value) for n in (*literals(stated.text), *numbers(stated.text))}
    found += [n.start for n in (*literals(text), *numbers(text)) if abs(n.value) in worth]
    first = min(found, default=len(text))
    return cut(text, [m.start() for m in re.finditer(r"(?<=\S)\s", text[:first])], rng)


def opener(request: Request, stated: Span, rng: np.random.Generator) -> str:
    """An opening alone."""
    return OPENINGS[int(rng.integers(len(OPENINGS)))]
