"""Words as an answer."""

import re
from collections.abc import Sequence

from cooper_jax.host.verifier.mathematics.answers.kinds import Words
from cooper_jax.host.verifier.mathematics.reading.expression import Reader
from cooper_jax.host.verifier.mathematics.reading.tokens import Token


def phrase(toks: Sequence[Token]) -> Words | None:
    """The tokens as words, if they are nothing else."""
    kinds = {t.kind for i, t in enumerate(toks) if not _ends_sentence(toks, i)}
    if not kinds & {"word", "text"} or not kinds <= {"word", "text", "var", "prime", "fn"} or ("fn" in kinds and len(
        toks) < 3):  # fmt: skip
        return None
    if len(toks) == 1:
        only = toks[0].text
        value = None
        if toks[0].kind == "word" and 2 <= len(only) <= 4 and only.isascii() and not re.fullmatch("[ivx]+", only):
            value = Reader(toks).whole()
        return Words(only, value)
    if kinds == {"word", "var"} and all(len(t.text) <= 3 and not t.gap for t in toks[1:]):
        return None  # letters with indices, side by side: a product
    return Words("".join((" " if t.gap or t.kind == "text" else "") + t.text for t in toks).strip())


def _ends_sentence(toks: Sequence[Token], i: int) -> bool:
    """Whether a full stop stands between two words and a space."""
    return toks[i][:2] == ("bad", ".") and 0 < i < len(toks) - 1 and {toks[i - 1].kind, toks[i + 1].kind} <= {
        "word", "text", "var"} and len(toks[i - 1].text) > 1 and toks[i + 1].gap > 0  # fmt: skip
