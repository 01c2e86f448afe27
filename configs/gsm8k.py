"""GSM8K on one GPU of 80 GB: Qwen2.5-0.5B-Instruct with VerifyRM.

    cooper train    configs/gsm8k.py
    cooper train    configs/gsm8k.py --dir runs/gsm8k/rule --no-train-reward --reward-source rule
    cooper evaluate configs/gsm8k.py               avg@8 on the test set
    cooper evaluate configs/gsm8k.py --dir models/Qwen2.5-0.5B-Instruct      before training

Needs models/Qwen2.5-0.5B-Instruct, the reward model in runs/verifyrm (configs/verifyrm.py; or --reward.init FOLDER),
and data/gsm8k_train.jsonl and data/gsm8k.jsonl, the published training and test sets.

Hardware: one GPU of 80 GB. Computed: both models with moments, the reference and gradients take 32.6 GB, the sampler's
cache 6.6 GB; activations come on top.
Expect: 117 steps are an epoch. We have not run this configuration.
"""

from dataclasses import replace
from pathlib import Path

from cooper_jax import config as configs
from cooper_jax.config import Data, Scoring
from cooper_jax.model.presets import QWEN2_5_0_5B

qwen = configs.load(str(Path(__file__).with_name("qwen2_5_1_5b.py")))

config = replace(
    qwen,
    policy=replace(qwen.policy, model=QWEN2_5_0_5B, init="models/Qwen2.5-0.5B-Instruct", micro_batch=32),
    reward=replace(qwen.reward, micro_batch=16),
    dir="runs/gsm8k/cooper",
    steps=234,
    data=Data(source="data/gsm8k_train.jsonl", evaluation="data/gsm8k.jsonl"),
    rollout=replace(qwen.rollout, prompts=64, prompt_len=256, completion_len=1024),
    scoring=Scoring(length=1024, micro_batch=64),
    evaluation=replace(qwen.evaluation, sets=("gsm8k:data/gsm8k.jsonl",), batch=64),
)
