"""Paths of run directories, models and data: on this machine, or `gs://` in an object store.

What both have in common is used, and no more: an object store has no folders of their own (`mkdir` makes nothing, and
`is_dir` asks for something inside), cannot append to a file or map it, and writes a file as a whole.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from etils import epath

from cooper_jax.config.errors import UserError, require


def path(place: str | os.PathLike[str]) -> Path:
    """`place`, with the methods of a Path wherever it is.

    Raises UserError: another store than gs://, or the package that reads it is not installed.
    """
    text = os.fspath(place)
    if is_local(text):
        return Path(text)
    scheme = text.partition("://")[0]
    require(scheme == "gs", f"{text}: {scheme}:// is not supported; give a local path or a gs:// one")
    try:
        import gcsfs  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]
        from fsspec.config import conf
    except ModuleNotFoundError:
        raise UserError(f"{text} needs the gcs extra: pip install 'cooper-jax[gcs]'") from None
    # A listing that is kept would not show what other processes have written since.
    conf["gcs"] = {"use_listings_cache": False} | conf.get("gcs", {})
    return cast(Path, epath.Path(text))


def is_local(place: str | os.PathLike[str]) -> bool:
    """Whether `place` is a path of this machine, where files can be appended to, and space runs out."""
    return "://" not in os.fspath(place)


def absolute(place: str | os.PathLike[str]) -> Path:
    """`path(place)` from the root on; epath's own `absolute` takes gs:// for a folder of the working directory."""
    return path(place).absolute() if is_local(place) else path(place)


def require_folder(place: str | os.PathLike[str], what: str) -> None:
    """Raise UserError unless a folder lies at `place`, where `what` is looked for: what is there instead, if anything,
    and how a model gets there."""
    found, text = path(place), os.fspath(place)
    if found.is_dir():
        return
    if found.is_file():
        gguf = ", and GGUF is not read" if found.suffix.lower() == ".gguf" else ""
        raise UserError(f"{text} is a file{gguf}; give a folder: {what}")
    # OWNER/NAME, as the Hub has it, but for the folders that hold what is fetched and what runs leave.
    hub = re.fullmatch(r"([A-Za-z0-9][\w.-]*)/([\w.-]+)", text)
    if hub and hub[1] not in ("models", "runs") and not path(hub[1]).is_dir():
        get = f"nothing is downloaded: hf download {text} --local-dir models/{hub[2]}, and give models/{hub[2]}"
    else:
        get = f"train that model first, or fetch it: hf download OWNER/{found.name} --local-dir {text}"
    raise UserError(f"{text}: no such folder; give {what}; {get}")


PART = ".part"
"""Ends the name of a file that is being written."""


@contextmanager
def here(file: Path) -> Iterator[Path]:
    """`file` on this machine, for what reads nothing else: itself, or a copy for as long as the body runs."""
    if is_local(file):
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="cooper-") as folder:
        copy(file, Path(folder) / file.name)
        yield Path(folder) / file.name


@contextmanager
def folder_here(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """`folder` on this machine: itself, or for as long as the body runs a copy of those of the files `names` that it
    has."""
    if is_local(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="cooper-") as made:
        copy_files(folder, Path(made), names)
        yield Path(made)


def write(place: Path, content: str | bytes) -> None:
    """Write `content` whole: a kill leaves the file of before, or this one."""
    data = content.encode() if isinstance(content, str) else content
    if not is_local(place):
        place.write_bytes(data)
        return
    part = place.with_name(f"{place.name}{PART}")
    part.write_bytes(data)
    part.replace(place)


def read_object(file: Path, fix: str) -> dict[str, Any]:
    """The JSON object in `file`. Raises UserError, with `fix`, where it is damaged."""
    try:
        found = json.loads(file.read_text())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not JSON: {error}; {fix}") from None
    require(isinstance(found, dict), f"{file} holds {type(found).__name__} where an object should be; {fix}")
    return found


def copy(file: Path, to: Path) -> None:
    """Write a copy of `file` at `to`; either may be anywhere."""
    with file.open("rb") as source, to.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 24)


def copy_files(folder: Path, to: Path, names: Sequence[str]) -> None:
    """Copy those of the files `names` that `folder` has into `to`, which is made where there are any."""
    found = [folder / name for name in names if (folder / name).is_file()]
    if found:
        to.mkdir(parents=True, exist_ok=True)
    for file in found:
        copy(file, to / file.name)


@contextmanager
def unfinished(target: Path, needed: int) -> Iterator[Path]:
    """Where to write `needed` bytes that appear as the folder `target` once the body is done; in an object store, which
    cannot rename a folder, that folder itself.

    Raises UserError where the disk has no room.
    """
    if not is_local(target):
        yield target
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    require(
        free >= needed,
        f"no space left: {target} needs {needed / 1e6:.0f} MB and the disk has {free / 1e6:.0f} MB free; free some, or "
        "export elsewhere",
    )
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        made = Path(folder) / target.name
        made.mkdir()
        yield made
        made.rename(target)
