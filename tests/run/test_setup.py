"""What a program finds in place before it starts."""

from pathlib import Path
from typing import Any

import jax
import pytest

from cooper_jax.config import Config, Model, Trainee, UserError
from cooper_jax.run import machine, start


@pytest.mark.parametrize("given", [True, False])
def test_a_model_that_is_not_there(given: bool, tiny: Model, tmp_path: Path) -> None:
    """What is not there, and how to get it, whether or not the configuration has shapes."""
    where = str(tmp_path / "Some-Model")
    trainee = Trainee(tiny if given else Model(), init=where)
    with pytest.raises(
        UserError,
        match=r"Some-Model: no such folder; give .*; train that model first, or .* hf download OWNER/Some-Model",
    ):
        start.tokenizer("policy", start.resolve("policy", trainee), "rows.jsonl")


def test_compiled_programs_are_kept_where_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The configuration's folder, unless the environment names one; a folder that cannot be made costs one line."""
    seen: dict[str, Any] = {}
    monkeypatch.setattr(jax.config, "update", seen.__setitem__)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    machine.keep_compiled(Config(Trainee(), Trainee()).compile_cache)
    assert seen["jax_compilation_cache_dir"] == str(tmp_path / ".cache" / "cooper_jax")
    assert seen["jax_persistent_cache_min_compile_time_secs"] < 1
    seen.clear()
    machine.keep_compiled("")
    (tmp_path / "file").touch()
    machine.keep_compiled(str(tmp_path / "file" / "folder"))
    assert not seen
    assert "compiled programs are not kept" in capsys.readouterr().out
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    machine.keep_compiled(str(tmp_path))
    assert "jax_compilation_cache_dir" not in seen
