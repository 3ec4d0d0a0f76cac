"""Which rows of a batch a database does not take, and why, where its own error does not say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Self

import pyarrow as pa
import sqlalchemy as sa

from toolkit.core.batches import copied
from toolkit.core.tables import TableSpec
from toolkit.core.values import python_scalar, show_key, show_value
from toolkit.engines.portable.connection import DatabaseConnection, batch_key
from toolkit.engines.portable.refusals import as_enforced, first_refused
from toolkit.errors import (
    RefusedRowError,
    ToolkitError,
    UniqueConflictError,
    UnnamedRowError,
    UnrepresentableValueError,
)


class ConflictFinder(ABC):
    """One table of one database, as far as it refuses rows: by a NULL, a unique value that another row has, a check."""

    # What the driver raises for a row that breaks a constraint, or whose value its column does not take.
    _refusals: ClassVar[tuple[type[Exception], ...]] = (sa.exc.IntegrityError, sa.exc.DataError)

    def __init__(self, connection: DatabaseConnection, spec: TableSpec) -> None:
        self.connection = connection
        self.spec = spec
        self.table = spec.table

    def show_row(self, raw_key: Sequence[Any]) -> str:
        """A row's key, or what else names it, as the codec's selection gives it, for a message."""
        key_spec = [self.spec.column(name) for name in self.spec.shown_key]
        values = [
            python_scalar(self.connection.codec.decode_column(column, [value])[0])
            for column, value in zip(key_spec, raw_key, strict=True)
        ]
        return show_key(self.spec.shown_key, tuple(c.type for c in key_spec), tuple(values))

    def why_refused(self, batches: Iterable[pa.RecordBatch], error: UnnamedRowError) -> ToolkitError | None:
        """Why these rows could not fill the empty table: a NULL, or a unique value in two of them."""
        enforcing = self.enforcing()
        names = list(dict.fromkeys(name for key in (self.spec.shown_key, *enforcing.spec.unique_keys) for name in key))
        seen: list[pa.RecordBatch] = []
        for batch in batches:
            if found := enforcing.null_in(batch):
                return found
            seen.append(copied(batch, names))
        rows = pa.Table.from_batches(seen).combine_chunks().to_batches()
        return enforcing.twice_within(rows[0]) if rows else None

    def enforcing(self) -> Self:
        """The same table with the constraints that the database has, beside those of the model."""
        return type(self)(self.connection, as_enforced(self.connection, self.spec))

    def _refusal(self, batch: pa.RecordBatch, write: Callable[[pa.RecordBatch], None]) -> ToolkitError | None:
        """Why a batch was refused, with the row; `write` writes some of it."""
        return self.enforcing().conflict(batch) or self._first_refused(batch, write)

    def _first_refused(self, batch: pa.RecordBatch, write: Callable[[pa.RecordBatch], None]) -> ToolkitError | None:
        """The first row that the database does not take, found by writing halves."""

        def refusal(first: int, rows: int) -> Exception | None:
            try:
                with self.connection.savepoint():
                    write(batch.slice(first, rows))
            except self._refusals as error:
                return error
            return None

        found = first_refused(self.connection, batch.num_rows, refusal)
        if found is None:
            return None
        row, error = found
        reason = self.connection.reason(error)
        return RefusedRowError(self.connection.name, self.spec.name, batch_key(self.spec, batch, row), reason)

    def conflict(self, batch: pa.RecordBatch) -> ToolkitError | None:
        """Why a batch was refused: a NULL, or a unique value in two rows of it, or in one and one of the table."""
        return self.null_in(batch) or self.twice_within(batch) or self._claimed(batch)

    def null_in(self, batch: pa.RecordBatch) -> ToolkitError | None:
        """The first NULL in a column that takes none."""
        for column in self.spec.columns:
            if not column.nullable and batch.column(column.name).null_count:
                row = batch.column(column.name).is_null().index(True).as_py()
                problem = f"is NULL, which {self.connection.name} does not allow"
                return UnrepresentableValueError(self.spec.name, batch_key(self.spec, batch, row), column.name, problem)
        return None

    def twice_within(self, batch: pa.RecordBatch) -> ToolkitError | None:
        """Two rows of a batch with one unique value."""
        return self._first_conflict(lambda columns: self._twice_in(batch, columns))

    def _claimed(self, batch: pa.RecordBatch) -> ToolkitError | None:
        return self._first_conflict(lambda columns: self._elsewhere(batch, columns))

    def _first_conflict(
        self, find: Callable[[tuple[str, ...]], tuple[str, str, str] | None]
    ) -> UniqueConflictError | None:
        for columns in self.spec.unique_keys:
            if columns != self.spec.key and (rows := find(columns)):
                value, first, second = rows
                return UniqueConflictError(
                    self.connection.name, self.spec.name, ", ".join(columns), value, (first, second)
                )
        return None

    def _twice_in(self, batch: pa.RecordBatch, columns: tuple[str, ...]) -> tuple[str, str, str] | None:
        seen: dict[tuple[Any, ...], int] = {}
        for number, value in enumerate(zip(*(batch.column(c).to_pylist() for c in columns), strict=True)):
            if None not in value and seen.setdefault(value, number) != number:
                return (
                    self._show(columns, value),
                    batch_key(self.spec, batch, seen[value]),
                    batch_key(self.spec, batch, number),
                )
        return None

    def _elsewhere(self, batch: pa.RecordBatch, columns: tuple[str, ...]) -> tuple[str, str, str] | None:
        """A row of the table that holds a unique value of the batch under another key, and best is not in the batch."""
        moving = {batch_key(self.spec, batch, number) for number in range(batch.num_rows)}
        found = list(self._holders(batch, columns))
        return next((rows for rows in found if rows[2] not in moving), found[0] if found else None)

    def _holders(self, batch: pa.RecordBatch, columns: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
        wanted = pa.Table.from_batches([batch]).select(list(columns))
        own = {value: n for n, value in enumerate(zip(*(batch.column(c).to_pylist() for c in columns), strict=True))}
        names = [*columns, *self.spec.shown_key]
        selected = [self.connection.codec.select(self.spec.column(n), self.table.c[n]) for n in names]
        for condition in self._conditions(wanted):
            # Fetched to the end: DuckDB does nothing else while a result is unfinished.
            for row in self.connection.sqlalchemy.execute(sa.select(*selected).where(condition)).all():
                value = tuple(
                    self.connection.codec.decode_column(self.spec.column(n), [raw])[0].as_py()
                    for n, raw in zip(columns, row, strict=False)
                )
                number = own.get(value)
                theirs = self.show_row(row[len(columns) :])
                if number is not None and batch_key(self.spec, batch, number) != theirs:
                    yield self._show(columns, value), batch_key(self.spec, batch, number), theirs

    def _show(self, columns: tuple[str, ...], value: tuple[Any, ...]) -> str:
        return ", ".join(show_value(self.spec.column(c).type, v) for c, v in zip(columns, value, strict=True))

    @abstractmethod
    def _conditions(self, keys: pa.Table | None) -> Iterator[Any]:
        """WHERE clauses that together select the rows whose columns have these values."""
