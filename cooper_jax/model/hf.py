"""Hugging Face folders: `config.json` <-> Model, and safetensors shards <-> rows of the weight table.

Names and axes are those of `weights.table`; nothing here knows a tensor by itself. Files are read as data: no pickle,
no code from the folder.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from cooper_jax.config import RUN_TIME, Model, RopeScaling, UserError, path, require
from cooper_jax.config.paths import copy_files, read_object, unfinished
from cooper_jax.model import safetensors, weights
from cooper_jax.model.weights import Weight

FAMILIES: dict[str, dict[str, Any]] = {
    "Qwen2": {"qkv_bias": True},
    "Qwen3": {"qkv_bias": False, "qk_norm": True},
    "Llama": {"qkv_bias": False},
}
"""What sets the architectures apart; beyond it they are one decoder."""
CAUSAL, SCORED = "ForCausalLM", "ForSequenceClassification"
SIZES = {
    "vocab": "vocab_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
}
INDEX = "model.safetensors.index.json"
DAMAGED = "fetch or save it again"
"""What mends a file of a Hugging Face folder."""
SHARD_BYTES = 5_000_000_000
SPARE_BYTES = 1 << 20
"""Room for what an export holds beside its weights."""

Dtype = Literal["bfloat16", "float32"]


class Folder(NamedTuple):
    """What `config.json` says."""

    model: Model
    scored: bool
    """A sequence classifier with one label, or else a causal language model."""
    config: dict[str, Any]
    """As it stands in the file."""


class Tensor(NamedTuple):
    """A tensor of a file, its axes split by `row.hf_letters`; `layer` is None where all layers are one tensor."""

    row: Weight
    layer: int | None
    array: np.ndarray


def is_folder(place: str | Path) -> bool:
    """Whether a model in Hugging Face's layout lies at `place`, rather than a run directory (or nothing)."""
    folder = path(place)
    if place == "" or not folder.is_dir():
        return False
    try:
        config = json.loads((folder / "config.json").read_text())
        return "architectures" in config or "model_type" in config
    except (OSError, ValueError, TypeError, RecursionError):
        return bool(_names(folder, ".safetensors"))


# config.json


def read_config(folder: str | Path) -> Folder:
    """Read `config.json`.

    Raises UserError naming file and key: an unknown architecture, or anything this decoder would not compute.
    """
    file = path(folder) / "config.json"
    require(file.is_file(), f"{file}: no such file; give a folder with config.json and *.safetensors")
    config = read_object(file, DAMAGED)
    try:
        family, scored = _architecture(config)
        _refuse(config)
        return Folder(_model(config, family), scored, config)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None


def resolve(name: str, model: Model, found: Model, where: str) -> Model:
    """`model` with what it leaves open taken from `found`, the model in the folder `where`.

    Raises UserError where the two disagree: on anything, if the shapes are given, else on what is not the default. A
    number that is the same in float32 agrees.
    """
    blank = Model()
    for key in (field.name for field in fields(Model) if field.name not in RUN_TIME):
        mine, theirs = getattr(model, key), getattr(found, key)
        open_ = mine == getattr(blank, key) and (not model.given or key == "context")
        same = np.float32(mine) == np.float32(theirs) if isinstance(mine, float) else mine == theirs
        require(
            bool(same) or open_,
            f"{name}.model.{key} = {mine}, but {where} has {theirs}; leave the shapes out to take them from there",
        )
    return replace(found, **{key: getattr(model, key) for key in RUN_TIME})


def family(cfg: Model) -> str:
    """The architecture that computes what `cfg` does. Raises UserError where there is none."""
    for name, marks in FAMILIES.items():
        if (cfg.qkv_bias, cfg.qk_norm) == (marks["qkv_bias"], marks.get("qk_norm", False)):
            return name
    raise UserError("qkv_bias and qk_norm together are no Hugging Face architecture; turn one of them off to export")


