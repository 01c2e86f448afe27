"""Mistakes that a user can mend, the checks that find them, and how text of others is shown."""

import errno
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_type_hints

import typeguard

_UNSEEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""C0, C1, what sets or turns the direction of writing, ends of lines, halves of surrogate pairs."""


def visible(text: str, keep: str = "") -> str:
    """`text` of a model, a server or a file as a terminal may show it: what would steer the terminal, or hide or turn
    other text, is written out, `\\x1b` for escape, but for the characters in `keep`."""

    def spelt(found: re.Match[str]) -> str:
        return found[0] if found[0] in keep else found[0].encode("unicode_escape").decode()

    return _UNSEEN.sub(spelt, text)


class UserError(Exception):
    """A mistake the user can mend. `cooper` prints the message, without a traceback, and exits with `exit_code`.

    One that is `agreed` is raised in every process of a run, and printed by the first alone. The message is `visible`:
    it may quote text of others.
    """

    exit_code = 1

    def __init__(self, message: str, agreed: bool = False) -> None:
        super().__init__(visible(message))
        self.agreed = agreed


def require(ok: bool, message: str) -> None:
    """Raise `UserError(message)` unless `ok`."""
    if not ok:
        raise UserError(message)


_MENDED_BY = {
    errno.EACCES: "give a place that is yours to use, or have it opened to you",
    errno.EDQUOT: "free some of your quota, or give another place",
    errno.EEXIST: "a file stands where a folder should be: give another place, or move it away",
    errno.EIO: "the disk or its connection fails: give another place",
    errno.EISDIR: "give a file",
    errno.ELOOP: "its links lead in a circle: give another place",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ENOENT: "give one that is there",
    errno.ENOTDIR: "a file stands where a folder should be: give another place, or move it away",
    errno.EPERM: "give a place that is yours to use, or have it opened to you",
    errno.EROFS: "give a place that can be written to",
    errno.ESTALE: "its server has lost it: mount it again, or give another place",
}


@contextmanager
def paths_named() -> Iterator[None]:
    """Around what reads and writes where the user says: a file or folder that cannot be had raises a UserError with its
    path, the reason and the fix."""
    try:
        yield
    except OSError as error:
        if error.filename is None or error.errno not in _MENDED_BY:
            raise
        name = error.filename2 or error.filename
        raise UserError(f"{name}: {error.strerror}; {_MENDED_BY[error.errno]}") from error


def check_types(section: Any) -> None:
    """Raise UserError naming the first field of a section whose value is not of its declared type, or a number without
    a value."""
    for name, hint in get_type_hints(type(section)).items():
        value = getattr(section, name)
        numbers = value if isinstance(value, tuple) else (value,)
        endless = [number for number in numbers if isinstance(number, float) and not math.isfinite(number)]
        require(not endless, f"{type(section).__name__}.{name} = {value}: must be finite")
        try:
            typeguard.check_type(value, hint)
        except typeguard.TypeCheckError as error:
            where = f"{type(section).__name__}.{name}"
            raise UserError(f"{where} = {value!r}: {error}; give it a value of type {hint}") from None


def require_placeholders(name: str, prompt: str, *placeholders: str) -> None:
    """Raise UserError unless `prompt` has every placeholder, such as {question}."""
    missing = [f"{{{p}}}" for p in placeholders if f"{{{p}}}" not in prompt]
    require(not missing, f"{name} lacks {', '.join(missing)}; the text put there is what the model is asked about")
