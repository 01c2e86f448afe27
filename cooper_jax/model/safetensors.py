"""The safetensors file format, one tensor at a time: eight bytes of length, a JSON header, then the tensors' bytes.

The reference library maps a whole file for reading and gathers a whole file for writing; here the host never holds more
than one tensor. https://github.com/huggingface/safetensors#format
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from cooper_jax.config import UserError, require

DTYPES = {"F32": np.dtype(np.float32), "BF16": np.dtype(jnp.bfloat16), "F16": np.dtype(np.float16)}
"""Types of weights that are read; integers and 8-bit floats belong to quantized models."""
ALIGNED = 64
"""Bytes. From such an address a CPU device takes the host's memory as it stands, instead of a copy."""


class Entry(NamedTuple):
    """Where one tensor lies in its file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    """Byte of the file."""
    size: int
    """Bytes."""


def entries(file: Path) -> dict[str, Entry]:
    """The tensors in `file` by name.

    Raises UserError: not a safetensors file, cut short, or a header that contradicts itself.
    """
    whole = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        require(8 + length <= whole, _damaged(file, "its header goes beyond its end"))
        header = stream.read(length)
    try:
        tree: Any = json.loads(header)
        tree.pop("__metadata__", None)
        found = {name: _entry(file, 8 + length, value) for name, value in tree.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(_damaged(file, "its header cannot be read")) from None
    end = 8 + length
    for name, entry in sorted(found.items(), key=lambda item: item[1].start):
        require(entry.start == end, _damaged(file, f"tensor {name} does not begin where the one before it ends"))
        end += entry.size
    require(end == whole, _damaged(file, f"its tensors end at byte {end} and the file at byte {whole}"))
    for name, entry in found.items():
        require(
            entry.dtype in DTYPES,
            f"{file}: tensor {name} is of type {entry.dtype}; cooper reads {', '.join(DTYPES)}, so save the model in "
            "one of those (a quantized model must be dequantized first)",
        )
        wanted = math.prod(entry.shape) * DTYPES[entry.dtype].itemsize
        require(
            entry.size == wanted,
            _damaged(file, f"tensor {name} takes {entry.size} bytes where its shape and type need {wanted}"),
        )
    return found


def read(entry: Entry) -> np.ndarray:
    """The tensor, in memory of its own. Raises UserError where the file ends before it."""
    room = np.empty(entry.size + ALIGNED, np.uint8)
    skip = -room.ctypes.data % ALIGNED
    data = room[skip : skip + entry.size]
    with entry.file.open("rb") as stream:
        stream.seek(entry.start)
        got = stream.readinto(data.data)
    require(got == entry.size, _damaged(entry.file, "it ends within a tensor"))
    return data.view(DTYPES[entry.dtype]).reshape(entry.shape)


def write(file: Path, shapes: dict[str, tuple[int, ...]], dtype: str, tensors: Iterator[np.ndarray]) -> None:
    """Write tensors of `shapes` and `dtype` ("F32", ...), drawn in that order, one at a time."""
    # transformers looks for the metadata before it trusts a file.
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * DTYPES[dtype].itemsize
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            tensor = next(tensors)
            assert tensor.shape == shape and tensor.dtype == DTYPES[dtype]
            stream.write(np.ascontiguousarray(tensor).view(np.uint8).data)


def _entry(file: Path, base: int, value: dict[str, Any]) -> Entry:
    start, end = value["data_offsets"]
    shape = tuple(int(size) for size in value["shape"])
    return Entry(file, str(value["dtype"]), shape, base + int(start), int(end) - int(start))


def _damaged(file: Path, what: str) -> str:
    return f"{file} is damaged: {what}; fetch or save it again"
