"""What a section about text refuses."""

import math
from typing import Any

import pytest

from cooper_jax import config
from cooper_jax.config import Evaluation, Optim, UserError


def test_prompts_must_show_what_they_ask_about() -> None:
    with pytest.raises(UserError, match=r"assistant.prompt lacks \{reference\}"):
        config.Assistant(prompt="{question} {completion}")
    with pytest.raises(UserError, match="without a model"):
        config.Assistant(kind="server")
    with pytest.raises(UserError, match="without a model"):
        config.Annotate(judge="server")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": math.inf}, "Optim.lr = inf: must be finite"),
        ({"b1": math.nan}, "Optim.b1 = nan: must be finite"),
        ({"b2": 2.0}, "optim.b2 = 2.0: must be at least 0 and below 1"),
        ({"weight_decay": math.nan}, "Optim.weight_decay = nan"),
        ({"weight_decay": -0.1}, "optim.weight_decay = -0.1: must not be negative"),
        ({"eps": 0.0}, "optim.eps = 0.0: must be positive"),
    ],
)
def test_numbers_that_no_optimizer_can_use(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Optim(**options)
    with pytest.raises(UserError, match=r"Evaluation.temperatures = .*: must be finite"):
        Evaluation(temperatures=(1.0, math.nan))
