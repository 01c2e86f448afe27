"""Every use of randomness, in one table. What is drawn depends on the seed, the use, and numbers such as the step.

Nothing else makes a key or a generator from a bare number, and no checkpoint holds one: a run that is continued draws
what it would have drawn.
"""

from enum import IntEnum, unique

import numpy as np


@unique
class Use(IntEnum):
    """What randomness is for; in brackets, the further numbers. To change a number changes every run that draws."""

    POLICY_WEIGHTS = 0
    """The policy's first weights, where no folder gives them."""
    REWARD_WEIGHTS = 1
    """The reward model's, or its score head's alone."""
    ROLLOUT = 2
    """The samples of a training step (step)."""
    PAIRS = 3
    """Which right completions become positives, and how they are rewritten (step, 1 + the question's place in it; 0: of
    all questions together)."""
    DATA_ORDER = 4
    """The order of the training questions (epoch)."""
    REPLAY = 5
    """Which labelled rows are replayed (step)."""
    HELD_OUT = 6
    """Which held-out questions are asked, where there are more than enough."""
    LIMIT = 7
    """Which rows of a benchmark are taken, where not all are."""
    SFT_EXAMPLES = 10
    """Questions and styles of the worked solutions."""
    SFT_BATCH = 11
    """Which of them a step imitates (step)."""
    SFT_ORDER = 12
    """The order of worked solutions from data (epoch)."""
    ANNOTATE = 20
    """The completions to annotate (place of the batch)."""
    ANNOTATE_ORDER = 21
    """Which questions they are of."""
    FIT_ORDER = 30
    """The order of the labelled rows (epoch)."""
    FIT_ORDER_RIGHT = 31
    """Of the right ones, where batches are balanced (epoch)."""
    EVALUATION = 100
    """Completions of held-out questions (place of the batch): the same noise at every step and for every policy."""
    GENERATE = 200
    """`cooper generate` (place of the batch)."""


def key(seed: int, use: Use, *numbers: int) -> np.ndarray:
    """Raw data of a JAX key, uint32 [2], made on the host: the same on every host that gives the same numbers."""
    return np.random.SeedSequence([seed, use, *numbers]).generate_state(2)


def generator(seed: int, use: Use, *numbers: int) -> np.random.Generator:
    """A generator of numpy's, for draws on the host."""
    return np.random.default_rng([seed, use, *numbers])
