"""Folders that are written: exact to the bit, loaded by transformers, whole or absent."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import transformers
from hf_models import (
    PAD,
    SIZES,
    VARIANTS,
    B,
    T,
    exported,
    imported,
    logits_of,
    logits_of_torch,
    same,
    scores_of,
    tensors_in,
    texts,
)
from runs import fails
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from cooper_jax import config
from cooper_jax.__main__ import main
from cooper_jax.config import Config, Model, RopeScaling, Trainee, UserError
from cooper_jax.mesh import sharding
from cooper_jax.model import hf, weights
from cooper_jax.programs import fit_reward, sft
from cooper_jax.run import start


@pytest.mark.parametrize("name", VARIANTS)
def test_a_round_trip_is_exact_to_the_bit(causal: Any, name: str, tmp_path: Path) -> None:
    """Through our layout, a mesh and many shards, and back; transformers loads it and computes what it did."""
    model, folder = causal[name]
    params, cfg = imported(folder, mesh=sharding.make_mesh(config.Mesh(fsdp=4, tensor=2)))
    out = tmp_path / "out"
    exported(out, params, cfg, False, original=hf.read_config(folder).config, shard_bytes=20_000)
    assert len(list(out.glob("model-000*.safetensors"))) > 4
    assert all(file.stat().st_size < 24_000 for file in out.glob("*.safetensors"))
    was, now = tensors_in(folder), tensors_in(out)
    assert was.keys() == now.keys() == json.loads((out / hf.INDEX).read_text())["weight_map"].keys()
    for key in was:
        assert was[key].dtype == now[key].dtype == np.float32
        np.testing.assert_array_equal(was[key].view(np.uint32), now[key].view(np.uint32), err_msg=key)

    again = AutoModelForCausalLM.from_pretrained(out)
    assert type(again) is type(model) and again.dtype == torch.float32
    token_BT, real_BT = texts()[0], np.ones((B, T), bool)
    np.testing.assert_array_equal(logits_of_torch(again, token_BT, real_BT), logits_of_torch(model, token_BT, real_BT))
    before, after = model.config.to_dict(), again.config.to_dict()
    for key in ("rope_parameters", "eos_token_id", "bos_token_id", "pad_token_id", "max_position_embeddings"):
        assert before[key] == after[key], key
    named = ["head_dim" in json.loads((place / "config.json").read_text()) for place in (folder, out)]
    assert named[0] == named[1], "Qwen2's files leave it to be derived"
    same(imported(out)[0], imported(folder)[0])


def test_export_from_nothing(tiny: Model, tmp_path: Path) -> None:
    """Models that never came from a folder are those of their family, with either head; in bfloat16 too."""
    mesh = sharding.make_mesh(config.Mesh(), jax.devices()[:1])
    scaling = RopeScaling(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_len=16)
    plain = replace(tiny, qkv_bias=False, rope_scaling=scaling)
    token_BT, sides = texts()
    real_BT = sides["right"]
    padded_BT = np.where(real_BT, token_BT % 110 + 3, PAD)
    for name, cfg, scored in (
        ("Qwen2", tiny, True),
        ("Qwen3", replace(plain, qk_norm=True, rope_scaling=None, tied=False), False),
        ("Llama", plain, True),
    ):
        params = jax.device_put(weights.init(cfg, scored, jax.random.key(1)), sharding.replicated(mesh))
        exported(tmp_path / name, params, cfg, scored, pad_id=PAD)
        model = (AutoModelForSequenceClassification if scored else AutoModelForCausalLM).from_pretrained(
            tmp_path / name
        )
        assert type(model).__name__.startswith(name) and model.config.pad_token_id == PAD
        want = logits_of_torch(model, padded_BT, real_BT)
        if scored:
            assert model.config.num_labels == 1
            np.testing.assert_allclose(scores_of(params, padded_BT, real_BT, cfg), want[:, 0], atol=1e-4)
        else:
            assert np.abs(logits_of(params, padded_BT, real_BT, cfg) - want)[real_BT].max() <= 1e-4
    exported(tmp_path / "half", params, cfg, True, "bfloat16", pad_id=PAD)
    half = AutoModelForSequenceClassification.from_pretrained(tmp_path / "half")
    assert half.dtype == torch.bfloat16
    embed = half.get_input_embeddings().weight.detach().float().numpy()
    np.testing.assert_array_equal(embed, np.asarray(params["embed"].astype(jnp.bfloat16), np.float32))
    with pytest.raises(UserError, match="qkv_bias and qk_norm together"):
        hf.family(replace(tiny, qk_norm=True))


def tokenizer_files(folder: Path, pad: str | None) -> None:

    words = Tokenizer(WordLevel({f"w{i}": i for i in range(SIZES["vocab_size"])}, unk_token="w0"))
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token=pad).save_pretrained(folder)


@pytest.mark.slow  # test_proof is its quick sibling
@pytest.mark.usefixtures("one_device")
def test_from_folders_through_runs_to_folders(
    causal: Any, tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both models start from causal folders, train, and come out as folders that compute what the run computes."""
    policy, reward = (tmp_path / "in" / name for name in ("policy", "reward"))
    shutil.copytree(causal["qwen2"][1], policy)
    shutil.copytree(causal["llama-tied"][1], reward)
    row = {"question": "1+1+1", "reference_answer": "3", "completion": "#3", "label": 1}
    other = [{"question": f"{a}+{b}+1", "reference_answer": "4", "completion": "#4"} for a in (1, 2) for b in (1, 2)]
    labels = [row] + [r | {"label": y} for r in other for y in (0, 1)]
    pq.write_table(pa.Table.from_pylist(labels), tmp_path / "labels.parquet")
    open_ = Model(dtype="float32", remat="none")
    cfg = replace(
        tiny_config,
        policy=Trainee(open_),
        reward=Trainee(open_),
        sft=replace(tiny_config.sft, init=str(policy), steps=2),
        fit=replace(tiny_config.fit, init=str(reward), data=str(tmp_path / "labels.parquet"), steps=2, held_out=0.4),
    )
    sft.sft(cfg)
    fit_reward.fit_reward(cfg)
    ran = config.from_json(Path(cfg.sft.dir) / "config.json")
    started = start.resolve("policy", replace(cfg.policy, init=str(policy)))
    assert ran == replace(cfg, policy=replace(cfg.policy, model=started.model)) and started.model.width == 32
    shutil.rmtree(tmp_path / "in")  # a run stands on its own

    trained = replace(
        cfg,
        policy=start.resolve("policy", replace(cfg.policy, init=cfg.sft.dir)),
        reward=start.resolve("reward", replace(cfg.reward, init=cfg.fit.dir)),
    )
    mesh = sharding.make_mesh(config.Mesh())
    token_BT, real_BT = texts()[0], texts()[1]["right"]
    padded_BT = np.where(real_BT, token_BT, 5)

    tokenizer_files(Path(cfg.sft.dir) / "tokenizer" / "policy", None)
    main(["export", cfg.sft.dir, "--model", "policy", "--to", str(tmp_path / "out" / "policy")])
    assert f"wrote {tmp_path / 'out' / 'policy'}" in capsys.readouterr().out
    for file in (Path(cfg.sft.dir) / "tokenizer" / "policy").iterdir():
        assert (tmp_path / "out" / "policy" / file.name).read_bytes() == file.read_bytes()
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "policy")
    assert model.config.eos_token_id == 2 and model.generation_config.eos_token_id == 2
    params = start.load_params(cfg.sft.dir, "policy", trained.policy, mesh)
    got = logits_of(params, padded_BT, real_BT, trained.policy.model)
    assert np.abs(got - logits_of_torch(model, padded_BT, real_BT))[real_BT].max() <= 1e-4
    was = tensors_in(causal["qwen2"][1])["model.norm.weight"]
    assert (tensors_in(tmp_path / "out" / "policy")["model.norm.weight"] != was).any()  # it was trained

    export = ["export", cfg.fit.dir, "--model", "reward", "--to", str(tmp_path / "out" / "reward")]
    tokenizer_files(Path(cfg.fit.dir) / "tokenizer" / "reward", None)
    assert re.search(r"the tokenizer in .*tokenizer/reward has no pad token", fails(capsys, *export))
    assert not (tmp_path / "out" / "reward").exists()
    tokenizer_files(Path(cfg.fit.dir) / "tokenizer" / "reward", "w5")
    main(export)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out" / "reward")
    assert model.config.pad_token_id == 5 and model.config.num_labels == 1
    params = start.load_params(str(tmp_path / "out" / "reward"), "reward", trained.reward, mesh)
    same(params, start.load_params(cfg.fit.dir, "reward", trained.reward, mesh))
    got_B = scores_of(params, padded_BT, real_BT, trained.reward.model)
    keep = (token_BT != 5).all(axis=1) | real_BT.all(axis=1)
    assert np.abs(got_B - logits_of_torch(model, padded_BT, real_BT)[:, 0])[keep].max() <= 1e-4

    assert re.search(r"out/reward is there already; nothing is overwritten", fails(capsys, *export))
    export[-1] = str(tmp_path / "new")
    for args, message in (
        (
            ["export", str(tmp_path / "none"), *export[2:]],
            r"none: no such folder; give a Hugging Face folder, or the directory of a run",
        ),
        (["export", str(tmp_path / "out" / "reward"), *export[2:]], "is a Hugging Face folder already"),
        (["export", cfg.sft.dir, *export[2:]], "has no reward model"),
    ):
        assert re.search(message, fails(capsys, *args))
    assert not (tmp_path / "new").exists() and not list(tmp_path.glob(".*"))


def test_no_room_for_an_export(tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match=r"no space left: .*/out needs 1 MB and the disk has 0 MB free"):
        hf.save(tmp_path / "out", tiny, False, "float32", iter(()), {})
    assert not list(tmp_path.iterdir())


def test_an_export_is_whole_or_absent(tiny: Model, tmp_path: Path) -> None:
    with pytest.raises(StopIteration):
        hf.save(tmp_path / "out", tiny, False, "float32", iter(()), {})
    assert not list(tmp_path.iterdir())
