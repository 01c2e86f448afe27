"""Models that the tests of this folder only read, made once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
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


@pytest.fixture
def nothing_kept() -> Iterator[None]:
    """No program goes into the cache on disk: one for chips that are not there could not be read back."""
    name = "jax_persistent_cache_min_compile_time_secs"
    seconds = jax.config.values[name]
    jax.config.update(name, 1e9)
    yield
    jax.config.update(name, seconds)
