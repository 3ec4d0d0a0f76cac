"""Rows on their way into a target, whether a database or fixtures have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import pyarrow as pa
from msgspec import Struct, field, structs

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.digest import digest_schema
from toolkit.core.sifted import BadRow, Sifted
from toolkit.core.streams import only
from toolkit.engines.portable.sifting import bad_row
from toolkit.operations.transfer.converting import Conversions, ConvertedRows

if TYPE_CHECKING:
    from toolkit.core.digest import TableDigest
    from toolkit.core.renames import Renames
    from toolkit.core.tables import TableSpec
    from toolkit.core.types import LogicalType
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


@runtime_checkable
class SiftedRows(RowSource, Protocol):
    """Rows of a database's table, which can be read around what does not fit."""

    @property
    def spec(self) -> TableSpec:
        """The table."""

    def sifted(self) -> Iterator[Sifted]:
        """All rows, taken apart into those that can be carried whole and those that cannot."""


def table_beneath(rows: SiftedRows) -> Table:
    """The database's own table that such rows are made of."""
    found: Any = rows
    while isinstance(found, ConvertedRows | RenamedRows):
        found = found.rows
    return cast("Table", found)


def rows_with_keys(rows: RowSource, keys: pa.Table, batch_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """The rows with these keys; for a large share of them, all rows are read once."""
    if keys.num_rows > _READ_ALL_SHARE * rows.count():
        return only(rows.read(batch_rows), keys)
    return rows.read(batch_rows, keys=keys)


class SourceTables(Struct, frozen=True):
    """The tables of a database as a source: narrowed by its own conditions, too, converted, in the target's names.

    `named` has the models' tables by the target's names, `renames` how these differ, if they do.
    """

    connection: Connection
    named: Mapping[str, TableSpec] = field(default_factory=dict)
    renames: Renames | None = None
    conversions: Conversions = field(default_factory=Conversions)

    def own(self, spec: TableSpec) -> TableSpec:
        """A target's table as the source has it."""
        narrow = spec.at_source
        if self.renames is None:
            return narrow
        own = self.named[spec.name]
        names = {name: self.renames.models_column(own.name, name) for name in spec.column_names}
        return replace(
            own,
            columns=tuple(replace(column, name=names[column.name]) for column in spec.columns),
            key=tuple(names[name] for name in spec.key),
            conditions=narrow.conditions,
            source_conditions=(),
            is_read_by_key=narrow.is_read_by_key,
        )

    def renamed_column(self, spec: TableSpec, column: str) -> str:
        """What the target calls a column of the models, in a table of the target's."""
        return column if self.renames is None else self.renames.column(self.own(spec).name, column)

    def repository(self, spec: TableSpec) -> Table | ConvertedRows | RenamedRows:
        """One table's rows."""
        own = self.own(spec)
        is_converted = bool(self.conversions.of(own))
        rows = (
            ConvertedRows(self.connection, own, self.conversions) if is_converted else self.connection.repository(own)
        )
        return rows if own.column_names == spec.column_names else RenamedRows(rows, spec)


class RenamedRows(Struct, frozen=True):
    """One table's rows, whose columns have other names in `spec`, in the same order."""

    rows: Table | ConvertedRows
    spec: TableSpec

    @property
    def batch_bytes(self) -> int:
        """What a batch of several rows takes at most."""
        return self.rows.batch_bytes

    def count(self) -> int:
        """Number of rows."""
        return self.rows.count()

    def read(self, batch_rows: int = BATCH_ROWS, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, or those with these keys, in the canonical schema."""
        found = self.rows.read(batch_rows, keys=self._own(keys))
        return (pa.record_batch(batch.columns, schema=self.spec.schema) for batch in found)

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row."""
        schema = digest_schema(self.spec)
        return (pa.record_batch(batch.columns, schema=schema) for batch in self.rows.row_digests())

    def digest(self) -> TableDigest:
        """The digest of all rows, in which names do not count."""
        return self.rows.digest()

    def sifted(self) -> Iterator[Sifted]:
        """All rows, taken apart into those that can be carried whole and those that cannot."""
        names = dict(zip(self.rows.spec.column_names, self.spec.column_names, strict=True))
        for each in self.rows.sifted():
            batch = pa.record_batch(each.batch.columns, schema=self.spec.schema)
            yield Sifted(batch, tuple(self._renamed(row, names) for row in each.bad))

    def _renamed(self, row: BadRow, names: Mapping[str, str]) -> BadRow:
        values = tuple(structs.replace(value, column=names[value.column]) for value in row.values)
        return bad_row(self.spec, values, {names[name]: cell for name, cell in row.cells.items()})

    def width(self, keys: pa.Table) -> int:
        """The characters and bytes of all values of any length in the rows with these keys."""
        return self.rows.width(self._own(keys))

    def maximum(self, column: str) -> int | None:
        """The greatest value of a column."""
        return self.rows.maximum(self._name(column))

    def stored_type(self, column: str) -> LogicalType:
        """What the database itself holds in a column."""
        return self.rows.stored_type(self._name(column))

    def _name(self, column: str) -> str:
        return self.rows.spec.column_names[self.spec.column_names.index(column)]

    def _own(self, keys: pa.Table | None) -> pa.Table | None:
        # No keys at all are not all rows.
        return None if keys is None else keys.rename_columns([self._name(name) for name in keys.column_names])


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
