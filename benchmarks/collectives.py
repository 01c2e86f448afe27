"""What a compiled program does in its loops and what crosses devices there, read off its HLO text: XLA tells it nowhere
else."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8}

INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.-]+ = (.*?) ([\w-]+)\((.*)$")
LOOP = re.compile(r"condition=%?([\w.-]+), body=%?([\w.-]+)")
CALLED = re.compile(r"(?:calls|to_apply|true_computation|false_computation)=%?([\w.-]+)")
BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")


class Instruction(NamedTuple):
    """A line of a computation, as often as that is called."""

    line: str
    computation: str
    times: int
    """How often: in the program, or in one turn of `loop`."""
    loop: str
    """The innermost loop around it that ends when the program finds it has to; empty if there is none."""


class Crossing(NamedTuple):
    """A collective that each device takes part in; `times` and `loop` as of its instruction."""

    kind: str
    size: int
    """Bytes of the largest array that a device gives or gets."""
    times: int
    loop: str


def crossings(text: str) -> list[Crossing]:
    """The collectives of a compiled program."""
    found, seen = [], set()
    for one in instructions(text):
        shape, opcode, rest = INSTRUCTION.findall(one.line)[0]
        kind, channel = opcode.removesuffix("-start"), re.search(r"channel_id=\d+", rest)
        # A chip may go through a collective in several fusions, which share its channel.
        if kind not in KINDS or (channel and channel[0] in seen):
            continue
        seen.add(channel[0] if channel else "")
        if one.computation.startswith("all-reduce-scatter"):  # A TPU's, in a fusion of that name.
            kind = "reduce-scatter"
        found.append(Crossing(kind, _largest(shape), one.times, one.loop))
    return found


def total(found: list[Crossing]) -> int:
    """Bytes of all, each as often as it runs."""
    return sum(one.size * one.times for one in found)


def instructions(text: str) -> Iterator[Instruction]:
    """What a compiled program runs."""
    computations: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        head = re.match(r"^(ENTRY )?%?([\w.-]+) .*\{\s*$", line)
        if head:
            lines = computations.setdefault("ENTRY" if head[1] else head[2], [])
        elif INSTRUCTION.match(line):
            lines.append(line)
    return _walk(computations, "ENTRY", 1, "")


def _walk(computations: dict[str, list[str]], name: str, times: int, loop: str) -> Iterator[Instruction]:
    for line in computations[name]:
        yield Instruction(line, name, times, loop)
        _, opcode, rest = INSTRUCTION.findall(line)[0]
        if opcode == "while":
            condition, body = LOOP.findall(rest)[0]
            turns = _turns(rest, computations[condition])
            inside = (times * turns, loop) if turns else (1, body)
            for part in (condition, body):
                yield from _walk(computations, part, *inside)
        elif not opcode.endswith(("-done", "-update")):
            branches = (part.strip(" %") for found in BRANCHES.findall(rest) for part in found.split(","))
            for part in (*CALLED.findall(rest), *branches):
                yield from _walk(computations, part, times, loop)


def _turns(rest: str, condition: list[str]) -> int:
    """How often a loop runs that counts to a constant; 0 for any other."""
    known = re.search(r'known_trip_count":\{"n":"(\d+)"', rest)
    if known:
        return int(known[1])
    root = next(line for line in condition if "ROOT" in line)
    compared = re.search(r"compare\(.*?%([\w.-]+), %([\w.-]+)\), direction=LT", root)
    bound = next((line for line in condition if f"%{compared[2]} = " in line), "") if compared else ""
    constant = re.search(r"constant\((\d+)\)", bound)
    return int(constant[1]) if constant else 0


def _largest(shape: str) -> int:
    """Bytes of the largest array of a tuple."""
    sizes = [
        BYTES.get(kind, 0) * math.prod(int(size) for size in dims.split(",") if size)
        for kind, dims in re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", shape)
    ]
    return max(sizes, default=0)
