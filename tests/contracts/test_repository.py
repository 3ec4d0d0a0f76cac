"""What every repository keeps: one suite for each engine, by its fast way, by the portable one, and decorated."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.contracts import schema
from tests.contracts.test_matrix import exact
from tests.operations.databases import connected, create
from toolkit.compute.stored_digest import StoredDigest
from toolkit.config import Config, Database
from toolkit.core.digest import TableDigest, digest_batches, keyed_digests
from toolkit.core.tables import TableSpec, select_tables
from toolkit.engines import connect
from toolkit.engines.portable.connection import DatabaseConnection
from toolkit.engines.portable.table import TableRepository
from toolkit.errors import UnrepresentableValueError

SPEC, BATCH = schema.spec(), schema.batch()
DECORATED = schema.decorated_spec()


@pytest.fixture(params=["fast", "portable", "decorated"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which repository to use, or that the columns are of an application's own type."""
    return str(request.param)


@pytest.fixture
def table(database: Database, kind: str) -> Database:
    """A database with the table of every type, empty."""
    create(database, schema.decorated_metadata if kind == "decorated" else schema.metadata)
    return database


def of(kind: str) -> TableSpec:
    """What the table is."""
    return DECORATED if kind == "decorated" else SPEC


def repository(connection: DatabaseConnection, kind: str, spec: TableSpec | None = None) -> TableRepository:
    """The engine's own repository, or the portable one on the same connection."""
    wanted = of(kind) if spec is None else spec
    if kind != "portable":
        return connection.repository(wanted)

    # The engine's construct for an upsert is part of its SQL, not of its speed.
    class Portable(TableRepository):
        _insert = staticmethod(type(connection.repository(wanted))._insert)

    return Portable(connection, wanted)


def filled(database: Database, kind: str, batch: pa.RecordBatch = BATCH, spec: TableSpec | None = None) -> None:
    """Write rows and commit."""
    with connect(database, write=True) as connection:
        assert repository(connection, kind, spec).upsert_many([batch]) == batch.num_rows
        connection.commit()


def rows(repository: TableRepository, keys: pa.Table | None = None, batch_rows: int = 3) -> pa.Table:
    """All rows (or those with these keys), ordered by key."""
    batches = list(repository.read(batch_rows=batch_rows, keys=keys))
    assert all(batch.num_rows <= batch_rows for batch in batches)
    spec = repository.spec
    return pa.Table.from_batches(batches, spec.schema).sort_by([(name, "ascending") for name in spec.key])


def same(one: pa.Table, other: pa.Table) -> bool:
    """Equal in every value, JSON by document."""
    digests = [digest_batches(SPEC, table.to_batches()) for table in (one, other)]
    plain = [c.name for c in SPEC.columns if c.type.kind not in ("json", "file")]
    return digests[0] == digests[1] and all(exact(one.column(n)) == exact(other.column(n)) for n in plain)


def test_what_was_written_is_read_back_by_both_ways(table: Database, kind: str) -> None:
    filled(table, kind)
    with connect(table) as connection:
        for way in ("fast", "portable"):
            assert same(rows(repository(connection, way, of(kind))), pa.Table.from_batches([BATCH]).sort_by("key"))


def test_digests_are_those_of_the_canonical_rows(table: Database, kind: str) -> None:
    filled(table, kind)
    expected = dict(zip(*keyed_digests(SPEC, BATCH).to_pydict().values(), strict=True))
    with connect(table, write=True) as connection:
        found = pa.Table.from_batches(repository(connection, kind).row_digests()).to_pydict()
        connection.stop_reading()
        whole = repository(connection, kind).digest()
    assert dict(zip(*found.values(), strict=True)) == expected
    assert whole == digest_batches(SPEC, [BATCH])


def test_a_digest_of_some_keys_is_that_of_their_rows(table: Database, kind: str) -> None:
    filled(table, kind)
    some = BATCH.slice(2, 4)
    with connect(table, write=True) as connection:
        found = repository(connection, kind).digest(keys=pa.Table.from_batches([some]).select(["key"]))
    assert found == digest_batches(SPEC, [some])


