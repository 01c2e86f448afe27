"""The built-in task: the paper's finding on two CPU cores, in minutes, with nothing to download.

    cooper demo                           the whole story: warm start, reward model, three arms, report
or step by step, everything under runs/toy:
    cooper sft configs/toy.py             warm start of the policy: half right at temperature 1
    cooper annotate configs/toy.py        2,000 completions labelled where rule and judge agree
    cooper fit-reward configs/toy.py      a weak reward model: a better one is not always hacked in so few steps
    cooper train configs/toy.py           the Cooper arm
    cooper train configs/toy.py --dir runs/toy/static --no-train-reward
    cooper train configs/toy.py --dir runs/toy/rule --no-train-reward --reward-source rule
    cooper evaluate configs/toy.py        held-out accuracy of the policy in runs/toy/cooper

Expect: the static arm's reward nears 1 while its accuracy falls to nothing; rule and Cooper keep improving.
"""

from dataclasses import replace

from cooper_jax.config import (
    SFT,
    Annotate,
    Config,
    Data,
    Evaluation,
    Fit,
    Model,
    Optim,
    Pairs,
    Rollout,
    Scoring,
    Trainee,
    Verifier,
)

# float32, since bfloat16 is slower on a CPU; what is cheap is computed again, which takes less time than writing it.
model = Model(
    vocab=118, width=64, layers=2, heads=4, kv_heads=2, head_dim=16, hidden=192, dtype="float32", remat="products"
)

config = Config(
    # Micro-batches that fit the cache: a step of the warm start takes three fifths of one with whole batches.
    policy=Trainee(model, Optim(lr=3e-4), init="runs/toy/sft", micro_batch=64),
    # Wider heads let the reward model compare answer and reference sooner; it chases a policy that moves, hence the
    # short memory of the second moments.
    reward=Trainee(replace(model, head_dim=32), Optim(lr=2e-3, b2=0.95), init="runs/toy/reward", micro_batch=8),
    dir="runs/toy/cooper",
    steps=300,
    data=Data(held_out=3),
    rollout=Rollout(prompts=32, group=8, prompt_len=7, completion_len=24),
    # One pair a question and one update a step, as in the paper. Half of the negatives are the policy's own: they
    # teach most while it moves fast, and without them the reward model needs several updates to keep up.
    pairs=Pairs(anchor=0.3, on_policy=0.5),
    # Texts have 37 tokens at most; rows are of two windows, and these hold two pairs of worked solutions.
    scoring=Scoring(length=56),
    verifier=Verifier(rule="arithmetic"),
    sft=SFT(dir="runs/toy/sft", optim=Optim(lr=4e-3, schedule="cosine", warmup=50)),
    annotate=Annotate(dir="runs/toy/labels", completions=2000),
    # Stopped early, on purpose, and evaluated at the end alone, so that the last is kept: a reward model that reads the
    # reference well is not hacked in so few steps.
    fit=Fit(
        dir="runs/toy/reward",
        data="runs/toy/labels/labels.parquet",
        steps=80,
        balanced=True,
        eval_every=80,
        optim=Optim(lr=2e-3),
    ),
    evaluation=Evaluation(questions=1024, batch=256),
    eval_every=10,
    save_every=50,
)
