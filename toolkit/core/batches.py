"""How much of a table is held at a time: batches of at most so many rows and so many bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import pyarrow as pa

T = TypeVar("T")

# 8,192 rows of a usual table are 3 MB: as fast as more, and what several threads hold of them at once stays small
# (a verified load of a million todos peaks at 240 MB; at 16,384 rows, 306 MB).
BATCH_ROWS = 8_192
# A dozen copies of a batch may live at once: read, waiting, encoded, sent, digested. A single row may be larger.
BATCH_BYTES = 8 << 20
# What a value counts beside its characters. As a Python object it takes twice as much, but every column of every
# batch costs time too: at 64 bytes each, tables of 300 columns took twice as long.
CELL_BYTES = 32


def fitting_rows(columns: int, rows: int = BATCH_ROWS, size: int = BATCH_BYTES) -> int:
    """How many rows of so many columns a batch may have; fewer than `rows` from 33 columns on."""
    return max(1, min(rows, size // (CELL_BYTES * columns)))


def has_fixed_width(type_: pa.DataType) -> bool:
    """Whether all values of a type take as many bytes."""
    return bool(pa.types.is_primitive(type_) or pa.types.is_fixed_size_binary(type_) or pa.types.is_decimal(type_))


def sized(
    batches: Iterable[pa.RecordBatch], rows: int = BATCH_ROWS, size: int = BATCH_BYTES
) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of at most `rows` and `size` bytes: larger ones are cut, small ones put together."""
    waiting: list[pa.RecordBatch] = []
    count = held = 0
    for batch in batches:
        for piece in pieces(batch, rows, size):
            if waiting and (count + piece.num_rows > rows or held + piece.nbytes > size):
                yield _joined(waiting)
                waiting, count, held = [], 0, 0
            waiting.append(piece)
            count, held = count + piece.num_rows, held + piece.nbytes
    if waiting:
        yield _joined(waiting)


def pieces(batch: pa.RecordBatch, rows: int = BATCH_ROWS, size: int = BATCH_BYTES) -> Iterator[pa.RecordBatch]:
    """A batch cut into pieces of at most `rows` and `size` bytes, none of them empty; they share its memory."""
    for start in range(0, batch.num_rows, rows):
        yield from _halved(batch.slice(start, rows), size)


def parts(rows: Iterable[T], most: int, size_of: Callable[[T], int], size: int = BATCH_BYTES) -> Iterator[list[T]]:
    """The same rows in lists of at most `most`, each ended by the row with which it has `size` bytes."""
    part: list[T] = []
    held = 0
    for row in rows:
        part.append(row)
        held += size_of(row)
        if len(part) == most or held >= size:
            yield part
            part, held = [], 0
    if part:
        yield part


def copied(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """Some columns in memory of their own: what drivers and files give is let go of as a whole only."""
    columns = [pa.concat_arrays([batch.column(name)]) for name in names]
    return pa.record_batch(columns, schema=pa.schema([batch.schema.field(name) for name in names]))


def gathered(batches: Iterable[pa.RecordBatch], rows: int, size: int) -> Iterator[pa.Table]:
    """The same rows in tables of at least `rows` or `size` bytes, the last one smaller."""
    waiting: list[pa.RecordBatch] = []
    count = held = 0
    for batch in batches:
        waiting.append(batch)
        count, held = count + batch.num_rows, held + batch.nbytes
        if count >= rows or held >= size:
            yield _emptied(waiting)
            count = held = 0
    if waiting:
        yield _emptied(waiting)


def _emptied(waiting: list[pa.RecordBatch]) -> pa.Table:
    """What waits, handed over: nothing else keeps it in memory."""
    rows = pa.Table.from_batches(waiting)
    waiting.clear()
    return rows


def _halved(batch: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    if batch.num_rows == 1 or batch.nbytes <= size:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _halved(batch.slice(0, half), size)
    yield from _halved(batch.slice(half), size)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
