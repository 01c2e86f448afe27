"""Models of transformers beside ours: random folders, both ways through them, logits and scores of both."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
import torch
import transformers

from cooper_jax import config
from cooper_jax.config import Model
from cooper_jax.device import loading
from cooper_jax.mesh import sharding
from cooper_jax.model import heads, hf, transformer, weights

Params = Any
PAD, B, T = 0, 4, 40
SIZES: dict[str, Any] = {
    "vocab_size": 128,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "pad_token_id": PAD,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 1000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,  # the texts go on beyond it
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2": ("Qwen2", {"tie_word_embeddings": False, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
    "qwen2-tied": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3", {"tie_word_embeddings": False, "head_dim": 16}),
    "qwen3-tied": ("Qwen3", {"tie_word_embeddings": True, "head_dim": 16, "rms_norm_eps": 1e-5}),
    "llama": ("Llama", {"tie_word_embeddings": False, "rope_parameters": LLAMA3, "rms_norm_eps": 1e-5}),
    "llama-tied": ("Llama", {"tie_word_embeddings": True, "rope_parameters": LLAMA3, "head_dim": 16}),
}


def make(family: str, kind: str, more: dict[str, Any], seed: int = 0) -> Any:
    """A random model of transformers, with biases and scales that are not zero and one."""
    settings = getattr(transformers, f"{family}Config")(**SIZES | more)
    torch.manual_seed(seed)
    model = getattr(transformers, f"{family}For{kind}")(settings).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(1.0 if "norm" in name else 0.0, 0.2)
    return model


def imported(folder: Path, scored: bool = False, mesh: Any = None, **run_time: Any) -> tuple[Params, Model]:
    """The folder's weights and shapes, with no other crossing of the border than the accounted ones."""
    mesh = mesh or sharding.make_mesh(config.Mesh(), jax.devices()[:1])
    plain: dict[str, Any] = {"dtype": "float32", "remat": "none"} | run_time
    cfg = hf.resolve("policy", Model(**plain), hf.read_config(folder).model, str(folder))
    with jax.transfer_guard("disallow"):
        blank = loading.blank(weights.abstract(cfg, scored, mesh))
        return loading.load(blank, hf.tensors(folder, cfg, scored)), cfg


def exported(folder: Path, params: Params, cfg: Model, scored: bool, dtype: hf.Dtype = "float32", **more: Any) -> None:
    mesh = jax.tree.leaves(params)[0].sharding.mesh
    with jax.transfer_guard("disallow"):
        arrays = loading.unload(params, cfg, scored, dtype, mesh)
        how: dict[str, Any] = {"original": {}} | more
        hf.save(folder, cfg, scored, dtype, arrays, **how)


def texts(seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Tokens [B, T] that are never the padding, and which of them are real under left and right padding."""
    token_BT = np.random.default_rng(seed).integers(3, SIZES["vocab_size"], (B, T))
    length_B = np.array([T, 30, 7, 1])
    left_BT = np.arange(T)[None] >= T - length_B[:, None]
    return token_BT, {"left": left_BT, "right": left_BT[:, ::-1].copy()}


def logits_of(params: Params, token_BT: np.ndarray, real_BT: np.ndarray, cfg: Model) -> np.ndarray:
    return np.asarray(
        heads.logits(params, transformer.forward(params, jnp.array(token_BT), jnp.array(real_BT), cfg), cfg)
    )


def scores_of(params: Params, token_BT: np.ndarray, real_BT: np.ndarray, cfg: Model) -> np.ndarray:
    score_BT = jax.jit(heads.score, static_argnums=3)(params, jnp.array(token_BT), jnp.array(real_BT), cfg)
    last_B = np.max(np.where(real_BT, np.arange(real_BT.shape[1])[None], 0), axis=1)
    return np.asarray(score_BT)[np.arange(len(last_B)), last_B]


def logits_of_torch(model: Any, token_BT: np.ndarray, real_BT: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        out = model(input_ids=torch.tensor(token_BT), attention_mask=torch.tensor(real_BT).long())
    return out.logits.float().numpy()


def same(a: Params, b: Params) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


def tensors_in(folder: Path) -> dict[str, np.ndarray]:
    """All tensors of a folder, read by the reference library."""
    found: dict[str, np.ndarray] = {}
    for file in folder.glob("*.safetensors"):
        found |= safetensors.numpy.load_file(file)
    return found


def edited(folder: Path, **change: Any) -> None:
    """Change keys of config.json; None removes one."""
    path = folder / "config.json"
    tree = {key: value for key, value in (json.loads(path.read_text()) | change).items() if value is not None}
    path.write_text(json.dumps(tree))
