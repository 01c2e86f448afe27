"""`cooper sft`: next-token training on worked solutions, the warm start of the policy."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from cooper_jax.config import Config, require
from cooper_jax.device import jits, keys, loading
from cooper_jax.device.keys import Use
from cooper_jax.device.state import CooperState, Worked
from cooper_jax.host import arithmetic
from cooper_jax.host.negatives.arithmetic import ArithmeticAssistant
from cooper_jax.host.negatives.assistant import Request
from cooper_jax.host.text import data, encode, worked
from cooper_jax.host.text.data import Problem, Stream
from cooper_jax.host.text.worked import Example
from cooper_jax.mesh import hosts, sharding
from cooper_jax.run import loop, machine, questions, start
from cooper_jax.run.directory import Result
from cooper_jax.run.held_out import HeldOut
from cooper_jax.run.machine import Machine
from cooper_jax.run.metrics import Record
from cooper_jax.run.timeline import Timeline

_EVALUATIONS = 10
"""Of a run that does not say how often."""
_ROUND = 64
"""Packed rows are of round length, for the attention kernels."""


def sft(cfg: Config) -> Result:
    """Imitate worked solutions for `cfg.sft.steps` steps, in `cfg.sft.dir`: those of `cfg.sft.data`, or else of
    `cfg.data.source`; of the built-in task, `cfg.sft.examples` styled ones."""
    built_in = not cfg.sft.data and cfg.data.source == "arithmetic"
    require(
        built_in or cfg.data.source != "arithmetic",
        f'sft.data = {cfg.sft.data} beside data.source = "arithmetic", the built-in task; set data.source to the '
        "questions that the policy is to be trained on",
    )
    require(
        built_in or cfg.sft.task == "solve",
        f'sft.task = "{cfg.sft.task}" is of the built-in task; leave it out, or set data.source to "arithmetic"',
    )
    with machine.machine(cfg, cfg.sft.dir, policy=replace(cfg.policy, optim=cfg.sft.optim, init=cfg.sft.init)) as here:
        return loop.run(_built_in(here) if built_in else _from_data(here), here)


def _training(here: Machine, **more: Any) -> loop.Training:
    trainee, total = here.models["policy"], here.cfg.sft.steps
    return loop.Training(
        program="sft",
        dir=here.cfg.sft.dir,
        steps=total,
        fresh=lambda: CooperState(start.initial_state(trainee, "policy", here.cfg.seed, total, here.mesh), None),
        resumed=lambda: CooperState(loading.abstract_state(trainee, False, here.mesh, total), None),
        **more,
    )


def _from_data(here: Machine) -> loop.Training:
    """Packed rows of `sft.batch` worked solutions, in epochs; the loss on held-out ones tells the best state."""
    cfg, trainee = here.cfg, here.models["policy"]
    batch, total = cfg.sft.batch, cfg.sft.steps
    trainee.model.require_room(
        cfg.rollout.prompt_len + cfg.rollout.completion_len, "rollout.prompt_len + rollout.completion_len"
    )
    with hosts.together():
        parts = [_tokens(some, here) for some in _split(here)]
    train, held_out = parts
    digests = {"sft.data": data.digest(repr([t.tolist() for t in text]) for part in parts for text in part)}
    hosts.same("the processes' data", digests)
    stream = Stream(range(len(train)), partial(keys.generator, cfg.seed, Use.SFT_ORDER))
    print(
        f"{len(train):,} worked solutions, {total} steps of {batch} ({total * batch / len(train):.2g} passes); "
        f"{len(held_out):,} held out",
        flush=True,
    )
    longest = max(len(prompt) + len(completion) for part in parts for prompt, completion in part)
    longest += -longest % _ROUND
    update, surprise = jits.make_sft_update(trainee, total, here.mesh), jits.make_surprise(trainee.model, here.mesh)

    def packed(texts: Sequence[tuple[np.ndarray, np.ndarray]]) -> Worked:
        mine = here.dealt(np.arange(len(texts)))
        return here.put(here.packed_worked([texts[i] for i in mine], batch, longest))

    def step_fn(state: CooperState, step: int, time: Timeline) -> tuple[CooperState, dict[str, Any]]:
        with time.host("pack"):
            worked = packed([train[i] for i in stream.take(batch)])
        policy, metrics = update(state.policy, worked)
        time.device("sft", metrics)
        return CooperState(policy, None), {f"sft/{k}": v for k, v in metrics.items()}

    def evaluate(state: CooperState) -> Record:
        pieces = (packed(held_out[i : i + batch]) for i in range(0, len(held_out), batch))
        return _held_out_loss([sharding.fetch(surprise(state.policy.params, piece)) for piece in pieces])

    return _training(
        here,
        step_fn=step_fn,
        evaluate=evaluate,
        eval_every=cfg.sft.eval_every or max(1, total // _EVALUATIONS),
        shown=("sft/loss", "eval/loss"),
        seek=stream.seek,
        cursor=lambda: stream.cursor,
        inputs=digests,
        best="eval/loss",
        least=True,
    )


def _held_out_loss(found: Sequence[tuple[np.ndarray, np.ndarray]]) -> Record:
    """Of the batches' sums, and of the tokens that they are over."""
    loss, tokens = (np.sum(column, dtype=np.float64) for column in zip(*found, strict=True))
    return {"eval/loss": float(loss / tokens)}


