"""A run that hangs ends by itself, with an exit code that says so, and launchers start it again."""

import faulthandler
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

HUNG = 75
"""Exit code of a run that hung: `EX_TEMPFAIL` of sysexits.h, try again later."""
_STDERR = 2


class Watchdog:
    """A context manager: where `beat` stays away for `limit_s` seconds, it writes every thread's stack to stderr and
    ends the process with exit code `HUNG`. A limit of 0 turns it off.

    Nothing counts before the first beat, so the step that compiles may take its time; nor within `off`.

    A thread of Python's does it, since only `os._exit` gives a code of our own. It needs the interpreter's lock, which
    waiting for a device leaves free, but C code that hangs may hold. Then faulthandler, which does without the lock,
    writes the stacks a little later; its exit code is 1.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._changed = threading.Condition()
        self._deadline: float | None = None
        """On the monotonic clock; None: nothing counts."""
        self._closed = False
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def beat(self) -> None:
        """A step has ended: count from now."""
        self._count(on=True)

    @contextmanager
    def off(self) -> Iterator[None]:
        """Let what is done within take as long as it likes; afterwards count anew, if a beat had begun it."""
        counting = self._deadline is not None
        self._count(on=False)
        try:
            yield
        finally:
            self._count(on=counting)

    def __enter__(self) -> "Watchdog":
        if self._limit_s:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._count(on=False)
        if self._limit_s:
            with self._changed:
                self._closed = True
                self._changed.notify()
            self._thread.join()

    def _count(self, on: bool) -> None:
        if not self._limit_s:
            return
        with self._changed:
            self._deadline = time.monotonic() + self._limit_s if on else None
            self._changed.notify()
        if on:
            faulthandler.dump_traceback_later(1.1 * self._limit_s + 1, exit=True, file=_STDERR)
        else:
            faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                left = inf if self._deadline is None else self._deadline - time.monotonic()
                if left <= 0:
                    _end(self._limit_s)
                self._changed.wait(None if left == inf else left)


def _end(limit_s: float) -> None:
    """Straight to the descriptor: the thread that hangs may hold the lock of `sys.stderr`."""
    said = (
        f"error: no step ended within {limit_s:g} s (watchdog = {limit_s:g}): the run hangs, and ends with exit code "
        f"{HUNG}; the same command continues from the last checkpoint. What each thread was doing:\n"
    )
    try:
        os.write(_STDERR, said.encode())
        faulthandler.dump_traceback(_STDERR, all_threads=True)
    finally:
        os._exit(HUNG)
