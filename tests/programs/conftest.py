"""Small random models of transformers in folders, for the commands that take any model."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from folders import tokenizer_folder

SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 48, "initializer_range": 0.3,
}  # fmt: skip


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
