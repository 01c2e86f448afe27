"""`cooper fit-reward`: the reward model before reinforcement learning, by cross-entropy on labelled completions."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from cooper_jax.config import Config, Fit, require
from cooper_jax.device import jits, keys, loading
from cooper_jax.device.keys import Use
from cooper_jax.device.state import CooperState
from cooper_jax.host.text import data
from cooper_jax.host.text.data import Stream
from cooper_jax.host.text.labels import Labels
from cooper_jax.mesh import hosts, sharding
from cooper_jax.run import loop, machine, questions, start
from cooper_jax.run.directory import Result
from cooper_jax.run.held_out import in_batches
from cooper_jax.run.metrics import Record, calibration_error, classification
from cooper_jax.run.timeline import Timeline


def fit_reward(cfg: Config) -> Result:
    """Fit the reward model on `cfg.fit.data` in `cfg.fit.dir`; held-out figures are of questions it never saw.

    The checkpoint with the best held-out accuracy is kept beside the newest, and is what others load.
    """
    fit = cfg.fit
    with machine.machine(cfg, fit.dir, reward=replace(cfg.reward, optim=fit.optim, init=fit.init)) as here:
        cfg, trainee = here.cfg, here.models["reward"]
        sharding.rows_divide(here.mesh, evaluation__batch=cfg.evaluation.batch)
        with hosts.together():
            labels = questions.labelled(fit.data, here)
            held_out, parts = _split(labels, fit)
        hosts.same("the processes' data", {"fit.data": data.digest([*labels.problems, *labels.completions])})
        streams = [_stream(part, cfg.seed, use) for part, use in zip(parts, _ORDERS, strict=False)]
        epoch = -(-min(map(len, parts)) * len(parts) // fit.batch)
        total = fit.steps or round(epoch * fit.epochs) or 1

        update = jits.make_fit_update(trainee, total, here.mesh)
        score = jits.make_score(trainee.model, here.mesh)

        def texts(some: Sequence[int] | np.ndarray) -> list[np.ndarray]:
            return here.rm_texts([labels.problems[i] for i in some], [labels.completions[i] for i in some])

        def step_fn(state: CooperState, step: int, time: Timeline) -> tuple[CooperState, dict[str, Any]]:
            some = np.concatenate([stream.take(fit.batch // len(streams)) for stream in streams])
            mine = here.dealt(some)
            batch = here.packed_pairs(0, [], len(some), texts(mine), labels.label_R[mine])
            reward, record = update(state.reward, here.put(batch))
            time.device("fit", record)
            return CooperState(None, reward), {f"fit/{k}": v for k, v in record.items()}

        def evaluate(state: CooperState) -> Record:
            asked = lambda places: texts(held_out[places])  # noqa: E731
            score_R = in_batches(score, state.reward.params, asked, len(held_out), here)
            return _figures(score_R, labels.label_R[held_out])

        def seek(cursor: int) -> None:
            for stream in streams:
                stream.seek(cursor)

        training = loop.Training(
            program="fit-reward",
            dir=fit.dir,
            steps=total,
            fresh=lambda: CooperState(None, start.initial_state(trainee, "reward", cfg.seed, total, here.mesh)),
            resumed=lambda: CooperState(None, loading.abstract_state(trainee, True, here.mesh, total)),
            inputs={"fit.data": data.digest([*labels.problems, *labels.completions])},
            step_fn=step_fn,
            evaluate=evaluate,
            eval_every=fit.eval_every or epoch,
            shown=("fit/loss", "fit/accuracy", "eval/accuracy", "eval/auroc", "eval/ece"),
            seek=seek,
            cursor=lambda: streams[0].cursor,
            best="eval/accuracy",
        )
        return loop.run(training, here)


_ORDERS = (Use.FIT_ORDER, Use.FIT_ORDER_RIGHT)


def _split(labels: Labels, fit: Fit) -> tuple[np.ndarray, list[np.ndarray]]:
    """Rows of held-out questions, and rows to train on: in one part or, balanced, wrong ones and right ones."""
    share = np.array([zlib.crc32(p.question.encode()[::-1]) / 2**32 for p in labels.problems])
    held_out = np.flatnonzero(share < fit.held_out)
    classes = [np.flatnonzero((share >= fit.held_out) & (labels.label_R == y)) for y in (0, 1)]
    require(
        min(len(held_out), *map(len, classes)) > 0,
        f"{fit.data}: the split leaves {len(classes[1])} right and {len(classes[0])} wrong completions to "
        f"train on and {len(held_out)} held out; label more completions, or change fit.held_out",
    )
    return held_out, classes if fit.balanced else [np.sort(np.concatenate(classes))]


def _stream(part: np.ndarray, seed: int, use: Use) -> Stream[int]:
    return Stream(part.tolist(), partial(keys.generator, seed, use))


def _figures(score_R: np.ndarray, label_R: np.ndarray) -> Record:
    figures = classification(score_R, label_R)
    figures["accuracy"] = figures.pop("agreement")
    figures["ece"] = calibration_error(score_R, label_R)
    return {f"eval/{name}": value for name, value in figures.items()}
