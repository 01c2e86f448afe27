"""`cooper annotate`: completions labelled where the rule and a second judge agree (hybrid annotation)."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from cooper_jax import config
from cooper_jax.config import Config, Trainee, path, require
from cooper_jax.device import keys
from cooper_jax.device.keys import Use
from cooper_jax.host import judge
from cooper_jax.host.cache import Cache
from cooper_jax.host.judge import Judge, LenientJudge, Opinion, Row, ServerJudge
from cooper_jax.host.server import Server
from cooper_jax.host.text import data
from cooper_jax.host.verifier.brittle import Brittle
from cooper_jax.host.verifier.pool import Job
from cooper_jax.host.verifier.verdict import Verdict
from cooper_jax.mesh import hosts
from cooper_jax.run import directory, machine, progress, questions, start
from cooper_jax.run.directory import Result
from cooper_jax.run.frozen import MeshJudge, frozen_model
from cooper_jax.run.machine import Machine
from cooper_jax.run.sampler import Sampler


@dataclass(frozen=True)
class FromFile:
    """`cooper annotate IN --out DIR`: completions of a file, judged without a model of ours."""

    out: str
    """Directory of labels.parquet, report.json, report.md and the judge's opinions; running again continues."""
    judge: Literal["server", "mesh", "lenient", "none"] = "server"
    """server: a model reading Yes or No; mesh: the same, loaded here; lenient: the built-in task's second opinion;
    none: the rule alone labels."""
    model: config.MeshModel = field(default_factory=config.MeshModel)
    """Of the judge "mesh"."""
    server: config.Server = field(default_factory=lambda: config.Annotate().server)
    prompt: str = config.JUDGE_PROMPT
    """What a model is asked; {question}, {reference} and {completion} are put in."""
    verifier: config.Verifier = field(default_factory=config.Verifier)


def annotate_file(rows: str, cfg: FromFile) -> Result:
    """Label the completions in the file `rows`: JSONL or parquet, see `judge.read_rows`."""
    how = config.Annotate(
        dir=cfg.out, rows=rows, judge=cfg.judge, server=cfg.server, mesh=cfg.model, prompt=cfg.prompt,
        brittle=cfg.verifier.brittle,
    )  # fmt: skip
    anyone = Trainee()
    return annotate(
        Config(anyone, anyone, dir=cfg.out, annotate=how, verifier=cfg.verifier, data=config.Data(source=""))
    )


def annotate(cfg: Config) -> Result:
    """Label the completions in `cfg.annotate.rows`, or else samples of the policy, into `cfg.annotate.dir`.

    The policy is the one in `policy.init`. Raises UserError where the lenient judge is asked about another task than
    the built-in one.
    """
    require(
        cfg.policy.init != "" or cfg.annotate.rows != "",
        "annotate samples from a trained policy: set policy.init to its run directory, or annotate.rows to a file",
    )
    built_in = cfg.verifier.rule == "arithmetic" and (cfg.annotate.rows != "" or cfg.data.source == "arithmetic")
    require(
        cfg.annotate.judge != "lenient" or built_in,
        'the judge "lenient" reads the built-in task\'s "#N" alone, and would call all else wrong; take '
        "--annotate.judge server, mesh or none, of a file --judge server, mesh or none (or --verifier.rule arithmetic, "
        "if it holds that task)",
    )
    with machine.machine(cfg, **({} if cfg.annotate.rows else {"policy": cfg.policy})) as here:
        with hosts.together():
            if hosts.is_main():
                directory.make_dir(cfg.annotate.dir)
                directory.write_config(here.cfg, cfg.annotate.dir)
            rows = judge.read_rows(cfg.annotate.rows) if cfg.annotate.rows else []
        return _label(rows or _sample(here.cfg, here), here)


def _label(rows: Sequence[Row], here: Machine) -> Result:
    """Write `labels.parquet` (VerifyRM's columns, and who said what), `report.json` and `report.md`."""
    out = path(here.cfg.annotate.dir)
    jobs = [Job(row.problem.reference, row.completion, row.finished, row.problem.question) for row in rows]
    rule = Brittle(here.verifier, here.cfg.verifier) if here.cfg.annotate.brittle else here.verifier
    pending = rule.submit(hosts.split(jobs))
    name, said = _second(rows, here) if here.cfg.annotate.judge != "none" else (judge.RULE_ALONE, [])
    verdicts = [Verdict(*verdict) for verdict in hosts.joined(pending.result())]
    said = said or judge.echo(verdicts)
    with hosts.together():
        return Result(out, _write(rows, verdicts, said, name, out) if hosts.is_main() else {})


def _second(rows: Sequence[Row], here: Machine) -> tuple[str, list[Opinion | None]]:
    """The second judge's name and opinions; the opinions in the first process alone."""
    with ExitStack() as stack:
        asked = _judge(here, stack)
        name, said = _opinions(asked, rows, here)
        if trouble := next(filter(None, hosts.gather(asked.trouble())), ""):
            print(f"warning: the judge met with trouble, at last: {trouble}", flush=True)
    return name, said


