"""Checkpoints are written while the run goes on: what was saved, what a failure says, what a kill leaves; and any mesh
reads them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from orbax.checkpoint._src.checkpointers import async_checkpointer

from cooper_jax import config
from cooper_jax.config import Model, Trainee, UserError
from cooper_jax.device import keys, loading
from cooper_jax.device.keys import Use
from cooper_jax.device.state import CooperState, ModelState
from cooper_jax.mesh import sharding
from cooper_jax.run.checkpoint import Checkpointer


@dataclass
class Gate:
    """Lets the background write go on, or fail."""

    opened: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Writes wait for it once the arrays are on the host."""
    gate, real = Gate(), async_checkpointer._background_wait_for_commit_futures

    def wait(folder: Any, writes: Any, commit: Any, **kwargs: Any) -> None:
        def fail() -> None:
            raise gate.error  # pyright: ignore[reportGeneralTypeIssues]

        assert gate.opened.wait(60)
        real(folder, writes, fail if gate.error else commit, **kwargs)

    monkeypatch.setattr(async_checkpointer, "_background_wait_for_commit_futures", wait)
    yield gate
    gate.opened.set()


def on(mesh: jax.sharding.Mesh, value: float = 0.0) -> CooperState:
    put = sharding.put(ModelState(np.int32(0), {"w": np.full((8, 128), value, np.float32)}, {}), mesh)
    return CooperState(put, None)


def weight(state: CooperState) -> float:
    [value] = {float(w) for w in np.asarray(state.policy.params["w"]).flat}  # pyright: ignore
    return value


@partial(jax.jit, donate_argnums=0)
def plus_one(state: CooperState) -> CooperState:
    return jax.tree.map(lambda x: x + 1, state)


def test_what_is_saved_is_the_state_at_the_save(mesh: jax.sharding.Mesh, tmp_path: Path, gate: Gate) -> None:
    """The run goes on at once, and its state is donated, before a byte is written; leaving waits."""
    with Checkpointer(str(tmp_path), 2) as checkpoints, jax.transfer_guard("disallow"):
        state = on(mesh, 1.0)
        checkpoints.save(1, state, 5)
        for _ in range(3):
            state = plus_one(state)
        jax.block_until_ready(state)
        assert not (tmp_path / "checkpoints" / "1").exists()
        gate.opened.set()
    with Checkpointer(str(tmp_path), 2) as checkpoints:
        assert checkpoints.latest() == 1
        before, cursor = checkpoints.restore(1, state)
        assert (weight(before), weight(state), cursor) == (1.0, 4.0, 5)


def test_the_next_save_waits_for_the_last(mesh: jax.sharding.Mesh, tmp_path: Path, gate: Gate) -> None:
    with Checkpointer(str(tmp_path), 2) as checkpoints:
        checkpoints.save(1, on(mesh), 0)
        threading.Timer(0.2, gate.opened.set).start()
        begun = time.monotonic()
        checkpoints.save(2, on(mesh), 0)
        assert time.monotonic() - begun > 0.1
        assert (tmp_path / "checkpoints" / "1").is_dir()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("the disk broke\nand more"), "the checkpoint of step 2 could not be written: the disk broke; mend"),
        (OSError(28, "No space left on device"), "no space left: the checkpoint of step 2 could not be written; free"),
    ],
)
def test_a_write_that_fails(
    error: Exception, said: str, mesh: jax.sharding.Mesh, tmp_path: Path, gate: Gate, capsys: Any, caplog: Any
) -> None:
    """It is an error at the next save, at `wait` and at the end, unless another one ends the run; the last checkpoint
    stands, and saving goes on after it."""
    gate.opened.set()

    def begin() -> Checkpointer:
        gate.error = None
        checkpoints = Checkpointer(str(tmp_path), 2)
        if checkpoints.latest() is None:
            checkpoints.save(1, on(mesh, 1.0), 0)
            checkpoints.wait()
        gate.error = error
        checkpoints.save(2, on(mesh, 2.0), 0)
        return checkpoints

    with pytest.raises(UserError, match=said), begin() as checkpoints:
        checkpoints.save(3, on(mesh), 0)
    with pytest.raises(UserError, match=said), begin() as checkpoints:
        checkpoints.wait()
    with pytest.raises(UserError, match=said), begin():
        pass
    with pytest.raises(RuntimeError, match="another"), begin():
        raise RuntimeError("another")
    shown = capsys.readouterr()
    assert f"warning: {said}" in shown.out and "Traceback" not in shown.err + caplog.text
    gate.error = None
    with Checkpointer(str(tmp_path), 2) as checkpoints:
        assert checkpoints.latest() == 1
        assert weight(checkpoints.restore(1, on(mesh))[0]) == 1.0
        checkpoints.save(2, on(mesh, 3.0), 0)
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["1", "2"]