def _split(here: Machine) -> tuple[list[Example], list[Example]]:
    """Worked answers to imitate, and held-out ones; those of a question that training holds back are held out."""
    cfg = here.cfg
    found = [
        questions.imitable(worked.examples(source, cfg.data, cfg.sft.solution), here)
        for source in cfg.sft.data or (cfg.data.source,)
    ]
    every = list(dict.fromkeys(example for some in found for example in some))
    train = [example for example in every if not data.kept_back(example.problem, cfg.data)]
    held_out = [example for example in every if data.kept_back(example.problem, cfg.data)]
    require(
        min(len(train), len(held_out)) > 0,
        f"of {len(every)} worked answers, {len(train)} are left to train on and {len(held_out)} held out; give more, "
        f"or change data.held_out = {cfg.data.held_out}",
    )
    rng = keys.generator(cfg.seed, Use.HELD_OUT)
    return train, data.sample(held_out, cfg.evaluation.questions, rng)


def _tokens(some: Sequence[Example], here: Machine) -> list[tuple[np.ndarray, np.ndarray]]:
    problems, texts = [example.problem for example in some], [example.completion for example in some]
    return encode.worked(problems, texts, here.tokenizers["policy"], here.cfg.prompting)


def _built_in(here: Machine) -> loop.Training:
    cfg = here.cfg
    sharding.rows_divide(here.mesh, sft__batch=cfg.sft.batch)
    size = cfg.policy.micro_batch or cfg.sft.batch
    require(
        cfg.sft.batch % size == 0,
        f"policy.micro_batch = {size} does not divide sft.batch = {cfg.sft.batch}; use a divisor of it, or 0 for "
        "the whole batch",
    )
    update = jits.make_sft_update(here.models["policy"], cfg.sft.steps, here.mesh)
    with hosts.together():
        prompt, prompt_real, token, real = _examples(cfg, here)
    held_out = HeldOut(here) if cfg.sft.task == "solve" else None

    def step_fn(state: CooperState, step: int, time: Timeline) -> tuple[CooperState, dict[str, Any]]:
        some = keys.generator(cfg.seed, Use.SFT_BATCH, step).choice(len(token), cfg.sft.batch)
        some = here.mine(some.tolist())
        batch = Worked(prompt[some], prompt_real[some], token[some], real[some], parts=cfg.sft.batch // size)
        policy, metrics = update(state.policy, here.put(batch))
        time.device("sft", metrics)
        return CooperState(policy, None), {f"sft/{k}": v for k, v in metrics.items()}

    return _training(
        here,
        step_fn=step_fn,
        evaluate=lambda state: held_out.accuracy(state.policy.params) if held_out else {},
        eval_every=cfg.sft.steps,
        shown=("sft/loss", "eval/accuracy"),
    )


def _examples(cfg: Config, here: Machine) -> tuple[np.ndarray, ...]:
    """Of the built-in task: prompts and completions, with their masks."""
    rng = keys.generator(cfg.seed, Use.SFT_EXAMPLES)
    problems = questions.usable(data.training(cfg.data), here, training=True)
    drawn = [problems[i] for i in rng.integers(len(problems), size=cfg.sft.examples)]
    texts = [arithmetic.styled(problem.question, rng) for problem in drawn]
    if cfg.sft.task == "rewrite":
        drawn, texts = _rewritings(drawn, texts, cfg, rng)
    prompts = here.prompts(drawn)
    worked = encode.completions(texts, here.tokenizers["policy"], cfg.rollout.completion_len)
    return prompts.token_PS, prompts.real_PS, *worked


def _rewritings(
    problems: list[Problem], texts: list[str], cfg: Config, rng: np.random.Generator
) -> tuple[list[Problem], list[str]]:
    """Right solutions as questions, and their rewritings by rule as answers."""
    right = [
        Request(problem, text, problem.reference)
        for problem, text in zip(problems, texts, strict=True)
        if arithmetic.answer(text) == problem.reference
    ]
    wrong = ArithmeticAssistant(cfg.assistant.kinds).rewrite(right, [rng] * len(right))
    return [Problem(f"{r.problem.question};{r.completion}", "") for r in right], [text or "" for text in wrong]
