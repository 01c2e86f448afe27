"""A rule made brittle on purpose, for experiments: it does not read what it could, or takes wrong answers for right.

Which ones is a matter of checksums alone: the same in every process, on every machine and in every run.
"""

import zlib
from collections.abc import Sequence

from cooper_jax.config import Verifier
from cooper_jax.host.verifier.pool import Job, Pending, Pool
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG, Verdict

TRULY_RIGHT = "rule/truly_right"
"""A count: the completions that the rule calls right when it is not made brittle."""


class Brittle:
    """What training sees of the rule in `pool`: its verdicts as `cfg` spoils them, or as they are."""

    def __init__(self, pool: Pool, cfg: Verifier) -> None:
        self._pool, self._cfg = pool, cfg
        self.counted = (TRULY_RIGHT,) if cfg.brittle else ()
        """Names of what `counts` counts."""

    def submit(self, jobs: Sequence[Job]) -> "Spoilt":
        """Start grading; returns at once."""
        return Spoilt(self, jobs, self._pool.submit(jobs))

    def seen(self, jobs: Sequence[Job], verdicts: Sequence[Verdict]) -> list[Verdict]:
        """The pool's `verdicts` on `jobs`, as training sees them."""
        return [spoilt(job, verdict, self._cfg) for job, verdict in zip(jobs, verdicts, strict=True)]

    def counts(self, verdicts: Sequence[Verdict]) -> dict[str, float]:
        """What the pool's `verdicts` say, for the log; of a rule that is not brittle, nothing beside what is seen."""
        return dict.fromkeys(self.counted, float(sum(verdict.verdict == RIGHT for verdict in verdicts)))


class Spoilt:
    """Verdicts under way."""

    def __init__(self, rule: Brittle, jobs: Sequence[Job], pending: Pending) -> None:
        self._rule, self._jobs, self._pending = rule, jobs, pending

    def result(self) -> list[Verdict]:
        """Wait for the verdicts that training sees, in the order of the jobs."""
        return self._rule.seen(self._jobs, self._pending.result())


def spoilt(job: Job, verdict: Verdict, cfg: Verifier) -> Verdict:
    """The verdict on `job` by a rule that is as brittle as `cfg` says; `verdict` is that of the whole rule."""
    if cfg.blind_by and chosen(cfg.blind_share, "blind", getattr(job, cfg.blind_by)):
        return Verdict(UNKNOWN, None, f"{cfg.blind_by} not read")
    misread = verdict.verdict == WRONG and verdict.answer is not None
    if misread and chosen(cfg.false_right, "right", job.question, job.completion or ""):
        return Verdict(RIGHT, verdict.answer, "taken for right")
    return verdict


def chosen(share: float, *texts: str) -> bool:
    """Whether these texts are among the `share` of all that their checksum chooses; a larger share has them too."""
    return zlib.crc32(" ".join(texts).encode()) / 2**32 < share
