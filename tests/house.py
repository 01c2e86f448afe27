"""The house as its imports draw it: python tests/house.py counts floors, arrows, files and lines."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

from folders import ROOT

PACKAGE = ROOT / "cooper_jax"
FLOORS = (
    ("config",),
    ("mesh", "rl", "host"),
    ("model",),
    ("device",),
    ("run",),
    ("reports",),
    ("cooper", "programs"),
    ("__main__",),
)
"""Rooms from the ground up; one may import what stands below it."""


def modules() -> dict[str, Path]:
    """Dotted names, without `cooper_jax.`, of the files that hold code; an `__init__` bears its folder's name."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.stat().st_size:
            parts = file.relative_to(PACKAGE).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return {name: file for name, file in found.items() if name}


@cache
def imports() -> dict[str, set[str]]:
    """What each file imports of the package, wherever in the file the import stands."""
    known, found = modules(), defaultdict(set)
    for name, file in known.items():
        for node in ast.walk(ast.parse(file.read_text())):
            for full in _named(node):
                target = full.removeprefix("cooper_jax").removeprefix(".")
                while target and target not in known:
                    target = target.rpartition(".")[0]
                if target and target != name:
                    found[name].add(target)
    return found


def _named(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return []
    return [name for name in names if name.split(".")[0] == "cooper_jax"]


def floor(module: str) -> int:
    """The floor of a module's room."""
    [found] = [number for number, rooms in enumerate(FLOORS) if module.split(".")[0] in rooms]
    return found


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Modules that import one another in a circle; empty where there is none."""
    left = {name: set(targets) for name, targets in arrows.items()}
    for targets in list(left.values()):
        for target in targets:
            left.setdefault(target, set())
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


def functions(file: Path) -> dict[str, int]:
    """Lines of each function and method of a file, decorators and docstring included."""
    found = {}
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            found[f"{file.relative_to(PACKAGE)}:{node.name}"] = (node.end_lineno or first) - first + 1
    return found


def main() -> None:
    """Print the counts."""
    rooms: dict[str, list[int]] = defaultdict(list)
    for name, file in modules().items():
        room = str(file.parent.relative_to(PACKAGE)) if file.parent != PACKAGE else name
        rooms[room].append(len(file.read_text().splitlines()))
    print("room                            files  lines  longest file")
    for room, lines in rooms.items():
        print(f"{room:<32}{len(lines):>5}{sum(lines):>7}{max(lines):>14}")
    arrows = imports()
    between = {(a.split(".")[0], b.split(".")[0]) for a, targets in arrows.items() for b in targets}
    outside = {pair for pair in between if pair[0] != pair[1]}
    files = sum(map(len, arrows.values()))
    print(f"\n{files} imports between files, {len(outside)} arrows between rooms, {len(FLOORS)} floors")
    longest = max((pair for file in modules().values() for pair in functions(file).items()), key=lambda pair: pair[1])
    print(f"longest function: {longest[0]}, {longest[1]} lines")


if __name__ == "__main__":
    main()
