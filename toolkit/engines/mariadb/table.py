"""One table of MariaDB: read row by row as the server sends them, written by statements of many rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pymysql
import sqlalchemy as sa

from toolkit.core.batches import parts
from toolkit.core.tables import TableSpec
from toolkit.engines.contract import LossyCast
from toolkit.engines.mariadb.errors import REFUSING, number_of
from toolkit.engines.mariadb.keys import find_twins, folding_collations
from toolkit.engines.mariadb.literals import literal
from toolkit.engines.mariadb.stored import as_stored
from toolkit.engines.mariadb.types import TEXTS, actual_type
from toolkit.engines.portable.codec import shown
from toolkit.engines.portable.lossy import ANY_VALUE
from toolkit.engines.portable.table import TableRepository
from toolkit.errors import CollationConflictError, UnrepresentableValueError

if TYPE_CHECKING:
    from toolkit.engines.mariadb.connection import MariaDBConnection

# Rows that SQLAlchemy keeps at a time of what the server sends: they may be wide.
_BUFFERED_ROWS = 32
_STATEMENT_BYTES = 1 << 20
# What a statement has beside its rows' values.
_PACKET_ROOM = 4096


class Insert(NamedTuple):
    """A statement but for its rows: what stands before them, and behind."""

    start: str
    end: str


class MariaDBRepository(TableRepository):
    """One table of a MariaDB database."""

    connection: MariaDBConnection

    def __init__(self, connection: MariaDBConnection, spec: TableSpec) -> None:
        facts = connection.facts(spec)
        types = (
            connection.expected.get(spec.name, {}) if facts is None else {n: c.type for n, c in facts.columns.items()}
        )
        super().__init__(connection, as_stored(spec, types))

    @property
    def name(self) -> str:
        """The table's name, quoted."""
        return self.connection.quoted(self.spec)

    def quote(self, name: str) -> str:
        """A quoted name, in a statement that is run as it is."""
        quoted: str = self.connection.sqlalchemy.dialect.identifier_preparer.quote_identifier(name)
        return quoted.replace("%%", "%")

    # -- reading ---------------------------------------------------------------------------------------------------

    def lossy_casts(self) -> dict[str, LossyCast]:
        """Columns of types that nothing of the model's is read from: all of their values are refused."""
        facts = self.connection.facts(self.spec)
        adapter = self.connection.codec.adapter
        return {
            column.name: LossyCast(facts.columns[column.name].type, ANY_VALUE)
            for column in self.spec.columns
            if facts is not None
            and column.name in facts.columns
            and not adapter(column).is_read(actual_type(facts.columns[column.name].type))
        }

    def _fetched_columns(self, query: Any, width: sa.Label[int], most: int) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows of a query, not sorted: the driver takes each from the server when it is asked for."""
        streamed = query.execution_options(stream_results=True, max_row_buffer=_BUFFERED_ROWS)
        with self.connection.translated(), closing(self.connection.sqlalchemy.execute(streamed)) as result:
            for rows in parts(result, most, lambda row: int(row[-1]), self.batch_bytes):
                *columns, _ = zip(*rows, strict=True)
                yield columns

    def _told_apart(self, cell: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """A text by its bytes: its collation may take different ones for one."""
        facts = self.connection.facts(self.spec)
        is_text = facts is not None and actual_type(facts.columns[cell.key or ""].type).name in TEXTS
        return sa.cast(sa.type_coerce(cell, sa.types.NullType()), sa.BINARY) if is_text else cell

    def collated_key(self) -> dict[str, str]:
        """The key columns of which MariaDB takes different values for one, each with what makes it do so."""
        found = folding_collations(self.connection, self.spec, self.spec.key)
        return {name: f"the collation {collation}" for name, collation in found.items()}

    def require_distinct(self, keys: Iterable[pa.RecordBatch]) -> None:
        """Check that these keys, of rows to insert, are different to MariaDB too, from one another and its own."""
        if twins := find_twins(self, keys):
            rows = [self.show_row(key) for key in twins]
            raise CollationConflictError(self.connection.name, self.spec.name, rows, self.collated_key())

    # -- writing ---------------------------------------------------------------------------------------------------

    def upsert_statement(self) -> Any:
        """`INSERT … ON DUPLICATE KEY UPDATE`, of which a row of another key is never the duplicate.

        One that has another unique value in common would be updated in place of being refused: its key would become
        NULL, which no key takes. The keys are compared by their bytes.
        """
        columns = ", ".join(map(self.quote, self.spec.column_names))
        start = f"INSERT INTO {self.name} ({columns}) VALUES "
        if not self.spec.key:
            return Insert(start, "")
        keys = [self.quote(name) for name in self.spec.key]
        is_same = " AND ".join(f"BINARY {key} <=> BINARY VALUES({key})" for key in keys)
        others = [self.quote(name) for name in self.spec.updated_names]
        updates = [
            f"{keys[0]} = IF({is_same}, {keys[0]}, NULL)",
            *(f"{name} = VALUES({name})" for name in others),
            *(
                f"{self.quote(name)} = {self.quote(name)}"
                for name in self._kept()
                if name not in self.spec.updated_names
            ),
        ]
        return Insert(start, f" ON DUPLICATE KEY UPDATE {', '.join(updates)}")

    def _kept(self) -> Sequence[str]:
        """The columns that MariaDB gives the present moment with each update that does not name them."""
        return self.connection.moved_columns(self.spec)

    def _execute_many(self, statement: Any, columns: Sequence[Sequence[Any]]) -> None:
        if not isinstance(statement, Insert):
            super()._execute_many(statement, columns)
            return
        self.insert_rows(statement.start, statement.end, columns)

    def insert_rows(self, start: str, end: str, columns: Sequence[Sequence[Any]]) -> None:
        """Write rows, each column's values as they are bound, by as few statements as the server takes."""
        most = self.connection.most_bytes - len(start.encode()) - len(end.encode()) - _PACKET_ROOM
        waiting: list[str] = []
        size = 0
        for row in zip(*columns, strict=True):
            text = f"({','.join(map(literal, row))})"
            # Every character may be of four bytes.
            length = len(text) if text.isascii() else len(text.encode())
            if length > most:
                self._refuse_long(row, length, most)
            if waiting and size + length > min(most, _STATEMENT_BYTES):
                self._insert(start + ",".join(waiting) + end)
                waiting, size = [], 0
            waiting.append(text)
            size += length + 1
        if waiting:
            self._insert(start + ",".join(waiting) + end)

    def _insert(self, statement: str) -> None:
        try:
            self.connection.run(statement)
        except pymysql.Error as error:
            if number_of(error) in REFUSING:
                raise sa.exc.IntegrityError(None, None, error) from error
            raise

    def _refuse_long(self, row: Sequence[Any], length: int, most: int) -> None:
        sizes = [len(value) if isinstance(value, str | bytes) else 0 for value in row]
        names = self.spec.column_names
        key = ", ".join(f"{name}={shown(row[names.index(name)])}" for name in self.spec.shown_key)
        column = names[sizes.index(max(sizes))]
        problem = f"is too long: its row is a statement of {length:,} bytes, and the server takes {most:,}"
        advice = f"Raise max_allowed_packet on {self.connection.name}, or leave the row out (--rejects)."
        raise UnrepresentableValueError(self.spec.name, key, column, problem, advice)
