"""Published shapes of models that the configs name, as in the `config.json` beside their weights."""

from dataclasses import replace

from cooper_jax.config import Model, RopeScaling

QWEN2_5_0_5B = Model(
    vocab=151_936, width=896, layers=24, heads=14, kv_heads=2, head_dim=64, hidden=4864, rope_theta=1e6
)
QWEN2_5_1_5B = Model(
    vocab=151_936, width=1536, layers=28, heads=12, kv_heads=2, head_dim=128, hidden=8960, rope_theta=1e6
)
QWEN2_5_7B = Model(
    vocab=152_064, width=3584, layers=28, heads=28, kv_heads=4, head_dim=128, hidden=18_944, tied=False, rope_theta=1e6
)
QWEN2_5_MATH_1_5B = replace(QWEN2_5_1_5B, rope_theta=1e4)
QWEN3_0_6B = Model(
    vocab=151_936,
    width=1024,
    layers=28,
    heads=16,
    kv_heads=8,
    head_dim=128,
    hidden=3072,
    qkv_bias=False,
    qk_norm=True,
    rope_theta=1e6,
)
LLAMA_3_2_1B = Model(
    vocab=128_256,
    width=2048,
    layers=16,
    heads=32,
    kv_heads=8,
    head_dim=64,
    hidden=8192,
    qkv_bias=False,
    rope_theta=5e5,
    rope_scaling=RopeScaling(factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, original_len=8192),
    norm_eps=1e-5,
)
