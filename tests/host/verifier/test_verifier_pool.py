"""Verdicts come from killable processes: a hang or a crash costs exactly its own job."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from cooper_jax.config import UserError, Verifier
from cooper_jax.host.verifier import pool as pool_file
from cooper_jax.host.verifier import worker
from cooper_jax.host.verifier.pool import Job, Pool
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG

JOBS = [Job(str(n), f"#{n if n % 3 else n + 1}", True) for n in range(50)]
WANT = [RIGHT if n % 3 else WRONG for n in range(50)]


@pytest.fixture
def moody(tmp_path: Path) -> list[str]:
    """A worker that hangs on `hang`, dies on `die`, computes on `toil`, sleeps a little on `nap`, and else echoes."""
    script = tmp_path / "moody.py"
    script.write_text(
        textwrap.dedent(
            """
            import json, os, sys, time
            print(flush=True)
            for line in sys.stdin:
                begun = time.process_time()
                reference, completion, finished = json.loads(line)
                if completion == "hang":
                    time.sleep(600)
                if completion == "nap":
                    time.sleep(0.4)
                if completion == "die":
                    os._exit(3)
                while completion.startswith("toil") and time.process_time() - begun < 0.6:
                    pass
                print(json.dumps(["right", completion, "echo", 0.0, time.process_time()]), flush=True)
            """
        )
    )
    return [sys.executable, str(script)]


@pytest.mark.parametrize("workers", [1, 3])
def test_verdicts_keep_their_order(workers: int) -> None:
    with Pool(Verifier(rule="arithmetic", workers=workers)) as pool:
        assert [v.verdict for v in pool.submit(JOBS).result()] == WANT
        assert pool.submit([]).result() == []


def test_any_thread_may_submit() -> None:
    with Pool(Verifier(rule="arithmetic", workers=2)) as pool:
        results: list[list[str]] = []
        threads = [
            threading.Thread(target=lambda: results.append([v.verdict for v in pool.submit(JOBS).result()]))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [WANT] * 6


@pytest.mark.parametrize("mood", ["hang", "die"])
def test_a_lost_worker_costs_its_own_job(moody: list[str], mood: str) -> None:
    texts = ["a", mood, "b", mood, "c", "d"]
    begun = time.monotonic()
    with Pool(Verifier(rule="arithmetic", workers=2, deadline=0.5), command=moody) as pool:
        verdicts = pool.submit([Job("", t, True) for t in texts]).result()
    assert [v.verdict for v in verdicts] == [UNKNOWN if t == mood else RIGHT for t in texts]
    assert [v.answer for v in verdicts] == [None if t == mood else t for t in texts]
    assert time.monotonic() - begun < 40


def test_verdicts_do_not_depend_on_load(moody: list[str]) -> None:
    """Six jobs of 0.6 s at once: the deadline of 1 s is of computing, whatever else the processors do meanwhile."""
    jobs = [Job("", f"toil {n}", True) for n in range(12)]
    with Pool(Verifier(workers=6, deadline=1.0), command=moody) as pool:
        assert {v.verdict for v in pool.submit(jobs).result()} == {RIGHT} and pool.lost == 0


def test_a_worker_seen_asleep_may_be_about_to_answer(moody: list[str]) -> None:
    """It sleeps after its reply, which may come between two looks at it; only long sleep is a hang."""
    with Pool(Verifier(workers=1, deadline=0.2), command=moody) as pool:
        assert pool.submit([Job("", "nap", True)]).result()[0].verdict == RIGHT and pool.lost == 0


def test_a_large_batch_does_not_block_the_pipes(moody: list[str]) -> None:
    """Jobs and verdicts far larger than a pipe, the culprit in their midst."""
    texts = [f"{n} " * 20_000 for n in range(20)]
    texts[7] = "die"
    with Pool(Verifier(workers=1, deadline=5.0), command=moody) as pool:
        verdicts = pool.submit([Job("", t, True) for t in texts]).result()
    assert [v.answer for v in verdicts] == [None if t == "die" else t for t in texts]


def test_equal_jobs_are_graded_once(moody: list[str]) -> None:
    with Pool(Verifier(workers=2, deadline=0.3), command=moody) as pool:
        verdicts = pool.submit([Job("", t, True) for t in ["hang"] * 50 + ["a"] * 50]).result()
        assert pool.lost == 1
    assert [v.verdict for v in verdicts] == [UNKNOWN] * 50 + [RIGHT] * 50


MATHS = [Job("42", rf"\boxed{{{n}}}", True) for n in range(60)]


def test_mathematics_by_any_number_of_workers() -> None:
    want = [RIGHT if n == 42 else WRONG for n in range(60)]
    for workers in (1, 3):
        with Pool(Verifier(workers=workers)) as pool:
            assert [v.verdict for v in pool.submit(MATHS).result()] == want
            assert [v.verdict for v in pool.submit(MATHS[::-1]).result()] == want[::-1]


def test_a_worker_killed_while_idle_costs_nothing() -> None:
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    with Pool(Verifier(rule="arithmetic", workers=1)) as pool:
        pool.submit(JOBS).result()
        (own,) = {p.pid for p in psutil.Process().children(recursive=True)} - before
        worker = psutil.Process(own)
        worker.kill()
        end = time.monotonic() + 30
        while worker.status() != "zombie":
            assert time.monotonic() < end
            time.sleep(0.01)
        assert [v.verdict for v in pool.submit(JOBS).result()] == WANT and pool.lost == 0


def test_workers_are_replaced_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cooper_jax.host.verifier.pool.RECYCLED", 10)
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    seen = set()
    with Pool(Verifier(rule="arithmetic", workers=1)) as pool:
        for start in range(0, 50, 10):
            assert [v.verdict for v in pool.submit(JOBS[start : start + 10]).result()] == WANT[start : start + 10]
            seen |= {p.pid for p in psutil.Process().children(recursive=True)} - before
        assert pool.lost == 0
    assert len(seen) == 5


CONFINED = """
import json, os, resource, sys
from cooper_jax.host.verifier import worker
worker._confine(os.getppid())
try:
    held = bytearray(2 << 30)
    print("memory")
