"""Completions of any number of problems in batches of one shape: for evaluation, annotation, and `cooper generate`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import tyro
from rich.console import Console
from rich.rule import Rule

from cooper_jax.config import Config, Data, Evaluation, Mesh, Model, Prompting, Rollout, Trainee, require
from cooper_jax.device import jits, keys
from cooper_jax.host.text import encode
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.pool import Job
from cooper_jax.mesh import sharding
from cooper_jax.run import setup
from cooper_jax.run.setup import Machine

GENERATE_SEED = 200


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
    """Draws `samples` completions of each problem; `stream` keeps its noise apart from that of other uses.

    The noise depends on the seed, the stream and the place of a batch, so that two policies compare.
    """

    def __init__(self, here: Machine, samples: int, temperature: float, top_p: float, stream: int) -> None:
        self._size = here.cfg.evaluation.batch
        sharding.rows_divide(here.mesh, evaluation__batch=self._size)
        self._here, self._samples, self._stream = here, samples, stream
        how = here.sampling(samples, temperature, top_p)
        self._rollout = jits.make_rollout(here.cfg.policy.model, how, here.mesh)

    def batches(self, params: Any, problems: Sequence[Problem]) -> Iterator[tuple[list[Problem], list[Completion]]]:
        """Batch by batch: the problems, and `samples` completions of each, side by side."""
        here, total = self._here, len(problems)
        for start in range(0, total, self._size):
            # Every batch has one shape: the last is filled up with repetitions that are thrown away.
            some = [problems[i % total] for i in range(start, start + self._size)]
            key = here.put(keys.key_data(here.cfg.seed, self._stream, start))
            drawn = self._rollout(params, here.put(here.prompts(some)), key)
            token, logp, real, ended = sharding.fetch((drawn.token_BT, drawn.logp_BT, drawn.real_BT, drawn.finished_B))
            texts = here.read(token, real)
            count = min(self._size, total - start)
            yield (
                some[:count],
                [
                    Completion(texts[i], token[i][real[i]].tolist(), logp[i][real[i]].tolist(), bool(ended[i]))
                    for i in range(count * self._samples)
                ],
            )


@dataclass(frozen=True)
class Generate:
    """A model and what to ask it."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Hugging Face folder, or run directory of which the policy is taken."""
    prompt: str
    """Text, to which nothing is added but what --template says."""
    n: int = 1
    """Completions; greedy decoding gives one."""
    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    """Sample from the fewest tokens whose probability reaches this; 1 keeps every token."""
    max_new: int = 256
    """Tokens of a completion, at most, the stop token included."""
    template: Literal["auto", "chat", "plain"] = "auto"
    """chat: the tokenizer's chat template around the prompt; plain: the prompt alone, behind bos where the tokenizer
    puts one; auto: chat where the tokenizer has a template, else plain."""
    system: str = ""
    """System message of the chat; empty: none, or what the template puts in its place."""
    seed: int = 0
    """Of the sampling."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute type of the blocks."""
    mesh: Mesh = field(default_factory=Mesh)
    """Devices that hold the weights."""
    json: bool = False
    """Print {"samples": [{"text", "token_ids", "logprobs"}]}, the stop token included; log-probs are of the
    distribution at `temperature` (greedy: at 1), before top-p."""

    def __post_init__(self) -> None:
        require(self.n >= 1, f"--n {self.n}: must be at least 1")
        require(self.temperature >= 0, f"--temperature {self.temperature}: must not be negative; 0 is greedy")
        require(0 < self.top_p <= 1, f"--top-p {self.top_p}: must be in (0, 1]; 1 keeps every token")
        require(self.max_new >= 1, f"--max-new {self.max_new}: must be at least 1")
        require(self.temperature > 0 or self.n == 1, f"--n {self.n} at temperature 0: greedy completions are all alike")


def generate(cfg: Generate) -> None:
    """Print `cfg.n` completions of `cfg.prompt`."""
    trained = setup.ran(cfg.model)
    policy = Trainee(Model(dtype=cfg.dtype), init=cfg.model)
    whole = Config(
        policy=policy,
        reward=Trainee(),
        seed=cfg.seed,
        data=trained.data if trained else Data(source=""),
        mesh=cfg.mesh,
    )
    with setup.machine(whole, policy=policy) as here:
        problem, tok = Problem(cfg.prompt, ""), here.tokenizers["policy"]
        template = ("chat" if tok.chats else "plain") if cfg.template == "auto" else cfg.template
        prompting = Prompting(template=template, system=cfg.system)
        [length] = encode.prompt_sizes([problem], tok, prompting).tolist()
        require(length > 0, "--prompt is empty, and the tokenizer puts nothing before it; give a text")
        ways = here.mesh.shape["data"] * here.mesh.shape["fsdp"]
        here.cfg = replace(
            here.cfg,
            prompting=prompting,
            rollout=Rollout(prompt_len=length, completion_len=cfg.max_new),
            evaluation=Evaluation(batch=ways),
        )
        params = setup.load_params(cfg.model, "policy", here.cfg.policy, here.mesh)
        sampler = Sampler(here, cfg.n, cfg.temperature, cfg.top_p, GENERATE_SEED)
        [(_, samples)] = sampler.batches(params, [problem])
    if cfg.json:
        fields = ("text", "token_ids", "logprobs")
        print(json.dumps({"samples": [{name: getattr(s, name) for name in fields} for s in samples]}))
        return
    console = Console(highlight=False, markup=False)
    for number, sample in enumerate(samples, 1):
        about = f"{number}/{cfg.n}  {len(sample.token_ids)} tokens, log-prob {np.sum(sample.logprobs):.2f}"
        console.print(Rule(about if sample.finished else f"{about}, cut at --max-new"))
        console.print(sample.text)
