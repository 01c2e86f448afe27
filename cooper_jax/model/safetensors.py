"""The safetensors file format: read by the reference library, a tensor at a time, and written the same way.

The library gathers a whole file for writing, several GB of a large model; `write` holds one tensor. By its default
backend the library maps a file, which then counts in the process's memory as it is read; "pread" reads what is asked.
It reads files of this machine: those of an object store are fetched, one at a time.
https://github.com/huggingface/safetensors#format
"""

import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp  # gives numpy the type bfloat16, which the library looks up there
import numpy as np
from safetensors import SafetensorError, safe_open

from cooper_jax.config import UserError, is_local, require
from cooper_jax.config.paths import here

DTYPES = {"F32": np.dtype(np.float32), "BF16": np.dtype(jnp.bfloat16), "F16": np.dtype(np.float16)}
"""Types of weights that are read; integers and 8-bit floats belong to quantized models."""
_HEADER_BYTES = 100_000_000
"""The longest header that the library reads."""


class Entry(NamedTuple):
    """A tensor that lies in a file."""

    file: Path
    shape: tuple[int, ...]


@contextmanager
def opened(file: Path, header: bool = False) -> Iterator[Any]:
    """The library's handle of `file`, of which `get_tensor(name)` reads one tensor, in memory of its own; with
    `header`, what the handle knows without reading one.

    Raises UserError, here and in the body: not a safetensors file, cut short, or a header that contradicts itself.
    """
    try:
        with (_hollow if header else here)(file) as local, safe_open(local, "numpy", backend="pread") as handle:
            yield handle
    except SafetensorError as error:
        raise UserError(f"{file} is damaged: {error}; fetch or save it again") from None


@contextmanager
def _hollow(file: Path) -> Iterator[Path]:
    """`file` on this machine: itself, or for as long as the body runs a file of its header and size, holes for the
    rest."""
    if is_local(file):
        yield file
        return
    with file.open("rb") as stream, tempfile.NamedTemporaryFile(prefix="cooper-", suffix=".safetensors") as made:
        start = stream.read(8)
        made.write(start + stream.read(min(int.from_bytes(start, "little"), _HEADER_BYTES)))
        made.truncate(stream.seek(0, os.SEEK_END))
        made.flush()
        yield Path(made.name)


def entries(file: Path) -> dict[str, Entry]:
    """The tensors in `file` by name, in the order of the file; none is read.

    Raises UserError: a damaged file, or a tensor of a type that is not in DTYPES.
    """
    found: dict[str, Entry] = {}
    with opened(file, header=True) as handle:
        for name in handle.offset_keys():
            tensor = handle.get_slice(name)
            require(
                tensor.get_dtype() in DTYPES,
                f"{file}: tensor {name} is of type {tensor.get_dtype()}; cooper reads {', '.join(DTYPES)}, so save the "
                "model in one of those (a quantized model must be dequantized first)",
            )
            found[name] = Entry(file, tuple(tensor.get_shape()))
    return found


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
