"""Prompts with {question}, {reference} and {completion} put in."""

import re

from cooper_jax.host.text.data import Problem


def asked(prompt: str, problem: Problem, completion: str) -> str:
    """What a model is asked about a completion: `prompt` with question, reference and completion put in."""
    return filled(prompt, question=problem.question, reference=problem.reference, completion=completion)


def filled(prompt: str, **texts: str) -> str:
    """`prompt` with each {name} replaced; what is put in is not searched, and other braces stand."""
    return re.sub("|".join(rf"\{{{name}\}}" for name in texts), lambda found: texts[found[0][1:-1]], prompt)
