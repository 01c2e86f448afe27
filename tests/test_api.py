"""Can a program be called from Python, as docs/api.md says?"""

import json
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from folders import ROOT

import cooper_jax
from cooper_jax import Completion, Config, Export, Generate, Verify, export, generate, verify
from cooper_jax.run import metric_table

DOCUMENT = (ROOT / "docs" / "api.md").read_text()


def test_the_documents_example(
    started: Config, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands, on the tiny configuration: results are those of the files."""
    [example] = re.findall(r"```python\n(.*?)```", DOCUMENT, re.S)
    monkeypatch.setattr(cooper_jax, "load", lambda path: started)
    found: dict = {}
    exec(example, found)
    result, [sampled, greedy] = found["result"], (found["sampled"], found["greedy"])
    last = json.loads((Path(started.dir) / "metrics.jsonl").read_text().splitlines()[-1])
    assert result.folder == Path(started.dir) and result.figures == last and last["step"] == started.steps
    assert [sampled, greedy] == json.loads((Path(started.dir) / "evaluation.json").read_text())
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == f"{sampled['accuracy']} {greedy['accuracy']}"


def test_programs_return_what_they_print(warm: Config, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"gold": "2", "completion": text}) + "\n" for text in ("2", "3")))
    verified = verify(Verify(rows, tmp_path / "out.jsonl", workers=1))
    assert [verdict.verdict for verdict in verified.figures] == ["right", "wrong"]
    folder = export(Export(Path(warm.sft.dir), "policy", tmp_path / "model"))
    assert (folder / "config.json").is_file()
    [one, two] = generate(Generate(str(folder), "1+1+1", n=2, max_new=4))
    assert isinstance(one, Completion) and 0 < len(two.token_ids) <= 4


def test_everything_named_is_there_and_nothing_else_is_imported() -> None:
    for name in cooper_jax.__all__:
        assert getattr(cooper_jax, name).__doc__, name
    sections = {type(value).__name__ for value in _sections(cooper_jax.load(str(ROOT / "configs" / "toy.py")))}
    assert sections <= set(cooper_jax.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        cooper_jax.trian  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
    code = "import sys; from cooper_jax import Config, load; assert not {'jax', 'tyro'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def _sections(section: object) -> list[object]:
    inner = [getattr(section, field.name) for field in fields(section)] if is_dataclass(section) else []
    return [section, *(each for value in inner if is_dataclass(value) for each in _sections(value))]


def test_the_table_of_metrics_is_the_documents() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == metric_table.markdown()
