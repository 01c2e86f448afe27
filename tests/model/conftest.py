"""Models that the tests of this folder only read, made once."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def causal(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    """Every variant as a causal language model: in torch, and in a folder."""
    from hf_models import VARIANTS, make  # imports torch, which half of this folder does without

    made = {}
    for name, (family, more) in VARIANTS.items():
        model, folder = make(family, "CausalLM", more), tmp_path_factory.mktemp(name)
        model.save_pretrained(folder)
        made[name] = (model, folder)
    return made
