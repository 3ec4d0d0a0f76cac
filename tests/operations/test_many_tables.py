"""Databases of many tables: what each of them costs, and a server's room for their locks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import errors as pg
from sqlalchemy import event

from tests.operations.databases import connected
from tests.servers.postgres import Server, running
from toolkit.config import Config
from toolkit.core.tables import select_tables
from toolkit.engines import connect
from toolkit.engines.duckdb.connection import DuckDBConnection
from toolkit.engines.postgresql.connection import PostgresConnection
from toolkit.engines.postgresql.locks import LockRoom, locks_to_make
from toolkit.engines.sqlite.connection import SqliteConnection
from toolkit.errors import DatabaseUnavailableError, StatementError
from toolkit.operations.diff.compare import diff
from toolkit.operations.status import status
from toolkit.operations.sync import sync

TABLES = 60
metadata = sa.MetaData()
for _number in range(TABLES):
    sa.Table(
        f"t{_number}",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("parent", sa.Integer, *([sa.ForeignKey("t0.id")] if _number % 2 else [])),
        sa.Column("a", sa.Text),
    )
ENGINES = [SqliteConnection, PostgresConnection, DuckDBConnection]


@pytest.fixture
def many(config: Config, tmp_path: Path) -> Config:
    """Databases for sixty tables."""
    return replace(config, metadata=f"{__name__}:metadata", migrations=tmp_path / "none")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """All statements that are sent, and every look at a catalogue."""
    found: list[str] = []

    def noting(function: Callable[..., Any], label: str = "") -> Callable[..., Any]:
        def noted(self: Any, *given: Any) -> Any:
            found.append(label or str(given[0]))
            return function(self, *given)

        return noted

    for engine in ENGINES:
        monkeypatch.setattr(engine, "_read_facts", noting(engine._read_facts, "catalogue"))
    monkeypatch.setattr(PostgresConnection, "run", noting(PostgresConnection.run))

    def executed(_: Any, __: Any, statement: str, *___: Any) -> None:
        found.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", executed)
    yield found
    event.remove(sa.Engine, "before_cursor_execute", executed)


def fill(config: Config, name: str) -> None:
    with connected(config.database(name)) as connection:
        for table in metadata.sorted_tables:
            connection.execute(sa.insert(table).values(id=1, a="x"))


def beside_settings(statements: list[str]) -> list[str]:
    """Without what each connection sets once, however many tables there are."""
    return [each for each in statements if not each.startswith("SET ")]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite2", "postgres", "duckdb"])
def test_a_look_at_many_tables_takes_fewer_statements_than_there_are_tables(
    many: Config, engine: str, asked: list[str]
) -> None:
    for name in ("sqlite", engine):
        with connected(many.database(name)) as connection:
            metadata.create_all(connection)
    looks: list[Callable[[], Any]] = [
        lambda: status(many, [engine]),
        lambda: diff(many, engine, "sqlite"),
        lambda: diff(many, "sqlite", engine),
        lambda: sync(many, "sqlite", engine, dry_run=True),
        lambda: sync(many, engine, "sqlite"),
    ]
    for look in looks:
        asked.clear()
        look()
        assert len(beside_settings(asked)) < TABLES, asked
        # Each database once.
        assert asked.count("catalogue") <= 2
    fill(many, "sqlite")
    asked.clear()
    assert sum(table.inserted for table in sync(many, "sqlite", engine, dry_run=True).tables) == TABLES
    # It reads the rows, to tell which do not fit.
    assert len(beside_settings(asked)) < 4 * TABLES, asked
    sync(many, "sqlite", engine)
    assert diff(many, "sqlite", engine).equal
    found = status(many, [engine]).databases[0]
    assert [each.rows for each in found.tables] == [1] * TABLES


def test_a_table_that_cannot_be_asked_with_others_leaves_them_to_be_asked_alone(many: Config) -> None:
    database, specs = many.database("postgres"), select_tables(metadata, ())
    with connected(database) as connection:
        metadata.create_all(connection)
        connection.exec_driver_sql("ALTER TABLE t7 RENAME TO other")
        connection.exec_driver_sql("INSERT INTO other VALUES (1, NULL, 'x')")
        connection.exec_driver_sql("CREATE VIEW t7 AS SELECT * FROM other WHERE 1 / (id - 1) > 0")
    with connect(database) as opened:
        opened.lock_tables(specs)
        assert opened.filled(specs) == metadata.tables.keys()
        assert opened.repository(specs[0]).count() == 0
        with pytest.raises(StatementError, match="division by zero"):
            opened.repository(next(spec for spec in specs if spec.name == "t7")).count()


def test_the_setting_that_is_told_promises_room_for_the_locks() -> None:
    room = LockRoom(per_transaction=64, sessions=123)
    assert room.promises(7_872)
    assert not room.promises(7_873)
    assert not LockRoom(64, 123, taken=1).promises(7_872)
    assert room.setting_for(7_873) == 96
    for needed in (7_873, 12_000, 1_000_000):
        assert LockRoom(room.setting_for(needed), 123).promises(needed)
    # It ran out of them in spite of that.
    assert room.setting_for(10) == 96


def test_the_locks_that_making_tables_takes_are_those_that_a_server_counts(many: Config) -> None:
    with connected(many.database("postgres")) as connection:
        count = "SELECT count(DISTINCT (relation)) FROM pg_locks WHERE pid = pg_backend_pid() AND relation >= 16384"
        metadata.create_all(connection)
        assert connection.exec_driver_sql(count).scalar_one() == locks_to_make(metadata) == 4 * TABLES


@pytest.fixture
def small_server() -> Iterator[Server]:
    """A server with room for few locks."""
    with running() as server:
        server.configure(
            max_locks_per_transaction="10",
            max_connections="10",
            max_worker_processes="1",
            max_wal_senders="1",
            autovacuum_max_workers="1",
        )
        server.restart("fast")
        yield server


def take(connection: psycopg.Connection[Any], locks: int) -> None:
    connection.execute("SELECT count(pg_advisory_xact_lock(n)) FROM generate_series(1, %s::int) AS n", (locks,))


@contextmanager
def leaving(url: str, free: int) -> Iterator[int]:
    """Hold all locks that a server has room for, which is more than it promises, but so many; how many these are."""
    with psycopg.connect(url) as connection:
        held = free
        with suppress(pg.OutOfMemory):
            while True:
                take(connection, held + 1)
                held += 1
        connection.rollback()
        take(connection, held - free)
        yield held - free
        connection.rollback()


@pytest.mark.slow
def test_a_server_without_room_for_the_locks_is_told_with_the_setting_that_it_needs(
    many: Config, small_server: Server
) -> None:
    with connected(many.database("sqlite")) as connection:
        metadata.create_all(connection)
    fill(many, "sqlite")
    target = small_server.database("crowded")
    with leaving(small_server.url, 220) as others:
        with pytest.raises(DatabaseUnavailableError, match="60 tables and what belongs to them need 240 locks"):
            sync(many, "sqlite", target)
        with psycopg.connect(target) as making:
            assert making.execute("SELECT to_regclass('t0')").fetchone() == (None,)
            for table in metadata.sorted_tables:
                making.execute(str(sa.schema.CreateTable(table)).encode())
                making.commit()
        # Rows of few bytes need no locks but those of the tables and their keys, and fit in.
        assert sum(table.inserted for table in sync(many, "sqlite", target).tables) == TABLES
        with connected(many.database("sqlite")) as changing:
            for table in metadata.sorted_tables:
                changing.execute(sa.update(table).values(a="y"))
        # A dry run reads by two connections: whichever comes first, their locks or those of 60 staging tables.
        with pytest.raises(DatabaseUnavailableError, match=r"need (120|420) locks") as refused:
            sync(many, "sqlite", target, dry_run=True)
        assert sum(table.updated for table in sync(many, "sqlite", target, ["t1", "t3"]).tables) == 2
    setting = re.search(r"max_locks_per_transaction = (\d+)", refused.value.advice)
    assert setting is not None
    small_server.configure(max_locks_per_transaction=setting[1])
    small_server.restart("fast")
    with psycopg.connect(small_server.url) as hog:
        take(hog, others)
        assert sum(table.updated for table in sync(many, "sqlite", target).tables) == TABLES - 2