def _opinions(other: Judge, rows: Sequence[Row], here: Machine) -> tuple[str, list[Opinion | None]]:
    """The judge's name and its opinions. The first process leads: it remembers what was said, and has the others join
    in what has not been."""
    places = {row: i for i, row in enumerate(rows)}
    if not hosts.is_main():
        while (asked := hosts.first(None)) is not None:
            _ask(other, [rows[i] for i in asked])
        return other.name, []

    class All:
        name, lockstep, trouble = other.name, other.lockstep, other.trouble

        def judge(self, rows: Sequence[Row]) -> list[Opinion | None]:
            hosts.first([places[row] for row in rows])
            return _ask(other, rows)

    said: list[Opinion | None] = []
    with Cache(path(here.cfg.annotate.dir) / "opinions.jsonl") as cache:
        for done, some in judge.opinions(All(), rows, cache):
            said += some
            print(f"annotate: judged {done} of {len(rows)}", flush=True)
    hosts.first(None)
    return other.name, said


def _ask(other: Judge, rows: Sequence[Row]) -> list[Opinion | None]:
    """Opinions on `rows`, for which the processes share the work. All must call."""
    if other.lockstep:
        return other.judge(rows)
    with hosts.together():
        mine = other.judge(hosts.split(rows))
    return [opinion and Opinion(*opinion) for opinion in hosts.joined(mine)]


def _write(
    rows: Sequence[Row], verdicts: Sequence[Verdict], said: Sequence[Opinion | None], name: str, out: Any
) -> dict[str, Any]:
    kept = judge.labelled(rows, verdicts, said, name)
    figures = judge.report(rows, verdicts, said, name)
    (out / "report.json").write_text(json.dumps(figures, indent=2) + "\n")
    (out / "report.md").write_text(judge.markdown(figures))
    _show(figures)
    require(len(kept) > 0, f"rule and judge agree on no completion; nothing to label. {out}/report.md has examples")
    part = out / "labels.parquet.part"
    with part.open("wb") as file:
        pq.write_table(pa.Table.from_pylist(kept), file)
    part.replace(out / "labels.parquet")
    for name in ("right", "wrong"):
        if not figures[f"kept_{name}"]:
            print(f"warning: no completion is labelled {name}; a reward model needs both ")
    if figures["dropped_judge_silent"]:
        print(f"the judge gave no answer on {figures['dropped_judge_silent']} rows; run again to ask for those alone")
    print(f"wrote {out / 'labels.parquet'}, report.json and report.md")
    return figures


def _judge(here: Machine, stack: ExitStack) -> Judge:
    cfg = here.cfg.annotate
    if cfg.judge == "lenient":
        return LenientJudge()
    if cfg.judge == "mesh":
        model = frozen_model("annotate.mesh", cfg.mesh, here.cfg.data.source, here.mesh, cfg.mesh.batch)
        return MeshJudge(model, cfg.mesh, cfg.prompt)
    server = replace(cfg.server, cache=cfg.server.cache or str(path(cfg.dir) / hosts.own("replies.jsonl")))
    return ServerJudge(stack.enter_context(Server(server)), server, cfg.prompt)


def _show(figures: dict[str, Any]) -> None:
    if figures["judge"] == judge.RULE_ALONE:
        right, wrong = figures["kept_right"], figures["kept_wrong"]
        print(
            f"kept {figures['kept']} of {figures['rows']} completions: {right} right, {wrong} wrong, by the rule alone"
        )
        return
    others = sorted({cell["judge"] for cell in figures["cells"]})
    counts = {(cell["rule"], cell["judge"]): cell["count"] for cell in figures["cells"]}
    agreement = "" if figures["agreement"] is None else f", agreement {figures['agreement']:.3f}"
    title = f"kept {figures['kept']} of {figures['rows']} completions{agreement}"
    table = Table("rule", *(f"judge says {name}" for name in others), title=title)
    for rule in sorted({rule for rule, _ in counts}):
        table.add_row(rule, *(str(counts.get((rule, name), 0)) for name in others))
    Console().print(table)


def _sample(cfg: Config, here: Machine) -> list[Row]:
    """The policy's completions, all of them in every process."""
    params = start.load_params(cfg.policy.init, "policy", cfg.policy, here.mesh)
    with hosts.together():
        source = questions.usable(data.training(cfg.data), here, training=True)
    hosts.same("the processes' data", {"training": data.digest(source)})
    order = keys.generator(cfg.seed, Use.ANNOTATE_ORDER).permutation(len(source))
    problems = [source[order[i % len(source)]] for i in range(cfg.annotate.completions)]
    sampler = Sampler(here, 1, cfg.annotate.temperature, cfg.rollout.top_p, Use.ANNOTATE)
    drawn = []
    with progress.shown("samples", len(problems), "completions") as note:
        for number, (places, some) in enumerate(sampler.batches(params, problems), 1):
            drawn += [(place, c.text, c.finished) for place, c in zip(places, some, strict=True)]
            note(min(number * cfg.evaluation.batch, len(problems)))
    everything = sorted(tuple(row) for some in hosts.gather(drawn) for row in some)
    return [Row(problems[place], text, finished) for place, text, finished in everything]
