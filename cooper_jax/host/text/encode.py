"""Text to fixed-shape arrays and back: the prompt, the reward model's one template, and the window it reads through."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np

from cooper_jax.config import Prompting, require
from cooper_jax.host.text.data import Message, Problem

CUT = "…"
"""Stands where the head of a completion was cut off."""
BATCH = 1024
T = TypeVar("T")
_TAG = re.compile(r"</?(question|reference_answer|completion)>")
_BEFORE = ("<question>", "</question>\n<reference_answer>", "</reference_answer>\n<completion>")
_CLOSE = "</completion>"


class Tokenizer(Protocol):
    """What is asked of a tokenizer. `encode_batch` adds no special token, `decode_batch` leaves them out."""

    pad_id: int
    stop_ids: tuple[int, ...]
    """Each ends a completion; the first is what a finished one is given."""
    start_ids: tuple[int, ...]
    """Before a plain text: bos, or nothing."""
    chats: bool
    """Whether there is a chat template."""

    def __len__(self) -> int: ...
    def prompts(self, chats: Sequence[Sequence[Message]], template: Literal["chat", "plain"]) -> list[list[int]]: ...
    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]: ...
    def decode_batch(self, rows: Sequence[Sequence[int]]) -> list[str]: ...
    def save(self, folder: Path) -> None: ...


def chat(problem: Problem, cfg: Prompting) -> tuple[Message, ...]:
    """The messages that put `problem` to the policy: its own, or its question in the words of `cfg`."""
    if problem.messages:
        return problem.messages
    asked = Message("user", cfg.instruction.replace("{question}", problem.question))
    return (Message("system", cfg.system), asked) if cfg.system else (asked,)


def prompts(
    problems: Sequence[Problem], tokenizer: Tokenizer, cfg: Prompting, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Left-padded token_PS and real_PS. Raises UserError for a prompt longer than `length`."""
    rows = tokenizer.prompts([chat(problem, cfg) for problem in problems], cfg.template)
    for problem, row in zip(problems, rows, strict=True):
        require(
            len(row) <= length,
            f"the prompt {problem.question!r} has {len(row)} tokens, over rollout.prompt_len = {length}; "
            f"raise --rollout.prompt-len to {len(row)} or more, or leave the question out",
        )
    token, real = pad([row[::-1] for row in rows], length, tokenizer.pad_id)
    return token[:, ::-1].copy(), real[:, ::-1].copy()


def prompt_sizes(problems: Sequence[Problem], tokenizer: Tokenizer, cfg: Prompting) -> np.ndarray:
    """Tokens of each problem's prompt; shape (problems,)."""
    sizes = []
    for some in _batches(problems):
        sizes += map(len, tokenizer.prompts([chat(problem, cfg) for problem in some], cfg.template))
    return np.array(sizes, int)


def completions(texts: Sequence[str], tokenizer: Tokenizer, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Right-padded token_BT and real_BT of finished completions, the stop token included.

    Raises UserError for one longer than `length`.
    """
    rows = [[*row, tokenizer.stop_ids[0]] for row in tokenizer.encode_batch(texts)]
    for text, row in zip(texts, rows, strict=True):
        require(
            len(row) <= length,
            f"the completion {text!r} has {len(row)} tokens, over rollout.completion_len = {length}; "
            f"raise --rollout.completion-len to {len(row)} or more",
        )
    return pad(rows, length, tokenizer.pad_id)


def completion_sizes(texts: Sequence[str], tokenizer: Tokenizer) -> np.ndarray:
    """Tokens of each finished completion, the stop token included; shape (texts,)."""
    return np.array([len(row) + 1 for some in _batches(texts) for row in tokenizer.encode_batch(some)], int)


def worked(
    problems: Sequence[Problem], texts: Sequence[str], tokenizer: Tokenizer, cfg: Prompting
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Token ids of each prompt, as `prompts` makes it, and of the finished completion behind it."""
    found = []
    for some, said in zip(_batches(problems), _batches(texts), strict=True):
        asked = tokenizer.prompts([chat(problem, cfg) for problem in some], cfg.template)
        for prompt, row in zip(asked, tokenizer.encode_batch(said), strict=True):
            found.append((np.array(prompt, np.int32), np.array([*row, tokenizer.stop_ids[0]], np.int32)))
    return found


def decode(token_BT: np.ndarray, real_BT: np.ndarray, tokenizer: Tokenizer) -> list[str]:
    """Texts of the completions; the stop token, special tokens and outer white space left out."""
    rows = [row[real].tolist() for row, real in zip(token_BT, real_BT, strict=True)]
    # A stop token need not be a special one, and would then be read as text.
    bodies = [row[:-1] if row and row[-1] in tokenizer.stop_ids else row for row in rows]
    return [text.strip() for text in tokenizer.decode_batch(bodies)]


def rm_texts(problems: Sequence[Problem], texts: Sequence[str], tokenizer: Tokenizer, length: int) -> list[np.ndarray]:
    """Token ids in VerifyRM's template: for its own training, for scoring, and for both sides of a pair.

    A completion too long for the window keeps its tail, behind a marker; the tags, the question and the reference
    always stay. Tags that a text itself contains are blotted out: a policy must not write its own reference. Tags are
    tokenised apart from what they enclose, so that where they stand no token depends on the content.
    Raises UserError where tags, question and reference leave a completion no room.
    """
    close, mark = tokenizer.encode_batch([_CLOSE, CUT])
    rows = []
    bodies = (row for some in _batches(texts) for row in tokenizer.encode_batch([_content(text) for text in some]))
    for problem, opening, body in zip(problems, _openings(problems, tokenizer), bodies, strict=True):
        room = length - len(opening) - len(close)
        require(
            room > len(mark),
            f"question {problem.question!r} and its reference take {length - room} tokens and leave no room for a "
            f"completion in scoring.length = {length}; raise --scoring.length",
        )
        if len(body) > room:
            body = mark + body[len(body) - room + len(mark) :]
        rows.append(np.array(opening + body + close, np.int32))
    return rows


def window_sizes(problems: Sequence[Problem], tokenizer: Tokenizer) -> np.ndarray:
    """The least scoring.length at which each problem leaves room for the marker of a cut and one token behind it."""
    close, mark = tokenizer.encode_batch([_CLOSE, CUT])
    return np.array([len(opening) + len(close) + len(mark) + 1 for opening in _openings(problems, tokenizer)], int)


def _openings(problems: Sequence[Problem], tokenizer: Tokenizer) -> Iterator[list[int]]:
    question, reference, completion = tokenizer.encode_batch(_BEFORE)
    start = list(tokenizer.start_ids)
    for some in _batches(problems):
        asked = tokenizer.encode_batch([_content(p.question) for p in some])
        known = tokenizer.encode_batch([_content(p.reference) for p in some])
        for q, r in zip(asked, known, strict=True):
            yield start + question + q + reference + r + completion


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Pieces to tokenise at a time: what a tokenizer returns takes many times the room of the ids."""
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


def _content(text: str) -> str:
    return _TAG.sub(" ", text).strip()


def pad(rows: Sequence[Sequence[int] | np.ndarray], length: int, pad_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Right-padded token ids and their mask, [rows, length]."""
    token = np.full((len(rows), length), pad_id, np.int32)
    real = np.zeros((len(rows), length), bool)
    for i, row in enumerate(rows):
        token[i, : len(row)] = row
        real[i, : len(row)] = True
    return token, real
