"""What we would run today on Qwen2.5-1.5B-Instruct: Cooper, with what practitioners have found since.

    cooper fit-reward configs/verifyrm.py          first: the reward model
    cooper train      configs/recommended.py
    cooper evaluate   configs/recommended.py       the five benchmarks, avg@8 at 0.7 / 0.95

Beside qwen2_5_1_5b.py: 128 x 16 samples of up to 3,072 tokens, clip-higher at 0.28, completions cut at the limit left
out of the loss, and a reward model whose calibration is held by cross-entropy on the pairs (anchor) and on VerifyRM's
rows (replay). Learning rate 1e-6 constant after 10 steps of warm-up, token mean, k3 KL of 0.001 are as there.

Watch in metrics.jsonl: `completion/truncated` over .1 means completion_len is too short; a falling `pairs/valid` or a
rising `score/false_positive_rate` comes before all trouble; `reward/zero_std_groups` is sampling without effect.

Hardware: written for 8 GPUs of 80 GB. Computed: both models with moments, the reference and gradients take 49.4 GB, the
sampler's cache 182.3 GB; on each of 8, 6.2 and 22.8 GB. Activations come on top.
Expect: we have not run this configuration, and the weights of anchor and replay come from the built-in task.
"""

from dataclasses import replace
from pathlib import Path

from cooper_jax import config as configs
from cooper_jax.config import GRPO

qwen = configs.load(str(Path(__file__).with_name("qwen2_5_1_5b.py")))

config = replace(
    qwen,
    policy=replace(qwen.policy, micro_batch=32),
    dir="runs/recommended",
    steps=300,
    rollout=replace(qwen.rollout, group=16, completion_len=3072),
    grpo=GRPO(clip_high=0.28, kl_weight=0.001, truncated="mask", packed=True),
    pairs=replace(qwen.pairs, anchor=0.3, replay=0.3, replay_rows=32),
)
