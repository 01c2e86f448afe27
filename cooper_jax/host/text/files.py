"""Files of rows: JSON lines, one JSON array, parquet, and what tfds has prepared."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from cooper_jax.config import Data, UserError, path, require
from cooper_jax.host.text.formats import FORMATS

Row = dict[str, Any]


def rows(
    source: str, split: str, cfg: Data, wanted: Callable[[Row], Collection[str]]
) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Each row's place, and how to read it; reading raises ValueError where the row is broken.

    Of parquet, only the columns are read that `wanted` names, given a row without values; it raises ValueError where
    the right ones are not there. `split` is of tfds. Raises UserError: no such source, or one that cannot be read.
    """
    if source.startswith("tfds:"):
        yield from _tfds_rows(source, split, cfg)
        return
    file = path(source)
    require(
        file.suffix in (".jsonl", ".json", ".parquet"),
        f"data source {source!r}: use arithmetic, a .jsonl, .json or .parquet file, one as published "
        "(NAME:PATH), or tfds:NAME",
    )
    require(file.is_file(), f"data source {source}: no such file{_misnamed(source)}")
    with file.open("rb") as stream:
        if file.suffix == ".parquet":
            yield from _parquet_rows(source, stream, wanted)
            return
        if (array := _array(stream)) is not None:
            for number, row in enumerate(array, 1):
                yield f"{source}, object {number}", lambda row=row: _object(row)
            return
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield f"{source}, line {number}", lambda line=line: _object(_json(line))


def _misnamed(source: str) -> str:
    """What to say where a file that is not there may be a misspelt format."""
    before, colon, after = source.partition(":")
    meant = colon and "/" not in before and not after.startswith("//")
    return f"; a source as published is NAME:PATH with NAME one of {', '.join(FORMATS)}" if meant else ""


def _array(stream: BinaryIO) -> list[Any] | None:
    """The rows of a file that is one JSON array; None, from the beginning again, of any other."""
    start = stream.read(64)
    stream.seek(0)
    if not start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        return None
    try:
        return json.loads(stream.read())
    except (ValueError, RecursionError):
        stream.seek(0)
        return None


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos + 1}") from None


def _object(row: Any) -> Row:
    if not isinstance(row, dict):
        raise ValueError('not a JSON object; each row must be one, such as {"question": ..., "answer": ...}')
    return row


def _parquet_rows(
    source: str, stream: Any, wanted: Callable[[Row], Collection[str]]
) -> Iterator[tuple[str, Callable[[], Row]]]:
    try:
        file = pq.ParquetFile(stream)
        # Only these columns: others may hold whole worked solutions.
        columns = {name.split(".")[0] for name in wanted(_nested(file.schema_arrow))}
        number = 0
        for batch in file.iter_batches(columns=sorted(columns)):
            for place, row in enumerate(_values(batch)):
                yield f"{source}, row {number + place}", row
            number += len(batch)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{source} is not a parquet file, or damaged: {error}") from None
    except ValueError as error:
        raise UserError(f"{source}: {error}") from None


def _values(batch: pa.RecordBatch) -> Iterator[Callable[[], Row]]:
    """How to read each row of a batch; one by one where one of them, such as a date beyond the year 9999 or text that
    is no UTF-8, cannot be."""
    try:
        yield from (lambda row=row: row for row in batch.to_pylist())
    except (ValueError, OverflowError, pa.ArrowException):
        yield from (lambda i=i: batch.slice(i, 1).to_pylist()[0] for i in range(len(batch)))


def _nested(fields: Iterable[pa.Field]) -> dict[str, Any]:
    """The names of a schema, as a row without values."""
    return {f.name: _nested(f.type) if pa.types.is_struct(f.type) else None for f in fields}


def _tfds_rows(source: str, split: str, cfg: Data) -> Iterator[tuple[str, Callable[[], Row]]]:
    import tensorflow_datasets as tfds  # without TensorFlow: data sources are read from array_record

    name = source.removeprefix("tfds:")
    try:
        rows: Any = tfds.data_source(name, split=split, data_dir=cfg.data_dir or None, download=False)
    except (ValueError, OSError, AssertionError, NotImplementedError) as error:
        first = f"{error}".strip().partition("\n")[0]
        raise UserError(
            f"{source}, split {split}: {first}; prepare the data set as array_record first (file_format in tfds), and "
            "name its folder with --data.data-dir"
        ) from None
    for number in range(len(rows)):
        yield f"{source}, split {split}, row {number}", lambda number=number: rows[number]
