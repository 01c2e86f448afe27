"""Config -> Run: the only factory."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from cooper_jax.config import Config, path, require
from cooper_jax.device import jits, keys, loading
from cooper_jax.device.keys import Use
from cooper_jax.device.state import CooperState
from cooper_jax.host.negatives import build as negatives
from cooper_jax.host.negatives.arithmetic import ArithmeticAssistant
from cooper_jax.host.negatives.assistant import Assistant, ServerAssistant
from cooper_jax.host.negatives.kept import Kept
from cooper_jax.host.negatives.mathematics import MathAssistant
from cooper_jax.host.negatives.style import Style
from cooper_jax.host.server import Server
from cooper_jax.host.text import data
from cooper_jax.host.text.data import Problem, Stream
from cooper_jax.host.text.labels import NO_LABELS, Labels
from cooper_jax.host.verifier.brittle import Brittle
from cooper_jax.mesh import hosts, sharding
from cooper_jax.run import log, questions, start
from cooper_jax.run.frozen import MeshAssistant, frozen_model
from cooper_jax.run.machine import Machine
from cooper_jax.run.monitor import Watch
from cooper_jax.run.start import initial_state


@dataclass
class Run:
    """Everything a Cooper step reads beside its state."""

    cfg: Config
    machine: Machine
    copies: int
    """How often a prompt is repeated, its group split among the copies, so that rows divide over the mesh."""
    jits: jits.Jits
    reference: Any
    """The initial policy's weights, frozen; None without a KL penalty."""
    verifier: Brittle
    """The rule as training sees it; evaluation always asks the machine's, which is never brittle."""
    assistant: Assistant
    counted: tuple[str, ...]
    """Names of the counts that the processes' verdicts, pairs and assistants add up to."""
    style: Style
    watch: Watch
    """The monitor."""
    kept: Kept
    """Right completions of earlier steps; none unless the configuration asks for them."""
    stream: Stream[Problem]
    replay: Labels
    """Rows to replay; none unless the configuration asks for them."""
    inputs: dict[str, Any]
    """What a run that is continued must find again: hashes of its data and, where there is a reference, its weights."""


def cooper_run(cfg: Config, here: Machine) -> Run:
    """A Run of `cooper train`; its reference comes with its states, by `fresh` or `resumed`."""
    drawn, verifier = cfg.rollout, Brittle(here.verifier, cfg.verifier)
    if cfg.grpo.ratio == "sequence" and cfg.grpo.aggregation == "token-mean":
        print(
            'warning: grpo.ratio "sequence" (GSPO) with aggregation "token-mean": GSPO takes "sequence-mean"',
            flush=True,
        )
    copies = sharding.prompt_copies(drawn.prompts, drawn.group, here.mesh, drawn.turns)
    sharding.rows_divide(here.mesh, policy__micro_batch=0 if cfg.grpo.packed else cfg.policy.micro_batch)
    with hosts.together():
        replay = questions.labelled(cfg.fit.data, here) if cfg.pairs.replay and cfg.train_reward else NO_LABELS
        problems = questions.usable(data.training(cfg.data), here, training=True)
    hosts.same("the processes' data", {"training": data.digest(problems), "replay": data.digest(replay.problems)})
    return Run(
        cfg=cfg,
        machine=here,
        copies=copies,
        jits=jits.make_jits(
            cfg,
            here.sampling(drawn.group // copies, drawn.temperature, drawn.top_p, drawn.top_k, drawn.turns),
            here.mesh,
        ),
        reference=None,
        verifier=verifier,
        assistant=(assistant := make_assistant(cfg, here, copies)),
        counted=(*verifier.counted, *((*negatives.no_counts(), *assistant.figures()) if cfg.train_reward else ())),
        style=Style(cfg.pairs.style_every, cfg.pairs.style_window, hosts.gather),
        watch=Watch(cfg.monitor, partial(log.history, cfg.dir)),
        kept=Kept(cfg.pairs.keep, hosts.gather),
        stream=Stream(problems, partial(keys.generator, cfg.seed, Use.DATA_ORDER)),
        replay=replay,
        inputs={"data": data.digest(problems), "replay": data.digest(replay.problems)},
    )


def place(run: Run) -> Any:
    """Where the run stands in its data, and what it has kept of it: what a checkpoint holds beside the models."""
    cursor = run.stream.cursor
    return {"problems": cursor, "kept": run.kept.state()} if run.cfg.pairs.keep else cursor


def seek(run: Run, found: Any) -> None:
    """Go on from what `place` gave."""
    if run.cfg.pairs.keep:
        run.kept.load(found["kept"])
        found = found["problems"]
    run.stream.seek(found)


def fresh(run: Run) -> CooperState:
    """The first states of both models. The reference is a copy of the policy's weights, whose buffers are donated."""
    cfg, here = run.cfg, run.machine
    policy = initial_state(cfg.policy, "policy", cfg.seed, cfg.steps * cfg.grpo.optimizer_steps, here.mesh)
    reward = None
    if cfg.reward_source != "rule":
        reward = initial_state(cfg.reward, "reward", cfg.seed, cfg.steps * cfg.pairs.updates, here.mesh)
        reward = reward if cfg.train_reward else loading.frozen(reward, cfg.reward.model)
    _refer(run, policy.params)
    return CooperState(policy, reward)


def resumed(run: Run) -> CooperState:
    """Shapes of the states of a run that is continued; the reference is loaded anew, where there is to be one."""
    cfg, mesh = run.cfg, run.machine.mesh
    if cfg.grpo.kl_weight:
        require(
            not start.gone(cfg.policy.init),
            f"policy.init = {cfg.policy.init} is gone, and the KL penalty measures from the weights there; put them "
            "back to continue (a run without the penalty, grpo.kl_weight = 0, needs them at its start alone)",
        )
        _refer(run, start.initial_params(cfg.policy, cfg.seed, mesh))
    policy = loading.abstract_state(cfg.policy, False, mesh, cfg.steps * cfg.grpo.optimizer_steps)
    if cfg.reward_source == "rule":
        return CooperState(policy, None)
    if not cfg.train_reward:
        return CooperState(policy, loading.abstract_frozen(cfg.reward, True, mesh))
    return CooperState(policy, loading.abstract_state(cfg.reward, True, mesh, cfg.steps * cfg.pairs.updates))


def _refer(run: Run, params: Any) -> None:
    run.inputs["the policy's first weights"] = loading.checksum(params)
    run.reference = loading.for_compute(params, run.cfg.policy.model) if run.cfg.grpo.kl_weight else None


def make_assistant(cfg: Config, here: Machine, copies: int) -> Assistant:
    """Who rewrites: by rule, as the data source has it, or a model, one on the mesh with a slot in every row."""
    if cfg.assistant.kind == "mesh" and cfg.train_reward:
        rows = cfg.rollout.prompts * copies * cfg.pairs.per_question
        model = frozen_model("assistant.mesh", cfg.assistant.mesh, cfg.data.source, here.mesh, rows)
        return MeshAssistant(model, cfg.assistant.prompt)
    if cfg.assistant.kind == "server":
        server = cfg.assistant.server
        server = replace(server, cache=server.cache or str(path(cfg.dir) / hosts.own("replies.jsonl")))
        return ServerAssistant(here.stack.enter_context(Server(server)), cfg.assistant.prompt)
    by_rule = ArithmeticAssistant if cfg.data.source == "arithmetic" else MathAssistant
    return by_rule(cfg.assistant.kinds)
