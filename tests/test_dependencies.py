"""Does pyproject.toml declare what is imported, and nothing else?"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import house
from folders import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def canonical(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization"""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*lists: list[str]) -> set[str]:
    """Distributions of the requirements, without extras and versions."""
    names = {canonical(re.split(r"[\[<>=!~;\s]", line)[0]) for lines in lists for line in lines}
    return names - {canonical(PROJECT["name"])}


def imported(files: Iterable[Path]) -> dict[str, Path]:
    """Distributions that the files import, wherever the import stands, and a file of each.

    One that is not installed (the test extra leaves out wandb) goes by the name it is imported by.
    """
    found: dict[str, Path] = {}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0]: file for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found[node.module.split(".")[0]] = file
    own = {"cooper_jax", *(file.stem for folder in ("tests", "benchmarks") for file in (ROOT / folder).glob("*.py"))}
    owners = packages_distributions()
    return {
        canonical(owners.get(name, [name])[0]): file
        for name, file in found.items()
        if name not in sys.stdlib_module_names | own
    }


def test_the_package_declares_what_it_imports_and_nothing_else() -> None:
    uses = imported(house.modules().values())
    optional = [lines for name, lines in EXTRAS.items() if name not in ("docs", "test")]
    may = declared(PROJECT["dependencies"], *optional)
    assert uses.keys() <= may, f"undeclared: { ({name: uses[name] for name in uses.keys() - may}) }"
    assert may <= uses.keys(), f"not imported: {may - uses.keys()}"


def test_the_tests_declare_what_they_import() -> None:
    uses = imported((ROOT / "tests").rglob("*.py"))
    may = declared(PROJECT["dependencies"], EXTRAS["test"], EXTRAS["tensorboard"])
    assert uses.keys() <= may, f"undeclared: { ({name: uses[name] for name in uses.keys() - may}) }"


def test_the_test_extra_brings_the_optional_ones() -> None:
    assert "cooper-jax[docs,gcs,tensorboard]" in EXTRAS["test"]
