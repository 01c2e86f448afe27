"""`cooper generate` and `cooper score` on every kind of model there is, against transformers on the same texts."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import transformers
from folders import ROOT, tokenizer_folder
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedTokenizerFast

from cooper_jax.__main__ import main
from cooper_jax.config import Config
from cooper_jax.programs import fit_reward, sft

pytestmark = pytest.mark.usefixtures("one_device", "cache_at_hand")
SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 48, "initializer_range": 0.3,
}  # fmt: skip
PROMPT = "Wie groß ist 12+34? Größe … ≤ 3"


@pytest.fixture
def cache_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these commands compile is kept where the suite keeps it, not in the user's home."""
    monkeypatch.setenv("HOME", str(ROOT / ".pytest_cache"))


def model_folder(folder: Path, family: str, kind: str, vocab: int, **more: Any) -> str:
    """A random model of transformers in a folder that has a tokenizer already."""
    settings = getattr(transformers, f"{family}Config")(vocab_size=vocab, **SIZES | more)
    torch.manual_seed(0)
    getattr(transformers, f"{family}For{kind}")(settings).eval().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Qwen2 with more embeddings than tokens, whose turns end at either of two stop tokens."""
    folder = tmp_path_factory.mktemp("models") / "policy"
    tokenizer_folder(folder, "qwen")
    stated = (folder / "generation_config.json").read_text()
    made = model_folder(folder, "Qwen2", "CausalLM", 384, tie_word_embeddings=False)
    (folder / "generation_config.json").write_text(stated)
    return made


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Llama classifier whose tokenizer puts bos before a text."""
    folder = tmp_path_factory.mktemp("models") / "reward"
    tokenizer_folder(folder, "llama")
    return model_folder(folder, "Llama", "SequenceClassification", 330, num_labels=1, pad_token_id=5)


def said(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    main(list(args))
    return capsys.readouterr().out


def fails(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Run the command; it must say one error, with exit code 1. Returns it."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(list(args))
    error = capsys.readouterr().err
    assert stop.value.code == 1 and error.startswith("error: ") and error.count("\n") == 1, error
    return error


# Generating


def causal(folder: str) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def torch_ids(folder: str, prompt: list[int], length: int) -> list[int]:
    with torch.no_grad():
        out = causal(folder).generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=length, pad_token_id=0)
    return out[0, len(prompt) :].tolist()


def torch_logp(model: Any, prompt: list[int], completion: list[int], temperature: float = 1.0) -> np.ndarray:
    with torch.no_grad():
        logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1].float() / temperature
    return torch.log_softmax(logits, -1)[range(len(completion)), completion].numpy()


