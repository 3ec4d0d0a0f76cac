"""Columns of a `TypeDecorator` that is not known here and is stored differently in one engine than in PostgreSQL.

What such a type binds for PostgreSQL is its canonical form. Elsewhere its values go through its own result and bind
processors, one by one; a decorator that stores the same type everywhere (text, say) travels as stored, like all else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect

from toolkit.core.digest import keyed_digests
from toolkit.core.tables import ForeignKeySpec, TableSpec
from toolkit.core.types import Kind, LogicalType, is_unknown_decorator, logical_type
from toolkit.errors import ToolkitError, UnnamedRowError
from toolkit.repositories.base import BATCH_ROWS, DatabaseConnection
from toolkit.repositories.codecs import from_canonical, to_canonical
from toolkit.repositories.lossy import LossyCast
from toolkit.repositories.portable import TableRepository

_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Decorated:
    """Between the stored form of one column in one engine and its canonical form."""

    type_: sa.types.TypeDecorator[Any]
    canonical: LogicalType
    stored: LogicalType
    dialect: Dialect

    def to_canonical(self, values: pa.Array) -> pa.Array:
        """Stored values as PostgreSQL would store them."""
        return self._through(values, self.stored, self.dialect, self.canonical, _POSTGRESQL)

    def to_stored(self, values: pa.Array) -> pa.Array:
        """Canonical values as this engine stores them."""
        return self._through(values, self.canonical, _POSTGRESQL, self.stored, self.dialect)

    def _through(
        self, values: pa.Array, given: LogicalType, from_: Dialect, wanted: LogicalType, to: Dialect
    ) -> pa.Array:
        result = self.type_.result_processor(from_, None) or _same
        bind = self.type_.bind_processor(to) or _same
        through = [
            None if value is None else to_canonical(wanted, bind(result(from_canonical(given, value))))
            for value in values.to_pylist()
        ]
        return pa.array(through, wanted.arrow)


def _same(value: Any) -> Any:
    return value


def decorated_columns(spec: TableSpec, dialect: Dialect) -> dict[str, Decorated]:
    """The columns of a table that need their type's processors in this engine, by name."""
    found = {}
    for column in spec.columns:
        type_ = spec.table.c[column.name].type
        if not is_unknown_decorator(type_):
            continue
        stored = logical_type(type_.load_dialect_impl(dialect), column.name)
        if stored != column.type or stored.kind is Kind.UUID:
            found[column.name] = Decorated(type_, column.type, stored, dialect)
    return found


def repository_of(
    connection: DatabaseConnection, spec: TableSpec, engine: Callable[[DatabaseConnection, TableSpec], TableRepository]
) -> TableRepository:
    """An engine's repository of a table, behind the processors of those columns that need them."""
    decorated = decorated_columns(spec, connection.sqlalchemy.dialect)
    stored = engine(connection, _stored_spec(spec, decorated))
    return DecoratedRepository(stored, spec, decorated) if decorated else stored


def _stored_spec(spec: TableSpec, decorated: dict[str, Decorated]) -> TableSpec:
    """The table as this engine stores it."""
    if not decorated:
        return spec
    columns = [replace(c, type=decorated[c.name].stored) if c.name in decorated else c for c in spec.columns]
    return replace(spec, columns=tuple(columns))


def as_stored(
    spec: TableSpec, batch: pa.RecordBatch, dialect: Dialect
) -> tuple[TableSpec, pa.RecordBatch]:
    """A batch, which may lack some of the columns, and its table as an engine stores them."""
    decorated = {} if dialect.name == _POSTGRESQL.name else decorated_columns(spec, dialect)
    stored = _stored_spec(spec, decorated)
    return stored, _converted(batch, stored, decorated, Decorated.to_stored)


def _converted(
    batch: pa.RecordBatch,
    spec: TableSpec,
    decorated: dict[str, Decorated],
    way: Callable[[Decorated, pa.Array], pa.Array],
) -> pa.RecordBatch:
    names = batch.schema.names
    arrays = [way(decorated[n], batch.column(n)) if n in decorated else batch.column(n) for n in names]
    return pa.record_batch(arrays, schema=pa.schema([spec.schema.field(name) for name in names]))


class DecoratedRepository(TableRepository):
    """A table with such columns: an engine's repository of the stored rows, seen as canonical ones."""

    def __init__(self, stored: TableRepository, spec: TableSpec, decorated: dict[str, Decorated]) -> None:
        super().__init__(stored.connection, spec)
        self._stored = stored
        self._decorated = decorated

    def read(self, batch_rows: int = BATCH_ROWS, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows (or those with these keys) in the canonical schema, in no particular order."""
        for batch in self._stored.read(batch_rows, self._stored_keys(keys)):
            yield self._converted(batch, self.spec, Decorated.to_canonical)

    def lossy_casts(self) -> Mapping[str, LossyCast]:
        """By column, those of which some values would be changed by reading them as what the type stores."""
        return self._stored.lossy_casts()

    def has_key(self) -> bool:
        """Whether the database keeps the key unique."""
        return self._stored.has_key()

    def folded_key(self) -> dict[str, str]:
        """The key columns of which the database takes different values for one."""
        return self._stored.folded_key()

    def require_distinct(self, keys: Iterable[pa.RecordBatch]) -> None:
        """Check that these keys are different to the database too."""
        self._stored.require_distinct(self._to_stored(keys))

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row."""
        for batch in self._stored.read_committed():
            yield keyed_digests(self.spec, self._converted(batch, self.spec, Decorated.to_canonical))

    def load(self, batches: Iterable[pa.RecordBatch], rows: int) -> int:
        """Fill an empty table."""
        return self._stored.load(self._to_stored(batches), rows)

    def upsert_many(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Insert or update rows."""
        return self._stored.upsert_many(self._to_stored(batches))

    def update_many(self, rows: pa.Table) -> int:
        """Give rows that are there other values in some columns."""
        stored = self._stored_keys(rows)
        assert stored is not None
        return self._stored.update_many(stored)

    def delete_many(self, keys: pa.Table) -> int:
        """Delete the rows with these keys."""
        stored = self._stored_keys(keys)
        assert stored is not None
        return self._stored.delete_many(stored)

    def advance_sequences(self) -> None:
        """Move the generators of key values past the highest value in the table."""
        self._stored.advance_sequences()

    def advance_statements(self) -> list[str]:
        """The statements that do so."""
        return self._stored.advance_statements()

    def reserve_numbers(self, column: str, count: int, above: int = 0) -> list[int]:
        """So many numbers that no row has in this column."""
        return self._stored.reserve_numbers(column, count, above)

    def require_parents(self, foreign_key: ForeignKeySpec) -> None:
        """Check that every row's parent is there."""
        self._stored.require_parents(foreign_key)

    def why_refused(self, batches: Iterable[pa.RecordBatch], error: UnnamedRowError) -> ToolkitError | None:
        """Why these rows could not fill the empty table."""
        return self._stored.why_refused(self._to_stored(batches), error)

    def _to_stored(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield self._converted(batch, self._stored.spec, Decorated.to_stored)

    def _stored_keys(self, keys: pa.Table | None) -> pa.Table | None:
        if keys is None:
            return None
        (batch,) = keys.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], keys.schema)]
        return pa.Table.from_batches([self._converted(batch, self._stored.spec, Decorated.to_stored)])

    def _converted(
        self, batch: pa.RecordBatch, spec: TableSpec, way: Callable[[Decorated, pa.Array], pa.Array]
    ) -> pa.RecordBatch:
        return _converted(batch, spec, self._decorated, way)
