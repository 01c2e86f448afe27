"""Real weights, against transformers: `make test-real MODELS=models DATA=data`; docs/models.md says how to get them.

Twenty questions of GSM8K to each model, all in float32: the prompts, the greedy tokens and their log-probs, and what
`cooper export` makes of the weights.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import pytest
import safetensors
import torch
from rows import read, write
from runs import said
from small import see_one_device
from theirs import causal, torch_scores
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from cooper_jax import config
from cooper_jax.config import Config, Data, Evaluation, Model, Prompting, Rollout, Trainee
from cooper_jax.device import loading
from cooper_jax.device.keys import Use
from cooper_jax.device.state import CooperState, ModelState
from cooper_jax.host.text import encode
from cooper_jax.host.text.data import Message, Problem
from cooper_jax.host.text.tokenizer import FILES, Tokenizer
from cooper_jax.mesh import sharding
from cooper_jax.model import hf, weights
from cooper_jax.run import checkpoint, directory, machine, start
from cooper_jax.run.sampler import Completion, Sampler

MODELS = {
    "SmolLM2-135M-Instruct": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "Qwen2.5-Coder-0.5B-Instruct": "Qwen/Qwen2.5-Coder-0.5B-Instruct",
}
QUESTIONS, LENGTH = 20, 128
PROMPTING = Prompting(instruction="{question}\nPlease reason step by step, and put your final answer within \\boxed{}.")
NEAR = 1e-3
"""Between log-probs of both sides; and between the logits of two tokens of which each side may take another."""

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("one_device", "cache_at_hand")]


@dataclass
class Theirs:
    """What transformers makes of a model: the prompts, its greedy completions with the stop token, and at each of their
    tokens its log-prob and the two greatest logits."""

    prompts: list[list[int]]
    token_ids: list[list[int]]
    logprobs: list[np.ndarray]
    best: list[np.ndarray]


@pytest.fixture(scope="module")
def problems(request: pytest.FixtureRequest) -> list[Problem]:
    file = Path(request.config.getoption("--data") or "data") / "gsm8k_test.jsonl"
    assert file.is_file(), f"{file} is not there; docs/models.md says where to get it, or give DATA=FOLDER"
    rows = map(json.loads, file.read_text().splitlines()[:QUESTIONS])
    return [Problem(row["question"], row["answer"].split("####")[1].strip()) for row in rows]


@pytest.fixture(scope="module", params=MODELS)
def folder(request: pytest.FixtureRequest) -> str:
    place = Path(request.config.getoption("--models") or "models") / request.param
    missing = [name for name in ("config.json", "tokenizer.json", "model.safetensors") if not (place / name).is_file()]
    if missing:
        source = MODELS[request.param]
        pytest.skip(f"{place} lacks {', '.join(missing)}: hf download {source} --local-dir {place}")
    return str(place)


@pytest.fixture(scope="module")
def theirs(folder: str, problems: list[Problem]) -> Theirs:
    """Once a model: generation, then one pass over what was generated."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder, padding_side="left"), causal(folder).float()
    stop = model.generation_config.eos_token_id
    # Penalties and the like of the model's own file are no part of greedy decoding.
    model.generation_config = GenerationConfig()
    chats = [[{"role": m.role, "content": m.content} for m in encode.chat(p, PROMPTING)] for p in problems]
    asked = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    )
    how = GenerationConfig(
        do_sample=False, max_new_tokens=LENGTH, eos_token_id=stop, pad_token_id=tokenizer.pad_token_id
    )
    with torch.no_grad():
        out = model.generate(**asked, generation_config=how)
    found = Theirs([], [], [], [])
    for ids, mask, row in zip(asked["input_ids"], asked["attention_mask"], out, strict=True):
        prompt, completion = ids[mask.bool()].tolist(), row[len(ids) :].tolist()
        ends = [i + 1 for i, token in enumerate(completion) if token in np.atleast_1d(stop)]
        completion = completion[: min(ends, default=LENGTH)]
        with torch.no_grad():
            logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        found.prompts.append(prompt)
        found.token_ids.append(completion)
        found.logprobs.append(torch.log_softmax(logits, -1)[range(len(completion)), completion].numpy())
        found.best.append(logits.topk(2).values.numpy())
    return found


@pytest.fixture(scope="module")
def ours(folder: str, problems: list[Problem], theirs: Theirs) -> list[Completion]:
    """The sampler's greedy completions, all questions in one batch."""
    policy = Trainee(Model(dtype="float32"), init=folder)
    cfg = Config(
        policy=policy,
        reward=Trainee(),
        data=Data(source=""),
        prompting=PROMPTING,
        rollout=Rollout(prompt_len=max(map(len, theirs.prompts)) + 3, completion_len=LENGTH),
        evaluation=Evaluation(batch=QUESTIONS),
    )
    with pytest.MonkeyPatch.context() as patch:
        see_one_device(patch)
        with machine.machine(cfg, policy=policy) as here:
            params = start.load_params(folder, "policy", here.cfg.policy, here.mesh)
            [(_, completions)] = Sampler(here, 1, 0.0, 1.0, Use.GENERATE).batches(params, problems)
    return completions


