"""The shapes that gpu.py runs at, and the arithmetic and traffic of each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A model, and the batches it gets."""

    vocab: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    train_prompts: int = 4
    train_prompt_len: int = 128
    train_len: int = 4096
    """Tokens of a row in the policy update, prompt and completion."""
    micro_batch: int = 4
    torch_micro_batch: int = 2
    pairs: int = 16
    pair_len: int = 1024
    decode_prompts: int = 32
    decode_prompt_len: int = 256
    decode_len: int = 1024
    group: int = 8

    @property
    def matmul_weights(self) -> int:
        """Weights of the blocks that are multiplied."""
        attention = 2 * self.width * self.head_dim * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.width * self.hidden)

    @property
    def head_weights(self) -> int:
        """Weights of the language model's head, which shares the embedding's."""
        return self.width * self.vocab

    def train_flops(self, rows: int, length: int, head: bool) -> float:
        """FLOPs of the forward and backward pass on `rows` of `length` tokens."""
        weights = self.matmul_weights + head * self.head_weights
        attention = self.layers * self.heads * self.head_dim * length
        return 6.0 * rows * length * (weights + attention)

    def decode_bytes(self) -> float:
        """Bytes that decoding all tokens of all rows must read, in bfloat16."""
        kv = 2 * self.layers * self.kv_heads * self.head_dim
        prompts = self.decode_prompts * self.decode_prompt_len
        own = self.decode_prompts * self.group * self.decode_len / 2
        return 2.0 * self.decode_len * (self.matmul_weights + self.head_weights + kv * (prompts + own))


SHAPES = {
    "qwen2.5-1.5b": Shape(151_936, 1536, 28, 12, 2, 128, 8960),
    "qwen2.5-0.5b": Shape(151_936, 896, 24, 14, 2, 64, 4864),
    "tiny": Shape(
        vocab=512,
        width=64,
        layers=2,
        heads=4,
        kv_heads=2,
        head_dim=16,
        hidden=128,
        train_prompts=1,
        train_prompt_len=8,
        train_len=64,
        pairs=4,
        pair_len=32,
        decode_prompts=2,
        decode_prompt_len=16,
        decode_len=16,
        group=4,
    ),
}
