"""A training step: what is sampled, what the losses are, where it all lies, what is logged."""

from dataclasses import dataclass
from typing import Literal

from cooper_jax.config.errors import check_types, require


@dataclass(frozen=True)
class Rollout:
    """One step samples `group` completions for each of `prompts` questions."""

    prompts: int = 64
    """P: questions in a step."""
    group: int = 8
    """G: completions of each question, which are compared with one another."""
    prompt_len: int = 512
    """Tokens; questions with longer prompts are left out, and counted."""
    completion_len: int = 1024
    """Tokens, the stop token included; a completion that reaches them unfinished is truncated."""
    temperature: float = 1.0
    """0 is greedy. Log-probs are of the distribution at this temperature, here and in the trainer."""
    top_p: float = 1.0
    """Sample from the fewest tokens whose probability reaches this; 1 keeps every token."""
    top_k: int = 0
    """Sample from so many of the likeliest tokens; 0: no limit."""
    cache: Literal["compute", "int8"] = "compute"
    """Keys and values are kept in the compute type, or in int8, half of bfloat16's memory. Samples and their log-probs
    then are of the model so rounded; `policy/sampler_gap` says by how much."""
    at_once: int = 0
    """Prompts whose completions are sampled at one time, before the next so many: the cache of keys and values is as
    large as theirs, and the step takes longer. The samples are the same, but for the rounding of products of other
    shapes. 0: all prompts."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("prompts", "prompt_len", "completion_len"):
            value = getattr(self, name)
            require(value >= 1, f"rollout.{name} = {value}: must be at least 1")
        require(
            self.group >= 2,
            f"rollout.group = {self.group}: an advantage compares a completion with its group; use 2 or more",
        )
        require(self.temperature >= 0, f"rollout.temperature = {self.temperature}: must not be negative")
        require(0 < self.top_p <= 1, f"rollout.top_p = {self.top_p}: must be in (0, 1]; 1 keeps every token")
        require(self.top_k >= 0, f"rollout.top_k = {self.top_k}: must not be negative; 0 keeps every token")
        require(
            self.at_once >= 0 and self.prompts % (self.at_once or 1) == 0,
            f"rollout.at_once = {self.at_once}: must divide rollout.prompts = {self.prompts}, so that all turns have "
            "one shape; 0 samples all at once",
        )

    @property
    def rows(self) -> int:
        """B = P * G."""
        return self.prompts * self.group

    @property
    def turns(self) -> int:
        """In how many turns the prompts are sampled."""
        return self.prompts // (self.at_once or self.prompts)


@dataclass(frozen=True)
class GRPO:
    """The policy's loss; see `rl/grpo.py` for the equations."""

    std: Literal["group", "batch", "none"] = "group"
    """What the advantage is divided by."""
    std_floor: float = 0.01
    """Never divide by less: near-equal scores must not become full advantages."""
    ratio: Literal["token", "sequence"] = "token"
    """token: PPO and GRPO; sequence: GSPO."""
    clip_low: float = 0.2
    """The ratio counts from 1 - clip_low."""
    clip_high: float = 0.2
    """The ratio counts up to 1 + clip_high."""
    dual_clip: float | None = None
    """Bound on the loss of a completion with negative advantage, in advantages (> 1), or None."""
    kl: Literal["k1", "k2", "k3"] = "k3"
    """Estimator of the divergence from the reference."""
    kl_weight: float = 0.001
    """Weight of the KL penalty; 0 also drops the reference model."""
    aggregation: Literal["token-mean", "sequence-mean", "dr-grpo"] = "token-mean"
    """How tokens are averaged: all alike (DAPO), by completion (GRPO), or over the length limit (Dr. GRPO)."""
    truncated: Literal["mask", "zero", "score"] = "zero"
    """Completions that hit the length limit: leave them out of the loss and of the group's statistics, give them
    reward 0, or keep the reward they got."""
    updates: int = 1
    """Passes over each rollout (mu)."""
    minibatches: int = 1
    """Optimizer steps in a pass, each on its share of the micro-batches; samples and advantages are of the whole
    rollout, and old log-probs of before the first step."""
    packed: bool = False
    """Pack prompts and completions, several to a row, in the update and the reference pass: where lengths are skewed.
    Else a prompt is computed once for its group, and completions are padded: where prompts are long."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.std_floor > 0, f"grpo.std_floor = {self.std_floor}: must be positive")
        require(0 < self.clip_low < 1, f"grpo.clip_low = {self.clip_low}: must be in (0, 1)")
        require(self.clip_high > 0, f"grpo.clip_high = {self.clip_high}: must be positive")
        require(
            self.dual_clip is None or self.dual_clip > 1,
            f"grpo.dual_clip = {self.dual_clip}: must exceed 1, or be None",
        )
        require(self.kl_weight >= 0, f"grpo.kl_weight = {self.kl_weight}: must not be negative")
        for name in ("updates", "minibatches"):
            value = getattr(self, name)
            require(value >= 1, f"grpo.{name} = {value}: must be at least 1")

    @property
    def optimizer_steps(self) -> int:
        """Of the policy in each Cooper step."""
        return self.updates * self.minibatches


@dataclass(frozen=True)
class Pairs:
    """The reward model's update: a right completion against its rewriting into a wrong one."""

    per_question: int = 1
    """Slots for pairs of each question."""
    weight: float = 1.0
    """Of the pair loss -log sigmoid(s+ - s-)."""
    anchor: float = 0.0
    """Of binary cross-entropy on the same pairs; holds the calibration that a difference of scores leaves free."""
    replay: float = 0.0
    """Of binary cross-entropy on labelled rows of `fit.data`; 0: none are read."""
    replay_rows: int = 0
    """How many of these rows are read in a step."""
    labels: float = 0.0
    """Of binary cross-entropy on all of the step's completions that the rule has judged, right and wrong ones alike in
    weight. Where both are there the reward model learns of them without a pair too. 0: pairs alone."""
    keep: int = 0
    """So many right completions of each question are kept, the latest, and are its positives in a step that has none.
    They lie in the checkpoint. 0: none."""
    updates: int = 1
    """Optimizer steps of the reward model in each Cooper step."""
    tries: int = 3
    """How often the assistant may try for one pair."""
    on_policy: float = 0.0
    """Share of the slots whose negative is no rewriting but a sample of the same question: the finished one with the
    highest score that the rule proves wrong, if there is any."""
    length_ratio: float = 2.0
    """A rewriting may be so many times longer or shorter, in characters, than the text it rewrites."""
    style_every: int = 20
    """Measure every so many steps how well form alone tells the sides of recent pairs apart; 0: never."""
    style_window: int = 256
    """Pairs that this is measured on, the most recent ones; nothing is logged before there are as many."""
    min_valid_rate: float = 0.1
    """Of the slots of questions with a positive, the share that must become pairs."""
    patience: int = 20
    """So many steps in a row under `min_valid_rate`, or without any positive, end the run; half as many warn."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("per_question", "updates", "tries", "patience"):
            value = getattr(self, name)
            require(value >= 1, f"pairs.{name} = {value}: must be at least 1")
        for name in ("on_policy", "min_valid_rate"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"pairs.{name} = {value}: must be from 0 to 1")
        require(self.keep >= 0, f"pairs.keep = {self.keep}: must not be negative; 0 keeps none")
        require(self.length_ratio >= 1, f"pairs.length_ratio = {self.length_ratio}: must be at least 1")
        require(self.style_every >= 0, f"pairs.style_every = {self.style_every}: must not be negative; 0 turns it off")
        require(self.style_window >= 32, f"pairs.style_window = {self.style_window}: use 32 pairs or more")
        for name in ("weight", "anchor", "replay", "labels"):
            value = getattr(self, name)
            require(value >= 0, f"pairs.{name} = {value}: must not be negative")
        require(
            self.weight + self.anchor + self.replay + self.labels > 0,
            "pairs: weight, anchor, replay and labels are all 0; no loss is left",
        )
        require(
            (self.replay > 0) == (self.replay_rows > 0),
            f"pairs.replay = {self.replay} with pairs.replay_rows = {self.replay_rows}: set both, or neither",
        )


@dataclass(frozen=True)
class Stop:
    """Ends `cooper train` before its last step, by the figure that `keep_best` names; the run counts as finished."""

    patience: int = 0
    """After so many evaluations in a row in which the figure did not rise above its best; 0: never."""
    at: float = 0.0
    """At an evaluation in which the figure reaches this; 0: never."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.patience >= 0, f"stop.patience = {self.patience}: must not be negative; 0 turns it off")
        require(0 <= self.at <= 1, f"stop.at = {self.at}: must be from 0 to 1; 0 turns it off")


