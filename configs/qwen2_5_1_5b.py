"""The paper's runs on Qwen2.5-1.5B-Instruct: GRPO on DeepMath, with three kinds of reward.

    cooper fit-reward configs/verifyrm.py          first: the reward model
    cooper train    configs/qwen2_5_1_5b.py        the Cooper arm
    cooper train    configs/qwen2_5_1_5b.py --dir runs/qwen2.5-1.5b/static --no-train-reward
    cooper train    configs/qwen2_5_1_5b.py --dir runs/qwen2.5-1.5b/rule --no-train-reward --reward-source rule
    cooper evaluate configs/qwen2_5_1_5b.py        the five benchmarks, avg@8 at 0.7 / 0.95; also of other arms by --dir
    cooper evaluate configs/qwen2_5_1_5b.py --dir models/Qwen2.5-1.5B-Instruct      the model before training

Negatives are rewritten by rule, half of them wrong samples of the policy itself where a question has both; the paper's
come from a language model (docs/assistants.md):
    cooper train    configs/qwen2_5_1_5b.py --assistant.kind server --assistant.server.model NAME --pairs.on-policy 0

Needs models/Qwen2.5-1.5B-Instruct, a Hugging Face folder, the files of `evaluation.sets` (docs/data.md), and DeepMath
(columns question, final_answer) as one file:
    python -c "import pyarrow.dataset as d, pyarrow.parquet as q; q.write_table(
        d.dataset('DeepMath-103K/data').to_table(['question', 'final_answer']), 'data/deepmath.parquet')"

Learning rates, clip, KL, aggregation and sampling are the paper's (arXiv 2508.05613). Batch, lengths and the rest are
what practitioners run; completions cut at the limit earn 0.

Hardware: written for 8 GPUs of 80 GB. Computed: both models with moments, the reference and gradients take 49.4 GB, the
sampler's cache 62.0 GB; on each of 8, 6.2 and 7.7 GB. Activations come on top; smaller micro-batches take less, with
the same result.
On one GPU of 80 GB, to the same results but for bfloat16's rounding of the first moments:
    XLA_PYTHON_CLIENT_MEM_FRACTION=.95 cooper train configs/qwen2_5_1_5b.py --rollout.at-once 16
        --policy.optim.moments bfloat16 --reward.optim.moments bfloat16
        --policy.micro-batch 16 --reward.micro-batch 8 --scoring.micro-batch 32 --evaluation.batch 16
Compiled for one chip by the TPU's compiler (benchmarks/RESULTS.md): 34.0 GB are held, 72.4 GB is the most at a time.
Expect, by the paper: Cooper 58.05 and rule 57.55 on MATH500, from 54.63; the static arm falls to 29.70 while its reward
nears 1 around step 100. We have not run this configuration.
"""

from dataclasses import replace
from pathlib import Path

from cooper_jax import config as configs
from cooper_jax.config import GRPO, Data, Evaluation, Optim, Pairs, Prompting, Rollout, Trainee
from cooper_jax.model.presets import QWEN2_5_1_5B

verifyrm = configs.load(str(Path(__file__).with_name("verifyrm.py")))

config = replace(
    verifyrm,
    policy=Trainee(QWEN2_5_1_5B, Optim(lr=1e-6), init="models/Qwen2.5-1.5B-Instruct", micro_batch=64),
    reward=replace(verifyrm.reward, optim=Optim(lr=1e-5), init="runs/verifyrm"),
    dir="runs/qwen2.5-1.5b/cooper",
    steps=180,
    data=Data(source="data/deepmath.parquet"),
    prompting=Prompting(
        instruction="{question}\nPlease reason step by step, and put your final answer within \\boxed{}."
    ),
    rollout=Rollout(prompts=128, group=8, prompt_len=512, completion_len=2048),
    grpo=GRPO(packed=True),
    # A rule's slips are of a few kinds; the policy's own wrong texts are what the reward model must tell in the end.
    pairs=Pairs(on_policy=0.5),
    scoring=replace(verifyrm.scoring, micro_batch=128),
    evaluation=Evaluation(
        sets=tuple(f"{name}:data/{name}.jsonl" for name in ("gsm8k", "svamp", "math500", "olympiadbench", "odyssey")),
        questions=256,
        samples=8,
        batch=128,
        temperatures=(0.7,),
        top_p=0.95,
    ),
    eval_every=20,
    save_every=20,
)
