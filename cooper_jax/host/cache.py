"""Answers kept by the hash of what was asked, so that work that was paid for once survives a kill."""

import hashlib
import json
import os
from typing import Any

from cooper_jax.config import UserError
from cooper_jax.host.mirror import Mirror


def content_key(*parts: Any) -> str:
    """Hash of anything JSON can write; equal content gives an equal key, whatever the order of its dicts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Cache:
    """A file of JSON lines `[key, value]`; a context manager. The last value of a key counts.

    Each line is appended by one write, so that a kill loses no more than the line it cut and several processes may
    share a file; on an object store a kill loses seconds, and each process needs a file of its own. Memory holds keys
    and places only. Raises UserError for a file that is not such a cache.
    """

    def __init__(self, place: str | os.PathLike[str]) -> None:
        self._mirror = Mirror(place)
        local = self._mirror.local
        try:
            local.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(local, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise UserError(f"the cache {place} cannot be opened: {error.strerror}; give another place") from None
        self._places: dict[str, tuple[int, int]] = {}
        start, line = 0, b"\n"
        with local.open("rb") as lines:
            for line in lines:
                try:
                    key, _ = json.loads(line)
                    self._places[key] = (start, len(line))
                except (ValueError, TypeError):
                    pass  # cut by a kill: that answer will be asked for again
                start += len(line)
        if start and not self._places:
            self.close()
            raise UserError(f"{place} is not a cache; remove it or give another place")
        if not line.endswith(b"\n"):
            os.write(self._file, b"\n")

    def get(self, key: str) -> Any:
        """The value kept under `key`, or None."""
        if key not in self._places:
            return None
        start, size = self._places[key]
        return json.loads(os.pread(self._file, size, start))[1]

    def put(self, key: str, value: Any) -> None:
        """Keep `value`, which JSON can write and is not None."""
        line = json.dumps([key, value]).encode() + b"\n"
        os.write(self._file, line)
        end = os.lseek(self._file, 0, os.SEEK_CUR)  # behind this line, even where others append
        self._places[key] = (end - len(line), len(line))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
        self._mirror.close()

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
