"""Rows that come into SQLite by way of a stage: what is told equal to it is, and nothing of it stays."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa
import pytest
import sqlalchemy as sa

from toolkit.config import Config, Database
from toolkit.core.digest import TableDigest
from toolkit.core.tables import TableSpec, select_tables
from toolkit.core.types import Kind, LogicalType
from toolkit.engines import connect
from toolkit.engines.contract import Connection
from toolkit.engines.portable.table import TableRepository
from toolkit.engines.sqlite import snapshot, stage
from toolkit.engines.sqlite.adapters import ADAPTERS

METADATA = sa.MetaData()
for name in ("first", "second"):
    sa.Table(
        name,
        METADATA,
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("label", sa.Text),
        sa.Column("amount", sa.Float),
    )
FIRST, SECOND = select_tables(METADATA)
MANY = 10**6
PLAIN = "CREATE TABLE {} (id BLOB PRIMARY KEY, label TEXT COLLATE NOCASE, amount REAL)"
TABLES = {
    "rowid": PLAIN,
    "own keys alone": f"{PLAIN} WITHOUT ROWID",
    "no affinity": "CREATE TABLE {} (id PRIMARY KEY, label, amount)",
    "numeric": "CREATE TABLE {} (id BINARY(16) PRIMARY KEY, label VARCHAR(9), amount NUMERIC)",
}


def rows(spec: TableSpec) -> pa.RecordBatch:
    keys = pa.array([b"\x02", b"\x01", b"\x03"], pa.binary())
    return pa.record_batch([keys, pa.array(["a", "", None]), pa.array([1.0, -0.0, 0.5])], schema=spec.schema)


def made(alone: Config, table: str, encoding: str = "UTF-8") -> Database:
    database = alone.database("sqlite")
    with closing(sqlite3.connect(str(database.file), isolation_level=None)) as file:
        file.execute(f"PRAGMA encoding = '{encoding}'")
        for spec in (FIRST, SECOND):
            file.execute(table.format(spec.name))
    return database


def loaded(connection: Connection, spec: TableSpec) -> TableRepository:
    repository = connection.repository(spec)
    assert isinstance(repository, TableRepository)
    assert repository.load([rows(spec)], MANY) == 3
    return repository


def read(repository: TableRepository) -> TableDigest:
    """The digest that is made of what is read of the table itself."""
    return TableRepository.stored_digest(repository)


def schemas(connection: Connection) -> list[str]:
    return [row[1] for row in connection.sqlalchemy.exec_driver_sql("PRAGMA database_list")]


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_digest_of_the_stage_is_that_of_the_table(alone: Config, table: str, encoding: str) -> None:
    with connect(made(alone, table, encoding), write=True) as connection:
        repository = loaded(connection, FIRST)
        assert repository.stored_digest() == read(repository)


def test_where_there_is_no_room_for_a_stage_rows_are_written_without_one(
    alone: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = []
    monkeypatch.setattr(snapshot, "has_room", lambda size, _: wanted.append(size))
    with connect(made(alone, PLAIN), write=True) as connection:
        repository = loaded(connection, FIRST)
        assert wanted == [2 * (MANY * rows(FIRST).nbytes // 3)]
        assert schemas(connection) == ["main"]
        assert repository.count() == 3


def test_what_is_kept_as_bytes_of_its_text_is_read_from_a_file_of_utf_16(alone: Config) -> None:
    database = made(alone, PLAIN, "UTF-16le")
    with connect(database, write=True) as connection:
        loaded(connection, FIRST)
        connection.commit()
    with connect(database) as connection:
        amounts = pa.Table.from_batches(connection.repository(FIRST).read()).column("amount").to_pylist()
        assert sorted(map(str, amounts)) == ["-0.0", "0.5", "1.0"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE first SET label = 'A' WHERE label = 'a'",
        "UPDATE first SET label = 'x'",
        "UPDATE first SET label = CAST(label AS BLOB)",
        "UPDATE first SET amount = 7",
        "UPDATE first SET label = NULL WHERE label = ''",
        "DELETE FROM first WHERE label IS NULL",
        "INSERT INTO first VALUES (x'04', 'more', 4)",
        "UPDATE first SET id = x'09' WHERE id = x'03'",
    ],
)
def test_what_changes_behind_the_stage_is_read_from_the_table(alone: Config, change: str) -> None:
    with connect(made(alone, PLAIN), write=True) as connection:
        repository = loaded(connection, FIRST)
        before = repository.stored_digest()
        connection.sqlalchemy.exec_driver_sql(change)
        found = stage_of(connection, FIRST)
        assert not found.equals("first")
        if "BLOB" not in change:
            assert repository.stored_digest() == read(repository) != before


@pytest.mark.parametrize("type_", ["ANY", "TEXT"])
def test_what_a_strict_table_keeps_as_it_is_the_stage_does_not_change(alone: Config, type_: str) -> None:
    table = f"CREATE TABLE {{}} (id BLOB PRIMARY KEY, label {type_}, amount {type_.replace('TEXT', 'REAL')}) STRICT"
    with connect(made(alone, table), write=True) as connection:
        batch = rows(FIRST).set_column(1, "label", pa.array(["5", "05", "5.0"]))
        batch = batch.set_column(2, "amount", pa.array([1.0, 2.0, 0.5]))
        repository = connection.repository(FIRST)
        repository.load([batch], MANY)
        held = connection.sqlalchemy.exec_driver_sql("SELECT label, typeof(label) FROM first ORDER BY id").all()
        assert [tuple(row) for row in held] == [("05", "text"), ("5", "text"), ("5.0", "text")]
        assert stage_of(connection, FIRST).equals("first")


def test_one_and_a_double_of_one_are_told_apart_where_they_stand_for_two_values(alone: Config) -> None:
    with connect(made(alone, TABLES["no affinity"]), write=True) as connection:
        loaded(connection, FIRST)
        assert stage_of(connection, FIRST).equals("first")
        connection.sqlalchemy.exec_driver_sql("UPDATE first SET amount = 1 WHERE amount = 1.0")
        assert not stage_of(connection, FIRST).equals("first")


@pytest.mark.parametrize(("type_", "declared"), [(sa.BigInteger, "INTEGER"), (sa.Text, "NUMERIC")])
def test_a_double_of_a_long_integer_is_not_taken_for_it(alone: Config, type_: type, declared: str) -> None:
    table = sa.Table("first", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", type_))
    (spec,) = select_tables(table.metadata)
    database = made(alone, f"CREATE TABLE {{}} (id INTEGER PRIMARY KEY, v {declared})")
    least = -(2**63)
    value = pa.array([least]).cast(spec.schema.field("v").type)
    with connect(database, write=True) as connection:
        connection.repository(spec).load(
            [pa.record_batch([pa.array([1], pa.int32()), value], schema=spec.schema)], MANY
        )
        assert stage_of(connection, spec).equals("first")
        connection.sqlalchemy.exec_driver_sql("UPDATE first SET v = CAST(v AS REAL)")
        assert connection.sqlalchemy.exec_driver_sql("SELECT v = ?, typeof(v) FROM first", (least,)).one() == (
            1,
            "real",
        )
        assert not stage_of(connection, spec).equals("first")


@pytest.mark.parametrize("names", [["rowid"], ["RowID", "oid", "_rowid_"]])
def test_columns_that_are_called_as_the_number_of_a_row_are_not_taken_for_it(alone: Config, names: list[str]) -> None:
    table = sa.Table("first", sa.MetaData(), sa.Column("id", sa.LargeBinary, primary_key=True))
    for name in names:
        table.append_column(sa.Column(name, sa.Integer))
    (spec,) = select_tables(table.metadata)
    database = made(alone, f"CREATE TABLE {{}} (id BLOB PRIMARY KEY, {', '.join(f'{name} INT' for name in names)})")
    numbers = pa.array([MANY, None, MANY], pa.int32())
    batch = pa.record_batch([rows(FIRST).column(0), *[numbers] * len(names)], schema=spec.schema)
    with connect(database, write=True) as connection:
        repository = connection.repository(spec)
        repository.load([batch], MANY)
        assert isinstance(repository, TableRepository)
        assert repository.count() == 3
        assert repository.stored_digest() == read(repository)


def test_nothing_is_attached_after_the_transaction(alone: Config) -> None:
    with connect(made(alone, PLAIN), write=True) as connection:
        loaded(connection, FIRST)
        loaded(connection, SECOND)
        folder = stage_of(connection, FIRST).file.parent
        assert schemas(connection) == ["main", "toolkit_stage_0", "toolkit_stage_1"]
        connection.commit()
        assert schemas(connection) == ["main"]
        assert not folder.exists()
        assert connection.repository(SECOND).count() == 3


def test_a_failed_load_leaves_no_stage_behind_the_connection(alone: Config) -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield rows(FIRST)
        raise KeyboardInterrupt

    database = made(alone, PLAIN)
    with connect(database, write=True) as connection:
        with pytest.raises(KeyboardInterrupt):
            connection.repository(FIRST).load(failing(), MANY)
        folder = stage_of(connection, FIRST).file.parent
        assert folder.exists()
    assert not folder.exists()
    with connect(database) as connection:
        assert connection.repository(FIRST).is_empty()


def test_more_tables_than_can_be_attached_are_loaded_without(alone: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_MOST", 1)
    with connect(made(alone, PLAIN), write=True) as connection:
        assert loaded(connection, FIRST).stored_digest() == loaded(connection, SECOND).stored_digest()
        assert schemas(connection) == ["main", "toolkit_stage_0"]


def test_a_transaction_of_somebody_else_has_no_stage(alone: Config) -> None:
    database = made(alone, PLAIN)
    with (
        database.engine.begin() as transaction,
        database.kind.connection(database, write=True).within(transaction) as c,
    ):
        loaded(c, FIRST)
        assert schemas(c) == ["main"]


MOMENTS = [
    dt.datetime(1, 1, 1),
    dt.datetime(1969, 12, 31, 23, 59, 59, 1),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (Kind.DATE, [each.date() for each in MOMENTS], [each.date().isoformat() for each in MOMENTS]),
        (Kind.TIME, [each.time() for each in MOMENTS], [each.time().isoformat("microseconds") for each in MOMENTS]),
        (Kind.TIMESTAMP, MOMENTS, [each.isoformat(" ", "microseconds") for each in MOMENTS]),
        (Kind.FLOAT64, [0.0, -0.0, float("nan"), float("inf"), 5e-324], [0.0, b"-0.0", b"NaN", float("inf"), 5e-324]),
        (Kind.JSON, ['{"a": 1}', "1.10", "1", '"1"', "null"], ['{"a": 1}', b"1.10", "1", '"1"', "null"]),
        (Kind.BOOL, [True, False], [1, 0]),
    ],
)
def test_vectors_are_bound_as_applications_write_them(kind: Kind, values: list[object], expected: list[object]) -> None:
    type_ = LogicalType(kind)
    given = pa.array([*values, None], type_.arrow)
    assert ADAPTERS[kind](type_).encode(given) == [*expected, None]


def stage_of(connection: Connection, spec: TableSpec) -> stage.Stage:
    found = connection.stage_of(spec)  # type: ignore[attr-defined]
    assert isinstance(found, stage.Stage)
    return found
