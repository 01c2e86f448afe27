"""`cooper evaluate`: a policy on held-out questions and benchmarks, with training's own sampler and verifier; a reward
model on VerifyBench."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cooper_jax.config import Config, require, visible
from cooper_jax.config.paths import require_folder
from cooper_jax.device import keys
from cooper_jax.device.keys import Use
from cooper_jax.host.text import benchmarks, data, encode
from cooper_jax.host.text.benchmarks import Labelled
from cooper_jax.host.text.formats import Question
from cooper_jax.mesh import hosts
from cooper_jax.run import answers, evaluations, machine, questions, start
from cooper_jax.run.directory import Result
from cooper_jax.run.evaluations import Kept
from cooper_jax.run.held_out import HeldOut, policy_rows, reward_rows
from cooper_jax.run.machine import Machine
from cooper_jax.run.metrics import Record, Row, policy_figures, reward_figures

HELD_OUT = "held-out"
_COUNTS = ("completions", "left_out")


def measure(cfg: Config, where: str) -> dict[float, Record]:
    """Figures on held-out questions of the policy in `where`, at each of `evaluation.temperatures`."""
    with machine.machine(cfg, policy=replace(cfg.policy, init=where)) as here:
        params = start.load_params(where, "policy", here.cfg.policy, here.mesh)
        asked = HeldOut(here).questions
        return {t: policy_figures(policy_rows(params, asked, t, here)) for t in cfg.evaluation.temperatures}


def evaluate(cfg: Config) -> Result:
    """Evaluate the model in `cfg.dir`, a run or a Hugging Face folder, on `evaluation.sets` or held-out questions.

    Prints tables; the figures are a record for each set and temperature. Writes, after each of them, `evaluation.json`
    (these) and `evaluation.parquet` (a row a question or completion) for policies, `verifybench.json` and `.parquet`
    for reward models, into `evaluation.out`, the run or, of a folder, beside it. What stands there already of the same
    evaluation is not done again; another one is set aside.
    Raises UserError before anything is computed: a set that cannot be read, or named twice.
    """
    require_folder(cfg.dir, start.MODELS)
    named = [benchmarks.split_name(text) for text in cfg.evaluation.sets]
    names = [name for name, _ in named]
    require(len(names) == len(set(names)), f"evaluation.sets: {', '.join(names)}: name each once")
    sets = {name: _drawn(benchmarks.read(name, path), cfg) for name, path in named}
    asked = {name: questions for name, questions in sets.items() if name in benchmarks.POLICY}
    records = _policy(cfg, asked) if asked or not sets else []
    labelled = {name: rows for name, rows in sets.items() if name in benchmarks.REWARD}
    records += _reward(cfg, labelled) if labelled else []
    return Result(evaluations.folder(cfg, "evaluation" if asked or not sets else "verifybench"), records)


def _drawn(rows: list[Any], cfg: Config) -> list[Any]:
    return data.sample(rows, cfg.evaluation.limit or len(rows), keys.generator(cfg.seed, Use.LIMIT))


def _policy(cfg: Config, sets: dict[str, list[Question]]) -> list[dict[str, Any]]:
    with machine.machine(cfg, policy=replace(cfg.policy, init=cfg.dir)) as here:
        with hosts.together():
            found = {name: _usable(name, asked, here) for name, asked in sets.items()}
        digests = {name: data.digest(question.problem for question in asked) for name, asked in found.items()}
        hosts.same("the processes' data", digests)
        found = found or {HELD_OUT: HeldOut(here).questions}
        digests = digests or {HELD_OUT: data.digest(question.problem for question in found[HELD_OUT])}
        kept = Kept(here.cfg, "evaluation", digests)
        every = [{"set": name, "temperature": t} for name in found for t in cfg.evaluation.temperatures]
        if todo := [which for which in every if not kept.record(which)]:
            params = start.load_params(cfg.dir, "policy", here.cfg.policy, here.mesh, cfg.evaluation.step)
            for which in todo:
                asked = found[which["set"]]
                answered = policy_rows(params, asked, which["temperature"], here, _named(**which))
                left_out = len(sets.get(which["set"], asked)) - len(asked)
                kept.add(which, policy_figures(answered) | {"left_out": left_out}, answered)
                _warn(answered, asked, here)
    title = start.shown(cfg.dir, cfg.evaluation.step)
    records = [record for which in every if (record := kept.record(which))]
    several = any("majority" in record for record in records)
    table = Table("set", "samples", "accuracy", title=Text(title), box=None, padding=(0, 1, 0, 0))
    for heading in (*(("maj@k", "pass@k") if several else ()), "tokens", "cut", "unknown", "asked", "left out"):
        table.add_column(heading, justify="right")
    for r in records:
        k = int(r["samples"])
        votes = (_cell(r.get("majority")), _cell(r.get(f"pass@{k}"))) if several else ()
        error = f" ± {r['standard_error']:.3f}" if "standard_error" in r else ""
        table.add_row(
            r["set"], f"{k} at {r['temperature']:g}" if r["temperature"] else "greedy", _cell(r["accuracy"]) + error,
            *votes, f"{r['length']:.0f}", _cell(r["truncated"]), _cell(r["unknown"]), f"{r['questions']:.0f}",
            f"{r['left_out']}",
        )  # fmt: skip
    _finish("evaluation", table, kept)
    return records


def _usable(name: str, asked: Sequence[Question], here: Machine) -> list[Question]:
    """The questions that fit the prompt and whose reference the rule reads; what is left out is counted and said."""
    problems = data.Problems(name, len(asked), [question.problem for question in asked])
    kept = set(questions.usable(problems, here, training=False))
    return [question for question in asked if question.problem in kept]


def _reward(cfg: Config, sets: dict[str, list[Labelled]]) -> list[dict[str, Any]]:
    with machine.machine(cfg, reward=replace(cfg.reward, init=cfg.dir)) as here:
        found = {name: _fitting(name, labelled, here) for name, labelled in sets.items()}
        digests = {name: data.digest(repr(row) for row in labelled) for name, labelled in found.items()}
        kept = Kept(here.cfg, "verifybench", digests)
        if todo := [name for name in found if not kept.record({"set": name})]:
            params = start.load_params(cfg.dir, "reward", here.cfg.reward, here.mesh, cfg.evaluation.step)
            for name in todo:
                scored = reward_rows(params, found[name], here, name)
                figures = reward_figures(scored) | {"left_out": len(sets[name]) - len(found[name])}
                kept.add({"set": name}, figures, scored)
    title = start.shown(cfg.dir, cfg.evaluation.step)
    records = [record for name in found if (record := kept.record({"set": name}))]
    table = Table("set", "figure", title=Text(title))
    table.add_column("value", justify="right")
    for record in records:
        for name, value in list(record.items())[1:]:
            table.add_row(record["set"], Text(visible(name)), str(int(value)) if name in _COUNTS else _cell(value))
        table.add_section()
    _finish("verifybench", table, kept)
    return records


def _fitting(name: str, labelled: Sequence[Labelled], here: Machine) -> list[Labelled]:
    """Those whose question and reference leave a completion room; what is left out is counted and said."""
    problems = data.Problems(name, len(labelled), [row.problem for row in labelled])
    here.cfg.reward.model.require_room(here.cfg.scoring.length, "scoring.length")
    limit, sizes = here.cfg.scoring.length, encode.window_sizes(problems.kept, here.tokenizers["reward"])
    hint = f"raise --scoring.length to {max(sizes)} to keep them all"
    problems.drop(f"with question and reference over {limit:,} tokens ({hint})", sizes > limit)
    require(len(problems.kept) > 0, f"nothing is left of {problems}")
    if len(problems.kept) < len(labelled):
        print(problems, flush=True)
    return [row for row, size in zip(labelled, sizes, strict=True) if size <= limit]


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _named(set: str, temperature: float) -> str:
    return f"{set}, {f'at {temperature:g}' if temperature else 'greedy'}"


def _warn(answered: Sequence[Row], asked: Sequence[Question], here: Machine) -> None:
    """Say where the rule found no answer at all, and what to set."""
    none = all(answer is None for row in answered for answer in row["answers"])
    if none and (hint := answers.expected(here.cfg, [question.problem for question in asked])):
        print(f"warning: in no completion does the rule find an answer: {hint}", flush=True)


def _finish(name: str, table: Table, kept: Kept) -> None:
    if hosts.is_main():
        Console().print(table)
        print(f"wrote {kept.folder / name}.json and {kept.folder / name}.parquet")
