"""Could the reward model tell the sides of a pair apart by form alone? A classifier that sees only form, asked."""

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from cooper_jax.host.negatives.build import Pair
from cooper_jax.host.text.data import Problem

FOLDS = 4
_NUMBER = re.compile(r"\d+")
_WORDS = r"\\?[^\W\d_]+|[^\w\s]|0|\n+"


class Style:
    """Keeps the most recent pairs and measures them every `every` steps, once there are `window` of them.

    `gather` gives what it is given in every process, where there are several.
    """

    def __init__(self, every: int, window: int, gather: Callable[[Any], list[Any]] = lambda value: [value]) -> None:
        self._every, self._window, self._gather = every, window, gather
        self._recent: deque[tuple[int, int, str, str, str]] = deque(maxlen=window)

    def note(self, step: int, pairs: Iterable[tuple[int, Pair]]) -> dict[str, float]:
        """Add the pairs of a step, each with its slot in the whole batch; the figure for the log, if it is due."""
        self._recent.extend((step, slot, pair.problem.question, pair.right, pair.wrong) for slot, pair in pairs)
        if self._every == 0 or step % self._every:
            return {}
        rows = sorted(tuple(row) for some in self._gather(list(self._recent)) for row in some)[-self._window :]
        if len(rows) < self._window:
            return {}
        recent = [Pair(Problem(question, ""), right, wrong) for _, _, question, right, wrong in rows]
        return {"pairs/style_accuracy": style_accuracy(recent)}


def style_accuracy(pairs: list[Pair]) -> float:
    """How often logistic regression on words (numbers masked) and length picks the right side of a pair it has not
    seen, nor its question: 1/2 is chance. It is fitted to differences of the sides, as the reward model is.

    A figure of 1/2 also comes of fewer different questions than folds: there is nothing to learn from.
    """
    from sklearn.linear_model import LogisticRegression  # takes longer to import than all else together
    from sklearn.model_selection import GroupKFold

    groups = np.unique([pair.problem.question for pair in pairs], return_inverse=True)[1]
    if len(set(groups)) < FOLDS:
        return 0.5
    right, wrong = [pair.right for pair in pairs], [pair.wrong for pair in pairs]
    form = _form(right + wrong)
    difference = form[: len(pairs)] - form[len(pairs) :]
    picked = np.zeros(len(pairs))
    for seen, held in GroupKFold(FOLDS).split(difference, groups=groups):
        turn = np.where(np.arange(len(seen)) % 2, 1, -1)
        model = LogisticRegression(fit_intercept=False, solver="liblinear", max_iter=1000)
        margin = difference[held] @ model.fit(difference[seen] * turn[:, None], turn).coef_[0]
        picked[held] = (margin > 0) + 0.5 * (margin == 0)
    return float(picked.mean())


def _form(texts: list[str]) -> np.ndarray:
    """A row a text: log counts of words, signs and line breaks, every number one word; and log length."""
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(token_pattern=_WORDS, lowercase=False, max_features=4096)
    counts: Any = words.fit_transform([_NUMBER.sub("0", text) for text in texts])
    return np.log1p(np.column_stack([counts.toarray(), [len(text) for text in texts]]))
