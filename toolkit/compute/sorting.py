"""Put rows of any number and width in the order of their keys, in bounded memory.

By sorted runs of its own: DuckDB's ORDER BY, and Arrow's, hold whole rows, and rows here may be megabytes wide.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from toolkit.compute.scratch import scratch_directory

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
    part of the result lie together in each run: a few reads and one permutation make it. What is one run, Arrow sorts
    alone: DuckDB takes 20 ms to begin.
    """
    runs = _runs(rows, schema)
    first, second = next(runs, None), next(runs, None)
    if first is None:
        return
    if second is None and first.is_sorted:
        yield _content(first.lines)
        return
    yield from _merged(schema, chain([first], [second] if second else [], runs))


def _merged(schema: pa.Schema, runs: Iterable[_Run]) -> Iterator[bytes]:
    import duckdb

    with (
        scratch_directory() as directory,
        duckdb.connect(config={**_SETTINGS, "temp_directory": str(directory)}) as sorter,
        tempfile.TemporaryFile(dir=directory) as lines,
    ):
        fields = _sortable(schema)
        positions = pa.schema([*fields, pa.field("start", pa.int64()), pa.field("length", pa.int64())])
        sorter.register("incoming", positions.empty_table())
        sorter.execute("CREATE TABLE positions AS FROM incoming")
        end = 0
        for run in runs:
            lengths = _spool(run.lines, lines)
            starts = end + np.cumsum(lengths) - lengths
            end += int(lengths.sum())
            sorter.register("incoming", pa.table([*run.keys, starts, lengths], schema=positions))
            sorter.execute("INSERT INTO positions FROM incoming")
        lines.flush()
        order = ", ".join(field.name for field in fields)
        ordered = sorter.sql(f"SELECT start, length FROM positions ORDER BY {order}")
        for batch in ordered.to_arrow_reader(_LINES):
            yield from _read_back(lines.fileno(), *(column.to_numpy() for column in batch.columns))


class _Run(Struct, frozen=True):
    """Some megabytes of rows: sorted by key, where Arrow can do that."""

    keys: list[pa.Array]
    lines: pa.Array
    is_sorted: bool


def _runs(rows: Iterable[tuple[list[pa.Array], pa.Array]], schema: pa.Schema) -> Iterator[_Run]:
    waiting: list[pa.RecordBatch] = []
    schema = pa.schema([*_sortable(schema), pa.field(_LINE, pa.string())])
    for keys, texts in rows:
        if not len(texts):
            continue
        waiting.append(pa.record_batch([*map(_sortable_values, keys), texts], schema=schema))
        if sum(batch.nbytes for batch in waiting) >= _RUN_BYTES:
            yield _run(waiting)
            waiting = []
    if waiting:
        yield _run(waiting)


def _run(batches: list[pa.RecordBatch]) -> _Run:
    table = pa.Table.from_batches(batches).combine_chunks()
    is_sorted = False
    with suppress(pa.ArrowNotImplementedError, pa.ArrowTypeError):
        table = table.take(pc.sort_indices(table, [(name, "ascending") for name in table.column_names[:-1]]))
        is_sorted = True
    (batch,) = table.combine_chunks().to_batches()
    return _Run(batch.columns[:-1], batch.columns[-1], is_sorted)


def _content(texts: pa.Array) -> bytes:
    """The lines, one behind the other."""
    offsets = _offsets(texts)
    return bytes(texts.buffers()[2][int(offsets[0]) : int(offsets[-1])])


def _offsets(texts: pa.Array) -> np.ndarray:
    return np.frombuffer(texts.buffers()[1], np.int32, count=len(texts) + 1, offset=4 * texts.offset)


def _spool(texts: pa.Array, lines: IO[bytes]) -> np.ndarray:
    """Append the lines; their lengths in bytes."""
    lines.write(_content(texts))
    return np.diff(_offsets(texts)).astype(np.int64)


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
    """The fields of the keys, under names that nothing has to quote."""
    return [pa.field(f"k{number}", _sortable_type(field.type)) for number, field in enumerate(schema)]


def _sortable_type(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_temporal(type_):
        return pa.int64()
    return pa.binary() if pa.types.is_fixed_size_binary(type_) else type_


def _sortable_values(values: pa.Array) -> pa.Array:
    """Dates and times as numbers, as infinite ones are beyond DuckDB's types; UUIDs as bytes, which Arrow sorts."""
    if not pa.types.is_temporal(values.type):
        return values.cast(_sortable_type(values.type))
    return values.view(pa.int32() if pa.types.is_date32(values.type) else pa.int64()).cast(pa.int64())
