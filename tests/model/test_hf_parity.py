"""Right network, against transformers itself: logits, scores, generation, half precision, rotary frequencies."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers
from hf_models import LLAMA3, PAD, SIZES, VARIANTS, B, T, imported, logits_of, logits_of_torch, make, scores_of, texts
from transformers import AutoModelForCausalLM

from cooper_jax import config
from cooper_jax.mesh import sharding
from cooper_jax.model import presets as shapes
from cooper_jax.model import sample, transformer, weights


@pytest.mark.parametrize("name", VARIANTS)
def test_logits_are_those_of_transformers(causal: Any, name: str) -> None:
    model, folder = causal[name]
    params, cfg = imported(folder)
    assert ("unembed" in params) == (not cfg.tied)
    for side, real_BT in texts()[1].items():
        token_BT = np.where(real_BT, texts()[0], PAD)
        gap = np.abs(logits_of(params, token_BT, real_BT, cfg) - logits_of_torch(model, token_BT, real_BT))[real_BT]
        assert gap.max() <= 1e-4, side


@pytest.mark.parametrize("name", ["qwen2", "qwen3-tied", "llama-tied"])
def test_scores_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    family, more = VARIANTS[name]
    model = make(family, "SequenceClassification", more | {"num_labels": 1})
    model.save_pretrained(tmp_path)
    params, cfg = imported(tmp_path, scored=True)
    token_BT, sides = texts()
    for side, real_BT in sides.items():
        padded_BT = np.where(real_BT, token_BT, PAD)
        got_B = scores_of(params, padded_BT, real_BT, cfg)
        assert np.abs(got_B - logits_of_torch(model, padded_BT, real_BT)[:, 0]).max() <= 1e-4, side


@pytest.mark.parametrize("name", ["qwen2-tied", "qwen3", "llama"])
def test_greedy_generation_is_that_of_transformers(causal: Any, name: str) -> None:
    """Token for token, from left-padded prompts, to a stop token that some rows reach."""
    model, folder = causal[name]
    params, cfg = imported(folder)
    real_BT = texts()[1]["left"]
    token_BT = np.where(real_BT, texts()[0], PAD)

    def generate(stop: int | None) -> np.ndarray:
        how = transformers.GenerationConfig(do_sample=False, max_new_tokens=16, pad_token_id=PAD, eos_token_id=stop)
        with torch.no_grad():
            mask = torch.tensor(real_BT).long()
            out = model.generate(torch.tensor(token_BT), attention_mask=mask, generation_config=how)
        return out[:, T:].numpy()

    stop = int(generate(None)[0, 4])
    want_BT = generate(stop)
    how = sample.Sampling(group=1, length=16, temperature=0.0, top_p=1.0, top_k=0, stop=(stop,), pad=PAD)
    draw = jax.jit(sample.sample, static_argnums=(4, 5))
    drawn = draw(params, jnp.array(token_BT), jnp.array(real_BT), jax.random.key(0), how, cfg)
    np.testing.assert_array_equal(drawn.token_BT[:, : want_BT.shape[1]], want_BT)
    assert drawn.finished_B[0] and not drawn.finished_B.all()


@pytest.mark.parametrize(
    "name", [pytest.param("qwen2-tied", marks=pytest.mark.slow), "qwen3", pytest.param("llama", marks=pytest.mark.slow)]
)
def test_bfloat16_is_as_near_as_in_transformers(causal: Any, name: str) -> None:
    """Root mean square distance from float32, over real positions and the vocabulary."""
    model, folder = causal[name]
    params, cfg = imported(folder, dtype="bfloat16")
    real_BT = np.ones((B, T), bool)
    token_BT = texts()[0]
    exact = logits_of_torch(model, token_BT, real_BT)
    half = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    far = lambda x: np.sqrt(np.mean((x - exact) ** 2))  # noqa: E731
    assert far(logits_of(params, token_BT, real_BT, cfg)) <= 1.5 * far(logits_of_torch(half, token_BT, real_BT))


def test_rotary_frequencies_of_llama_3() -> None:
    """All three bands of the published model, as transformers computes them."""
    cfg = shapes.LLAMA_3_2_1B
    rope = LLAMA3 | {"rope_theta": 5e5, "factor": 32.0, "original_max_position_embeddings": 8192}
    theirs = transformers.LlamaConfig(**SIZES | {"head_dim": 64, "rope_parameters": rope})
    want = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(theirs).inv_freq.numpy()
    np.testing.assert_allclose(transformer.frequencies(cfg), want, rtol=1e-6)
    plain = transformer.frequencies(replace(cfg, rope_scaling=None))
    ratio = plain / transformer.frequencies(cfg)
    assert ratio[0] == 1 and ratio[-1] == 32 and any(1 < r < 31 for r in ratio)


def test_published_shapes() -> None:
    """Parameter counts as published."""
    for cfg, count in (
        (shapes.QWEN2_5_0_5B, 494_032_768),
        (shapes.QWEN2_5_1_5B, 1_543_714_304),
        (shapes.QWEN2_5_MATH_1_5B, 1_543_714_304),
        (shapes.QWEN3_0_6B, 596_049_920),
        (shapes.LLAMA_3_2_1B, 1_235_814_400),
    ):
        mesh = sharding.make_mesh(config.Mesh(), jax.devices()[:1])
        assert sum(x.size for x in jax.tree.leaves(weights.abstract(cfg, False, mesh))) == count
