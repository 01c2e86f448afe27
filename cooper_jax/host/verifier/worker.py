"""One worker process: a job a line in, a verdict a line out, both JSON. Ends when its input closes or its parent dies.

Run as `python -m cooper_jax.host.verifier.worker SETTINGS`; it imports neither jax nor anything that writes.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from cooper_jax.config import Extraction
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, Verdict

MEMORY = 1 << 30
"""Bytes of address space."""
_PR_SET_PDEATHSIG = 1

Rule = Callable[..., Verdict]


@dataclass(frozen=True)
class Settings:
    """What a worker is told on its command line, as JSON."""

    rule: str
    extract: Extraction
    deadline: float
    parent: int


def main() -> None:
    """Announce readiness with an empty line, then answer `[verdict, answer, reason, seconds, used]` to every job.

    `seconds` the job took; `used` is the processor time of this process so far.
    """
    settings = Settings(**json.loads(sys.argv[1]))
    _confine(settings.parent)
    # Whatever a library prints must not be taken for a verdict.
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    verify = _rule(settings)
    replies.write(b"\n")
    for line in sys.stdin.buffer:
        reference, completion, finished = json.loads(line)
        # A backstop for the parent's clock: the kernel ends a job that runs away.
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + settings.deadline) + 3, hard))
        begun = time.perf_counter()
        verdict = within(settings.deadline, partial(verify, reference, completion, finished))
        reply = [*verdict, time.perf_counter() - begun, time.process_time()]
        replies.write(json.dumps(reply).encode() + b"\n")


class _Late(BaseException):
    """The deadline has passed. No `except Exception` on the way stops it."""


def within(deadline: float, job: Callable[[], Verdict]) -> Verdict:
    """What `job` says, or unknown after `deadline` seconds by the clock.

    It must have computed for a quarter of them: a machine that is busy elsewhere does not change verdicts.
    """
    began, running = time.process_time(), True

    def late(*_: object) -> None:
        if running and time.process_time() - began >= deadline / 4:
            raise _Late

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, deadline, deadline / 10)
    try:
        verdict = job()
        running = False
    except _Late:
        verdict = Verdict(UNKNOWN, None, f"no verdict within {deadline:g} s")
    finally:
        running = False
        signal.setitimer(signal.ITIMER_REAL, 0)
    return verdict


def _rule(settings: Settings) -> Rule:
    if settings.rule == "arithmetic":
        from cooper_jax.host import arithmetic

        return arithmetic.verify
    from cooper_jax.host.verifier.mathematics import symbolic

    symbolic.warm()
    return partial(_math, extract=settings.extract)


def _math(reference: str, completion: str | None, finished: bool, extract: Extraction) -> Verdict:
    from cooper_jax.host.verifier import rule

    if completion is not None:
        return rule.verify(reference, completion, finished, extract)
    try:
        reason = rule.unreadable(reference)
    except Exception as error:  # Whatever a text provokes costs its own verdict, not the run.
        reason = f"{type(error).__name__}: {error}"[:200]
    return Verdict(UNKNOWN, None, reason) if reason else Verdict(RIGHT, None, "readable")


def _confine(parent: int) -> None:
    """Bounded memory, no files, no core dump, and no life after the parent's."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("the parent has gone")


if __name__ == "__main__":
    main()
