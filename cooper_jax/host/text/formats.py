"""Data sets as they are published, each a row format of its own: a question, its reference and, where the row has one,
a worked solution. docs/data.md shows a row of each.
"""

import re
from collections.abc import Callable, Container
from typing import Any, NamedTuple, TypeVar

from cooper_jax.host.text import equations
from cooper_jax.host.text.problem import Problem, text

Row = dict[str, Any]
T = TypeVar("T")
_TYPESETTING = re.compile(r"(\\\\|\\noindent|\\end\{problem\}|\s)+$")
"""What Math Odyssey's rows still have of the LaTeX file they were cut from."""
_CALCULATOR = re.compile(r"<<[^<>\n]*>>")
"""GSM8K's marks for a calculator, as in `48/2 = <<48/2=24>>24`."""
_UNIT = re.compile(r"(-?[\d.,/]+|-?\(\d+/\d+\))\s*\(.*\)$")
"""ASDiv's answers, as in `9 (apples)`."""


class Question(NamedTuple):
    """A problem of a data set, its kind, by which results may be told apart (level or subject), and its worked
    solution, without the answer's statement; both may be empty."""

    problem: Problem
    kind: str
    solution: str = ""


def rationale(answer: str, mark: str = "####") -> str:
    """What GSM8K's answer says before its last `####`, without the marks for a calculator."""
    return _CALCULATOR.sub("", answer.rpartition(mark)[0]).strip()


def _gsm8k(row: Row) -> Question:
    whole = text("answer", row["answer"])
    _, mark, answer = whole.rpartition("####")
    if not mark:
        raise ValueError("the answer holds no ####")
    return Question(Problem(text("question", row["question"]), text("answer", answer)), "", rationale(whole))


def _solved(name: str, row: Row, reference: str) -> str:
    return equations.solved(text(name, row.get(name) or "", empty=True), reference)


def _svamp(row: Row) -> Question:
    if "question_concat" in row:
        question = text("question_concat", row["question_concat"])
    else:
        question = f"{text('Body', row['Body']).rstrip(' .')}. {text('Question', row['Question'])}"
    # The original file gives numbers, a later edition text: 1.0 and "1.0" are both 1.
    reference = text("Answer", float(row["Answer"]))
    solution = _solved("Equation", row, reference)
    return Question(Problem(question, reference), row.get("Type") or "", solution)


def _mawps(row: Row) -> Question:
    if "sQuestion" in row:  # the original
        [answer] = row["lSolutions"]
        question, reference = text("sQuestion", row["sQuestion"]), text("lSolutions", float(answer))
        given = row.get("lEquations") or [""]
        equation = re.sub(r"^\s*[Xx]\s*=", "", given[0]) if len(given) == 1 else ""
        return Question(Problem(question, reference), "", equations.solved(equation, reference))
    question, answer = text("input", row["input"]), row["target"]
    return Question(Problem(question, text("target", float(answer))), row.get("type") or "")


def _asdiv(row: Row) -> Question:
    answer = text("answer", row["answer"])
    unit = _UNIT.fullmatch(answer)
    reference = unit[1] if unit else answer
    question = f"{text('body', row['body'])} {text('question', row['question'])}"
    solution = _solved("formula", row, reference)
    return Question(Problem(question, reference), row.get("solution_type") or "", solution)


def _math500(row: Row) -> Question:
    problem = Problem(text("problem", row["problem"]), text("answer", row["answer"]))
    return Question(problem, f"level {row['level']}" if "level" in row else "", row.get("solution") or "")


def _olympiadbench(row: Row) -> Question:
    answers = row["final_answer"]
    if isinstance(answers, list):
        answers = ", ".join(text("final_answer", answer) for answer in answers)
    question = text("question", row["question"])
    if row.get("context"):
        question = f"{text('context', row['context'])}\n{question}"
    return Question(Problem(question, text("final_answer", answers)), row.get("subfield") or "")


def _odyssey(row: Row) -> Question:
    inner = next(iter(row.values())) if len(row) == 1 else row  # {"Problem_1": {...}}, or what is inside alone
    if not isinstance(inner, dict):
        raise ValueError('needs {"Problem_1": {"question": ..., "answer": ...}}')
    question, answer = (text(name, _TYPESETTING.sub("", text(name, inner[name]))) for name in ("question", "answer"))
    return Question(Problem(question, answer), inner.get("level") or "")


FORMATS: dict[str, Callable[[Row], Question]] = {
    "gsm8k": _gsm8k,
    "svamp": _svamp,
    "mawps": _mawps,
    "asdiv": _asdiv,
    "math500": _math500,
    "olympiadbench": _olympiadbench,
    "odyssey": _odyssey,
}
_UNMISTAKABLE = {
    "svamp": ({"Body", "Question", "Answer"}, {"question_concat", "Answer"}),
    "mawps": ({"input", "target"}, {"sQuestion", "lSolutions"}),
    "asdiv": ({"body", "question", "answer"},),
}
"""Columns that tell a format, in its editions."""


def named(source: str) -> tuple[str, str]:
    """`NAME:PATH` -> (NAME, PATH), with NAME empty where none of the formats is named."""
    name, colon, place = source.partition(":")
    return (name, place) if colon and name in FORMATS else ("", source)


def recognised(columns: Container[str]) -> str:
    """The format whose columns these are; empty for none."""
    tells = ((name, edition) for name, editions in _UNMISTAKABLE.items() for edition in editions)
    return next((name for name, edition in tells if all(column in columns for column in edition)), "")


def parsed(name: str, parse: Callable[[Row], T], row: Row) -> T:
    """What `parse` makes of a row of the format `name`. Raises ValueError saying what is wrong with it."""
    try:
        return parse(row)
    except KeyError as error:
        raise ValueError(f"a row of {name} needs {error}; it has {', '.join(map(str, row))}") from None
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise ValueError(f"not a row of {name}: {error}") from None
