"""Rows on their way into a target, whether a database or fixtures have them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.streams import only

if TYPE_CHECKING:
    from toolkit.core.digest import TableDigest
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection, Table

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


@dataclass(frozen=True, slots=True)
class NarrowedRows:
    """The tables of a database as a source narrows them (`TableSpec.at_source`)."""

    connection: Connection

    def repository(self, spec: TableSpec) -> Table:
        """One table's rows."""
        return self.connection.repository(spec.at_source)


def without_present(spec: TableSpec, keys: pa.Table, source: Source) -> pa.Table:
    """Those of these keys that the source has no row of outside of the conditions that hold on both sides.

    Rows that are within these at the source, and not among its rows, are those that a condition of its own leaves out.
    """
    anywhere = replace(spec, source_conditions=())
    outside = _keys(anywhere.without_conditions(), keys, source)
    if spec.source_conditions:
        outside -= _keys(anywhere, keys, source)
    mask = [row not in outside for batch in keys.to_batches() for row in _tuples(batch, spec)]
    return keys.filter(pa.array(mask, pa.bool_()))


def _keys(spec: TableSpec, keys: pa.Table, source: Source) -> set[tuple[Any, ...]]:
    rows = source.repository(spec.project(spec.key)).read(BATCH_ROWS, keys=keys)
    return {row for batch in rows for row in _tuples(batch, spec)}


def _tuples(batch: pa.RecordBatch, spec: TableSpec) -> list[tuple[Any, ...]]:
    return list(zip(*(batch.column(name).to_pylist() for name in spec.key), strict=True))
