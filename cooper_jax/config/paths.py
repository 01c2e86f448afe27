"""Paths of run directories, models and data: folders of this machine, or `gs://` of an object store."""

import os

from etils import epath

from cooper_jax.config.errors import UserError, require


def path(name: str | os.PathLike[str]) -> epath.Path:
    """What stands at `name`, a local path or a `gs://` one, with the methods of `pathlib.Path`.

    Raises UserError: another store than gs://, or the package that reads it is not installed.
    """
    text = os.fspath(name)
    scheme, mark, _ = text.partition("://")
    if mark:
        require(scheme == "gs", f"{text}: {scheme}:// is not supported; give a local path or a gs:// one")
        try:
            import gcsfs  # noqa: F401  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError:
            raise UserError(f"{text} needs the gcs extra: pip install 'cooper-jax[gcs]'") from None
    return epath.Path(text)


def is_local(place: str | os.PathLike[str]) -> bool:
    """Whether `place` is a path of this machine, which knows appending, renaming and free space."""
    return "://" not in os.fspath(place)
