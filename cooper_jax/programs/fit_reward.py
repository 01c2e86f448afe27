"""`cooper fit-reward`: the reward model before reinforcement learning, by cross-entropy on labelled completions."""

import zlib
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from cooper_jax.config import Config, require
from cooper_jax.device import jits
from cooper_jax.device.state import CooperState
from cooper_jax.host.text.data import Stream
from cooper_jax.mesh import sharding
from cooper_jax.run import loop, metrics, setup
from cooper_jax.run.setup import steps_seed

BATCH_SEED = 30


def fit_reward(cfg: Config) -> None:
    """Fit the reward model on `cfg.fit.data` in `cfg.fit.dir`; held-out figures are of questions it never saw.

    The checkpoint with the best held-out accuracy is kept beside the newest, and is what others load.
    """
    fit, size = cfg.fit, cfg.evaluation.batch
    with setup.machine(cfg, reward=replace(cfg.reward, optim=fit.optim, init=fit.init)) as here:
        cfg, trainee = here.cfg, here.models["reward"]
        sharding.rows_divide(here.mesh, evaluation__batch=size)
        labels = setup.read_labels(fit.data, here)
        rows = here.judged(labels.problems, labels.completions)
        share = np.array([zlib.crc32(p.question.encode()[::-1]) / 2**32 for p in labels.problems])
        kept_back = np.flatnonzero(share < fit.held_out)
        classes = [np.flatnonzero((share >= fit.held_out) & (labels.label_R == y)) for y in (0, 1)]
        require(
            min(len(kept_back), *map(len, classes)) > 0,
            f"{fit.data}: the split leaves {len(classes[1])} right and {len(classes[0])} wrong completions to "
            f"train on and {len(kept_back)} held out; label more completions, or change fit.held_out",
        )
        parts = classes if fit.balanced else [np.sort(np.concatenate(classes))]
        streams = [
            Stream(part.tolist(), steps_seed(cfg.seed, BATCH_SEED + i), jax.process_index(), jax.process_count())
            for i, part in enumerate(parts)
        ]
        epoch = -(-min(map(len, parts)) * len(parts) // fit.batch)
        total = fit.steps or round(epoch * fit.epochs) or 1

        as_fit = replace(cfg, steps=total, pairs=replace(cfg.pairs, updates=1))
        state = setup.initial_state(trainee, "reward", as_fit, here)
        update = jits.make_fit(trainee, total, here.mesh)
        score = jits.make_score(cfg.reward.model, here.mesh)

        def step_fn(state: CooperState, step: int, time: metrics.Timeline) -> tuple[CooperState, dict[str, Any]]:
            some = np.concatenate([stream.take(fit.batch // len(streams)) for stream in streams])
            batch = here.packed_pairs(0, [], [rows[i] for i in some], labels.label_R[some])
            reward, record = update(state.reward, here.put(batch))
            time.device("fit", record)
            return CooperState(None, reward), {f"fit/{k}": v for k, v in record.items()}

        def evaluate(state: CooperState) -> metrics.Record:
            assert state.reward is not None
            scores = []
            for start in range(0, len(kept_back), size):
                some = np.resize(kept_back[start : start + size], size)
                texts = here.packed([rows[i] for i in some])
                scores.append(sharding.fetch(score(state.reward.params, here.put(texts))))
            score_B, label_B = np.concatenate(scores)[: len(kept_back)], labels.label_R[kept_back]
            figures = metrics.classification(score_B, label_B)
            figures["accuracy"] = figures.pop("agreement")
            figures["ece"] = metrics.calibration_error(score_B, label_B)
            return {f"eval/{k}": v for k, v in figures.items()}

        def seek(cursor: int) -> None:
            for stream in streams:
                stream.seek(cursor)

        loop.run(
            "fit-reward",
            here,
            fit.dir,
            total,
            CooperState(None, state),
            step_fn,
            evaluate,
            fit.eval_every or epoch,
            ("fit/loss", "fit/accuracy", "eval/accuracy", "eval/auroc", "eval/ece"),
            seek,
            lambda: streams[0].cursor,
            best="eval/accuracy",
        )
