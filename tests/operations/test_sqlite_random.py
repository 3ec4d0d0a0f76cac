"""Random SQLite files, with every storage class under every declared type, to another file and to another engine."""

from __future__ import annotations

import datetime as dt
import json
import math
import sqlite3
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from toolkit.config import load_config
from toolkit.errors import ToolkitError
from toolkit.operations.sync import sync

TYPES = (
    "",
    "INTEGER",
    "bigint",
    "tinyint(1)",
    "BOOLEAN",
    "numeric DEFAULT false",
    "REAL",
    "double precision",
    "NUMERIC",
    "decimal(6,2)",
    "TEXT",
    "varchar(5)",
    "STRING",
    "BLOB",
    "DATETIME",
    "timestamptz",
    "DATE",
    "TIME",
    "JSON",
    "UUID",
    "inet",
    "TEXT COLLATE NOCASE",
)
# As SQL, so that texts that are no UTF-8 are among them.
AWKWARD = (
    *("NULL", "0", "1", "2", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808"),
    *("0.5", "1.0", "-0.0", "0.1", "1e308", "-9e999", "9e999", "5e-324", "0.30000000000000004", "1234567.891"),
    *("''", "'a'", "'A '", "'1'", "'007'", "'1.10'", "'true'", "'f'", "'longer than five'", "'é'", "'NaN'", "'i1'"),
    *("char(0)", "'a' || char(0) || 'b'", "CAST(x'61ff' AS TEXT)", "CAST(x'c3' AS TEXT)"),
    *("x''", "x'00'", "x'ff'", "x'6162'", "x'62'", "x'4e614e'", "x'00112233445566778899aabbccddeeff'"),
    *(
        "'2024-02-29'",
        "'2024-02-30'",
        "'2024-02-29 12:34:56'",
        "'2024-02-29T12:34:56.123456Z'",
        "'0001-01-01 00:00:00'",
    ),
    *("'2024-02-29 12:34:56+02:00'", "'2024-02-29 12:34:56.123456789'", "1700000000", "1700000000123"),
    *("'12:34:56'", "'24:00:00'", "'12:34'", "'{}'", '\'{"a": 1, "a": 2}\'', "'[1.10, 1e400]'", "'null'", "'{'"),
    *("'\"\\u0000\"'", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'A0EEBC999C0B4EF8BB6D6BB9BD380A11'"),
)
values = st.sampled_from(AWKWARD)
# Mostly of one kind, as they are in life: then types are found for them, and not only refusals.
column = st.tuples(st.sampled_from(TYPES), st.lists(values, min_size=1, max_size=2), st.lists(values, max_size=2))
# A smaller example would take minutes to find: they are small.
RANDOM = settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


@st.composite
def files(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """The statements that make a table and fill it, and the declared types."""
    columns = draw(st.lists(column, min_size=1, max_size=6))
    key = draw(st.sampled_from(("INTEGER PRIMARY KEY", "INT PRIMARY KEY", "TEXT PRIMARY KEY", "NOT NULL PRIMARY KEY")))
    names = [f"c {n}" for n in range(len(columns))]
    listed = ", ".join(f'"{name}" {type_}' for name, (type_, _, _) in zip(names, columns, strict=True))
    statements = [f"CREATE TABLE t (id {key}, {listed})"]
    for row in range(3):
        cells = [(few if row < 2 else [*few, *more])[row % len(few)] for _, few, more in columns]
        statements.append(f"INSERT INTO t VALUES ({row}, {', '.join(cells)})")
    if draw(st.booleans()):
        statements.append('CREATE UNIQUE INDEX u ON t (id, "c 0" DESC) WHERE "c 0" <> \':x\'')
    return statements, [type_ for type_, _, _ in columns]


def made(folder: str, statements: Sequence[str]) -> str:
    with closing(sqlite3.connect(f"{folder}/a.sqlite")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return f"sqlite:///{folder}/a.sqlite"


def stored(file: str) -> tuple[list[Any], list[Any]]:
    """Each value's class and bytes, and the schema."""
    with closing(sqlite3.connect(file)) as connection:
        connection.text_factory = bytes
        names = [f'"{row[1].decode()}"' for row in connection.execute("PRAGMA table_xinfo(t)")]
        cells = ", ".join(f"typeof({name}), hex({name}), quote({name})" for name in names)
        rows = connection.execute(f"SELECT {cells} FROM t ORDER BY id").fetchall()
        return rows, connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


def test_every_awkward_value_arrives_under_every_type_bit_by_bit(tmp_path: Path) -> None:
    listed = ", ".join(f'"c {n}" {type_}' for n, type_ in enumerate(TYPES))
    rows = [f"INSERT INTO t VALUES ({row}, {', '.join([value] * len(TYPES))})" for row, value in enumerate(AWKWARD)]
    source = made(str(tmp_path), [f"CREATE TABLE t (id INTEGER PRIMARY KEY, {listed})", *rows])
    sync(load_config(tmp_path, {}), source, f"sqlite:///{tmp_path}/b.sqlite")
    assert stored(f"{tmp_path}/b.sqlite") == stored(f"{tmp_path}/a.sqlite")


@pytest.mark.slow
@RANDOM
@given(files())
def test_a_file_arrives_in_another_bit_by_bit(file: tuple[list[str], list[str]]) -> None:
    statements, _ = file
    with tempfile.TemporaryDirectory() as folder:
        source, target = made(folder, statements), f"sqlite:///{folder}/b.sqlite"
        config = load_config(Path(folder), {})
        sync(config, source, target)
        assert stored(f"{folder}/b.sqlite") == stored(f"{folder}/a.sqlite")
        assert not any(table.inserted or table.updated for table in sync(config, source, target).tables)


@pytest.mark.slow
@RANDOM
@given(files())
def test_a_file_arrives_at_another_engine_with_equal_values_or_is_refused(
    file: tuple[list[str], list[str]],
) -> None:
    statements, types = file
    with tempfile.TemporaryDirectory() as folder:
        source = made(folder, statements)
        try:
            sync(load_config(Path(folder), {}), source, f"duckdb:///{folder}/b.duckdb")
        except ToolkitError:
            return
        with closing(sqlite3.connect(f"{folder}/a.sqlite")) as connection:
            before = connection.execute("SELECT * FROM t ORDER BY CAST(id AS INTEGER)").fetchall()
        with duckdb.connect(f"{folder}/b.duckdb") as other:
            after = other.execute("SELECT * FROM t ORDER BY CAST(id AS INTEGER)").fetchall()
        for own, there in zip(before, after, strict=True):
            for type_, value, carried in zip(types, own[1:], there[1:], strict=True):
                assert is_same(type_, value, carried), (type_, value, carried)


def is_same(type_: str, value: Any, carried: Any) -> bool:
    """Whether a value of another engine is what SQLite stores, in whatever form."""
    text = value.decode() if isinstance(value, bytes) and not isinstance(carried, bytes | uuid.UUID) else value
    match carried:
        case None | bytes():
            return bool(value == carried)
        case bool() | int() | float() | Decimal():
            return is_same_number(text, carried)
        case uuid.UUID():
            return uuid.UUID(bytes=value) == carried if isinstance(value, bytes) else uuid.UUID(value) == carried
        case dt.datetime():
            moment = dt.datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=carried.tzinfo)) == carried
        case dt.date() | dt.time():
            return type(carried).fromisoformat(text) == carried
    if type_ == "JSON" and carried != text:
        return bool(json.loads(carried) == (value if isinstance(value, int | float) else json.loads(text)))
    # There SQLite itself makes numbers of digits.
    return bool(carried == (str(text) if isinstance(value, int) and type_ in ("STRING", "inet") else text))


def is_same_number(value: Any, carried: bool | float | Decimal) -> bool:
    match carried:
        case bool():
            return value in (0, 1, "t", "true", "f") and carried == (value in (1, "t", "true"))
        case int():
            return isinstance(value, int | float) and value == carried
        case float():
            return math.isnan(carried) if value == "NaN" else float(value) == carried
    return Decimal(repr(value) if isinstance(value, float) else value) == carried or is_close(value, carried)


def is_close(value: Any, carried: Decimal) -> bool:
    """Digits behind the first fifteen of a double are nobody's."""
    return isinstance(value, float) and Decimal(format(value, ".15g")) == carried
