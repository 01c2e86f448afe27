"""Randomness."""

import numpy as np


def key_data(*entropy: int) -> np.ndarray:
    """Raw data of a JAX key from integers such as seed and step: made on the host, the same on every host."""
    return np.random.SeedSequence(entropy).generate_state(2)
