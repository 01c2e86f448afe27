"""The page in a browser: nothing fetched, nothing complained of, every link and filter does what it says."""

import time
from collections.abc import Iterator
from pathlib import Path

import chromium
import numpy as np
import pytest
import run_dirs

from cooper_jax.programs.report import Report, report

pytestmark = pytest.mark.skipif(
    not chromium.PROGRAM,
    reason="Chromium is not installed (on Debian: apt-get install chromium): the page is not drawn",
)
SHOWN = "[...document.querySelectorAll('#samples .item')].filter(i => i.offsetParent).length"
PICKED = "document.querySelector('#samples .item[aria-selected=true]')?.dataset.at"
DETAIL = "document.querySelector('#samples .detail').innerText"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two seeds, two other arms, 2,000 samples and a hostile one."""
    folder = tmp_path_factory.mktemp("page")
    made = (("cooper", 0), ("cooper", 1), ("static", 0), ("rule", 0))
    places = [run_dirs.run(folder / f"seed{seed}" / arm, arm, seed, groups=11) for arm, seed in made]
    rows = run_dirs.samples("static", 60, 60, 1, np.random.default_rng(0))[:1]
    rows[0] |= {"row": 500, "completion": run_dirs.HOSTILE, "question": run_dirs.HOSTILE, "verdict": "wrong"}
    rows[0] |= {"score": 1.0, "group": 90}
    rows[0]["step"] = 59
    again = rows[0] | {"group": 91, "completion": "7+3=3#3", "question": "7+3-7"}
    rows += [again | {"row": 600 + i, "score": 0.999} for i in range(6)]
    run_dirs.table(places[2] / "samples", 59, rows, run_dirs.SAMPLES)
    report(Report(tuple(map(str, places)), folder / "report.html"))
    return folder / "report.html"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Page]:
    with chromium.chromium(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.mark.parametrize(("width", "height"), [(1360, 900), (390, 844)])
def test_it_draws_all_and_fetches_nothing(page: chromium.Page, file: Path, width: int, height: int) -> None:
    page.requests.clear()
    page.complaints.clear()
    page.open(width, height)
    begun = time.perf_counter()
    page.go(file)
    taken = time.perf_counter() - begun
    assert taken < 20, "on an idle machine it is half a second; docs/report.md has it measured"
    assert page.value("document.documentElement.scrollWidth") <= width
    sections = page.value("[...document.querySelectorAll('main section .body')].map(b => b.children.length)")
    assert len(sections) == 8 and min(sections) > 0
    assert page.value("document.querySelectorAll('#curves figure').length") >= 20
    assert page.value("[...document.querySelectorAll('#curves .curve')].every(c => c.getAttribute('d').length > 9)")
    assert "Hacked" in page.value("document.querySelector('#summary').innerText")
    assert page.value(SHOWN) == 50
    assert "NaN" not in page.value("document.documentElement.outerHTML.split('id=\"data\"')[0]")
    assert page.requests == ["about:blank", file.absolute().as_uri()][-len(page.requests) :]
    assert page.complaints == []


def test_links_lead_to_samples(page: chromium.Page, file: Path) -> None:
    """#step=40&sample=7 shows that sample; the address follows what is chosen, and leads there again."""
    page.open(1360, 900)
    page.go(file, "#step=40&sample=7")
    assert "cooper, seed 0, step 40, sample 7" in page.value(DETAIL)
    assert page.value("document.querySelector('#samples').getBoundingClientRect().top") < 200
    page.press("j")
    assert "sample 7\n" not in page.value(DETAIL).split("\n\n")[0] + "\n"
    address = page.value("location.hash")
    after = page.value(DETAIL)
    page.press("k")
    assert "step 40, sample 7" in page.value(DETAIL)
    page.go(file, address)
    assert page.value(DETAIL) == after
    page.go(file, "#run=2&step=30")
    assert "static, step 30" in page.value(DETAIL)
    page.go(file, "#run=2&step=31&sample=9999")
    assert "is not on this page" in page.value("document.querySelector('#samples').innerText")
    page.go(file, "#novelty")
    assert abs(page.value("document.querySelector('#novelty').getBoundingClientRect().top")) < 120
    page.value(
        "document.querySelector('#summary .finding .word.hacked').closest('.finding').querySelector('a').click()"
    )
    page.until("location.hash.includes('show=high')")
    assert page.value("document.querySelector('#samples .seg [aria-pressed=true]').dataset.show") == "high"
    assert page.complaints == []


