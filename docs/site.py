"""The documentation as a site, in .site/html: `make docs`.

Its pages are the repository's own, linked as they are on GitHub: README.md is the first. They are copied under `.site`,
with what they link to, since a site is made of one folder.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "benchmarks/*.md", "launch/*.md")
LINKED = ("docs/*.png", "docs/*.css", "configs/*.py", "cooper_jax/cooper.py", "CITATION.cff", "LICENSE")


def build(out: Path) -> subprocess.CompletedProcess[str]:
    """Make the site in the new folder `out`, `html/` inside it. A link or an anchor that leads nowhere fails."""
    for pattern in (*PAGES, *LINKED):
        for file in ROOT.glob(pattern):
            copy = out / "pages" / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    shutil.copyfile(ROOT / "docs" / "mkdocs.yml", out / "mkdocs.yml")
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    return subprocess.run(command, cwd=out, capture_output=True, text=True)


if __name__ == "__main__":
    folder = ROOT / ".site"
    shutil.rmtree(folder, ignore_errors=True)
    done = build(folder)
    print(done.stdout + done.stderr, end="")
    sys.exit(done.returncode)
