"""A place in a row of tokens, and the moves that every reader makes."""

from collections.abc import Sequence

from cooper_jax.host.verifier.mathematics.algebra.sums import TooBig, Unreadable
from cooper_jax.host.verifier.mathematics.reading.tokens import Token

MAX_DEPTH = 64


class Cursor:
    """Where a reader stands, and how deep."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens, self.at, self.depth = tokens, 0, 0

    def peek(self) -> Token | None:
        """The next token, if any."""
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def ahead(self) -> Token:
        """The token behind the next one."""
        return self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else Token("", "")

    def next(self) -> Token:
        """Take the next token. Raises Unreadable at the end."""
        token = self.peek()
        if token is None:
            raise Unreadable("the text ends early")
        self.at += 1
        return token

    def expect(self, kind: str, text: str) -> None:
        """Take this token. Raises Unreadable where another stands."""
        token = self.next()
        if token.kind != kind or token.text != text:
            raise Unreadable(f"{text} is missing")

    def deeper(self) -> None:
        """Count a layer. Raises TooBig for one too many."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooBig("nested too deeply")
