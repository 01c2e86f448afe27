"""The sections of single programs: sft, annotate, fit-reward, evaluate."""

from dataclasses import dataclass, field
from typing import Literal

from cooper_jax.config.errors import check_types, require, require_placeholders
from cooper_jax.config.model import Optim
from cooper_jax.config.prompts import JUDGE_PROMPT
from cooper_jax.config.text import MeshModel, Server


@dataclass(frozen=True)
class SFT:
    """`cooper sft`: next-token training on worked solutions, the warm start of the policy."""

    data: tuple[str, ...] = ()
    """Sources of worked solutions, each as `data.source`; docs/data.md lists what is read. Empty: `data.source`."""
    solution: str = ""
    """Column of the worked solution, the completion or the chat. Empty: recognised by its name."""
    task: Literal["solve", "rewrite"] = "solve"
    """Of the built-in task. solve: worked solutions of the questions; rewrite: `QUESTION;COMPLETION` into a wrong
    completion, an assistant for `assistant.kind` "mesh"."""
    dir: str = "runs/sft"
    """Run directory; running again continues it."""
    init: str = ""
    """Where the first weights come from, as `policy.init`; empty: random weights from the seed."""
    steps: int = 500
    """Training steps."""
    batch: int = 128
    """Solutions in a step."""
    examples: int = 20_000
    """Of the built-in task: solutions to draw from."""
    eval_every: int = 0
    """Held-out loss every so many steps; 0: ten times. The checkpoint with the least is kept. (Of the built-in task:
    accuracy, after the last.)"""
    optim: Optim = field(default_factory=lambda: Optim(lr=1e-5, schedule="cosine"))

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("steps", "batch", "examples"):
            value = getattr(self, name)
            require(value >= 1, f"sft.{name} = {value}: must be at least 1")
        require(self.eval_every >= 0, f"sft.eval_every = {self.eval_every}: must not be negative; 0 is ten times")
        require(
            "arithmetic" not in self.data,
            f"sft.data = {self.data}: the built-in task stands alone; name it in data.source and leave sft.data empty",
        )


@dataclass(frozen=True)
class Annotate:
    """`cooper annotate`: completions labelled where the rule and a judge agree."""

    dir: str = "runs/labels"
    """Directory of labels.parquet and the reports; running again continues it."""
    rows: str = ""
    """JSONL or parquet with the columns question, reference_answer, completion and, if some were cut off, finished; or
    what `cooper evaluate` has written; or a folder of such files. Empty: sampled from the policy."""
    completions: int = 1000
    """How many are sampled."""
    temperature: float = 1.0
    """Of their sampling."""
    judge: Literal["lenient", "server", "mesh", "none"] = "lenient"
    """lenient: the built-in task's second opinion, any stated answer; server: a model reading Yes or No; mesh: the same
    on the mesh, by the likelier first token; none: the rule alone labels, where references are numbers that it reads
    for certain."""
    server: Server = field(default_factory=lambda: Server(temperature=0.0))
    mesh: MeshModel = field(default_factory=MeshModel)
    prompt: str = JUDGE_PROMPT
    """What the judge is asked; {question}, {reference} and {completion} are put in."""
    brittle: bool = False
    """Label by the rule as training sees it where that is made brittle (`verifier.blind_by`, `verifier.false_right`):
    the reward model's start then knows no more than the rule arm."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.completions >= 1, f"annotate.completions = {self.completions}: must be at least 1")
        require(self.temperature > 0, f"annotate.temperature = {self.temperature}: must be positive")
        require(
            self.judge != "server" or self.server.model != "",
            "the judge is a server without a model; name it with --server.model, in a config annotate.server.model",
        )
        require(
            self.judge != "mesh" or self.mesh.init != "",
            "the judge is a model on the mesh without a folder; give it in annotate.mesh.init",
        )
        require_placeholders("annotate.prompt", self.prompt, "question", "reference", "completion")


@dataclass(frozen=True)
class Fit:
    """`cooper fit-reward`: binary cross-entropy on labelled completions, the reward model's start."""

    dir: str = "runs/reward"
    """Run directory; running again continues it."""
    init: str = ""
    """Where the first weights come from, as `reward.init`; empty: random weights from the seed."""
    data: str = "runs/labels/labels.parquet"
    """Parquet with the columns question, reference_answer, completion, label."""
    epochs: float = 3.0
    """Passes over the training rows (balanced: over the rarer label)."""
    steps: int = 0
    """Steps to take instead of `epochs`; 0: as many as these take."""
    batch: int = 128
    """Rows in a step."""
    balanced: bool = False
    """Half of every batch right, half wrong."""
    held_out: float = 0.2
    """Share of the questions kept for evaluation."""
    eval_every: int = 0
    """Evaluate every so many steps; 0: after each epoch. The checkpoint with the best held-out accuracy is kept."""
    optim: Optim = field(default_factory=lambda: Optim(lr=2e-5))

    def __post_init__(self) -> None:
        check_types(self)
        require(self.batch >= 1, f"fit.batch = {self.batch}: must be at least 1")
        require(self.epochs > 0, f"fit.epochs = {self.epochs}: must be positive")
        for name in ("steps", "eval_every"):
            value = getattr(self, name)
            require(value >= 0, f"fit.{name} = {value}: must not be negative")
        require(0 < self.held_out < 1, f"fit.held_out = {self.held_out}: must be between 0 and 1")
        require(
            not self.balanced or self.batch % 2 == 0, f"fit.batch = {self.batch}: balanced batches need an even size"
        )


@dataclass(frozen=True)
class Evaluation:
    """`cooper evaluate`, and the evaluations during training (at the first of `temperatures`)."""

    sets: tuple[str, ...] = ()
    """Benchmarks as NAME:PATH, such as gsm8k:test.jsonl; docs/data.md lists them. Empty: the held-out questions."""
    step: int = 0
    """Of the run in `dir`, the checkpoint of this step; 0: the best, where one was kept as such, else the newest."""
    out: str = ""
    """Folder of the results; empty: the run that is evaluated or, of a Hugging Face folder, one beside it."""
    questions: int = 1024
    """Held-out questions (all, if there are fewer)."""
    limit: int = 0
    """Of each set, ask so many questions (or score so many texts), drawn by the seed; 0: all."""
    samples: int = 1
    """Completions of each question (avg@k); greedy decoding takes one."""
    batch: int = 256
    """Questions sampled at a time; for a reward model, texts scored at a time."""
    temperatures: tuple[float, ...] = (1.0, 0.0)
    """The questions are asked at each of these; 0 is greedy."""
    top_p: float = 1.0
    """Sample from the fewest tokens whose probability reaches this; 1 keeps every token."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("questions", "samples", "batch"):
            value = getattr(self, name)
            require(value >= 1, f"evaluation.{name} = {value}: must be at least 1")
        require(self.step >= 0, f"evaluation.step = {self.step}: must not be negative; 0 takes the best, or the newest")
        require(self.limit >= 0, f"evaluation.limit = {self.limit}: must not be negative; 0 asks all")
        require(
            len(self.temperatures) > 0 and min(self.temperatures) >= 0,
            f"evaluation.temperatures = {self.temperatures}: name at least one, none negative",
        )
        require(0 < self.top_p <= 1, f"evaluation.top_p = {self.top_p}: must be in (0, 1]; 1 keeps every token")
