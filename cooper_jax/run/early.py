"""When a run ends before its last step: its evaluated figure rises no more, or is good enough."""

from collections.abc import Iterable, Mapping

from cooper_jax.config import Stop


class Early:
    """Counts evaluations of one figure, those that earlier processes made included.

    Evaluations at multiples of `every` alone count: one more after the last step of a run that has been continued
    since must not change when that run ends.
    """

    def __init__(self, stop: Stop, figure: str, every: int, past: Iterable[Mapping[str, float]] = ()) -> None:
        self._stop, self._figure, self._every = stop, figure, every
        self._best: float | None = None
        self._since = 0
        self.reason = ""
        """Why the run is to end; empty while it is to go on."""
        for record in past:
            self.note(int(record["step"]), record)

    def note(self, step: int, record: Mapping[str, float]) -> None:
        """Look at the record of `step` (counted from 1)."""
        value = record.get(self._figure)
        if value is None or step % self._every:
            return
        if self._best is None or value > self._best:
            self._best, self._since = value, 0
        else:
            self._since += 1
        self.reason = self._why(value)

    def _why(self, value: float) -> str:
        stop = self._stop
        if stop.at and value >= stop.at:
            return f"{self._figure} is {value:.4g}, and stop.at is {stop.at:g}"
        if stop.patience and self._since >= stop.patience:
            return f"{self._figure} has not risen above {self._best:.4g} in {self._since} evaluations (stop.patience)"
        return ""
