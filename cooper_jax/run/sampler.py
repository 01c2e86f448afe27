"""Completions of any number of problems, in batches of one shape: for evaluation, annotation and `cooper generate`."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from cooper_jax.device import jits, keys
from cooper_jax.device.keys import Use
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.pool import Job
from cooper_jax.mesh import sharding
from cooper_jax.run.machine import Machine


class Completion(NamedTuple):
    """A sampled text, its tokens (the stop token included) and their log-probs; not `finished` at the length limit."""

    text: str
    token_ids: list[int]
    logprobs: list[float]
    finished: bool

    def job(self, problem: Problem) -> Job:
        """What the verifier is asked about it."""
        return Job(problem.reference, self.text, self.finished)


class Sampler:
    """Draws `samples` completions of each problem; `use` keeps its noise apart from that of other uses.

    The noise depends on the seed, the use and the place of a batch, so that two policies compare.
    """

    def __init__(self, here: Machine, samples: int, temperature: float, top_p: float, use: Use) -> None:
        self._size = here.cfg.evaluation.batch
        sharding.rows_divide(here.mesh, evaluation__batch=self._size)
        self._here, self._samples, self._use = here, samples, use
        how = here.sampling(samples, temperature, top_p)
        self._rollout = jits.make_rollout(here.cfg.policy.model, how, here.mesh)

    def batches(self, params: Any, problems: Sequence[Problem]) -> Iterator[tuple[list[int], list[Completion]]]:
        """Batch by batch: places of this process's problems, and `samples` completions of each, side by side.

        All processes must draw all batches; of rows that several hold, the one that leads gives them.
        """
        here, total = self._here, len(problems)
        for start in range(0, total, self._size):
            # Every batch has one shape: the last is filled up with repetitions that are thrown away.
            mine = here.mine(range(start, start + self._size))
            key = here.put(keys.key(here.cfg.seed, self._use, start))
            drawn = self._rollout(params, here.put(here.prompts([problems[i % total] for i in mine])), key)
            token, logp, real, ended = sharding.fetch((drawn.token_BT, drawn.logp_BT, drawn.real_BT, drawn.finished_B))
            count = sum(i < total for i in mine) if here.share.leads else 0
            rows = range(count * self._samples)
            texts = here.read(token[: len(rows)], real[: len(rows)])
            yield (
                mine[:count],
                [
                    Completion(texts[i], token[i][real[i]].tolist(), logp[i][real[i]].tolist(), bool(ended[i]))
                    for i in rows
                ],
            )
