"""The processes of a run: how they find one another, what they tell one another, and which of them speaks.

Every process runs the same program on its own rows. They meet in JAX's collectives and, for what is no array, in the
key-value store of its coordinator; each function that says so must be called by all of them, equally often.
"""

import itertools
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jax
from jax._src import distributed  # The coordinator's key-value store has no public name.

from cooper_jax.config import UserError, require
from cooper_jax.config.errors import paths_named

JOIN_S = 300
"""Seconds in which all processes must have started."""
HEARTBEAT_S = 30
"""A process that is silent for so many seconds is gone, and the others end."""
ANSWER_S = 86_400
"""Seconds that a process may be behind the others, asking a server, say. One that has gone is missed much sooner."""
T = TypeVar("T")
_NAMES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
_calls = itertools.count()


def start() -> None:
    """Join the processes of this run; must come before anything asks for a device. Does nothing once joined.

    JAX_COORDINATOR_ADDRESS (host:port of process 0), JAX_NUM_PROCESSES and JAX_PROCESS_ID name them. Without these a
    TPU slice and SLURM's `srun` say so themselves; anywhere else this process is the only one.
    Raises UserError: a variable is missing or wrong. Where not all come within `JOIN_S`, says so and ends the process.
    """
    if jax.distributed.is_initialized():
        return
    named = _named()
    if named:
        found: dict[str, Any] = {"coordinator_address": named[0], "num_processes": named[1], "process_id": named[2]}
        found["cluster_detection_method"] = "deactivate"
    elif int(os.environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in os.environ:
        found = {"cluster_detection_method": "slurm"}
    elif not _on_tpu():
        return
    # SIGTERM is the training loop's: it saves, and ends all processes at one step.
    jax.config.update("jax_enable_preemption_service", False)
    # On CPU a collective holds a thread of a pool that has one for each core: programs in flight would wait for ever.
    os.environ.setdefault("PJRT_NPROC", "64")
    with _no_longer_than(JOIN_S, f"process {named[2]} of {named[1]}, at {named[0]}" if named else "this process"):
        # Its own limits end the process with a stack trace of C++.
        jax.distributed.initialize(**found, initialization_timeout=2 * JOIN_S, heartbeat_timeout_seconds=HEARTBEAT_S)


@contextmanager
def _no_longer_than(seconds: float, who: str) -> Iterator[None]:
    """End this process where the body, which cannot be interrupted, takes longer."""

    def give_up() -> None:
        print(
            f"error: {who}: not all processes met within {seconds:g} s; start all of them, give each the address of "
            f"process 0 ({_NAMES[0]}), and let its port through the firewall",
            file=sys.stderr,
        )
        leave(1)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{who} cannot join the others: {error}") from None
    finally:
        timer.cancel()


def _named() -> tuple[str, int, int] | None:
    """Coordinator, number of processes and own number, as the environment has them."""
    given = {name: os.environ.get(name, "") for name in _NAMES}
    if not any(given.values()):
        return None
    missing = [name for name, text in given.items() if not text]
    require(
        not missing, f"{', '.join(missing)} not set, beside {', '.join(n for n in _NAMES if given[n])}; set all three"
    )
    address, *numbers = given.values()
    host, _, port = address.rpartition(":")
    require(bool(host) and port.isdecimal(), f"{_NAMES[0]} = {address!r}: give host:port of process 0")
    for name, text in zip(_NAMES[1:], numbers, strict=True):
        require(text.isdecimal(), f"{name} = {text!r}: must be a whole number")
    count, number = map(int, numbers)
    require(number < count, f"{_NAMES[2]} = {number}: must be below {_NAMES[1]} = {count}")
    return address, count, number


def _on_tpu() -> bool:
    """Whether this is a host of a TPU slice, as far as can be told without touching it."""
    if os.environ.get("JAX_PLATFORMS", "tpu").split(",")[0] != "tpu":
        return False
    told = "TPU_WORKER_HOSTNAMES" in os.environ or "MEGASCALE_COORDINATOR_ADDRESS" in os.environ
    return told or Path("/dev/accel0").exists() or Path("/dev/vfio/0").exists()


def count() -> int:
    """How many processes there are."""
    return jax.process_count()


def joined_others() -> bool:
    """Whether this process is one of several."""
    return jax.distributed.is_initialized() and count() > 1


def index() -> int:
    """The number of this process, from 0."""
    return jax.process_index()


def is_main() -> bool:
    """Whether this process writes and speaks for all."""
    return jax.process_index() == 0


def own(name: str) -> str:
    """The name of a file that each process has for itself: of the first as it is, of others with their number."""
    stem, dot, kind = name.rpartition(".")
    return name if is_main() else f"{stem}.{index()}{dot}{kind}"


def hush() -> None:
    """From here on what this process prints is lost, unless it speaks for all; errors go to stderr and are not."""
    if not is_main():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def gather(value: Any) -> list[Any]:
    """What every process gave, in their order. All must call; `value` is anything that JSON holds.

    Raises UserError where one does not answer.
    """
    if count() == 1:
        return [value]
    call, client = next(_calls), _client()
    client.key_value_set_bytes(_key(call, jax.process_index()), json.dumps(value).encode())
    found = [json.loads(_read(call, process)) for process in range(count())]
    if call:
        # All are past the call before this one: nobody reads it again.
        client.key_value_delete(_key(call - 1, jax.process_index()))
    return found


def first(value: Any) -> Any:
    """What the first process gave. All must call; `value` is anything that JSON holds."""
    return gather(value if is_main() else None)[0]


def split(items: Sequence[T]) -> Sequence[T]:
    """This process's part of work that any process can do."""
    return items[index() :: count()]


def joined(mine: Sequence[Any]) -> list[Any]:
    """What all processes made of their parts by `split`, in the order of the whole. All must call."""
    parts = gather(list(mine))
    return [parts[i % len(parts)][i // len(parts)] for i in range(sum(map(len, parts)))]


def agree_on(problem: str | None) -> None:
    """Raise one UserError in all processes where any has a problem. All must call."""
    for process, found in enumerate(gather(problem)):
        if found is not None:
            raise UserError(found if count() == 1 else f"process {process}: {found}", agreed=count() > 1)


@contextmanager
def together() -> Iterator[None]:
    """Around what each process does by itself, such as reading data: a UserError in one, also of a path that cannot be
    had, is raised in all."""
    problem = None
    try:
        with paths_named():
            yield
    except UserError as error:
        if error.agreed:
            raise
        problem = error
    if count() == 1 and problem:
        raise problem
    agree_on(problem and str(problem))


def same(what: str, values: Mapping[str, Any]) -> None:
    """Raise UserError, in all processes, where their `values` differ; it names the first that does. All must call."""
    first, *others = gather(dict(values))
    for process, found in enumerate(others, 1):
        for name in sorted(first.keys() | found.keys()):
            mine, other = first.get(name), found.get(name)
            if mine != other:
                raise UserError(
                    f"{what} differ: {name} is {mine!r} in process 0 and {other!r} in process {process}; start all "
                    "processes with the same command, code and data",
                    agreed=True,
                )


class Trouble:
    """What went wrong in this process alone, in a step that the others go through with it: it goes along, with nothing
    to add, and all end after the step."""

    def __init__(self) -> None:
        self.reason: str | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Around work that no other process waits for: a UserError, or a full disk, ends the body and is kept."""
        try:
            yield
        except (UserError, OSError) as error:
            self.reason = self.reason or str(error)


def leave(code: int) -> None:
    """End this process at once, where others may be waiting for it: they are told by its silence."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _client() -> Any:
    return distributed.global_state.client


def _key(call: int, process: int) -> str:
    return f"cooper_jax/{call}/{process}"


def _read(call: int, process: int) -> bytes:
    try:
        return _client().blocking_key_value_get_bytes(_key(call, process), ANSWER_S * 1000)
    except RuntimeError as error:
        raise UserError(
            f"process {process} did not answer within {ANSWER_S} s ({str(error).splitlines()[0]:.200}); see what it "
            "printed last, and run the same command again to continue"
        ) from None
