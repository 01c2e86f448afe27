"""Intervals, points, tuples, lists and sets: what stands in brackets."""

from collections.abc import Sequence
from fractions import Fraction

from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.answers.kinds import Answer, Group, Named, Pair, Region, System
from cooper_jax.host.verifier.mathematics.answers.parts import Read, split
from cooper_jax.host.verifier.mathematics.reading.tokens import Token


def pair(toks: Sequence[Token], left: str, right: str, thing: Read) -> Answer:
    """An interval with the brackets `left` and `right`. `thing` reads its ends."""
    items = split(toks[1:-1], "sep", ",", ";")
    if len(items) != 2:
        raise Unreadable("an interval needs two ends")
    return Pair(left, thing(items[0]), thing(items[1]), right)


def bracketed(toks: Sequence[Token], statement: Read) -> Answer:
    """What the first and last token enclose."""
    left, right, inside = toks[0].text, toks[-1].text, toks[1:-1]
    if left == "\\{":
        if right != "\\}":
            raise Unreadable("brackets do not match")
        return _set(inside, statement)
    if right not in (")", "]"):
        raise Unreadable("brackets do not match")
    items = split(inside, "sep", ";") if any(t.text == ";" for t in inside) else split(inside, "sep", ",")
    if not items:
        raise Unreadable("empty brackets")
    if len(items) == 1:
        if left + right not in ("()", "[]"):
            raise Unreadable("brackets do not match")
        return statement(inside)
    answers = tuple(statement(i) for i in items)
    several = [i for i, a in enumerate(answers) if isinstance(a, Group) and a.kind == ","]
    if several:
        return _each(answers, several, left + right)
    names = [a.name for a in answers if isinstance(a, Named) and not a.loose]
    if len(set(names)) == len(answers) and left + right in ("()", "[]"):
        return System(tuple(names), tuple(a.value for a in answers if isinstance(a, Named)), False)
    if len(answers) == 2:
        return Pair(left, answers[0], answers[1], right)
    if left + right not in ("()", "[]"):
        raise Unreadable("brackets do not match")
    return Group(left, answers)


def _each(answers: tuple[Answer, ...], several: list[int], brackets: str) -> Answer:
    """The points that (1, +-2) stands for."""
    found = answers[several[0]]
    if len(several) > 1 or brackets != "()" or not isinstance(found, Group) or len(found.items) != 2:
        raise Unreadable("a plus-minus inside a tuple")
    points = [tuple(x if i == several[0] else a for i, a in enumerate(answers)) for x in found.items]
    return Group(",", tuple(Pair("(", *p, ")") if len(p) == 2 else Group("(", p) for p in points))


def builds(toks: Sequence[Token]) -> bool:
    """Whether this is a set-builder without its braces, as in `x | x > 2`."""
    mark = 3 if len(toks) > 3 and toks[1].text == "in" and toks[2].kind == "domain" else 1
    if len(toks) < mark + 4 or toks[0].kind != "var" or (toks[mark].kind, toks[mark].text) not in _SUCH_THAT:
        return False
    rest = toks[mark + 1 :]
    related = any(t.kind == "rel" and t.text != ":" for t in rest)
    return related and any(t[:2] == toks[0][:2] for t in rest) and not any(t.kind == "bar" for t in rest)


_SUCH_THAT = (("mid", ""), ("rel", ":"), ("bar", "|"))


def _set(inside: Sequence[Token], statement: Read) -> Answer:
    if not inside:
        return Group("{", ())
    for mark in _SUCH_THAT:
        parts = split(inside, *mark)
        if len(parts) == 2 and not any(t.kind == "num" for t in parts[0]):
            head = [t.text for t in parts[0]]
            if parts[0][0].kind != "var" or (len(head) > 1 and head[1:] != ["in", "R"]):
                raise Unreadable("a set of other things than real numbers")
            condition = statement(parts[1])
            if isinstance(condition, Region) and condition.of == frozenset([(("v", head[0]), Fraction(1))]):
                return Region(condition.intervals)  # the variable is bound
            raise Unreadable("a set by a condition that is no inequality")
    answer = statement(inside)
    if isinstance(answer, Named) and answer.symbol and isinstance(answer.value, Group):
        answer = answer.value  # {x = 1, x = 2}
    if isinstance(answer, Group) and answer.kind == ",":
        return Group("{", answer.items)
    if isinstance(answer, System):
        return answer  # {x = 1, y = 2}
    return Group("{", (answer,))
