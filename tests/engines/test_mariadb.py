"""MariaDB: the contract, and what is its own, on a real server."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pymysql
import pytest
import sqlalchemy as sa

from tests.contracts.suite import *  # noqa: F403 - the contract's tests
from tests.contracts.suite import repository
from tests.engines.mariadb_tables import a_key, batch_of, load, made, of_one_column, read, write
from tests.operations import databases
from tests.servers import mariadb as server
from toolkit.config import Config, Database
from toolkit.core.tables import table_spec
from toolkit.engines import connect
from toolkit.engines.mariadb.catalogue import takes_bytes
from toolkit.engines.mariadb.driver import Connection
from toolkit.engines.mariadb.table import MariaDBRepository
from toolkit.errors import (
    CollationConflictError,
    DatabaseUnavailableError,
    MissingParentError,
    RefusedRowError,
    SchemaMismatchError,
    ToolkitError,
    UniqueConflictError,
    UnrepresentableValueError,
)
from toolkit.operations.diff.compare import diff
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync


@pytest.fixture
def database(mariadb_url: str, tmp_path: Path) -> Database:
    """An empty database of MariaDB."""
    return Database("mariadb", mariadb_url, tmp_path)


@pytest.fixture
def todos(config: Config, database: Database) -> Config:
    """A configuration of the bundled todos, which names that database, too: its tables are made from the models."""
    return replace(config, databases={**config.databases, "mariadb": database})


@pytest.mark.parametrize("other", ["sqlite", "postgres", "duckdb"])
def test_the_todos_go_there_and_back_verified_and_a_second_sync_writes_nothing(todos: Config, other: str) -> None:
    load_data(todos, other)
    there = sync(todos, other, "mariadb")
    assert there.created_schema
    assert there.verified
    assert not any(each.inserted or each.updated for each in sync(todos, other, "mariadb").tables)
    assert diff(todos, "mariadb", other).equal
    databases.execute(todos.database(other), "DELETE FROM todo_tag", "DELETE FROM tag")
    back = sync(todos, "mariadb", other)
    assert {each.table: each.inserted for each in back.tables if each.inserted} == {"todo_tag": 23, "tag": 8}
    assert back.verified


def test_rows_of_postgresql_come_by_their_keys_as_innodb_stores_them(
    config: Config, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = sa.MetaData()
    # Random ones, among them both signs of integers and a key of two columns.
    sa.Table("one", metadata, sa.Column("id", sa.Uuid, primary_key=True))
    sa.Table(
        "two",
        metadata,
        sa.Column("a", sa.Integer, primary_key=True),
        sa.Column("b", sa.LargeBinary(4), primary_key=True),
    )
    both = replace(config, databases={**config.databases, "mariadb": database}, models=metadata, tables_from="models")
    databases.create(both.database("postgres"), metadata)
    databases.execute(
        both.database("postgres"),
        "INSERT INTO one SELECT md5(n::text)::uuid FROM generate_series(1, 99) AS n",
        "INSERT INTO two SELECT mod(n, 9) - 4, decode(left(md5(n::text), 8), 'hex') FROM generate_series(1, 99) AS n",
    )
    sent: dict[str, list[tuple[Any, ...]]] = {}
    write = MariaDBRepository.load

    def load(self: MariaDBRepository, batches: Iterable[pa.RecordBatch], rows: int) -> int:
        def told() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                columns = (batch.column(name).to_pylist() for name in self.spec.key)
                sent.setdefault(self.spec.name, []).extend(zip(*columns, strict=True))
                yield batch

        return write(self, told(), rows)

    monkeypatch.setattr(MariaDBRepository, "load", load)
    assert sync(both, "postgres", "mariadb").verified
    assert {name: (len(keys), keys == sorted(keys)) for name, keys in sent.items()} == dict.fromkeys(
        ("one", "two"), (99, True)
    )


@pytest.mark.parametrize(
    "scheme", ["mariadb", "mysql", "mysql+pymysql", "mysql+mysqldb", "mysql+asyncmy", "mariadb+aiomysql"]
)
def test_every_driver_of_an_application_means_one_place(database: Database, scheme: str) -> None:
    other = database.at(database.address.replace("mariadb:", f"{scheme}:") + "?charset=utf8mb4")
    assert (other.kind, other.place) == (database.kind, database.place)
    assert other.shown_url.startswith("mariadb://")


def test_authorities_certificates_are_read_only_to_verify_a_servers() -> None:
    def context(**said: Any) -> ssl.SSLContext:
        unconnected: Any = Connection(defer_connect=True, **said)
        found: ssl.SSLContext = unconnected.ctx
        return found

    assert context() is context()
    assert (context().verify_mode, context().get_ca_certs()) == (ssl.CERT_NONE, [])
    verifying = (
        context(ssl_verify_cert=True),
        context(ssl_verify_identity=True, ssl_ca=ssl.get_default_verify_paths().cafile),
    )
    assert {each.verify_mode for each in verifying} == {ssl.CERT_REQUIRED}
    assert verifying[1].check_hostname


@pytest.mark.parametrize("key", ["INT PRIMARY KEY", "INT NULL UNIQUE"])
@pytest.mark.parametrize(("way", "is_known"), [("fast", True), ("fast", False), ("portable", False)])
def test_an_upsert_never_takes_a_row_of_another_key_for_its_own(
    database: Database, key: str, way: str, is_known: bool
) -> None:
    columns = (a_key(), sa.Column("v", sa.Text, unique=is_known), sa.Column("w", sa.Text))
    spec = made(database, f"id {key}, v VARCHAR(9) UNIQUE, w TEXT", *columns)
    write(database, spec, (1, "one", "old"), (2, "two", "old"))
    with connect(database, write=True) as connection:
        with pytest.raises(ToolkitError, match="id=3" if way == "fast" else "another row's"):
            repository(connection, way, spec).upsert_many([batch_of(spec, (2, "two", "new"), (3, "one", "new"))])
        connection.commit()
    assert server.run(database.address, "SELECT * FROM t ORDER BY id") == [(1, "one", "old"), (2, "two", "old")]


@pytest.mark.parametrize("collation", ["utf8mb4_general_ci", "utf8mb4_bin"])
def test_keys_that_are_one_to_a_collation_are_refused_before_anything_is_written(
    database: Database, collation: str
) -> None:
    model = sa.Column("id", sa.String(9), primary_key=True), sa.Column("v", sa.Text)
    spec = made(database, f"id VARCHAR(9) COLLATE {collation} PRIMARY KEY, v TEXT", *model)
    twin = "A" if collation.endswith("ci") else "a "
    with connect(database, write=True) as connection:
        own = connection.repository(spec)
        assert own.collated_key() == {"id": f"the collation {collation}"}
        own.require_distinct([batch_of(spec, ("a", "1"), ("b", "2"))])
        with pytest.raises(CollationConflictError) as among:
            own.require_distinct([batch_of(spec, ("a", "1"), (twin, "2"))])
        own.upsert_many([batch_of(spec, ("a", "1"))])
        with pytest.raises(CollationConflictError) as beside:
            own.require_distinct([batch_of(spec, (twin, "2"))])
        with pytest.raises(RefusedRowError):
            own.upsert_many([batch_of(spec, (twin, "2"))])
        assert own.count() == 1
    assert all(f"id={twin}" in each.value.fact for each in (among, beside))


def test_what_moves_with_an_update_stays_and_what_numbers_itself_takes_a_zero(database: Database) -> None:
    moved = "moved DATETIME NOT NULL DEFAULT '2000-01-01' ON UPDATE CURRENT_TIMESTAMP"
    known = "known TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"
    model = (a_key(), sa.Column("v", sa.Text), sa.Column("known", sa.DateTime))
    spec = made(database, f"id INT PRIMARY KEY AUTO_INCREMENT, v TEXT, {known}, {moved}", *model)
    moment = dt.datetime(2001, 1, 1)
    write(database, spec, (0, "a", moment), (5, "b", moment))
    write(database, spec, (0, "c", moment), (5, "b", moment))
    with connect(database, write=True) as connection:
        own = connection.repository(spec)
        own.update_many(pa.table({"id": pa.array([5], pa.int32()), "v": ["d"]}))
        keys = pa.table({"id": pa.array([5], pa.int32())})
        assert own.compare_and_set("v", keys, ["d"], pa.array(["e"])) == [True]
        connection.commit()
    expected = [(0, "c", moment, dt.datetime(2000, 1, 1)), (5, "e", moment, dt.datetime(2000, 1, 1))]
    assert server.run(database.address, "SET time_zone = '+00:00'", "SELECT * FROM t ORDER BY id") == expected


@pytest.mark.parametrize(
    ("definition", "rows", "told"),
    [
        # A LOAD DATA of a client's passes over the second of these, and says no more than that there was one.
        ("id INT PRIMARY KEY, v TEXT", [(1, "a"), (1, "b")], "id=1"),
        ("id INT PRIMARY KEY, v VARCHAR(9) UNIQUE", [(1, "a"), (2, "a")], "id=2"),
        ("id INT PRIMARY KEY, v VARCHAR(9) NOT NULL", [(1, "a"), (2, None)], "id=2"),
        ("id INT PRIMARY KEY, v VARCHAR(9) CHECK (v <> 'b')", [(1, "a"), (2, "b")], "id=2"),
    ],
)
def test_what_a_load_would_pass_over_is_refused_by_its_row_and_nothing_stays(
    database: Database, definition: str, rows: list[tuple[Any, ...]], told: str
) -> None:
    spec = made(database, definition, a_key(), sa.Column("v", sa.Text))
    with pytest.raises((RefusedRowError, UniqueConflictError, UnrepresentableValueError), match=told):
        load(database, spec, *rows)
    assert server.run(database.address, "SELECT * FROM t") == []


@pytest.mark.parametrize("number", ["INT", "BIGINT UNSIGNED"])
def test_a_zero_that_is_loaded_beside_bytes_is_no_number_to_be_given(database: Database, number: str) -> None:
    model = (a_key(), sa.Column("v", sa.LargeBinary))
    spec = made(database, f"id {number} PRIMARY KEY AUTO_INCREMENT, v BLOB", *model)
    load(database, spec, (0, b"a"), (1, b"b"))
    assert server.run(database.address, "SELECT * FROM t ORDER BY id") == [(0, b"a"), (1, b"b")]


def test_without_leave_to_send_rows_they_go_by_statements(database: Database) -> None:
    spec = of_one_column(database, "TEXT", sa.Text)
    server.run(database.address, "SET GLOBAL local_infile = 0")
    try:
        load(database, spec, (1, "\\N\t\n"), (2, None))
    finally:
        server.run(database.address, "SET GLOBAL local_infile = 1")
    assert read(database, spec) == ["\\N\t\n", None]


def test_a_server_gets_no_file_that_it_asks_for(database: Database, tmp_path: Path) -> None:
    spec = of_one_column(database, "TEXT", sa.Text)
    (tmp_path / "secret").write_text("7\tsecret\n")
    # As a server would that is not what it seems: it asks for a file when another statement was sent.
    asking = f"LOAD DATA LOCAL INFILE '{tmp_path}/secret' INTO TABLE t"
    for ask in ("run", "load", "sqlalchemy"):
        with connect(database, write=True) as connection:
            given: Any = connection
            asked = {
                "run": partial(given.run, asking),
                "load": partial(given.raw.load, asking, "another", memoryview(b"")),
                "sqlalchemy": partial(given.sqlalchemy.exec_driver_sql, asking),
            }[ask]
            with pytest.raises(DatabaseUnavailableError, match="asked for a file"), connection.translated():
                asked()
    assert read(database, spec) == []


def test_a_row_longer_than_a_statement_may_be_is_refused_by_its_key_and_column(database: Database) -> None:
    spec = of_one_column(database, "LONGBLOB", sa.LargeBinary)
    with connect(database, write=True) as connection:
        most = connection.repository(spec).connection.most_bytes  # type: ignore[attr-defined]
        with pytest.raises(UnrepresentableValueError, match="t id=7: column 'v' is too long") as told:
            connection.repository(spec).upsert_many([batch_of(spec, (1, b""), (7, b"\xff" * (most // 2)))])
        with pytest.raises(UnrepresentableValueError, match="t id=7: column 'v' is too long"):
            connection.repository(spec).load([batch_of(spec, (1, b""), (7, b"\xff" * most))], 2)
    assert "max_allowed_packet" in told.value.advice


def test_a_table_that_takes_part_in_no_transaction_is_not_written_to(database: Database) -> None:
    spec = made(database, "id INT PRIMARY KEY", a_key(), options="ENGINE=MyISAM")
    with connect(database, write=True) as connection, pytest.raises(SchemaMismatchError, match="MyISAM"):
        connection.lock_tables([spec])


def test_rows_that_are_still_being_read_are_not_lost_to_another_statement(database: Database) -> None:
    spec = of_one_column(database, "TEXT", sa.Text)
    write(database, spec, *((number, "x" * 1000) for number in range(300)))
    with connect(database) as connection:
        reading = connection.repository(spec).read(batch_rows=10)
        next(reading)
        with pytest.raises(ToolkitError, match="still being read"):
            connection.repository(spec).is_empty()
        reading.close()  # type: ignore[attr-defined]
        assert connection.repository(spec).count() == 300


@pytest.mark.slow
def test_tables_that_were_made_for_a_sync_that_fails_are_gone(todos: Config) -> None:
    load_data(todos, "sqlite")
    todos = replace(todos, tables_from="models")
    databases.execute(todos.database("sqlite"), "PRAGMA foreign_keys = OFF", "DELETE FROM user_account")
    with pytest.raises(MissingParentError):
        sync(todos, "sqlite", "mariadb")
    assert server.run(todos.database("mariadb").address, "SHOW TABLES") == []


@pytest.mark.slow
def test_two_writers_wait_for_one_another(database: Database) -> None:
    with connect(database, write=True), pytest.raises(DatabaseUnavailableError, match="another writer"):
        connect(replace(database, lock_seconds=1), write=True).__enter__()


def test_what_was_compared_stays_as_it_is_until_the_end_and_a_reader_sees_one_moment(database: Database) -> None:
    spec = of_one_column(database, "TEXT", sa.Text)
    write(database, spec, (1, "one"), (5, "five"))
    hasty = "SET innodb_lock_wait_timeout = 0"
    with connect(database) as reader:
        with connect(database, write=True) as connection:
            before = connection.repository(spec).digest()
            for change in ("UPDATE t SET v = 'two' WHERE id = 1", "INSERT INTO t VALUES (3, 'new')", "DELETE FROM t"):
                with pytest.raises(pymysql.err.OperationalError, match="Lock wait timeout"):
                    server.run(database.address, hasty, change)
            assert connection.repository(spec).digest() == before
        write(database, spec, (1, "two"))
        assert reader.repository(spec).digest() == before


def test_parents_of_the_rows_of_a_view_are_looked_for(database: Database) -> None:
    made_by = "CREATE TABLE p (id INT PRIMARY KEY)", "CREATE TABLE t (id INT PRIMARY KEY, p INT)"
    server.run(database.address, *made_by, "INSERT INTO t VALUES (1, 7)", "CREATE VIEW v AS SELECT * FROM t")
    metadata = sa.MetaData()
    sa.Table("p", metadata, sa.Column("id", sa.Integer, primary_key=True))
    spec = table_spec(sa.Table("v", metadata, a_key(), sa.Column("p", sa.Integer, sa.ForeignKey("p.id"))))
    with connect(database) as connection, pytest.raises(MissingParentError, match="id=1"):
        connection.repository(spec).require_parents(*spec.foreign_keys)


@pytest.mark.parametrize(
    ("type_", "lost"), [("INT", ("8", "8", "8")), ("VARCHAR(9) COLLATE utf8mb4_general_ci", ("A",))]
)
def test_all_rows_without_a_parent_are_counted_whichever_share_a_value(
    database: Database, type_: str, lost: tuple[str, ...]
) -> None:
    binary = type_.replace("general_ci", "bin")
    known = "7" if type_ == "INT" else "a"
    rows = ", ".join(f"({number}, '{value}')" for number, value in enumerate((known, known, *lost)))
    server.run(
        database.address,
        f"CREATE TABLE p (id {binary} PRIMARY KEY)",
        f"CREATE TABLE t (id INT PRIMARY KEY, p {type_})",
        f"INSERT INTO p VALUES ('{known}')",
        f"INSERT INTO t VALUES {rows}",
    )
    metadata = sa.MetaData()
    column: Any = sa.Integer if type_ == "INT" else sa.String(9)
    sa.Table("p", metadata, sa.Column("id", column, primary_key=True))
    spec = table_spec(sa.Table("t", metadata, a_key(), sa.Column("p", column, sa.ForeignKey("p.id"))))
    told = f"{len(lost)} row.*id=2"
    with connect(database, write=True) as connection, pytest.raises(MissingParentError, match=told):
        connection.repository(spec).require_parents(*spec.foreign_keys)


def test_a_table_that_is_about_to_be_read_is_not_altered(database: Database) -> None:
    spec = of_one_column(database, "TEXT", sa.Text)
    with connect(database) as reader:
        reader.lock_tables([spec])
        with pytest.raises(pymysql.err.OperationalError, match="Lock wait timeout"):
            server.run(database.address, "SET lock_wait_timeout = 0", "ALTER TABLE t ADD w INT")


def test_writers_that_are_excluded_cannot_change_a_column_that_is_in_no_index(database: Database) -> None:
    columns = (a_key(), sa.Column("v", sa.Text), sa.Column("w", sa.Integer))
    spec = made(database, "id INT PRIMARY KEY, v TEXT, w INT, UNIQUE (w)", *columns)
    write(database, spec, (1, "one", 1), (5, "five", 5))
    with connect(database, write=True) as connection:
        connection.exclude_writers([spec])
        for change in ("UPDATE t SET v = 'two'", "INSERT INTO t VALUES (3, 'new', 3)", "DELETE FROM t"):
            with pytest.raises(pymysql.err.OperationalError, match="Lock wait timeout"):
                server.run(database.address, "SET innodb_lock_wait_timeout = 0", change)


@pytest.mark.parametrize(
    ("definition", "as_bytes", "digits"),
    [
        ("VARCHAR(9) CHARACTER SET utf8mb4", True, "C3A9"),
        ("VARCHAR(9) CHARACTER SET latin1", False, "E9"),
        ("ENUM('é') CHARACTER SET utf8mb4", False, "C3A9"),
    ],
)
def test_a_load_sends_bytes_as_such_only_where_every_column_takes_them_for_what_they_are(
    database: Database, definition: str, as_bytes: bool, digits: str
) -> None:
    columns = (a_key(), sa.Column("raw", sa.LargeBinary), sa.Column("v", sa.Text), sa.Column("fixed", sa.LargeBinary))
    spec = made(database, f"id INT PRIMARY KEY, raw LONGBLOB, v {definition}, fixed BINARY(2)", *columns)
    raw = [bytes(range(256)), b"\\N\t\r\n\\", b"", None, b"\xc3\t\xf0\n\x9f\\"]
    load(database, spec, *((number, each, "é", b"\xe2\n") for number, each in enumerate(raw)))
    assert read(database, spec) == raw
    found = server.run(database.address, "SELECT DISTINCT HEX(v), HEX(fixed) FROM t")
    assert found == [(digits, "E20A")]
    with connect(database) as connection:
        assert takes_bytes(connection.sqlalchemy, spec) is as_bytes
