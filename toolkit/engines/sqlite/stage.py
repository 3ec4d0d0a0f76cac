"""Rows on their way into an empty table of SQLite: in a file of their own, bound by ADBC straight from Arrow.

Python's driver makes an object of every value and holds the interpreter's lock meanwhile: 10 µs of a processor for a
todo of 14 columns. ADBC binds it in 2 µs beside other threads, but into no file that our transaction has open, for its
library would give up our locks (`snapshot.py`). So it fills a file that nobody else knows, which our transaction
attaches: it copies the rows from there in 2 µs more.

What the transaction stored is then compared with the stage by SQLite itself, value by value, while the digest of the
stage was taken by ADBC's reader beside it: what is equal to it has its digest.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from toolkit.compute.scratch import scratch_directory
from toolkit.core.batches import pieces
from toolkit.core.digest import TableDigest
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import Kind
from toolkit.core.workers import Worker
from toolkit.engines.portable.codec import MISFITS
from toolkit.engines.portable.long_expressions import combined
from toolkit.engines.sqlite.declared import Family, declared
from toolkit.errors import TemporaryFilesError, ToolkitError

if TYPE_CHECKING:
    from toolkit.engines.sqlite.adapters import SqliteCodec

# So many rows are copied by a statement, which hears no Ctrl-C: a third of a second.
_COPIED_ROWS = 131_072
# SQLite attaches no more (SQLITE_MAX_ATTACHED), and lets go of none before the transaction ends.
_MOST = 10
_AFFINITIES = {
    Family.INTEGER: "INTEGER",
    Family.REAL: "REAL",
    Family.TEXT: "TEXT",
    Family.DECIMAL: "NUMERIC",
    Family.ANY: "BLOB",
}
# Texts, bytes and numbers are equal to nothing of another class. An integer is to a double, which stands for the same
# in a column of integers as far as doubles have each of them, and for another text in one of documents.
_OF_ONE_CLASS = {Kind.INT16, Kind.INT32, Kind.BYTES, Kind.BOOL, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}
_TEXTS = {Kind.TEXT, Kind.UUID}
# Of these, texts of digits stay texts.
_KEEPS_TEXTS = {Family.TEXT, Family.ANY}
_FULL = ("disk is full", "disk I/O error")
# What SQLite calls a row's number, unless a column of the table is called so.
_ROW_NUMBERS = ("rowid", "_rowid_", "oid")


class Writing(Protocol):
    """The connection of a transaction that writes."""

    codec: ClassVar[SqliteCodec]

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def driver(self) -> sqlite3.Connection:
        """The driver's own connection."""

    def digest_of(self, file: Path, spec: TableSpec) -> TableDigest:
        """The digest of the rows of a table in another file, which nobody writes to."""


