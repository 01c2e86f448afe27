"""The decoder, its optimizer, and both together: a model that is trained."""

from dataclasses import dataclass, field
from typing import Literal

from cooper_jax.config.errors import check_types, require


@dataclass(frozen=True)
class RopeScaling:
    """Rotary frequencies of Llama 3.1 and later, stretched for contexts beyond `original_len`."""

    factor: float
    """Frequencies slower than the long wavelength are divided by it."""
    low_freq_factor: float
    """The long wavelength is original_len / low_freq_factor positions."""
    high_freq_factor: float
    """The short one, below which nothing changes, is original_len / high_freq_factor."""
    original_len: int
    """Positions that the frequencies were made for."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("factor", "low_freq_factor", "original_len"):
            value = getattr(self, name)
            require(value > 0, f"rope_scaling.{name} = {value}: must be positive")
        require(
            self.high_freq_factor > self.low_freq_factor,
            f"rope_scaling.high_freq_factor = {self.high_freq_factor}: must exceed low_freq_factor = "
            f"{self.low_freq_factor}",
        )


@dataclass(frozen=True)
class Model:
    """Shapes of the decoder. The same decoder serves the built-in task, Qwen2, Qwen3 and Llama 3.

    Without shapes, everything but `dtype`, `remat` and `head_chunk` is read from the folder in `init`. Where shapes are
    given, the other defaults are Qwen2's.
    """

    vocab: int = 0
    """V: rows of the embedding."""
    width: int = 0
    """D: of the residual stream."""
    layers: int = 0
    """L."""
    heads: int = 0
    """N: of queries."""
    kv_heads: int = 0
    """K: of keys and values."""
    head_dim: int = 0
    """H: of a head."""
    hidden: int = 0
    """F: width of the SwiGLU."""
    qkv_bias: bool = True
    """Biases on queries, keys and values: Qwen2."""
    qk_norm: bool = False
    """RMSNorm on each head's query and key: Qwen3."""
    tied: bool = True
    """Share the embedding with the output head."""
    rope_theta: float = 10_000.0
    """Base of the rotary frequencies."""
    rope_scaling: RopeScaling | None = None
    """Stretched frequencies: Llama 3.1 and later."""
    norm_eps: float = 1e-6
    """Added to the mean square in RMSNorm."""
    context: int = 0
    """Tokens that the model was made for; texts that may be longer are refused. 0: not known."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Compute type of the blocks; weights, softmax, log-probs, score and loss are float32 in either case."""
    remat: Literal["none", "products", "full"] = "full"
    """What the backward pass computes anew: nothing; all but the products with weights; each block from its input."""
    head_chunk: int = 2048
    """Tokens whose logits exist at one time."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.context >= 0, f"model.context = {self.context}: must not be negative; 0: not known")
        require(self.head_chunk >= 1, f"model.head_chunk = {self.head_chunk}: must be at least 1")
        sizes = {name: getattr(self, name) for name in SHAPES}
        if not any(sizes.values()):
            return
        for name, value in sizes.items():
            require(
                value >= 1,
                f"model.{name} = {value}: must be at least 1; or leave all of {', '.join(SHAPES)} out, and they are "
                "read from the folder in `init`",
            )
        require(
            self.heads % self.kv_heads == 0,
            f"model.heads = {self.heads} is not a multiple of model.kv_heads = {self.kv_heads}; "
            "every key/value head serves the same number of query heads",
        )
        require(self.head_dim % 2 == 0, f"model.head_dim = {self.head_dim}: rotary embedding needs an even size")

    def require_room(self, tokens: int, how: str) -> None:
        """Raise UserError where texts of so many tokens, in `how` the settings' words, are over the context."""
        require(
            not self.context or tokens <= self.context,
            f"{how} = {tokens:,} tokens, and the model was made for {self.context:,} (max_position_embeddings of its "
            "config.json); take less",
        )

    @property
    def given(self) -> bool:
        """Whether the shapes are known."""
        return self.vocab > 0


SHAPES = ("vocab", "width", "layers", "heads", "kv_heads", "head_dim", "hidden")


RUN_TIME = ("dtype", "remat", "head_chunk")
"""What of a Model the run chooses, and its weights do not settle."""


@dataclass(frozen=True)
class Optim:
    """AdamW with global-norm clipping; weights in float32."""

    lr: float = 1e-6
    """Learning rate, once warmed up."""
    schedule: Literal["constant", "cosine"] = "constant"
    """After the warm-up: constant, or a cosine to zero at the program's last step."""
    warmup: int = 10
    """Updates in which the learning rate rises from 0."""
    weight_decay: float = 0.01
    """Applied to matrices only, never to biases and norms."""
    b1: float = 0.9
    """Decay of the first moments."""
    b2: float = 0.999
    """Decay of the second moments."""
    eps: float = 1e-8
    """Added to the root of the second moments."""
    grad_clip: float = 1.0
    """Greatest norm of a whole gradient; a longer one is scaled down to it."""
    moments: Literal["float32", "bfloat16"] = "float32"
    """Type of the first moments; bfloat16 saves two bytes a weight. The second stay in float32: at b2 = .999 a step
    changes them by less than bfloat16's last digit, so that they would stand still."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.lr > 0, f"optim.lr = {self.lr}: must be positive")
        require(self.warmup >= 0, f"optim.warmup = {self.warmup}: must not be negative")
        require(self.weight_decay >= 0, f"optim.weight_decay = {self.weight_decay}: must not be negative")
        for name in ("b1", "b2"):
            value = getattr(self, name)
            require(0 <= value < 1, f"optim.{name} = {value}: must be at least 0 and below 1")
        for name in ("eps", "grad_clip"):
            value = getattr(self, name)
            require(value > 0, f"optim.{name} = {value}: must be positive")


@dataclass(frozen=True)
class Trainee:
    """A model that is trained: the policy or the reward model."""

    model: Model = field(default_factory=Model)
    optim: Optim = field(default_factory=Optim)
    init: str = ""
    """Where the first weights come from: a Hugging Face folder, or a run directory, of which the best checkpoint is
    read where one was kept as such, else the newest; empty: random weights from the seed."""
    tokenizer: str = ""
    """Folder with the tokenizer's files; empty: that of `init`, or the built-in task's."""
    micro_batch: int = 0
    """Completions (or pairs, or labelled texts) in one forward and backward pass. Where texts are packed, more of them
    share the room of so many of the longest. 0: the whole batch; where texts are packed, an eighth of its room. Changes
    memory, not the result."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.micro_batch >= 0, f"micro_batch = {self.micro_batch}: must not be negative")
