"""`cooper demo`: the paper's figure on the built-in task: a warm start, a reward model, three arms."""

import json
import time
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from cooper_jax.config import Config, path, require
from cooper_jax.cooper import train
from cooper_jax.mesh import hosts
from cooper_jax.programs.annotate import annotate
from cooper_jax.programs.evaluate import measure
from cooper_jax.programs.fit_reward import fit_reward
from cooper_jax.programs.sft import sft
from cooper_jax.run import curves
from cooper_jax.run.directory import Result

ARMS: dict[str, dict[str, Any]] = {
    "rule": {"reward_source": "rule", "train_reward": False},
    "static": {"reward_source": "model", "train_reward": False},
    "cooper": {"reward_source": "model", "train_reward": True},
    "hybrid": {"reward_source": "hybrid", "train_reward": True},
}
PAPER = ("rule", "static", "cooper")
INSTEAD = {
    **dict.fromkeys(("dir", "sft.dir", "annotate.dir", "fit.dir", "fit.data"), "--out, under which all of them lie"),
    **dict.fromkeys(("policy.init", "reward.init"), "cooper train, which takes a start of your own"),
    **dict.fromkeys(("reward_source", "train_reward"), "--arms"),
    "seed": "--seeds",
}
"""Settings that the demo gives a value of its own, and what a user wants who sets one."""
_QUICK = dict.fromkeys(("steps", "eval_every"), "them without --quick")
_DECENT = dict.fromkeys(("annotate.completions", "fit.steps", "fit.eval_every"), "them without --start decent")
_BRITTLE = dict.fromkeys(("verifier.blind_by", "verifier.blind_share"), "them without --brittle")
LAST = 5
"""`final_reward` is the mean of so many last steps."""


@dataclass(frozen=True)
class Demo:
    """What to run, and the configuration that every arm shares."""

    config: Annotated[Config, tyro.conf.arg(name="")]
    seeds: tuple[int, ...] = (0,)
    """Each seed has its own warm start, reward model and arms."""
    arms: tuple[str, ...] = field(default=PAPER)
    """The paper's three; hybrid, beside them, takes the rule's verdict and, where that is unknown, the score."""
    out: Annotated[str | Path, tyro.conf.arg(metavar="PATH")] = "runs/demo"
    """Runs, report.png and results.json; running again continues."""
    quick: bool = False
    """Fewer steps: about a minute and a half."""
    start: Literal["weak", "decent"] = "weak"
    """The reward model's: weak on purpose, as the config file has it, or decent: fitted three times as long, on 8,000
    completions (with --annotate.brittle on more, so that as many are read)."""

    brittle: bool = False
    """The brittle case: a rule that cannot read 74 % of the questions in training, and a decent start."""

    def __post_init__(self) -> None:
        require(len(self.seeds) > 0, "demo --seeds: name at least one")
        unknown = [arm for arm in self.arms if arm not in ARMS]
        require(not unknown and len(self.arms) > 0, f"demo --arms {' '.join(unknown)}: choose from {', '.join(ARMS)}")

    @property
    def decent(self) -> bool:
        """Whether the reward model starts decent."""
        return self.brittle or self.start == "decent"


def check(chosen: Demo, loaded: Config) -> None:
    """Raise UserError where an option sets, other than the `loaded` file, what the demo sets itself."""
    taken = INSTEAD | (_QUICK if chosen.quick else {}) | (_BRITTLE if chosen.brittle else {})
    taken |= _DECENT if chosen.decent else {}
    for name, instead in taken.items():
        value, before = (reduce(getattr, name.split("."), cfg) for cfg in (chosen.config, loaded))
        option = f"--{name.replace('_', '-')} {value}"
        require(value == before, f"demo {option}: the demo has its own; use {instead}")


def demo(cfg: Demo) -> Result:
    """Run all arms of all seeds, then write `results.json` and `report.png` and print the table."""
    begun, out = time.perf_counter(), path(cfg.out)
    shared = quick(cfg.config) if cfg.quick else cfg.config
    shared = brittle(shared) if cfg.brittle else shared
    shared = decent(shared) if cfg.decent else shared
    seeds = [_seed(replace(shared, seed=seed), seed, cfg.arms, out / f"seed{seed}") for seed in cfg.seeds]
    results: dict[str, Any] = {"seconds": round(time.perf_counter() - begun, 1), "seeds": seeds}
    if shared.verifier.brittle:
        results["rule"] = case(shared)
    if hosts.is_main():
        (out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
        curves.report(results, out)
    return Result(out, results)


def quick(cfg: Config) -> Config:
    """The same story in fewer steps."""
    return replace(cfg, steps=50, eval_every=10)


def brittle(cfg: Config) -> Config:
    """With a rule that cannot read most questions; evaluation has the whole one."""
    return replace(cfg, verifier=replace(cfg.verifier, blind_by="question", blind_share=0.74))


def case(cfg: Config) -> str:
    """How the rule is made brittle, in words for the picture."""
    rule, said = cfg.verifier, []
    if rule.blind_by:
        of = {"question": "questions", "reference": "reference values"}[rule.blind_by]
        said.append(f"cannot read {rule.blind_share:.0%} of the {of}")
    if rule.false_right:
        said.append(f"calls {rule.false_right:.0%} of wrong answers right")
    return f"in training the rule {' and '.join(said)}"


def decent(cfg: Config) -> Config:
    """With a reward model that reads the reference well."""
    unread = cfg.verifier.blind_share if cfg.annotate.brittle else 0.0
    require(unread < 1, "demo --start decent --annotate.brittle: the rule is blind to all, and labels nothing")
    completions = round(8000 / (1 - unread))
    return replace(
        cfg,
        annotate=replace(cfg.annotate, completions=completions),
        fit=replace(cfg.fit, steps=240, eval_every=240),
    )


def _seed(cfg: Config, seed: int, arms: tuple[str, ...], out: Path) -> dict[str, Any]:
    warm, labels, reward = (str(out / name) for name in ("sft", "labels", "reward"))
    cfg = replace(
        cfg,
        policy=replace(cfg.policy, init=warm),
        reward=replace(cfg.reward, init=reward),
        sft=replace(cfg.sft, dir=warm),
        annotate=replace(cfg.annotate, dir=labels),
        fit=replace(cfg.fit, dir=reward, data=f"{labels}/labels.parquet"),
    )
    print(f"seed {seed}: warm start, labels, reward model, then {', '.join(arms)}", flush=True)
    sft(cfg)
    annotate(cfg)
    fit_reward(cfg)
    result: dict[str, Any] = {"seed": seed, "warm_start": _figures(cfg, warm), "arms": {}}
    for arm in arms:
        run = replace(cfg, dir=str(out / arm), **ARMS[arm])
        print(f"seed {seed}: {arm}", flush=True)
        train(run)
        rewards = [r["reward/mean"] for r in curves.records(run.dir)][-LAST:]
        result["arms"][arm] = _figures(run, run.dir) | {"final_reward": sum(rewards) / len(rewards)}
    return result


def _figures(cfg: Config, run_dir: str) -> dict[str, float]:
    sampled, greedy = measure(
        replace(cfg, evaluation=replace(cfg.evaluation, temperatures=(1.0, 0.0))), run_dir
    ).values()
    return {
        "accuracy": sampled["accuracy"],
        "standard_error": sampled["standard_error"],
        "greedy": greedy["accuracy"],
        "questions": sampled["questions"],
    }
