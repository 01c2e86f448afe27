"""Cooper (arXiv 2508.05613) in JAX: the policy and its reward model, optimised together. Start at `cooper.py`.

What the `cooper` command does is here as functions, called with the configurations that the command reads and returning
what it prints:

    from dataclasses import replace
    from cooper_jax import load, train

    result = train(replace(load("configs/toy.py"), dir="runs/mine"))
    print(result.folder, result.figures["eval/accuracy"])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cooper_jax.config import (
    GRPO,
    SFT,
    Annotate,
    Assistant,
    Config,
    Data,
    Evaluation,
    Fit,
    Governor,
    Log,
    Mesh,
    MeshModel,
    Model,
    Monitor,
    Optim,
    Pairs,
    Prompting,
    Rollout,
    RopeScaling,
    Scoring,
    Server,
    Stop,
    Trainee,
    UserError,
    Verifier,
    load,
)

if TYPE_CHECKING:
    from cooper_jax.cooper import train
    from cooper_jax.programs.annotate import annotate
    from cooper_jax.programs.demo import Demo, demo
    from cooper_jax.programs.evaluate import evaluate
    from cooper_jax.programs.export import Export, export
    from cooper_jax.programs.fit_reward import fit_reward
    from cooper_jax.programs.generate import Generate, generate
    from cooper_jax.programs.inspect import Inspect, inspect
    from cooper_jax.programs.report import Report, report
    from cooper_jax.programs.score import Score, score
    from cooper_jax.programs.sft import sft
    from cooper_jax.programs.verify import Verify, verify
    from cooper_jax.programs.watch import Watch, watch
    from cooper_jax.run.directory import Result
    from cooper_jax.run.sampler import Completion

__version__ = "0.1.0"
__all__ = [
    "GRPO", "SFT", "Annotate", "Assistant", "Completion", "Config", "Data", "Demo", "Evaluation", "Export", "Fit",
    "Generate", "Governor", "Inspect", "Log", "Mesh", "MeshModel", "Model", "Monitor", "Optim", "Pairs", "Prompting",
    "Report", "Result", "Rollout", "RopeScaling", "Score", "Scoring", "Server", "Stop", "Trainee", "UserError",
    "Verifier", "Verify", "Watch", "annotate", "demo", "evaluate", "export", "fit_reward", "generate", "inspect",
    "load", "report", "score", "sft", "train", "verify", "watch",
]  # fmt: skip

_PROGRAMS = {
    "train": "cooper",
    **dict.fromkeys(("Demo", "demo"), "programs.demo"),
    **dict.fromkeys(("Export", "export"), "programs.export"),
    **dict.fromkeys(("Generate", "generate"), "programs.generate"),
    **dict.fromkeys(("Inspect", "inspect"), "programs.inspect"),
    **dict.fromkeys(("Report", "report"), "programs.report"),
    **dict.fromkeys(("Score", "score"), "programs.score"),
    **dict.fromkeys(("Verify", "verify"), "programs.verify"),
    **dict.fromkeys(("Watch", "watch"), "programs.watch"),
    **{name: f"programs.{name}" for name in ("annotate", "evaluate", "fit_reward", "sft")},
    "Result": "run.directory",
    "Completion": "run.sampler",
}


def __getattr__(name: str) -> Any:
    """Programs are imported when they are asked for: a verifier's worker, or `--help`, does without JAX."""
    if name not in _PROGRAMS:
        raise AttributeError(f"module 'cooper_jax' has no attribute {name!r}")
    return getattr(import_module(f"cooper_jax.{_PROGRAMS[name]}"), name)
