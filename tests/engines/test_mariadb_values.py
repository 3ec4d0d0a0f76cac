"""What columns of MariaDB's own types hold, and what they refuse, on a real server."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from tests.engines.mariadb_tables import load, of_one_column, read, write
from tests.servers import mariadb as server
from toolkit.config import Database
from toolkit.engines import connect
from toolkit.errors import RefusedRowError, UnrepresentableValueError

UUID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")


@pytest.fixture
def database(mariadb_url: str, tmp_path: Path) -> Database:
    """An empty database of MariaDB."""
    return Database("mariadb", mariadb_url, tmp_path)


LONG = "9" * 35 + "." + "1" * 30


@pytest.mark.parametrize(
    ("definition", "type_", "stored", "value"),
    [
        ("TINYINT(1)", sa.Boolean, "1", True),
        ("BIT(1)", sa.Boolean, "b'1'", True),
        ("BIT(40)", sa.BigInteger, "1099511627775", 1099511627775),
        ("INT UNSIGNED", sa.BigInteger, "4294967295", 4294967295),
        ("BIGINT UNSIGNED", sa.Numeric(20, 0), "18446744073709551615", Decimal(2**64 - 1)),
        ("DECIMAL(65,30)", sa.Numeric, f"'{LONG}'", LONG),
        ("DECIMAL(20,0)", sa.BigInteger, "12345678901234567", 12345678901234567),
        ("YEAR", sa.SmallInteger, "2155", 2155),
        ("FLOAT", sa.REAL, "0.1e0", 0.10000000149011612),
        ("DATETIME", sa.DateTime, "'2024-02-29 12:00:00'", dt.datetime(2024, 2, 29, 12)),
        ("TIMESTAMP(6)", sa.DateTime(timezone=True), "'2024-02-29 12:00:00.000001'", None),
        ("TIME(6)", sa.Interval, "'-838:59:59.5'", -dt.timedelta(hours=838, minutes=59, seconds=59.5)),
        ("TIME", sa.Time, "'23:59:59'", dt.time(23, 59, 59)),
        ("ENUM('a','b c')", sa.Text, "'b c'", "b c"),
        ("SET('a','b')", sa.Text, "'a,b'", "a,b"),
        ("JSON", sa.JSON, """'{"a": 1.50}'""", '{"a": 1.50}'),
        ("VARCHAR(9) CHARACTER SET latin1", sa.Text, "'é€'", "é€"),
        ("VARCHAR(9) CHARACTER SET utf8mb3", sa.Text, "'é '", "é "),
        ("LONGTEXT CHARACTER SET utf8mb4", sa.Text, "'🎉'", "🎉"),
        ("BINARY(16)", sa.Uuid, "x'00112233445566778899aabbccddeeff'", UUID.bytes),
        ("CHAR(32)", sa.Uuid, f"'{UUID.hex}'", UUID.bytes),
        ("CHAR(36)", sa.Uuid, f"'{UUID}'", UUID.bytes),
        ("UUID", sa.Uuid, f"'{UUID}'", UUID.bytes),
        ("POINT", sa.LargeBinary, "ST_GeomFromText('POINT(1 2)', 4326)", None),
        ("INET6", postgresql.INET, "'::1'", "::1"),
    ],
)
def test_what_a_column_of_its_own_holds_is_read_exactly_and_written_back_as_it_was(
    database: Database, definition: str, type_: Any, stored: str, value: Any
) -> None:
    spec = of_one_column(database, definition, type_)
    server.run(database.address, "SET time_zone = '+00:00'", f"INSERT INTO t VALUES (1, {stored})")
    (found,) = read(database, spec)
    if value is not None:
        assert found == value
    with connect(database, write=True) as connection:
        own = connection.repository(spec)
        rows = [row for each in own.read() for row in each.to_pylist()]
        assert not own.lossy_casts()
        own.upsert_many([pa.RecordBatch.from_pylist([{**rows[0], "id": 2}], spec.schema)])
        # By another way; here it does not matter that there are rows.
        own.load([pa.RecordBatch.from_pylist([{**rows[0], "id": 3}, {"id": 4, "v": None}], spec.schema)], 2)
        connection.commit()
    stored = [row[0] for row in server.run(database.address, "SELECT HEX(v) FROM t ORDER BY id")]
    assert stored == [stored[0]] * 3 + [None]


@pytest.mark.parametrize(
    ("definition", "type_", "stored"),
    [
        ("DATE", sa.Date, "0000-00-00"),
        ("DATETIME", sa.DateTime, "2024-00-01 00:00:00"),
        ("TIME", sa.Time, "24:00:01"),
        ("TIME", sa.Time, "-00:00:01"),
        ("TINYINT(1)", sa.Boolean, "2"),
        ("BIGINT UNSIGNED", sa.BigInteger, "18446744073709551615"),
        ("DOUBLE", sa.REAL, "0.1"),
        ("VARCHAR(9)", sa.Uuid, "nothing"),
    ],
)
def test_a_stored_value_that_the_model_has_no_place_for_is_refused_by_its_row(
    database: Database, definition: str, type_: Any, stored: str
) -> None:
    spec = of_one_column(database, definition, type_)
    server.run(database.address, "SET sql_mode = ''", f"INSERT INTO t VALUES (1, NULL), (7, '{stored}')")
    with pytest.raises(UnrepresentableValueError, match="t id=7: column 'v' holds"):
        read(database, spec)


@pytest.mark.parametrize(
    ("definition", "type_", "value"),
    [
        ("DATETIME(3)", sa.DateTime, dt.datetime(2024, 1, 1, 0, 0, 0, 1)),
        ("TIMESTAMP(6) NULL", sa.DateTime, dt.datetime(2039, 1, 1)),
        ("TIME", sa.Time, dt.time(0, 0, 0, 5)),
        ("DECIMAL(9,2)", sa.Numeric, "1.005"),
        ("DECIMAL(9,2)", sa.Numeric, "12345678.9"),
        ("FLOAT", sa.Double, 0.1),
        ("DOUBLE", sa.Double, -0.0),
        ("DOUBLE", sa.Double, math.nan),
        ("DOUBLE", sa.Double, math.inf),
        ("CHAR(5)", sa.Text, "a "),
        ("VARCHAR(2)", sa.Text, "a  "),
        ("VARCHAR(9) CHARACTER SET latin1", sa.Text, "🎉"),
        ("BINARY(4)", sa.LargeBinary, b"ab"),
        ("TINYINT UNSIGNED", sa.Integer, -1),
        ("ENUM('a')", sa.Text, "A"),
        ("JSON", sa.Text, "no document"),
        ("DATE", sa.DateTime, dt.datetime(2024, 1, 1, 1)),
    ],
)
def test_a_value_that_its_column_would_change_is_refused_by_its_row(
    database: Database, definition: str, type_: Any, value: Any
) -> None:
    spec = of_one_column(database, definition, type_)
    with pytest.raises((UnrepresentableValueError, RefusedRowError), match="id=7"):
        write(database, spec, (1, None), (7, value))
    with pytest.raises((UnrepresentableValueError, RefusedRowError), match="id=7"):
        load(database, spec, (1, None), (7, value))
    assert server.run(database.address, "SELECT count(*) FROM t") == [(0,)]