class Stage:
    """The rows of one table, attached to the transaction that writes it."""

    def __init__(self, connection: Writing, spec: TableSpec, types: Mapping[str, str], schema: str, file: Path) -> None:
        self._connection, self._spec, self._types = connection, spec, types
        self.file = file
        """Where they are; removed when the transaction ends."""
        self.schema = schema
        """What it is attached as."""
        self.rows = 0
        self._row_number = row_number(types)
        self._digest: TableDigest | None = None
        self._worker = Worker(self._take_digest, "stage-digest")

    @property
    def name(self) -> str:
        """The quoted name of its table."""
        return f"{self.schema}.{_quoted(self._spec.table.name)}"

    def fill(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Write these rows, and attach the file.

        Raises:
            UnrepresentableValueError: a value that SQLite cannot hold, named with its row.
            TemporaryFilesError: there is no room for them.
        """
        import adbc_driver_manager
        import adbc_driver_sqlite.dbapi

        (encoding,) = self._connection.driver.execute("PRAGMA encoding").fetchone()
        before = (
            f"PRAGMA encoding = '{encoding}'",
            # The largest: rows only come at the end, and to read and write many small ones takes as long as all else.
            "PRAGMA page_size = 65536",
            # What is lost with the process is of no use after it.
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            f"CREATE TABLE {_quoted(self._spec.table.name)} ({', '.join(self._definitions())})",
            "BEGIN",
        )
        with (
            adbc_driver_sqlite.dbapi.connect(self.file.as_uri(), autocommit=True) as adbc,
            adbc.cursor() as cursor,
        ):
            try:
                for statement in before:
                    cursor.execute(statement)
                    cursor.fetchall()
                statement = self._statement()
                for batch in chain.from_iterable(map(pieces, batches)):
                    cursor.executemany(statement, self._bound(batch))
                    self.rows += batch.num_rows
                cursor.execute("COMMIT")
                cursor.fetchall()
            except adbc_driver_manager.Error as error:
                if any(sign in str(error) for sign in _FULL):
                    reason = str(error).partition("\n")[0].removeprefix("INTERNAL: ")
                    raise TemporaryFilesError(tempfile.gettempdir(), reason) from error
                raise
        self._connection.driver.execute(f"ATTACH ? AS {self.schema}", [str(self.file)])

    def digest(self) -> TableDigest | None:
        """The digest of its rows as they are stored, once it is taken; None if they cannot be read."""
        self._worker.finish()
        return self._digest

    def begin_digest(self) -> None:
        """Take it beside what else is done."""
        self._worker.start()

    def close(self) -> None:
        """Wait until nobody reads it."""
        self._worker.wait()

    def parts(self) -> Iterator[str]:
        """Conditions of its rows, each of some of them, that together are all."""
        for first in range(1, self.rows + 1, _COPIED_ROWS):
            yield f"{self._row_number} BETWEEN {first} AND {first + _COPIED_ROWS - 1}"

    def equals(self, table: str) -> bool:
        """Whether a table has exactly these rows, in the order in which they came; `table` is its quoted name.

        What stands in a row of another number is not found, and would have to be read.
        """
        same = combined("AND", [*chain.from_iterable(map(self._same, self._spec.columns))])
        number = f"s.{_quoted(self._spec.key[0])}" if self._is_numbered else f"s.{self._row_number}"
        query = (
            f"SELECT (SELECT count(*) FROM {table}), count(*) FROM {self.name} AS s CROSS JOIN {table} AS t "
            f"ON t.{self._row_number} = {number} WHERE {same}"
        )
        try:
            found: tuple[int, int] = self._connection.driver.execute(query).fetchone()
        except sqlite3.OperationalError:
            # A table WITHOUT ROWID.
            return False
        return found == (self.rows, self.rows)

    def _same(self, column: ColumnSpec) -> Sequence[str]:
        ours, theirs = (f"{table}.{_quoted(column.name)}" for table in "ts")
        # By their bytes, whatever the column's collation; with a sign before it, a column's affinity converts nothing.
        same = f"+{ours} COLLATE BINARY IS +{theirs}"
        carrier = self._connection.codec.adapter(column).type.carrier
        keeps_texts = declared(self._types[column.name]).affinity in _KEEPS_TEXTS
        if carrier in _OF_ONE_CLASS or (carrier in _TEXTS and keeps_texts):
            return [same]
        return [same, f"typeof({ours}) = typeof({theirs})"]

    @property
    def columns(self) -> Sequence[str]:
        """The names of its columns."""
        return self._spec.column_names

    @property
    def _is_numbered(self) -> bool:
        """Whether the key is the number that SQLite gives a row."""
        return len(self._spec.key) == 1 and self._types[self._spec.key[0]].upper() == "INTEGER"

    def _definitions(self) -> Iterator[str]:
        """The columns, with what SQLite makes of values in those of the target."""
        for name in self.columns:
            affinity = declared(self._types[name]).affinity
            yield f"{_quoted(name)} {_AFFINITIES[affinity]}"

    def _statement(self) -> str:
        numbers = count(1)
        cells = []
        for column in self._spec.columns:
            adapter = self._connection.codec.adapter(column)
            places = [f"?{next(numbers)}" for _ in range(adapter.places)]
            cells.append(adapter.bind(places[0] if len(places) == 1 else f"coalesce({', '.join(places)})"))
        return f"INSERT INTO {_quoted(self._spec.table.name)} VALUES ({', '.join(cells)})"

    def _bound(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        sent = self._connection.codec.outgoing(self._spec, batch.select(self._spec.column_names), self._connection.name)
        arrays: list[pa.Array] = []
        for values in sent.columns:
            arrays += values.flatten() if pa.types.is_struct(values.type) else [values]
        return pa.record_batch(arrays, names=[f"p{number}" for number in range(len(arrays))])

    def _take_digest(self) -> None:
        # What cannot be read from here is read from the target, which says why.
        with suppress(ToolkitError, *MISFITS):
            self._digest = self._connection.digest_of(self.file, self._spec)


class Stages:
    """Those of one transaction."""

    def __init__(self, connection: Writing) -> None:
        self._connection = connection
        self._found: dict[str, Stage] = {}
        self._folder: Path | None = None
        self._open = ExitStack()

    def new(self, spec: TableSpec, types: Mapping[str, str]) -> Stage | None:
        """An empty one; None if there is no room for any more, or its rows could not be counted off."""
        number = len(self._found)
        if number == _MOST or spec.name in self._found or not types.keys() >= {*spec.column_names}:
            return None
        if row_number(types) is None:
            return None
        if self._folder is None:
            self._folder = self._open.enter_context(scratch_directory())
        schema = f"toolkit_stage_{number}"
        self._found[spec.name] = Stage(self._connection, spec, types, schema, self._folder / f"{number}.sqlite3")
        return self._found[spec.name]

    def of(self, spec: TableSpec) -> Stage | None:
        """That by which just these columns of a table were filled."""
        stage = self._found.get(spec.name)
        return stage if stage is not None and stage.columns == spec.column_names else None

    def close(self) -> None:
        """Remove them; the transaction has ended, or is to end now."""
        for stage in self._found.values():
            stage.close()
        if self._found:
            with suppress(sqlite3.Error, sa.exc.DBAPIError):
                self._connection.driver.rollback()
                for stage in self._found.values():
                    self._connection.driver.execute(f"DETACH {stage.schema}")
        self._found.clear()
        self._folder = None
        self._open.close()


def row_number(columns: Iterable[str]) -> str | None:
    """The name by which a row's number is asked for, of a table with these columns; None if they have all of them."""
    taken = {name.lower() for name in columns}
    return next((name for name in _ROW_NUMBERS if name not in taken), None)


def _quoted(name: str) -> str:
    return sqlite.dialect().identifier_preparer.quote_identifier(name)
