"""What grew among the completions, all of them and those paid well: openings, endings, n-grams, lengths; late against
early."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np

from cooper_jax.config import visible
from cooper_jax.host.verifier.verdict import RIGHT
from cooper_jax.reports.classifier import stretches
from cooper_jax.reports.ran import Columns

HIGH = 0.5
"""Of a score; where there is none, of the reward."""
MOST = 1000
"""Completions of each side that are read: the figures are shares, and these say enough."""
FEWEST = 20
"""Completions of a side, to compare it."""
WORDS = 240
"""Of a completion that are read: the first and the last 120."""
ENDS = 3
"""Words of an opening, and of an ending."""
LONGEST = 4
"""Words of an n-gram."""
SHOWN = 15
GROWN = 0.02
"""By so much of all completions a share must have grown."""
RARE, SPREAD = 0.05, 0.1
"""An opening spreads that stood in at most so much of the early completions, and in so much more of the late ones: by
less it may be the questions, which a group shares."""
SELDOM, HARDLY = 0.25, 0.02
"""An opening is hardly ever right that is so by at most this share of what late completions are, or by this share."""
CHANCE = 0.01
"""That any of the shares that are looked at seems to have grown, where none has (Bonferroni)."""
_PIECE = re.compile(r"\d+(?:[.,]\d+)*|\w+|[^\w\s]")
_NUMBER = "\u2039n\u203a"
"""What stands for every number in a phrase: the form is compared, not the sums."""


def of_arm(tables: Sequence[Columns]) -> dict[str, dict[str, Any] | None]:
    """The page's tables of an arm: "paid" of the completions paid well, "all" of all; None where there are too few,
    early or late. It takes both: a form that the reward model has learned to see is no longer paid, but may spread on.
    """
    return {"paid": _table(tables, _paid_well), "all": _table(tables, _any)}


def tricks(table: Columns) -> list[dict[str, Any]]:
    """New openings among all completions of a run that spread and are hardly ever right, most frequent first."""
    sides = _sides([table], _any)
    if sides is None:
        return []
    early, late = sides
    openings = _grown_of(_read(early["text"]), _read(late["text"]), late["right"], _opening)
    bound = max(SELDOM * late["right"].mean(), HARDLY)
    spread = [row for row in openings if row["was"] <= RARE and row["now"] - row["was"] > SPREAD]
    return sorted((row for row in spread if row["right"] <= bound), key=lambda row: -row["now"])


def _table(tables: Sequence[Columns], which: Callable[[Columns], np.ndarray]) -> dict[str, Any] | None:
    sides = _sides(tables, which)
    if sides is None:
        return None
    early, late = sides
    before, after = _read(early["text"]), _read(late["text"])
    grown = partial(_grown_of, before, after, late["right"])
    return {
        "early": _about(early),
        "late": _about(late),
        "lengths": _lengths(early["tokens"], late["tokens"]),
        "grams": grown(_grams),
        "openings": grown(_opening),
        "endings": grown(lambda words: {" ".join(words[-ENDS:]), " ".join(_numbers_alike(words[-ENDS:]))}),
    }


def _opening(words: list[str]) -> set[str]:
    return {" ".join(_numbers_alike(words[:ENDS]))}


def _grown_of(
    before: list[list[str]], after: list[list[str]], right: np.ndarray, parts: Callable[[list[str]], set[str]]
) -> list[dict[str, Any]]:
    """`_grown` of the `parts` of each text."""
    return _grown(list(map(parts, before)), list(map(parts, after)), right)


def _any(table: Columns) -> np.ndarray:
    return np.ones(len(table["step"]), bool)


def _paid_well(table: Columns) -> np.ndarray:
    return np.where(np.isfinite(table["score"]), table["score"], table["reward"]) > HIGH


def _sides(
    tables: Sequence[Columns], which: Callable[[Columns], np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]] | None:
    """What is read, early and late; None where one side has too few."""
    early, late = (_drawn(tables, which, stretch) for stretch in (0, 2))
    return (early, late) if min(len(early["text"]), len(late["text"])) >= FEWEST else None


def _drawn(tables: Sequence[Columns], which: Callable[[Columns], np.ndarray], stretch: int) -> dict[str, np.ndarray]:
    """The rows of a third of the run that `which` takes, MOST at the most, evenly drawn."""
    found: dict[str, list[np.ndarray]] = {"text": [], "tokens": [], "right": [], "step": []}
    for table in tables:
        rows = np.flatnonzero(which(table) & (stretches(table["step"]) == stretch))
        found["text"].append(table["completion"][rows])
        found["tokens"].append(table["tokens"][rows])
        found["right"].append(table["verdict"][rows] == RIGHT)
        found["step"].append(table["step"][rows])
    whole = {name: np.concatenate(parts) for name, parts in found.items()}
    count = len(whole["text"])
    some = np.linspace(0, count - 1, min(count, MOST)).astype(int)
    return {name: column[some] for name, column in whole.items()}


def _about(side: dict[str, np.ndarray]) -> dict[str, float]:
    return {
        "rows": len(side["text"]),
        "first": int(side["step"].min()),
        "last": int(side["step"].max()),
        "right": float(side["right"].mean()),
    }


def _read(texts: np.ndarray) -> list[list[str]]:
    """Words of each text."""
    read = []
    for text in texts:
        words = _PIECE.findall(visible(text, keep="\n\t"))
        read.append(words if len(words) <= WORDS else [*words[: WORDS // 2], *words[-WORDS // 2 :]])
    return read


def _numbers_alike(words: list[str]) -> list[str]:
    return [_NUMBER if word[0].isdigit() else word for word in words]


def _grams(words: list[str]) -> set[str]:
    """Phrases of one to LONGEST words, numbers alike; and each number as it stands."""
    alike = _numbers_alike(words)
    found = {word for word in words if word[0].isdigit()}
    for size in range(1, LONGEST + 1):
        found |= {" ".join(gram) for gram in zip(*(alike[start:] for start in range(size)), strict=False)}
    return found


def _grown(early: list[set[str]], late: list[set[str]], right: np.ndarray) -> list[dict[str, Any]]:
    """What stands in more of the late texts than of the early ones, surest first (the z of two shares); of those
    that share most of their words and are as frequent, one."""
    before, after = Counter(g for each in early for g in each), Counter(g for each in late for g in each)
    sides = len(early), len(late)
    looked_at = sum(count > GROWN * sides[1] for count in after.values())
    surely = NormalDist().inv_cdf(1 - CHANCE / max(looked_at, 1))
    rows: list[tuple[float, str, float, float]] = []
    for gram, count in after.items():
        was, now = before[gram] / sides[0], count / sides[1]
        both = (before[gram] + count) / sum(sides)
        spread = np.sqrt(both * (1 - both) * (1 / sides[0] + 1 / sides[1]))
        if gram and now - was > max(GROWN, surely * spread):
            rows.append((float((now - was) / max(spread, 1e-9)), gram, was, now))
    kept: list[tuple[float, str, float, float]] = []
    for row in sorted(rows, key=lambda row: (-round(row[0], 1), -len(row[1]))):
        if not any(_alike(row, each) for each in kept):
            kept.append(row)
        if len(kept) == SHOWN:
            break
    return [
        {"text": gram, "was": was, "now": now, "right": float(right[[gram in each for each in late]].mean())}
        for _, gram, was, now in kept
    ]


def _alike(row: tuple[float, str, float, float], kept: tuple[float, str, float, float]) -> bool:
    """Whether one says what the other says: as frequent, and most of its words the same."""
    words, others = Counter(row[1].split(" ")), Counter(kept[1].split(" "))
    shared = (words & others).total()
    near = abs(row[3] - kept[3]) < 0.03 and abs(row[2] - kept[2]) < 0.03
    return near and 2 * shared > min(words.total(), others.total())


def _lengths(early: np.ndarray, late: np.ndarray) -> dict[str, Any]:
    """Histograms on the same bins, as shares, and medians."""
    edges = np.unique(np.linspace(0, max(early.max(), late.max()) + 1, 25).astype(int))
    shares = [(np.histogram(side, edges)[0] / len(side)).tolist() for side in (early, late)]
    medians = [float(np.median(side)) for side in (early, late)]
    return {"edges": edges.tolist(), "shares": shares, "medians": medians}
