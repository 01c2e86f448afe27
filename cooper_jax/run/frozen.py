"""A frozen model on the policy's mesh, asked for texts or for Yes and No: an assistant and a judge without a server.

Every call has one shape and is made whatever there is to ask, so that the processes of a mesh stay in step.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from cooper_jax import config
from cooper_jax.config import Model, Prompting, Trainee, require
from cooper_jax.device import jits, loading
from cooper_jax.device.state import Prompts
from cooper_jax.host.cache import content_key
from cooper_jax.host.judge import Opinion, Row
from cooper_jax.host.negatives.assistant import Request, without_chatter
from cooper_jax.host.text import encode
from cooper_jax.host.text.data import Message, Problem
from cooper_jax.host.text.templates import asked
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG
from cooper_jax.mesh import sharding
from cooper_jax.model import weights
from cooper_jax.model.sample import Sampling
from cooper_jax.run import start

_AS_IS = Prompting()
_WORDS = (("Yes", " Yes", "yes"), ("No", " No", "no"))
SURE = 0.5
"""Yes and No together must be at least so likely, or the model has not answered."""


class FrozenModel:
    """Weights that are read only, their tokenizer, and `rows` slots for prompts; chats go through the tokenizer's
    template. A prompt longer than `cfg.prompt_len` gets no reply."""

    def __init__(
        self,
        cfg: config.MeshModel,
        model: Model,
        params: Any,
        tokenizer: encode.Tokenizer,
        mesh: jax.sharding.Mesh,
        rows: int,
    ) -> None:
        sharding.rows_divide(mesh, rows_of_the_frozen_model=rows)
        model.require_room(cfg.prompt_len + cfg.completion_len, "a frozen model's prompt_len + completion_len")
        self._cfg, self._params, self._tokenizer, self._mesh, self._rows = cfg, params, tokenizer, mesh, rows
        how = Sampling(1, cfg.completion_len, cfg.temperature, cfg.top_p, 0, tokenizer.stop_ids, tokenizer.pad_id)
        self._rollout = jits.make_rollout(model, how, mesh)
        self._model = model

    def texts(self, prompts: Sequence[str | None], key: np.ndarray) -> list[str | None]:
        """A completion of each of this process's prompts, which share its slots evenly; None where there was no prompt,
        it did not fit, or the completion did not finish."""
        put, fitting = self._put(prompts)
        drawn = self._rollout(self._params, put, sharding.put(key, self._mesh))
        token, real, finished = sharding.fetch((drawn.token_BT, drawn.real_BT, drawn.finished_B))
        written = encode.decode(token, real, self._tokenizer)
        done = [text if fits and end else None for text, fits, end in zip(written, fitting, finished, strict=True)]
        return done[:: len(done) // max(len(prompts), 1)][: len(prompts)]

    def chances(self, prompts: Sequence[str], words: Sequence[Sequence[str]]) -> list[tuple[float, ...] | None]:
        """The chance that a reply begins with one of each list of words, of any number of prompts, which all processes
        give alike."""
        openings = tuple(tuple(sorted({ids[0] for ids in self._tokenizer.encode_batch(some)})) for some in words)
        chances = jits.make_chances(self._model, openings, self._mesh)
        out: list[tuple[float, ...] | None] = []
        mine: list[int] = sharding.share(self._mesh).rows(self._rows).tolist()
        for first in range(0, len(prompts), self._rows):
            count = min(self._rows, len(prompts) - first)
            put, fitting = self._put([prompts[first + i] if i < count else None for i in mine])
            chance_PW = sharding.fetch(chances(self._params, put))
            found = [row.tolist() if fits else None for row, fits in zip(chance_PW, fitting, strict=True)]
            out += [both and tuple(both) for both in sharding.collect(found, self._rows, self._mesh)[:count]]
        return out

    def _put(self, prompts: Sequence[str | None]) -> tuple[Prompts, list[bool]]:
        """This process's prompts, each in the first of an equal part of its slots, and which slots hold one that fits;
        the others hold an empty prompt."""
        slots = self._rows // sharding.share(self._mesh).shares
        require(len(prompts) <= slots, f"{len(prompts)} prompts for the {slots} slots of a frozen model")
        texts: list[str | None] = [None] * slots
        each = slots // max(len(prompts), 1)
        texts[: len(prompts) * each : each] = list(prompts)
        empty = Problem("", "", (Message("user", ""),))
        problems = [empty if text is None else Problem(text, "", (Message("user", text),)) for text in texts]
        sizes = encode.prompt_sizes(problems, self._tokenizer, _AS_IS)
        fitting = [
            text is not None and bool(size <= self._cfg.prompt_len) for text, size in zip(texts, sizes, strict=True)
        ]
        shown = [p if fits else empty for p, fits in zip(problems, fitting, strict=True)]
        rows = encode.prompts(shown, self._tokenizer, _AS_IS, self._cfg.prompt_len)
        return sharding.put(Prompts(*rows), self._mesh), fitting


def frozen_model(name: str, cfg: config.MeshModel, source: str, mesh: jax.sharding.Mesh, rows: int) -> FrozenModel:
    """A frozen model, loaded onto the mesh. Raises UserError as loading a policy does."""
    trainee = start.resolve(name, Trainee(cfg.model, init=cfg.init, tokenizer=cfg.tokenizer))
    weights.check_mesh(name, trainee.model, mesh)
    made = start.tokenizer(name, trainee, source)
    params = loading.for_compute(start.load_params(cfg.init, "policy", trainee, mesh), trainee.model)
    return FrozenModel(cfg, trainee.model, params, made, mesh, rows)


class MeshAssistant:
    """A frozen model that rewrites; called in every round, whether or not a pair is still wanted."""

    lockstep = True

    def __init__(self, model: FrozenModel, prompt: str) -> None:
        self._model, self._prompt = model, prompt

    def rewrite(
        self, requests: Sequence[Request | None], rngs: Sequence[np.random.Generator], key: np.ndarray | None = None
    ) -> list[str | None]:
        """A finished text for each request, or None; the noise is of `key` and the slot."""
        assert key is not None
        prompts = [r and asked(self._prompt, r.problem, r.completion) for r in requests]
        texts = self._model.texts(prompts, key)
        return [r and t and without_chatter(t, r.completion) for r, t in zip(requests, texts, strict=True)]

    def figures(self) -> dict[str, float]:
        """None."""
        return {}

    def trouble(self) -> str:
        """Nothing."""
        return ""


class MeshJudge:
    """A frozen model that reads Yes or No off the first token of its reply."""

    lockstep = True

    def __init__(self, model: FrozenModel, cfg: config.MeshModel, prompt: str) -> None:
        self._model, self._prompt = model, prompt
        self.name = f"{cfg.init} ({content_key(prompt)[:8]})"

    def trouble(self) -> str:
        """Nothing."""
        return ""

    def judge(self, rows: Sequence[Row]) -> list[Opinion | None]:
        """By the likelier of the two; unknown where neither is likely, or the prompt is too long."""
        prompts = [asked(self._prompt, r.problem, r.completion) for r in rows]
        return [_opinion(both) for both in self._model.chances(prompts, _WORDS)]


def _opinion(both: tuple[float, ...] | None) -> Opinion:
    if both is None:
        return Opinion(UNKNOWN, "the prompt is too long")
    yes, no = both
    if yes + no < SURE:
        return Opinion(UNKNOWN, f"neither Yes nor No: {yes:.3f}, {no:.3f}")
    return Opinion(RIGHT if yes > no else WRONG, f"Yes {yes:.3f}, No {no:.3f}")
