"""Ctrl-C and SIGTERM. A training loop saves after its step; anything else ends within seconds, whatever it waits for.

Python raises KeyboardInterrupt in the main thread alone, once that is back from what it calls: a compilation takes
minutes. And what it interrupts may swallow it, such as a callback of the garbage collector. So a thread looks on.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ONE_SIGNAL_S = 1.0
"""Signals within so many seconds are one: a launcher may send it to a process and to its group."""
PATIENCE_S = 3.0
"""A program may take so many seconds after Ctrl-C to close what it has open."""


class _AfterThisStep:
    """A handler that notes the first signal's name; a second acts as usual."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.previous: dict[int, Any] = {}
        self._begun = 0.0

    def __call__(self, number: int, frame: Any) -> None:
        if not self.seen:
            self._begun = time.monotonic()
            self.seen.append(signal.Signals(number).name)
            print(f"\n{self.seen[0]}: saving after this step; once more to stop at once", flush=True)
        elif time.monotonic() - self._begun > ONE_SIGNAL_S:
            signal.signal(number, self.previous[number])
            os.kill(os.getpid(), number)


@contextmanager
def until_signal() -> Iterator[list[str]]:
    """A list that the first SIGINT or SIGTERM fills with its name; a second acts as usual."""
    handler = _AfterThisStep()
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            handler.previous[number] = signal.signal(number, handler)
        yield handler.seen
    finally:
        for number, previous in handler.previous.items():
            signal.signal(number, previous)


@contextmanager
def heeded(end: Callable[[], Any]) -> Iterator[None]:
    """Ctrl-C in the body raises KeyboardInterrupt out of it, whatever others make of it on its way. `end` must end the
    process: it is called where that takes longer than `PATIENCE_S`, and at once during an import, which would complain
    in words of its own.

    Does nothing where Ctrl-C has another meaning already, or this is not the main thread.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    come = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        come.set()
        if _importing(frame):
            end()
        raise KeyboardInterrupt

    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before, shown = signal.set_wakeup_fd(writing, warn_on_full_buffer=False), sys.unraisablehook
    quiet = lambda args: None if args.exc_type is KeyboardInterrupt else shown(args)  # noqa: E731
    sys.unraisablehook = quiet  # What has swallowed it says so.
    signal.signal(signal.SIGINT, interrupt)
    threading.Thread(target=_look_on, args=(reading, end), name="Ctrl-C", daemon=True).start()
    try:
        yield
    except Exception:
        if come.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.set_wakeup_fd(before)
        if sys.unraisablehook is quiet:  # One that the body has put over it is of threads that outlive the body.
            sys.unraisablehook = shown
        os.close(writing)


def _importing(frame: FrameType | None) -> bool:
    while frame and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _look_on(reading: int, end: Callable[[], Any]) -> None:
    """Until the other end of the pipe is closed. Python writes the number of each signal into it as it arrives."""
    last = None
    with open(reading, "rb", buffering=0) as pipe:
        while last is None or select.select([pipe], [], [], max(0.0, last - time.monotonic()))[0]:
            number = pipe.read(1)
            if not number:
                return
            if number[0] == signal.SIGINT and not isinstance(signal.getsignal(signal.SIGINT), _AfterThisStep):
                last = last or time.monotonic() + PATIENCE_S
    end()
