"""Cooper on real text, on a CPU: SmolLM2-135M-Instruct learns word problems of one or two steps.

    cooper sft        configs/first_run.py     warm start on SVAMP and ASDiv: an equation, and the answer in a box
    cooper annotate   configs/first_run.py     samples of it on MAWPS, labelled by the rule
    cooper fit-reward configs/first_run.py     the reward model, from the same SmolLM2
    cooper train      configs/first_run.py     the Cooper arm
    cooper train      configs/first_run.py --dir runs/first/judged --pairs.labels 1      sees all that the rule judged
    cooper train      configs/first_run.py --dir runs/first/static --no-train-reward
    cooper train      configs/first_run.py --dir runs/first/rule --no-train-reward --reward-source rule
    cooper evaluate   configs/first_run.py     held-out MAWPS; of other arms by --dir

Needs models/SmolLM2-135M-Instruct, a Hugging Face folder, and data/svamp.jsonl, data/asdiv.jsonl, data/mawps.jsonl as
published (docs/real.md says where to get them).

Hardware: a CPU with 12 GB. Expect: docs/real.md.
"""

from cooper_jax.config import (
    GRPO,
    SFT,
    Annotate,
    Config,
    Data,
    Evaluation,
    Fit,
    Model,
    Optim,
    Pairs,
    Prompting,
    Rollout,
    Scoring,
    Trainee,
)

SMOLLM2 = "models/SmolLM2-135M-Instruct"
# float32, since bfloat16 is slower on a CPU.
model = Model(dtype="float32", remat="products")

config = Config(
    policy=Trainee(model, Optim(lr=1e-5), init="runs/first/sft", micro_batch=8),
    reward=Trainee(model, Optim(lr=1e-5), init="runs/first/reward", micro_batch=8),
    dir="runs/first/cooper",
    steps=100,
    data=Data(source="mawps:data/mawps.jsonl", held_out=10),
    # The text alone: a chat template would double these short prompts.
    prompting=Prompting(template="plain", instruction="{question}\n"),
    rollout=Rollout(prompts=8, group=8, prompt_len=80, completion_len=48),
    grpo=GRPO(kl_weight=0.0),
    pairs=Pairs(anchor=0.3, on_policy=0.5),
    scoring=Scoring(length=160),
    sft=SFT(
        data=("svamp:data/svamp.jsonl", "asdiv:data/asdiv.jsonl"),
        dir="runs/first/sft",
        init=SMOLLM2,
        steps=80,
        batch=32,
        optim=Optim(lr=1e-4, schedule="cosine", warmup=5),
    ),
    annotate=Annotate(dir="runs/first/labels", completions=2000, judge="none"),
    fit=Fit(
        dir="runs/first/reward",
        init=SMOLLM2,
        data="runs/first/labels/labels.parquet",
        epochs=2,
        balanced=True,
        eval_every=14,
        batch=32,
        optim=Optim(lr=2e-5),
    ),
    evaluation=Evaluation(questions=200, batch=100, samples=2),
    eval_every=20,
    save_every=10,
)
