"""`cooper sft`: next-token training on worked solutions, the warm start of the policy."""

from dataclasses import replace
from typing import Any

import numpy as np

from cooper_jax.config import Config, require
from cooper_jax.device import jits, keys, loading
from cooper_jax.device.keys import Use
from cooper_jax.device.state import CooperState, Worked
from cooper_jax.host import arithmetic
from cooper_jax.host.negatives.arithmetic import ArithmeticAssistant
from cooper_jax.host.negatives.assistant import Request
from cooper_jax.host.text import data, encode
from cooper_jax.host.text.data import Problem
from cooper_jax.mesh import hosts, sharding
from cooper_jax.run import loop, machine, questions, start
from cooper_jax.run.directory import Result
from cooper_jax.run.held_out import HeldOut
from cooper_jax.run.machine import Machine
from cooper_jax.run.timeline import Timeline


def sft(cfg: Config) -> Result:
    """Imitate `cfg.sft.examples` styled solutions for `cfg.sft.steps` steps, in `cfg.sft.dir`."""
    require(
        cfg.data.source == "arithmetic",
        f"sft imitates the worked solutions of the built-in task; data.source = {cfg.data.source!r} has none, and an "
        "instruction-tuned policy needs no warm start",
    )
    with machine.machine(cfg, cfg.sft.dir, policy=replace(cfg.policy, optim=cfg.sft.optim, init=cfg.sft.init)) as here:
        cfg, trainee = here.cfg, here.models["policy"]
        sharding.rows_divide(here.mesh, sft__batch=cfg.sft.batch)
        size = cfg.policy.micro_batch or cfg.sft.batch
        require(
            cfg.sft.batch % size == 0,
            f"policy.micro_batch = {size} does not divide sft.batch = {cfg.sft.batch}; use a divisor of it, or 0 for "
            "the whole batch",
        )
        total = cfg.sft.steps
        update = jits.make_sft_update(trainee, total, here.mesh)
        with hosts.together():
            prompt, prompt_real, token, real = _examples(cfg, here)
        held_out = HeldOut(here) if cfg.sft.task == "solve" else None

        def step_fn(state: CooperState, step: int, time: Timeline) -> tuple[CooperState, dict[str, Any]]:
            some = keys.generator(cfg.seed, Use.SFT_BATCH, step).choice(len(token), cfg.sft.batch)
            some = here.mine(some.tolist())
            batch = Worked(prompt[some], prompt_real[some], token[some], real[some], cfg.sft.batch // size)
            policy, metrics = update(state.policy, here.put(batch))
            time.device("sft", metrics)
            return CooperState(policy, None), {f"sft/{k}": v for k, v in metrics.items()}

        training = loop.Training(
            program="sft",
            dir=cfg.sft.dir,
            steps=cfg.sft.steps,
            fresh=lambda: CooperState(start.initial_state(trainee, "policy", cfg.seed, total, here.mesh), None),
            resumed=lambda: CooperState(loading.abstract_state(trainee, False, here.mesh, total), None),
            step_fn=step_fn,
            evaluate=lambda state: held_out.accuracy(state.policy.params) if held_out else {},
            eval_every=total,
            shown=("sft/loss", "eval/accuracy"),
        )
        return loop.run(training, here)


def _examples(cfg: Config, here: Machine) -> tuple[np.ndarray, ...]:
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
