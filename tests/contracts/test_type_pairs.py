"""Every column type under every model's type into every other column type: the same value arrives, or it is refused."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from toolkit.config import Config
from toolkit.core.digest import digest_batches
from toolkit.core.tables import TableSpec, table_spec
from toolkit.engines import connect
from toolkit.engines.contract import Connection
from toolkit.engines.portable.lossy import require_exact
from toolkit.engines.portable.refusals import undone
from toolkit.errors import ToolkitError

# Column types, each with values that some other type has no place for.
POSTGRES: dict[str, Sequence[str]] = {
    "smallint": ["1", "-7"],
    "integer": ["0", "16777217"],
    "bigint": ["1", "9007199254740993"],
    "oid": ["4294967295"],
    "numeric": ["1.50", "NaN", "12345678901234567890.123"],
    "numeric(10,2)": ["1.50", "1.25"],
    "numeric(4,0)": ["2"],
    "real": ["0.1", "-0"],
    "double precision": ["0.1", "1e300", "NaN"],
    "money": ["12.34"],
    "text": ["1", "a", "01", "2024-01-01", "12:00+02", "t", "{1,2}"],
    "varchar(3)": ["1.5"],
    "char(6)": ["ab"],
    "bytea": ["\\x00ff"],
    "boolean": ["true"],
    "date": ["2024-02-29", "infinity", "0044-03-15 BC"],
    "timestamp": ["2024-02-29 10:00:00.123456", "2024-01-01"],
    "timestamp(0)": ["2024-02-29 10:00:00"],
    "timestamptz": ["2024-02-29 10:00:00.123456+02"],
    "time": ["10:00:00.5", "24:00"],
    "timetz": ["10:00+02", "10:00+00"],
    "interval": ["1 mon", "36:00", "1 day"],
    "uuid": ["c0ffee00-0000-0000-0000-000000000000"],
    "json": ['{"a": 1.10, "a": 2}'],
    "jsonb": ['{"a": 1.10}', "1"],
    "integer[]": ["{1,2}", "{{1,2}}", "[0:1]={1,2}"],
    "numeric[]": ["{1.50}"],
    "inet": ["10.0.0.1/8"],
    "int4range": ["[1,5)"],
    "bit(3)": ["101"],
}
DUCKDB: dict[str, Sequence[str]] = {
    "TINYINT": ["-7"],
    "INTEGER": ["16777217"],
    "BIGINT": ["1", "9007199254740993"],
    "UBIGINT": ["18446744073709551615"],
    "HUGEINT": ["170141183460469231731687303715884105727"],
    "DECIMAL(18,4)": ["1.5000", "1.0050"],
    "DECIMAL(10,2)": ["1.25"],
    "FLOAT": ["0.1"],
    "DOUBLE": ["0.1", "1e300", "NaN"],
    "VARCHAR": ["1", "a", "01", "2024-01-01", "12:00:00+02", "true", "[1, 2]"],
    "BLOB": ["\\x00\\xFF"],
    "BOOLEAN": ["true"],
    "DATE": ["2024-02-29", "infinity"],
    "TIMESTAMP": ["2024-02-29 10:00:00.123456", "2024-01-01"],
    "TIMESTAMP_S": ["2024-02-29 10:00:00"],
    "TIMESTAMP_NS": ["2024-02-29 10:00:00.123456789"],
    "TIMESTAMPTZ": ["2024-02-29 10:00:00.123456+02"],
    "TIME": ["10:00:00.5"],
    "TIMETZ": ["10:00:00+02", "10:00:00+00"],
    "INTERVAL": ["1 month", "36:00:00", "1 day"],
    "UUID": ["c0ffee00-0000-0000-0000-000000000000"],
    "JSON": ['{"a": 1.10}', "1"],
    "INTEGER[]": ["[1, NULL]"],
    "INTEGER[][]": ["[[1, 2], [3]]"],
    "DECIMAL(6,2)[]": ["[1.50]"],
    "STRUCT(a INTEGER)": ["{'a': 1}"],
    "MAP(VARCHAR, INTEGER)": ["{a=1}"],
    "BIT": ["0101"],
}
MODELS: Sequence[sa.types.TypeEngine[Any]] = (
    sa.SmallInteger(),
    sa.Integer(),
    sa.BigInteger(),
    sa.Numeric(),
    sa.Numeric(10, 2),
    sa.REAL(),
    sa.Double(),
    sa.Text(),
    sa.LargeBinary(),
    sa.Boolean(),
    sa.Date(),
    sa.DateTime(),
    sa.DateTime(timezone=True),
    sa.Time(),
    sa.Time(timezone=True),
    sa.Interval(),
    postgresql.INTERVAL(),
    sa.Uuid(),
    sa.JSON(),
    sa.ARRAY(sa.Integer),
    sa.ARRAY(sa.Integer, dimensions=2),
    sa.ARRAY(sa.Numeric(6, 2)),
    sa.types.NullType(),
    postgresql.DOMAIN("d", sa.Integer()),
    sa.Enum("a", "b", name="e"),
    postgresql.MONEY(),
)
TYPES = {"postgres": POSTGRES, "duckdb": DUCKDB}
# All of them take minutes: TOOLKIT_EVERY_PAIR=1.
ONE_IN = 1 if os.environ.get("TOOLKIT_EVERY_PAIR") else 23


@cache
def described(name: str, type_: sa.types.TypeEngine[Any]) -> TableSpec:
    """A table of the models."""
    columns = (sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", type_))
    return table_spec(sa.Table(name, sa.MetaData(), *columns))


def readable(connection: Connection, spec: TableSpec) -> list[pa.RecordBatch] | None:
    """The one row, unless the model's type cannot hold its value as it is."""
    try:
        require_exact(connection, [spec])
        return list(connection.repository(spec).read())
    except ToolkitError:
        return None


