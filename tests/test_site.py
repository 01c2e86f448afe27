"""Is the documentation whole: does every link lead somewhere, is every page in the menu, and is nothing fetched?"""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from folders import ROOT


def load_site() -> Any:
    spec = importlib.util.spec_from_file_location("site_of_docs", ROOT / "docs" / "site.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SITE = load_site()
FILES = sorted(file for pattern in SITE.PAGES for file in ROOT.glob(pattern))


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site; every link and anchor in it was found."""
    out = tmp_path_factory.mktemp("site")
    done = SITE.build(out)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "html"


def test_the_site_opens_from_disk_and_fetches_nothing(html: Path) -> None:
    pages = {file.relative_to(html).as_posix(): file.read_text() for file in html.rglob("*.html")}
    assert {"index.html", "docs/settings.html", "launch/index.html", "CONTRIBUTING.html"} <= pages.keys()
    for name, text in pages.items():
        fetched = re.findall(
            r"<(?:script|img|iframe|link(?= [^>]*stylesheet))[^>]*(?:src|href)=\"?(https?:[^\" >]+)", text
        )
        assert not fetched, f"{name} fetches {fetched}"
    assert (html / "docs" / "demo.png").is_file()


def test_a_dead_link_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SITE, "PAGES", ("README.md",))
    done = SITE.build(tmp_path)
    assert done.returncode != 0 and "page does not exist" in done.stdout + done.stderr


def test_every_page_is_in_the_menu_and_every_picture_is_there() -> None:
    menu = yaml.safe_load((ROOT / "docs" / "mkdocs.yml").read_text())["nav"]
    named = sorted(page for group in menu for pages in group.values() for entry in pages for page in entry.values())
    assert named == sorted(file.relative_to(ROOT).as_posix() for file in FILES), "docs/mkdocs.yml: nav"
    for file in FILES:
        for target in re.findall(r"!\[[^\]]*\]\(([^)#]+)\)", file.read_text()):
            assert (file.parent / target).is_file(), f"{file}: {target}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 120
