"""Columns of a `TypeDecorator` that is not known here and is stored differently in one engine than in PostgreSQL.

What such a type binds for PostgreSQL is its canonical form. Elsewhere its values go through its own result and bind
processors, one by one; a decorator that stores the same type everywhere (text, say) travels as stored, like all else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Dialect

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.digest import keyed_digests
from toolkit.core.tables import ColumnSpec, ForeignKeySpec, TableSpec
from toolkit.core.types import FLOAT_KINDS, Kind, LogicalType, is_unknown_decorator, logical_type
from toolkit.core.values import python_scalar, shortened
from toolkit.engines.contract import LossyCast
from toolkit.engines.portable.codec import Codec, from_canonical, shown
from toolkit.engines.portable.connection import DatabaseConnection, batch_key
from toolkit.engines.portable.table import TableRepository
from toolkit.errors import ToolkitError, UnnamedRowError, UnrepresentableValueError

# Its processors take and give what travels canonically: documents as text, decimals as such. Those of a driver's own
# dialect leave documents to the driver.
_POSTGRESQL = PGDialect()  # type: ignore[no-untyped-call]
_POSTGRESQL.supports_native_decimal = True
_NUMBER_KINDS = FLOAT_KINDS | {Kind.DECIMAL}


@dataclass(frozen=True)
class _Form:
    """How a column is stored: what its type's processors meet in one engine's driver."""

    spec: TableSpec
    column: ColumnSpec
    dialect: Dialect
    codec: Codec

    def read(self, type_: sa.types.TypeDecorator[Any], values: pa.Array) -> list[Any]:
        """The application's values of stored ones."""
        process = type_.dialect_impl(self.dialect).result_processor(self.dialect, None) or _same
        return [None if value is None else process(value) for value in self._driver_values(values)]

    def write(self, type_: sa.types.TypeDecorator[Any], values: list[Any]) -> pa.Array:
        """The stored values of the application's."""
        process = type_.dialect_impl(self.dialect).bind_processor(self.dialect) or _same
        return self.codec.decode_column(self.column, [None if value is None else process(value) for value in values])

    def _driver_values(self, values: pa.Array) -> list[Any]:
        if self.column.type.kind in _NUMBER_KINDS:
            # Those that SQLite would change are stored as bytes there, which no type's processor reads.
            return [from_canonical(self.column.type, value) for value in values.to_pylist()]
        return self.codec.encode_stored(self.spec, self.column, values)


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Decorated:
    """Between the stored form of one column in one engine and its canonical form."""

    type_: sa.types.TypeDecorator[Any]
    canonical: _Form
    stored: _Form

    def to_canonical(self, values: pa.Array) -> pa.Array:
        """Stored values as PostgreSQL would store them."""
        return self.canonical.write(self.type_, self.stored.read(self.type_, values))

    def to_stored(self, values: pa.Array) -> pa.Array:
        """Canonical values as this engine stores them."""
        return self.stored.write(self.type_, self.canonical.read(self.type_, values))


def decorated_columns(spec: TableSpec, connection: DatabaseConnection) -> dict[str, Decorated]:
    """The columns of a table that need their type's processors in this engine, by name."""
    dialect, found = connection.sqlalchemy.dialect, {}
    for column in spec.columns:
        type_ = spec.table.c[column.name].type
        if not is_unknown_decorator(type_):
            continue
        stored = logical_type(type_.load_dialect_impl(dialect), column.name)
        if stored != column.type:
            found[column.name] = Decorated(
                type_,
                _Form(spec, column, _POSTGRESQL, Codec()),
                _Form(spec, replace(column, type=stored), dialect, connection.codec),
            )
    return found


def repository_of(
    connection: DatabaseConnection, spec: TableSpec, engine: Callable[[DatabaseConnection, TableSpec], TableRepository]
) -> TableRepository:
    """An engine's repository of a table, behind the processors of those columns that need them."""
    decorated = decorated_columns(spec, connection)
    stored = engine(connection, _stored_spec(spec, decorated))
    return DecoratedRepository(stored, spec, decorated) if decorated else stored


