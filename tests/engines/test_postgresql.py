"""What PostgreSQL's roles and databases set changes no value, in whatever way it is read or written."""

from __future__ import annotations

import adbc_driver_postgresql
import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa
from psycopg import sql

from tests.contracts import schema
from tests.core.test_canonical_json import DUPLICATES
from tests.operations.databases import create, execute
from toolkit.config import Config, Database
from toolkit.core.canonical_json import canonical_document, without_duplicate_keys
from toolkit.core.digest import digest_batches
from toolkit.core.tables import select_tables, table_spec
from toolkit.engines import connect
from toolkit.engines.postgresql.adapters import CODEC
from toolkit.engines.postgresql.json import KNOWS_JSON
from toolkit.engines.postgresql.table import PostgresRepository
from toolkit.errors import ChangedSincePlanError

SETTINGS = {
    "DateStyle": "SQL, DMY",
    "extra_float_digits": "-15",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Tokyo",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "xmloption": "document",
    "session_replication_role": "replica",
}
metadata = sa.MetaData()
sa.Table(
    "measured",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("floats", sa.ARRAY(sa.Double)),
    sa.Column("day", sa.Text),
    sa.Column("number", sa.Text),
    sa.Column("raw", sa.Text),
)
sa.Table("numbered", metadata, sa.Column("id", sa.Integer, primary_key=True))
MEASURED, NUMBERED = select_tables(metadata)
DOCUMENT = table_spec(
    sa.Table("noted", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.JSON))
).column("v")
FELT = table_spec(
    sa.Table(
        "felt",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("moods", sa.ARRAY(sa.Text)),
        sa.Column("counts", sa.ARRAY(sa.Integer)),
    )
)


@pytest.fixture
def database(config: Config) -> Database:
    """A database that sets for all of its sessions whatever makes values look different."""
    database = config.database("postgres")
    with psycopg.connect(database.address, autocommit=True) as server:
        name = sql.Identifier(server.info.dbname)
        for setting, value in SETTINGS.items():
            server.execute(sql.SQL("ALTER DATABASE {} SET {} = {}").format(name, sql.Identifier(setting), value))
    return database


def test_values_of_every_type_are_the_same_whatever_the_database_sets(database: Database) -> None:
    spec, batch = schema.spec(), schema.batch()
    create(database, schema.metadata)
    with connect(database, write=True) as connection:
        connection.repository(spec).load([batch], batch.num_rows)
        connection.commit()
    expected = digest_batches(spec, [batch])
    for write in (True, False):
        with connect(database, write=write) as connection:
            repository = connection.repository(spec)
            assert repository.digest() == expected
            assert digest_batches(spec, repository.read()) == expected


def test_text_made_of_other_types_and_floats_in_arrays_are_the_same_whatever_the_database_sets(
    database: Database,
) -> None:
    execute(
        database,
        "CREATE TABLE measured (id int PRIMARY KEY, floats float8[], day date, number float8, raw bytea)",
        "INSERT INTO measured VALUES (1, ARRAY[0.1 + 0.2::float8], '2024-02-03', 0.1 + 0.2::float8, '\\x00')",
    )
    row = [[1], [[0.1 + 0.2]], ["2024-02-03"], ["0.30000000000000004"], ["\\x00"]]
    columns = [pa.array(value, field.type) for value, field in zip(row, MEASURED.schema, strict=True)]
    batch = pa.record_batch(columns, schema=MEASURED.schema)
    with connect(database) as connection:
        repository = connection.repository(MEASURED)
        assert list(repository.read()) == [batch]
        assert repository.digest() == digest_batches(MEASURED, [batch])


def test_blanks_that_fill_up_the_texts_of_an_array_are_no_part_of_them_whichever_way_it_is_read(config: Config) -> None:
    database = config.database("postgres")
    execute(
        database, "CREATE TABLE felt (id int, moods char(3)[], counts int[])", "INSERT INTO felt VALUES (1, '{a,b}')"
    )
    rows = {"id": [1], "moods": [["a", "b"]], "counts": [None]}
    (batch,) = pa.Table.from_pydict(rows, FELT.schema).to_batches()
    for write in (True, False):
        with connect(database, write=write) as connection:
            repository = connection.repository(FELT)
            assert list(repository.read()) == [batch]
            assert repository.digest() == digest_batches(FELT, [batch])


FAR = table_spec(
    sa.Table(
        "far",
        sa.MetaData(),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("local", sa.DateTime),
        sa.Column("instant", sa.DateTime(timezone=True)),
        sa.Column("days", sa.ARRAY(sa.Date)),
        sa.Column("at", sa.Time),
    )
)


