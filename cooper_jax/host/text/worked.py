"""Questions with completions to imitate, from any source that has worked answers; docs/data.md shows them."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from cooper_jax.config import Data, Prompting, Verifier, require
from cooper_jax.host.text import columns, data, encode, formats
from cooper_jax.host.text.data import Form, Problems
from cooper_jax.host.text.formats import Question, Row
from cooper_jax.host.text.problem import Problem, text
from cooper_jax.host.verifier.mathematics import extract

_CHAT = "messages"
_COMPLETIONS = ("completion", "response")
_SOLUTIONS = ("solution", "rationale", "reasoning")
_BOXED, _HASH, _PHRASE = "The answer is \\boxed{{{}}}.", "#### {}", "The answer is {}."
_FORMS = {"boxed": _BOXED, "hash": _HASH, "phrase": _PHRASE, "last": _PHRASE}


class Example(NamedTuple):
    """A problem, whose reference may be empty, and what is to be said to it."""

    problem: Problem
    completion: str
    whole: bool
    """A completion is said as it is; behind a worked solution the answer is stated."""


def examples(source: str, cfg: Data, column: str) -> Problems[Example]:
    """The worked answers of a source, in `column` or where they are recognised; rows without one are counted.

    Raises UserError: as `data.collect`, or where no row has one.
    """
    require(
        not (column and formats.named(source)[0]),
        f"{source} has the columns of its format; leave out --sft.solution, or name the file alone",
    )
    found = data.collect(source, cfg.split, cfg, partial(_form, cfg=cfg, column=column))
    found.drop("without a worked solution that can be read", [not example.completion for example in found.kept])
    require(
        len(found.kept) > 0,
        f"{found}: nothing to imitate; name a source with worked answers in --sft.data (docs/data.md lists them), or "
        "their column with --sft.solution",
    )
    return found


def stated(some: Sequence[Example], verifier: Verifier, prompting: Prompting) -> list[Example]:
    """The examples, with the reference stated behind each worked solution as the verifier reads it, unless the solution
    states an answer already. Where the verifier reads several forms, it is the one that the prompt names."""
    return [_stated(example, verifier, prompting) for example in some]


def _stated(example: Example, verifier: Verifier, prompting: Prompting) -> Example:
    problem, said = example.problem, example.completion
    if example.whole or not problem.reference:
        return example
    if verifier.rule == "arithmetic":
        form, there = "#{}", False
    else:
        asked = "\n".join(message.content for message in encode.chat(problem, prompting))
        by_prompt = _BOXED if "\\boxed" in asked else _HASH if "####" in asked else _PHRASE
        form = _FORMS.get(verifier.extract, by_prompt)
        there = {_BOXED: extract.has_box(said), _HASH: "####" in said, _PHRASE: extract.has_phrase(said)}[form]
    return example if there else example._replace(completion=f"{said}\n{form.format(problem.reference)}")


def _form(row: Row, name: str, cfg: Data, column: str) -> Form[Example]:
    if name or (not (column or cfg.question or cfg.answer) and formats.recognised(row)):
        form = data.question_form(row, name, cfg)
        return Form(form.said, form.columns, lambda row: _of(form.read(row)))
    if column and not columns.has(row, column):
        raise ValueError(f"no column {column}; it has {', '.join(row)}; name the column with --sft.solution")
    known = [cfg.answer] if cfg.answer else [name for name in columns.ANSWERS if columns.has(row, name)]
    said = column or next((c for c in (_CHAT, *_COMPLETIONS, *_SOLUTIONS) if columns.has(row, c)), "")
    answer = next((name for name in known if name != said), "")
    asked = "" if said == _CHAT else columns.question(row, cfg)
    if not (said or answer):
        raise ValueError(f"no worked answer; it has {', '.join(row)}; name its column with --sft.solution")
    shown = f"{asked} -> {said or answer}" if asked else said
    read = partial(_example, asked=asked, said=said, answer=answer, mark=cfg.answer_after)
    return Form(shown, [name for name in (asked, said, answer) if name], read)


def _of(question: Question) -> Example:
    return Example(question.problem, question.solution, whole=False)


def _example(row: Row, asked: str, said: str, answer: str, mark: str) -> Example:
    """Raises ValueError saying what is wrong with the row."""
    for name in (asked, said, answer):
        if name and not columns.has(row, name):
            raise ValueError(f"no column {name}")
    value: Any = columns.at(row, said or answer)
    reference = columns.reference(answer, columns.at(row, answer), mark) if answer else ""
    if not asked:
        chat = value if isinstance(value, list) else []
        completion = _assistant(said, chat)
        before = columns.messages(said, chat[:-1])
        return Example(Problem(before[-1].content.strip(), reference, before), completion, whole=True)
    problem = columns.asked(asked, columns.at(row, asked), reference)
    if isinstance(value, list):
        return Example(problem, _assistant(said, value), whole=True)
    completion = text(said or answer, value)
    if said in _COMPLETIONS:
        return Example(problem, completion, whole=True)
    if said and answer:
        return Example(problem, completion, whole=False)
    if mark and mark in completion:  # one column for both, as GSM8K's
        problem = problem._replace(reference=columns.reference(said or answer, completion, mark))
        return Example(problem, formats.rationale(completion, mark), whole=False)
    return Example(problem, completion if said else "", whole=True)


def _assistant(name: str, chat: Sequence[Any]) -> str:
    turns = columns.turns(name, list(chat[-1:]))
    if not turns or turns[0].role != "assistant":
        raise ValueError(f"column {name}: the last message must be the assistant's")
    return text(name, turns[0].content)
