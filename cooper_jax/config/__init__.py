"""What a run is made of: frozen dataclasses, a Python file that builds one, and typed overrides from the command line.

Defaults live here and nowhere else. Each `__post_init__` rejects what a run would otherwise discover late, in one
message that names the value, the rule and the fix.
"""

from cooper_jax.config.errors import UserError, require, visible
from cooper_jax.config.files import builtin, flat, from_json, load, to_json
from cooper_jax.config.guards import Governor, Monitor
from cooper_jax.config.model import RUN_TIME, SHAPES, Model, Optim, RopeScaling, Trainee
from cooper_jax.config.paths import is_local, path
from cooper_jax.config.programs import SFT, Annotate, Evaluation, Fit
from cooper_jax.config.prompts import JUDGE_PROMPT, REWRITE_PROMPT
from cooper_jax.config.reads import READS, reads
from cooper_jax.config.run import Config
from cooper_jax.config.text import (
    Assistant,
    Data,
    Extraction,
    MeshModel,
    Prompting,
    Rewriting,
    Scoring,
    Server,
    Verifier,
)
from cooper_jax.config.training import GRPO, Log, Mesh, Pairs, Rollout, Stop

__all__ = [
    "GRPO",
    "JUDGE_PROMPT",
    "READS",
    "REWRITE_PROMPT",
    "RUN_TIME",
    "SFT",
    "SHAPES",
    "Annotate",
    "Assistant",
    "Config",
    "Data",
    "Evaluation",
    "Extraction",
    "Fit",
    "Governor",
    "Log",
    "Mesh",
    "MeshModel",
    "Model",
    "Monitor",
    "Optim",
    "Pairs",
    "Prompting",
    "Rewriting",
    "Rollout",
    "RopeScaling",
    "Scoring",
    "Server",
    "Stop",
    "Trainee",
    "UserError",
    "Verifier",
    "builtin",
    "flat",
    "from_json",
    "is_local",
    "load",
    "path",
    "reads",
    "require",
    "to_json",
    "visible",
]  # fmt: skip
