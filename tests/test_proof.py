"""The whole of it on Hugging Face folders and a verl parquet: Cooper without a warm start, stopped and continued, both
models exported, and transformers computing from the exports what the run computes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from folders import tokenizer_folder
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from cooper_jax import config, cooper
from cooper_jax.__main__ import main
from cooper_jax.config import Config, Data, Model, Pairs, Prompting, Rollout, Trainee
from cooper_jax.device import jits
from cooper_jax.host.text import encode
from cooper_jax.mesh import sharding
from cooper_jax.programs import evaluate
from cooper_jax.run import machine, setup, start
from cooper_jax.run.curves import records

pytestmark = pytest.mark.usefixtures("one_device")
SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 48, "tie_word_embeddings": False,
}  # fmt: skip
OPEN = Model(dtype="float32", remat="none")
SURE = 16.0
"""Logit of a token that the policy is made to prefer, over others of about 0."""


def policy_folder(folder: Path) -> str:
    """A random Qwen2 that was taught nothing but a form, `#N` with any digit: one answer in ten is right by chance.

    The form lies in its output head, which answers to the embedding of the token before.
    """
    tokenizer_folder(folder, "qwen")
    tok = PreTrainedTokenizerFast.from_pretrained(folder)
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=384, **SIZES))
    before = tok.apply_chat_template([{"role": "user", "content": "?"}], add_generation_prompt=True)["input_ids"][-1]
    digits = [tok.convert_tokens_to_ids(str(n)) for n in range(10)]
    mark, stop = tok.convert_tokens_to_ids("#"), tok.eos_token_id
    with torch.no_grad():
        embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
        embedding.normal_()
        for first, then in [(before, mark), *((mark, digit) for digit in digits), *((digit, stop) for digit in digits)]:
            head[then] += SURE * embedding[first] / embedding[first].square().sum().sqrt() / SIZES["hidden_size"] ** 0.5
    stated = (folder / "generation_config.json").read_text()
    model.save_pretrained(folder)
    (folder / "generation_config.json").write_text(stated)
    return str(folder)


def reward_folder(folder: Path) -> str:
    """A random Llama classifier with a vocabulary of its own."""
    tokenizer_folder(folder, "llama")
    torch.manual_seed(1)
    settings: dict[str, Any] = SIZES | {"vocab_size": 330, "pad_token_id": 5, "num_labels": 1}
    LlamaForSequenceClassification(LlamaConfig(**settings)).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def proof(tmp_path: Path) -> Config:
    """Four steps of Cooper from two folders and a verl parquet."""
    sums = [(f"{a}+{b}+{c}", a + b + c) for a in range(1, 5) for b in range(1, 5) for c in (0, 1)]
    rows = [
        {
            "data_source": "sums",
            "prompt": [{"role": "system", "content": "Add."}, {"role": "user", "content": question}],
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": str(total)},
            "extra_info": {"split": "train", "index": i},
        }
        for i, (question, total) in enumerate(sums)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "verl.parquet")
    optim = config.Optim(lr=1e-3, warmup=0)
    return replace(
        config.load(config.builtin("toy.py")),  # its rule: a completion ends in `#N`
        policy=Trainee(OPEN, optim, init=policy_folder(tmp_path / "in" / "policy"), micro_batch=16),
        reward=Trainee(OPEN, optim, init=reward_folder(tmp_path / "in" / "reward"), micro_batch=8),
        dir=str(tmp_path / "straight"),
        steps=4,
        data=Data(source=str(tmp_path / "verl.parquet"), held_out=5),
        prompting=Prompting(),
        rollout=Rollout(prompts=8, group=8, prompt_len=48, completion_len=6),
        pairs=Pairs(anchor=0.1),
        scoring=config.Scoring(64, micro_batch=32),
        evaluation=config.Evaluation(questions=8, samples=2, batch=8, temperatures=(1.0,)),
        eval_every=2,
        save_every=2,
        compile_cache=str(Path(__file__).parent.parent / ".pytest_cache" / "compiled"),
    )


def timeless(run_dir: str) -> list[dict[str, float]]:
    return [{k: v for k, v in r.items() if not k.startswith(("seconds", "tokens_per"))} for r in records(run_dir)]


def weights_of(cfg: Config, where: str, item: Any) -> Any:
    trainee = start.resolve(item, replace(getattr(cfg, item), init=where))
    return start.load_params(where, item, trainee, sharding.make_mesh(cfg.mesh))


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_from_folders_and_a_parquet_to_folders(
    proof: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(Path(__file__).parent.parent / ".pytest_cache"))
    cooper.train(proof)
    assert "verl.parquet (prompt -> reward_model.ground_truth): 32 rows; " in capsys.readouterr().out
    lines = records(proof.dir)
    assert [r["step"] for r in lines] == [1, 2, 3, 4]
    # Of 64 samples a step one in ten or fewer is right, and one in ten does not end. On six seeds the means of the four
    # steps were 3 to 4 pairs, .06 to .09 right and .09 to .12 cut; rounding alone parts sampler and trainer, by 7e-7.
    mean = lambda name: sum(r[name] for r in lines) / 4  # noqa: E731
    assert mean("pairs/valid") > 0 and 0 < mean("rule/accuracy") < 0.5 and mean("completion/truncated") < 0.3
    assert all(r["policy/sampler_gap"] < 1e-4 for r in lines)

    # Killed in the third step, and continued: the same records, and the same weights to the bit.
    killed, real = replace(proof, dir=str(tmp_path / "killed")), cooper.cooper_step

    def step(state: Any, problems: Any, number: int, *rest: Any) -> Any:
        if number == 2:
            raise RuntimeError("killed")
        return real(state, problems, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(cooper, "cooper_step", step)
        with pytest.raises(RuntimeError):
            cooper.train(killed)
    cooper.train(killed)
    assert timeless(killed.dir) == timeless(proof.dir)
    for item in ("policy", "reward"):
        trained = weights_of(proof, proof.dir, item)
        assert same(weights_of(proof, killed.dir, item), trained)
        assert not same(weights_of(proof, getattr(proof, item).init, item), trained)
        # The run stands on its own: what the export needs is in it.
        Path(getattr(proof, item).init).rename(tmp_path / f"{item}-gone")
        main(["export", proof.dir, "--model", item, "--to", str(tmp_path / "out" / item)])
        assert same(weights_of(proof, str(tmp_path / "out" / item), item), trained)

    exported_policy(proof, tmp_path, capsys)
    exported_reward(proof, tmp_path, capsys)
    evaluated_alike(proof, tmp_path)


def exported_policy(cfg: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """transformers generates and scores from the export what `cooper generate` gives from the run."""
    folder = str(tmp_path / "out" / "policy")
    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
    tok = PreTrainedTokenizerFast.from_pretrained(folder)
    assert model.generation_config.eos_token_id == [2, 0]
    chat = [{"role": "system", "content": "Add."}, {"role": "user", "content": "1+2+3"}]
    ids = tok.apply_chat_template(chat, add_generation_prompt=True)["input_ids"]
    with torch.no_grad():
        greedy = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=6, pad_token_id=0)[0, len(ids) :]
        logits = model(torch.tensor([ids + greedy.tolist()])).logits[0, len(ids) - 1 : -1]
    logp = torch.log_softmax(logits.float(), -1)[range(len(greedy)), greedy].numpy()
    for where in (cfg.dir, folder):
        capsys.readouterr()
        main(
            [
                "generate",
                where,
                "--prompt",
                "1+2+3",
                "--system",
                "Add.",
                "--temperature",
                "0",
                "--max-new",
                "6",
                "--json",
            ]
        )
        [sample] = json.loads(capsys.readouterr().out)["samples"]
        assert sample["token_ids"] == greedy.tolist() and sample["text"].startswith("#")
        np.testing.assert_allclose(sample["logprobs"], logp, atol=1e-4)


def exported_reward(cfg: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """transformers gives the logits of `cooper score` on the run and on the export, and the rewards of training."""
    folder = str(tmp_path / "out" / "reward")
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert (model.config.num_labels, model.config.pad_token_id) == (1, 5)
    rows = [{"question": "1+2+3", "reference_answer": "6", "completion": f"#{n}"} for n in (6, 7)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    trained = replace(cfg, reward=start.resolve("reward", replace(cfg.reward, init=cfg.dir)))
    with machine.machine(trained, reward=trained.reward) as here:
        problems = [setup.Problem(row["question"], row["reference_answer"]) for row in rows]
        text = here.rm_texts(problems, [row["completion"] for row in rows])
        params = start.load_params(cfg.dir, "reward", trained.reward, here.mesh)
        packed = here.put(here.packed(text))
        score_B = sharding.fetch(jits.make_score(trained.reward.model, here.mesh)(params, packed))
    with torch.no_grad():  # padded to the right, as for training: transformers finds the end by the pad token
        tokens, mask = map(torch.tensor, encode.pad(text, 64, 5))
        logit_B = model(input_ids=tokens, attention_mask=mask.long()).logits[:, 0].numpy()
    assert logit_B[0] != logit_B[1]
    np.testing.assert_allclose(score_B, 1 / (1 + np.exp(-logit_B)), atol=1e-5)
    for where in (cfg.dir, folder):
        main(["score", where, str(tmp_path / "rows.jsonl"), "--out", str(tmp_path / "scores.jsonl"), "--batch", "2"])
        got = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
        np.testing.assert_allclose([g["logit"] for g in got], logit_B, atol=1e-4)
    capsys.readouterr()


def evaluated_alike(cfg: Config, tmp_path: Path) -> None:
    """`cooper evaluate` on a folder, as before any training, and on the run: the same figures."""
    sums = [(f"{a}+{b}", a + b) for a in (1, 2, 3) for b in (1, 2, 3)]
    asked = [{"question": q, "answer": f"#### {n}"} for q, n in sums]
    judged = [{"question": q, "answer": f"{n}", "completion": f"#{n}", "gold_correct": True} for q, n in sums]
    for name, item, rows in (("evaluation", "policy", asked), ("verifybench", "reward", judged)):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(rows))
        sets = (f"{'gsm8k' if item == 'policy' else name}:{path}",)
        folder = str(tmp_path / "out" / item)
        for where in (cfg.dir, folder):
            evaluate.evaluate(replace(cfg, dir=where, evaluation=replace(cfg.evaluation, sets=sets)))
        of_run, of_folder = (Path(where) / f"{name}.json" for where in (cfg.dir, f"{folder}-{name}"))
        assert json.loads(of_run.read_text()) == json.loads(of_folder.read_text())
        assert pq.read_table(f"{folder}-{name}/{name}.parquet").num_rows == len(sums)