def is_written(connection: Connection, spec: TableSpec, batches: list[pa.RecordBatch]) -> bool:
    """Whether the target takes the row, and its digest is that of what was sent; this is what a sync looks at."""
    repository = connection.repository(spec)
    if repository.refused_types():
        return False
    try:
        repository.upsert_many(batches)
        return repository.digest() == digest_batches(spec, batches)
    except ToolkitError:
        return False


# How an engine says that two values are equal: by their type, as numbers, as documents, or by their texts.
EQUAL = {
    "postgres": (
        "s.v::text = t.v::text",
        "s.v = t.v::{type}",
        "s.v::text::numeric = t.v::text::numeric",
        "s.v::numeric = t.v::numeric",
        "s.v::integer = t.v::integer",
        "s.v::boolean = t.v::boolean",
        "s.v::jsonb = t.v::jsonb",
    ),
    "duckdb": (
        "TRY_CAST(s.v AS VARCHAR) = TRY_CAST(t.v AS VARCHAR)",
        "s.v = TRY_CAST(t.v AS {type})",
        "TRY_CAST(s.v AS BIGINT) = TRY_CAST(t.v AS BIGINT)",
        "TRY_CAST(s.v AS BOOLEAN) = TRY_CAST(t.v AS BOOLEAN)",
        "TRY_CAST(TRY_CAST(s.v AS VARCHAR) AS DECIMAL(38,10)) = TRY_CAST(TRY_CAST(t.v AS VARCHAR) AS DECIMAL(38,10))",
    ),
}


def is_equal(connection: Connection, engine: str, source: str, target: str, actual: str) -> bool:
    """Whether the engine itself calls the two values equal."""
    raw: Any = connection.sqlalchemy.connection.driver_connection
    for way in EQUAL[engine]:
        with suppress(Exception), connection.savepoint():
            if raw.execute(f"SELECT {way.format(type=actual)} FROM {source} s, {target} t").fetchall() == [(True,)]:
                return True
    return False


def fill(connection: Connection, types: dict[str, Sequence[str]]) -> dict[str, str]:
    """A table for each value, and an empty one for each type; the types of the former, by name."""
    raw: Any = connection.sqlalchemy.connection.driver_connection
    tables: dict[str, str] = {}
    for number, (type_, values) in enumerate(types.items()):
        raw.execute(f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, v {type_})")
        for value in values:
            name = f"s{len(tables)}"
            tables[name] = type_
            raw.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, v {type_})")
            quoted = value.replace("'", "''")
            raw.execute(f"INSERT INTO {name} VALUES (1, CAST('{quoted}' AS {type_}))")
    return tables


@pytest.mark.slow
@pytest.mark.parametrize("engine", TYPES)
def test_a_value_arrives_as_an_equal_one_or_is_refused_whatever_the_three_types(config: Config, engine: str) -> None:
    found: dict[bool, list[str]] = {True: [], False: []}
    with connect(config.database(engine), write=True) as connection:
        tables = fill(connection, TYPES[engine])
        connection.commit()
        for (source, type_), model in itertools.islice(itertools.product(tables.items(), MODELS), 0, None, ONE_IN):
            batches = readable(connection, described(source, model))
            for target, actual in enumerate(TYPES[engine]):
                if batches is None:
                    continue
                with undone(connection):
                    if is_written(connection, described(f"t{target}", model), batches):
                        equal = is_equal(connection, engine, source, f"t{target}", type_)
                        found[equal].append(f"{type_} as {model!r} into {actual}")
    assert not found[False], "\n".join(found[False])
    assert len(found[True]) > 40


def test_bytes_are_not_taken_for_a_document_of_duckdb(config: Config) -> None:
    with connect(config.database("duckdb"), write=True) as connection:
        tables = fill(connection, {"VARCHAR": ["1"], "JSON": ["1"]})
        connection.commit()
        text, document = (described(name, sa.LargeBinary()) for name in tables)
        batches = readable(connection, text)
        assert batches is not None
        assert connection.repository(document).refused_types() == {"v": "JSON"}
        assert readable(connection, document) is None
