"""The canonical bytes of values: of each its type's OID in PostgreSQL, its length (-1 for NULL), its binary form."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import groupby
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.moments import INFINITE_DATE, INFINITE_TIMESTAMP

# PostgreSQL's type OIDs, fixed since its first release with them (pg_type.dat).
OID_BOOL, OID_BYTEA, OID_INT8, OID_TEXT, OID_FLOAT8 = 16, 17, 20, 25, 701
OID_DATE, OID_TIME, OID_TIMESTAMP, OID_TIMESTAMPTZ, OID_UUID = 1082, 1083, 1114, 1184, 2950

_POSTGRES_EPOCH_DAYS = 10957
_POSTGRES_EPOCH_MICROSECONDS = 946_684_800_000_000
Part: TypeAlias = np.ndarray | pa.Array
"""Some bytes of each row: a matrix where they are as many in all rows."""

_NULL_LENGTH = b"\xff\xff\xff\xff"
# Made once: Arrow looks for a library of calendars, which need not be there, at each scalar (60 µs).
_NOTHING = pa.scalar(b"")


def postgres_timestamp(microseconds: np.ndarray) -> np.ndarray:
    """Microseconds since 1970 as PostgreSQL counts them, since 2000; infinities as its largest and smallest."""
    shifted = microseconds - _POSTGRES_EPOCH_MICROSECONDS
    shifted[microseconds == INFINITE_TIMESTAMP] = INFINITE_TIMESTAMP
    shifted[microseconds == -INFINITE_TIMESTAMP] = -INFINITE_TIMESTAMP - 1
    return shifted


def postgres_date(days: np.ndarray) -> np.ndarray:
    """Days since 1970 as PostgreSQL counts them, since 2000; infinities as its largest and smallest."""
    shifted = days - np.int32(_POSTGRES_EPOCH_DAYS)
    shifted[days == INFINITE_DATE] = INFINITE_DATE
    shifted[days == -INFINITE_DATE] = -INFINITE_DATE - 1
    return shifted


def numbers(values: pa.Array, type_: pa.DataType) -> np.ndarray:
    """A column as numbers of a type, anything where it is NULL."""
    filled = values.fill_null(False if pa.types.is_boolean(values.type) else 0) if values.null_count else values
    found: np.ndarray = filled.cast(type_).to_numpy(zero_copy_only=False)
    return found


def big_endian(words: np.ndarray, format_: str) -> np.ndarray:
    """Numbers as their bytes, a row of the matrix for each."""
    width = np.dtype(format_).itemsize
    return words.astype(format_).view(np.uint8).reshape(len(words), width)


def fixed(oid: int, words: np.ndarray, values: pa.Array) -> list[Part]:
    """Values of one length, given by their bytes, a row of the matrix for each (anything where it is NULL)."""
    rows, width = words.shape
    head = np.frombuffer(struct.pack(">ii", oid, width), np.uint8)
    null = np.frombuffer(struct.pack(">i", oid) + _NULL_LENGTH, np.uint8)
    if values.null_count == rows:
        return [np.broadcast_to(null, (rows, len(null)))]
    cells = np.empty((rows, 8 + width), np.uint8)
    cells[:, :8] = head
    cells[:, 8:] = words
    return [pc.if_else(values.is_valid(), _binary(cells), pa.scalar(null.tobytes()))] if values.null_count else [cells]


def variable(oid: int, values: pa.Array) -> list[Part]:
    """Texts or bytes."""
    lengths = pc.binary_length(values).fill_null(-1).to_numpy(zero_copy_only=False)
    heads = np.empty((len(values), 8), np.uint8)
    heads[:, :4] = np.frombuffer(struct.pack(">i", oid), np.uint8)
    heads[:, 4:] = big_endian(lengths, ">i4")
    body = values.cast(pa.binary())
    return [heads, body.fill_null(b"") if values.null_count else body]


def joined(parts: Sequence[Part]) -> pa.Array:
    """The parts of each row in one.

    Those of one length that stand side by side are put together first: each part of a row that Arrow appends costs
    60 ns.
    """
    columns: list[pa.Array] = []
    for is_fixed, group in groupby(parts, lambda part: isinstance(part, np.ndarray)):
        beside = list(group)
        columns += [_binary(np.concatenate(beside, axis=1))] if is_fixed else beside
    return pc.binary_join_element_wise(*columns, _NOTHING)


def _binary(cells: np.ndarray) -> pa.Array:
    rows, width = cells.shape
    bounds = np.arange(rows + 1, dtype=np.int32) * width
    # What was put together of repeated rows may lie column by column.
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(np.ascontiguousarray(cells))]
    return pa.Array.from_buffers(pa.binary(), rows, buffers)
