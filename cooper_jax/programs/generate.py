"""`cooper generate`: completions of one prompt, to try a model."""

import json
import sys
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import numpy as np
import tyro
from rich.console import Console
from rich.rule import Rule

from cooper_jax.config import Config, Data, Evaluation, Mesh, Model, Prompting, Rollout, Trainee, require, visible
from cooper_jax.device.keys import Use
from cooper_jax.host.text import encode
from cooper_jax.host.text.data import Problem
from cooper_jax.mesh import hosts, sharding
from cooper_jax.run import machine, progress, start
from cooper_jax.run.sampler import Completion, Sampler


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


def generate(cfg: Generate) -> list[Completion]:
    """Print `cfg.n` completions of `cfg.prompt`, and return them."""
    trained = start.ran(cfg.model)
    policy = Trainee(Model(dtype=cfg.dtype), init=cfg.model)
    whole = Config(
        policy=policy,
        reward=Trainee(),
        seed=cfg.seed,
        data=trained.data if trained else Data(source=""),
        mesh=cfg.mesh,
    )
    with machine.machine(whole, policy=policy) as here:
        problem, tok = Problem(cfg.prompt, ""), here.tokenizers["policy"]
        require(
            tok.chats or cfg.template != "chat",
            f"--template chat: the tokenizer of {cfg.model} has no chat template; use --template plain, or an "
            "instruction-tuned model",
        )
        template = ("chat" if tok.chats else "plain") if cfg.template == "auto" else cfg.template
        prompting = Prompting(template=template, system=cfg.system)
        [length] = encode.prompt_sizes([problem], tok, prompting).tolist()
        require(length > 0, "--prompt is empty, and the tokenizer puts nothing before it; give a text")
        here.cfg = replace(
            here.cfg,
            prompting=prompting,
            rollout=Rollout(prompt_len=length, completion_len=cfg.max_new),
            evaluation=Evaluation(batch=sharding.ways_of(here.mesh)),
        )
        # On stderr: what is printed may be read as JSON.
        with progress.shown("generate: reads the model", 1, "models", sys.stderr) as note:
            params = start.load_params(cfg.model, "policy", here.cfg.policy, here.mesh)
            note(1)
        sampler = Sampler(here, cfg.n, cfg.temperature, cfg.top_p, Use.GENERATE)
        with progress.shown("generate: compiles and samples", 1, "prompts", sys.stderr) as note:
            [(_, mine)] = sampler.batches(params, [problem])
            note(1)
        samples = [Completion(*sample) for some in hosts.gather(mine) for sample in some]
    if cfg.json:
        fields = ("text", "token_ids", "logprobs")
        print(json.dumps({"samples": [{name: getattr(s, name) for name in fields} for s in samples]}))
        return samples
    console = Console(highlight=False, markup=False)
    for number, sample in enumerate(samples, 1):
        about = f"{number}/{cfg.n}  {len(sample.token_ids)} tokens, log-prob {np.sum(sample.logprobs):.2f}"
        console.print(Rule(about if sample.finished else f"{about}, cut at --max-new"))
        console.print(visible(sample.text, keep="\n\t"))
    return samples
