"""Put rows of any number and width in the order of their keys, in bounded memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.scratch import scratch_directory

# Positions beyond this go to a temporary file; a million rows with UUID keys take 32 MB.
_SETTINGS: dict[str, str | int | float | list[str]] = {
    "threads": 1,
    "preserve_insertion_order": False,
    "memory_limit": "64MB",
}
# Lines read back at a time.
_LINES = 8_192
_RUN_BYTES = 4 << 20
_LINE = "line"


def in_key_order(schema: pa.Schema, rows: Iterable[tuple[list[pa.Array], pa.Array]]) -> Iterator[bytes]:
    """The lines of `rows`, each batch of which is its keys (`schema`) and its lines, ordered by key.

    Text is ordered by its bytes, whatever the collation of the database that it comes from. Runs of sorted lines wait
    in a temporary file, and DuckDB sorts only keys and positions, so that a row may be of any width. The rows of a
    part of the result lie together in each run: a few reads and one permutation make it.
    """
    import duckdb

    with (
        scratch_directory() as directory,
        duckdb.connect(config={**_SETTINGS, "temp_directory": str(directory)}) as sorter,
        tempfile.TemporaryFile(dir=directory) as lines,
    ):
        names = [f"k{i}" for i in range(len(schema))]
        fields = [field.with_name(name) for field, name in zip(_sortable(schema), names, strict=True)]
        positions = pa.schema([*fields, pa.field("start", pa.int64()), pa.field("length", pa.int64())])
        sorter.register("incoming", positions.empty_table())
        sorter.execute("CREATE TABLE positions AS FROM incoming")
        end = 0
        for keys, texts in _runs(rows, pa.schema(fields)):
            lengths = _spool(texts, lines)
            starts = end + np.cumsum(lengths) - lengths
            end += int(lengths.sum())
            sorter.register("incoming", pa.table([*keys.columns, starts, lengths], schema=positions))
            sorter.execute("INSERT INTO positions FROM incoming")
        lines.flush()
        ordered = sorter.sql(f"SELECT start, length FROM positions ORDER BY {', '.join(names)}")
        for batch in ordered.to_arrow_reader(_LINES):
            yield from _read_back(lines.fileno(), *(column.to_numpy() for column in batch.columns))


def _runs(
    rows: Iterable[tuple[list[pa.Array], pa.Array]], schema: pa.Schema
) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    """The same rows in runs of some megabytes, each sorted by key as far as Arrow can."""
    waiting: list[pa.RecordBatch] = []
    schema = schema.append(pa.field(_LINE, pa.string()))
    for keys, texts in rows:
        if not len(texts):
            continue
        waiting.append(pa.record_batch([*map(_sortable_values, keys), texts], schema=schema))
        if sum(batch.nbytes for batch in waiting) >= _RUN_BYTES:
            yield _run(waiting)
            waiting = []
    if waiting:
        yield _run(waiting)


def _run(batches: list[pa.RecordBatch]) -> tuple[pa.RecordBatch, pa.Array]:
    table = pa.Table.from_batches(batches).combine_chunks()
    with suppress(pa.ArrowNotImplementedError):
        table = table.take(pc.sort_indices(table, [(name, "ascending") for name in table.column_names[:-1]]))
    (batch,) = table.combine_chunks().to_batches()
    return batch.drop_columns([_LINE]), batch.column(_LINE)


def _spool(texts: pa.Array, lines: IO[bytes]) -> np.ndarray:
    """Append the lines, one behind the other; their lengths in bytes."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32, count=len(texts) + 1, offset=4 * texts.offset)
    lines.write(texts.buffers()[2][int(offsets[0]) : int(offsets[-1])])
    return np.diff(offsets).astype(np.int64)


def _read_back(file: int, starts: np.ndarray, lengths: np.ndarray) -> Iterator[bytes]:
    """The lines at these positions, as many at a time as memory allows."""
    cuts = np.flatnonzero(np.diff(np.cumsum(lengths) // _RUN_BYTES)) + 1
    for part, sizes in zip(np.split(starts, cuts), np.split(lengths, cuts), strict=True):
        yield _part(file, part, sizes)


def _part(file: int, starts: np.ndarray, lengths: np.ndarray) -> bytes:
    order = np.argsort(starts)
    first, sizes = starts[order], lengths[order]
    ends = first + sizes
    breaks = np.flatnonzero(first[1:] != ends[:-1])
    froms, tos = first[np.concatenate(([0], breaks + 1))], ends[np.concatenate((breaks, [len(ends) - 1]))]
    content = b"".join([os.pread(file, to - at, at) for at, to in zip(froms.tolist(), tos.tolist(), strict=True)])
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    texts = pa.Array.from_buffers(
        pa.large_binary(), len(sizes), [None, pa.py_buffer(offsets.astype(np.int64)), pa.py_buffer(content)]
    )
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    moved = texts.take(pa.array(back))
    return bytes(moved.buffers()[2][: len(content)])


def _sortable(schema: pa.Schema) -> list[pa.Field]:
    return [pa.field(f.name, pa.int64()) if pa.types.is_temporal(f.type) else f for f in schema]


def _sortable_values(values: pa.Array) -> pa.Array:
    """Dates and times as numbers: infinite ones are beyond what DuckDB's types hold."""
    if not pa.types.is_temporal(values.type):
        return values
    return values.view(pa.int32() if pa.types.is_date32(values.type) else pa.int64()).cast(pa.int64())
