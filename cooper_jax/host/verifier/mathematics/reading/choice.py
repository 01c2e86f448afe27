"""The letter of a multiple choice, and whether it is all that is stated."""

import re

_LEAD = re.compile(
    r"^(?i:(?:the\s+)?(?:(?:correct|final|right)\s+)?(?:answer|option|choice)(?:\s+(?:is|option|choice))*\s*[:=]?\s*)"
    r"(?=\(?[A-Z]\b)"
)

_TAKEN_BACK = re.compile(
    r"\W*(?:is|isn|was|can|not|seems|looks|fails|or|and|but)\b|.*(?:\b(?:wrong|incorrect)\b|\\n)", re.I
)
"""What follows the letter of a choice that may not be the one meant."""


def choice(bare: str) -> tuple[str, bool]:
    """The letter that an answer without its dressing chooses, and whether nothing else stands there; none: empty."""
    bare = re.sub(r"\\(?:text|textbf|mathrm|mathbf|textit|bf|rm)\s*\{([^{}]*)\}", r"\1", bare)
    bare = _LEAD.sub("", re.sub(r"\\[ ,;:!]|~", " ", bare).strip().strip("*").strip())
    if found := re.fullmatch(r"\(?([A-Z])\)?[.:]?|\(([a-e])\)", bare):
        return found[1] or found[2], True
    if found := re.match(r"\(([A-Z])\)\s*[.:]?\s*(?=[\w$\\-])|([A-Z])[.:)]\s+(?=\S)", bare):
        rest = bare[found.end() :]
        doubtful = re.search(r"(?<![A-Za-z\\])[A-H](?![A-Za-z])", rest) or _TAKEN_BACK.match(rest)
        return ("", False) if doubtful else (found[1] or found[2], False)
    return "", False
