"""Files that grow, on an object store: written here, and copied there every few seconds."""

import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

from cooper_jax.config import UserError, is_local, path
from cooper_jax.config.paths import copy

EVERY = 5.0
"""Seconds between copies, the most that a kill loses."""
SHARE = 0.1
"""Copying takes at most this share of the time: a large file is copied less often."""


class Mirror:
    """A file, or a folder, that can be appended to wherever it lies; a context manager.

    Write to `local`. On this machine that is the place itself. For an object store, which can only replace whole
    objects, it lies in a temporary folder, beginning with the file that is there, and whatever changed in it is copied
    every `EVERY` seconds and at the end.
    """

    def __init__(self, place: str | os.PathLike[str]) -> None:
        self._there = path(place)
        self.local, self._folder = self._there, None
        if is_local(self._there):
            return
        self._folder = Path(tempfile.mkdtemp(prefix="cooper-"))
        self.local = self._folder / self._there.name
        self._copied: dict[Path, tuple[int, int]] = {}
        if self._there.is_file():
            copy(self._there, self.local)
            self._copied[self.local] = _version(self.local)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"copy of {self._there}", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        pause = EVERY
        while not self._ended.wait(pause):
            begun = time.monotonic()
            try:
                self._copy()
            except Exception as error:  # Whatever a store's client raises; `close` tries for the last time.
                print(f"warning: {self._there} could not be written ({error}); trying again", flush=True)
            pause = max(EVERY, (time.monotonic() - begun) / SHARE)

    def _copy(self) -> None:
        for file in sorted(file for file in self.local.parent.rglob("*") if file.is_file()):
            version = _version(file)
            if self._copied.get(file) != version:
                copy(file, self._there.joinpath(*file.relative_to(self.local).parts))
                self._copied[file] = version

    def close(self) -> None:
        """Copy what is new, and remove the temporary folder. Raises UserError where the store does not take it."""
        if self._folder:
            self._ended.set()
            self._thread.join()
            try:
                self._copy()
            except Exception as error:  # Whatever a store's client raises.
                raise UserError(f"{self._there} could not be written: {error}; it is kept in {self.local}") from error
            shutil.rmtree(self._folder)

    def __enter__(self) -> "Mirror":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _version(file: Path) -> tuple[int, int]:
    about = file.stat()
    return about.st_size, about.st_mtime_ns
