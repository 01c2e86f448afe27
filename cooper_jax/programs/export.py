"""`cooper export`: a trained model as a folder that transformers loads."""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import jax
import tyro

from cooper_jax.config import Mesh, Trainee, path, require
from cooper_jax.config.paths import folder_here, read_object
from cooper_jax.device import loading
from cooper_jax.host import arithmetic
from cooper_jax.host.text.tokenizer import FILES
from cooper_jax.mesh import hosts, sharding
from cooper_jax.model import hf, weights
from cooper_jax.run import checkpoint, directory, start


@dataclass(frozen=True)
class Export:
    """Which model of which run, and where to."""

    run: Annotated[str | Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run directory; its best checkpoint is read where one was kept as such, else the newest."""
    model: Literal["policy", "reward"]
    """The policy becomes a causal language model, the reward model a sequence classifier with one label."""
    to: Annotated[str | Path, tyro.conf.arg(metavar="PATH")]
    """Folder to make; nothing is overwritten."""
    step: int = 0
    """The checkpoint of this step instead; 0: the best, or the newest."""
    dtype: hf.Dtype = "float32"
    """float32 loses nothing, bfloat16 takes half the room."""
    mesh: Mesh = field(default_factory=Mesh)
    """Devices that hold the weights meanwhile."""


def export(cfg: Export) -> Path:
    """Write config, weights and tokenizer of `cfg.model` into `cfg.to`, and return that folder."""
    hosts.start()
    run, to = path(cfg.run), path(cfg.to)
    with hosts.together():
        hf.check_empty(to)
        require(not hf.is_folder(run), f"{run} is a Hugging Face folder already; give the directory of a run")
        ran = start.configuration(run)
    trainee: Trainee = getattr(ran, cfg.model)
    scored = cfg.model == "reward"
    require(trainee.model.given, f"the run in {run} has no {cfg.model} model")
    chosen, mesh = checkpoint.choose(str(run), cfg.step), sharding.make_mesh(cfg.mesh)
    weights.check_mesh(cfg.model, trainee.model, mesh)
    kept, tokenizer = directory.origin(run, cfg.model), directory.tokenizer(run, cfg.model)
    file = kept / "config.json"
    fix = "put back the config.json of the model that the run started from, or remove that folder"
    original = read_object(file, fix) if file.is_file() else {}
    with TemporaryDirectory() as made, jax.set_mesh(mesh), jax.transfer_guard("disallow"):
        if not tokenizer.is_dir() and ran.data.source == "arithmetic":
            tokenizer = Path(made)
            arithmetic.Tokenizer().export(tokenizer)
        pad_id = _pad_id(tokenizer, original) if scored else None
        like = weights.abstract(trainee.model, scored, mesh)
        params = checkpoint.load_params(str(run), cfg.model, like, chosen.step)
        arrays = loading.unload(params, trainee.model, scored, cfg.dtype, mesh)
        beside = [folder for folder in (kept, tokenizer) if folder.is_dir()]
        if hosts.is_main():
            hf.save(to, trainee.model, scored, cfg.dtype, arrays, original, pad_id, beside)
        for _ in arrays:  # Each is fetched by all processes together.
            pass
        with hosts.together():
            """None leaves before the folder is whole."""
    print(f"wrote {to}: the {cfg.model} of {chosen.why}")
    return to


def _pad_id(folder: Path, original: dict[str, Any]) -> int:
    """The token by which a classifier finds the end of a text. Raises UserError where none is set."""
    if not folder.is_dir():
        require("pad_token_id" in original, f"{folder}: no tokenizer there, so the classifier's pad token is not known")
        return original["pad_token_id"]
    from transformers import AutoTokenizer

    with folder_here(folder, (*FILES, "config.json")) as local:
        pad = AutoTokenizer.from_pretrained(str(local), local_files_only=True, trust_remote_code=False).pad_token_id
    require(pad is not None, f"the tokenizer in {folder} has no pad token, and a classifier needs one; set it there")
    return pad
