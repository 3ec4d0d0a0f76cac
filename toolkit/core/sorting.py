"""Put rows of any number and width in the order of their keys, in bounded memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np
import pyarrow as pa

# Positions beyond this go to a temporary file; a million rows with UUID keys take 32 MB.
_SETTINGS: dict[str, str | int | float | list[str]] = {
    "threads": 1,
    "preserve_insertion_order": False,
    "memory_limit": "128MB",
}
# Lines read back at a time.
_LINES = 8_192


def in_key_order(schema: pa.Schema, rows: Iterable[tuple[list[pa.Array], pa.Array]]) -> Iterator[bytes]:
    """The lines of `rows`, each batch of which is its keys (`schema`) and its lines, ordered by key.

    Text is ordered by its bytes, whatever the collation of the database that it comes from. Lines wait in a temporary
    file, and only keys and positions are sorted, so that a row may be of any width.
    """
    import duckdb

    with (
        tempfile.TemporaryDirectory(prefix="toolkit-") as directory,
        duckdb.connect(config={**_SETTINGS, "temp_directory": directory}) as sorter,
        tempfile.TemporaryFile(dir=directory) as lines,
    ):
        names = [f"k{i}" for i in range(len(schema))]
        positions = pa.schema(
            [*(f.with_name(n) for f, n in zip(_sortable(schema), names, strict=True)),
             pa.field("start", pa.int64()), pa.field("length", pa.int64())]
        )
        sorter.register("incoming", positions.empty_table())
        sorter.execute("CREATE TABLE positions AS FROM incoming")
        end = 0
        for keys, texts in rows:
            lengths = _spool(texts, lines)
            starts = end + np.cumsum(lengths) - lengths
            end += int(lengths.sum())
            columns = [_sortable_values(key) for key in keys]
            sorter.register("incoming", pa.table([*columns, starts, lengths], schema=positions))
            sorter.execute("INSERT INTO positions FROM incoming")
        lines.flush()
        ordered = sorter.sql(f"SELECT start, length FROM positions ORDER BY {', '.join(names)}")
        for batch in ordered.to_arrow_reader(_LINES):
            yield _read_back(lines.fileno(), *(column.to_numpy() for column in batch.columns))


def _spool(texts: pa.Array, lines: IO[bytes]) -> np.ndarray:
    """Append the lines, one behind the other; their lengths in bytes."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32, count=len(texts) + 1, offset=4 * texts.offset)
    lines.write(texts.buffers()[2][int(offsets[0]) : int(offsets[-1])])
    return np.diff(offsets).astype(np.int64)


def _read_back(file: int, starts: np.ndarray, lengths: np.ndarray) -> bytes:
    """The lines at these positions, neighbours in one go."""
    breaks = np.flatnonzero(starts[1:] != starts[:-1] + lengths[:-1]) + 1
    ends = starts + lengths
    first = starts[np.concatenate(([0], breaks))].tolist()
    last = ends[np.concatenate((breaks - 1, [len(starts) - 1]))].tolist()
    read = os.pread
    return b"".join([read(file, end - start, start) for start, end in zip(first, last, strict=True)])


def _sortable(schema: pa.Schema) -> list[pa.Field]:
    return [pa.field(f.name, pa.int64()) if pa.types.is_temporal(f.type) else f for f in schema]


def _sortable_values(values: pa.Array) -> pa.Array:
    """Dates and times as numbers: infinite ones are beyond what DuckDB's types hold."""
    if not pa.types.is_temporal(values.type):
        return values
    return values.view(pa.int32() if pa.types.is_date32(values.type) else pa.int64()).cast(pa.int64())
