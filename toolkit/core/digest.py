"""Digests of rows, and of tables as sums of them: equal rows have equal digests in every engine.

The canonical bytes of a row are what PostgreSQL's `record_send` gives for the row of its canonical values: the
number of columns, then for each its type's OID, its length (-1 for NULL) and its binary form. A row's digest is the
MD5 of these bytes (against accidents, not against forgery); a table's is the number of its rows and the sum of the
first 64 bits of their digests, modulo 2**64, so it can be computed in any order and in parts.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
from msgspec import Struct
from msgspec.structs import force_setattr

from toolkit.core.batches import copied
from toolkit.core.canonical_bytes import Part, joined
from toolkit.core.tables import TableSpec

try:
    # Python's own takes 0.97 µs for 310 bytes, OpenSSL's, which hashlib prefers, 1.49 µs.
    from _md5 import md5  # type: ignore[import-not-found]
except ImportError:
    from hashlib import md5

DIGEST = pa.binary(16)
DIGEST_FIELD = "toolkit_digest"


class TableDigest(Struct, frozen=True):
    """Number of rows and sum of the first 64 bits of their digests, modulo 2**64."""

    rows: int = 0
    total: int = 0

    def __post_init__(self) -> None:
        force_setattr(self, "total", self.total % 2**64)

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
    count = np.frombuffer(struct.pack(">i", len(spec.columns)), np.uint8)
    parts: list[Part] = [np.broadcast_to(count, (batch.num_rows, len(count)))]
    for column in spec.columns:
        parts += column.type.adapter.canonical(batch.column(column.name))
    return joined(parts)


def _md5(rows: pa.Array) -> pa.Array:
    """MD5 of each value, 1 µs a row; no vectorised library that was tried is faster by much."""
    digests = b"".join([md5(row, usedforsecurity=False).digest() for row in rows.to_pylist()])
    return pa.Array.from_buffers(DIGEST, len(rows), [None, pa.py_buffer(digests)])
