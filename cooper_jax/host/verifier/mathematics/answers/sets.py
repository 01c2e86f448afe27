"""Unions, intersections and differences of sets of real numbers."""

from collections.abc import Sequence

from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.answers.kinds import Answer
from cooper_jax.host.verifier.mathematics.answers.parts import Read, bracket_depths
from cooper_jax.host.verifier.mathematics.answers.regions import excluded, intersection, region, union
from cooper_jax.host.verifier.mathematics.reading.tokens import Token


def set_operation(toks: Sequence[Token], thing: Read) -> Answer | None:
    """A union, intersection or difference; None where no sign of one stands there. `thing` reads each set."""
    depths = bracket_depths(toks)
    at = [
        i
        for i in range(1, len(toks) - 1)
        if depths[i] == 0 and toks[i].kind in ("set", "op", "var") and _joins_sets(*toks[i - 1 : i + 2])
    ]
    if not at:
        return None
    parts = [toks[a:b] for a, b in zip([0, *(i + 1 for i in at)], [*at, len(toks)], strict=True)]
    regions = [region(thing(p)) for p in parts]
    if any(r is None for r in regions):
        raise Unreadable("a union of things that are not intervals")
    known = [r for r in regions if r is not None]
    kinds = {{"U": "cup", "-": "minus"}.get(toks[i].text, toks[i].text) for i in at}
    if kinds == {"cup"}:
        return union(known)
    if kinds == {"cap"}:
        return intersection(known)
    if kinds == {"minus"} and len(known) == 2 and all(low is high for low, high in known[1].intervals):
        holes = [excluded(p.at, None) for p, _ in known[1].intervals]
        return intersection([known[0], *holes])
    raise Unreadable("a mixture of set operations")


def _joins_sets(before: Token, sign: Token, after: Token) -> bool:
    if sign.text == "U":
        return before.kind == "close" and after.kind == "open"
    return sign.kind == "set" or (sign.text == "-" and before.kind in ("domain", "close") and after.text == "\\{")
