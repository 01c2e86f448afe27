"""A row's columns, named or recognised by their names, as a question and its reference."""

from collections.abc import Sequence
from typing import Any

from cooper_jax.config import Data
from cooper_jax.host.text.problem import Message, Problem, text

# In order of preference: where a row has both an `answer` and a worked `solution`, the reference is the `answer`.
QUESTIONS = ("question", "problem", "prompt", "query")
ANSWERS = (
    "reward_model.ground_truth", "reference_answer", "answer", "final_answer", "ground_truth", "target", "solution",
)  # fmt: skip


def question(row: dict[str, Any], cfg: Data) -> str:
    """The column of the question: as named in `cfg`, or the first known name that the row has.

    Raises ValueError where there is none.
    """
    return _column(row, "question", cfg.question, QUESTIONS)


def answer(row: dict[str, Any], cfg: Data) -> str:
    """The column of the answer, as `question`."""
    return _column(row, "answer", cfg.answer, ANSWERS)


def _column(row: dict[str, Any], field: str, named: str, known: Sequence[str]) -> str:
    chosen = named or next((name for name in known if has(row, name)), "")
    if not chosen or not has(row, chosen):
        missing = f"no column {chosen}" if chosen else f"no column is a known name of the {field}"
        raise ValueError(f"{missing}; it has {', '.join(map(str, row))}; name the column with --data.{field}")
    return chosen


def has(row: dict[str, Any], name: str) -> bool:
    """Whether the row has a column; a dot goes into a nested one."""
    at: Any = row
    for part in name.split("."):
        if not isinstance(at, dict) or part not in at:
            return False
        at = at[part]
    return True


def problem(row: dict[str, Any], question: str, answer: str, answer_after: str) -> Problem:
    """The question in one column and the reference in another. Raises ValueError saying what is wrong with the row."""
    for name in (question, answer):
        if not has(row, name):
            raise ValueError(f"no column {name}")
    return asked(question, at(row, question), reference(answer, at(row, answer), answer_after))


def asked(name: str, value: Any, reference: str) -> Problem:
    """A question, text or a chat, with its reference. Raises ValueError where it is neither."""
    if not isinstance(value, list):
        return Problem(text(name, value), reference)
    chat = messages(name, value)
    return Problem(chat[-1].content.strip(), reference, chat)


def reference(name: str, value: Any, answer_after: str) -> str:
    """The answer that a column's value states: what follows the mark `answer_after`, where there is one."""
    whole = text(name, value[0] if isinstance(value, list) and len(value) == 1 else value)
    return text(name, whole.rpartition(answer_after)[2]) if answer_after else whole


def at(row: Any, name: str) -> Any:
    """The value of a column that the row has."""
    for part in name.split("."):
        row = row[part]
    return row


def messages(name: str, chat: list[Any]) -> tuple[Message, ...]:
    """The turns of a chat that ends with the user's. Raises ValueError for anything else."""
    found = turns(name, chat)
    if not found or found[-1].role != "user":
        raise ValueError(f"column {name}: the last message must be the user's")
    text(name, found[-1].content)
    return found


def turns(name: str, chat: list[Any]) -> tuple[Message, ...]:
    """The turns of a chat. Raises ValueError for anything else."""
    for turn in chat:
        if not isinstance(turn, dict) or not all(isinstance(turn.get(key), str) for key in Message._fields):
            raise ValueError(f"column {name}: a message must be {{role, content}}, both text, not {turn!r:.80}")
    return tuple(Message(turn["role"], turn["content"]) for turn in chat)
