"""What a section about text refuses."""

import pytest

from cooper_jax import config
from cooper_jax.config import UserError


def test_prompts_must_show_what_they_ask_about() -> None:
    with pytest.raises(UserError, match=r"assistant.prompt lacks \{reference\}"):
        config.Assistant(prompt="{question} {completion}")
    with pytest.raises(UserError, match="without a model"):
        config.Assistant(kind="server")
    with pytest.raises(UserError, match="without a model"):
        config.Annotate(judge="server")
