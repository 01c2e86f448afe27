"""Rewriting by rule in the built-in task: a right completion of `a±b±c` into one that states a wrong answer."""

import re
from collections.abc import Callable

import numpy as np

from cooper_jax.config import Rewriting
from cooper_jax.host import arithmetic
from cooper_jax.host.negatives.assistant import Request, RuleAssistant
from cooper_jax.host.negatives.degenerate import cut


class ArithmeticAssistant(RuleAssistant):
    """Rewriting of `a±b±c`. Every text states a final answer near the reference, but the degenerate ones, which state
    none."""

    def written(self, kind: Rewriting, request: Request, rng: np.random.Generator) -> str | None:
        """A rewriting of that kind."""
        return _REWRITINGS[kind](request, rng)


def _restate(completion: str, old: int, new: int) -> str:
    """`new` wherever `old` stands as a result, behind `=` or `#`. An operand that happens to equal it is left alone."""
    return re.sub(rf"(?<=[=#]){old}(?!\d)", str(new), completion)


def _answer(request: Request, rng: np.random.Generator) -> str:
    """Faithful: the wrong answer stands everywhere the right one stood."""
    right = int(request.problem.reference)
    return _restate(request.completion, right, arithmetic.near(right, rng))


def _intermediate(request: Request, rng: np.random.Generator) -> str:
    """Faithful: the partial result is wrong and the error carried to the end. Without one to spoil, `_answer`."""
    partial, result = arithmetic.results(request.problem.question)
    wrong = arithmetic.near(partial, rng)
    off = result + wrong - partial
    passed_on = f"={partial};{partial}"
    if passed_on not in request.completion or not 0 <= off <= arithmetic.MAX_NUMBER:
        return _answer(request, rng)
    return _restate(request.completion, result, off).replace(passed_on, f"={wrong};{wrong}", 1)


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


def _truncate(request: Request, rng: np.random.Generator) -> str | None:
    """The work cut short, behind the first `#` at the latest."""
    text = request.completion[: request.completion.index("#") + 1]
    return cut(text, [m.end() for m in re.finditer(r"\d+|[^\d ]", text)], rng)


def _opener(request: Request, rng: np.random.Generator) -> str:
    """A sign, or the question, and nothing behind it."""
    question = request.problem.question
    return str(rng.choice(["#", "?", "~", "=", question, f"{question}="]))


_REWRITINGS: dict[str, Callable[[Request, np.random.Generator], str | None]] = {
    "answer": _answer,
    "intermediate": _intermediate,
    "final": _final,
    "hedge": _hedge,
    "omit": _omit,
    "retract": _retract,
    "repeat": _repeat,
    "garble": _garble,
    "truncate": _truncate,
    "opener": _opener,
}
