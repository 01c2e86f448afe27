"""Does every line know its room? The plan of CONTRIBUTING.md, held for ever."""

import ast
import re

import house
import pytest
from folders import ROOT

RANDOM = re.compile(r"\b(default_rng|SeedSequence|PRNGKey|RandomState|jax\.random\.key)\(")


def test_imports_point_downwards() -> None:
    """A room imports what stands on a floor below; programs also cooper.py, and files of their own room."""
    for name, targets in house.imports().items():
        for target in targets:
            room, other = name.split(".")[0], target.split(".")[0]
            below = house.floor(target) < house.floor(name)
            assert below or room == other or (room, other) == ("programs", "cooper"), f"{name} imports {target}"


def test_there_is_no_circle() -> None:
    assert house.circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c", "d"]
    assert house.circle(house.imports()) == []


def test_only_cooper_and_the_command_stand_at_the_top() -> None:
    assert {file.name for file in house.PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py", "cooper.py"}
    rooms = {room for floor in house.FLOORS for room in floor}
    assert {name.split(".")[0] for name in house.modules()} == rooms


def test_text_never_meets_jax() -> None:
    """host/ and config/ do without it, and so do the verifier's workers."""
    for name, file in house.modules().items():
        if name.split(".")[0] in ("host", "config"):
            for node in ast.walk(ast.parse(file.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not any(each.split(".")[0] in ("jax", "flax", "optax", "orbax") for each in names), name


@pytest.mark.parametrize(
    ("what", "pattern", "home"),
    [
        ("jax.jit", re.compile(r"\bjax\.jit\b(?!`)"), "device.jits"),
        ("randomness from a bare number", RANDOM, "device.keys"),
        ("a mesh axis", re.compile(r"\"(fsdp|tensor)\""), "mesh.sharding"),
    ],
)
def test_one_home(what: str, pattern: re.Pattern[str], home: str) -> None:
    for name, file in house.modules().items():
        if name != home:
            assert not pattern.search(file.read_text()), f"{what} in {name}; its home is {home}"


def test_files_and_functions_are_short() -> None:
    for file in house.modules().values():
        lines = len(file.read_text().splitlines())
        assert lines <= 400, f"{file.name} has {lines} lines"
        for name, size in house.functions(file).items():
            assert size <= 60, f"{name} has {size} lines"


def test_the_tests_mirror_the_rooms() -> None:
    """Every folder of tests is a folder of the package."""
    folders = {file.parent.relative_to(ROOT / "tests") for file in (ROOT / "tests").rglob("test_*.py")}
    for folder in folders:
        assert (house.PACKAGE / folder).is_dir(), folder
