"""Configurations in files: the Python file a user writes, and the JSON a run keeps."""

import dataclasses
import json
import runpy
import traceback
from pathlib import Path
from typing import Any, get_args, get_type_hints

from cooper_jax.config.errors import UserError, require
from cooper_jax.config.paths import here, path, read_object
from cooper_jax.config.run import Config


def load(place: str) -> Config:
    """Run the Python file at `place` and return the `config` it defines.

    Raises UserError: no such file, an error inside it (with its line), or no `config`.
    """
    file = path(place)
    require(file.is_file(), f"config {place}: no such file; give the path of a Python file that defines `config`")
    with here(file) as local:
        try:
            config = runpy.run_path(str(local)).get("config")
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
        except Exception as error:  # A config is the user's own program: whatever it raises is theirs to mend.
            frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == local]
            line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else "?"
            raise UserError(f"{place}, line {line}: {type(error).__name__}: {error}") from None
    if not isinstance(config, Config):
        raise UserError(f"{place}: defines no `config = Config(...)`")
    return config


def builtin(name: str) -> str:
    """Path of a config that ships with the package."""
    package = Path(__file__).parent.parent
    for folder in (package.parent / "configs", package / "configs"):
        if (folder / name).is_file():
            return str(folder / name)
    raise UserError(f"the built-in config {name} is missing from this installation; install cooper_jax again")


def to_json(config: Config) -> str:
    """The resolved config as JSON text. A config holds no secret: keys are read from the environment."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A config read from JSON by dotted names."""
    out = {}
    for name, value in tree.items():
        out |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return out


def from_json(place: str | Path) -> Config:
    """The config that `to_json` wrote into the file at `place`, every value checked again.

    Raises UserError: no such file, not JSON, a name that no config has, a value of the wrong type.
    """
    try:
        tree = read_object(path(place), "put back the file that the run wrote, or give another run")
    except FileNotFoundError:
        raise UserError(f"{place}: no such file; give the directory of a run") from None
    try:
        return _rebuilt(Config, tree, "config")
    except UserError as error:
        raise UserError(f"{place}: {error}") from None


def _rebuilt(hint: Any, value: Any, name: str) -> Any:
    """`value` as read from JSON in the types that `hint` names: dataclasses from objects, tuples from lists."""
    kind: Any = next((h for h in (hint, *get_args(hint)) if dataclasses.is_dataclass(h)), None)
    if isinstance(value, list):
        inner = (get_args(hint) or (Any,))[0]
        return tuple(_rebuilt(inner, item, name) for item in value)
    if kind is None or (value is None and kind is not hint):
        return value
    if not isinstance(value, dict):
        raise UserError(f"{name} = {value!r}: must be an object")
    hints = get_type_hints(kind)
    unknown = sorted(value.keys() - hints.keys())
    require(not unknown, f"{name} has no {', '.join(unknown)}; it has {', '.join(hints)}")
    needed = [f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING]
    missing = [key for key in needed if key not in value]
    require(not missing, f"{name} lacks {', '.join(missing)}")
    return kind(**{key: _rebuilt(hints[key], item, f"{name}.{key}") for key, item in value.items()})
