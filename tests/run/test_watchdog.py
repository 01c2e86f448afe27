"""A run that hangs ends with a code of its own and says where it hung; one that works is left alone."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from cooper_jax import config
from cooper_jax.config import UserError
from cooper_jax.run.watchdog import HUNG, Watchdog

HANGS = """
import ctypes, sys, threading, time
from cooper_jax.run.watchdog import Watchdog

def waits_for_a_device():
    threading.Event().wait()

def holds_the_lock():
    ctypes.PyDLL(None).sleep(60)

with Watchdog(0.2) as watchdog:
    watchdog.beat()
    print("the last step", flush=True)
    {hang}()
"""


def hang(where: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", HANGS.format(hang=where)], capture_output=True, text=True, timeout=30)


def test_a_hanging_run_ends_with_its_own_code_and_says_where() -> None:
    ended = hang("waits_for_a_device")
    assert ended.returncode == HUNG
    first, *stacks = ended.stderr.splitlines()
    assert first.startswith("error: ") and "0.2 s" in first and "watchdog" in first
    assert any("in waits_for_a_device" in line for line in stacks)
    assert ended.stdout == "the last step\n"


def test_c_code_that_hangs_with_the_lock_ends_too() -> None:
    ended = hang("holds_the_lock")
    assert ended.returncode == 1 and "in holds_the_lock" in ended.stderr


def test_beats_and_work_that_does_not_count_keep_it_quiet() -> None:
    with Watchdog(0.5) as watchdog:
        time.sleep(0.7)  # Before the first beat: the step that compiles.
        watchdog.beat()
        for _ in range(4):
            time.sleep(0.2)
            watchdog.beat()
        with watchdog.off():
            time.sleep(0.7)
    time.sleep(0.7)
    with Watchdog(0) as watchdog:
        watchdog.beat()
        with watchdog.off():
            pass


def test_an_evaluation_before_the_first_beat_does_not_start_it() -> None:
    with Watchdog(0.1) as watchdog:
        with watchdog.off():
            pass
        time.sleep(0.3)


def test_the_limit_is_a_setting() -> None:
    toy = config.load(config.builtin("toy.py"))
    assert toy.watchdog > 0
    with pytest.raises(UserError, match="watchdog = -1"):
        replace(toy, watchdog=-1.0)