except MemoryError:
    pass
try:
    with open("written", "w") as file:
        file.write("x")
    print("file")
except OSError:
    pass
print(resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_worker_is_confined(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CONFINED], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "(0, 0)", done.stdout


ORPHANS = """
import os, sys, threading, time
from cooper_jax.config import Verifier
from cooper_jax.host.verifier.pool import Job, Pool
pool = Pool(Verifier(workers=2, deadline=300.0), command=sys.argv[1:])
pending = pool.submit([Job("", f"for ever {n}", True) for n in range(2)])
time.sleep(1.5)
print(*[w._process.pid for w in pool._workers if w._process], flush=True)
time.sleep(300)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel's limit on processor time ends them")
def test_busy_workers_die_with_a_killed_parent(tmp_path: Path) -> None:
    toil = tmp_path / "toil.py"
    toil.write_text(
        "import os\nfrom cooper_jax.host.verifier import worker\nworker._confine(os.getppid())\n"
        "print(flush=True)\ninput()\nwhile True: pass\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHANS, sys.executable, str(toil)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2 and all(psutil.pid_exists(pid) for pid in workers)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 30
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in workers):
        assert time.monotonic() < end, "a worker outlives its parent"
        time.sleep(0.05)


def test_workers_end_with_the_pool() -> None:
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    with Pool(Verifier(rule="arithmetic", workers=2)) as pool:
        pool.submit(JOBS).result()
        own = {p.pid for p in psutil.Process().children(recursive=True)} - before
        assert len(own) == 2
    assert not own & {p.pid for p in psutil.Process().children(recursive=True)}


def test_a_worker_that_cannot_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_file, "PAUSES", (0.01,))
    with (
        Pool(Verifier(rule="arithmetic", workers=1), command=[sys.executable, "-c", "raise SystemExit(1)"]) as pool,
        pytest.raises(UserError, match="did not start"),
    ):
        pool.submit(JOBS[:1]).result()


def test_a_worker_that_dies_while_it_starts_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_file, "PAUSES", (0.01, 0.01))
    first = tmp_path / "first"
    settings = worker.Settings("arithmetic", "boxed", 2.0, os.getpid())
    starts = f"""
import os, runpy, sys
if not os.path.exists({str(first)!r}):
    open({str(first)!r}, "w").close()
    os.kill(os.getpid(), 9)
runpy.run_module("cooper_jax.host.verifier.worker", run_name="__main__")
"""
    command = [sys.executable, "-P", "-c", starts, json.dumps(asdict(settings))]
    with Pool(Verifier(rule="arithmetic", workers=1), command=command) as pool:
        assert [v.verdict for v in pool.submit([Job("3", "#3", True)]).result()] == [RIGHT]
    assert first.exists()
