"""Texts of unequal lengths into rows of one length, several to a row, so that little is computed on padding.

A text is never cut over two rows. The rows of a batch are as many as the longest texts would need, so that its shape is
settled; short texts fill the first of them, and micro-batches that hold nothing are not computed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PARTS = 8
"""Micro-batches of a batch whose configuration leaves their size open."""


class Shape(NamedTuple):
    """`rows` rows of `length` slots, computed in `parts` micro-batches."""

    rows: int
    length: int
    parts: int


def shape(texts: int, longest: int, length: int, micro_batch: int, ways: int) -> Shape:
    """Room for `texts` texts of up to `longest` tokens in rows of `length`, to be split over `ways` devices.

    A micro-batch has the slots of `micro_batch` of the longest texts; with 0, an eighth of the batch.
    """
    fit = length // longest
    needed = -(-texts // fit)
    at_once = max(1, -(-micro_batch // fit) if micro_batch else -(-needed // PARTS))
    at_once += -at_once % ways
    parts = max(1, -(-needed // at_once))
    return Shape(parts * at_once, length, parts)


def rm_texts(texts: Sequence[np.ndarray], into: Shape, pad: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """token_RU, segment_RU, and end_B, the place row * U + slot of each text's last token."""
    token_RU, segment_RU, row_N, end_N = _pack([[text] for text in texts], into, pad)
    return token_RU, segment_RU, (row_N * into.length + end_N).astype(np.int32)


def pairs(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    labelled: Sequence[np.ndarray],
    labels: np.ndarray,
    into: Shape,
    pad: int,
    judged: Sequence[np.ndarray] = (),
    verdicts: Sequence[int] | np.ndarray = (),
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """token_RU, segment_RU, wrong_RU, label_RU, verdict_RU, as in `state.PairBatch`: the sides of a pair stand side by
    side."""
    alone = [[text] for text in (*labelled, *judged)]
    token_RU, segment_RU, row_N, end_N = _pack([*pairs, *alone], into, pad)
    wrong_RU, label_RU, verdict_RU = (np.full_like(token_RU, -1) for _ in range(3))
    sides, last = 2 * len(pairs), 2 * len(pairs) + len(labelled)
    wrong_RU[row_N[:sides:2], end_N[:sides:2]] = end_N[1:sides:2]
    label_RU[row_N[sides:last], end_N[sides:last]] = labels
    verdict_RU[row_N[last:], end_N[last:]] = verdicts
    return token_RU, segment_RU, wrong_RU, label_RU, verdict_RU


def completions(prompt_real_PS: np.ndarray, real_BT: np.ndarray, into: Shape) -> tuple[np.ndarray, np.ndarray]:
    """source_RU and segment_RU, as in `state.Packing`, of each completion behind its prompt."""
    slots = prompt_real_PS.shape[1] + real_BT.shape[1]
    prompt_B = np.repeat(prompt_real_PS.sum(axis=1), len(real_BT) // len(prompt_real_PS))
    # Prompts are padded in front, completions behind: nothing stands between the two.
    first_B = np.arange(len(real_BT)) * slots + prompt_real_PS.shape[1] - prompt_B
    size_B = prompt_B + real_BT.sum(axis=1)
    places = [[np.arange(first, first + size)] for first, size in zip(first_B, size_B, strict=True)]
    return _pack(places, into, 0)[:2]


def worked(
    texts: Sequence[tuple[np.ndarray, np.ndarray]], into: Shape, pad: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """token_RU and segment_RU of prompts and completions, and real_RU, which marks the completions' tokens."""
    token_RU, segment_RU, row_N, end_N = _pack([[np.concatenate(text)] for text in texts], into, pad)
    real_RU = np.zeros(token_RU.shape, bool)
    for (_, completion), row, end in zip(texts, row_N, end_N, strict=True):
        real_RU[row, end + 1 - len(completion) : end + 1] = True
    return token_RU, segment_RU, real_RU


def _pack(
    units: Sequence[Sequence[np.ndarray]], into: Shape, pad: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Units of texts, those of a unit side by side: token_RU, segment_RU, row and last slot of each text."""
    token_RU = np.full((into.rows, into.length), pad, np.int32)
    segment_RU = np.zeros_like(token_RU)
    rows, ends = [], []
    for (row, slot), unit in zip(_places([sum(map(len, unit)) for unit in units], into), units, strict=True):
        for text in unit:
            number = segment_RU[row].max() + 1
            token_RU[row, slot : slot + len(text)] = text
            segment_RU[row, slot : slot + len(text)] = number
            slot += len(text)
            rows.append(row)
            ends.append(slot - 1)
    return token_RU, segment_RU, np.array(rows, int), np.array(ends, int)


def _places(sizes: Sequence[int], into: Shape) -> np.ndarray:
    """Row and first slot of each unit: longest first, each into the first row with room for it."""
    free = np.full(into.rows, into.length)
    found = np.zeros((len(sizes), 2), int)
    for unit in np.argsort(sizes, kind="stable")[::-1]:
        row = int(np.argmax(free >= sizes[unit]))
        assert free[row] >= sizes[unit], "more or longer texts than the shape was made for"
        found[unit] = row, into.length - free[row]
        free[row] -= sizes[unit]
    # The i-th micro-batch is made of the rows i, i + parts, ...: see `optim.split`.
    at_once = into.rows // into.parts
    found[:, 0] = found[:, 0] % at_once * into.parts + found[:, 0] // at_once
    return found