KILLED = """
import os, signal, sys
from orbax.checkpoint._src.checkpointers import async_checkpointer
import test_writing
from cooper_jax import config
from cooper_jax.mesh import sharding
from cooper_jax.run.checkpoint import Checkpointer

mesh = sharding.make_mesh(config.Mesh(), test_writing.jax.devices()[:1])
with Checkpointer(sys.argv[1], 2) as checkpoints:
    checkpoints.save(1, test_writing.on(mesh, 1.0), 7)
    checkpoints.wait()
    async_checkpointer._on_commit_callback = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    checkpoints.save(2, test_writing.on(mesh, 2.0), 9)
"""


def test_a_kill_in_the_middle_of_a_write(mesh: jax.sharding.Mesh, tmp_path: Path) -> None:
    """With all written but the name: the checkpoint before stands, the half one is not seen, and is gone after the next
    start."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=env, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = tmp_path / "checkpoints"
    assert len(os.listdir(folder)) == 2, "nothing was left half-written: the test tests nothing"
    with Checkpointer(str(tmp_path), 2) as checkpoints:
        assert checkpoints.latest() == 1
        state, cursor = checkpoints.restore(1, on(mesh))
        assert (weight(state), cursor) == (1.0, 7)
        checkpoints.save(2, on(mesh, 3.0), 9)
    assert sorted(os.listdir(folder)) == ["1", "2"]


def test_surplus_goes_with_the_next_save(mesh: jax.sharding.Mesh, tmp_path: Path) -> None:
    """What a kill kept from being deleted, or a smaller `keep` leaves over."""
    with Checkpointer(str(tmp_path), 3) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, on(mesh), 0)
    with Checkpointer(str(tmp_path), 1) as checkpoints:
        checkpoints.save(4, on(mesh), 0)
    assert os.listdir(tmp_path / "checkpoints") == ["4"]


def test_another_mesh_reads_it(tiny: Model, tmp_path: Path, mesh: jax.sharding.Mesh) -> None:
    """Written on one device, read on 4 x 2, written there and read on one: the same numbers, laid out as asked."""
    many = sharding.make_mesh(config.Mesh(data=1, fsdp=4, tensor=2))
    trainee = Trainee(tiny)

    def born(where: jax.sharding.Mesh) -> CooperState:
        with jax.set_mesh(where):
            key = keys.key(0, Use.POLICY_WEIGHTS)
            return CooperState(*(loading.init_state(trainee, scored, where, key, 1) for scored in (False, True)))

    def abstract(state: CooperState) -> CooperState:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state)

    first, second = born(mesh), abstract(born(many))
    with Checkpointer(str(tmp_path / "a"), 1) as checkpoints:
        checkpoints.save(1, first, 3)
    with Checkpointer(str(tmp_path / "a"), 1) as there, Checkpointer(str(tmp_path / "b"), 1) as back:
        spread, cursor = there.restore(1, second)
        assert cursor == 3
        back.save(1, spread, cursor)
        back.wait()
        again, _ = back.restore(1, abstract(first))
    split = 0
    for a, b, c, like in zip(*(jax.tree.leaves(tree) for tree in (first, spread, again, second)), strict=True):
        assert b.sharding == like.sharding and c.sharding == a.sharding
        split += not b.sharding.is_fully_replicated
        for other in (b, c):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(other))
    assert split > 10
