"""PostgreSQL: a session's transaction, its locks, and its snapshot for reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import errors as pg
from sqlalchemy.dialects import postgresql

from toolkit.core.progress import SILENT, Progress
from toolkit.core.tables import TableSpec
from toolkit.engines.contract import Capabilities
from toolkit.engines.portable.connection import DatabaseConnection
from toolkit.engines.postgresql.adapters import CODEC
from toolkit.engines.postgresql.adbc import open_connection
from toolkit.engines.postgresql.errors import LockSign, known_error, lock_sign
from toolkit.engines.postgresql.far_times import load_far_times
from toolkit.engines.postgresql.locks import (
    WRITE_LOCK,
    crowded_error,
    lock_room,
    locked_error,
    require_room,
    stage_locks,
)
from toolkit.engines.postgresql.parts import join
from toolkit.engines.postgresql.sql import VALUE, literal, qualified
from toolkit.engines.postgresql.types import accept_foreign_types
from toolkit.engines.postgresql.urls import for_libpq, libpq_options
from toolkit.errors import DatabaseUnavailableError, ToolkitError

# What the canonical forms rest on, whatever the role or the database have set.
_SETTINGS = (
    "SET LOCAL client_encoding = 'UTF8'",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    # psycopg reads intervals in no other style.
    "SET LOCAL IntervalStyle = 'postgres'",
    "SET LOCAL extra_float_digits = 1",
    # Values of other types than the model's, and of arrays, are told by their text.
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL standard_conforming_strings = on",
    "SET LOCAL array_nulls = on",
    "SET LOCAL transform_null_equals = off",
    "SET LOCAL xmloption = 'content'",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    # As in pg_dump: rows that a policy hides are an error, or they would be taken for rows that are not there.
    "SET LOCAL row_security = off",
)
# What a killed process has asked for ends with its locks, though it waits or computes. Servers on other systems, and
# before 14, may not notice. To look it up in `pg_settings` took ten times as long as to ask for it.
_END_WITH_CLIENT = (
    "SELECT set_config('client_connection_check_interval', '2s', true) "
    "WHERE current_setting('client_connection_check_interval', true) IS NOT NULL AND version() ~ 'linux'"
)
# Where a database or a role has this setting, the server checks no foreign keys. It is set only there, as not every
# role may do so.
_CHECK_FOREIGN_KEYS = (
    "SELECT set_config('session_replication_role', 'origin', true) "
    "WHERE current_setting('session_replication_role') = 'replica'"
)


class PostgresSession(DatabaseConnection):
    """One transaction on a PostgreSQL database. Whoever writes waits for the one toolkit writer before it."""

    capabilities = Capabilities(
        enforces_foreign_keys=True,
        keeps_text_of_json=False,
        loads_without_key=True,
        has_one_writer=False,
        writes_types_as_text=True,
    )
    codec = CODEC
    insert = staticmethod(postgresql.insert)
    options_of = "postgresql"

    _reader: Any = None
    _is_pooled: bool | None = None
    _deferred: Sequence[TableSpec] = ()
    _tables: tuple[str, ...] = ()
    _held: tuple[str, ...] = ()
    _process = 0
    _joined: str | None = None
    _last: tuple[str, ...] = ()

    def run(self, statement: str, parameter: str | None = None) -> psycopg.Cursor[Any]:
        """Run a statement with at most one value, bound at `VALUE`; a percent sign in a name stays one."""
        if parameter is None:
            return self.raw.execute(statement)
        return self.raw.execute(statement.replace("%", "%%").replace(VALUE, "%s"), (parameter,))

    @property
    def raw(self) -> psycopg.Connection[Any]:
        """The psycopg connection underneath SQLAlchemy's; both share the transaction."""
        with self._told_if_lost():
            connection = self.sqlalchemy.connection.driver_connection
        assert isinstance(connection, psycopg.Connection)
        return connection

    def _begin(self) -> None:
        # Types of other engines' schemas are told apart by what they would be here.
        accept_foreign_types(self.sqlalchemy.engine)
        load_far_times(self.raw)
        if not self.write:
            self.sqlalchemy.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if self._joined is not None:
            join(self.name, self.raw, self._joined)
        self._settle()
        if self.write or self._joined is not None:
            self.sqlalchemy.exec_driver_sql(_END_WITH_CLIENT)
        if self.write:
            self._check_foreign_keys()
        if self.write and self._is_pooled is None:
            self._look_at_server()
            self._take_turn()
        if self._held:
            self.run(_lock(self._held))

    def _take_turn(self) -> None:
        # Of the transaction: behind a pooler, a session's lock outlives its client. After the commit nobody writes any
        # more, unless the lock is the session's.
        self.sqlalchemy.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")

    def savepoint(self) -> AbstractContextManager[Any]:
        """Undo what the block did if it fails. Unlike SQLAlchemy's it then ends: in one no snapshot can be shared."""
        return self.raw.transaction()

    def _settle(self) -> None:
        self.sqlalchemy.exec_driver_sql("; ".join(self._settings))

    def _check_foreign_keys(self) -> None:
        try:
            self.sqlalchemy.exec_driver_sql(_CHECK_FOREIGN_KEYS)
        except sa.exc.ProgrammingError as error:
            raise DatabaseUnavailableError(
                self.name,
                "its server checks no foreign keys for this role (session_replication_role is replica)",
                "Reset that where it is set (ALTER ROLE or ALTER DATABASE … RESET session_replication_role), or write "
                "as a role that may set it.",
            ) from error

    def finish_with(self, statement: str) -> None:
        """Execute it before the next commit."""
        self._last += (statement,)

    def commit(self) -> None:
        """Make the transaction's work last, and begin the next."""
        last, self._last = self._last, ()
        if last:
            self.stop_reading()
            with self.translated():
                # A table with checks that are still to come cannot be altered.
                for statement in ("SET CONSTRAINTS ALL IMMEDIATE", *last):
                    self.run(statement)
        super().commit()

    def share(self) -> str:
        """Let others see what this transaction sees, as long as it lasts."""
        with self.translated():
            row = self.run("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        return str(row[0])

    def join(self, shared: str) -> None:
        """See what another's transaction sees, from the beginning on."""
        self._joined = shared

    def require_shared(self) -> None:
        """All who joined saw one snapshot."""

    def hold_writer_lock(self) -> None:
        """Let no other toolkit write in between the commits of this connection; call it before the first of them."""
        if self._is_pooled:
            raise DatabaseUnavailableError(
                self.name,
                "commits in between need one session, and a pooler such as PgBouncer stands before the server",
                "Connect to the server itself, or leave out --commit-every.",
            )
        with self.translated():
            self.run(f"SELECT pg_advisory_lock({WRITE_LOCK})")

    def _look_at_server(self) -> None:
        """See whether it can be written to, and how it is reached, before anything is read.

        A standby is told from a role that may not write, for which the server has one error. A pooler gives its
        clients process ids of its own making.
        """
        row = self.run(
            "SELECT pg_backend_pid(), pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"
        ).fetchone()
        assert row is not None
        self._process, is_standby, is_read_only = row
        self._is_pooled = self._process != self.raw.info.backend_pid
        if is_standby:
            raise DatabaseUnavailableError(
                self.name, "the server is a standby, which is read-only", "Write to the primary server."
            )
        if is_read_only:
            raise DatabaseUnavailableError(
                self.name,
                "its transactions are read-only (default_transaction_read_only is on)",
                "Turn that off where it is set (the role, the database, the server or the URL), or write as another "
                "role.",
            )

    def _marks(self) -> Iterable[str]:
        """The cluster's own number, for behind each compose file is a server of one name; and where tables are found.

        A copy of its files has the same number, which is why the address counts, too.
        """
        with self.translated():
            row = self.run(
                "SELECT coalesce(current_schema(), ''), has_function_privilege('pg_control_system()', 'EXECUTE')"
            ).fetchone()
            assert row is not None
            if not row[1]:
                return (row[0], *super()._marks())
            number = self.run("SELECT system_identifier::text FROM pg_control_system()").fetchone()
        assert number is not None
        return (row[0], number[0])

    @property
    def _settings(self) -> tuple[str, ...]:
        return (*_SETTINGS, f"SET LOCAL lock_timeout = {self.database.lock_seconds * 1000:.0f}")

    def lock_tables(self, specs: Sequence[TableSpec], progress: Progress = SILENT) -> None:
        """Keep these tables from being altered, emptied or dropped while they are worked on; call it first of all.

        A table that is rewritten or truncated looks empty to every older snapshot, so the lock comes before the
        snapshot, as in pg_dump; what cannot be locked (a foreign table) is left.
        """
        del progress
        self._tables = tuple(qualified(spec.table) for spec in specs)
        with self.translated():
            self._held = self._locked(self._tables)
        self.look_up(specs)
        self._require_room(0, to_write=self.write)

    def require_room(self, merged: Sequence[TableSpec]) -> None:
        """Check that one transaction may hold all the locks: those of the tables, and of what rows are merged through.

        Raises:
            DatabaseUnavailableError: with the setting that is needed.
        """
        self._require_room(sum(map(stage_locks, merged)), to_write=True)

    def _require_room(self, more: int, *, to_write: bool) -> None:
        with self.translated():
            room, needed = lock_room(self.raw, self._held, to_write=to_write)
            require_room(self.name, self.raw, room, len(self._held), needed + more, len(self._held))

    def _locked(self, tables: tuple[str, ...]) -> tuple[str, ...]:
        """Lock these tables, in one statement if there is none among them that cannot be; those that were locked."""
        if not tables:
            return ()
        try:
            with self.raw.transaction():
                self.run(_lock(tables))
        except (pg.UndefinedTable, pg.InvalidSchemaName, pg.WrongObjectType, pg.InsufficientPrivilege):
            half = len(tables) // 2
            return self._locked(tables[:half]) + self._locked(tables[half:]) if half else ()
        return tables

    def exclude_writers(self, specs: Sequence[TableSpec]) -> None:
        """Let nobody else write to these tables until the end of the transaction, waiting for those who do.

        A table that this role may not lock, it may hardly write to either.
        """
        with self.translated():
            for spec in specs:
                with suppress(pg.InsufficientPrivilege), self.raw.transaction():
                    self.run(f"LOCK TABLE {qualified(spec.table)} IN SHARE ROW EXCLUSIVE MODE")

    def reader(self) -> Any:
        """The ADBC connection that all tables are read through; a connection that only reads shares its snapshot."""
        if self._reader is None:
            snapshot = None if self.write else self.run("SELECT pg_export_snapshot()").fetchone()
            # Listeners for all of an application's engines are called for SQLAlchemy's connection alone.
            names = "'search_path', 'role'"
            own = self.run(f"SELECT k, current_setting(k) FROM unnest(ARRAY[{names}]) AS k").fetchall()
            url = self.database.url.update_query_dict(libpq_options(self.database.url))
            self._reader = open_connection(for_libpq(url))
            with self._reader.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                if snapshot:
                    cursor.execute(f"SET TRANSACTION SNAPSHOT {literal(snapshot[0])}")
                for setting in self._settings:
                    cursor.execute(setting)
                if self._joined is not None:
                    # A worker may be killed at any time.
                    cursor.execute(_END_WITH_CLIENT)
                    cursor.fetchall()
                for key, value in own:
                    cursor.execute(f"SELECT set_config({literal(key)}, {literal(value)}, true)")
                    cursor.fetchall()
                if self._held:
                    # Whoever waits to alter a table stands between two connections of which one alone has its lock.
                    cursor.execute(_lock(self._held))
        return self._reader

    @property
    def is_reading(self) -> bool:
        """Whether the reading connection is open."""
        return self._reader is not None

    def stop_reading(self) -> None:
        """Close the reading connection, whose locks would hold up a change of indexes."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    @contextmanager
    def reads_without_sorting(self) -> Iterator[None]:
        """Let the server put groups of rows together by hashing alone, as far as it can."""
        with self.translated(), self.reader().cursor() as cursor:
            cursor.execute("SET LOCAL enable_sort = off")
            yield
            cursor.execute("SET LOCAL enable_sort TO DEFAULT")

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of psycopg and ADBC into this package's."""
        import adbc_driver_manager

        try:
            with self._told_if_lost():
                yield
        except sa.exc.DBAPIError as error:
            raise self.known_error(error.orig or error) from error
        except (psycopg.Error, adbc_driver_manager.Error) as error:
            raise self.known_error(error) from error

    @contextmanager
    def _told_if_lost(self) -> Iterator[None]:
        """SQLAlchemy has an error of its own for whoever goes on with a connection that was lost."""
        try:
            yield
        except sa.exc.PendingRollbackError as error:
            advice = "Run again when the server is back."
            raise DatabaseUnavailableError(self.name, "the connection was lost earlier", advice) from error

    def known_error(self, error: BaseException) -> ToolkitError:
        """The error to raise in place of the driver's: of locks, with whoever holds them."""
        known = known_error(self.database, error)
        sign = lock_sign(error)
        found: ToolkitError | None = None
        if sign is LockSign.HELD:
            found = locked_error(self.database, self._tables, self._process)
        elif sign is LockSign.NO_ROOM:
            found = crowded_error(self.database, self._tables)
        return found or known

    def _is_broken(self) -> bool:
        return self.sqlalchemy.closed or self.sqlalchemy.invalidated or self.raw.broken

    def checks_later(self, spec: TableSpec) -> bool:
        """Whether foreign keys from or to the table are not to be touched: rows may lack their parents for now."""
        parents = {foreign_key.parent for deferred in self._deferred for foreign_key in deferred.foreign_keys}
        return spec in self._deferred or spec.name in parents


def _lock(tables: Iterable[str]) -> str:
    return f"LOCK TABLE {', '.join(tables)} IN ACCESS SHARE MODE"
