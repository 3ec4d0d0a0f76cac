"""Rows on their way into a target, whether a database or fixtures have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.streams import only

if TYPE_CHECKING:
    from toolkit.core.digest import TableDigest
    from toolkit.core.tables import TableSpec

# Above this share of a table it is faster to read all of it once more than to look rows up by key.
_READ_ALL_SHARE = 0.1


class RowSource(Protocol):
    """One table's rows at the source: a repository, or a fixture file."""

    def count(self) -> int:
        """Number of rows."""

    def read(self, batch_rows: int, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, or those with these keys, in the canonical schema."""

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row."""

    def digest(self) -> TableDigest:
        """The digest of all rows."""


class Source(Protocol):
    """Where rows come from, as one snapshot of all tables."""

    def repository(self, spec: TableSpec) -> RowSource:
        """One table's rows."""


def rows_with_keys(rows: RowSource, keys: pa.Table, batch_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """The rows with these keys; for a large share of them, all rows are read once."""
    if keys.num_rows > _READ_ALL_SHARE * rows.count():
        return only(rows.read(batch_rows), keys)
    return rows.read(batch_rows, keys=keys)


def without_present(spec: TableSpec, keys: pa.Table, source: Source) -> pa.Table:
    """Those of these keys that the source has no row of, whatever the condition that narrows the table."""
    whole = spec.without_conditions().project(spec.key)
    present = {row for batch in source.repository(whole).read(BATCH_ROWS, keys=keys) for row in _tuples(batch, spec)}
    mask = [row not in present for batch in keys.to_batches() for row in _tuples(batch, spec)]
    return keys.filter(pa.array(mask, pa.bool_()))


def _tuples(batch: pa.RecordBatch, spec: TableSpec) -> list[tuple[Any, ...]]:
    return list(zip(*(batch.column(name).to_pylist() for name in spec.key), strict=True))
