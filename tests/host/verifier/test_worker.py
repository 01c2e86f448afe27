"""A worker's deadline."""

import time

from cooper_jax.host.verifier import worker
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, Verdict


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
