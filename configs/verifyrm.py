"""VerifyRM: a reward model that reads the reference answer, fitted on labelled completions.

    cooper fit-reward configs/verifyrm.py      3 epochs; the best by held-out accuracy is what others load
    cooper evaluate   configs/verifyrm.py      accuracy on VerifyBench and VerifyBench-Hard
    cooper export     runs/verifyrm --model reward --to models/VerifyRM

Needs models/Qwen2.5-Math-1.5B-Instruct, a Hugging Face folder, data/verifyrm.parquet with the columns question,
reference_answer, completion, label (58.7K rows as released), and for the evaluation the two files of
`evaluation.sets`. docs/data.md shows a row of each.

Base model, learning rate, epochs, weight decay and bfloat16 compute are the paper's (arXiv 2508.05613); the batch is
not stated there. Its texts go up to 8,000 characters, here to 3,072 tokens.

Hardware: written for 8 GPUs of 80 GB. Computed: weights, moments and gradients take 24.7 GB, 3.1 GB on each of 8.
Activations come on top. On one GPU: --reward.micro-batch 8 --evaluation.batch 16.
Expect: the paper reports 89.42 % on VerifyBench. We have not run this configuration.
"""

from cooper_jax.config import Config, Evaluation, Fit, Optim, Scoring, Trainee
from cooper_jax.model.presets import QWEN2_5_MATH_1_5B

config = Config(
    policy=Trainee(),
    reward=Trainee(QWEN2_5_MATH_1_5B, micro_batch=32),
    dir="runs/verifyrm",
    scoring=Scoring(length=3072),
    fit=Fit(
        dir="runs/verifyrm",
        init="models/Qwen2.5-Math-1.5B-Instruct",
        data="data/verifyrm.parquet",
        epochs=3,
        batch=128,
        held_out=0.05,
        optim=Optim(lr=2e-5, weight_decay=0.01),
    ),
    evaluation=Evaluation(
        sets=("verifybench:data/verifybench.jsonl", "verifybench-hard:data/verifybench_hard.jsonl"), batch=64
    ),
)
