"""As many verifying processes as there are processors to use."""

import os
from pathlib import Path

import pytest

from cooper_jax.config import Verifier, processors
from cooper_jax.config.processors import _shares
from cooper_jax.programs.verify import Verify


def test_as_many_as_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(48)), raising=False)
    for shares, want in (([], 48), ([6.5, 64.0], 6), ([0.5], 1)):
        monkeypatch.setattr(processors, "_shares", lambda shares=shares: shares)
        assert Verifier().workers == Verify("a", "b").workers == want
    assert Verifier(workers=3).workers == 3


def test_control_groups(tmp_path: Path) -> None:
    """Of both versions; a limit of an outer group counts, `max` and -1 are none, and a file may be missing."""
    own, root = tmp_path / "own", tmp_path / "root"
    inner = root / "pod" / "box"
    inner.mkdir(parents=True)
    own.write_text("0::/pod/box\n")
    assert _shares(root, own) == [] == _shares(root, tmp_path / "none")
    (inner / "cpu.max").write_text("max 100000\n")
    (root / "pod" / "cpu.max").write_text("250000 100000\n")
    assert _shares(root, own) == [2.5]
    old = root / "cpu,cpuacct" / "box"
    old.mkdir(parents=True)
    own.write_text("4:memory:/box\n3:cpu,cpuacct:/box\n")
    (old / "cpu.cfs_period_us").write_text("100000\n")
    for quota, want in (("-1", []), ("400000", [4.0])):
        (old / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        assert _shares(root, own) == want
