"""Ctrl-C before a run has anything to save: one line, soon, whatever the program is at."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from runs import TOY

# The suite may run in the background, where Ctrl-C is ignored.
START = """import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from cooper_jax import __main__ as command
{}
print('ready', flush=True)
command.entry()"""
LONG = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"  # minutes, and Python hears nothing meanwhile
AT = {
    "in a call that does not return": f"import hashlib; {LONG}",
    "where it is swallowed": """
class Deaf:
    def __del__(self):
        time.sleep(60)
Deaf()
time.sleep(60)""",
    "where it becomes another error": """
try:
    time.sleep(60)
except KeyboardInterrupt:
    raise ImportError("half of a module")""",
    "where a thread goes on": f"""
import hashlib, threading
threading.Thread(target=lambda: {LONG}).start()
time.sleep(60)""",
    "in an import": "import slow",
}


def interrupted(code: str, *args: str, wait: float, cwd: Path) -> tuple[int, str, float]:
    """Exit code, stderr and seconds of `cooper`, interrupted so long after it has begun."""
    with subprocess.Popen(
        [sys.executable, "-c", START.format(code), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(cwd), *sys.path])},
        start_new_session=True,
    ) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        time.sleep(wait)
        begun = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
        return process.returncode, said, time.monotonic() - begun


@pytest.mark.parametrize("where", AT)
def test_ctrl_c_ends_a_program(where: str, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\ntry:\n    time.sleep(60)\nexcept BaseException as e:\n    print(e)\n"
    )
    (tmp_path / "act.py").write_text(f"import time\n{AT[where]}\n")
    code = "command._run = lambda *_: exec(open('act.py').read(), {})"
    code, said, seconds = interrupted(code, "train", wait=0.3, cwd=tmp_path)
    assert (code, said.count("\n"), seconds < 10) == (130, 1, True), (code, said, seconds)
    assert said.startswith("error: interrupted; run the same command to continue")


@pytest.mark.parametrize("program", ["train", "sft", "annotate", "fit-reward", "evaluate", "demo"])
def test_ctrl_c_while_a_program_starts(program: str, tmp_path: Path) -> None:
    code, said, seconds = interrupted("", program, TOY, wait=0.5, cwd=tmp_path)
    assert (code, said.count("\n"), seconds < 10) == (130, 1, True), (code, said, seconds)
    assert said.startswith("error: interrupted; run the same command to continue")
