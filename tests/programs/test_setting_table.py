"""Is docs/settings.md what the dataclasses say, and do they say all?"""

import re

from folders import ROOT

from cooper_jax.config import Config, Trainee
from cooper_jax.programs import setting_table
from cooper_jax.programs.options import settings


def test_the_table_of_settings_is_the_documents() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == setting_table.markdown()


def test_every_setting_is_there_with_its_meaning() -> None:
    page = setting_table.markdown()
    sections = {name: body for heads, body in _parts(page) for name in heads}
    for setting in settings(Config(policy=Trainee(), reward=Trainee())):
        section, _, field = setting.name.rpartition(".")
        [row] = re.findall(rf"^\| `{field}` \|.*$", sections[section], re.M)
        assert setting.about and re.sub(r"[|\\]", "", " ".join(setting.about.split())) in re.sub(r"[|\\]", "", row), row


def test_pages_name_settings_that_there_are() -> None:
    """Whatever stands in code and begins as a section does, `rollout.group`, in the pages and the README."""
    names = {setting.name for setting in settings(Config(policy=Trainee(), reward=Trainee()))}
    known = names | {name.rsplit(".", n)[0] for name in names for n in range(1, name.count(".") + 1)}
    sections = {name.partition(".")[0] for name in names if "." in name}
    for file in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        text = file.read_text()
        if file.name == "coming.md":
            text = re.sub(r"^\|[^|]*", "", text, flags=re.M)  # Others' names.
        for found in re.findall(r"`(?:--)?([a-z_]+(?:\.[a-z_0-9-]+)+)(?: [^`]*)?`", text):
            name = found.replace("-", "_")
            mine = name.partition(".")[0] in sections and not name.endswith(
                (".md", ".py", ".parquet", ".jsonl", ".json")
            )
            assert not mine or name in known, f"{file.name}: `{found}`"


def test_defaults_and_readers_are_told_apart() -> None:
    """Where a section stands in several places; and a default that each machine has of its own."""
    page = setting_table.markdown()
    assert (
        "| `lr` | float | `1e-06` (`policy.optim`, `reward.optim`); `1e-05` (`sft.optim`); `2e-05` (`fit.optim`) |"
        in page
    )
    assert "| `workers` | int | the processors of this process |" in page
    assert "annotate, train (`policy`); train (`reward`) |" in page
    assert "| `factor` | float | must be given |" in page


def _parts(page: str) -> list[tuple[list[str], str]]:
    """Names of the sections that a heading holds, "" for the run itself, and what stands under it."""
    _, *parts = re.split(r"^## (.*)$", page, flags=re.M)
    return [(re.findall(r"`([^`]+)`", head) or [""], body) for head, body in zip(parts[::2], parts[1::2], strict=True)]
