"""One GRPO step of ours, of Tunix and of TRL, side by side on this machine's CPU: `make bench`.

    python benchmarks/compare.py [--rounds 3] [--steps 10] [--only ours tunix] [--json OUT]
    python benchmarks/compare.py --model models/SmolLM2-135M-Instruct --rounds 1 --steps 2

The second is of a real model, in a Hugging Face folder with a chat template, ours and TRL alone. Goals are those of the
small one.

Each round runs every framework once in a process of its own, one after the other, so that a slow minute hits all; the
figures are medians over the rounds (workload.py says what each is). Ours and Tunix write JAX's persistent cache in
that run, and start once more from it for the warm start; TRL compiles nothing. CPU-seconds stand other work on the
machine better than wall does, but not well: close what you can.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".bench"
TITLES = {"ours": "ours", "tunix": "Tunix", "trl": "TRL"}
PEERS = tuple(name for name in TITLES if name != "ours")
COMPILED = ("ours", "tunix")
"""Who compiles, by JAX, and starts faster from its cache."""
REAL = ("ours", "trl")
"""Who runs a model from a Hugging Face folder. Tunix knows models by name and does not read a folder's config.json."""

FIGURES = {
    "step_cpu_s": "step, CPU-s",
    "rollout_cpu_s": "  rollout, CPU-s",
    "reference_cpu_s": "  reference, CPU-s",
    "update_cpu_s": "  update, CPU-s",
    "step_s": "step, s",
    "rollout_tokens_per_cpu_s": "rollout, tokens / CPU-s",
    "compile_s": "compile, s",
    "compile_cpu_s": "compile, CPU-s",
    "import_s": "import, s",
    "start_s": "import + first step, s",
    "start_cpu_s": "import + first step, CPU-s",
    "warm_start_s": "the same, warm cache, s",
    "warm_start_cpu_s": "the same, warm cache, CPU-s",
    "peak_rss_mb": "peak memory, MiB",
}
WARM_BY_COLD = "warm start by the peer's cold one, s"


class Goal(NamedTuple):
    """A bound on ours / peer."""

    at_most: bool
    bound: float

    def met(self, ratio: float) -> bool:
        """Whether `ratio` keeps to it."""
        return ratio <= self.bound if self.at_most else ratio >= self.bound

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.bound}"


GOALS = {
    ("step_cpu_s", "tunix"): Goal(True, 0.65),
    ("step_cpu_s", "trl"): Goal(True, 0.55),
    ("rollout_tokens_per_cpu_s", "tunix"): Goal(False, 1.6),
    ("rollout_tokens_per_cpu_s", "trl"): Goal(False, 2.5),
    ("start_s", "tunix"): Goal(True, 0.5),
    ("start_s", "trl"): Goal(True, 0.5),
    ("warm_by_cold", "tunix"): Goal(True, 0.25),
    ("warm_by_cold", "trl"): Goal(True, 0.25),
    ("peak_rss_mb", "tunix"): Goal(True, 0.5),
}

Figures = dict[str, Any]


class Failed(Exception):
    """A framework that did not run; the message says what to do."""


def main() -> None:
    """Run the rounds, print the table, write `--json`."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--steps", type=int, default=10, help="steps counted in each run")
    arguments.add_argument(
        "--model", default="", help="Hugging Face folder of a chat model; empty: small random weights"
    )
    arguments.add_argument("--only", nargs="+", choices=TITLES, help="ours and which peers")
    arguments.add_argument("--json", default="")
    given = arguments.parse_args()
    if given.rounds < 1 or given.steps < 1:
        arguments.error(f"--rounds {given.rounds} --steps {given.steps}: both must be at least 1")
    if not Path(given.json).parent.is_dir():
        arguments.error(f"--json {given.json}: no such folder")
    if given.model and not Path(given.model, "config.json").is_file():
        arguments.error(f"--model {given.model}: no config.json there; give a Hugging Face folder")
    able = REAL if given.model else tuple(TITLES)
    if unable := set(given.only or ()) - set(able):
        arguments.error(f"--only {' '.join(unable)} with --model: runs the small workload alone; leave it out")
    names = [name for name in able if name in (given.only or able)]
    console = Console()
    try:
        for name in names:
            interpreter(name)
        label = "round {} of {}".format
        rounds = [measure(names, given, label(i + 1, given.rounds)) for i in range(given.rounds)]
    except Failed as error:
        raise SystemExit(f"error: {error}") from None
    medians = {name: median([each[name] for each in rounds]) for name in names}
    ratios = {peer: beside(medians["ours"], medians[peer]) for peer in PEERS if peer in names and "ours" in names}
    goals = [] if given.model else goals_beside(ratios)
    console.print(figures_table(medians, ratios, given.model))
    if goals:
        console.print(goals_table(goals))
    if given.json:
        out = {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "machine": {"processor": platform.processor() or platform.machine(), "cpus": os.cpu_count()},
            "model": given.model,
            "rounds": rounds,
            "medians": medians,
            "ratios": ratios,
            "goals": goals,
        }
        Path(given.json).write_text(json.dumps(out, indent=1) + "\n")


def interpreter(name: str) -> str:
    """The Python of a framework's environment. Raises Failed where there is none."""
    if name == "ours":
        return sys.executable
    python = ENVIRONMENTS / name / "bin" / "python"
    if not (ENVIRONMENTS / name / "installed").exists():
        others = " ".join(other for other in TITLES if other != name)
        raise Failed(
            f"{TITLES[name]} is not installed in {python.parent.parent}: run `make bench`, which installs it, or leave "
            f"it out with --only {others}"
        )
    return str(python)