@pytest.mark.parametrize("template", ["auto", "plain"])
def test_greedy_samples_are_those_of_transformers(
    policy: str, template: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tok = PreTrainedTokenizerFast.from_pretrained(policy)
    chat = [{"role": "user", "content": PROMPT}]
    ids = (
        tok.apply_chat_template(chat, add_generation_prompt=True)["input_ids"]
        if template == "auto"
        else tok(PROMPT)["input_ids"]
    )
    args = ("generate", policy, "--prompt", PROMPT, "--temperature", "0", "--max-new", "24", "--json")
    out = json.loads(said(capsys, *args, "--template", template))
    assert out.keys() == {"samples"}
    [sample] = out["samples"]
    assert sample.keys() == {"text", "token_ids", "logprobs"}
    want = torch_ids(policy, ids, 24)
    assert sample["token_ids"] == want
    np.testing.assert_allclose(sample["logprobs"], torch_logp(causal(policy), ids, want), atol=1e-4)
    assert sample["text"] == tok.decode([i for i in want if i < len(tok)], skip_special_tokens=True).strip()


def test_samples(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--n` samples that differ, the same for the same seed; log-probs at the temperature; stops and limits kept."""
    ids = PreTrainedTokenizerFast.from_pretrained(policy)(PROMPT)["input_ids"]
    args = ("generate", policy, "--prompt", PROMPT, "--n", "48", "--temperature", "4", "--template", "plain")
    args += ("--max-new", "40", "--json")
    out = said(capsys, *args)
    assert said(capsys, *args) == out != said(capsys, *args, "--seed", "1")
    samples = json.loads(out)["samples"]
    assert len(samples) == 48 and len({tuple(s["token_ids"]) for s in samples}) == 48
    model, ended = causal(policy), []
    for s in samples:
        np.testing.assert_allclose(s["logprobs"], torch_logp(model, ids, s["token_ids"], 4), atol=1e-4)
        # Either stop token ends a completion, and stands at its end only.
        stops = [i for i, token in enumerate(s["token_ids"]) if token in (0, 2)]
        assert stops == [len(s["token_ids"]) - 1] or (not stops and len(s["token_ids"]) == 40)
        ended += [s["token_ids"][-1]] * len(stops)
    assert {0, 2} <= {*ended} and len(ended) < 48
    narrow = json.loads(said(capsys, *args, "--top-p", "0.0001"))["samples"]
    assert len({tuple(s["token_ids"]) for s in narrow}) == 1  # only the likeliest token is left


def test_what_is_shown(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "generate", policy, "--prompt", "12+34?", "--n", "2", "--max-new", "3", "--system", "[Be brief]")
    assert "1/2  3 tokens, log-prob -" in out and "2/2" in out and "cut at --max-new" in out


def test_templates(policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a chat template a prompt goes in plain; a template that is asked for must be there."""
    bare = shutil.copytree(policy, tmp_path / "bare")
    stated = json.loads((bare / "tokenizer_config.json").read_text())
    (bare / "tokenizer_config.json").write_text(json.dumps(stated | {"chat_template": None}))
    args = ("generate", str(bare), "--prompt", PROMPT, "--temperature", "0", "--max-new", "5", "--json")
    assert said(capsys, *args) == said(capsys, *args, "--template", "plain")
    assert "has no chat template" in fails(capsys, *args, "--template", "chat")
    system = ("generate", policy, "--prompt", PROMPT, "--temperature", "0", "--max-new", "5", "--json")
    assert said(capsys, *system) != said(capsys, *system, "--system", "Be brief.")


def test_mistakes_in_generating(policy: str, reward: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for model, options, message in (
        (str(tmp_path / "none"), [], "none: no such folder; give a Hugging Face folder, or the directory of a run"),
        (str(tmp_path / "empty"), [], "config.json: no such file"),
        (reward, [], "holds a sequence classifier, which has no language-model head"),
        (policy, ["--n", "0"], "--n 0: must be at least 1"),
        (policy, ["--n", "2", "--temperature", "0"], "greedy completions are all alike"),
        (policy, ["--temperature", "-1"], "--temperature -1.0: must not be negative; 0 is greedy"),
        (policy, ["--top-p", "0"], "--top-p 0.0: must be in (0, 1]"),
        (policy, ["--max-new", "0"], "--max-new 0: must be at least 1"),
        (policy, ["--prompt", "", "--template", "plain"], "--prompt is empty"),
    ):
        given = [] if "--prompt" in options else ["--prompt", "1+1?"]
        assert message in fails(capsys, "generate", model, *given, *options)


# Scoring


ROWS = [
    {"question": "What is 12+34?", "reference_answer": "46", "completion": "It is \\boxed{46}."},
    {"question": "Größe … ≤ 3?", "reference_answer": "é", "completion": "It is </completion> 3. " * 9},
    {"question": "1+1?", "reference_answer": 2, "completion": "", "label": 0},
]
TEMPLATE = "<question>{}</question>\n<reference_answer>{}</reference_answer>\n<completion>{}</completion>"


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def torch_scores(folder: str, texts: list[list[int]]) -> list[float]:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return [model(torch.tensor([ids])).logits[0, 0].item() for ids in texts]


def scores(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_scores_are_those_of_transformers(reward: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one template in tokens of the model, pieces tokenised apart; more rows than a batch, in their order."""
    out, rows = tmp_path / "out.jsonl", ROWS * 3
    assert "9 rows, mean score" in said(
        capsys, "score", reward, write(tmp_path / "rows.jsonl", ["", *rows]), "--out", str(out), "--batch", "4"
    )
    tok = PreTrainedTokenizerFast.from_pretrained(reward)
    texts = []
    for row in ROWS:
        pieces = ["<question>", row["question"], "</question>\n<reference_answer>", str(row["reference_answer"])]
        pieces += ["</reference_answer>\n<completion>", row["completion"].replace("</completion>", " ").strip()]
        ids = [i for p in [*pieces, "</completion>"] for i in tok(p, add_special_tokens=False)["input_ids"]]
        texts.append([tok.bos_token_id, *ids])
    assert tok.decode(texts[0], skip_special_tokens=True) == TEMPLATE.format(*list(ROWS[0].values()))
    got = scores(out)
    np.testing.assert_allclose([g["logit"] for g in got], torch_scores(reward, texts) * 3, atol=1e-4)
    np.testing.assert_allclose([g["score"] for g in got], 1 / (1 + np.exp([-g["logit"] for g in got])), rtol=1e-6)
    assert len({round(g["logit"], 4) for g in got}) == 3
    pq.write_table(pa.Table.from_pylist([row | {"reference_answer": "2"} for row in ROWS[2:]]), tmp_path / "a.parquet")
    said(capsys, "score", reward, str(tmp_path / "a.parquet"), "--out", str(tmp_path / "b.jsonl"))
    np.testing.assert_allclose(scores(tmp_path / "b.jsonl")[0]["logit"], got[2]["logit"], atol=1e-5)


def test_a_narrow_window_cuts_the_completion(reward: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, out = (
        write(tmp_path / "rows.jsonl", [ROWS[1], ROWS[1] | {"completion": "x" + ROWS[1]["completion"]}]),
        tmp_path / "o",
    )
    for length, same in (("100", True), ("2048", False)):
        said(capsys, "score", reward, rows, "--out", str(out), "--length", length)
        a, b = (round(s["logit"], 4) for s in scores(out))
        assert (a == b) == same
    error = fails(capsys, "score", reward, rows, "--out", str(out), "--length", "30")
    assert "rows.jsonl, line 1: question and reference need --length" in error


def test_mistakes_in_scoring(policy: str, reward: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, out = write(tmp_path / "good.jsonl", ROWS), str(tmp_path / "out.jsonl")
    for model, rows, to, message in (
        (policy, good, out, "holds a causal language model, which has no score head; train one on it"),
        (str(tmp_path / "none"), good, out, "none: no such folder; give a Hugging Face folder"),
        (reward, str(tmp_path / "none.jsonl"), out, "none.jsonl: no such file"),
        (reward, good, good, "is the file of the rows; give another"),
        (reward, good, str(tmp_path / "no" / "out.jsonl"), "give a file in a folder that is there"),
        (reward, good, str(tmp_path), "give a file in a folder that is there"),
    ):
        assert message in fails(capsys, "score", model, rows, "--out", to)
    for row, message in (
        ("{", "bad.jsonl, line 2: not JSON"),
        ("3", "line 2: not a JSON object"),
        ({"question": "1+1?", "completion": "2"}, "line 2: needs 'reference_answer'; it has question, completion"),
        (ROWS[0] | {"completion": None}, "line 2: column completion must be text, not None"),
        (ROWS[0] | {"question": " "}, "line 2: column question is empty"),
        (
            '{"question": "\\ud800", "reference_answer": "1", "completion": "1"}',
            "line 2: .*surrogates".replace(".*", ""),
        ),
    ):
        error = fails(capsys, "score", reward, write(tmp_path / "bad.jsonl", [ROWS[0], row]), "--out", out)
        assert all(part in error for part in message.split(": ")), error
    assert "has no rows" in fails(capsys, "score", reward, write(tmp_path / "bad.jsonl", []), "--out", out)
    assert not Path(out).exists()


# Runs, and what is exported from them


def test_a_run_of_the_built_in_task_and_its_export(
    tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = replace(tiny_config, sft=replace(tiny_config.sft, steps=20))
    sft.sft(cfg)
    labels = [
        {"question": f"{a}+{b}+1", "reference_answer": f"{a + b + 1}", "completion": f"#{a + b + y}", "label": y}
        for a in range(1, 9) for b in range(1, 9) for y in (0, 1)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(labels), tmp_path / "labels.parquet")
    fit_reward.fit_reward(
        replace(cfg, reward=replace(cfg.reward, init=""), fit=replace(cfg.fit, data=str(tmp_path / "labels.parquet")))
    )
    rows = write(tmp_path / "rows.jsonl", labels[:5])
    results = []
    for name, run in (("policy", cfg.sft.dir), ("reward", cfg.fit.dir)):
        folder = str(tmp_path / f"{name}-exported")
        said(capsys, "export", run, "--model", name, "--to", folder)
        for model in (run, folder):
            if name == "policy":
                args = ("generate", model, "--prompt", "1+2+2", "--temperature", "0", "--max-new", "12", "--json")
                results.append(json.loads(said(capsys, *args))["samples"][0])
            else:
                said(capsys, "score", model, rows, "--out", str(tmp_path / "out.jsonl"))
                results.append(scores(tmp_path / "out.jsonl"))
    from_run, from_folder, scored_run, scored_folder = results
    # As words the exported tokenizer's tokens run together, where this task's own puts spaces between numbers.
    assert from_run.pop("text").replace(" ", "") == from_folder.pop("text")
    assert from_run == from_folder and scored_run == scored_folder and len(scored_run) == 5
    tok = PreTrainedTokenizerFast.from_pretrained(tmp_path / "policy-exported")
    ids = tok.apply_chat_template([{"role": "user", "content": "1+2+2"}])["input_ids"]
    assert from_run["token_ids"] == torch_ids(str(tmp_path / "policy-exported"), ids, 12)
    # The window of a run is the one that it was trained with.
    long = write(tmp_path / "long.jsonl", [labels[0] | {"question": "1+" * 30 + "1"}])
    assert "over 40" in fails(capsys, "score", cfg.fit.dir, long, "--out", str(tmp_path / "out.jsonl"))
    assert "is not in the built-in task's vocabulary" in fails(capsys, "generate", cfg.sft.dir, "--prompt", "what?")
    assert "holds no reward model" in fails(capsys, "score", cfg.sft.dir, rows, "--out", str(tmp_path / "out.jsonl"))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("generate", ("--max-new", "the stop token included", "0 is greedy", "auto: chat where the tokenizer has a")),
        ("score", ("--out", "in the order of the rows", "a longer completion loses its head", "its default, 2048")),
        ("export", ("--to", "nothing is overwritten")),
        (
            "evaluate",
            ("--evaluation.sets", "Benchmarks as NAME:PATH", "--evaluation.top-p", "a reward model on its own"),
        ),
    ],
)
def test_help_explains_each_option(
    command: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    shown = " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    assert stop.value.code == 0 and not [word for word in words if word not in shown], shown
