"""What tests of whole programs share: to call a command, to read a run's records and weights."""

import jax
import numpy as np
import pytest

from cooper_jax import config
from cooper_jax.__main__ import main
from cooper_jax.config import Config
from cooper_jax.mesh import sharding
from cooper_jax.model import weights
from cooper_jax.run import checkpoint
from cooper_jax.run.curves import records

TOY = config.builtin("toy.py")


def fails(capsys: pytest.CaptureFixture[str], *args: str, code: int = 1) -> str:
    """Run the command; it must end with `code` and without a traceback. Returns what it said."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(list(args))
    said = capsys.readouterr()
    assert stop.value.code == code
    assert "Traceback" not in said.err + said.out
    return said.err + said.out


def said(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    main(list(args))
    return capsys.readouterr().out


def one_error(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Run the command; it must say one error, with exit code 1. Returns it."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(list(args))
    error = capsys.readouterr().err
    assert stop.value.code == 1 and error.startswith("error: ") and error.count("\n") == 1, error
    return error


def timeless(run_dir: str) -> list[dict[str, float]]:
    clocks = ("seconds", "tokens_per_second")
    return [{k: v for k, v in r.items() if not k.startswith(clocks)} for r in records(run_dir)]


def final_weights(cfg: Config, item: str) -> list[np.ndarray]:
    mesh = sharding.make_mesh(cfg.mesh)
    trainee = cfg.policy if item == "policy" else cfg.reward
    params = checkpoint.load_params(cfg.dir, item, weights.abstract(trainee.model, item == "reward", mesh))  # pyright: ignore
    return [np.asarray(leaf) for leaf in jax.tree.leaves(params)]
