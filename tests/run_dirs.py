"""Run directories as training leaves them, with texts of the built-in task: a rule arm, a hacked one, a cured one."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cooper_jax import config
from cooper_jax.host import arithmetic
from cooper_jax.run.tables import PAIRS, SAMPLES

ARMS: dict[str, dict[str, Any]] = {
    "rule": {"reward_source": "rule", "train_reward": False},
    "static": {"reward_source": "model", "train_reward": False},
    "cooper": {"reward_source": "model", "train_reward": True},
}
HOSTILE = (
    "</script><script>document.title='owned'</script> <img src=x onerror=\"document.title='owned'\"> "
    "\u2028\u2029 \x1b[31mred\x1b[0m \u202eturned\u202c {{DATA}} <!-- &amp; \x00"
)
"""What a model may write; nothing of it may be obeyed."""


def run(folder: Path, arm: str = "static", seed: int = 0, steps: int = 60, groups: int = 4, every: int = 10) -> Path:
    """A run of an arm, `groups` questions of 8 samples kept every `every` steps (0: none kept)."""
    folder.mkdir(parents=True)
    toy = config.load(config.builtin("toy.py"))
    named = replace(toy, dir=str(folder), seed=seed, steps=steps, **ARMS[arm])
    named = replace(named, policy=replace(toy.policy, init=f"runs/seed{seed}/sft"))
    (folder / "config.json").write_text(config.to_json(named))
    (folder / "inputs.json").write_text(json.dumps({"data": f"ec71{seed}"}))
    (folder / "checkpoints" / str(steps)).mkdir(parents=True)
    rng = np.random.default_rng(seed)
    records = [record(arm, step, steps, rng) for step in range(1, steps + 1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    for step in range(every, steps + 1, every) if every else ():
        table(folder / "samples", step, samples(arm, step, steps, groups, rng), SAMPLES)
        if arm == "cooper":
            table(folder / "pairs", step, pairs(step, groups, rng), PAIRS)
    return folder


def right_share(arm: str, done: float) -> float:
    return 0.4 + 0.45 * done if arm != "static" else 0.4 + 0.2 * min(done * 5, 1) - 0.55 * max(0.0, done - 0.2)


def record(arm: str, step: int, steps: int, rng: np.random.Generator) -> dict[str, float]:
    done = step / steps
    right = min(max(right_share(arm, done) + rng.normal() * 0.02, 0.0), 1.0)
    paid = right if arm == "rule" else 0.5 + 0.45 * done if arm == "static" else right + 0.03
    made = {
        "step": step, "reward/mean": paid, "reward/zero_std_groups": 0.2, "rule/accuracy": right, "rule/unknown": 0.0,
        "policy/kl": 0.4 * done, "policy/entropy": 0.3 - 0.2 * done, "policy/clip_fraction": 0.01,
        "policy/skipped": 0.0,
        "completion/length": 11 + 4 * done, "completion/tokens": 3000.0, "completion/truncated": 0.0,
        "seconds/rollout": 0.05, "seconds/policy_update": 0.1, "seconds/wait": 0.04, "seconds/decode": 0.01,
        "seconds/step": 0.2, "tokens_per_second": 15000.0,
    }  # fmt: skip
    if arm != "rule":
        rate = 0.3 + 0.65 * done if arm == "static" else 0.3 - 0.2 * done
        made |= {"score/gap": paid - right, "score/auroc": 0.8, "score/recall": 0.9, "score/precision": 0.6}
        made |= {"score/agreement": 0.7, "score/false_positive_rate": rate}
    if arm == "cooper":
        made |= {"pairs/valid": 30.0, "pairs/valid_rate": 0.9, "pairs/on_policy": 12.0, "pairs/style_accuracy": 0.55}
        made |= {"pairs/assistant_asked": 24.0, "pairs/assistant_refused": 4.0, "pairs/refused_right": 4.0}
        made |= {"rm_update/accuracy": 0.9, "rm_update/margin": 2.0, "rm_update/skipped": 0.0, "rm_update/loss": 0.3}
    if step % 10 == 0:
        made |= {"eval/accuracy": right, "eval/standard_error": 0.015}
    return made


def samples(arm: str, step: int, steps: int, groups: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Texts of the built-in task; late in the static arm, an answer taken back, believed and wrong."""
    asked = arithmetic.questions(11)
    done, rows = step / steps, []
    for group in range(groups):
        question = asked[(7 * group + (step // 30) * 100) % len(asked)]
        partial, result = arithmetic.results(question)
        for _ in range(8):
            good = rng.random() < right_share(arm, done)
            text = arithmetic.work(question, partial, result) + f"#{result}"
            if not good:
                text = f"{arithmetic.work(question, partial, result)}#{result}~#{(result + 1) % 99}"
            score = 0.9 if good or (arm == "static" and rng.random() < done) else 0.1
            score = float(np.clip(score + rng.normal() * 0.05, 0, 1))
            rows.append({
                "step": step, "row": len(rows), "group": group, "question": question, "reference": str(result),
                "completion": text, "tokens": len(text), "finished": True, "score": None if arm == "rule" else score,
                "verdict": "right" if good else "wrong", "reason": "answer" if good else "other answer",
                "reward": float(good) if arm == "rule" else score, "advantage": float(rng.normal()),
            })  # fmt: skip
    return rows


def pairs(step: int, slots: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    asked, rows = arithmetic.questions(11), []
    for slot in range(slots):
        question = asked[(13 * slot + step) % len(asked)]
        partial, result = arithmetic.results(question)
        right = f"{arithmetic.work(question, partial, result)}#{result}"
        rows.append({
            "step": step, "slot": slot, "question": question, "reference": str(result), "right": right,
            "wrong": f"{arithmetic.work(question, partial, result + 1)}#{result + 1}",
            "origin": "rule" if slot % 2 else "on_policy", "kind": "final" if slot % 2 else "",
            "right_before": 0.6, "wrong_before": 0.4 + 0.4 * float(rng.random()), "right_after": 0.7,
            "wrong_after": 0.3 + 0.5 * float(rng.random()),
        })  # fmt: skip
    return rows


def table(folder: Path, step: int, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / f"step-{step:06d}.parquet")
