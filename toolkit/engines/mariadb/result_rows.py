"""Rows as the server sends them, many at once: PyMySQL takes longer for one value than Arrow for a whole row.

A row is a packet; each of its values has its length before it, or is a byte that says NULL ("Text Resultset Row" of
MariaDB's manual).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from toolkit.core.tables import ColumnSpec
from toolkit.engines.mariadb.adapters import CODEC
from toolkit.engines.mariadb.packets import HEAD_BYTES, Packets

Places = npt.NDArray[np.int64]

_NULL = 0xFB
# By the first byte of a value that is not its length, how many bytes behind it say that.
_LENGTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}


class _Values(NamedTuple):
    """Where the values of a column are."""

    begins: Places
    ends: Places
    are_null: npt.NDArray[np.bool_]


def batch_of(columns: Sequence[ColumnSpec], packets: Packets, schema: pa.Schema) -> pa.RecordBatch:
    """Rows in the canonical schema.

    Raises:
        ValueError, pyarrow.ArrowException: a value is none of its column's type.
    """
    values = _values(packets, len(columns))
    fields = _fields(packets.data, values)
    per_row = 2 * len(columns)
    found = []
    for place, (column, own) in enumerate(zip(columns, values, strict=True)):
        rows = np.arange(len(packets.heads) - 1) * per_row + 2 * place + 1
        taken = fields.take(pa.array(rows, mask=own.are_null if own.are_null.any() else None))
        found.append(CODEC.adapter(column).incoming(taken))
    return pa.record_batch(found, schema=schema)


def _values(packets: Packets, columns: int) -> list[_Values]:
    data = np.frombuffer(packets.data, np.uint8)
    heads = np.array(packets.heads, np.int64)
    at = heads[:-1] + HEAD_BYTES
    found = []
    for _ in range(columns):
        found.append(_next_values(data, at))
        at = found[-1].ends
    if not np.array_equal(at, heads[1:]):
        raise ValueError(f"rows of other columns than the {columns} that were asked for")
    return found


def _next_values(data: npt.NDArray[np.uint8], at: Places) -> _Values:
    lengths = data[at].astype(np.int64)
    begins = at + 1
    are_null = lengths == _NULL
    if lengths.max(initial=0) >= _NULL:
        for mark, size in _LENGTHS.items():
            long = np.flatnonzero(lengths == mark)
            digits = [data[begins[long] + place].astype(np.int64) << 8 * place for place in range(size)]
            lengths[long] = np.sum(digits, axis=0)
            begins[long] += size
        lengths[are_null] = 0
    return _Values(begins, begins + lengths, are_null)


def _fields(data: bytes, columns: Sequence[_Values]) -> pa.Array:
    """The values of all rows, and between them what is none: the whole without a copy, cut where any value ends."""
    bounds = np.stack([bound for each in columns for bound in (each.begins, each.ends)], axis=1)
    offsets = np.concatenate(([0], bounds.ravel(), [len(data)])).astype(np.int32)
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
