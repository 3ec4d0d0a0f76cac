"""The contract on each engine of the toolkit, and what is of single ones."""

from __future__ import annotations

import itertools
import uuid
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.contracts import schema
from tests.contracts.suite import *  # noqa: F403 - the contract's tests
from tests.contracts.suite import SPEC, rows
from tests.operations.databases import connected, create
from toolkit.config import Config
from toolkit.core.digest import digest_batches
from toolkit.core.tables import select_tables
from toolkit.engines import connect
from toolkit.errors import UnrepresentableValueError

LET_IN = [
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
]


# In the first batch of four rows, within one, and in the last.
@pytest.mark.parametrize(
    ("column", "stored", "told", "position"),
    [(*case, position) for case, position in zip(LET_IN, itertools.cycle([0, 5, 20]), strict=False)],
)
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
                for value in (precise, "Infinity"):
                    beyond = batch.set_column(1, spec.schema.field(1), pa.array([value]))
                    with pytest.raises(UnrepresentableValueError, match="cannot keep"):
                        connection.repository(spec).upsert_many([beyond])
                with pytest.raises(UnrepresentableValueError, match="cannot keep"):
                    connection.repository(spec).load([batch], 10**6)
            else:
                connection.repository(spec).upsert_many([batch])
                found = list(connection.repository(spec).read())
                assert Decimal(found[0].column("amount")[0].as_py()) == Decimal(precise)
