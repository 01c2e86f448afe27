"""A rule that is made blind, for experiments."""

import time

import numpy as np

from cooper_jax.host.verifier import worker
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, Verdict


def test_a_blind_rule_declines_the_same_share_of_references() -> None:
    declined = [worker.declines(str(n), 0.7) for n in range(100)]
    assert 0.6 < np.mean(declined) < 0.8
    assert declined == [worker.declines(str(n), 0.7) for n in range(100)]
    assert not any(worker.declines(str(n), 0.0) for n in range(100))


def test_the_deadline_counts_time_by_the_clock_and_nothing_on_the_way_stops_it() -> None:
    def stubborn() -> Verdict:
        while True:
            try:
                sum(range(10_000))
            except Exception:
                continue

    begun = time.perf_counter()
    assert worker.within(0.2, stubborn) == Verdict(UNKNOWN, None, "no verdict within 0.2 s")
    assert time.perf_counter() - begun < 1


def test_a_job_that_waits_for_a_processor_is_not_late() -> None:
    assert worker.within(0.05, lambda: time.sleep(0.2) or Verdict(RIGHT, "1", "equal")).verdict == RIGHT
