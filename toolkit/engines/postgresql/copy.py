"""Rows into a table of PostgreSQL: by binary COPY, straight or through a staging table and on in one statement."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg
import pyarrow as pa
from psycopg import errors as pg

from toolkit.core.batches import copied
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.engines.portable.connection import batch_key, refuse_schema
from toolkit.engines.postgresql.adapters import CODEC
from toolkit.engines.postgresql.conflicts import guarded
from toolkit.engines.postgresql.errors import refused_row, row_of_copy
from toolkit.engines.postgresql.sql import copy_schema, encoder, qualified, quoted
from toolkit.errors import RefusedRowError, StatementError, ToolkitError, UnnamedRowError, UnrepresentableValueError

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession

# Numbers the staging tables of this process: two may live in one transaction.
_STAGES = itertools.count(1)
_FEW_BYTES = 1_000_000


class RowCopy:
    """Copies rows into one table, whose columns have these types in the database.

    Raises:
        SchemaMismatchError: the table lacks columns by now.
    """

    def __init__(self, connection: PostgresSession, spec: TableSpec, types: Mapping[str, str]) -> None:
        if lacking := [name for name in spec.column_names if name not in types]:
            refuse_schema([f"{connection.name}.{spec.name} lacks {', '.join(lacking)} by now"])
        self._connection = connection
        self._spec = spec
        self._types = types
        self._wires = {c.name: CODEC.adapter(c).wire_for(types[c.name]) for c in spec.columns}

    def fill(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Copy rows straight into the table, where its types travel as they are; the number written."""
        if self._is_same_wire:
            return self._copy(qualified(self._spec.table), batches)
        return self.through_stage(batches)

    def few(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Copy rows straight into the table if they are as few as they should be; the number written.

        A staging table of each of thousands of tables takes longer than the rows, and five locks until the commit. Rows
        that are refused are sent again through one, where they can be looked for.
        """
        if not self._is_same_wire:
            return self.through_stage(batches)
        incoming = iter(batches)
        kept, is_all = _within(incoming, _FEW_BYTES)
        if is_all:
            # What is refused is told with the rows below.
            with suppress(RefusedRowError, StatementError, UnrepresentableValueError), self._connection.savepoint():
                return self._copy(qualified(self._spec.table), kept)
        return self.through_stage(itertools.chain(kept, incoming))

    @property
    def _is_same_wire(self) -> bool:
        return all(CODEC.adapter(c).takes(self._types[c.name]) for c in self._spec.columns)

    def through_stage(self, batches: Iterable[pa.RecordBatch], conflict: str = "") -> int:
        """Copy rows into a staging table and insert them from there, with this clause; the number written.

        Rows that a key or a foreign key refuses can be looked for in the staging table.
        """
        stage, written = self.staged(batches)
        insert = self._insert_statement(stage)
        guarded(self._connection, self._spec, insert + conflict, stage, lambda rows: f"{insert} WHERE {rows}{conflict}")
        with self._connection.translated():
            self._connection.run(f"DROP TABLE {stage}")
        return written

    def staged(self, batches: Iterable[pa.RecordBatch]) -> tuple[str, int]:
        """Copy rows into a new staging table; its name, and the number of rows."""
        stage = quoted(f"toolkit_stage_{next(_STAGES)}")
        columns = ", ".join(f"{quoted(name)} {wire}" for name, wire in self._wires.items())
        with self._connection.translated():
            self._connection.run(f"CREATE TEMPORARY TABLE {stage} ({columns}) ON COMMIT DROP")
        return stage, self._copy(stage, batches)

    def _insert_statement(self, stage: str) -> str:
        names = ", ".join(quoted(name) for name in self._spec.column_names)
        values = ", ".join(self._stored(column) for column in self._spec.columns)
        table = qualified(self._spec.table)
        return f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {stage}"

    def _stored(self, column: ColumnSpec) -> str:
        """A column of the staging table as the type that it has in the database."""
        return CODEC.adapter(column).store(quoted(column.name), self._types[column.name])

    def _copy(self, target: str, batches: Iterable[pa.RecordBatch]) -> int:
        """Send rows by binary COPY; an error that the server finds is told with the row's key."""
        columns = ", ".join(quoted(name) for name in self._spec.column_names)
        encode, schema = encoder(self._spec, self._wires), copy_schema(self._spec)
        # The server reports an error by row number, at most what the sockets hold later; the row is told by its key.
        recent: deque[tuple[int, pa.RecordBatch]] = deque(maxlen=4)
        written = 0
        statement = f"COPY {target} ({columns}) FROM STDIN (FORMAT BINARY)"
        try:
            with self._connection.raw.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(encode.write_header())
                for batch in batches:
                    self._refuse_unkeepable(batch)
                    recent.append((written, copied(batch, self._spec.shown_key)))
                    sent = CODEC.outgoing(self._spec, batch.select(self._spec.column_names), self._connection.name)
                    copy.write(encode.write_batch(pa.record_batch(sent.columns, schema=schema)))
                    written += batch.num_rows
                copy.write(encode.finish())
        except (pg.DataError, pg.IntegrityError, pg.StatementTooComplex) as error:
            raise self._refused(error, recent) from error
        except psycopg.Error as error:
            raise self._connection.known_error(error) from error
        return written

    def _refused(self, error: psycopg.Error, recent: Iterable[tuple[int, pa.RecordBatch]]) -> ToolkitError:
        """The server's refusal of a copied row, with the row's key and column, unless too many were sent since."""
        number, column = row_of_copy(error)
        for first, batch in recent:
            if number is not None and first < number <= first + batch.num_rows:
                key = batch_key(self._spec, batch, number - first - 1)
                return refused_row(self._connection.database, self._spec, key, column, error)
        reason = error.diag.message_primary or str(error).partition("\n")[0]
        return UnnamedRowError(self._connection.name, reason)

    def _refuse_unkeepable(self, batch: pa.RecordBatch) -> None:
        for column in self._spec.columns:
            values = batch.column(column.name)
            for row, problem in CODEC.adapter(column).unkeepable(values, self._wires[column.name]):
                raise UnrepresentableValueError(
                    self._spec.name,
                    batch_key(self._spec, batch, row),
                    column.name,
                    f"{problem}, which {self._connection.name} (PostgreSQL) cannot keep",
                )


def _within(batches: Iterator[pa.RecordBatch], size: int) -> tuple[list[pa.RecordBatch], bool]:
    """The first batches, and whether these, of no more than so many bytes, are all."""
    kept, taken = [], 0
    for batch in batches:
        kept.append(batch)
        taken += batch.nbytes
        if taken > size:
            return kept, False
    return kept, True
