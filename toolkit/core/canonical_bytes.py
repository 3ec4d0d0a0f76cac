"""The canonical bytes of values: of each its type's OID in PostgreSQL, its length (-1 for NULL), its binary form."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.logical import INFINITE_DATE, INFINITE_TIMESTAMP

# PostgreSQL's type OIDs, fixed since its first release with them (pg_type.dat).
OID_BOOL, OID_BYTEA, OID_INT8, OID_TEXT, OID_FLOAT8 = 16, 17, 20, 25, 701
OID_DATE, OID_TIME, OID_TIMESTAMP, OID_TIMESTAMPTZ, OID_UUID = 1082, 1083, 1114, 1184, 2950

_POSTGRES_EPOCH_DAYS = 10957
_POSTGRES_EPOCH_MICROSECONDS = 946_684_800_000_000
_NULL_LENGTH = b"\xff\xff\xff\xff"


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


def fixed(oid: int, words: np.ndarray, values: pa.Array) -> list[pa.Array]:
    """Values of one length, given by their bytes, a row of the matrix for each (anything where it is NULL)."""
    rows, width = words.shape
    cells = np.empty((rows, 8 + width), np.uint8)
    cells[:, :8] = np.frombuffer(struct.pack(">ii", oid, width), np.uint8)
    cells[:, 8:] = words
    whole = pa.Array.from_buffers(pa.binary(8 + width), rows, [None, pa.py_buffer(cells)]).cast(pa.binary())
    if not values.null_count:
        return [whole]
    return [pc.if_else(values.is_valid(), whole, pa.scalar(struct.pack(">i", oid) + _NULL_LENGTH, pa.binary()))]


def variable(oid: int, values: pa.Array) -> list[pa.Array]:
    """Texts or bytes."""
    rows = len(values)
    lengths = pc.binary_length(values).fill_null(-1).to_numpy(zero_copy_only=False)
    heads = np.empty((rows, 8), np.uint8)
    heads[:, :4] = np.frombuffer(struct.pack(">i", oid), np.uint8)
    heads[:, 4:] = big_endian(lengths, ">i4")
    head = pa.Array.from_buffers(pa.binary(8), rows, [None, pa.py_buffer(heads)]).cast(pa.binary())
    body = values.cast(pa.binary())
    return [head, body.fill_null(b"") if values.null_count else body]