def _architecture(config: dict[str, Any]) -> tuple[str, bool]:
    known = {f"{name}{kind}": (name, kind == SCORED) for name in FAMILIES for kind in (CAUSAL, SCORED)}
    names = config.get("architectures")
    require(
        isinstance(names, list) and len(names) == 1 and names[0] in known,
        f"architectures = {names}: unknown; cooper knows {', '.join(known)}",
    )
    name, scored = known[config["architectures"][0]]
    if scored:
        labels = config.get("id2label")
        count = len(labels) if isinstance(labels, dict) else config.get("num_labels", 2)
        require(count == 1, f"{count} labels (num_labels, id2label): a reward model has one")
    return name, scored


def _refuse(config: dict[str, Any]) -> None:
    """Raise UserError for settings that change what is computed in a way this decoder does not know."""
    for key in ("attention_bias", "mlp_bias", "quantization_config"):
        require(not config.get(key), f"{key} = {config.get(key)} is not supported")
    act = config.get("hidden_act", "silu")
    require(act == "silu", f"hidden_act = {act!r} is not supported, only 'silu'")
    first = config.get("max_window_layers") or 0
    require(
        not config.get("use_sliding_window") or first >= _int(config, SIZES["layers"]),
        f"use_sliding_window = true from layer {first} on is not supported: attention here sees the whole text",
    )
    kinds = set(config.get("layer_types") or ["full_attention"])
    require(kinds == {"full_attention"}, f"layer_types has {sorted(kinds)}; only full_attention is supported")
    share = config.get("partial_rotary_factor") or 1
    require(share == 1, f"partial_rotary_factor = {share} is not supported")


def _model(config: dict[str, Any], name: str) -> Model:
    sizes = {ours: _int(config, key) for ours, key in SIZES.items()}
    if config.get("head_dim") is None:
        require(name != "Qwen3", "head_dim is missing, and Qwen3 does not derive it")
        require(sizes["width"] % max(sizes["heads"], 1) == 0, "head_dim is missing, and hidden_size does not divide")
    theta, scaling = _rope(config)
    return Model(
        **sizes,
        kv_heads=sizes["heads"] if config.get("num_key_value_heads") is None else _int(config, "num_key_value_heads"),
        head_dim=sizes["width"] // sizes["heads"] if config.get("head_dim") is None else _int(config, "head_dim"),
        tied=config.get("tie_word_embeddings", False),
        rope_theta=theta,
        rope_scaling=scaling,
        norm_eps=config.get("rms_norm_eps", 1e-6),
        context=0 if config.get("max_position_embeddings") is None else _int(config, "max_position_embeddings"),
        **FAMILIES[name],
    )


def _rope(config: dict[str, Any]) -> tuple[float, RopeScaling | None]:
    """Base and scaling, in the spelling of transformers 5 (`rope_parameters`) or the older one."""
    key = "rope_parameters" if config.get("rope_parameters") else "rope_scaling"
    given = config.get(key) or {}
    require(isinstance(given, dict), f"{key} = {given!r}: must be an object")
    theta = given.get("rope_theta", config.get("rope_theta", 10_000.0))
    kind = given.get("rope_type", given.get("type", "default"))
    require(kind in ("default", "llama3"), f"{key}: rope_type = {kind!r} is not supported, only 'default' and 'llama3'")
    require(given.get("partial_rotary_factor", 1) == 1, f"{key}: partial_rotary_factor is not supported")
    if kind == "default":
        return theta, None
    names = ("factor", "low_freq_factor", "high_freq_factor")
    missing = [name for name in names if name not in given]
    require(not missing, f"{key} lacks {', '.join(missing)}")
    length: Any = given.get("original_max_position_embeddings", config.get("max_position_embeddings"))
    return theta, RopeScaling(**{name: given[name] for name in names}, original_len=length)


def _int(config: dict[str, Any], key: str) -> int:
    value = config.get(key)
    if type(value) is not int or value < 1:
        raise UserError(f"{key} = {value!r}: must be a whole number, at least 1")
    return value


# Reading weights


