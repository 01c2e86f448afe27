"""READ FIRST. One Cooper step, and the program that repeats it.

A step is GRPO on the reward model's scores, then the reward model on verified pairs. Two choices give the three arms of
the paper: `reward_source` ("model" | "rule") and `train_reward`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from cooper_jax.config import Config
from cooper_jax.device import keys
from cooper_jax.device.keys import Use
from cooper_jax.device.state import CooperState, ModelState, Packing, PairBatch, Prompts, Rollout
from cooper_jax.host.negatives import build as negatives
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.pool import Job, Pending
from cooper_jax.host.verifier.verdict import RIGHT
from cooper_jax.mesh.sharding import fetch
from cooper_jax.run import log, loop, machine, metrics, setup
from cooper_jax.run.compiled import Programs
from cooper_jax.run.directory import Result
from cooper_jax.run.held_out import HeldOut
from cooper_jax.run.setup import Run
from cooper_jax.run.timeline import Timeline


def cooper_step(
    state: CooperState, problems: Sequence[Problem], step: int, run: Run, time: Timeline
) -> tuple[CooperState, dict[str, Any]]:
    """One Cooper step on P problems. Consumes `state`; returns the next, and metrics, most still on the device."""
    cfg, put = run.cfg, run.machine.put

    # Stage 1: GRPO. While the host reads the completions and its processes grade them, the device computes reference
    # log-probs; then it scores the completions and trains the policy.
    with time.host("encode"):
        prompts = run.machine.prompts(problems)
        placed, key = put(prompts), put(keys.key(cfg.seed, Use.ROLLOUT, step))
    rollout = time.device("rollout", run.jits.rollout(state.policy.params, placed, key))
    packing = _packing(prompts, rollout, run, time) if cfg.grpo.packed else None
    batch = time.device("prepare", run.jits.prepare(run.reference, rollout, packing))
    rows = [problem for problem in problems for _ in range(cfg.rollout.group)]
    completions, pending = _read(rollout, rows, run, time)
    if cfg.reward_source == "model":
        with time.host("encode"):
            texts = put(run.machine.packed(run.machine.rm_texts(rows, completions)))
        reward_B = time.device("score", run.jits.score(state.reward.params, texts))
    else:
        with time.host("verify"):
            reward_B = put(np.array([v.verdict == RIGHT for v in pending.result()], np.float32))
    advantage_PGT, record = time.device("advantages", run.jits.advantages(rollout, reward_B, packing))
    batch = replace(batch, advantage_PGT=advantage_PGT)
    policy, policy_metrics = _update(run.jits.policy_update, state.policy, batch, cfg.grpo.updates)
    time.device("policy_update", policy_metrics)

    with time.host("verify"):
        verdicts = pending.result()
    record = record | _named("policy", policy_metrics) | metrics.rule_metrics(verdicts)
    reward = state.reward
    if cfg.train_reward:
        # Stage 2: the reward model, on right completions and wrong ones, which the host makes while the device updates
        # the policy. Nothing here waits for the device but a ranking of samples by score, and an assistant that runs on
        # it.
        with time.host("assistant"):
            rng = keys.generator(cfg.seed, Use.PAIRS, step, jax.process_index())
            score_B = fetch(reward_B) if cfg.pairs.on_policy else None
            slots, pair_metrics = negatives.build(
                problems, completions, verdicts, run.assistant, run.verifier, run.machine.fits, cfg.pairs, rng, score_B
            )
            pairs = put(_pairs(run, slots, step))
        reward, reward_metrics = _update(run.jits.reward_update, state.reward, pairs, cfg.pairs.updates)
        time.device("rm_update", reward_metrics)
        record |= _named("rm_update", reward_metrics) | pair_metrics | run.assistant.figures()
        record |= run.style.note(step + 1, [slot for slot in slots if slot])
    if cfg.reward_source == "model":
        with time.host("wait"):
            score_B = fetch(reward_B)
        record |= metrics.against_rule(score_B, verdicts)
    return CooperState(policy, reward), record


def train(cfg: Config) -> Result:
    """`cooper train`: bring the run in `cfg.dir` to `cfg.steps` steps."""
    models = {"policy": cfg.policy} | ({"reward": cfg.reward} if cfg.reward_source == "model" else {})
    with machine.machine(cfg, **models) as here:
        cfg = here.cfg
        run, policy, reward = setup.cooper_run(cfg, here)
        held_out = HeldOut(here)

        starvation = negatives.Starvation(cfg.pairs, partial(log.history, cfg.dir))

        def step_fn(state: CooperState, step: int, time: Timeline) -> tuple[CooperState, dict[str, Any]]:
            state, record = cooper_step(state, run.stream.take(cfg.rollout.prompts), step, run, time)
            if cfg.train_reward and (warning := starvation.note(step + 1, record)):
                print(f"warning, step {step + 1}: {warning}", flush=True)
            return state, record

        training = loop.Training(
            program="train",
            dir=cfg.dir,
            steps=cfg.steps,
            step_fn=step_fn,
            evaluate=lambda state: held_out.accuracy(state.policy.params),
            eval_every=cfg.eval_every,
            shown=("reward/mean", "rule/accuracy", "eval/accuracy", "score/false_positive_rate", "pairs/valid"),
            seek=run.stream.seek,
            cursor=lambda: run.stream.cursor,
            programs=partial(programs, run),
        )
        return loop.run(training, here, CooperState(policy, reward))


def programs(run: Run, state: CooperState) -> Programs:
    """The jitted functions of a step, each with the shapes that it is called with."""
    drawn, fns, like = run.cfg.rollout, run.jits, run.machine.like
    shape = drawn.prompts // jax.process_count(), drawn.prompt_len
    rows = shape[0] * drawn.group
    prompts = Prompts(np.zeros(shape, np.int32), np.zeros(shape, bool))
    real_BT = np.zeros((rows, drawn.completion_len), bool)
    packing = like(run.machine.packed_completions(prompts, real_BT)) if run.cfg.grpo.packed else None
    to_rollout = state.policy.params, like(prompts), like(keys.key(0, Use.ROLLOUT))
    rollout = jax.eval_shape(fns.rollout, *to_rollout)
    to_prepare = run.reference, rollout, packing
    to_advantages = rollout, like(np.zeros(rows, np.float32)), packing
    advantage_PGT, _ = jax.eval_shape(fns.advantages, *to_advantages)
    batch = replace(jax.eval_shape(fns.prepare, *to_prepare), advantage_PGT=advantage_PGT)
    found = {"rollout": (fns.rollout, to_rollout), "policy_update": (fns.policy_update, (state.policy, batch))}
    if run.cfg.train_reward:
        pairs = like(_pairs(run, [None] * (shape[0] * run.cfg.pairs.per_question), 0))
        found["rm_update"] = fns.reward_update, (state.reward, pairs)
    if run.cfg.reward_source == "model":
        nothing = [np.zeros(0, np.int32)] * rows
        found["score"] = fns.score, (state.reward.params, like(run.machine.packed(nothing)))
    return found | {"prepare": (fns.prepare, to_prepare), "advantages": (fns.advantages, to_advantages)}


def _packing(prompts: Prompts, rollout: Rollout, run: Run, time: Timeline) -> Packing:
    """Where packed rows find their tokens in the rollout; waits for it."""
    with time.host("wait"):
        real_BT = fetch(rollout.real_BT)
    with time.host("encode"):
        return run.machine.put(run.machine.packed_completions(prompts, real_BT))


def _read(rollout: Rollout, rows: Sequence[Problem], run: Run, time: Timeline) -> tuple[list[str], Pending]:
    """Completions as text, and the verdicts on them under way."""
    with time.host("wait"):
        tokens_BT, real_BT, finished_B = fetch((rollout.token_BT, rollout.real_BT, rollout.finished_B))
    with time.host("decode"):
        completions = run.machine.read(tokens_BT, real_BT)
        jobs = [Job(p.reference, c, bool(f)) for p, c, f in zip(rows, completions, finished_B, strict=True)]
        return completions, run.verifier.submit(jobs)


def _update(
    update: Callable[[ModelState, Any], tuple[ModelState, dict[str, Any]]], state: ModelState, batch: Any, times: int
) -> tuple[ModelState, dict[str, Any]]:
    """`times` updates on one batch; metrics of the last, but the drift from the sampler of the first, which should
    have none."""
    state, first = update(state, batch)
    last = first
    for _ in range(times - 1):
        state, last = update(state, batch)
    return state, last | {name: value for name, value in first.items() if name.startswith("sampler")}


def _pairs(run: Run, slots: Sequence[negatives.Pair | None], step: int) -> PairBatch:
    """The slots that are not empty as arrays, with rows to replay."""
    rm_texts, made = run.machine.rm_texts, [slot for slot in slots if slot]
    problems = [pair.problem for pair in made]
    sides = zip(rm_texts(problems, [p.right for p in made]), rm_texts(problems, [p.wrong for p in made]), strict=True)
    rng = keys.generator(run.cfg.seed, Use.REPLAY, step, jax.process_index())
    some = rng.choice(len(run.replay.completions), run.cfg.pairs.replay_rows) if run.replay.completions else []
    replay = rm_texts([run.replay.problems[i] for i in some], [run.replay.completions[i] for i in some])
    return run.machine.packed_pairs(len(slots), list(sides), replay, run.replay.label_R[some])


def _named(prefix: str, record: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}/{name}": value for name, value in record.items()}
