"""`cooper score`: what a reward model says of completions in a file."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from cooper_jax.config import Config, Data, Evaluation, Mesh, Model, Scoring, Trainee, is_local, path, require
from cooper_jax.device import jits
from cooper_jax.host.text import benchmarks, encode
from cooper_jax.mesh import hosts, sharding
from cooper_jax.run import directory, machine, start
from cooper_jax.run.directory import Result
from cooper_jax.run.held_out import in_batches


@dataclass(frozen=True)
class Score:
    """A reward model and the rows that it reads."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Hugging Face folder, or run directory of which the reward model is taken."""
    rows: Annotated[str | Path, tyro.conf.Positional, tyro.conf.arg(metavar="ROWS")]
    """JSON lines (or parquet) with question, reference_answer (or gold), completion."""
    out: Annotated[str | Path, tyro.conf.arg(metavar="PATH")]
    """JSON lines to write: score, in (0, 1), and logit, in the order of the rows."""
    length: int = 0
    """Tokens of a text given to the model; a longer completion loses its head, and a marker says so. 0: scoring.length
    of the run; of a folder, its default, 2048."""
    batch: int = 16
    """Texts scored at a time."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute type of the blocks."""
    mesh: Mesh = field(default_factory=Mesh)
    """Devices that hold the weights."""

    def __post_init__(self) -> None:
        require(self.length >= 0, f"--length {self.length}: must not be negative")
        require(self.batch >= 1, f"--batch {self.batch}: must be at least 1")


def score(cfg: Score) -> Result:
    """Write `cfg.out`; the figures are the scores, float [rows].

    Raises UserError: a row that cannot be read or does not fit, or not a reward model.
    """
    out, source = path(cfg.out), path(cfg.rows)
    there = not is_local(out) or out.parent.is_dir()
    require(there and not out.is_dir(), f"--out {out}: give a file in a folder that is there")
    directory.require_writable(out.parent)
    require(out.resolve() != source.resolve(), f"--out {out} is the file of the rows; give another")
    places, problems, completions, _ = zip(*benchmarks.completions(str(source)), strict=True)
    trained = start.ran(cfg.model)
    reward = Trainee(Model(dtype=cfg.dtype), init=cfg.model)
    whole = Config(policy=Trainee(), reward=reward, data=trained.data if trained else Data(source=""), mesh=cfg.mesh)
    limit = cfg.length or (trained or whole).scoring.length
    with machine.machine(whole, reward=reward) as here:
        sharding.rows_divide(here.mesh, batch=cfg.batch)
        tok = here.tokenizers["reward"]
        for place, size in zip(places, encode.window_sizes(problems, tok), strict=True):
            require(size <= limit, f"{place}: question and reference need --length {size}, over {limit}")
        rows = encode.rm_texts(problems, completions, tok, limit)
        here.cfg = replace(
            here.cfg, scoring=Scoring(max(map(len, rows)), cfg.batch), evaluation=Evaluation(batch=cfg.batch)
        )
        here.cfg.reward.model.require_room(here.cfg.scoring.length, "the longest text")
        params = start.load_params(cfg.model, "reward", here.cfg.reward, here.mesh)
        logits = jits.make_logits(here.cfg.reward.model, here.mesh)
        asked = lambda places: [rows[i] for i in places]  # noqa: E731
        logit_R = in_batches(logits, params, asked, len(rows), here, "score").astype(float)
        score_R = np.exp(-np.logaddexp(0.0, -logit_R))
        with hosts.together():
            if hosts.is_main():
                with out.open("w") as file:
                    for one, logit in zip(score_R, logit_R, strict=True):
                        file.write(json.dumps({"score": float(one), "logit": float(logit)}) + "\n")
    print(f"wrote {out}: {len(rows)} rows, mean score {score_R.mean():.3f}")
    return Result(out, score_R)
