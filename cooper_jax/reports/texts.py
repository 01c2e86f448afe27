"""Which samples and pairs a page holds, and how: whole groups and the strongest disagreements, bounded in size."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from cooper_jax.config import visible
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN
from cooper_jax.reports.ran import Columns, Ran

SAMPLES, PAIRS = 2000, 600
"""On a page."""
LONGEST = 6000
"""Characters of a text on the page; of a longer one the middle is left out."""
ROOM = 10_000_000
"""Bytes of all texts on the page, samples and pairs each at most half."""
PRODUCT = 40_000
"""Words of one side times words of the other that are compared one by one; it takes their product."""
_WORD = re.compile(r"\s+|\d+(?:\.\d+)?|\w+|[^\w\s]")


def shown(text: str) -> str:
    """`text` as a page shows it: what steers a terminal or turns writing is spelt out, a long middle left out."""
    text = text.encode("utf-8", "replace").decode()
    if len(text) > LONGEST:
        half = LONGEST // 2
        text = f"{text[:half]}\n[… {len(text) - LONGEST:,} characters left out …]\n{text[-half:]}"
    return visible(text, keep="\n\t")


def disagreement(table: Columns) -> np.ndarray:
    """|score - verdict| of each sample, right 1 and wrong 0; nan where there is no score or the verdict is unknown."""
    gap = np.abs(table["score"] - (table["verdict"] == RIGHT))
    return np.where(table["verdict"] == UNKNOWN, np.nan, gap)


def samples(runs: Sequence[Ran]) -> dict[str, Any]:
    """The page's samples, in columns; questions and references once each. `total` counts all of each run."""
    having = [number for number, run in enumerate(runs) if len(run.samples["step"])]
    chosen = [(number, row) for number in having for row in _chosen(runs[number].samples, SAMPLES // len(having))]
    strings = _Strings()
    columns: dict[str, list[Any]] = {name: [] for name in (
        "run", "step", "row", "group", "question", "reference", "completion", "tokens", "finished", "score", "verdict",
        "reason", "reward", "advantage",
    )}  # fmt: skip
    room = ROOM // 2
    for number, row in _evenly(chosen):
        table = runs[number].samples
        made = {name: table[name][row] for name in columns if name != "run"}
        text = shown(made["completion"])
        room -= len(text.encode())
        if room < 0:
            break
        made |= {name: strings(made[name]) for name in ("question", "reference", "verdict", "reason")}
        made |= {"completion": text, "run": number, "finished": int(made["finished"])}
        for name, column in columns.items():
            column.append(_plain(made[name]))
    total = [len(run.samples["step"]) for run in runs]
    steps = [np.unique(run.samples["step"]).tolist() for run in runs]
    return {"columns": columns, "strings": strings.known, "total": total, "steps": steps}


def _chosen(table: Columns, count: int) -> list[int]:
    """Rows in the order of their worth: of every step in turn the strongest disagreement, and the group it stands in;
    groups of questions that come again in other steps; then an even draw of the rest."""
    if len(table["step"]) <= count:
        return list(range(len(table["step"])))
    gap = np.nan_to_num(disagreement(table), nan=-1.0)
    order = np.lexsort((table["row"], -gap))
    by_step: dict[int, list[int]] = {}
    for row in order:
        by_step.setdefault(int(table["step"][row]), []).append(int(row))
    groups: dict[tuple[int, int], list[int]] = {}
    for row, key in enumerate(zip(table["step"].tolist(), table["group"].tolist(), strict=True)):
        groups.setdefault(key, []).append(row)
    found: dict[int, None] = {}
    again = _again(table, groups)
    for worth in range(max(map(len, by_step.values()))):
        for rows in by_step.values():
            if worth < len(rows) and len(found) < count * 0.7:
                found[rows[worth]] = None
                if worth % 4 == 0:
                    found |= dict.fromkeys(groups[_key(table, rows[worth])])
        if again and len(found) < count * 0.9:
            found |= dict.fromkeys(again.pop(0))
    rest = np.linspace(0, len(table["step"]) - 1, count).astype(int)
    return list(dict.fromkeys([*found, *map(int, rest)]))[:count]


def _key(table: Columns, row: int) -> tuple[int, int]:
    return int(table["step"][row]), int(table["group"][row])


def _again(table: Columns, groups: dict[tuple[int, int], list[int]]) -> list[list[int]]:
    """The rows of questions that were asked in several steps, those asked most often first."""
    asked: dict[str, list[list[int]]] = {}
    for rows in groups.values():
        asked.setdefault(table["question"][rows[0]], []).append(rows)
    often = sorted((each for each in asked.values() if len(each) > 1), key=len, reverse=True)
    return [[row for rows in each for row in rows] for each in often]


def _evenly(chosen: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs in turn, so that a page that is full has some of each."""
    by_run: dict[int, list[int]] = {}
    for number, row in chosen:
        by_run.setdefault(number, []).append(row)
    longest = max(map(len, by_run.values()), default=0)
    return [(number, rows[at]) for at in range(longest) for number, rows in by_run.items() if at < len(rows)]


class _Strings:
    """Texts that come again and again, each once."""

    def __init__(self) -> None:
        self.known: list[str] = []
        self._places: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        if text not in self._places:
            self._places[text] = len(self.known)
            self.known.append(shown(text))
        return self._places[text]


def _plain(value: Any) -> Any:
    """For JSON: floats of four digits, None for what is no number."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return float(f"{value:.4g}") if np.isfinite(value) else None
    return value


def pairs(runs: Sequence[Ran]) -> dict[str, Any]:
    """The page's pairs, a row each, with the spans in which the sides differ; `total` counts all of each run.

    Half are those that the update left most wrong, the other half an even draw over the run.
    """
    having = [number for number, run in enumerate(runs) if len(run.pairs["step"])]
    chosen = [(number, row) for number in having for row in _worst(runs[number].pairs, PAIRS // len(having))]
    rows, room = [], ROOM // 2
    for number, row in _evenly(chosen):
        made = {name: _plain(column[row]) for name, column in runs[number].pairs.items()}
        right, wrong = shown(made["right"]), shown(made["wrong"])
        room -= len(right.encode()) + len(wrong.encode()) + len(made["question"].encode())
        if room < 0:
            break
        made |= {"right": right, "wrong": wrong, "run": number}
        made |= {name: shown(made[name]) for name in ("question", "reference", "origin", "kind")}
        rows.append(made | {"changed": changed(right, wrong)})
    return {"rows": rows, "total": [len(run.pairs["step"]) for run in runs]}


def _worst(table: Columns, count: int) -> list[int]:
    if len(table["step"]) <= count:
        return list(range(len(table["step"])))
    margin = np.nan_to_num(table["right_after"] - table["wrong_after"], nan=np.inf)
    worst = np.argsort(margin, kind="stable")[: count // 2]
    rest = np.linspace(0, len(margin) - 1, count).astype(int)
    return list(dict.fromkeys([*map(int, worst), *map(int, rest)]))[:count]


def changed(right: str, wrong: str) -> list[list[list[int]]]:
    """Spans [begin, end] of characters of each side in which it differs from the other, by words and numbers.

    Between what both begin and end with; where that is long, as of two samples of the policy, it is one span.
    """
    sides = [_WORD.findall(text) for text in (right, wrong)]
    first = _alike(*sides)
    last = _alike(*(words[first:][::-1] for words in sides))
    inner = [words[first : len(words) - last] for words in sides]
    at = [np.cumsum([0, *(len(word.encode("utf-16-le")) // 2 for word in words)]) for words in sides]
    spans: list[list[list[int]]] = [[], []]
    for kind, *ends in _differences(*inner):
        for side, (begin, end) in enumerate((ends[:2], ends[2:])):
            if kind != "equal" and end > begin:
                spans[side].append([int(at[side][first + begin]), int(at[side][first + end])])
    return spans


def _alike(one: list[str], other: list[str]) -> int:
    """So many words do both begin with."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _differences(one: list[str], other: list[str]) -> Sequence[tuple[str, int, int, int, int]]:
    if len(one) * len(other) > PRODUCT:
        return [("replace", 0, len(one), 0, len(other))]
    return difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
