"""Digests of rows, and of tables as sums of them: equal rows have equal digests in every engine.

The canonical bytes of a row are what PostgreSQL's `record_send` gives for the row of its canonical values: the
number of columns, then for each its type's OID, its length (-1 for NULL) and its binary form. A row's digest is the
MD5 of these bytes (against accidents, not against forgery); a table's is the number of its rows and the sum of the
first 64 bits of their digests, modulo 2**64, so it can be computed in any order and in parts.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.batches import copied
from toolkit.core.canonical_json import canonical_document, canonical_documents
from toolkit.core.decimals import decimal_text
from toolkit.core.tables import TableSpec
from toolkit.core.types import (
    FLOAT_KINDS,
    INFINITE_DATE,
    INFINITE_TIMESTAMP,
    INTEGER_KINDS,
    JSON_KINDS,
    TEXT_KINDS,
    Kind,
    LogicalType,
)
from toolkit.core.values import json_text

DIGEST = pa.binary(16)
DIGEST_FIELD = "toolkit_digest"

_POSTGRES_EPOCH_DAYS = 10957
_POSTGRES_EPOCH_MICROSECONDS = 946_684_800_000_000
_NULL_LENGTH = b"\xff\xff\xff\xff"

# PostgreSQL's type OIDs, fixed since its first release with them (pg_type.dat).
OID_BOOL, OID_BYTEA, OID_INT8, OID_TEXT, OID_FLOAT8 = 16, 17, 20, 25, 701
OID_DATE, OID_TIME, OID_TIMESTAMP, OID_TIMESTAMPTZ, OID_UUID = 1082, 1083, 1114, 1184, 2950


@dataclass(frozen=True, slots=True)
class TableDigest:
    """Number of rows and sum of the first 64 bits of their digests, modulo 2**64."""

    rows: int = 0
    total: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", self.total % 2**64)

    def __add__(self, other: TableDigest) -> TableDigest:
        return TableDigest(self.rows + other.rows, self.total + other.total)

    def __sub__(self, other: TableDigest) -> TableDigest:
        return TableDigest(self.rows - other.rows, self.total - other.total)

    @property
    def text(self) -> str:
        """A short form for reports."""
        return f"{self.rows}:{self.total:016x}"


def row_digests(spec: TableSpec, batch: pa.RecordBatch) -> pa.Array:
    """The digests of a batch in the table's canonical schema, 16 bytes a row."""
    return _md5(row_bytes(spec, batch))


