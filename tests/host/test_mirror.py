"""Files that grow on an object store: copied while they grow, complete at the end, and no error is swallowed."""

import time
from collections.abc import Callable
from pathlib import Path

import fake_gcs
import pytest

from cooper_jax.config import UserError, path
from cooper_jax.host import mirror
from cooper_jax.host.cache import Cache
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


def test_a_store_that_fails(
    gs: str, gcs: fake_gcs.Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is tried again, and said; what the store never took stays on this machine."""
    monkeypatch.setattr(mirror, "EVERY", 0.01)
    there, said = path(gs) / "lines", ""
    with Mirror(there) as mirrored:
        gcs.fail = True
        mirrored.local.write_text("one\n")

        def warned() -> bool:
            nonlocal said
            said += capsys.readouterr().out
            return "lines could not be written (" in said and "the store is full" in said and "trying again" in said

        soon(warned)
        gcs.fail = False
        soon(there.exists)
    mirrored = Mirror(there)
    gcs.fail = True
    mirrored.local.write_text("two\n")
    with pytest.raises(UserError, match=r"lines could not be written: (.|\n)*the store is full; it is kept in"):
        mirrored.close()
    gcs.fail = False
    assert mirrored.local.read_text() == "two\n" and there.read_text() == "one\n"


def test_a_cache(gs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers survive a kill that comes after the next copy."""
    monkeypatch.setattr(mirror, "EVERY", 0.01)
    place = gs + "/run/replies.jsonl"
    with Cache(place) as cache:
        cache.put("a", {"text": "ä"})
        soon(path(place).exists)
        cache.put("b", [1, 2])
        assert cache.get("a") == {"text": "ä"} and cache.get("b") == [1, 2]
    with Cache(place) as cache:
        assert cache.get("a") == {"text": "ä"} and cache.get("b") == [1, 2] and cache.get("c") is None
    path(place).write_text("no cache\n")
    with pytest.raises(UserError, match="is not a cache"):
        Cache(place)
    assert path(place).read_text() == "no cache\n"