def test_times_that_python_has_none_of_are_the_same_by_either_driver(config: Config) -> None:
    database = config.database("postgres")
    times = ("infinity", "-infinity", "0044-03-15 BC", "0001-12-31 BC", "12020-02-29", "2024-02-29")
    execute(
        database,
        "CREATE TABLE far (day date, local timestamp, instant timestamptz, days date[], at time)",
        *(f"INSERT INTO far VALUES ('{each}', '{each}', '{each}', '{{{each}}}', '24:00')" for each in times),
    )
    with connect(database) as reading, connect(database, write=True) as writing:
        (expected,) = reading.repository(FAR).read()
        (found,) = writing.repository(FAR).read()
        assert found.num_rows == len(times)
        assert found.sort_by("day") == expected.sort_by("day")


def test_numbers_that_are_asked_for_are_above_those_of_both_sides(config: Config) -> None:
    create(config.database("postgres"), metadata)
    execute(config.database("postgres"), "INSERT INTO numbered VALUES (7)")
    with connect(config.database("postgres"), write=True) as connection:
        repository = connection.repository(NUMBERED)
        assert repository.reserve_numbers("id", 2, 3) == [8, 9]
        assert repository.reserve_numbers("id", 1, 20) == [21]


def test_a_table_that_somebody_has_filled_is_not_loaded(config: Config) -> None:
    create(config.database("postgres"), metadata)
    execute(config.database("postgres"), "INSERT INTO numbered VALUES (7)")
    rows = pa.record_batch([pa.array([1], pa.int32())], schema=NUMBERED.schema)
    with connect(config.database("postgres"), write=True) as connection, pytest.raises(ChangedSincePlanError):
        connection.repository(NUMBERED).load([rows], 1)


def test_indexes_that_are_built_anew_leave_the_wait_for_locks_as_it_was(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PostgresRepository, "rebuild_rows", 1)
    create(config.database("postgres"), metadata)
    rows = pa.record_batch([pa.array([1], pa.int32())], schema=NUMBERED.schema)
    with connect(config.database("postgres"), write=True) as connection:
        waits = sa.text("SHOW lock_timeout")
        before = connection.sqlalchemy.execute(waits).scalar_one()
        connection.repository(NUMBERED).load([rows], 1)
        assert connection.sqlalchemy.execute(waits).scalar_one() == before


def test_types_are_asked_for_once_and_those_of_other_databases_or_made_later_are_read_as_any_other(
    config: Config, second_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, spec, batch = config.database("postgres"), schema.spec(), schema.batch()
    other = Database("other", second_postgres_url)
    create(database, metadata)
    with connect(database) as connection:
        assert not list(connection.repository(MEASURED).read())
    create(database, schema.metadata)
    for place, key in ((database, 1), (other, 2)):
        execute(
            place,
            "CREATE TYPE mood AS ENUM ('glad', 'sad')",
            "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
            "CREATE TABLE felt (id integer PRIMARY KEY, moods mood[], counts positive[])",
            f"INSERT INTO felt VALUES ({key}, '{{sad,glad}}', '{{1,NULL}}')",
        )
    with connect(database, write=True) as connection:
        connection.repository(spec).load([batch], batch.num_rows)
        connection.commit()

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(adbc_driver_postgresql, "connect", refuse)
    with connect(database) as connection, connect(other) as elsewhere:
        assert digest_batches(spec, connection.repository(spec).read()) == digest_batches(spec, [batch])
        for source, key in ((connection, 1), (elsewhere, 2)):
            (felt,) = source.repository(FELT).read()
            assert felt.to_pylist() == [{"id": key, "moods": ["sad", "glad"], "counts": [1, None]}]


def test_nobody_else_writes_to_a_table_from_its_load_on(config: Config) -> None:
    create(config.database("postgres"), metadata)
    rows = pa.record_batch([pa.array([1], pa.int32())], schema=NUMBERED.schema)
    with connect(config.database("postgres"), write=True) as connection:
        connection.repository(NUMBERED).load([rows], 1)
        with psycopg.connect(config.database("postgres").address) as application:
            application.execute("SET lock_timeout = '20ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                application.execute("INSERT INTO numbered VALUES (2)")


@pytest.mark.parametrize("version", [KNOWS_JSON - 1, KNOWS_JSON])
@pytest.mark.parametrize("type_", ["json", "text", "jsonb"])
def test_old_and_new_servers_digest_documents_with_a_key_twice_as_they_are_written(
    config: Config, type_: str, version: int
) -> None:
    digest = CODEC.adapter(DOCUMENT).digest("v", version)
    with psycopg.connect(config.database("postgres").address) as connection:
        with_null = [r'{"a" :"\\\u0000"}', r'{"a" :"\\u0000"}'] if type_ != "jsonb" else []
        for document in [*DUPLICATES, *with_null]:
            query = f"SELECT {digest} FROM (SELECT $1::{type_} AS v) AS t"
            found = psycopg.RawCursor(connection).execute(query.encode(), [document]).fetchone()
            kept = without_duplicate_keys(document) if type_ == "jsonb" else document
            assert found == (canonical_document(kept),)
