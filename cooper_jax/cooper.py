"""READ FIRST. One Cooper step, and the program that repeats it.

A step is GRPO on the reward model's scores, then the reward model on verified pairs. Two choices give the three arms of
the paper: `reward_source` ("model" | "rule") and `train_reward`; a fourth takes both for its reward ("hybrid").
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from cooper_jax.config import Config, require
from cooper_jax.device import keys
from cooper_jax.device.keys import Use
from cooper_jax.device.state import CooperState, ModelState, Packing, Prompts, Rollout
from cooper_jax.host.negatives import build as negatives
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.brittle import TRULY_RIGHT
from cooper_jax.host.verifier.pool import Job
from cooper_jax.host.verifier.verdict import RIGHT, Verdict
from cooper_jax.mesh import hosts, sharding
from cooper_jax.mesh.sharding import fetch
from cooper_jax.run import answers, log, loop, machine, metrics, monitor, pairing, setup
from cooper_jax.run.compiled import Programs
from cooper_jax.run.directory import Result
from cooper_jax.run.held_out import HeldOut
from cooper_jax.run.seen import Seen
from cooper_jax.run.setup import Run
from cooper_jax.run.timeline import Timeline


def cooper_step(
    state: CooperState, asked: Sequence[Problem], step: int, run: Run, time: Timeline
) -> tuple[CooperState, dict[str, Any]]:
    """One Cooper step on P problems, of which each process takes its share. Consumes `state`; returns the next, and
    what `figures` makes metrics of, still on the device."""
    cfg, put, here = run.cfg, run.machine.put, run.machine
    seen = Seen(run, step + 1, asked)

    # Stage 1: GRPO. While the host reads the completions and its processes grade them, the device computes reference
    # log-probs; then it scores the completions and trains the policy.
    with time.host("encode"):
        problems = here.mine(asked, run.copies)
        prompts = here.prompts(problems, run.copies)
        placed, key = put(prompts), put(keys.key(cfg.seed, Use.ROLLOUT, step))
    rollout = time.device("rollout", run.jits.rollout(state.policy.params, placed, key))
    packing = _packing(prompts, rollout, run, time) if cfg.grpo.packed else None
    batch = time.device("prepare", run.jits.prepare(run.reference, rollout, packing))
    rows = [problem for problem in problems for _ in range(cfg.rollout.group)]
    completions, pending = _read(rollout, rows, run, time)
    texts, score_B, reward_B = _reward(state, rows, completions, pending, run, time)
    advantage_PGT, record = time.device("advantages", run.jits.advantages(rollout, reward_B, packing))
    batch = replace(batch, advantage_PGT=advantage_PGT)
    skip, repeats, said = _governed(step, pending, score_B, run)
    record |= said
    policy, reward = state.policy, state.reward
    if not skip:
        policy, policy_metrics = _update(run.jits.policy_update, policy, batch, cfg.grpo.updates)
        time.device("policy_update", policy_metrics)
        record |= _named("policy", policy_metrics)

    with time.host("verify"):
        verdicts, counts = pending()
    if step == 0:
        answers.check(cfg, asked, verdicts)
    if cfg.train_reward:
        # Stage 2: the reward model, on right completions and wrong ones, which the host makes while the device updates
        # the policy. Nothing here waits for the device but a ranking of samples by score, and an assistant that runs on
        # it.
        with time.host("assistant"):
            places = here.mine(range(len(asked)), run.copies)
            known_B = fetch(score_B) if cfg.pairs.on_policy else None
            slots, made = pairing.build(run, step, problems, places, completions, verdicts, known_B)
            counts |= made
            taught = pairing.teaches(run, slots, verdicts)
            pairs = put(pairing.batch(run, slots, step, texts, verdicts)) if taught else None
        if pairs is not None:  # Without one nothing would move, replayed labels or not.
            seen.pairs_before(slots, reward.params, time)
            reward, reward_metrics = _update(run.jits.reward_update, reward, pairs, cfg.pairs.updates * (1 + repeats))
            time.device("rm_update", reward_metrics)
            seen.pairs_after(reward.params, time)
            record |= _named("rm_update", reward_metrics)
    told = _tell(verdicts, score_B, counts, run)
    if cfg.train_reward:
        first = cfg.pairs.per_question * np.repeat(places, cfg.pairs.per_question)
        record |= run.style.note(step + 1, [(int(i), slot) for i, slot in zip(first, slots, strict=True) if slot])
    seen.samples(rollout, completions, verdicts, score_B, reward_B)
    return CooperState(policy, reward), record | {"told": told, "seen": seen}


def figures(run: Run, step: int, record: dict[str, Any]) -> dict[str, Any]:
    """What is logged of a step (counted from 1), from what it left on the device: of all rows, and the same in every
    process."""
    verdict_B, score_B, count_N = record.pop("told")
    record |= metrics.rule_metrics(verdict_B)
    if run.cfg.reward_source != "rule":
        record |= metrics.against_rule(score_B, verdict_B)
        record |= run.watch.figures(step, record)
    record |= dict(zip(run.counted, count_N.tolist(), strict=True))
    if TRULY_RIGHT in record:
        record["rule/true_accuracy"] = record.pop(TRULY_RIGHT) / len(verdict_B)
    if run.cfg.train_reward:
        negatives.shares(record)
        metrics.drop_empty(record, verdict_B)
    return record


def train(cfg: Config) -> Result:
    """`cooper train`: bring the run in `cfg.dir` to `cfg.steps` steps."""
    models = {"policy": cfg.policy} | ({"reward": cfg.reward} if cfg.reward_source != "rule" else {})
    with machine.machine(cfg, cfg.dir, **models) as here:
        cfg = here.cfg
        run = setup.cooper_run(cfg, here)
        held_out = HeldOut(here)
        starvation = negatives.Starvation(cfg.pairs, partial(log.history, cfg.dir), run.assistant.trouble)

        def step_fn(state: CooperState, step: int, time: Timeline) -> tuple[CooperState, dict[str, Any]]:
            return cooper_step(state, run.stream.take(cfg.rollout.prompts), step, run, time)

        training = loop.Training(
            program="train",
            dir=cfg.dir,
            steps=cfg.steps,
            fresh=partial(setup.fresh, run),
            resumed=partial(setup.resumed, run),
            inputs=run.inputs,
            step_fn=step_fn,
            figures=partial(figures, run),
            check=partial(answers.watch, [run.watch.note, *([starvation.note] if cfg.train_reward else [])]),
            evaluate=lambda state: held_out.accuracy(state.policy.params),
            eval_every=cfg.eval_every,
            best=cfg.keep_best,
            stop=cfg.stop,
            shown=(
                "reward/mean",
                "rule/accuracy",
                "completion/truncated",
                "eval/accuracy",
                "score/false_positive_rate",
                "pairs/valid",
            ),
            seek=partial(setup.seek, run),
            cursor=partial(setup.place, run),
            programs=partial(programs, run),
        )
        result = loop.run(training, here)
        if said := monitor.sentence(log.history(cfg.dir, cfg.steps) if hosts.is_main() else []):
            print(said, flush=True)
        return result


def programs(run: Run, state: CooperState) -> Programs:
    """The jitted functions of a step, each with the shapes that it is called with."""
    drawn, fns, like = run.cfg.rollout, run.jits, run.machine.like
    rows = drawn.rows // run.machine.share.shares
    shape = rows // drawn.group * run.copies, drawn.prompt_len
    prompts = Prompts(np.zeros(shape, np.int32), np.zeros(shape, bool))
    real_BT = np.zeros((rows, drawn.completion_len), bool)
    packing = like(run.machine.packed_completions(prompts, real_BT)) if run.cfg.grpo.packed else None
    to_rollout = state.policy.params, like(prompts), like(keys.key(0, Use.ROLLOUT))
    rollout = jax.eval_shape(fns.rollout, *to_rollout)
    to_prepare = run.reference, rollout, packing
    reward_B = like(np.zeros(rows, np.float32))
    to_advantages = rollout, reward_B, packing
    advantage_PGT, _ = jax.eval_shape(fns.advantages, *to_advantages)
    batch = replace(jax.eval_shape(fns.prepare, *to_prepare), advantage_PGT=advantage_PGT)
    minibatches = run.cfg.grpo.minibatches
    require(
        batch.parts % minibatches == 0,
        f"grpo.minibatches = {minibatches} does not divide the {batch.parts} micro-batches of a step; a minibatch is "
        "one or several of them: choose policy.micro_batch so that it does",
    )
    to_tell = like(np.zeros(rows, np.int8)), reward_B, sharding.like_once(len(run.counted), run.machine.mesh)
    found = {"rollout": (fns.rollout, to_rollout), "policy_update": (fns.policy_update, (state.policy, batch))}
    if run.cfg.train_reward:
        pairs = like(pairing.batch(run, [None] * (rows // drawn.group * run.cfg.pairs.per_question), 0))
        found["rm_update"] = fns.reward_update, (state.reward, pairs)
    if run.cfg.log.samples_every:
        found["graded"] = fns.graded, (rollout, reward_B, reward_B)
    if run.cfg.reward_source != "rule":
        nothing = [np.zeros(0, np.int32)] * rows
        found["score"] = fns.score, (state.reward.params, like(run.machine.packed(nothing)))
    if run.cfg.reward_source == "hybrid":
        found["hybrid"] = fns.hybrid, (reward_B, to_tell[0])
    found |= {"prepare": (fns.prepare, to_prepare), "advantages": (fns.advantages, to_advantages)}
    return found | {"tell_all": (fns.tell_all, to_tell)}


def _packing(prompts: Prompts, rollout: Rollout, run: Run, time: Timeline) -> Packing:
    """Where packed rows find their tokens in the rollout; waits for it."""
    with time.host("wait"):
        real_BT = fetch(rollout.real_BT)
    with time.host("encode"):
        return run.machine.put(run.machine.packed_completions(prompts, real_BT))


def _read(
    rollout: Rollout, rows: Sequence[Problem], run: Run, time: Timeline
) -> tuple[list[str], Callable[[], tuple[list[Verdict], dict[str, float]]]]:
    """Completions as text, and what waits for the verdicts on them: as training sees them, and counts of what the rule
    says where it is made brittle."""
    with time.host("wait"):
        tokens_BT, real_BT, finished_B = fetch((rollout.token_BT, rollout.real_BT, rollout.finished_B))
    with time.host("decode"):
        completions = run.machine.read(tokens_BT, real_BT)
        told = zip(rows, completions, finished_B, strict=True)
        jobs = [Job(p.reference, c, bool(f), p.question) for p, c, f in told]
        true = run.machine.verify(jobs)
        return completions, lambda: (run.verifier.seen(jobs, true()), run.verifier.counts(true()))


def _reward(
    state: CooperState,
    rows: Sequence[Problem],
    completions: Sequence[str],
    pending: Callable[[], tuple[list[Verdict], dict[str, float]]],
    run: Run,
    time: Timeline,
) -> tuple[Sequence[np.ndarray], jax.Array, jax.Array]:
    """What the policy is paid, behind the completions as the reward model reads them and its scores; of the rule arm,
    without a reward model, no texts and the reward once more."""
    source, put, here = run.cfg.reward_source, run.machine.put, run.machine
    if source == "rule":
        with time.host("verify"):
            reward_B = put(np.array([v.verdict == RIGHT for v in pending()[0]], np.float32))
        return [], reward_B, reward_B
    with time.host("encode"):
        texts = here.rm_texts(rows, completions)
        packed = put(here.packed(texts))
    score_B = time.device("score", run.jits.score(state.reward.params, packed))
    if source == "model":
        return texts, score_B, score_B
    with time.host("verify"):
        verdict_B = put(metrics.coded(pending()[0]))
    return texts, score_B, run.jits.hybrid(score_B, verdict_B)


def _governed(
    step: int, pending: Callable[[], tuple[list[Verdict], dict[str, float]]], score_B: jax.Array, run: Run
) -> tuple[bool, int, dict[str, float]]:
    """Whether the policy's update is left out, how often the reward model's is repeated, and both for the log: the
    governor's word on this step's verdicts, for which it waits, or the monitor's on earlier ones."""
    cfg, skip = run.cfg, False
    repeating = cfg.monitor.action == "train-reward"
    if not (cfg.train_reward and (cfg.governor.least_j or repeating)):
        return False, 0, {}
    if cfg.governor.least_j:
        verdict_B, whole_B, _ = fetch(_tell(pending()[0], score_B, dict.fromkeys(run.counted, 0.0), run))
        # Without right ones and wrong ones there is no J, and nothing to hold the policy back by.
        skip = metrics.against_rule(whole_B, verdict_B).get("score/youden", 1.0) < cfg.governor.least_j
    repeats = cfg.governor.repeats if skip or (repeating and run.watch.alarmed(step + 1)) else 0
    return skip, repeats, {"governor/skipped_policy": float(skip), "governor/repeats": float(repeats)}


def _tell(verdicts: Sequence[Verdict], score_B: jax.Array, counts: dict[str, float], run: Run) -> Any:
    """Verdicts and scores of all rows, and the processes' counts added up: whole in every process, on the device."""
    # Of rows that several processes hold, one has counted.
    count_WN = run.machine.put_once([count * run.machine.share.leads for count in counts.values()])
    return run.jits.tell_all(run.machine.put(metrics.coded(verdicts)), score_B, count_WN)


def _update(
    update: Callable[[ModelState, Any], tuple[ModelState, dict[str, Any]]], state: ModelState, batch: Any, times: int
) -> tuple[ModelState, dict[str, Any]]:
    """`times` updates on one batch; metrics of the last, but the drift from the sampler of the first, which should
    have none."""
    state, first = update(state, batch)
    last, skipped = first, first["skipped"]
    for _ in range(times - 1):
        state, last = update(state, batch)
        skipped += last["skipped"]
    of_first = {name: value for name, value in first.items() if name.startswith("sampler")}
    return state, last | of_first | {"skipped": skipped}


def _named(prefix: str, record: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}/{name}": value for name, value in record.items()}
