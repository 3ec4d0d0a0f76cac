"""How values look in an engine's driver, and how they become canonical Arrow columns and back.

This is the portable codec: drivers whose values are Python's own types (psycopg, DuckDB). An engine without some
of the types overrides what it stores differently.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from toolkit.core.decimals import at_scale, parse_decimal
from toolkit.core.moments import DAY
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import JSON_KINDS, Kind, LogicalType
from toolkit.core.values import python_scalar, shortened, show_key, show_value
from toolkit.errors import UnrepresentableValueError

# What decoders and Arrow raise for a value that is none of the wanted type.
MISFITS = (pa.ArrowException, ValueError, TypeError, OverflowError, RecursionError)


class Codec:
    """Between a driver's Python values and canonical Arrow columns."""

    def storage_table(self, spec: TableSpec) -> sa.Table:
        """The table with columns of no type: values are bound as they are, past the model's processors."""
        table = spec.table
        columns = [sa.Column(c.name, sa.types.NullType(), primary_key=c.primary_key) for c in table.columns]
        return sa.Table(table.name, sa.MetaData(), *columns, schema=table.schema)

    def select(self, column: ColumnSpec, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The expression that fetches a column's stored values."""
        if column.type.kind in JSON_KINDS:
            return sa.cast(source, sa.Text)
        return sa.type_coerce(source, sa.types.NullType())

    def length(self, column: ColumnSpec, source: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """The expression of how many characters, or bytes, a stored value of no fixed length has."""
        cell = sa.type_coerce(source, sa.types.NullType())
        is_bytes = column.type.kind is Kind.BYTES
        return sa.func.octet_length(cell) if is_bytes else sa.func.length(sa.cast(cell, sa.Text))

    def decode(self, spec: TableSpec, columns: Sequence[Sequence[Any]]) -> pa.RecordBatch:
        """Fetched columns as a batch in the canonical schema.

        Raises:
            UnrepresentableValueError: a stored value that is not of its column's type.
        """
        decoded = []
        for column, values in zip(spec.columns, columns, strict=True):
            try:
                decoded.append(self.decode_column(column, values))
            except MISFITS as error:
                raise self._undecodable(spec, column, columns) or error from error
        return pa.record_batch(decoded, schema=spec.schema)

    def decode_column(self, column: ColumnSpec, values: Sequence[Any]) -> pa.Array:
        """Stored values as an Arrow array of the column's canonical type."""
        return pa.array([to_canonical(column.type, value) for value in values], column.type.arrow)

    def encode(self, spec: TableSpec, batch: pa.RecordBatch, database: str) -> list[list[Any]]:
        """A batch as columns of values to bind.

        Raises:
            UnrepresentableValueError: a value that the engine cannot hold, named with its row.
        """
        encoded = []
        for column in spec.columns:
            values = batch.column(column.name)
            try:
                encoded.append(self.encode_stored(spec, column, values))
            except MISFITS as error:
                raise self._unencodable(spec, column, batch, database) or error from error
        return encoded

    def encode_stored(self, spec: TableSpec, column: ColumnSpec, values: pa.Array) -> list[Any]:
        """An Arrow array of a table's column as values to bind, in the form that the column's own type has."""
        encoded = self.encode_column(column, values)
        type_ = spec.table.c[column.name].type
        if isinstance(type_, sa.types.TypeDecorator):
            type_ = type_.impl_instance
        if isinstance(type_, sa.Uuid) and not type_.native_uuid:
            return [None if value is None else value.hex for value in encoded]
        return encoded

    def encode_column(self, column: ColumnSpec, values: pa.Array) -> list[Any]:
        """An Arrow array of the column's canonical type as values to bind."""
        if column.type.kind is Kind.TIME and (pc.max(values.view(pa.int64())).as_py() or 0) >= DAY:
            # Python has no such time, and Arrow makes it the beginning of the day.
            whole = zip(values.to_pylist(), values.view(pa.int64()).to_pylist(), strict=True)
            return ["24:00:00" if number == DAY else value for value, number in whole]
        return [from_canonical(column.type, value) for value in values.to_pylist()]

    def _undecodable(
        self, spec: TableSpec, column: ColumnSpec, columns: Sequence[Sequence[Any]]
    ) -> UnrepresentableValueError | None:
        position = spec.column_names.index(column.name)
        for row, value in enumerate(columns[position]):
            if _fails(lambda value=value: self.decode_column(column, [value])):  # type: ignore[misc]
                key = self.key_text(spec, [columns[spec.column_names.index(name)][row] for name in spec.key])
                return UnrepresentableValueError(
                    spec.name,
                    key,
                    column.name,
                    f"holds {shown(value)}, which is no {column.type}",
                    "Correct the value, give the model's column a type that has a place for it, or leave the table "
                    f"out: --exclude {spec.name}.",
                )
        return None

    def _unencodable(
        self, spec: TableSpec, column: ColumnSpec, batch: pa.RecordBatch, database: str
    ) -> UnrepresentableValueError | None:
        values = batch.column(column.name)
        for row in range(batch.num_rows):
            if _fails(lambda row=row: self.encode_column(column, values.slice(row, 1))):  # type: ignore[misc]
                types = tuple(spec.column(name).type for name in spec.key)
                key = show_key(spec.key, types, tuple(python_scalar(batch.column(n)[row]) for n in spec.key))
                held = shown(python_scalar(values[row]))
                return UnrepresentableValueError(
                    spec.name, key, column.name, f"holds {held}, which {database} cannot keep"
                )
        return None

    def key_text(self, spec: TableSpec, values: Sequence[Any]) -> str:
        """A key for a message, even if a part of it is what cannot be decoded."""
        parts = []
        for name, value in zip(spec.key, values, strict=True):
            column = spec.column(name)
            try:
                text = show_value(column.type, self.decode_column(column, [value])[0].as_py())
            except MISFITS:
                text = shown(value)
            parts.append(f"{name}={text}")
        return ", ".join(parts)


def shown(value: Any) -> str:
    """A stored value for a message, at most 80 characters."""
    return shortened(repr(value))


def _fails(attempt: Callable[[], Any]) -> bool:
    try:
        attempt()
    except MISFITS:
        return True
    return False


def to_canonical(type_: LogicalType, value: Any) -> Any:
    """A driver's Python value as the one that Arrow takes for this type."""
    if value is None:
        return None
    if type_.kind is Kind.UUID:
        return (value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))).bytes
    if type_.kind is Kind.DECIMAL:
        number = parse_decimal(str(value))
        return str(number) if type_.precision is None else at_scale(type_, number)
    if type_.kind is Kind.ARRAY:
        assert type_.element is not None
        return [to_canonical(type_.element, part) for part in value]
    return value


def from_canonical(type_: LogicalType, value: Any) -> Any:
    """A value as Arrow gives it as the one that a driver takes."""
    if value is None:
        return None
    if type_.kind is Kind.UUID:
        return uuid.UUID(bytes=value)
    if type_.kind is Kind.DECIMAL:
        return Decimal(value)
    if type_.kind is Kind.ARRAY:
        assert type_.element is not None
        return [from_canonical(type_.element, part) for part in value]
    return value
