"""GSM8K on one GPU, from nothing but a model and the data: Qwen2.5-0.5B-Instruct as policy and as reward model.

    hf download Qwen/Qwen2.5-0.5B-Instruct --local-dir models/Qwen2.5-0.5B-Instruct       and GSM8K: docs/models.md
    cooper annotate configs/gsm8k.py && cooper fit-reward configs/gsm8k.py && cooper train configs/gsm8k.py
    cooper train    configs/gsm8k.py --dir runs/gsm8k/rule --no-train-reward --reward-source rule
    cooper train    configs/gsm8k.py --dir runs/gsm8k/static --no-train-reward
    cooper evaluate configs/gsm8k.py               avg@8 on the test set
    cooper evaluate configs/gsm8k.py --dir models/Qwen2.5-0.5B-Instruct      before training

The second line is all it takes: completions of the policy that the rule and a judge, the same model, label alike; a
reward model fitted on them; the Cooper arm, with the accuracy on test questions every 20 steps in its metrics.jsonl.

Hardware: one GPU, written for 24 GB. Compiled for one TPU chip (benchmarks/memory.py): 10.9 GB are held, the rollout
takes 13.9 GB in all, the policy update 20.7 GB, the reward model's 20.5 GB. JAX takes three quarters of a GPU's memory;
set XLA_PYTHON_CLIENT_MEM_FRACTION=.95.
Expect: 117 steps are an epoch. We have not run this configuration on a GPU.
"""

from cooper_jax.config import (
    GRPO,
    Annotate,
    Config,
    Data,
    Evaluation,
    Fit,
    MeshModel,
    Optim,
    Pairs,
    Prompting,
    Rollout,
    Scoring,
    Trainee,
)
from cooper_jax.model.presets import QWEN2_5_0_5B

model = "models/Qwen2.5-0.5B-Instruct"

config = Config(
    policy=Trainee(QWEN2_5_0_5B, Optim(lr=1e-6, moments="bfloat16"), init=model, micro_batch=16),
    reward=Trainee(QWEN2_5_0_5B, Optim(lr=1e-5, moments="bfloat16"), init="runs/gsm8k/reward", micro_batch=8),
    dir="runs/gsm8k/cooper",
    steps=234,
    data=Data(source="data/gsm8k_train.jsonl", evaluation="data/gsm8k_test.jsonl"),
    prompting=Prompting(
        instruction="{question}\nPlease reason step by step, and put your final answer within \\boxed{}."
    ),
    # 512 rows in four turns, whose cache is a quarter of theirs.
    rollout=Rollout(prompts=64, group=8, prompt_len=256, completion_len=512, at_once=16),
    grpo=GRPO(packed=True),
    pairs=Pairs(on_policy=0.5),
    scoring=Scoring(length=1024, micro_batch=32),
    annotate=Annotate(dir="runs/gsm8k/labels", completions=8000, judge="mesh", mesh=MeshModel(init=model)),
    fit=Fit(
        dir="runs/gsm8k/reward",
        init=model,
        data="runs/gsm8k/labels/labels.parquet",
        epochs=2,
        held_out=0.1,
        optim=Optim(lr=2e-5),
    ),
    evaluation=Evaluation(
        sets=("gsm8k:data/gsm8k_test.jsonl",), questions=256, samples=8, batch=32, temperatures=(0.7,), top_p=0.95
    ),
    eval_every=20,
    save_every=20,
)
