"""config.json of a folder: both spellings, what cannot be computed, and folders in the wrong place."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import pytest
from hf_models import LLAMA3, VARIANTS, edited, imported, make

from cooper_jax import config
from cooper_jax.config import Config, Model, RopeScaling, Trainee, UserError
from cooper_jax.cooper import train
from cooper_jax.mesh import sharding
from cooper_jax.model import hf
from cooper_jax.run import start

OLD_ROPE = {"rope_parameters": None, "rope_theta": 1000.0}


def test_both_spellings_of_rope(causal: Any, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(causal["llama"][1], tmp_path / "llama"))
    want = hf.read_config(folder).model
    assert want.rope_scaling == RopeScaling(8.0, 1.0, 4.0, 16) and want.rope_theta == 1000.0
    edited(folder, **OLD_ROPE, rope_scaling={k: v for k, v in LLAMA3.items() if k != "rope_theta"})
    assert hf.read_config(folder).model == want
    edited(folder, rope_scaling=None)
    assert hf.read_config(folder).model == replace(want, rope_scaling=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"architectures": ["MistralForCausalLM"]},
            r"architectures = \['MistralForCausalLM'\]: unknown; cooper knows Qwen2",
        ),
        ({"architectures": None}, r"architectures = None: unknown"),
        (
            {"architectures": ["LlamaForSequenceClassification"]},
            r"2 labels \(num_labels, id2label\): a reward model has one",
        ),
        ({"attention_bias": True}, "attention_bias = True is not supported"),
        ({"mlp_bias": True}, "mlp_bias = True is not supported"),
        ({"quantization_config": {"bits": 4}}, "quantization_config = {'bits': 4} is not supported"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu' is not supported, only 'silu'"),
        ({"use_sliding_window": True, "max_window_layers": 1}, "use_sliding_window = true from layer 1"),
        ({"layer_types": ["sliding_attention"] * 3}, r"layer_types has \['sliding_attention'\]"),
        (
            {"rope_parameters": {"rope_type": "yarn", "factor": 2.0}},
            "rope_parameters: rope_type = 'yarn' is not supported",
        ),
        ({**OLD_ROPE, "rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling: rope_type = 'linear' is not"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 2.0}}, "lacks low_freq_factor, high_freq_factor"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor = 0.5 is not supported"),
        ({"hidden_size": "32"}, "hidden_size = '32': must be a whole number"),
        ({"vocab_size": None}, "vocab_size = None: must be a whole number"),
        ({"num_key_value_heads": 3}, "model.heads = 4 is not a multiple of model.kv_heads = 3"),
        ({"rms_norm_eps": "tiny"}, "Model.norm_eps = 'tiny'"),
    ],
)
def test_a_config_that_cannot_be_computed(causal: Any, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    folder = Path(shutil.copytree(causal["llama"][1], tmp_path / "llama"))
    edited(folder, **change)
    with pytest.raises(UserError, match=message) as error:
        hf.read_config(folder)
    assert str(folder / "config.json") in str(error.value)


def test_numbers_agree_in_float32(causal: Any, tmp_path: Path) -> None:
    """1e-6 in float32, written out in full, is 1e-6; and the folder's context is taken up by shapes without one."""
    folder = Path(shutil.copytree(causal["llama"][1], tmp_path / "llama"))
    edited(folder, rms_norm_eps=9.999999974752427e-07, max_position_embeddings=64)
    found = start.resolve("policy", Trainee(init=str(folder))).model
    assert found.context == 64
    mine = replace(found, norm_eps=1e-6, context=0)
    assert start.resolve("policy", Trainee(mine, init=str(folder))).model == found
    with pytest.raises(UserError, match=r"policy.model.norm_eps = 1.1e-06, but"):
        start.resolve("policy", Trainee(replace(mine, norm_eps=1.1e-6), init=str(folder)))
    with pytest.raises(UserError, match=r"policy.model.context = 32, but .* has 64"):
        start.resolve("policy", Trainee(replace(mine, context=32), init=str(folder)))


def test_texts_beyond_the_context_are_refused(tiny_config: Config) -> None:
    policy = replace(tiny_config.policy, model=replace(tiny_config.policy.model, context=30), init="")
    reward = replace(tiny_config.reward, model=replace(tiny_config.reward.model, context=39), init="")
    for cfg, message in (
        (replace(tiny_config, policy=policy), "rollout.prompt_len . rollout.completion_len = 31 tokens, .* for 30"),
        (replace(tiny_config, reward=reward), "scoring.length = 40 tokens, and the model was made for 39"),
    ):
        fresh = replace(cfg, policy=replace(cfg.policy, init=""), reward=replace(cfg.reward, init=""))
        with pytest.raises(UserError, match=message):
            train(fresh)
    roomy = replace(policy.model, context=31)
    roomy.require_room(31, "rollout")


def test_folders_that_are_not_models(causal: Any, tiny_config: Config, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(causal["llama"][1], tmp_path / "llama"))
    assert hf.is_folder(folder) and not hf.is_folder("") and not hf.is_folder(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pickle files only \(pytorch_model.bin\), which can run code .* convert them"):
        imported(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(UserError, match=r"holds no \*.safetensors"):
        imported(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config.json is not JSON"):
        hf.read_config(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"config.json: no such file"):
        hf.read_config(folder)


def test_models_in_the_wrong_place(causal: Any, tiny_config: Config, tmp_path: Path) -> None:
    folder = str(causal["llama"][1])
    mesh = sharding.make_mesh(config.Mesh(), jax.devices()[:1])
    cfg = replace(tiny_config, policy=Trainee(replace(tiny_config.policy.model, vocab=128)))
    with pytest.raises(UserError, match=rf"policy.model.width = 16, but {folder} has 32; leave the shapes out"):
        start.resolve("policy", replace(cfg.policy, init=folder))
    with pytest.raises(UserError, match=r"policy.model.norm_eps = 0.1, but .* has 1e-05"):
        start.resolve("policy", Trainee(Model(norm_eps=0.1), init=folder))
    with pytest.raises(UserError, match=r"policy.model has no shapes; give them, or a folder"):
        start.resolve("policy", Trainee())
    with pytest.raises(
        UserError, match=r"holds no config.json, so that it is neither a Hugging Face folder nor .*; it holds nothing"
    ):
        start.resolve("policy", Trainee(init=str(tmp_path)))
    found = start.resolve("reward", Trainee(init=folder))
    with pytest.raises(UserError, match="has no score head; train one on it with cooper fit-reward"):
        start.load_params(folder, "reward", found, mesh)
    make("Llama", "SequenceClassification", VARIANTS["llama"][1] | {"num_labels": 1}).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"holds a sequence classifier.* a policy starts from a causal LM"):
        start.load_params(str(tmp_path), "policy", found, mesh)
    with pytest.raises(UserError, match=r"model.width = 0: must be at least 1; or leave all of vocab"):
        Model(vocab=10)
