"""What SQLite's own ways of loading and of looking promise, beside what every engine does."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.operations.databases import create
from toolkit.config import Config, Database
from toolkit.core.engine_type import EngineType
from toolkit.core.tables import ColumnSpec, select_tables
from toolkit.core.types import logical_type
from toolkit.engines import connect
from toolkit.engines.sqlite.adapters import SqliteCodec
from toolkit.engines.sqlite.connection import SqliteConnection
from toolkit.engines.sqlite.copy import copy_file
from toolkit.errors import StatementError

metadata = sa.MetaData()
item = sa.Table(
    "item",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, index=True),
    sa.Column("code", sa.Text, unique=True),
)
(SPEC,) = select_tables(metadata)
MANY = 10**6
INDEXES = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql <> '' ORDER BY name"

_HALF_A_SECOND = (
    "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1500000) SELECT count(*) FROM n"
)


@pytest.fixture
def database(alone: Config) -> Database:
    database = alone.database("sqlite")
    create(database, metadata)
    return database


def own(database: Database) -> closing[sqlite3.Connection]:
    """An application's connection."""
    assert database.file is not None
    return closing(sqlite3.connect(database.file, isolation_level=None))


def rows(numbers: range) -> pa.RecordBatch:
    names = [str(number) for number in numbers]
    return pa.record_batch([pa.array(numbers, pa.int32()), pa.array(names), pa.array(names)], schema=SPEC.schema)


def test_a_large_load_leaves_every_index_as_it_was(database: Database) -> None:
    with own(database) as application:
        application.execute('CREATE INDEX "of a ""part" ON item (lower(name)) WHERE id > 1')
        application.execute("CREATE UNIQUE INDEX one_name ON item (name)")
        before = application.execute(INDEXES).fetchall()
        with connect(database, write=True) as connection:
            assert connection.repository(SPEC).load([rows(range(5))], MANY) == 5
            connection.commit()
        assert application.execute(INDEXES).fetchall() == before
        assert len(before) == 3
        query = "SELECT count(*) FROM item INDEXED BY ix_item_name WHERE name > ''"
        assert application.execute(query).fetchone() == (5,)
        assert application.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_whoever_begins_to_write_hears_whether_anybody_has_written_since_it_looked(
    database: Database, journal: str
) -> None:
    with own(database) as application:
        application.execute(f"PRAGMA journal_mode = {journal}")
        for writes in (False, True):
            with connect(database, write=True) as connection:
                assert isinstance(connection, SqliteConnection)
                connection.look_first()
                connection.lock_tables([SPEC])
                assert list(connection.repository(SPEC).read()) == []
                if writes:
                    application.execute("INSERT INTO item VALUES (1, 'a', 'b')")
                assert connection.begin_writing() is not writes


def test_a_null_that_only_the_file_forbids_is_known_before_it_is_written(database: Database) -> None:
    with own(database) as application:
        application.execute("DROP TABLE item")
        application.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, code TEXT)")
    columns = [pa.array([1, 2], pa.int32()), pa.array(["a", None]), pa.array([None, None], pa.string())]
    with connect(database) as connection:
        found = connection.repository(SPEC).unkeepable(pa.record_batch(columns, schema=SPEC.schema))
        assert [(row, value.column, value.value) for row, value in found] == [(1, "name", "NULL")]


def test_what_was_asked_is_asked_again_when_a_file_is_copied_or_to_be_written_to(database: Database) -> None:
    with own(database) as application, connect(database, write=True) as connection:
        assert isinstance(connection, SqliteConnection)

        def columns() -> set[str]:
            facts = connection.facts(SPEC)
            assert facts is not None
            return {*facts.columns} - {*SPEC.column_names}

        connection.look_first()
        assert columns() == set()
        # As a copy does that is begun anew.
        connection.driver.rollback()
        application.execute("ALTER TABLE item ADD one TEXT")
        connection.lock_tables([SPEC])
        assert columns() == {"one"}
        application.execute("ALTER TABLE item ADD two TEXT")
        connection.begin_writing()
        assert columns() == {"one", "two"}