def test_filters_and_search(page: chromium.Page, file: Path) -> None:
    page.open(1360, 900)
    page.go(file)
    first = page.value(DETAIL)
    assert "✗ wrong" in first and "static" in first  # the strongest disagreement
    assert page.value("document.querySelector('#samples [data-show=unknown]').hidden")  # there is none
    page.press("/")
    assert page.value("document.activeElement.getAttribute('aria-label')") == "search text"
    page.send("Input.insertText", text="<img")
    page.until(f"{SHOWN} === 1")
    shown = page.value(DETAIL)
    assert "</script><script>document.title='owned'</script>" in shown and "\\x1b[31mred" in shown
    assert page.value("document.title") != "owned" and page.value("document.images.length") == 0
    assert page.value("document.querySelectorAll('#samples .detail mark').length") == 2  # in question and completion
    page.press("Escape")
    page.value("location.hash = '#of=all&with=~ %23 \u2039n\u203a'")
    page.until(f"{SHOWN} === 50")
    assert page.value("[...document.querySelectorAll('#samples .item .text')].every(t => t.textContent.includes('~#'))")
    page.value("location.hash = '#run=3&show=right&from=20&to=30&sort=step'")
    page.until("document.querySelector('#samples .item .step').textContent === '20'")
    steps = page.value("[...document.querySelectorAll('#samples .item')].map(i => i.innerText)")
    assert steps and all(text.startswith(("20", "30")) and "✓" in text for text in steps)
    assert page.complaints == []


def test_equal_samples_of_a_group_are_one_line(page: chromium.Page, file: Path) -> None:
    """Each of them can be chosen in its group, and linked to."""
    page.open(1360, 900)
    page.go(file, "#run=2&q=7%2B3%3D3&step=59&sample=603")
    assert page.value(SHOWN) == 1 and "6\u00d7" in page.value("document.querySelector('#samples .item').innerText")
    assert "sample 603" in page.value(DETAIL) and "6 samples, 0 right" in page.value(DETAIL)
    page.value("document.querySelectorAll('#samples .group button')[5].click()")
    assert "sample 605" in page.value(DETAIL) and "sample=605" in page.value("location.hash")
    assert page.value(f"{PICKED} !== undefined") and page.complaints == []


def test_pages_arms_and_theme(page: chromium.Page, file: Path) -> None:
    page.open(1360, 900, dark=True)
    page.go(file)
    assert page.value("document.documentElement.dataset.theme") == "dark"
    page.value("document.querySelector('.theme').click()")
    assert page.value("getComputedStyle(document.body).backgroundColor") == "rgb(252, 252, 250)"
    page.value("document.querySelectorAll('#samples .pager button')[1].click()")
    assert "page 2 of" in page.value("document.querySelector('#samples .pager').innerText")
    page.value("document.querySelectorAll('#pairs .pager button')[1].click()")
    assert "page 2 of" in page.value("document.querySelector('#pairs .pager').innerText")
    assert page.value("document.querySelectorAll('#pairs .pair mark').length") >= 20
    visible = (
        "[...document.querySelectorAll('#curves svg g[data-arm=\"1\"]')].filter(g => g.style.display !== 'none').length"
    )
    assert page.value(visible) > 5
    page.value("document.querySelectorAll('nav .arms .chip')[1].click()")
    assert page.value(visible) == 0
    assert page.complaints == []


def test_a_page_without_samples(page: chromium.Page, tmp_path: Path) -> None:
    place = run_dirs.run(tmp_path / "run", "cooper", steps=1, every=0)
    report(Report((str(place),), tmp_path / "page.html"))
    page.open(390, 844)
    page.go(tmp_path / "page.html", "#step=40&sample=7")
    told = page.value("document.querySelector('main').innerText")
    for said in ("No samples were kept", "No pairs were kept", "Cannot tell"):
        assert said in told
    page.press("j")
    assert page.complaints == []
