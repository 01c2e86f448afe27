"""What a run can use of its data: prompts that fit, references the rule reads, texts that fit the reward model."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from cooper_jax.config import require
from cooper_jax.host.text import encode, labels, worked
from cooper_jax.host.text.data import Problem, Problems
from cooper_jax.host.text.labels import Labels
from cooper_jax.host.text.worked import Example
from cooper_jax.host.verifier.pool import Job
from cooper_jax.host.verifier.verdict import RIGHT
from cooper_jax.mesh import hosts
from cooper_jax.run.machine import Machine

T = TypeVar("T")


def usable(found: Problems[Problem], here: Machine, training: bool, hint: str = "") -> list[Problem]:
    """The problems whose prompt fits, whose reference the rule can read and, in training, whose scoring window holds.

    Prints what was read (in training) and what was left out. Raises UserError, with `hint`, where nothing is left.
    """
    cfg, before = here.cfg, len(found.kept)
    require(
        found.source != "arithmetic" or cfg.verifier.rule == "arithmetic",
        f'verifier.rule = "{cfg.verifier.rule}" does not read the built-in task\'s answers, "#N" at the very end; set '
        "--verifier.rule arithmetic, or name other questions with --data.source",
    )

    sizes = encode.prompt_sizes(found.kept, here.tokenizers["policy"], cfg.prompting)
    _drop_over(found, cfg.rollout.prompt_len, sizes, "with prompts", "rollout.prompt-len")
    if training and "reward" in here.tokenizers:
        cfg.reward.model.require_room(cfg.scoring.length, "scoring.length")
        sizes = encode.window_sizes(found.kept, here.tokenizers["reward"])
        _drop_over(found, cfg.scoring.length, sizes, "with question and reference", "scoring.length")
    math = cfg.verifier.rule == "math"
    unreadable = _unreadable(found.kept, here) if math else [not p.reference.isdecimal() for p in found.kept]
    found.drop("with references that the rule cannot read", unreadable, lambda problem: f"{problem.reference:.40}")
    require(len(found.kept) > 0, f"no problem is left of {found}{hint}")
    if training or len(found.kept) < before:
        print(f"{'training' if training else 'held-out'} data: {found}", flush=True)
    return found.kept


def _unreadable(problems: Sequence[Problem], here: Machine) -> list[bool]:
    """Which references the rule cannot read: asked like any completion, in the workers and within the deadline, by each
    process for its part."""
    jobs = [Job(p.reference, None, True) for p in hosts.split(problems)]
    return hosts.joined([v.verdict != RIGHT for v in here.verifier.submit(jobs).result()])


def imitable(found: Problems[Example], here: Machine) -> list[Example]:
    """The worked answers that the policy can be taught: prompt and completion fit, and the rule reads the right answer
    in it. Without a reference they are taken as they are.

    Prints what was read and what was left out. Raises UserError where nothing is left.
    """
    cfg, tokenizer = here.cfg, here.tokenizers["policy"]
    problems = lambda: [example.problem for example in found.kept]  # noqa: E731
    found = found.of(worked.stated(found.kept, cfg.verifier, cfg.prompting))
    once = list(dict.fromkeys(found.kept))
    found.note(len(found.kept) - len(once), "repeated")
    found.kept = once
    sizes = encode.prompt_sizes(problems(), tokenizer, cfg.prompting)
    _drop_over(found, cfg.rollout.prompt_len, sizes, "with prompts", "rollout.prompt-len")
    sizes = encode.completion_sizes([example.completion for example in found.kept], tokenizer)
    _drop_over(found, cfg.rollout.completion_len, sizes, "with completions", "rollout.completion-len")
    jobs = [Job(e.problem.reference, e.completion, True) if e.problem.reference else None for e in found.kept]
    asked = [job for job in jobs if job]
    verdicts = iter(hosts.joined([v.verdict for v in here.verifier.submit(hosts.split(asked)).result()]))
    wrong = [job is not None and next(verdicts) != RIGHT for job in jobs]
    found.drop("in which the rule does not read the right answer", wrong, lambda e: f"{e.completion[-40:]!r}")
    require(
        len(found.kept) > 0,
        f"no worked answer is left of {found}; see that prompting.instruction and verifier.extract suit the data",
    )
    unknown = sum(not problem.reference for problem in problems())
    found.note(unknown, "of them without a reference, taken as they are")
    print(f"worked answers: {found}", flush=True)
    return found.kept


def _drop_over(found: Problems[T], limit: int, sizes: np.ndarray, what: str, option: str) -> None:
    hint = f"raise --{option} to {max(sizes, default=0)} to keep them all"
    found.drop(f"{what} over {limit:,} tokens ({hint})", sizes > limit)


def labelled(path: str, here: Machine) -> Labels:
    """The labelled rows in `path` that fit the reward model's window; what is left out is said.

    Raises UserError as `labels.read`.
    """
    here.cfg.reward.model.require_room(here.cfg.scoring.length, "scoring.length")
    found = labels.read(path, here.tokenizers["reward"], here.cfg.scoring.length)
    if found.left_out:
        print(found.left_out)
    return found
