"""Between an engine's values and canonical Arrow batches: each column's adapter, and the row of what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from shlex import quote as shell
from typing import Any, ClassVar, Generic, TypeVar, cast

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from toolkit.core.conversions import conversion_advice
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import LogicalType, is_unknown_decorator, logical_type
from toolkit.core.values import python_scalar, shortened, show_key, show_value
from toolkit.engines.portable.adapters import Adapter, MisfitError
from toolkit.engines.portable.decorated import Decorated
from toolkit.errors import UnrepresentableValueError

A = TypeVar("A", bound=Adapter)
# What decoders and Arrow raise for a value that is none of the wanted type.
MISFITS = (pa.ArrowException, ValueError, TypeError, OverflowError, RecursionError)


class Codec(Generic[A]):
    """The adapters of an engine, by its own table of them."""

    adapters: ClassVar[Mapping[str, type[Any]]]
    """By logical type; of one that is not here, that of its carrier."""
    dialect: ClassVar[Dialect]
    """SQLAlchemy's, for the processors of an application's own types."""

    def adapter(self, column: ColumnSpec) -> A:
        """How a column's values stand in this engine."""
        declared = column.declared
        if is_unknown_decorator(declared):
            stored = logical_type(declared.load_dialect_impl(self.dialect))
            if stored != column.type:
                return cast("A", Decorated(self._of(stored, declared), column.type, declared, self.dialect))
        return self._of(column.type, declared)

    def _of(self, type_: LogicalType, declared: sa.types.TypeEngine[Any] | None = None) -> A:
        adapter: type[A] = self.adapters.get(type_.kind) or self.adapters[type_.carrier]
        return adapter(type_, declared, None if type_.element is None else self._of(type_.element))

    def storage_table(self, spec: TableSpec) -> sa.Table:
        """The table with columns of no type: values are bound as they are, past the model's processors."""
        table = spec.table
        columns = [sa.Column(c.name, sa.types.NullType(), primary_key=c.primary_key) for c in table.columns]
        return sa.Table(table.name, sa.MetaData(), *columns, schema=table.schema)

    def select(self, column: ColumnSpec, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The expression that fetches a column's stored values."""
        return self.adapter(column).select(source)

    def length(self, column: ColumnSpec, source: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """The expression of how many characters, or bytes, a stored value of no fixed length has."""
        return self.adapter(column).length(source)

    def decode_column(self, column: ColumnSpec, values: Sequence[Any]) -> pa.Array:
        """Stored values as an Arrow array of the column's canonical type."""
        return self.adapter(column).decode(values)

    def encode_column(self, column: ColumnSpec, values: pa.Array) -> list[Any]:
        """An Arrow array of the column's canonical type as values to bind."""
        return self.adapter(column).encode(values)

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
                raise self._undecodable(spec, column, columns, error) or error from error
        return pa.record_batch(decoded, schema=spec.schema)

    def encode(self, spec: TableSpec, batch: pa.RecordBatch, database: str) -> list[list[Any]]:
        """A batch as columns of values to bind.

        Raises:
            UnrepresentableValueError: a value that the engine cannot hold, named with its row.
        """
        encoded = []
        for column in spec.columns:
            encode = self.adapter(column).encode
            try:
                encoded.append(encode(batch.column(column.name)))
            except MISFITS as error:
                raise unkept(spec, column, batch, encode, database, error) or error from error
        return encoded

    def outgoing(self, spec: TableSpec, batch: pa.RecordBatch, database: str) -> pa.RecordBatch:
        """A batch, which may lack some of the columns, as the engine's bulk writer takes it.

        Raises:
            UnrepresentableValueError: a value that cannot be stored, named with its row.
        """
        arrays = []
        for name in batch.schema.names:
            column = spec.column(name)
            convert = self.adapter(column).outgoing
            try:
                arrays.append(convert(batch.column(name)))
            except MISFITS as error:
                raise unkept(spec, column, batch, convert, database, error) or error from error
        return pa.record_batch(arrays, names=batch.schema.names)

    def _undecodable(
        self, spec: TableSpec, column: ColumnSpec, columns: Sequence[Sequence[Any]], error: Exception
    ) -> UnrepresentableValueError | None:
        values = columns[spec.column_names.index(column.name)]
        found = _misfit(error, len(values), lambda row: self.decode_column(column, [values[row]]))
        if found is None:
            return None
        row, problem = found
        key = self.key_text(spec, [columns[spec.column_names.index(name)][row] for name in spec.shown_key])
        if problem is not None:
            return UnrepresentableValueError(spec.name, key, column.name, problem)
        return UnrepresentableValueError(
            spec.name,
            key,
            column.name,
            f"holds {shown(values[row])}, which is no {self.adapter(column).type}",
            "Correct the value, give the column a type that has a place for it, or leave the table "
            f"out: --exclude {shell(spec.name)}. "
            f"{conversion_advice(spec, column.name, values[row])}".rstrip(),
        )

    def fetched_key(self, spec: TableSpec, fetched: pa.RecordBatch, row: int) -> str:
        """The key of a row that a bulk reader gave, for a message, even if a part of it is what does not fit."""
        parts = []
        for name in spec.shown_key:
            column, raw = spec.column(name), fetched.columns[spec.column_names.index(name)].slice(row, 1)
            try:
                text = show_value(column.type, python_scalar(self.adapter(column).incoming(raw)[0]))
            except MISFITS:
                text = shortened(str(raw[0]))
            parts.append(f"{name}={text}")
        return ", ".join(parts)

    def key_text(self, spec: TableSpec, values: Sequence[Any]) -> str:
        """A key for a message, even if a part of it is what cannot be decoded."""
        parts = []
        for name, value in zip(spec.shown_key, values, strict=True):
            column = spec.column(name)
            try:
                text = show_value(column.type, python_scalar(self.decode_column(column, [value])[0]))
            except MISFITS:
                text = shown(value)
            parts.append(f"{name}={text}")
        return ", ".join(parts)


def unkept(
    spec: TableSpec,
    column: ColumnSpec,
    batch: pa.RecordBatch,
    convert: Callable[[pa.Array], Any],
    database: str,
    error: Exception,
) -> UnrepresentableValueError | None:
    """The first value of a batch's column whose conversion for a database fails, if it fails by itself."""
    values = batch.column(column.name)
    found = _misfit(error, len(values), lambda row: convert(values.slice(row, 1)))
    if found is None:
        return None
    row, problem = found
    problem = problem or f"holds {shown(python_scalar(values[row]))}, which {database} cannot keep"
    names = tuple(name for name in spec.shown_key if name in batch.schema.names) or tuple(batch.schema.names)
    types = tuple(spec.column(name).type for name in names)
    key = show_key(names, types, tuple(python_scalar(batch.column(name)[row]) for name in names))
    return UnrepresentableValueError(spec.name, key, column.name, problem)


def _misfit(error: Exception, rows: int, attempt: Callable[[int], Any]) -> tuple[int, str | None] | None:
    """The first row that does not fit, and what is wrong with it if the error says so."""
    if isinstance(error, MisfitError):
        return error.row, error.problem
    for row in range(rows):
        try:
            attempt(row)
        except MISFITS as own:
            return row, own.problem if isinstance(own, MisfitError) else None
    return None


def shown(value: Any) -> str:
    """A stored value for a message, at most 80 characters; text that is no UTF-8 as its bytes."""
    if isinstance(value, str) and any("\udc80" <= sign <= "\udcff" for sign in value):
        value = value.encode(errors="surrogateescape")
    return shortened(repr(value))
