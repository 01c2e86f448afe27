"""A run: every section together."""

from dataclasses import dataclass, field
from typing import Literal

from cooper_jax.config.errors import check_types, require
from cooper_jax.config.guards import Governor, Monitor
from cooper_jax.config.model import Trainee
from cooper_jax.config.programs import SFT, Annotate, Evaluation, Fit
from cooper_jax.config.text import Assistant, Data, Prompting, Scoring, Verifier
from cooper_jax.config.training import GRPO, Log, Mesh, Pairs, Rollout, Stop


@dataclass(frozen=True)
class Config:
    """A run: the policy, the reward model, and how a Cooper step treats them."""

    policy: Trainee
    reward: Trainee
    dir: str = "runs/cooper"
    """Run directory of `cooper train`: checkpoints, metrics.jsonl, config.json. Running again continues it."""
    seed: int = 0
    """Of all randomness: first weights, samples, the order of the data."""
    steps: int = 200
    """Training steps of `cooper train`."""
    reward_source: Literal["model", "rule", "hybrid"] = "model"
    """Reward of the policy: the reward model's score, or the rule's verdict (then no reward model is built), or both:
    the verdict where it is right or wrong, the score where it is unknown."""
    train_reward: bool = True
    """Cooper: train the reward model too. With reward_source "model", False is the static arm."""
    data: Data = field(default_factory=Data)
    prompting: Prompting = field(default_factory=Prompting)
    rollout: Rollout = field(default_factory=Rollout)
    grpo: GRPO = field(default_factory=GRPO)
    pairs: Pairs = field(default_factory=Pairs)
    governor: Governor = field(default_factory=Governor)
    monitor: Monitor = field(default_factory=Monitor)
    scoring: Scoring = field(default_factory=Scoring)
    assistant: Assistant = field(default_factory=Assistant)
    verifier: Verifier = field(default_factory=Verifier)
    mesh: Mesh = field(default_factory=Mesh)
    sft: SFT = field(default_factory=SFT)
    annotate: Annotate = field(default_factory=Annotate)
    fit: Fit = field(default_factory=Fit)
    evaluation: Evaluation = field(default_factory=Evaluation)
    eval_every: int = 0
    """Evaluate on held-out questions every so many steps; 0: never."""
    keep_best: str = ""
    """Figure of these evaluations, such as eval/accuracy: the checkpoint with the greatest is kept beside the newest,
    and is what `export`, `evaluate` and other runs take. Saves at every evaluation. Empty: only the newest are kept."""
    stop: Stop = field(default_factory=Stop)
    save_every: int = 50
    """Checkpoint every so many steps, and always after the last."""
    keep: int = 2
    """Checkpoints kept."""
    max_skipped: int = 3
    """Steps in a row whose update is left out, since its gradient is not finite, that end a run."""
    compile_cache: str = "~/.cache/cooper_jax"
    """Compiled programs are kept here between runs; empty: not kept. JAX_COMPILATION_CACHE_DIR goes before it."""
    profile: int = 0
    """Watch so many steps of a training program, once all is compiled: a trace of JAX's profiler and `timeline.png`, in
    `profile/` of the run directory. 0: none."""
    watchdog: float = 1800.0
    """Seconds without the end of a step after which a training program counts as hung: it writes what each thread does
    and ends with exit code 75, and launchers start it again. Compiling and evaluations do not count. 0: never."""
    log: Log = field(default_factory=Log)

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("steps", "save_every", "keep", "max_skipped"):
            value = getattr(self, name)
            require(value >= 1, f"{name} = {value}: must be at least 1")
        for name in ("eval_every", "profile", "watchdog"):
            value = getattr(self, name)
            require(value >= 0, f"{name} = {value}: must not be negative; 0 turns it off")
        self._check_best()
        require(self.seed >= 0, f"seed = {self.seed}: must not be negative")
        require(
            self.reward_source != "rule" or not self.train_reward,
            'reward_source = "rule" with train_reward = True: the rule arm builds no reward model; '
            "add --no-train-reward",
        )
        require(
            self.rollout.temperature > 0,
            "rollout.temperature = 0.0: greedy samples of one question are all alike and teach nothing; "
            "use 1.0 in training (evaluation has its own temperatures)",
        )
        size, rows = self.policy.micro_batch, self.rollout.rows
        require(
            size == 0 or self.grpo.packed or rows % size == 0,
            f"policy.micro_batch = {size} does not divide the {rows} rows of its batch; use a divisor of {rows}",
        )

    def _check_best(self) -> None:
        stop, best, asked = self.stop, self.keep_best, self.evaluation
        require(
            best != "" or not (stop.patience or stop.at),
            f"stop.patience = {stop.patience}, stop.at = {stop.at}: they look at the figure that keep_best names, and "
            "it is empty; add --keep-best eval/accuracy",
        )
        if not best:
            return
        require(self.eval_every > 0, f"keep_best = {best!r} with eval_every = 0: nothing is evaluated; set eval_every")
        samples = asked.samples if asked.temperatures[0] else 1
        several = [f"eval/pass@{n}" for n in sorted({samples} | {2**i for i in range(samples.bit_length())})]
        known = ["eval/accuracy", *(["eval/majority", *several] if samples > 1 else [])]
        require(
            best in known,
            f"keep_best = {best!r}: with {samples} sample{'s' * (samples > 1)} of each question, choose from "
            f"{', '.join(known)}",
        )
