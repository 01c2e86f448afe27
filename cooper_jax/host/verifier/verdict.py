"""Three verdicts, because a timeout is neither a positive nor a proof of wrongness."""

from typing import Literal, NamedTuple

RIGHT, WRONG, UNKNOWN = "right", "wrong", "unknown"


class Verdict(NamedTuple):
    """What the rule says of a completion, the answer it found in it (None: none stated), and why."""

    verdict: Literal["right", "wrong", "unknown"]
    answer: str | None
    reason: str
