"""Looking at databases, and changing them, past the toolkit."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import sqlalchemy as sa
from duckdb_engine import ConnectionWrapper
from sqlalchemy.orm import DeclarativeBase

from toolkit.config import Config, Database

Rows = dict[str, list[tuple[Any, ...]]]


@contextmanager
def connected(database: Database) -> Iterator[sa.Connection]:
    """A connection of SQLAlchemy's own, committed at the end and closed for good."""
    if database.kind.dialect == "duckdb" and database.file is not None:
        with _attached(database.file) as connection, connection.begin():
            yield connection
        return
    if _OF_A_TEST.search(database.address):
        with _kept_open(database) as connection, connection.begin():
            yield connection
        return
    with database.unpooled_engine().begin() as connection:
        if database.kind.dialect == "mysql":
            # As elsewhere, 0 is a number like any other.
            connection.exec_driver_sql("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')")
        yield connection


# Those that tests/conftest.py makes and drops.
_OF_A_TEST = re.compile(r"/(test_[0-9a-f]{32})\?")
_KEPT: dict[str, sa.Connection] = {}


@contextmanager
def _kept_open(database: Database) -> Iterator[sa.Connection]:
    """A session that the next who asks gets: a new one has to learn its catalogue, and takes 10 ms of the processor."""
    connection = _KEPT.pop(database.address, None)
    if connection is None or not _answers(connection):
        connection = database.unpooled_engine().connect()
        # What is prepared would fail when a table has changed meanwhile.
        connection.connection.driver_connection.prepare_threshold = None  # type: ignore[union-attr]
    try:
        yield connection
    except BaseException:
        connection.close()
        raise
    if _KEPT.setdefault(database.address, connection) is not connection:
        connection.close()


def _answers(connection: sa.Connection) -> bool:
    """Whether nobody has ended the session meanwhile, whose settings are as they were."""
    try:
        with connection.begin():
            connection.exec_driver_sql("RESET ALL")
    except sa.exc.DBAPIError:
        connection.close()
        return False
    return True


def forget(name: str) -> list[int]:
    """End what is kept of a database; the numbers of the server's processes, which end soon after."""
    ended = []
    for address in [each for each in _KEPT if (found := _OF_A_TEST.search(each)) and found[1] == name]:
        kept = _KEPT.pop(address)
        ended.append(kept.connection.driver_connection.info.backend_pid)  # type: ignore[union-attr]
        kept.close()
    return ended


@cache
def _duckdb() -> tuple[duckdb.DuckDBPyConnection, sa.Engine]:
    """One DuckDB for all files: to make one takes 12 ms of the processor, and to attach a file to it half of one."""
    instance = duckdb.connect()
    return instance, sa.create_engine(
        "duckdb+toolkit://", creator=lambda: ConnectionWrapper(instance.cursor()), poolclass=sa.NullPool
    )


@contextmanager
def _attached(file: Path) -> Iterator[sa.Connection]:
    """A connection to a DuckDB file, which goes by the name that DuckDB gives it."""
    instance, engine = _duckdb()
    path, name = str(file).replace("'", "''"), f'"{file.stem}"'
    with instance.cursor() as cursor:
        cursor.execute(f"ATTACH '{path}' AS {name}")
        try:
            with engine.connect() as connection:
                raw: Any = connection.connection.driver_connection
                raw.execute(f"USE {name}")
                yield connection
        finally:
            cursor.execute(f"DETACH {name}")


@contextmanager
def postgres(config: Config, **options: Any) -> Iterator[psycopg.Connection[Any]]:
    """A psycopg connection that commits each statement; nothing is kept open beside it, for who looks at sessions."""
    url = config.database("postgres").address
    found = _OF_A_TEST.search(url)
    ended = forget(found[1]) if found else []
    with psycopg.connect(url, autocommit=True, **options) as connection:
        while ended and connection.execute("SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", (ended,)).fetchall():
            pass
        yield connection


def create(database: Database, metadata: sa.MetaData) -> None:
    """Make the tables of a schema."""
    with connected(database) as connection:
        # One question in place of one for each table.
        metadata.create_all(connection, checkfirst=bool(sa.inspect(connection).get_table_names()))


def insert(database: Database, model: type[DeclarativeBase], rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows by one statement, which is what lets PostgreSQL take a child before its parent."""
    with connected(database) as connection:
        connection.execute(sa.insert(model).values(list(rows)))


def execute(database: Database, *statements: str) -> None:
    """Run statements in one transaction."""
    with connected(database) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def contents(database: Database, metadata: sa.MetaData) -> Rows:
    """Every row of every table, in an order and in a form that do not depend on the engine."""
    with connected(database) as connection:
        return {
            name: sorted((_plain(row) for row in connection.execute(table.select())), key=repr)
            for name, table in metadata.tables.items()
        }


def _plain(row: sa.Row[Any]) -> tuple[Any, ...]:
    return tuple(_plain_value(value) for value in row)


def _plain_value(value: Any) -> Any:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    return str(value.normalize()) if isinstance(value, Decimal) else value


def fingerprint(file: Path) -> str:
    """A hash of all bytes of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def row_versions(config: Config, metadata: sa.MetaData) -> Rows:
    """Where each row lies in PostgreSQL and which transaction wrote it: both change with every write."""
    with postgres(config) as connection:
        return {
            name: sorted(connection.execute(f'SELECT ctid::text, xmin::text FROM "{name}"').fetchall())
            for name in metadata.tables
        }
