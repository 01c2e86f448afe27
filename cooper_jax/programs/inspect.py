"""`cooper inspect`: what a checkpoint holds, and what sets it apart from another."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from cooper_jax import config
from cooper_jax.config import Config, Trainee, path, require, visible
from cooper_jax.config.paths import read_object, require_folder
from cooper_jax.run import start
from cooper_jax.run.directory import Result
from cooper_jax.run.leaves import Checksums, Leaves, difference, digest

ABSENT = "absent"


@dataclass(frozen=True)
class Inspect:
    """A run and, to compare it with, another."""

    run: Annotated[str | Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run directory; its best checkpoint is read where one was kept as such, else the newest."""
    other: Annotated[str | Path, tyro.conf.Positional, tyro.conf.arg(metavar="OTHER")] = ""
    """Run directory to compare with, which may be the same; empty: none."""
    step: int = 0
    """The checkpoint of this step instead; 0: the best, or the newest."""
    other_step: int = 0
    """The same of OTHER; 0: `step`."""
    json: bool = False
    """Print JSON and nothing else."""

    def __post_init__(self) -> None:
        for name in ("step", "other_step"):
            value = getattr(self, name)
            require(
                value >= 0, f"--{name.replace('_', '-')} {value}: must not be negative; 0 is the best, or the newest"
            )
        require(bool(str(self.other)) or not self.other_step, f"--other-step {self.other_step} without OTHER")


def inspect(cfg: Inspect) -> Result:
    """Print what the checkpoint holds, or how the two differ; the figures are what `--json` prints.

    Arrays are read one at a time, on the host: neither the mesh of the run nor room for all of it is needed.
    Raises UserError: no run there, no such checkpoint, or one that cannot be read.
    """
    run = _opened(cfg.run, cfg.step)
    found = _compared(run, _opened(cfg.other, cfg.other_step or cfg.step)) if str(cfg.other) else _listed(run)
    if cfg.json:
        json.dump(found, sys.stdout, indent=2)
        print()
    elif str(cfg.other):
        _print_comparison(found)
    else:
        _print_list(found)
    return Result(path(cfg.run), found)


def _opened(run: str | Path, step: int) -> Leaves:
    require_folder(run, "the directory of a run")
    found = start.ran(str(run))
    require(
        found is not None, f"{run} is a Hugging Face folder, which holds no checkpoints; give the directory of a run"
    )
    return Leaves(str(run), step)


def _settings(of: Leaves) -> dict[str, Any]:
    return config.flat(read_object(of.folder.parent.parent / "config.json", "put back the file that the run wrote"))


def _about(of: Leaves) -> dict[str, Any]:
    about = {"run": str(of.folder.parent.parent), "step": of.chosen.step, "which": of.chosen.why}
    return about | {"cursor": of.cursor["problems"], "figure": of.figure}


def _listed(run: Leaves) -> dict[str, Any]:
    checksums, leaves = Checksums(), []
    for name, leaf in run.leaves.items():
        array = run.read(name)
        checksums.add(name, array)
        leaves.append({**leaf._asdict(), "bytes": leaf.nbytes, "sha256": digest(array)})
    saved = run.saved_checksums()
    whole = {"as_saved": not checksums.differ(saved) if saved else None, "damaged": checksums.differ(saved)}
    return _about(run) | whole | {"leaves": leaves, "settings": _settings(run)}


def _compared(a: Leaves, b: Leaves) -> dict[str, Any]:
    leaves = []
    for name in dict.fromkeys([*a.leaves, *b.leaves]):
        one, two = a.leaves.get(name), b.leaves.get(name)
        found: dict[str, Any] = {"name": name, "verdict": ABSENT, "shapes": [one and one.shape, two and two.shape]}
        if one and two and one.shape != two.shape:
            found["verdict"] = "other shape"
        elif one and two:
            most = difference(a.read(name), b.read(name))
            found["verdict"] = "same" if most == 0 else "differs"
            found |= {"max_abs_difference": most}
            found |= {"dtypes": [one.dtype, two.dtype]} if one.dtype != two.dtype else {}
        leaves.append(found)
    mine, theirs = _settings(a), _settings(b)
    apart = {
        name: [mine.get(name, ABSENT), theirs.get(name, ABSENT)]
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name, ABSENT) != theirs.get(name, ABSENT)
    }
    return {"run": _about(a), "other": _about(b), "leaves": leaves, "settings": apart}


def _print_list(found: dict[str, Any]) -> None:
    rows = [("leaf", "shape", "type", "bytes", "sha256")]
    for leaf in found["leaves"]:
        shape = " x ".join(map(str, leaf["shape"])) or "scalar"
        rows.append((leaf["name"], shape, leaf["dtype"], f"{leaf['bytes']:,}", leaf["sha256"]))
    _print_table(rows)
    plain = config.flat(json.loads(config.to_json(Config(policy=Trainee(), reward=Trainee()))))
    print("\nsettings that are not the defaults (--json prints all)")
    for name, value in found["settings"].items():
        if plain.get(name, ABSENT) != value:
            print(f"  {name} = {visible(repr(value))}")
    total = sum(leaf["bytes"] for leaf in found["leaves"])
    state = {True: "as saved", None: "saved without checksums", False: f"DAMAGED: {', '.join(found['damaged'])}"}
    print(f"\n{_line(found)}\n{len(found['leaves'])} arrays, {total:,} bytes, {state[found['as_saved']]}")


def _print_comparison(found: dict[str, Any]) -> None:
    rows = [("leaf", "verdict", "max |a - b|")]
    for leaf in found["leaves"]:
        most = leaf.get("max_abs_difference", 0.0)
        rows.append((leaf["name"], _verdict(leaf), "not finite" if most is None else f"{most:.3g}" if most else ""))
    _print_table(rows)
    print("\nsettings that differ" if found["settings"] else "\nthe settings are the same")
    for name, (one, two) in found["settings"].items():
        print(f"  {name}: {visible(repr(one))} | {visible(repr(two))}")
    same = sum(leaf["verdict"] == "same" for leaf in found["leaves"])
    print(
        f"\na: {_line(found['run'])}\nb: {_line(found['other'])}\n{same} of {len(found['leaves'])} arrays are the same"
    )


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _verdict(leaf: dict[str, Any]) -> str:
    one, two = leaf["shapes"]
    if leaf["verdict"] == ABSENT:
        return f"{ABSENT} from {'b' if two is None else 'a'}"
    if one != two:
        return f"{one} | {two}"
    return f"{leaf['verdict']}{', ' + ' | '.join(leaf['dtypes']) if 'dtypes' in leaf else ''}"


def _line(about: dict[str, Any]) -> str:
    figure = about["figure"]
    known = "" if figure is None else f"; figure {figure:.4g}"
    return f"{about['run']}, {about['which']}; {about['cursor']} questions taken{known}"
