"""Where a model comes from: its shapes, its tokenizer, its first weights.

They come from a Hugging Face folder, from another run's directory, or, without either, from the seed.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import jax

from cooper_jax import config
from cooper_jax.config import Config, Trainee, path, require
from cooper_jax.config.paths import require_folder
from cooper_jax.device import keys, loading
from cooper_jax.device.keys import Use
from cooper_jax.device.state import ModelState
from cooper_jax.host import arithmetic
from cooper_jax.host.text import encode
from cooper_jax.host.text import tokenizer as hf_tokenizer
from cooper_jax.model import hf, weights
from cooper_jax.run import checkpoint, directory

MODELS = "a Hugging Face folder, or the directory of a run"


def resolve(name: str, trainee: Trainee, run_dir: str = "") -> Trainee:
    """`trainee` with the shapes that it leaves open taken from its `init`, a Hugging Face folder or run directory;
    where that is gone, from the run in `run_dir` that started from it, if one is to be continued.

    Raises UserError where they disagree, or where there is nothing to take.
    """
    where = run_dir if run_dir and gone(trainee.init) else trainee.init
    if hf.is_folder(where):
        found = hf.read_config(where).model
    elif trainee.model.given:
        return trainee
    else:
        require(where != "", f"{name}.model has no shapes; give them, or a folder to start from")
        found = getattr(configuration(where), _item(name)).model
        require(found.given, f"the run in {where} has no {name} model")
    return replace(trainee, model=hf.resolve(name, trainee.model, found, where))


def gone(where: str) -> bool:
    """Whether no folder lies any more at `where`, which a setting names."""
    return where != "" and not path(where).exists()


def ran(where: str) -> Config | None:
    """The configuration of the run in `where`; None of a Hugging Face folder. Raises UserError where neither lies."""
    return None if hf.is_folder(where) else configuration(where)


def configuration(where: str | Path) -> Config:
    """Of the run in `where`. Raises UserError: no such folder, or no run in it."""
    require_folder(where, MODELS)
    there = sorted(file.name for file in path(where).iterdir())
    require(
        "config.json" in there,
        f"{where} holds no config.json, so that it is neither a Hugging Face folder nor the directory of a run; it "
        f"holds {', '.join(there[:5]) or 'nothing'}{' ...' if len(there) > 5 else ''}",
    )
    return config.from_json(path(where) / "config.json")


def tokenizer(name: str, trainee: Trainee, source: str, run_dir: str = "") -> encode.Tokenizer:
    """The tokenizer that a model's setting names, that beside its first weights, or the built-in task's; where the
    folder is gone, that of the run in `run_dir` that started from it, if one is to be continued."""
    kept = str(directory.tokenizer(run_dir, name)) if run_dir else ""
    if kept and gone(trainee.tokenizer or trainee.init) and hf_tokenizer.is_folder(kept):
        trainee = replace(trainee, tokenizer=kept)
    beside = (f"{trainee.init}/tokenizer/{_item(name)}", trainee.init) if trainee.init else ()
    folder = trainee.tokenizer or next((place for place in beside if hf_tokenizer.is_folder(place)), "")
    if trainee.tokenizer or (trainee.init and not run_dir and source != "arithmetic"):
        require_folder(trainee.tokenizer or trainee.init, MODELS)
    require(
        folder != "" or source == "arithmetic",
        f"{name}: no tokenizer lies in {trainee.init or 'init'}, and only the built-in task does without; "
        f"put its files there, or set {name}.tokenizer to a folder that has them",
    )
    made = hf_tokenizer.Tokenizer(folder) if folder else arithmetic.Tokenizer()
    require(
        trainee.model.vocab >= len(made),
        f"{name}.model.vocab = {trainee.model.vocab} is smaller than the tokenizer's {len(made)} tokens; "
        f"use {len(made)} or more",
    )
    return made


def initial_state(
    trainee: Trainee, item: Literal["policy", "reward"], seed: int, updates: int, mesh: jax.sharding.Mesh
) -> ModelState:
    """A fresh optimizer on weights from `trainee.init`, or on random ones; `updates` is where its schedule ends."""
    reward = item == "reward"
    key = keys.key(seed, Use.REWARD_WEIGHTS if reward else Use.POLICY_WEIGHTS)
    state = loading.init_state(trainee, reward, mesh, key, updates)
    if hf.is_folder(trainee.init):
        # Over the random weights: a score head that the folder lacks is the seed's.
        return replace(state, params=loading.load(state.params, hf.tensors(trainee.init, trainee.model, reward)))
    if trainee.init:
        state = replace(state, params=None)  # Never two sets of weights on the devices.
        state = replace(state, params=load_params(trainee.init, item, trainee, mesh))
    return state


def initial_params(trainee: Trainee, seed: int, mesh: jax.sharding.Mesh) -> Any:
    """The policy's first weights, once more."""
    if trainee.init:
        return load_params(trainee.init, "policy", trainee, mesh)
    return loading.init_state(trainee, False, mesh, keys.key(seed, Use.POLICY_WEIGHTS), 1).params


def load_params(
    where: str, item: Literal["policy", "reward"], trainee: Trainee, mesh: jax.sharding.Mesh, step: int = 0
) -> Any:
    """Trained weights from the checkpoint of a run directory that `checkpoint.choose` finds, or from a Hugging Face
    folder, for use without training.

    Raises UserError: not there, damaged, of other shapes, or a reward model without a score head.
    """
    reward = item == "reward"
    like = weights.abstract(trainee.model, reward, mesh)
    if not hf.is_folder(where):
        require_folder(where, MODELS)
        return checkpoint.load_params(where, item, like, step)
    require(
        hf.read_config(where).scored or not reward,
        f"{where} holds a causal language model, which has no score head; train one on it with cooper fit-reward",
    )
    return loading.load(loading.blank(like), hf.tensors(where, trainee.model, reward))


def shown(where: str, step: int) -> str:
    """What a report calls the model in `where`: the folder and, of a run, the checkpoint that `load_params` takes.

    Raises UserError where there is none, or a step is asked of a Hugging Face folder.
    """
    if not hf.is_folder(where):
        return f"{where}, {checkpoint.choose(where, step).why}"
    require(step == 0, f"{where} is a Hugging Face folder, which has no step {step}; leave the step out")
    return where


def _item(name: str) -> Literal["policy", "reward"]:
    """Which model of a run a model starts from: a frozen one, such as an assistant, from the policy."""
    return "reward" if name == "reward" else "policy"