def tensors(folder: str | Path, cfg: Model, scored: bool) -> Iterator[Tensor]:
    """The weights of `cfg` from the shards of `folder`, file by file, each read when it is drawn.

    All names and shapes are checked before the first is read. A reward model (`scored`) may come from a causal language
    model: then there is no score head to draw. Raises UserError naming tensor and file.
    """
    found = read_config(folder)
    resolve("reward" if scored else "policy", cfg, found.model, str(folder))
    require(
        scored or not found.scored,
        f"{folder} holds a sequence classifier, which has no language-model head; a policy starts from a causal LM",
    )
    shards = _shards(path(folder))
    rows = [row for row in weights.table(cfg, scored) if found.scored or row.path != "score"]
    wanted = {row.hf.format(layer): (row, layer) for row in rows for layer in _layers(row, cfg)}
    lacking = [name for name in wanted if name not in shards]
    require(
        not lacking,
        f"{folder} lacks the tensor {lacking[0] if lacking else ''} ({len(lacking)} of {len(wanted)} are missing); "
        f"its files are {', '.join(sorted({entry.file.name for entry in shards.values()}))}",
    )
    for name, entry in shards.items():
        if _ignored(name, cfg, scored):
            continue
        require(name in wanted, f"{entry.file}: tensor {name} has no place in the model of its config.json")
        shape = weights.hf_shape(wanted[name][0], cfg)
        require(
            entry.shape == shape,
            f"{entry.file}: tensor {name} has shape {entry.shape}, and by config.json it has {shape}",
        )
    for file, names in groupby((name for name in shards if name in wanted), key=lambda name: shards[name].file):
        with safetensors.opened(file) as handle:
            for name in names:
                row, layer = wanted[name]
                yield Tensor(row, layer, handle.get_tensor(name).reshape(weights.hf_axes(row, cfg)))


def _layers(row: Weight, cfg: Model) -> list[int | None]:
    return list(range(cfg.layers)) if row.stacked else [None]


def _ignored(name: str, cfg: Model, scored: bool) -> bool:
    """Copies of the embedding, heads that a reward model has no use for, rotary tables, which the config implies."""
    return (name == "lm_head.weight" and (scored or cfg.tied)) or name.endswith("rotary_emb.inv_freq")


def _shards(folder: Path) -> dict[str, safetensors.Entry]:
    """Every tensor of the folder: of the files that the index names, or, without one, of all safetensors files.

    Those of a file stand together, in its order.
    """
    index = folder / INDEX
    mapped = _index(index) if index.is_file() else None
    files = sorted(set(mapped.values())) if mapped else _names(folder, ".safetensors")
    pickles = _names(folder, ".bin", ".pt", ".pth")
    require(
        len(files) > 0 or not pickles,
        f"{folder} holds pickle files only ({', '.join(pickles)}), which can run code and are not read; convert them: "
        "AutoModelForCausalLM.from_pretrained(OLD).save_pretrained(NEW)",
    )
    require(len(files) > 0, f"{folder} holds no *.safetensors")
    found: dict[str, safetensors.Entry] = {}
    for file in files:
        require(Path(file).name == file, f"{index} names the file {file!r}; shards must lie in the folder itself")
        require((folder / file).is_file(), f"{index} names the file {file}, which is not there")
        entries = safetensors.entries(folder / file)
        for name in found.keys() & entries.keys():
            raise UserError(f"tensor {name} is in both {found[name].file} and {file}; keep the files of one model")
        found |= entries
    for name, file in (mapped or {}).items():
        require(
            name in found and found[name].file.name == file,
            f"{index} places the tensor {name} in {file}, which does not hold it",
        )
    return found


def _names(folder: Path, *ends: str) -> list[str]:
    """Names of the files that end so."""
    return sorted(file.name for file in folder.iterdir() if file.suffix in ends)


def _index(file: Path) -> dict[str, str]:
    mapped: Any = read_object(file, DAMAGED).get("weight_map")
    require(
        isinstance(mapped, dict) and len(mapped) > 0 and all(isinstance(name, str) for name in mapped.values()),
        f"{file} is damaged: it must hold a weight_map from tensors to files; {DAMAGED}",
    )
    return mapped


# Writing


def layout(cfg: Model, scored: bool) -> list[tuple[Weight, int | None]]:
    """The tensors of an export in the order of its files: embedding, layer by layer, what comes after."""
    rows = weights.table(cfg, scored)
    first, *rest = [row for row in rows if not row.stacked]
    layers = [(row, layer) for layer in range(cfg.layers) for row in rows if row.stacked]
    return [(first, None), *layers, *((row, None) for row in rest)]