def test_chats_are_rendered_as_by_transformers(folder: str, problems: list[Problem], theirs: Theirs) -> None:
    """Text and token ids: of the questions, and of chats with what a template may treat apart."""
    reference, tokenizer = AutoTokenizer.from_pretrained(folder), Tokenizer(folder)
    assert tokenizer.prompts([encode.chat(p, PROMPTING) for p in problems], "chat") == theirs.prompts
    asked, said_so = Message("user", "  What is 1 + 1?\n"), Message("assistant", "It is \\boxed{2}.")
    chats = [
        (Message("system", "Be brief."), asked),
        (asked, said_so, Message("user", "Größe ≤ ½, 数学 🙂\t<|im_end|> and 2?")),
        (Message("system", ""), asked, said_so, asked, said_so, Message("user", "")),
    ]
    for chat, ids in zip(chats, tokenizer.prompts(chats, "chat"), strict=True):
        messages = [{"role": role, "content": content} for role, content in chat]
        text = reference.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert ids == reference.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
        assert reference.decode(ids, skip_special_tokens=False) == text


def test_greedy_tokens_are_those_of_transformers(theirs: Theirs, ours: list[Completion]) -> None:
    """Token for token to the stop token or the limit, rows of different length in one batch. Another token is allowed
    only where the two best logits are nearer than float32 can tell, and ends what can be compared of the row."""
    assert len({len(prompt) for prompt in theirs.prompts}) > QUESTIONS / 2
    for row, completion in enumerate(ours):
        same = _alike(completion.token_ids, theirs.token_ids[row])
        if completion.token_ids != theirs.token_ids[row]:
            first, second = theirs.best[row][same]
            print(f"row {row} parts at token {same}: logits {first} and {second}")
            assert first - second < NEAR, f"row {row}, token {same}"


def test_log_probs_are_those_of_transformers(theirs: Theirs, ours: list[Completion]) -> None:
    """Of the tokens drawn while sampling, beside one pass over prompt and completion."""
    gaps = []
    for row, completion in enumerate(ours):
        same = _alike(completion.token_ids, theirs.token_ids[row])
        gaps.append(np.abs(np.array(completion.logprobs[:same]) - theirs.logprobs[row][:same]))
    print(f"{sum(map(len, gaps))} tokens, gap at most {np.concatenate(gaps).max():.1e}")
    assert np.concatenate(gaps).max() < NEAR


def _alike(a: list[int], b: list[int]) -> int:
    """How many tokens both begin with."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def test_scores_after_export_are_those_of_transformers(
    folder: str, problems: list[Problem], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reward model on the folder's weights, with a score head of its own: `cooper score` on the run, and
    AutoModelForSequenceClassification on what `cooper export` makes of it."""
    run, out, to = _began(folder, "reward", tmp_path), tmp_path / "scores.jsonl", str(tmp_path / "exported")
    rows = [
        {"question": p.question, "reference_answer": p.reference, "completion": f"It is \\boxed{{{answer}}}."}
        for p in problems[:4]
        for answer in (p.reference, "17")
    ]
    said(capsys, "score", run, write(tmp_path / "rows.jsonl", rows), "--out", str(out))
    said(capsys, "export", run, "--model", "reward", "--to", to)
    asked = [Problem(row["question"], row["reference_answer"]) for row in rows]
    texts = encode.rm_texts(asked, [row["completion"] for row in rows], Tokenizer(to), 1024)
    theirs, ours = np.array(torch_scores(to, [text.tolist() for text in texts])), [row["logit"] for row in read(out)]
    assert np.std(theirs) > 10 * NEAR
    np.testing.assert_allclose(ours, theirs, atol=NEAR)


def test_a_policy_exported_again_is_the_folder_it_came_from(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every tensor to the bit, the configuration, and the files of the tokenizer."""
    before, to = Path(folder), tmp_path / "exported"
    dtype = json.loads((before / "config.json").read_text())["dtype"]
    run = _began(folder, "policy", tmp_path)
    said(capsys, "export", run, "--model", "policy", "--to", str(to), "--dtype", dtype)
    with _tensors(before) as old, _tensors(to) as new:
        assert set(new.keys()) == set(old.keys())
        assert [name for name in old.keys() if not torch.equal(old.get_tensor(name), new.get_tensor(name))] == []  # noqa: SIM118
    config_of = lambda place: AutoConfig.from_pretrained(place).to_diff_dict() | {"transformers_version": ""}  # noqa: E731
    assert config_of(to) == config_of(before)
    for name in (*FILES, "generation_config.json"):
        assert not (before / name).exists() or (to / name).read_bytes() == (before / name).read_bytes(), name


def _tensors(place: Path) -> Any:
    return safetensors.safe_open(place / "model.safetensors", framework="pt")


def _began(folder: str, item: Literal["policy", "reward"], tmp_path: Path) -> str:
    """A run that began at the folder, before its first update, as it lies on the disk: of one model the weights, for a
    reward model with a random score head. Moments, which an export does not read, are left out."""
    mesh, scored = sharding.make_mesh(config.Mesh()), item == "reward"
    trainee = start.resolve(item, Trainee(Model(dtype="float32"), init=folder))
    run = str(tmp_path / "run")
    directory.make_dir(run)
    directory.write_config(Config(policy=trainee, reward=trainee, data=Data(source=""), dir=run), run)
    directory.keep_origin(run, item, folder)
    kept = directory.tokenizer(run, item)
    kept.mkdir(parents=True)
    Tokenizer(folder).save(kept)
    with jax.set_mesh(mesh), jax.transfer_guard("disallow"):
        blank = loading.blank(weights.abstract(trainee.model, scored, mesh))
        params = loading.load(blank, hf.tensors(folder, trainee.model, scored))
        if scored:
            noise = np.random.default_rng(0).normal(0, 0.1, (trainee.model.width, 1)).astype(np.float32)
            params["score"] = sharding.place(noise, "DZ", mesh)
        state = ModelState(sharding.put(np.int32(0), mesh), params, ())
        with checkpoint.Checkpointer(run, 1) as checkpointer:
            checkpointer.save(1, CooperState(*(state if name == item else None for name in ("policy", "reward"))), 0)
    return run
