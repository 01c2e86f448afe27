"""Checkpoints of both models and the data cursor, with orbax: whole or absent, never half-written."""

import logging
import shutil
import sys
from functools import cache
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

import jax
import orbax.checkpoint as ocp
from etils import epath
from flax.traverse_util import flatten_dict

from cooper_jax.config import UserError, is_local, require
from cooper_jax.config.paths import absolute
from cooper_jax.device import loading
from cooper_jax.device.state import CooperState, ModelState
from cooper_jax.mesh import hosts

SPARE_BYTES = 1 << 20
"""Room for a checkpoint's metadata."""


class Checkpointer:
    """The checkpoints of one run directory; a context manager that waits for the last write.

    The newest `keep` are kept and, with `best`, the one saved with the greatest figure. Every process calls every
    method: each writes the part of the state that it holds.
    """

    def __init__(self, run_dir: str, keep: int, best: bool = False) -> None:
        self._folder = absolute(run_dir) / "checkpoints"
        self._saving = 0
        _hush()
        newest = ocp.checkpoint_managers.LatestN(n=keep)
        highest = ocp.checkpoint_managers.BestN(get_metric_fn=_figure, n=1, keep_checkpoints_without_metrics=False)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=ocp.checkpoint_managers.AnyPreservationPolicy([newest, highest]),
            best_fn=_figure if best else None,
            enable_async_checkpointing=True,
            cleanup_tmp_directories=True,  # what a kill has left half-written
        )
        self._manager = ocp.CheckpointManager(self._folder, options=options)

    def latest(self) -> int | None:
        """Step of the newest checkpoint; before the first `save`, of the newest complete one."""
        return self._manager.latest_step()

    def best(self) -> tuple[int, float] | None:
        """Step and figure of the checkpoint with the greatest, once all are written; None where none has a figure."""
        step = self._manager.best_step()
        figure = None if step is None else self._manager.metrics(step)
        return None if step is None or figure is None or figure["figure"] == -inf else (step, figure["figure"])

    def save(self, step: int, state: CooperState, cursor: Any, figure: float | None = None) -> None:
        """Copy `state` to the host, whereupon it may be donated, and write it while the run goes on; the checkpoint
        appears under its name once it is complete. `figure` is what `best` compares (-inf: not known).

        Waits for the save before. Raises UserError where that one failed, or the disk has no room for another.
        """
        hosts.agree_on(self._failure() or self._no_room(step, state))
        self._saving = step
        items = {name: ocp.args.StandardSave(model) for name, model in _models(state).items()}
        sums = {name: _checksums(model) for name, model in _models(state).items()}
        args = ocp.args.Composite(**items, cursor=ocp.args.JsonSave({"problems": cursor, "checksums": sums}))
        try:
            with jax.transfer_guard("allow"):  # Transfers happen in this thread; those that write have none to make.
                self._manager.save(step, args=args, metrics=None if figure is None else {"figure": figure})
        except OSError as error:
            raise UserError(self._not_written(error)) from error

    def wait(self) -> None:
        """Return when the last save is complete. Raises UserError where it failed."""
        hosts.agree_on(self._failure())

    def _failure(self) -> str | None:
        """Wait for the write under way; what to say where it failed."""
        try:
            self._manager.wait_until_finished()
        except Exception as error:  # Whatever a disk, a store's client or a peer that has gone makes of it.
            return self._not_written(error)
        return None

    def _not_written(self, error: Exception) -> str:
        full = "No space left on device" in str(error)
        return (
            f"{'no space left: ' * full}the checkpoint of step {self._saving} could not be written"
            f"{'; free some' if full else f': {_first(error)}; mend that'}, and run the same command to continue from "
            "the last checkpoint"
        )

    def _no_room(self, step: int, state: CooperState) -> str | None:
        """What to say where this machine's disk, if it is one, has no room for `state`."""
        needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state)) + SPARE_BYTES
        free = shutil.disk_usage(self._folder).free if is_local(self._folder) else needed
        if free >= needed:
            return None
        return (
            f"no space left: the checkpoint of step {step} needs {needed / 1e6:.0f} MB and {self._folder} has "
            f"{free / 1e6:.0f} MB free; free some, and run the same command to continue from the last checkpoint"
        )

    def restore(self, step: int, like: CooperState) -> tuple[CooperState, Any]:
        """The state and the cursor at `step`, laid out as the abstract state `like`.

        Raises UserError where the checkpoint is damaged or of another model.
        """
        items = {name: ocp.args.StandardRestore(model) for name, model in _models(like).items()}
        for name, model in _models(like).items():
            _same_shapes(self._folder / str(step), name, model.params)
        try:
            with jax.transfer_guard("allow"):
                out = self._manager.restore(step, args=ocp.args.Composite(**items, cursor=ocp.args.JsonRestore()))
        except Exception as error:  # Orbax raises bare ones too.
            raise UserError(unreadable(self._folder / str(step), error)) from error
        state = CooperState(out.get("policy"), out.get("reward"))
        for name, sums in out["cursor"]["checksums"].items():
            _same_sums(_checksums(getattr(state, name)), sums, self._folder / str(step), name)
        return state, out["cursor"]["problems"]

    def __enter__(self) -> "Checkpointer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        problem = self._failure()
        try:
            self._manager.close()
        except Exception as failed:  # as in `_failure`
            problem = problem or self._not_written(failed)
        require(problem is None or error is not None, problem or "")
        if problem:
            print(f"warning: {problem}", flush=True)  # beside the error that ends the run


class Chosen(NamedTuple):
    """Which checkpoint of a run is read."""

    step: int
    why: str
    """The best, the newest, or one asked for; in words for the user."""


