"""Mistakes in a config file are named by file and line."""

from pathlib import Path

import pytest
from runs import TOY, fails


def test_mistakes_in_a_config_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    head = f"from cooper_jax.config import *\nfrom dataclasses import replace\ntoy = load({TOY!r})\n"
    for body, message in (
        ("config = replace(toy, stepz=3)", r"line 4: TypeError"),
        ("config = replace(toy, steps='ten')", "Config.steps = 'ten'"),
        ("config = replace(toy, rollout=Rollout(group='8'))", "Rollout.group = '8'"),
        ("config = replace(toy", "line 4: SyntaxError"),
        ("import nothing_of_the_kind", "line 4: ModuleNotFoundError"),
        ("confg = toy", "defines no `config = Config(...)`"),
    ):
        file.write_text(head + body)
        said = fails(capsys, "train", str(file))
        assert message in said and str(file) in said, body