def measure(names: list[str], given: argparse.Namespace, label: str) -> dict[str, Figures]:
    """One round: the figures of each framework."""
    taken = {}
    for name in names:
        print(f"{label}: {TITLES[name]}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            cache = Path(folder, "cache")
            figures = run(name, given.model, given.steps, cache)
            again = run(name, given.model, 0, cache) if name in COMPILED else figures
        if name not in COMPILED:
            del figures["compile_s"], figures["compile_cpu_s"]
        figures |= {f"warm_{key}": again[key] for key in ("start_s", "start_cpu_s")}
        taken[name] = figures
    return taken


def run(name: str, model: str, steps: int, cache: Path) -> Figures:
    """Run a framework's script; what it wrote. Raises Failed with the end of its output if it fails."""
    script = HERE / "step.py" if name == "ours" else HERE / "peers" / f"with_{name}.py"
    environment = {key: value for key, value in os.environ.items() if key != "JAX_COMPILATION_CACHE_DIR"}
    environment["JAX_PLATFORMS"] = "cpu"
    if name != "ours":
        environment["PYTHONPATH"] = str(HERE)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "figures.json")
        work = ["--model", model, "--steps", str(steps)]
        command = [interpreter(name), script, *work, "--json", out, "--cache", cache]
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        if done.returncode:
            end = "\n".join(done.stdout.splitlines()[-20:])
            raise Failed(f"{TITLES[name]} ended with exit code {done.returncode}; its last lines:\n{end}")
        return json.loads(out.read_text())


def median(rounds: list[Figures]) -> Figures:
    """Medians of the numbers over the rounds; of the rest, the first."""
    number = lambda value: isinstance(value, int | float)  # noqa: E731
    first = rounds[0]
    return {k: statistics.median(each[k] for each in rounds) if number(v) else v for k, v in first.items()}


def beside(ours: Figures, peer: Figures) -> dict[str, float]:
    """Ours / peer of each figure; and our warm start by the peer's cold one, for it keeps no cache unless told to."""
    ratios = {key: ours[key] / peer[key] for key in FIGURES if key in peer}
    return ratios | {"warm_by_cold": ours["warm_start_s"] / peer["start_s"]}


def goals_beside(ratios: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """What is to be reached beside the peers that ran, and whether it was."""
    rows = [(figure, peer, goal, ratios[peer][figure]) for (figure, peer), goal in GOALS.items() if peer in ratios]
    return [
        {"figure": figure, "peer": peer, "ratio": ratio, "goal": str(goal), "reached": goal.met(ratio)}
        for figure, peer, goal, ratio in rows
    ]


def figures_table(medians: dict[str, Figures], ratios: dict[str, dict[str, float]], model: str) -> Table:
    """Figures down, frameworks and then ours / peer across."""
    load = max(figures["load_avg"] for figures in medians.values())
    versions = {f"{name} {version}" for each in medians.values() for name, version in each["versions"].items()}
    title = f"One GRPO step of {Path(model).name or 'a small random model'} on the CPU"
    shown = Table(title=title, caption=f"load average {load:.1f}; {', '.join(sorted(versions))}")
    shown.add_column("median", no_wrap=True)
    for column in [TITLES[name] for name in medians] + [f"/ {TITLES[peer]}" for peer in ratios]:
        shown.add_column(column, justify="right", no_wrap=True)
    measured = {key for figures in medians.values() for key in figures}
    for key, title in ((key, title) for key, title in FIGURES.items() if key in measured):
        shown.add_row(title, *(short(of[key]) if key in of else "" for of in [*medians.values(), *ratios.values()]))
    return shown


def goals_table(rows: list[dict[str, Any]]) -> Table:
    """What is to be reached."""
    shown = Table(title="Ours / peer")
    for column in ("figure", "peer", "ratio", "to reach", "reached"):
        shown.add_column(column, justify="right" if column == "ratio" else "left", no_wrap=True)
    for row in rows:
        title = FIGURES.get(row["figure"], WARM_BY_COLD).strip()
        reached = "[green]yes[/]" if row["reached"] else "[red]no[/]"
        shown.add_row(title, TITLES[row["peer"]], short(row["ratio"]), row["goal"], reached)
    return shown


def short(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    main()