def choose(run_dir: str, step: int = 0) -> Chosen:
    """The checkpoint of `run_dir` at `step`; of step 0 the best, or where none was saved with a figure, the newest.

    Raises UserError: no checkpoint there, or none of that step.
    """
    _hush()
    folder = absolute(run_dir) / "checkpoints"
    require(folder.is_dir(), f"{run_dir} holds no checkpoints; train that model first, or give another directory")
    with _reader(folder) as manager:
        steps, best = sorted(manager.all_steps()), manager.best_step()
    require(len(steps) > 0, f"{folder} holds no complete checkpoint; train that model first")
    if step:
        there = ", ".join(map(str, steps))
        require(
            step in steps, f"{run_dir} has no checkpoint of step {step}; choose from {there}, or leave the step out"
        )
        return Chosen(step, f"step {step}")
    if best is None:
        return Chosen(steps[-1], f"step {steps[-1]}, the newest")
    return Chosen(best, f"step {best}, the best{f' (the newest is {steps[-1]})' if best != steps[-1] else ''}")


def _reader(folder: Path) -> ocp.CheckpointManager:
    return ocp.CheckpointManager(folder, options=ocp.CheckpointManagerOptions(best_fn=_figure))


def load_params(run_dir: str, item: Literal["policy", "reward"], like: Any, step: int = 0) -> Any:
    """Weights of one model from the checkpoint that `choose` finds, laid out as the abstract tree `like`.

    Raises UserError: no checkpoint there, none of that model, damaged, or of other shapes.
    """
    step, folder = choose(run_dir, step).step, absolute(run_dir) / "checkpoints"
    with _reader(folder) as manager:
        require(
            (folder / str(step) / item).is_dir(),
            f"the checkpoint {folder / str(step)} holds no {item} model; give the directory of a run that trained one",
        )
        stored = _same_shapes(folder / str(step), item, like)
        # A frozen model's are those of its compute type.
        kept_as = jax.tree.map(lambda x, leaf: x.update(dtype=leaf.dtype), like, stored)
        args = ocp.args.PyTreeRestore(
            {"params": kept_as},
            restore_args=ocp.checkpoint_utils.construct_restore_args({"params": kept_as}),
            partial_restore=True,
        )
        try:
            with jax.transfer_guard("allow"):
                out = manager.restore(step, args=ocp.args.Composite(**{item: args}, cursor=ocp.args.JsonRestore()))
        except Exception as error:  # Orbax raises bare ones too.
            raise UserError(unreadable(folder / str(step), error)) from error
    params = out[item]["params"]
    kept = out["cursor"]["checksums"][item]
    _same_sums({"params": loading.checksum(params)}, kept, folder / str(step), item)
    return loading.in_types_of(like, params)


@cache
def _hush() -> None:
    """Where reading or writing fails, leave the telling to the error that we raise.

    Orbax's threads print tracebacks of their own, of the failure and of what was under way and finds the event loop
    closed. They come before our error or any time after it, so this holds for the rest of the process.
    """
    shown, unraisable = sys.excepthook, sys.unraisablehook
    late = lambda error: "Event loop is closed" in str(error)  # noqa: E731
    sys.excepthook = lambda kind, error, tb: None if late(error) else shown(kind, error, tb)
    sys.unraisablehook = lambda args: None if late(args.exc_value) else unraisable(args)
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(_not_orbax_failing)


def _not_orbax_failing(record: logging.LogRecord) -> bool:
    where = record.pathname + record.getMessage()
    return not (record.exc_info and ("orbax" in where or "tensorstore" in where))


def _checksums(model: ModelState) -> dict[str, int]:
    return {"params": loading.checksum(model.params), "opt_state": loading.checksum(model.opt_state)}


def _same_sums(found: dict[str, int], kept: dict[str, int], checkpoint: Path, name: str) -> None:
    """Raise UserError where what was read is not what was saved."""
    changed = [part for part, total in found.items() if kept[part] != total]
    error = ValueError(f"the {name}'s {', '.join(changed)} are not what was saved: the checksum differs")
    require(not changed, unreadable(checkpoint, error))


def _figure(metrics: Any) -> float:
    return metrics["figure"]


def _models(state: CooperState) -> dict[str, Any]:
    return {name: model for name, model in (("policy", state.policy), ("reward", state.reward)) if model is not None}


def _same_shapes(checkpoint: Path, item: str, like: Any) -> Any:
    """What is stored of each weight. Raises UserError naming the first whose shape differs, before anything is read."""
    try:
        with jax.transfer_guard("allow"):
            metadata = ocp.PyTreeCheckpointHandler().metadata(epath.Path(checkpoint / item))
    except Exception as error:  # Orbax raises bare ones too.
        raise UserError(unreadable(checkpoint, error)) from error

    def shapes(tree: Any) -> dict[str, tuple[int, ...]]:
        leaves: dict[Any, Any] = flatten_dict(tree)  # pyright: ignore[reportAssignmentType]
        return {".".join(keys): leaf.shape for keys, leaf in leaves.items()}

    stored, wanted = shapes(metadata.tree["params"]), shapes(like)
    for name in sorted(stored.keys() | wanted.keys()):
        require(
            stored.get(name) == wanted.get(name),
            f"the {item} in the checkpoint {checkpoint} has {name} of shape {stored.get(name)}, this configuration "
            f"wants {wanted.get(name)} (None: absent); give {item}.model the shapes it was trained with",
        )
    return metadata.tree["params"]


def unreadable(checkpoint: Path, error: Exception) -> str:
    return (
        f"the checkpoint {checkpoint} is damaged: {_first(error)}; "
        "remove that folder to fall back to an older checkpoint, or to start anew"
    )


def _first(error: Exception) -> str:
    """The first line of what `error` says."""
    return f"{str(error).strip() or type(error).__name__}".splitlines()[0][:300]