def test_rows_are_read_by_key(table: Database, kind: str) -> None:
    filled(table, kind)
    some = pa.Table.from_batches([BATCH.slice(1, 5)])
    with connect(table) as connection:
        found = rows(repository(connection, kind), keys=some.select(["key"]))
    assert same(found, some.sort_by("key"))


def test_count_and_emptiness(table: Database, kind: str) -> None:
    with connect(table) as connection:
        assert repository(connection, kind).is_empty()
        assert repository(connection, kind).count() == 0
        assert repository(connection, kind).digest() == TableDigest()
    filled(table, kind)
    with connect(table) as connection:
        assert not repository(connection, kind).is_empty()
        assert repository(connection, kind).count() == BATCH.num_rows


def test_an_upsert_updates_rows_with_the_same_key_and_inserts_the_others(table: Database, kind: str) -> None:
    filled(table, kind, BATCH.slice(0, 4))
    position = SPEC.column_names.index("int32")
    changed = BATCH.set_column(position, SPEC.schema.field("int32"), pa.array(range(BATCH.num_rows), pa.int32()))
    filled(table, kind, changed)
    filled(table, kind, changed)
    with connect(table) as connection:
        assert same(rows(repository(connection, kind)), pa.Table.from_batches([changed]).sort_by("key"))


def test_a_load_fills_an_empty_table(table: Database, kind: str) -> None:
    with connect(table, write=True) as connection:
        batches = [BATCH.slice(0, 5), BATCH.slice(5, 0), BATCH.slice(5)]
        assert repository(connection, kind).load(iter(batches), rows=10**6) == BATCH.num_rows
        connection.commit()
    with connect(table) as connection:
        assert same(rows(repository(connection, kind)), pa.Table.from_batches([BATCH]).sort_by("key"))


def test_rows_are_deleted_by_key(table: Database, kind: str) -> None:
    filled(table, kind)
    keys = pa.Table.from_batches([BATCH.slice(0, 3)]).select(["key"])
    with connect(table, write=True) as connection:
        assert repository(connection, kind).delete_many(keys) == 3
        assert repository(connection, kind).delete_many(keys) == 0
        connection.commit()
    with connect(table) as connection:
        assert repository(connection, kind).count() == BATCH.num_rows - 3


def test_values_are_given_to_rows_that_are_there(table: Database, kind: str) -> None:
    filled(table, kind)
    names = ["key", "int32", "timestamp", schema.TEXT]
    position = SPEC.column_names.index("int32")
    changed = BATCH.set_column(position, SPEC.schema.field("int32"), pa.array(range(BATCH.num_rows), pa.int32()))
    with connect(table, write=True) as connection:
        assert (
            repository(connection, kind).update_many(pa.Table.from_batches([changed.select(names)])) == changed.num_rows
        )
        connection.commit()
    with connect(table) as connection:
        assert same(rows(repository(connection, kind)), pa.Table.from_batches([changed]).sort_by("key"))


def test_what_is_stored_is_digested_as_what_was_sent(table: Database, kind: str) -> None:
    if table.engine_name == "postgresql":
        return  # It keeps no text of JSON, so nobody asks it.
    filled(table, kind)
    with connect(table) as connection, StoredDigest() as sent:
        assert repository(connection, kind).stored_digest() == sent.of(BATCH)


def test_leaving_without_a_commit_keeps_nothing(table: Database, kind: str) -> None:
    with connect(table, write=True) as connection:
        repository(connection, kind).upsert_many([BATCH])
    with connect(table) as connection:
        assert repository(connection, kind).is_empty()


def test_a_connection_sees_what_it_wrote_itself(table: Database, kind: str) -> None:
    if kind == "portable" and table.engine_name == "postgresql":
        # psycopg has no Python value for some of these; the fast way reads them, and digests within the server.
        kind = "fast"
    with connect(table, write=True) as connection:
        repository(connection, kind).upsert_many([BATCH])
        assert repository(connection, kind).digest() == digest_batches(SPEC, [BATCH])