def save(
    folder: str | Path,
    cfg: Model,
    scored: bool,
    dtype: Dtype,
    arrays: Iterator[np.ndarray],
    original: dict[str, Any],
    pad_id: int | None = None,
    beside: Sequence[Path] = (),
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write `config.json` and shards of at most `shard_bytes` that transformers loads.

    `arrays` are the tensors of `layout`, in that order, drawn one at a time. Of `original`, the `config.json` that the
    model came from, what a Model does not settle is kept; the files of the folders `beside`, such as a tokenizer's, are
    copied. The folder appears under its name once it is complete; in an object store, `config.json` comes last.
    Raises UserError: something is there already, or the disk has no room.
    """
    target, code = path(folder), {"bfloat16": "BF16", "float32": "F32"}[dtype]
    shapes = {row.hf.format(layer): weights.hf_shape(row, cfg) for row, layer in layout(cfg, scored)}
    size = {name: int(np.prod(shape)) * safetensors.DTYPES[code].itemsize for name, shape in shapes.items()}
    check_empty(target)
    parts = _parts(size, shard_bytes)
    with unfinished(target, sum(size.values()) + SPARE_BYTES) as made:
        for other in beside:
            copy_files(other, made, [file.name for file in other.iterdir()])
        mapped: dict[str, str] = {}
        for number, names in enumerate(parts, 1):
            file = f"model-{number:05}-of-{len(parts):05}.safetensors" if len(parts) > 1 else "model.safetensors"
            safetensors.write(made / file, {name: shapes[name] for name in names}, code, arrays)
            mapped |= dict.fromkeys(names, file)
        if len(parts) > 1:
            index = {"metadata": {"total_size": sum(size.values())}, "weight_map": mapped}
            (made / INDEX).write_text(json.dumps(index, indent=2) + "\n")
        config = _config(cfg, scored, dtype, original, pad_id)
        (made / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def check_empty(target: Path) -> None:
    """Raise UserError unless `target` can be made, or is an empty folder."""
    require(
        not target.exists() or (target.is_dir() and not any(target.iterdir())),
        f"{target} is there already; nothing is overwritten, so give another folder",
    )


def _parts(size: dict[str, int], limit: int) -> list[list[str]]:
    """Names in order, cut into files of at most `limit` bytes (or of one tensor)."""
    parts: list[list[str]] = []
    filled = limit
    for name, bytes_ in size.items():
        if filled + bytes_ > limit:
            parts.append([])
            filled = 0
        parts[-1].append(name)
        filled += bytes_
    return parts


def _config(cfg: Model, scored: bool, dtype: Dtype, original: dict[str, Any], pad_id: int | None) -> dict[str, Any]:
    name = family(cfg)
    dropped = ("rope_parameters", "rope_scaling", "dtype", "num_labels", "transformers_version", "_name_or_path")
    config = {key: value for key, value in original.items() if key not in dropped}
    config |= {key: getattr(cfg, ours) for ours, key in SIZES.items()}
    config |= {
        "architectures": [name + (SCORED if scored else CAUSAL)],
        "model_type": name.lower(),
        "num_key_value_heads": cfg.kv_heads,
        "hidden_act": "silu",
        "rms_norm_eps": cfg.norm_eps,
        "tie_word_embeddings": cfg.tied,
        "rope_theta": cfg.rope_theta,
        "torch_dtype": dtype,
    }
    if not original or "head_dim" in original:  # Elsewhere readers derive it, as we have.
        config["head_dim"] = cfg.head_dim
    if cfg.rope_scaling:
        scaling = cfg.rope_scaling
        config["rope_scaling"] = {
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
            "original_max_position_embeddings": scaling.original_len,
        }
        config.setdefault("max_position_embeddings", int(scaling.factor * scaling.original_len))
    if scored:
        config |= {"num_labels": 1, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    if pad_id is not None:
        config["pad_token_id"] = pad_id
    return config
