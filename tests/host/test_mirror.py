"""Files that grow on an object store: copied while they grow, complete at the end, and no error is swallowed."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cooper_jax.config import UserError, path
from cooper_jax.host import mirror
from cooper_jax.host.mirror import Mirror


def soon(what: Callable[[], bool]) -> None:
    """Wait until it holds."""
    ends = time.monotonic() + 20
    while not what():
        assert time.monotonic() < ends, "nothing happened"
        time.sleep(0.01)


def test_on_this_machine_it_is_the_file_itself(tmp_path: Path) -> None:
    with Mirror(str(tmp_path / "lines")) as mirrored:
        assert mirrored.local == tmp_path / "lines"


def test_lines_arrive_while_they_are_written(gs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there stays, what is added follows within a moment; nothing is left on this machine."""
    monkeypatch.setattr(mirror, "EVERY", 0.01)
    there = path(gs) / "run" / "lines"
    there.write_text("before\n")
    with Mirror(there) as mirrored, mirrored.local.open("a") as file:
        for number in range(3):
            file.write(f"{number}\n")
            file.flush()
            soon(lambda n=number: there.read_text().endswith(f"{n}\n"))
        file.write("last\n")
    assert there.read_text() == "before\n0\n1\n2\nlast\n"
    assert not mirrored.local.parent.exists()


def test_a_folder(gs: str) -> None:
    with Mirror(gs + "/run/profile") as mirrored:
        (mirrored.local / "deep").mkdir(parents=True)
        (mirrored.local / "deep" / "trace").write_bytes(b"\0")
    assert (path(gs) / "run" / "profile" / "deep" / "trace").read_bytes() == b"\0"


def test_a_store_that_fails(gs: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It is tried again, and said; what the store never took stays on this machine."""
    monkeypatch.setattr(mirror, "EVERY", 0.01)
    there, failing = path(gs) / "lines", True
    write = type(there).write_bytes

    def unsteady(self: object, data: bytes) -> int:
        if failing:
            raise OSError("the store is down")
        return write(self, data)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(type(there), "write_bytes", unsteady)
    with Mirror(there) as mirrored:
        mirrored.local.write_text("one\n")
        out = ""
        while "could not be written (the store is down); trying again" not in out:
            out += capsys.readouterr().out
        failing = False
        soon(there.exists)
    mirrored = Mirror(there)
    failing = True
    mirrored.local.write_text("two\n")
    with pytest.raises(UserError, match="lines could not be written: the store is down; it is kept in"):
        mirrored.close()
    assert mirrored.local.read_text() == "two\n" and there.read_text() == "one\n"
