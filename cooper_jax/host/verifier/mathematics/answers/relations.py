"""What stands on both sides of `=`, `<`, `~` and the like."""

from collections.abc import Sequence

from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.answers.approximations import approximates
from cooper_jax.host.verifier.mathematics.answers.equations import equation, spelled
from cooper_jax.host.verifier.mathematics.answers.inequalities import inequality
from cooper_jax.host.verifier.mathematics.answers.kinds import Answer, Equation, Infinite, Named, Value, Words
from cooper_jax.host.verifier.mathematics.answers.names import name_of
from cooper_jax.host.verifier.mathematics.answers.parts import Read, bracket_depths, split
from cooper_jax.host.verifier.mathematics.reading.tokens import Token

APPROXIMATE = "only approximately"
"""Why `\\approx 42` is not read: a reference may say so, an answer may not."""


def relation(toks: Sequence[Token], statement: Read, unrelated: Read) -> Answer:
    """What the signs outside all brackets state. `unrelated` reads what has none."""
    signs = [t for t, d in zip(toks, bracket_depths(toks), strict=True) if d == 0 and t.kind == "rel" and t.text != ":"]
    if not signs:
        return unrelated(toks)
    kinds = {t.text for t in signs}
    parts = _parts(toks)
    if "~" in kinds:
        return _approximate(toks, parts, statement)
    if kinds == {"in"} and len(parts) == 2:
        inside = statement(parts[1])
        if isinstance(inside, Value | Infinite):
            raise Unreadable("an element of a number")
        names = [name_of(p) for p in split(parts[0], "sep", ",")]
        if names[0] is None:
            raise Unreadable("an expression in a set")  # x^2 in (0, 1)
        return Named(names[0][0], inside, True)
    if kinds == {"="}:
        return equation(parts, statement)
    if kinds <= {"<", "<=", ">", ">="} or (kinds == {"!="} and len(parts) == 2):
        return inequality([s.text for s in signs], parts, statement)
    if len(parts) == 2 and all(parts) and kinds <= _NAMED:
        same = kinds == {"=="}  # y == 0 everywhere; what is a number by a modulus is not known.
        if same and [t.kind for t in parts[1] if t.text != "-"] != ["num"]:
            raise Unreadable("a congruence")
        return Named(f"{spelled(parts[0])} {signs[0].text}", statement(parts[1]), False, not same)
    raise Unreadable("relations of several kinds")


_NAMED = {"==", "subset", "supset", "subseteq", "supseteq", "perp", "parallel"}
"""Relations that stand between two names, and are compared with what stands before them."""


def _parts(toks: Sequence[Token]) -> list[Sequence[Token]]:
    parts: list[list[Token]] = [[]]
    for t, depth in zip(toks, bracket_depths(toks), strict=True):
        if depth == 0 and t.kind == "rel" and t.text != ":":
            parts.append([])
        else:
            parts[-1].append(t)
    return list(parts)


def _approximate(toks: Sequence[Token], parts: list[Sequence[Token]], statement: Read) -> Answer:
    """`exact ~ decimal` states the exact value, where the decimal is near it."""
    signs = [i for i, (t, d) in enumerate(zip(toks, bracket_depths(toks), strict=True)) if d == 0 and t.kind == "rel"]
    signs = [i for i in signs if toks[i].text != ":"]
    first = next(k for k, i in enumerate(signs) if toks[i].text == "~")
    if not parts[0]:
        raise Unreadable(APPROXIMATE)
    if not parts[-1]:
        raise Unreadable("approximately nothing")
    if any(toks[i].text not in ("~", "=") for i in signs):
        raise Unreadable("relations of several kinds")
    exact = statement(toks[: signs[first]])
    if (len(parts) == 2 and name_of(parts[0])) or isinstance(exact, Equation | Words):
        raise Unreadable(APPROXIMATE)
    before = exact
    for sign, part in zip(signs[first:], parts[first + 1 :], strict=True):
        decimal = statement(part)
        approximates(exact, decimal)
        if toks[sign].text == "=" and decimal != before:
            raise Unreadable("an approximation that equals another")
        before = decimal
    return exact
