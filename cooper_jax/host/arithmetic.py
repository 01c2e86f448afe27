"""The built-in task: `a±b±c` over small numbers, worked solutions in several styles, and a tokenizer. No download.

A completion states its answer as `#N` at its very end: `8+7=15;15-4=11#11`. The styles give a warm-started policy that
is right about half the time and free in its format, as a language model is; that freedom is what a frozen reward model
gets exploited through.
"""

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from cooper_jax.config import UserError
from cooper_jax.host.verifier.verdict import RIGHT, WRONG, Verdict

MAX_NUMBER = 99
_TAGS = ("<question>", "</question>", "<reference_answer>", "</reference_answer>", "<completion>", "</completion>")
_ANSWER = re.compile(r"#(\d+)$")


class Tokenizer:
    """One token a number 0..99, a sign, or a tag of the reward model's template."""

    pad_id, bos_id = 0, 1
    stop_ids: tuple[int, ...] = (2,)
    start_ids: tuple[int, ...] = ()
    chats = False
    _pieces = re.compile("|".join(re.escape(t) for t in _TAGS) + r"|\d+|[^ ]")

    def __init__(self) -> None:
        special = ["<pad>", "<bos>", "<eos>", *_TAGS, "\n", "…"]
        self.words = [*special, *"+-=;#?~", *map(str, range(MAX_NUMBER + 1))]
        self._ids = {word: i for i, word in enumerate(self.words)}
        self._ordinary = range(len(special), len(self.words))

    def __len__(self) -> int:
        return len(self.words)

    def prompts(self, chats: Sequence[Sequence[tuple[str, str]]], template: str) -> list[list[int]]:
        """The last message behind <bos>; this task has no chat template."""
        return [[self.bos_id, *self.encode(chat[-1][1])] for chat in chats]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of each text."""
        return [self.encode(text) for text in texts]

    def decode_batch(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """`decode` of each row."""
        return [self.decode(row) for row in rows]

    def save(self, folder: Path) -> None:
        """Nothing to write: this tokenizer is code."""

    def export(self, folder: Path) -> None:
        """Write it in Hugging Face's layout, for an exported model: the same ids for a question and its solution."""
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

        made = Tokenizer(models.WordLevel(self._ids, unk_token="<pad>"))
        pieces = pre_tokenizers.Split(Regex(self._pieces.pattern), "removed", invert=True)
        made.pre_tokenizer = pieces  # pyright: ignore[reportAttributeAccessIssue]
        made.decoder = decoders.Fuse()  # pyright: ignore[reportAttributeAccessIssue]
        made.add_special_tokens(self.words[:3])
        made.save(str(folder / "tokenizer.json"))
        about = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": "<pad>",
            "bos_token": "<bos>",
            "eos_token": "<eos>",
            "chat_template": "<bos>{{ messages[-1]['content'] }}",
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2) + "\n")

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`; spaces only part numbers. Raises UserError naming what is not in the vocabulary."""
        try:
            return [self._ids[piece] for piece in self._pieces.findall(text)]
        except KeyError as error:
            raise UserError(
                f"{error.args[0]!r} in {text!r} is not in the built-in task's vocabulary: 0..{MAX_NUMBER} and "
                "+ - = ; # ? ~"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids`: special and unknown ids are left out, neighbouring numbers parted by a space."""
        out: list[str] = []
        for i in ids:
            if i not in self._ordinary:
                continue
            word = self.words[i]
            if out and word.isdigit() and out[-1].isdigit():
                out.append(" ")
            out.append(word)
        return "".join(out)


def answer(completion: str) -> str | None:
    """The stated answer: the number behind `#` at the very end, or None."""
    found = _ANSWER.search(completion)
    return found[1] if found else None


def verify(reference: str, completion: str, finished: bool) -> Verdict:
    """The built-in task's rule: a finished completion ends in `#N`, and N is the reference."""
    if not finished:
        return Verdict(WRONG, None, "unfinished")
    stated = answer(completion)
    if stated is None:
        return Verdict(WRONG, None, "no answer stated")
    return Verdict(RIGHT, stated, "equal") if stated == reference else Verdict(WRONG, stated, "different")


def results(question: str) -> tuple[int, int]:
    """The partial and the final result of `a±b±c`."""
    a, first, b, second, c = re.split(r"([+-])", question)
    partial = int(a) + int(b) if first == "+" else int(a) - int(b)
    return partial, partial + int(c) if second == "+" else partial - int(c)


def work(question: str, partial: int, result: int) -> str:
    """The two equations `a±b=partial;partial±c=result`, right or wrong."""
    a, first, b, second, c = re.split(r"([+-])", question)
    return f"{a}{first}{b}={partial};{partial}{second}{c}={result}"


@cache
def questions(max_operand: int) -> tuple[str, ...]:
    """All questions without a negative result on the way."""
    numbers = range(1, max_operand + 1)
    every = [
        f"{a}{x}{b}{y}{c}"
        for a in numbers
        for x in "+-"
        for b in numbers
        for y in "+-"
        for c in numbers
    ]  # fmt: skip
    return tuple(q for q in every if min(results(q)) >= 0)


def lenient(reference: str, completion: str) -> bool:
    """A lenient second opinion for hybrid annotation: some stated answer, anywhere, is the reference."""
    return reference in re.findall(r"#(\d+)", completion)


def near(value: int, rng: np.random.Generator) -> int:
    """A different number close to `value`, within 0..99."""
    options = [n for n in range(value - 5, value + 6) if 0 <= n <= MAX_NUMBER and n != value]
    return int(rng.choice(options))


def slip(question: str, rng: np.random.Generator) -> str:
    """A worked solution with one wrong result, carried to the end."""
    partial, result = results(question)
    if rng.random() < 0.5:
        wrong = near(partial, rng)
        off = result + wrong - partial
        if 0 <= off <= MAX_NUMBER:
            return f"{work(question, wrong, off)}#{off}"
    wrong = near(result, rng)
    return f"{work(question, partial, wrong)}#{wrong}"


def styled(question: str, rng: np.random.Generator) -> str:
    """A completion to imitate, in a style drawn at random; about half state the right answer at the end."""
    partial, result = results(question)
    worked = work(question, partial, result)
    draw = rng.random()
    if draw < 0.40:
        return f"{worked}#{result}"
    if draw < 0.58:
        return slip(question, rng)
    if draw < 0.70:
        return f"#{result}"
    if draw < 0.86:
        first, last = near(result, rng), result
        if rng.random() < 0.15:
            first, last = last, first
        return f"#{first}~#{last}"
    return worked
