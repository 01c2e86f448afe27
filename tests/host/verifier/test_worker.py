"""A rule that is made blind, for experiments."""

import numpy as np

from cooper_jax.host.verifier import worker


def test_a_blind_rule_declines_the_same_share_of_references() -> None:
    declined = [worker.declines(str(n), 0.7) for n in range(100)]
    assert 0.6 < np.mean(declined) < 0.8
    assert declined == [worker.declines(str(n), 0.7) for n in range(100)]
    assert not any(worker.declines(str(n), 0.0) for n in range(100))
