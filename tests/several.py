"""What several processes run: the programs of the built-in task, small. `mesh/test_hosts.py` starts them.

python tests/several.py whole OUT [ORDER]      all programs; ORDER: of the mesh's devices, as numbers
python tests/several.py train OUT [STEPS]      the Cooper arm alone, from the models in OUT
python tests/several.py differ OUT             a seed of its own in each process
python tests/several.py refuse OUT             an assistant that fails for good in the last process
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from folders import tokenizer_folder

from cooper_jax import __main__ as command
from cooper_jax import config, cooper
from cooper_jax.config import Config, Model, Trainee, UserError
from cooper_jax.host.negatives.arithmetic import ArithmeticAssistant
from cooper_jax.mesh import hosts
from cooper_jax.programs.annotate import annotate
from cooper_jax.programs.demo import ARMS
from cooper_jax.programs.evaluate import evaluate
from cooper_jax.programs.export import Export, export
from cooper_jax.programs.fit_reward import fit_reward
from cooper_jax.programs.score import Score, score
from cooper_jax.programs.sft import sft

SMALL = Model(vocab=118, width=16, layers=2, heads=4, kv_heads=2, head_dim=8, hidden=32, dtype="float32", remat="none")
EARLY: dict[str, Any] = {"eval_every": 2, "keep_best": "eval/accuracy", "stop": config.Stop(at=0.001)}
"""Ends the run after its second step, unless nothing at all is right."""


def small(out: Path) -> Config:
    """The built-in task over operands 1 and 2, whose pairs are also samples and of earlier steps, and whose
    labels are replayed and new."""
    toy = config.load(config.builtin("toy.py"))
    model = Trainee(SMALL, config.Optim(lr=3e-3, warmup=2))
    return replace(
        toy,
        policy=replace(model, init=str(out / "sft")),
        reward=replace(model, init=str(out / "reward")),
        dir=str(out / "cooper"),
        steps=3,
        data=config.Data(max_operand=2, held_out=2),
        rollout=replace(toy.rollout, prompts=8, group=4),
        pairs=config.Pairs(
            per_question=4,
            on_policy=0.3,
            replay=0.5,
            replay_rows=5,
            labels=0.5,
            keep=2,
            style_every=1,
            style_window=32,
            min_valid_rate=0.0,
        ),
        scoring=config.Scoring(length=40),
        governor=config.Governor(least_j=0.3, repeats=1),
        verifier=replace(toy.verifier, workers=1),
        sft=replace(toy.sft, dir=str(out / "sft"), steps=100, batch=32, examples=256, optim=config.Optim(lr=3e-3)),
        annotate=config.Annotate(dir=str(out / "labels"), completions=64),
        fit=replace(toy.fit, dir=str(out / "reward"), data=str(out / "labels" / "labels.parquet"), steps=4, batch=16),
        evaluation=config.Evaluation(questions=40, batch=32, samples=2, temperatures=(1.0,)),
        eval_every=0,
        save_every=2,
        compile_cache=str(Path(__file__).parent.parent / ".pytest_cache" / "several"),
    )


def own(cfg: Config, out: Path) -> Config:
    """Worked answers of a file, in batches that do not divide by the processes."""
    rows = [
        {"question": f"{a}+{b}?", "solution": f"{a} + {b} = {a + b}", "answer": a + b}
        for a in range(6)
        for b in range(6)
    ]
    with hosts.together():
        if hosts.is_main():
            tokenizer_folder(out / "tokenizer", "qwen")
            (out / "worked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return replace(
        cfg,
        policy=Trainee(replace(SMALL, vocab=350), tokenizer=str(out / "tokenizer")),
        data=config.Data(source=str(out / "worked.jsonl"), held_out=4),
        rollout=replace(cfg.rollout, prompt_len=96, completion_len=64),
        verifier=config.Verifier(workers=1),
        sft=config.SFT(dir=str(out / "worked"), steps=4, batch=7, eval_every=2, optim=config.Optim(lr=3e-3)),
    )


def whole(out: Path, order: str = "") -> None:
    """Every program; the figures of the last two go to files."""
    if order:
        real = jax.make_mesh

        def make_mesh(*shape: Any, devices: Any, **how: Any) -> Any:
            made = real(*shape, devices=devices, **how)
            mixed = np.array([devices[int(i)] for i in order.split(",")]).reshape(made.devices.shape)
            return jax.sharding.Mesh(mixed, made.axis_names, axis_types=made.axis_types)

        jax.make_mesh = make_mesh
    cfg = small(out)
    sft(cfg)
    sft(own(cfg, out))
    annotate(cfg)
    fit_reward(cfg)
    for arm, choices in ARMS.items():
        cooper.train(replace(cfg, dir=str(out / arm), **choices, **(EARLY if arm == "static" else {})))
    evaluated = evaluate(cfg).figures
    written = (Path(cfg.dir) / "evaluation.parquet").stat().st_mtime_ns
    kept = evaluate(cfg).figures == evaluated and (Path(cfg.dir) / "evaluation.parquet").stat().st_mtime_ns == written
    export(Export(out / "cooper", "policy", out / "policy"))
    rows = out / "rows.jsonl"
    with hosts.together():
        asked = [{"question": "1+1+1", "reference_answer": "3", "completion": f"#{n}"} for n in range(16)]
        if hosts.is_main():
            rows.write_text("".join(json.dumps(row) + "\n" for row in asked))
    scored = score(Score(str(out / "cooper"), rows, out / "scores.jsonl"))
    told = {"evaluated": evaluated, "kept": hosts.gather(kept), "scored": scored.figures.tolist()}
    if hosts.is_main():
        (out / "figures.json").write_text(json.dumps(told))


def train(out: Path, steps: str = "3") -> None:
    """The Cooper arm, with a rest in each step once there is something to go on from."""
    cfg, real = replace(small(out), dir=str(out / "shot"), steps=int(steps), save_every=1), cooper.cooper_step

    def step(*args: Any) -> Any:
        time.sleep(float(os.environ.get("REST", "0")))
        return real(*args)

    cooper.cooper_step = step
    cooper.train(cfg)


def differ(out: Path) -> None:
    """Another seed in each process."""
    cooper.train(replace(small(out), seed=hosts.index()))


def refuse(out: Path) -> None:
    """An assistant that fails for good in the last process, in the second step."""
    cfg = replace(small(out), dir=str(out / "refused"))
    calls = []

    def rewrite(self: Any, requests: Any, *_: Any) -> list[str | None]:
        calls.append(requests)
        if hosts.index() == hosts.count() - 1 and len(calls) == 2:
            raise UserError("the server said 401: who are you")
        return [request and "#1" for request in requests]

    ArithmeticAssistant.rewrite = rewrite  # pyright: ignore[reportAttributeAccessIssue]
    cooper.train(replace(cfg, pairs=replace(cfg.pairs, tries=1), steps=6, save_every=100))


def start(*_: Any) -> None:
    """Any of the above, as `cooper` starts a program."""
    what, out, *rest = sys.argv[1:]
    runs: dict[str, Callable[..., None]] = {"whole": whole, "train": train, "differ": differ, "refuse": refuse}
    hosts.start()
    hosts.hush()
    runs[what](Path(out), *rest)


if __name__ == "__main__":
    command._run = start
    command.main(["train"])
