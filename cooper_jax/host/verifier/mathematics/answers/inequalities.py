"""Inequalities: regions where they can be solved."""

from collections.abc import Sequence
from dataclasses import replace

from cooper_jax.host.verifier.mathematics.algebra.ratio import Ratio, add, neg, variable
from cooper_jax.host.verifier.mathematics.algebra.sums import Unreadable
from cooper_jax.host.verifier.mathematics.answers.kinds import Answer, Group, Infinite, Named, Region, Value, Words
from cooper_jax.host.verifier.mathematics.answers.lists import listed
from cooper_jax.host.verifier.mathematics.answers.names import name_of
from cooper_jax.host.verifier.mathematics.answers.parts import Read
from cooper_jax.host.verifier.mathematics.answers.regions import intersection, solved
from cooper_jax.host.verifier.mathematics.reading.expression import Reader
from cooper_jax.host.verifier.mathematics.reading.tokens import Token
from cooper_jax.host.verifier.mathematics.reading.units import Unit

_FLIP = {">": "<", ">=": "<="}


def inequality(ops: list[str], parts: list[Sequence[Token]], statement: Read) -> Answer:
    """The sides of `a < b < ...` with the signs `ops` between them."""
    if any(not p for p in parts) or len(parts) > 4:
        raise Unreadable("an inequality that lacks a side")
    if ops == ["!="] and len(values := _several(parts[1], statement)) > 1:  # x != +-1
        left = Reader(parts[0]).whole()
        return listed([solved("!=", add(left, neg(v.ratio))) for v in values])
    sides: list[Ratio | Infinite] = []
    units: list[Unit] = []
    qualifier: Named | None = None
    for part in parts:
        name = name_of(part)
        if name and not name[1]:
            sides.append(variable(name[0]))
            continue
        side = statement(part)
        if isinstance(side, Words) and side.value is not None:
            side = Value(side.value)
        if isinstance(side, Named) and side.loose and part is parts[-1]:
            qualifier, side = side, side.value
        if not isinstance(side, Value | Infinite):
            raise Unreadable("an inequality of things that are not numbers")
        if isinstance(side, Value) and side.percent:
            raise Unreadable("an inequality with per cent")
        if isinstance(side, Value) and side.unit:
            units.append(side.unit)
        sides.append(side.ratio if isinstance(side, Value) else side)
    answer = _joined(ops, sides)
    if qualifier is not None:  # n > 3 odd
        answer = replace(qualifier, value=answer)
    if not units:
        return answer
    if any(u != units[0] for u in units):
        raise Unreadable("an inequality between measures")
    unit = units[0]
    # A unit may be missing beside; words that are none, and angles, say something.
    told = bool(unit.name or {"angle", "radian"} & dict(unit.dimensions).keys())
    return Named(f"in {unit.name or sorted(unit.dimensions)} {unit.size}", answer, False, told)


def _joined(ops: list[str], sides: list[Ratio | Infinite]) -> Answer:
    """What the inequalities between neighbours say together."""
    found: list[Answer] = []
    for op, left, right in zip(ops, sides, sides[1:], strict=False):
        if op in _FLIP:
            op, left, right = _FLIP[op], right, left
        if isinstance(left, Infinite) or isinstance(right, Infinite):
            if op == "!=" or left == Infinite(1) or right == Infinite(-1):
                raise Unreadable("an inequality about infinity")
            continue  # -oo < x says nothing.
        found.append(solved(op, add(left, neg(right))))
    if not found:
        raise Unreadable("an inequality about infinity")
    if len(found) == 1:
        return found[0]
    if all(isinstance(f, Region) for f in found):
        return intersection([f for f in found if isinstance(f, Region)])
    return Group("{", tuple(found))


def _several(toks: Sequence[Token], statement: Read) -> list[Value]:
    """The values of a list or set, as in plus-minus one."""
    found = statement(toks)
    if not isinstance(found, Group) or found.kind not in (",", "{"):
        return []
    values = [x for x in found.items if isinstance(x, Value)]
    return values if len(values) == len(found.items) else []
