"""Verdicts from worker processes, each with a deadline. A worker that hangs or dies costs exactly its own job."""

import json
import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from cooper_jax.config import UserError, Verifier
from cooper_jax.host.verifier.verdict import UNKNOWN, Verdict
from cooper_jax.host.verifier.worker import Settings

START_SECONDS = 30.0
PAUSES = (0.2, 1.0, 3.0)
"""Seconds before a worker that did not start is tried again."""
PATIENCE = 30
"""Deadlines of wall time granted to a job that waits for a processor."""
ASLEEP = 0.5
"""Seconds past the deadline without any computing, after which a job waits for something that never comes. Not at first
sight: a worker sleeps too in the moment after its reply, which must then be read."""
BATCH_BYTES = 1 << 15
"""Jobs on their way to a worker at a time: less than a pipe holds, so that neither side waits for the other."""
PART = 64
RECYCLED = 50_000
"""Jobs after which a worker is replaced, lest what its libraries keep should grow."""


class Job(NamedTuple):
    """A completion to grade; without one, whether the rule can read the reference: right, or unknown and why."""

    reference: str
    completion: str | None
    finished: bool
    question: str = ""
    """What was asked; the verdict does not depend on it, but which ones a brittle rule spoils."""


class Timed(NamedTuple):
    """A verdict and the seconds it took."""

    verdict: Verdict
    seconds: float


class Pending:
    """Verdicts under way."""

    def __init__(self, parts: Sequence[Future[list[Timed]]], places: Sequence[int]) -> None:
        self._parts, self._places = parts, places

    def result(self) -> list[Verdict]:
        """Wait for the verdicts, in the order of the jobs."""
        return [timed.verdict for timed in self.timed()]

    def timed(self) -> list[Timed]:
        """Wait for the verdicts and their seconds, in the order of the jobs."""
        found = [timed for part in self._parts for timed in part.result()]
        return [found[place] for place in self._places]


class Pool:
    """A context manager that owns the workers; `submit` may be called from any thread.

    Workers are started by `subprocess` (never forked from a process full of threads), read JSON lines, and end with
    this process however it ends. The deadline counts a worker's processor time, so that verdicts depend neither on the
    workers' number nor on the machine's load; where that cannot be read (outside Linux) it counts seconds.
    """

    def __init__(self, cfg: Verifier, command: Sequence[str] | None = None) -> None:
        settings = Settings(cfg.rule, cfg.extract, cfg.deadline, os.getpid())
        own = (sys.executable, "-P", "-m", "cooper_jax.host.verifier.worker", json.dumps(asdict(settings)))
        self._count = cfg.workers
        self._workers = [_Worker(command or own, cfg.deadline) for _ in range(cfg.workers)]
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(cfg.workers, "verifier")

    @property
    def lost(self) -> int:
        """Jobs whose worker was killed or died."""
        return sum(worker.lost for worker in self._workers)

    def submit(self, jobs: Sequence[Job]) -> Pending:
        """Start grading; returns at once. Equal jobs are graded once."""
        jobs = [job._replace(question="") for job in jobs]
        place = {job: i for i, job in enumerate(dict.fromkeys(jobs))}
        unique = list(place)
        size = max(1, min(PART, -(-len(unique) // (2 * self._count))))
        parts = [unique[i : i + size] for i in range(0, len(unique), size)]
        return Pending([self._threads.submit(self._grade, part) for part in parts], [place[job] for job in jobs])

    def _grade(self, jobs: Sequence[Job]) -> list[Timed]:
        worker = self._idle.get()
        try:
            return worker.grade(jobs)
        finally:
            self._idle.put(worker)

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.stop()


class _Worker:
    """A process and its two pipes; started when first needed, and again after it had to be killed."""

    def __init__(self, command: Sequence[str], deadline: float) -> None:
        self._command, self._deadline = command, deadline
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._served = self.lost = 0
        self._waited = 0.0

    def grade(self, jobs: Sequence[Job]) -> list[Timed]:
        """Verdicts in order. A job that ends its worker becomes `unknown`; the ones behind it go to the next worker."""
        lines = [json.dumps(job[:3]).encode() + b"\n" for job in jobs]
        done: list[Timed] = []
        while len(done) < len(jobs):
            self._ready()
            batch = deque(lines[len(done) : len(done) + 1])
            for line in lines[len(done) + 1 :]:
                if sum(map(len, batch)) + len(line) > BATCH_BYTES:
                    break
                batch.append(line)
            try:
                self._write(b"".join(batch))
                used = self._processor_seconds()
                for _ in batch:
                    verdict, answer, reason, seconds, used = json.loads(self._reply(used))
                    done.append(Timed(Verdict(verdict, answer, reason), seconds))
                self._served += len(batch)
            except TimeoutError:
                reason = f"no verdict within {self._deadline:g} s"
                done.append(Timed(Verdict(UNKNOWN, None, reason), self._waited))
                self._lose()
            except (EOFError, BrokenPipeError, ValueError):
                done.append(Timed(Verdict(UNKNOWN, None, "the worker died"), 0.0))
                self._lose()
        return done

    def _lose(self) -> None:
        self.lost += 1
        self.stop()

    def _ready(self) -> None:
        # A killed worker whose threads are not all gone yet cannot be waited for, but is a zombie (Z) already.
        if self._process is not None and (
            self._served >= RECYCLED or self._process.poll() is not None or self._state() in "ZX"
        ):
            self.stop()
        if self._process is None:
            self._start()

    def _start(self) -> None:
        """Raises UserError where several attempts fail: a machine out of memory may kill one."""
        for pause in (*PAUSES, None):
            if self._started():
                return
            if pause is not None:
                time.sleep(pause)
        command = " ".join(self._command)
        raise UserError(f"the verifier's worker did not start; run it by hand to see why: {command}")

    def _started(self) -> bool:
        # A session of its own, so that Ctrl-C reaches this process alone.
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        self._unread, self._served = b"", 0
        try:
            self._read_line(lambda waited: waited > START_SECONDS)
        except (TimeoutError, EOFError):
            self.stop()
            return False
        return True

    def _write(self, data: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        while data:
            data = data[self._process.stdin.write(data) :]

    def _reply(self, used_before: float | None) -> bytes:
        last = used_before, self._deadline

        def expired(waited: float) -> bool:
            nonlocal last
            if waited < self._deadline:
                return False
            used = self._processor_seconds()
            if used is None or used_before is None or waited > PATIENCE * self._deadline:
                return True
            if used != last[0] or self._state() in "RD":
                last = used, waited
            return used - used_before >= self._deadline or waited - last[1] > ASLEEP

        return self._read_line(expired)

    def _read_line(self, expired: Callable[[float], bool]) -> bytes:
        assert self._process is not None and self._process.stdout is not None
        begun = time.monotonic()
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        while b"\n" not in self._unread:
            self._waited = time.monotonic() - begun
            if not poll.poll(1000 * max(self._deadline - self._waited, 0.05)):
                self._waited = time.monotonic() - begun
                if expired(self._waited):
                    raise TimeoutError
                continue
            piece = os.read(self._process.stdout.fileno(), 1 << 16)
            if not piece:
                raise EOFError
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _stat(self) -> list[str] | None:
        """The fields of /proc/PID/stat behind the name: state first; None where there is no such file."""
        assert self._process is not None
        try:
            return Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None

    def _state(self) -> str:
        return (self._stat() or "S")[0]

    def _processor_seconds(self) -> float | None:
        fields = self._stat()
        return None if fields is None else (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Kill the process, if there is one; the next job starts another."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None
