"""A run's config.json is the configuration again, and a mistake in it is named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cooper_jax import config
from cooper_jax.config import Config, RopeScaling, UserError


def test_a_config_is_read_back(tiny_config: Config, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    model = replace(tiny_config.reward.model, rope_scaling=RopeScaling(8.0, 1.0, 4.0, 16))
    cfg = replace(tiny_config, reward=replace(tiny_config.reward, model=model))
    path.write_text(config.to_json(cfg))
    assert config.from_json(path) == cfg
    for change, message in (
        ({"stepz": 3}, r"config has no stepz; it has policy, reward"),
        ({"steps": "ten"}, r"Config.steps = 'ten'"),
        ({"rollout": {"group": 1}}, r"rollout.group = 1: an advantage"),
        ({"rollout": {"grup": 8}}, r"config.rollout has no grup"),
        ({"rollout": 3}, r"config.rollout = 3: must be an object"),
        (
            {"reward": {"model": {"rope_scaling": {"factor": 2.0}}}},
            r"config.reward.model.rope_scaling lacks low_freq_factor",
        ),
    ):
        path.write_text(json.dumps(json.loads(config.to_json(cfg)) | change))
        with pytest.raises(UserError, match=message) as error:
            config.from_json(path)
        assert str(path) in str(error.value)
    path.write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        config.from_json(path)