def keyed_digests(spec: TableSpec, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The key columns of a batch and the digest of each row."""
    keys = copied(batch, spec.key)
    return pa.record_batch([*keys.columns, row_digests(spec, batch)], schema=digest_schema(spec))


def digest_schema(spec: TableSpec) -> pa.Schema:
    """Key columns, then the digest."""
    return spec.key_schema.append(pa.field(DIGEST_FIELD, DIGEST))


NO_ROWS = TableDigest()


def digest_words(digests: pa.Array) -> np.ndarray:
    """The first 64 bits of each digest, as signed integers."""
    words = np.frombuffer(digests.buffers()[1], ">i8", count=2 * len(digests), offset=16 * digests.offset)[::2]
    return words.astype(np.int64)


def sum_digests(digests: pa.Array) -> TableDigest:
    """The table digest of these rows."""
    return TableDigest(len(digests), int(digest_words(digests).sum()))


def digest_batches(spec: TableSpec, batches: Iterable[pa.RecordBatch]) -> TableDigest:
    """The table digest of a stream of rows."""
    total = TableDigest()
    for batch in batches:
        total += sum_digests(row_digests(spec, batch))
    return total


def digest_passthrough(
    spec: TableSpec, batches: Iterable[pa.RecordBatch], seen: Callable[[TableDigest], None]
) -> Iterator[pa.RecordBatch]:
    """Hand batches on unchanged and report the digest of each as it passes."""
    for batch in batches:
        seen(sum_digests(row_digests(spec, batch)))
        yield batch


def row_bytes(spec: TableSpec, batch: pa.RecordBatch) -> pa.Array:
    """The canonical bytes of each row: `record_send(ROW(...))` without asking PostgreSQL."""
    parts: list[pa.Array] = []
    for column in spec.columns:
        parts += _field(column.type, batch.column(column.name))
    count = pa.scalar(struct.pack(">i", len(spec.columns)), pa.binary())
    return pc.binary_join_element_wise(count, *parts, pa.scalar(b"", pa.binary()))


def _field(type_: LogicalType, values: pa.Array) -> list[pa.Array]:
    kind = type_.kind
    if kind in TEXT_KINDS:
        return _variable(OID_TEXT, values)
    if kind in JSON_KINDS:
        return _variable(OID_TEXT, canonical_documents(values))
    if kind is Kind.BYTES:
        return _variable(OID_BYTEA, values)
    if kind is Kind.DECIMAL:
        texts = [None if v is None else decimal_text(v) for v in values.to_pylist()]
        return _variable(OID_TEXT, pa.array(texts, pa.string()))
    if kind is Kind.ARRAY:
        return _variable(OID_TEXT, _array_documents(type_, values))
    oid, words = _fixed_words(kind, values)
    return [_fixed(oid, words, values)]


def _fixed_words(kind: Kind, values: pa.Array) -> tuple[int, np.ndarray]:
    """The OID and the big-endian bytes, one row of the matrix for each value (anything where it is NULL)."""
    if kind is Kind.UUID:
        raw = np.frombuffer(values.buffers()[1], np.uint8, count=16 * len(values), offset=16 * values.offset)
        return OID_UUID, raw.reshape(len(values), 16)
    if kind is Kind.BOOL:
        return OID_BOOL, _numbers(values, pa.uint8()).reshape(-1, 1)
    if kind in INTEGER_KINDS:
        return OID_INT8, _big_endian(_numbers(values, pa.int64()), ">i8")
    if kind in FLOAT_KINDS:
        floats = _numbers(values, pa.float64()).copy()
        floats[np.isnan(floats)] = np.nan
        return OID_FLOAT8, _big_endian(floats, ">f8")
    if kind is Kind.DATE:
        return OID_DATE, _big_endian(postgres_date(_numbers(values.view(pa.int32()), pa.int32())), ">i4")
    whole = _numbers(values.view(pa.int64()), pa.int64())
    if kind is Kind.TIME:
        return OID_TIME, _big_endian(whole, ">i8")
    if kind is Kind.INTERVAL:
        return OID_INT8, _big_endian(whole, ">i8")
    oid = OID_TIMESTAMPTZ if kind is Kind.TIMESTAMPTZ else OID_TIMESTAMP
    return oid, _big_endian(postgres_timestamp(whole), ">i8")


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


def _numbers(values: pa.Array, type_: pa.DataType) -> np.ndarray:
    filled = values.fill_null(False if pa.types.is_boolean(values.type) else 0) if values.null_count else values
    numbers: np.ndarray = filled.cast(type_).to_numpy(zero_copy_only=False)
    return numbers


def _big_endian(words: np.ndarray, format_: str) -> np.ndarray:
    width = np.dtype(format_).itemsize
    return words.astype(format_).view(np.uint8).reshape(len(words), width)


def _fixed(oid: int, words: np.ndarray, values: pa.Array) -> pa.Array:
    rows, width = words.shape
    cells = np.empty((rows, 8 + width), np.uint8)
    cells[:, :8] = np.frombuffer(struct.pack(">ii", oid, width), np.uint8)
    cells[:, 8:] = words
    whole = pa.Array.from_buffers(pa.binary(8 + width), rows, [None, pa.py_buffer(cells)]).cast(pa.binary())
    if not values.null_count:
        return whole
    return pc.if_else(values.is_valid(), whole, pa.scalar(struct.pack(">i", oid) + _NULL_LENGTH, pa.binary()))


def _variable(oid: int, values: pa.Array) -> list[pa.Array]:
    rows = len(values)
    lengths = pc.binary_length(values).fill_null(-1).to_numpy(zero_copy_only=False)
    heads = np.empty((rows, 8), np.uint8)
    heads[:, :4] = np.frombuffer(struct.pack(">i", oid), np.uint8)
    heads[:, 4:] = _big_endian(lengths, ">i4")
    head = pa.Array.from_buffers(pa.binary(8), rows, [None, pa.py_buffer(heads)]).cast(pa.binary())
    body = values.cast(pa.binary())
    return [head, body.fill_null(b"") if values.null_count else body]


def _array_documents(type_: LogicalType, values: pa.Array) -> pa.Array:
    """Each array as the JSON document that `to_jsonb` makes of it."""
    element = type_.element
    assert element is not None
    documents: list[str | None] = []
    for value in values.to_pylist():
        if value is None:
            documents.append(None)
            continue
        parts = [_without_point(part) for part in value] if element.kind in FLOAT_KINDS else value
        documents.append(canonical_document(json_text(type_, parts)))
    return pa.array(documents, pa.string())


def _without_point(value: float | None) -> float | int | None:
    """A whole double as PostgreSQL prints it: 1, not 1.0."""
    return int(value) if value is not None and math.isfinite(value) and value.is_integer() else value


def _md5(rows: pa.Array) -> pa.Array:
    """MD5 of each value; hashlib needs 0.8 µs a row, which no vectorised library tried here beats by much."""
    md5 = hashlib.md5
    return pa.array([md5(row, usedforsecurity=False).digest() for row in rows.to_pylist()], DIGEST)
