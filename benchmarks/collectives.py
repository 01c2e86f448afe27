"""What crosses devices in a compiled program, read off its HLO text: XLA tells it nowhere else."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8}

INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.-]+ = (.*?) ([\w-]+)\((.*)$")
CALLED = re.compile(r"(?:calls|to_apply|true_computation|false_computation)=%?([\w.-]+)")
LOOP = re.compile(r"condition=%?([\w.-]+), body=%?([\w.-]+)")


class Crossing(NamedTuple):
    """A collective that each device takes part in."""

    kind: str
    size: int
    """Bytes of the largest array that a device gives or gets."""
    times: int
    """How often: in the program, or in one turn of `loop`."""
    loop: str
    """The innermost loop around it that ends when the program finds it has to; empty if there is none."""


def crossings(text: str) -> list[Crossing]:
    """The collectives of a compiled program."""
    computations = _computations(text)
    return list(_of(computations, computations["ENTRY"], 1, "", set()))


def total(found: list[Crossing]) -> int:
    """Bytes of all, each as often as it runs."""
    return sum(one.size * one.times for one in found)


def _computations(text: str) -> dict[str, list[str]]:
    """Instructions of each computation by its name; `ENTRY` is where the program begins."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        head = re.match(r"^(ENTRY )?%?([\w.-]+) .*\{\s*$", line)
        if head:
            lines = found.setdefault("ENTRY" if head[1] else head[2], [])
        elif INSTRUCTION.match(line):
            lines.append(line)
    return found


def _of(
    computations: dict[str, list[str]], lines: list[str], times: int, loop: str, seen: set[str]
) -> Iterator[Crossing]:
    """The collectives of a computation and of those that it calls. A chip may go through one in several fusions, which
    share its channel."""
    for line in lines:
        shape, opcode, rest = INSTRUCTION.findall(line)[0]
        kind = opcode.removesuffix("-start")
        if kind in KINDS:
            channel = re.search(r"channel_id=\d+", rest)
            if channel is None or channel[0] not in seen:
                yield Crossing(kind, _largest(shape), times, loop)
            seen.add(channel[0] if channel else "")
        elif opcode == "while":
            condition, body = LOOP.findall(rest)[0]
            turns = _turns(rest, computations[condition])
            inner = (times * turns, loop) if turns else (1, body)
            for name in (condition, body):
                yield from _of(computations, computations[name], *inner, seen)
        elif not opcode.endswith(("-done", "-update")):
            for name in CALLED.findall(rest) + _branches(rest):
                inner = _of(computations, computations[name], times, loop, seen)
                # A TPU's reduce-scatter is a fusion of that name around an all-reduce of the whole.
                scattered = name.startswith("all-reduce-scatter")
                yield from (one._replace(kind="reduce-scatter") if scattered else one for one in inner)


def _largest(shape: str) -> int:
    sizes = [
        BYTES.get(kind, 0) * math.prod(int(size) for size in dims.split(",") if size)
        for kind, dims in re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", shape)
    ]
    return max(sizes, default=0)


def _branches(rest: str) -> list[str]:
    found = re.search(r"branch_computations=\{([^}]*)\}", rest)
    return [name.strip().lstrip("%") for name in found[1].split(",")] if found else []


def _turns(rest: str, condition: list[str]) -> int:
    """How often a loop runs that counts to a constant; 0 for any other."""
    known = re.search(r'known_trip_count":\{"n":"(\d+)"', rest)
    if known:
        return int(known[1])
    root = next(line for line in condition if "ROOT" in line)
    compared = re.search(r"compare\(.*?%([\w.-]+), %([\w.-]+)\), direction=LT", root)
    bound = compared and next((line for line in condition if f"%{compared[2]} = " in line), "")
    constant = re.search(r"constant\((\d+)\)", bound or "")
    return int(constant[1]) if constant else 0
