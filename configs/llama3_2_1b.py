"""The paper's runs on Llama-3.2-1B-Instruct; all but the policy is as in qwen2_5_1_5b.py.

    cooper fit-reward configs/verifyrm.py          first: the reward model
    cooper train    configs/llama3_2_1b.py         the Cooper arm
    cooper train    configs/llama3_2_1b.py --dir runs/llama3.2-1b/static --no-train-reward
    cooper train    configs/llama3_2_1b.py --dir runs/llama3.2-1b/rule --no-train-reward --reward-source rule
    cooper evaluate configs/llama3_2_1b.py         the five benchmarks, avg@8 at 0.7 / 0.95; also of other arms by --dir

Needs models/Llama-3.2-1B-Instruct and the data of qwen2_5_1_5b.py. Policy and reward model have different tokenizers.

Hardware: written for 8 GPUs of 80 GB. Computed: both models with moments, the reference and gradients take 44.5 GB, the
sampler's cache 70.9 GB; on each of 8, 5.6 and 8.9 GB. Activations come on top.
Expect, by the paper: Cooper 34.88 and rule 34.20 on MATH500, from 29.58; static 20.70. We have not run this
configuration.
"""

from dataclasses import replace
from pathlib import Path

from cooper_jax import config as configs
from cooper_jax.model.presets import LLAMA_3_2_1B

qwen = configs.load(str(Path(__file__).with_name("qwen2_5_1_5b.py")))

config = replace(
    qwen,
    policy=replace(qwen.policy, model=LLAMA_3_2_1B, init="models/Llama-3.2-1B-Instruct"),
    dir="runs/llama3.2-1b/cooper",
)