composite = sa.Table(
    "composite",
    sa.MetaData(),
    sa.Column("b", sa.Text, primary_key=True),
    sa.Column("a", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("c", sa.DateTime(timezone=True), primary_key=True),
    sa.Column("value", sa.Text),
)
KEYS = [("x ", 1), ("x", 1), ("X", 1), ("é", 2), ("e\u0301", 2), ("\"quote'", -(2**63)), ("", 0)]


@pytest.fixture
def composite_rows(database: Database) -> tuple[Database, TableSpec, pa.RecordBatch]:
    """A table whose key has three columns, with look-alike keys."""
    create(database, composite.metadata)
    (spec,) = select_tables(composite.metadata)
    moment = dt.datetime(2024, 1, 1, 0, 0, 0, 5, tzinfo=dt.UTC)
    columns = [[k[0] for k in KEYS], [k[1] for k in KEYS], [moment] * len(KEYS), [str(k) for k in KEYS]]
    arrays = [pa.array(values, c.type.arrow) for c, values in zip(spec.columns, columns, strict=True)]
    return database, spec, pa.record_batch(arrays, schema=spec.schema)


def test_keys_of_several_columns_tell_look_alikes_apart(
    composite_rows: tuple[Database, TableSpec, pa.RecordBatch], kind: str
) -> None:
    database, spec, batch = composite_rows
    filled(database, kind, batch, spec)
    filled(database, kind, batch, spec)
    with connect(database) as connection:
        for number in range(batch.num_rows):
            one = batch.slice(number, 1)
            found = rows(repository(connection, kind, spec), pa.Table.from_batches([one]).select(list(spec.key)))
            assert found.to_pylist() == one.to_pylist()


@pytest.mark.parametrize(
    ("column", "stored", "told"),
    [
        ("int32", "'abc'", "holds 'abc', which is no int32"),
        ("int32", "1.5", "holds 1.5, which is no int32"),
        ("int16", "40000", "holds 40000, which is no int16"),
        ("bool", "2", "holds 2, which is no bool"),
        ("timestamp", "'yesterday'", "holds 'yesterday', which is no timestamp"),
        ("timestamp", "1700000000", "holds 1700000000, which is no timestamp"),
        ("date", "'2024-02-30'", "holds '2024-02-30', which is no date"),
        ("uuid", "'0123'", "holds '0123', which is no uuid"),
        ("decimal", "'1,5'", "holds '1,5', which is no decimal(38, 10)"),
        ("decimal", "1e30", "holds 1e+30, which is no decimal(38, 10)"),
        ("decimal", "9e999", "holds inf, which is no decimal(38, 10)"),
        ("float64", "'much'", "holds 'much', which is no float64"),
        (schema.TEXT, "x'ff'", "holds b'\\xff', which is no text"),
        ("array", "'{}'", "holds '{}', which is no array of int32"),
    ],
)
@pytest.mark.parametrize("position", [0, 5, 20])
def test_a_value_that_sqlite_let_in_is_refused_by_table_key_and_column(
    config: Config, column: str, stored: str, told: str, position: int
) -> None:
    database = config.database("sqlite")
    with connected(database) as connection:
        schema.metadata.create_all(connection)
        preparer = connection.dialect.identifier_preparer
        name, cell = preparer.format_table(schema.every_type), preparer.quote_identifier(column)
        for number in range(22):
            value = stored if number == position else "NULL"
            key = uuid.UUID(int=number).hex
            connection.exec_driver_sql(f"INSERT INTO {name} (\"key\", {cell}) VALUES (x'{key}', {value})")
    with connect(database) as opened, pytest.raises(UnrepresentableValueError) as raised:
        for _ in opened.repository(SPEC).read(batch_rows=4):
            pass
    assert raised.value.fact.endswith(f"column {column!r} {told}.")
    assert raised.value.key == f"key={uuid.UUID(int=position)}"


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("timestamptz", "infinity", "infinity"),
        ("timestamp", "-infinity", "infinity"),
        ("date", "infinity", "infinity"),
        ("timestamptz", "20000-01-01 00:00:00+00", "20000"),
        ("date", "4000-01-01 BC", "-"),
    ],
)
def test_infinite_and_far_dates_travel_between_postgres_and_duckdb_and_are_refused_by_sqlite(
    config: Config, column: str, value: str, told: str
) -> None:
    for name in ("postgres", "duckdb", "sqlite"):
        create(config.database(name), schema.metadata)
    key = str(uuid.UUID(int=7))
    url = config.database("postgres").url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        statement = f'INSERT INTO "every ""type%%s:x" ("key", "{column}") VALUES (%s, %s)'
        connection.execute(statement, (key, value))
    there_and_back = []
    with connect(config.database("postgres")) as source:
        there_and_back += list(source.repository(SPEC).read())
        expected = source.repository(SPEC).digest()
    with connect(config.database("duckdb"), write=True) as target:
        target.repository(SPEC).load(iter(there_and_back), 1)
        assert target.repository(SPEC).digest() == expected == digest_batches(SPEC, there_and_back)
        back = list(target.repository(SPEC).read())
        target.commit()
    with connect(config.database("postgres"), write=True) as target:
        target.repository(SPEC).delete_many(pa.Table.from_batches(there_and_back).select(["key"]))
        target.repository(SPEC).load(iter(back), 1)
        assert target.repository(SPEC).digest() == expected
    with connect(config.database("sqlite"), write=True) as target, pytest.raises(UnrepresentableValueError) as raised:
        target.repository(SPEC).upsert_many(there_and_back)
    assert raised.value.column == column
    assert raised.value.key == f"key={key}"


