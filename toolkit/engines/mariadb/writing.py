"""One table of MariaDB, as far as rows are written to it: all of them at once, or by statements of many rows."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pymysql
import sqlalchemy as sa

from toolkit.core.batches import BATCH_ROWS, pieces
from toolkit.core.streams import read_ahead
from toolkit.core.tables import TableSpec
from toolkit.engines.mariadb.binary import digits_of
from toolkit.engines.mariadb.catalogue import takes_bytes
from toolkit.engines.mariadb.dialect import CHARSET
from toolkit.engines.mariadb.duplicates import REFUSAL
from toolkit.engines.mariadb.errors import REFUSING, number_of, without_values
from toolkit.engines.mariadb.literals import literals
from toolkit.engines.mariadb.load_data_rows import content_of, lines_of
from toolkit.engines.mariadb.session import MariaDBSession
from toolkit.engines.mariadb.stored_columns import StoredColumn, as_stored
from toolkit.engines.mariadb.types import FLOATS, INTEGERS, actual_type
from toolkit.engines.mariadb.zero_dates import has_texts_of_dates
from toolkit.engines.portable.codec import shown
from toolkit.engines.portable.table import TableRepository
from toolkit.errors import ToolkitError, UnnamedRowError, UnrepresentableValueError

_STATEMENT_BYTES = 1 << 20
# What a statement has beside its rows' values.
_PACKET_ROOM = 4096


class Insert(NamedTuple):
    """A statement but for its rows: what stands before them, and behind."""

    start: str
    end: str


class WrittenTable(TableRepository):
    """Writes rows, each value by the column's own type."""

    connection: MariaDBSession

    _is_load = False

    def __init__(self, connection: MariaDBSession, spec: TableSpec) -> None:
        facts = connection.facts(spec)
        types = (
            connection.expected.get(spec.name, {}) if facts is None else {n: c.type for n, c in facts.columns.items()}
        )
        super().__init__(connection, as_stored(spec, types))
        if has_texts_of_dates(spec):
            connection.take_zero_dates()

    @property
    def name(self) -> str:
        """The table's name, quoted."""
        return self.connection.quoted(self.spec)

    def quote(self, name: str) -> str:
        """A quoted name, in a statement that is run as it is."""
        quoted: str = self.connection.sqlalchemy.dialect.identifier_preparer.quote_identifier(name)
        return quoted.replace("%%", "%")

    def load(self, batches: Iterable[pa.RecordBatch], rows: int) -> int:
        """Fill the table, which must be empty: by LOAD DATA where the server takes one from its client.

        Raises:
            UnnamedRowError: a row was left out or changed; `why_refused` finds it.
        """
        return self._send(batches) if self.connection.takes_files else self._insert_all(batches, rows)

    def why_refused(self, batches: Iterable[pa.RecordBatch], error: UnnamedRowError) -> ToolkitError | None:
        """Why these rows could not fill the empty table: statements of rows say which, and leave nothing here."""
        try:
            with self.connection.translated(), self.connection.savepoint():
                self._insert_all(batches, 0)
                raise error
        except UnnamedRowError:
            return None
        except ToolkitError as named:
            return named

    def _send(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Send rows. Nothing the server says of a LOAD DATA of its client's is an error: it counts what it passed over.

        A key that comes twice, a value that does not fit: all of it makes a warning, and one warning is one too many.
        """
        name, written = secrets.token_hex(8), 0
        connection = self.connection
        with connection.translated():
            as_bytes = takes_bytes(connection.sqlalchemy, self.spec)
        statement = self._load_statement(name, as_bytes)
        with connection.translated(), connection.savepoint(), read_ahead(self._lines(batches, as_bytes)) as parts:
            for lines in parts:
                rows, warnings = connection.raw.load(statement, name, content_of(lines))
                if warnings or rows != len(lines):
                    told = connection.run("SHOW WARNINGS LIMIT 1")
                    reason = str(told[0][2]) if told else f"of {len(lines)} rows {rows} were taken"
                    raise UnnamedRowError(connection.name, without_values(reason))
                written += rows
        return written

    def _load_statement(self, name: str, as_bytes: bool) -> str:
        """The statement; what is sent as bytes needs no expressions, and no look for the ends of characters."""
        received = {} if as_bytes else self._received()
        places = [
            f"@toolkit_{number}" if received.get(column.name) else self.quote(column.name)
            for number, column in enumerate(self.spec.columns)
        ]
        made = ", ".join(f"{self.quote(column)} = {value}" for column, value in received.items() if value is not None)
        return (
            f"LOAD DATA LOCAL INFILE '{name}' INTO TABLE {self.name} CHARACTER SET {'binary' if as_bytes else CHARSET} "
            r"FIELDS TERMINATED BY '\t' ENCLOSED BY '' ESCAPED BY '\\' LINES TERMINATED BY '\n' "
            f"({', '.join(places)}){f' SET {made}' if made else ''}"
        )

    def _received(self) -> dict[str, str | None]:
        """By column, the expression of the value whose text a variable has; None of those that need none."""
        received = {
            column.name: self.connection.codec.adapter(column).received(f"@toolkit_{number}")
            for number, column in enumerate(self.spec.columns)
        }
        if any(value is not None for value in received.values()):
            # Beside a SET, MariaDB (10.11) takes the 0 of a column that numbers itself for a number to be given, though
            # the mode says otherwise; within, it does not.
            received |= {
                column.name: received[column.name] or f"@toolkit_{number}"
                for number, column in enumerate(self.spec.columns)
                if isinstance(column, StoredColumn) and actual_type(column.stored_as).name in (*INTEGERS, *FLOATS)
            }
        return received

    def _lines(self, batches: Iterable[pa.RecordBatch], as_bytes: bool) -> Iterator[pa.Array]:
        spec, most = self.spec, self.connection.most_bytes - _PACKET_ROOM
        for batch in batches:
            for piece in pieces(self._in_order(batch), self._fitting_rows(BATCH_ROWS), self.batch_bytes):
                sent = self.connection.codec.outgoing(spec, piece.select(spec.column_names), self.connection.name)
                lines = lines_of(sent.columns if as_bytes else [_text_of(each) for each in sent.columns])
                lengths = pc.binary_length(lines)
                if (longest := pc.max(lengths).as_py()) > most:
                    row = pc.index(lengths, longest).as_py()
                    self._refuse_long([column[row].as_py() for column in piece.columns], longest, most)
                yield lines

    def _in_order(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Its rows by their keys, as InnoDB stores them: neighbours go to one page."""
        if not self.spec.key:
            return batch
        try:
            return batch.sort_by([(name, "ascending") for name in self.spec.key])
        except pa.ArrowNotImplementedError:
            return batch

    def _insert_all(self, batches: Iterable[pa.RecordBatch], rows: int) -> int:
        """Fill the table by plain statements, to which a key that comes twice is an error."""
        self._is_load = True
        try:
            return super().load(batches, rows)
        finally:
            self._is_load = False

    def upsert_statement(self) -> Any:
        """`INSERT … ON DUPLICATE KEY UPDATE`, of which a row of another key is never the duplicate.

        One that has another unique value in common would be updated in place of being refused. The keys are compared by
        their bytes.
        """
        columns = ", ".join(map(self.quote, self.spec.column_names))
        start = f"INSERT INTO {self.name} ({columns}) VALUES "
        if not self.spec.key or self._is_load:
            return Insert(start, "")
        keys = [self.quote(name) for name in self.spec.key]
        is_same = " AND ".join(f"BINARY {key} <=> BINARY VALUES({key})" for key in keys)
        others = [self.quote(name) for name in self.spec.updated_names]
        updates = [
            f"{keys[0]} = IF({is_same}, {keys[0]}, {REFUSAL})",
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
        for number, cells in enumerate(zip(*map(literals, columns), strict=True)):
            text = f"({','.join(cells)})"
            # Every character may be of four bytes.
            length = len(text) if text.isascii() else len(text.encode())
            if length > most:
                self._refuse_long([column[number] for column in columns], length, most)
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


def _text_of(sent: pa.Array) -> pa.Array:
    return digits_of(sent) if pa.types.is_large_binary(sent.type) else sent