@pytest.mark.parametrize(("size", "processes"), [(1, 0), (2 << 20, 1)], ids=["small", "large"])
def test_a_copy_is_of_the_moment_and_nobody_can_commit_while_it_is_made(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, processes: int
) -> None:
    file, path, given = tmp_path / "one.sqlite3", tmp_path / "copy.sqlite3", []
    run = subprocess.run

    def noted(command: list[Any], **options: Any) -> Any:
        given.append((command[1:], options["env"]))
        return run(command, **options)

    with own(database) as application, own(database) as other:
        application.execute("INSERT INTO item VALUES (1, CAST(zeroblob(?) AS TEXT), 'a')", (size,))
        application.execute("BEGIN")
        before = application.execute("SELECT * FROM item").fetchall()
        monkeypatch.setattr(subprocess, "run", noted)
        copy_file(application, file, path, lambda: None)
        monkeypatch.undo()
        # A large file by a process that is given names of files and no environment.
        assert given == [(["--", file, path], {})] * processes
        # Another process, as locks of one process do not hold up each other.
        code = f"import sqlite3; sqlite3.connect({str(file)!r}, timeout=0).executescript('DELETE FROM item')"
        ended = run([sys.executable, "-S", "-E", "-c", code], stderr=subprocess.PIPE, text=True, check=False)
        assert "database is locked" in ended.stderr
        application.execute("COMMIT")
        other.execute("DELETE FROM item")
        with closing(sqlite3.connect(path)) as copy:
            assert copy.execute("SELECT * FROM item").fetchall() == before


def test_both_libraries_see_one_snapshot_though_another_commits_between_the_two(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own(database) as application:
        application.execute("PRAGMA journal_mode = wal")
        application.execute("INSERT INTO item VALUES (1, 'a', '1')")
        real = SqliteConnection._begin_reader
        commits = iter(range(2, 5))

        def begin_reader(connection: SqliteConnection, file: Path) -> None:
            if (number := next(commits, None)) is not None:
                application.execute("INSERT INTO item VALUES (?, 'a', ?)", (number, str(number)))
            real(connection, file)

        monkeypatch.setattr(SqliteConnection, "_begin_reader", begin_reader)
        with connect(database) as connection:
            assert isinstance(connection, SqliteConnection)
            seen = connection.sqlalchemy.exec_driver_sql("SELECT count(*) FROM item").scalar_one()
            with connection.reader.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM item")
                assert cursor.fetchone() == (seen,) == (4,)


def _execute_by_adbc(connection: SqliteConnection, statement: str) -> None:
    with connection.translated(), connection.reader.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.slow
def test_ctrl_c_that_adbc_hears_in_place_of_python_is_no_error_of_the_database(database: Database) -> None:
    pressed = threading.Timer(0.05, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT))
    # A shell lets what it starts in the background ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with connect(database) as connection:
            assert isinstance(connection, SqliteConnection)
            connection.lock_tables([SPEC])
            pressed.start()
            with pytest.raises(KeyboardInterrupt):
                _execute_by_adbc(connection, _HALF_A_SECOND)
            pressed.join()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_table_with_a_row_that_an_index_does_not_have_is_refused_with_what_to_do(database: Database) -> None:
    with own(database) as application:
        # As a crash or a faulty writer leaves it: inserted while the schema knows of no index.
        schema = application.execute("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema").fetchall()
        application.execute("PRAGMA writable_schema = on")
        application.execute("DELETE FROM sqlite_schema WHERE type = 'index'")
        application.execute("UPDATE sqlite_schema SET sql = 'CREATE TABLE item (id INTEGER PRIMARY KEY, name, code)'")
    with own(database) as application:
        application.execute("INSERT INTO item VALUES (1, 'a', 'b')")
        application.execute("PRAGMA writable_schema = on")
        application.execute("DELETE FROM sqlite_schema")
        application.executemany("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", schema)
    with (
        connect(database) as connection,
        pytest.raises(StatementError, match="item returns different rows each time") as refused,
    ):
        list(connection.repository(SPEC).read())
    assert "REINDEX" in refused.value.advice


@pytest.mark.parametrize("digits", ["0.30000000000000004", "1.5", "1.50", "0.0000001", "123456789012345678901"])
def test_a_decimal_is_the_same_in_a_column_that_makes_texts_of_numbers(digits: str) -> None:
    """As one of PostgreSQL's is made that has no place among this engine's: SQLite writes 15 digits of a double."""
    declared = EngineType("postgresql", "numeric", like=sa.Numeric(), elsewhere=sa.Text())
    column, codec = ColumnSpec("v", logical_type(declared), nullable=True, declared=declared), SqliteCodec()
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (v TEXT)")
        connection.execute("INSERT INTO t VALUES (?)", codec.encode_column(column, pa.array([digits])))
        found = connection.execute("SELECT v FROM t").fetchone()
    assert codec.decode_column(column, found).to_pylist() == [digits]
