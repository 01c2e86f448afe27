"""A question, its reference, and what a column's value is as text."""

import math
from typing import Any, NamedTuple

import numpy as np


class Message(NamedTuple):
    """One turn of a chat."""

    role: str
    content: str


class Problem(NamedTuple):
    """A question and its reference answer. `messages` put it to the policy, where its row brought a whole chat."""

    question: str
    reference: str
    messages: tuple[Message, ...] = ()


def text(name: str, value: Any, empty: bool = False) -> str:
    """`value` of the column `name` as text; numbers are written out.

    Raises ValueError where it is something else or, but where `empty` is allowed, empty.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, int | float) and not isinstance(value, bool) and _finite(value):
        value = f"{value:.15g}" if isinstance(value, float) else str(value)
    if not isinstance(value, str):
        raise ValueError(f"column {name} must be text, not {value!r:.80}")
    value.encode()  # half of a surrogate pair is no text, and an error of its own kind here
    if not (empty or value.strip()):
        raise ValueError(f"column {name} is empty")
    return value.strip()


def _finite(value: float) -> bool:
    return isinstance(value, int) or math.isfinite(value)  # whole numbers may be too long for a float
