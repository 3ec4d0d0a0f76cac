"""MariaDB: a session's transaction, its settings and its lock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cached_property
from typing import Any

import pymysql
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from toolkit.core.progress import SILENT, Progress
from toolkit.core.tables import TableSpec
from toolkit.engines.contract import Capabilities
from toolkit.engines.mariadb.adapters import CODEC
from toolkit.engines.mariadb.catalogue import MOVED, doubtful_texts, rows
from toolkit.engines.mariadb.dialect import CHARSET, COLLATION
from toolkit.engines.mariadb.driver import Connection as Driver
from toolkit.engines.mariadb.duplicates import on_duplicate
from toolkit.engines.mariadb.errors import known_error, message_of
from toolkit.engines.mariadb.modes import MODES, STANDARD, set_mode
from toolkit.engines.mariadb.zero_dates import TAKING
from toolkit.engines.portable.connection import DatabaseConnection
from toolkit.errors import ConfigurationError, DatabaseUnavailableError, ToolkitError

# What the canonical forms rest on, whatever the server, the user or the database have set.
_SETTINGS: Mapping[str, str] = {
    "sql_mode": f"'{','.join(MODES)}'",
    "time_zone": "'+00:00'",
    "sql_safe_updates": "0",
    # All rows: its DEFAULT is what the server has set.
    "sql_select_limit": "18446744073709551615",
    "sql_auto_is_null": "0",
    "max_statement_time": "0",
    "idle_transaction_timeout": "0",
    "unique_checks": "1",
    "check_constraint_checks": "1",
    # Foreign keys are found by the quotes of their names.
    "sql_quote_show_create": "1",
    # Tables that keep their past are read as they are.
    "system_versioning_asof": "DEFAULT",
    # Nothing that is done to a value goes unsaid.
    "sql_notes": "1",
    "max_error_count": "64",
    # A source may let wait for its next rows.
    "net_read_timeout": "86400",
}
# Read a table row by row, not by one of its indexes. Of rows that this transaction has written that takes an eighth of
# the time: only the row itself has the number of its transaction, which is looked up for each entry of an index.
BY_ROWS = "USE INDEX ()"
_MYSQL = "is not a MariaDB variant"


class MariaDBSession(DatabaseConnection):
    """One transaction on a MariaDB database. Whoever writes waits for the one toolkit writer before it.

    Foreign keys are not acted on as rows are written: no cascade changes what was not planned, and rows may come in any
    order. They are checked before the commit, each parent that is found being kept by a lock.
    """

    capabilities = Capabilities(
        enforces_foreign_keys=False,
        keeps_text_of_json=True,
        loads_without_key=False,
        has_one_writer=False,
        has_floats_beyond_numbers=False,
        loads_by_key=True,
        has_dates_of_no_calendar=True,
    )
    codec = CODEC
    insert = staticmethod(mysql.insert)
    or_update = staticmethod(on_duplicate)
    options_of = "mysql"

    _has_begun = False
    _takes_zero_dates = False
    _made: frozenset[str] = frozenset()

    @cached_property
    def _doubtful(self) -> dict[str | None, Mapping[tuple[str, str], str]]:
        return {}

    @cached_property
    def later(self) -> dict[str, tuple[sa.Table, int]]:
        """By table's name, the numbers to go on with behind the commit."""
        return {}

    @property
    def raw(self) -> Driver:
        """PyMySQL's connection underneath SQLAlchemy's; both share the transaction."""
        connection = self.sqlalchemy.connection.driver_connection
        assert isinstance(connection, Driver)
        return connection

    def run(self, statement: str) -> Sequence[tuple[Any, ...]]:
        """Run a statement without any value, in which a percent sign is one; its rows."""
        with self.raw.cursor(pymysql.cursors.Cursor) as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    @cached_property
    def most_bytes(self) -> int:
        """How long a statement may be."""
        [(found,)] = self.run("SELECT @@max_allowed_packet")
        return int(found)

    @cached_property
    def takes_files(self) -> bool:
        """Whether the server lets its clients send it the rows of a LOAD DATA."""
        [(found,)] = self.run("SELECT @@local_infile")
        return bool(found)

    def doubtful_texts(self, schema: str | None) -> Mapping[tuple[str, str], str]:
        """By table and column of a schema, the character sets that have no character for some bytes."""
        if schema not in self._doubtful:
            with self.translated():
                self._doubtful[schema] = doubtful_texts(self.sqlalchemy, schema)
        return self._doubtful[schema]

    def moved_columns(self, spec: TableSpec) -> Sequence[str]:
        """The columns of a table that an update gives the present moment (ON UPDATE)."""
        with self.translated():
            found = rows(self.sqlalchemy, MOVED, schema=spec.table.schema, table=spec.table.name)
        return [row.name for row in found]

    def _begin(self) -> None:
        self._settle()
        if not self.write:
            self.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            return
        # What is read is as it is now, and stays so until the end: a snapshot would hide what others write meanwhile.
        self.run("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        self.run(f"SET SESSION lock_wait_timeout = {self._seconds}, innodb_lock_wait_timeout = {self._seconds}")
        self.run("SET SESSION foreign_key_checks = 0")
        if not self._has_begun:
            self._take_turn()
        self._has_begun = True
        self.run("START TRANSACTION")

    @property
    def _seconds(self) -> int:
        return max(1, round(self.database.lock_seconds))

    def _settle(self) -> None:
        if not self.database.url.database:
            raise ConfigurationError(
                f"The address of database {self.name!r} names no database on its server.",
                "Write it like mariadb://user@host/name.",
            )
        # Before SQLAlchemy begins a transaction of its own making, it has asked the server what it is.
        self.run(f"SET NAMES {CHARSET} COLLATE {COLLATION}")
        self.run(f"SET SESSION {', '.join(f'{name} = {value}' for name, value in _SETTINGS.items())}")

    def _take_turn(self) -> None:
        """Wait for the one toolkit writer of this database; the session keeps the lock through all of its commits."""
        digest = hashlib.sha256(str(self.database.url.database).encode()).hexdigest()[:32]
        [(taken,)] = self.run(f"SELECT GET_LOCK('toolkit {digest}', {self._seconds})")
        if taken != 1:
            raise DatabaseUnavailableError(
                self.name,
                f"another writer held a lock for longer than {self.database.lock_seconds:g} s",
                "Wait until the other sync has ended, or look for it in SHOW PROCESSLIST, then run again.",
            )

    def begin_with(self, make: Callable[[], None]) -> None:
        """Do this first. What makes a table commits by itself: those that were made are dropped if nothing follows."""
        before = self._tables()
        try:
            with self._standard_sql():
                make()
        finally:
            self._made = self._tables() - before
        self.forget()
        with self.translated():
            self._begin()

    @contextmanager
    def _standard_sql(self) -> Iterator[None]:
        """Let texts of schemas be understood that are in the standard's quotes, and texts in them hold a backslash."""
        dialect: Any = self.sqlalchemy.dialect
        self.run(set_mode(*MODES, *STANDARD))
        escapes, dialect._backslash_escapes = dialect._backslash_escapes, False  # noqa: SLF001 - its own setting
        try:
            yield
        finally:
            dialect._backslash_escapes = escapes  # noqa: SLF001
            self.run(set_mode(*MODES))
            self._takes_zero_dates = False

    def take_zero_dates(self) -> None:
        """Let the server take dates that no calendar has, from here on: columns of others send none."""
        if not self._takes_zero_dates:
            with self.translated():
                self.run(set_mode(*TAKING))
            self._takes_zero_dates = True

    def _tables(self) -> frozenset[str]:
        with self.translated():
            return frozenset(
                str(name)
                for (name,) in self.run(
                    "SELECT table_name FROM information_schema.tables "
                    "WHERE table_schema = database() AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')"
                )
            )

    def commit(self) -> None:
        """Make the transaction's work last, and begin the next."""
        super().commit()
        self._made = frozenset()

    def close(self) -> None:
        """Roll back what was not committed, and drop the tables that were made for it."""
        if self._made and hasattr(self, "sqlalchemy"):
            with suppress(sa.exc.DBAPIError, pymysql.Error):
                self.sqlalchemy.rollback()
                quote = self.sqlalchemy.dialect.identifier_preparer.quote_identifier
                self.run("SET SESSION foreign_key_checks = 0")
                for name in sorted(self._made):
                    self.run(f"DROP TABLE IF EXISTS {quote(name)}".replace("%%", "%"))
        self._made = frozenset()
        super().close()

    def lock_tables(self, specs: Sequence[TableSpec], progress: Progress = SILENT) -> None:
        """Keep these tables from being altered or dropped while they are worked on: whoever has read one does so."""
        self.look_up(specs)
        with self.translated():
            for spec in specs:
                if self.facts(spec) is not None:
                    self.run(f"SELECT 1 FROM {self.quoted(spec)} LIMIT 0")

    def savepoint(self) -> AbstractContextManager[Any]:
        """Undo what the block did if it fails; who only reads has nothing to undo, and tables of Aria take none."""
        return super().savepoint() if self.write else nullcontext()

    def exclude_writers(self, specs: Sequence[TableSpec]) -> None:
        """Let nobody else write to these tables until the end: all of their rows are read, which locks them.

        The rows themselves: whoever changes a column that is in no index does not meet the locks on entries of one.
        """
        with self.translated():
            for spec in specs:
                self.run(f"SELECT count(*) FROM {self.quoted(spec)} {BY_ROWS} LOCK IN SHARE MODE")

    def quoted(self, spec: TableSpec) -> str:
        """A table's name in a statement that is run as it is."""
        name: str = self.sqlalchemy.dialect.identifier_preparer.format_table(spec.table)
        return name.replace("%%", "%")

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of PyMySQL into this package's."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise self.known_error(error.orig or error) from error
        except sa.exc.InvalidRequestError as error:
            if _MYSQL not in str(error):
                raise
            raise DatabaseUnavailableError(
                self.name,
                "the server is MySQL, on which nothing has been tried: its documents, collations and texts differ",
                "Use a MariaDB server, or carry the rows by a dump that MariaDB loads.",
            ) from error
        except pymysql.Error as error:
            raise self.known_error(error) from error

    def known_error(self, error: BaseException) -> ToolkitError:
        """The error to raise in place of the driver's."""
        return known_error(self.database, error)

    def reason(self, error: BaseException) -> str:
        """Why a row was refused, in the server's own words."""
        return message_of(getattr(error, "orig", None) or error)

    def _is_broken(self) -> bool:
        connection = self.sqlalchemy.connection.driver_connection if not self.sqlalchemy.invalidated else None
        return connection is None or not connection.open

    def _marks(self) -> Iterable[str]:
        """The server's own names, for behind each compose file is one at the same address."""
        with self.translated():
            [(host, directory)] = self.run("SELECT @@hostname, @@datadir")
        return (str(host), str(directory))