@dataclass(frozen=True)
class Mesh:
    """Devices along each axis; at most one may be -1, which takes what the others leave."""

    data: int = 1
    """Rows are split over it, weights are not."""
    fsdp: int = -1
    """Rows and weights are split over it. While decoding, attention's weights are whole on each of its devices; a
    larger `tensor` splits them."""
    tensor: int = 1
    """Heads, hidden units and vocabulary are split over it. It must divide the heads, and divide the key/value heads or
    be a multiple of them: then each device holds a copy of the one that it reads."""

    def __post_init__(self) -> None:
        check_types(self)
        sizes = (self.data, self.fsdp, self.tensor)
        require(all(s == -1 or s >= 1 for s in sizes), f"mesh = {sizes}: each axis must be -1 or at least 1")
        require(sizes.count(-1) <= 1, f"mesh = {sizes}: at most one axis may be -1")


@dataclass(frozen=True)
class Log:
    """Beside `metrics.jsonl`, which is always written."""

    tensorboard: bool = False
    """Event files for TensorBoard, in the run directory; needs the `tensorboard` extra."""
    wandb: str = ""
    """Weights & Biases project; needs the `wandb` extra. The key is read from the environment by wandb itself."""
    samples_every: int = 10
    """Write samples and pairs of every so many steps, of the first and of the last, into `samples/` and `pairs/` of the
    run directory; 0: never. A run of hundreds of steps then shows each stage of what it learns, for about a hundredth
    of its time."""
    samples: int = 64
    """Samples written of such a step, and pairs: of its first questions, each with its whole group. Questions come in
    random order, so that the first stand for all."""

    def __post_init__(self) -> None:
        check_types(self)
        require(
            self.samples_every >= 0, f"log.samples_every = {self.samples_every}: must not be negative; 0 turns it off"
        )
        require(self.samples >= 1, f"log.samples = {self.samples}: must be at least 1; log.samples_every 0 writes none")