def _stored_spec(spec: TableSpec, decorated: dict[str, Decorated]) -> TableSpec:
    """The table as this engine stores it."""
    if not decorated:
        return spec
    columns = [decorated[c.name].stored.column if c.name in decorated else c for c in spec.columns]
    return replace(spec, columns=tuple(columns))


def as_stored(
    spec: TableSpec, batch: pa.RecordBatch, connection: DatabaseConnection
) -> tuple[TableSpec, pa.RecordBatch]:
    """A batch, which may lack some of the columns, and its table as an engine stores them."""
    decorated = decorated_columns(spec, connection)
    stored = _stored_spec(spec, decorated)
    return stored, _converted(batch, (spec, stored), decorated, Decorated.to_stored)


def _converted(
    batch: pa.RecordBatch,
    specs: tuple[TableSpec, TableSpec],
    decorated: dict[str, Decorated],
    way: Callable[[Decorated, pa.Array], pa.Array],
) -> pa.RecordBatch:
    """A batch of the first of two forms of a table in the second.

    Raises:
        UnrepresentableValueError: a value that its type does not take, named with its row.
    """
    given, wanted = specs
    arrays = []
    for name in batch.schema.names:
        values = batch.column(name)
        if name in decorated:
            try:
                values = way(decorated[name], values)
            except Exception as error:
                raise _refused(given, batch, name, partial(way, decorated[name])) or error from error
        arrays.append(values)
    return pa.record_batch(arrays, schema=pa.schema([wanted.schema.field(name) for name in batch.schema.names]))


def _refused(
    spec: TableSpec, batch: pa.RecordBatch, name: str, convert: Callable[[pa.Array], pa.Array]
) -> UnrepresentableValueError | None:
    values = batch.column(name)
    for row in range(batch.num_rows):
        try:
            convert(values.slice(row, 1))
        except Exception as error:  # noqa: BLE001 - whatever an application's own type raises
            type_ = type(spec.table.c[name].type).__name__
            why = shortened(" ".join(str(error).split()))
            problem = f"holds {shown(python_scalar(values[row]))}, which its type {type_} does not take ({why})"
            return UnrepresentableValueError(spec.name, batch_key(spec, batch, row), name, problem)
    return None


class DecoratedRepository(TableRepository):
    """A table with such columns: an engine's repository of the stored rows, seen as canonical ones."""

    def __init__(self, stored: TableRepository, spec: TableSpec, decorated: dict[str, Decorated]) -> None:
        super().__init__(stored.connection, spec)
        self._stored = stored
        self._decorated = decorated

    def read(self, batch_rows: int = BATCH_ROWS, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows (or those with these keys) in the canonical schema, in no particular order."""
        for batch in self._stored.read(batch_rows, self._stored_keys(keys)):
            yield self._to_canonical(batch)

    def width(self, keys: pa.Table) -> int:
        """The characters and bytes of all values of any length in the rows with these keys."""
        stored = self._stored_keys(keys)
        assert stored is not None
        return self._stored.width(stored)

    def lossy_casts(self) -> Mapping[str, LossyCast]:
        """By column, those of which some values would be changed by reading them as what the type stores."""
        return self._stored.lossy_casts()

    def has_key(self) -> bool:
        """Whether the database keeps the key unique."""
        return self._stored.has_key()

    def stored_type(self, column: str) -> LogicalType:
        """What the database itself holds in a column."""
        return self._stored.spec.column(column).type

    def collated_key(self) -> dict[str, str]:
        """The key columns of which the database takes different values for one."""
        return self._stored.collated_key()

    def require_distinct(self, keys: Iterable[pa.RecordBatch]) -> None:
        """Check that these keys are different to the database too."""
        self._stored.require_distinct(self._to_stored(keys))

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row."""
        for batch in self._stored.read_committed():
            yield keyed_digests(self.spec, self._to_canonical(batch))

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

    def _to_canonical(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return _converted(batch, (self._stored.spec, self.spec), self._decorated, Decorated.to_canonical)

    def _to_stored(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _converted(batch, (self.spec, self._stored.spec), self._decorated, Decorated.to_stored)

    def _stored_keys(self, keys: pa.Table | None) -> pa.Table | None:
        if keys is None:
            return None
        batches = keys.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], keys.schema)]
        return pa.Table.from_batches(list(self._to_stored(batches)))