def test_an_interval_with_months_is_refused_by_name(config: Config) -> None:
    url = config.database("postgres").url.set(drivername="postgresql").render_as_string(hide_password=False)
    create(config.database("postgres"), schema.metadata)
    with psycopg.connect(url) as connection:
        statement = 'INSERT INTO "every ""type%s:x" ("key", "interval") VALUES (gen_random_uuid(), $$1 month$$)'
        connection.execute(statement)
    with (
        connect(config.database("postgres")) as source,
        pytest.raises(UnrepresentableValueError, match=r" key=[-0-9a-f]{36}: .*months"),
    ):
        list(source.repository(SPEC).read())


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (sa.Numeric(30, 10), Decimal("12345678901234567890.0123456789")),
        (sa.Numeric(38, 20), Decimal("123456789.5")),
        (sa.Numeric(38, 30), Decimal("0.1")),
    ],
)
def test_a_decimal_of_many_digits_that_an_application_stored_in_sqlite_travels(
    config: Config, type_: sa.Numeric[Decimal], value: Decimal
) -> None:
    metadata = sa.MetaData()
    price = sa.Table("price", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("amount", type_))
    (spec,) = select_tables(metadata)
    with connected(config.database("sqlite")) as connection:
        metadata.create_all(connection)
        connection.execute(price.insert(), {"id": 1, "amount": value})
    with connect(config.database("sqlite")) as source:
        stored = rows(source.repository(spec)).to_batches()
    assert float(stored[0].to_pylist()[0]["amount"]) == float(value)
    with connect(config.database("sqlite"), write=True) as target:
        target.repository(spec).upsert_many(stored)
        target.commit()
    with connect(config.database("sqlite")) as target:
        assert rows(target.repository(spec)).to_batches() == stored


def test_a_decimal_beyond_the_target_is_refused_not_rounded(config: Config) -> None:
    metadata = sa.MetaData()
    sa.Table("price", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("amount", sa.Numeric))
    (spec,) = select_tables(metadata)
    precise = "1." + "123456789" * 3
    batch = pa.record_batch([pa.array([1], pa.int32()), pa.array([precise])], schema=spec.schema)
    for name in ("sqlite", "postgres", "duckdb"):
        create(config.database(name), metadata)
        with connect(config.database(name), write=True) as connection:
            if name == "duckdb":
                with pytest.raises(UnrepresentableValueError, match="cannot keep"):
                    connection.repository(spec).upsert_many([batch])
            else:
                connection.repository(spec).upsert_many([batch])
                found = list(connection.repository(spec).read())
                assert Decimal(found[0].column("amount")[0].as_py()) == Decimal(precise)
