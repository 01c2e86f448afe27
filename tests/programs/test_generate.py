"""`cooper generate` beside transformers on the same prompts."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from runs import one_error, said
from theirs import causal, torch_ids, torch_logp
from transformers import PreTrainedTokenizerFast

from cooper_jax.host.text import encode

pytestmark = pytest.mark.usefixtures("one_device", "cache_at_hand")
PROMPT = "Wie groß ist 12+34? Größe … ≤ 3"


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


def test_what_is_shown_does_not_steer_the_terminal(
    policy: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "decode", lambda token_BT, *_: ["It is [/x]\x1b[2J\n46"] * len(token_BT))
    out = said(capsys, "generate", policy, "--prompt", "12+34?", "--max-new", "3")
    assert "It is [/x]\\x1b[2J\n46" in out and "\x1b" not in out


def test_templates(policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a chat template a prompt goes in plain; a template that is asked for must be there."""
    bare = shutil.copytree(policy, tmp_path / "bare")
    stated = json.loads((bare / "tokenizer_config.json").read_text())
    (bare / "tokenizer_config.json").write_text(json.dumps(stated | {"chat_template": None}))
    args = ("generate", str(bare), "--prompt", PROMPT, "--temperature", "0", "--max-new", "5", "--json")
    assert said(capsys, *args) == said(capsys, *args, "--template", "plain")
    refused = one_error(capsys, *args, "--template", "chat")
    assert "has no chat template; use --template plain" in refused and "--prompting" not in refused
    system = ("generate", policy, "--prompt", PROMPT, "--temperature", "0", "--max-new", "5", "--json")
    assert said(capsys, *system) != said(capsys, *system, "--system", "Be brief.")


def test_mistakes_in_generating(policy: str, reward: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.gguf").touch()
    for model, options, message in (
        (str(tmp_path / "none"), [], "none: no such folder; give a Hugging Face folder, or the directory of a run"),
        (str(tmp_path / "empty"), [], "empty holds no config.json, so that it is neither"),
        (str(tmp_path / "model.gguf"), [], "model.gguf is a file, and GGUF is not read; give a folder"),
        ("Qwen/Some-Model", [], "no such folder; .*: hf download Qwen/Some-Model --local-dir models/Some-Model"),
        (
            "models/Some-Model",
            [],
            "train that model first, or fetch it: hf download OWNER/Some-Model --local-dir models/Some-Model",
        ),
        (reward, [], "holds a sequence classifier, which has no language-model head"),
        (policy, ["--n", "0"], "--n 0: must be at least 1"),
        (policy, ["--n", "2", "--temperature", "0"], "greedy completions are all alike"),
        (policy, ["--temperature", "-1"], "--temperature -1.0: must not be negative; 0 is greedy"),
        (policy, ["--top-p", "0"], "--top-p 0.0: must be in (0, 1]"),
        (policy, ["--max-new", "0"], "--max-new 0: must be at least 1"),
        (policy, ["--prompt", "", "--template", "plain"], "--prompt is empty"),
    ):
        given = [] if "--prompt" in options else ["--prompt", "1+1?"]
        error = one_error(capsys, "generate", model, *given, *options)
        assert all(part in error for part in message.split(".*")), error
