"""What columns of MariaDB's own types hold, and what they refuse, on a real server."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from tests.engines.mariadb_tables import a_key, load, made, of_one_column, read, write
from tests.operations import databases
from tests.servers import mariadb as server
from toolkit.config import Config, Database
from toolkit.core.types import Kind, LogicalType
from toolkit.engines import connect
from toolkit.errors import MisfitsError, RefusedRowError, ToolkitError, UnrepresentableValueError
from toolkit.operations.diff.compare import diff
from toolkit.operations.sync import sync

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
        ("YEAR", sa.SmallInteger, "0", 0),
        ("FLOAT", sa.REAL, "0.1e0", 0.10000000149011612),
        # The server rounds up what it stores as a single: beyond the digits that it takes.
        ("FLOAT(10,2)", sa.REAL, "-99999999.99", -1e8),
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
    digits = [row[0] for row in server.run(database.address, "SELECT HEX(v) FROM t ORDER BY id")]
    assert digits == [digits[0]] * 3 + [None]


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
        ("YEAR", sa.SmallInteger, 5),
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


def test_of_uuids_just_those_are_refused_that_the_server_has_no_place_for(database: Database) -> None:
    spec = of_one_column(database, "UUID", sa.Uuid)
    all_ = [
        uuid.UUID(f"00112233-4455-{version:x}677-{variant:x}899-aabbccddeeff")
        for version in range(16)
        for variant in range(16)
    ]
    server.run(database.address, *(f"INSERT IGNORE INTO t VALUES ({n}, '{each}')" for n, each in enumerate(all_)))
    kept = {n for (n,) in server.run(database.address, "SELECT id FROM t WHERE v IS NOT NULL")}
    assert 0 < len(kept) < len(all_)
    server.run(database.address, "DELETE FROM t")
    taken = [(n, each) for n, each in enumerate(all_) if n in kept]
    load(database, spec, *taken)
    assert [value for (value,) in server.run(database.address, "SELECT v FROM t ORDER BY id")] == [
        str(v) for _, v in taken
    ]
    for n, each in enumerate(all_):
        if n not in kept:
            with pytest.raises(
                UnrepresentableValueError, match=f"id={n}: column 'v' holds {each}, of a version from 8"
            ):
                write(database, spec, (n, each))


def test_values_that_a_column_would_change_in_one_way_are_one_line_of_the_report(
    config: Config, database: Database
) -> None:
    metadata = sa.MetaData()
    sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Numeric(9, 2)))
    both = replace(config, databases={**config.databases, "mariadb": database}, models=metadata, tables_from="models")
    server.run(database.address, "CREATE TABLE t (id INTEGER PRIMARY KEY, v DECIMAL(9,1))")
    databases.create(both.database("sqlite"), metadata)
    databases.execute(both.database("sqlite"), "INSERT INTO t VALUES (1, 0.25), (2, 0.75), (3, 1)")
    with pytest.raises(MisfitsError) as caught:
        sync(both, "sqlite", "mariadb")
    assert [(each.count, [row.key for row in each.rows]) for each in caught.value.misfits] == [(2, ["id=1", "id=2"])]


def test_values_of_other_types_are_converted_as_they_are_read(config: Config, database: Database) -> None:
    server.run(
        database.address,
        "SET sql_mode = ''",
        "CREATE TABLE odd (id INT PRIMARY KEY, day DATE, moment DATETIME(6), truth VARCHAR(9), raw BLOB, bits BIT(9), "
        "many DECIMAL(9,3), single FLOAT)",
        "INSERT INTO odd VALUES (1, '0000-00-00', '0000-00-00', 'yes', 'é', 300, 1.5, 0.1), "
        "(2, '2024-02-29', '2024-02-29 01:02:03.000004', NULL, NULL, NULL, NULL, NULL)",
    )
    config = replace(config, metadata=f"{__name__}:odd", migrations=Path("none"))
    config = replace(config, databases={**config.databases, "mariadb": database})
    ways = ("day:zero-date-as-null", "moment:zero-date-as-null", "truth:bool", "raw:utf-8", "bits:text", "many:round")
    given = [f"odd.{each}" for each in (*ways, "single:text")]
    with pytest.raises(ToolkitError, match="0000-00-00"):
        sync(config, "mariadb", "sqlite")
    assert sync(config, "mariadb", "postgres", convert=given).verified
    with databases.connected(config.database("postgres")) as connection:
        rows = connection.execute(sa.select(odd.tables["odd"]).order_by("id")).all()
    moment = dt.datetime(2024, 2, 29, 1, 2, 3, 4)
    assert [tuple(row) for row in rows] == [
        (1, None, None, True, "é", "300", 2, "0.10000000149011612"),
        (2, dt.date(2024, 2, 29), moment, None, None, None, None, None),
    ]
    assert diff(config, "mariadb", "postgres", convert=given).equal


odd = sa.MetaData()
sa.Table(
    "odd",
    odd,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("day", sa.Date),
    sa.Column("moment", sa.DateTime),
    sa.Column("truth", sa.Boolean),
    sa.Column("raw", sa.Text),
    sa.Column("bits", sa.Text),
    sa.Column("many", sa.Integer),
    sa.Column("single", sa.Text),
)


@pytest.mark.parametrize("by_keys", [False, True])
def test_a_conversion_is_given_values_as_long_as_the_server_keeps_them(database: Database, by_keys: bool) -> None:
    """Of one byte more than max_allowed_packet, a function of the server's makes NULL."""
    columns = (a_key(), sa.Column("v", sa.Text), sa.Column("raw", sa.LargeBinary))
    spec = made(database, "id INT PRIMARY KEY, v LONGTEXT, raw LONGBLOB", *columns)
    [(most,)] = server.run(database.address, "SELECT @@max_allowed_packet")
    filled = f"(1, REPEAT('x', {most}), NULL), (2, NULL, REPEAT('z', {most}))"
    server.run(database.address, f"INSERT INTO t VALUES {filled}")
    key, *others = spec.columns
    stored = replace(spec, columns=(key, *(replace(each, type=LogicalType(Kind.STORED)) for each in others)))
    keys = pa.table({"id": pa.array([1, 2], key.type.arrow)}) if by_keys else None
    with connect(database) as connection:
        found = [row for each in connection.repository(stored).read(keys=keys) for row in each.to_pylist()]
    assert sorted(found, key=lambda row: row["id"]) == [
        {"id": 1, "v": "t" + "x" * most, "raw": None},
        {"id": 2, "v": None, "raw": "b" + "7A" * most},
    ]


@pytest.mark.parametrize(("charset", "lost", "whole"), [("cp1251", "98", "3FC0"), ("gbk", "A140", "3FB0A1")])
def test_bytes_of_which_the_server_tells_question_marks_are_refused_by_their_row(
    config: Config, database: Database, charset: str, lost: str, whole: str
) -> None:
    """Bytes that a character set has no character for are told as if somebody had written a question mark."""
    config = replace(config, metadata="", migrations=Path("none"))
    config = replace(config, databases={**config.databases, "mariadb": database})
    server.run(
        database.address,
        f"CREATE TABLE t (id INT PRIMARY KEY, `a%` INT, `v%` LONGTEXT CHARACTER SET {charset}) CHARSET=utf8mb4",
        f"INSERT INTO t VALUES (1, NULL, x'{whole}'), (7, NULL, x'{lost}'), (8, NULL, NULL)",
    )
    with pytest.raises(UnrepresentableValueError, match=rf"t id=7: column 'v%' holds .* no character of {charset}"):
        sync(config, "mariadb", "sqlite")
    server.run(database.address, "DELETE FROM t WHERE id = 7")
    assert sync(config, "mariadb", "sqlite").verified
    server.run(database.address, f"UPDATE t SET `v%` = x'{lost}' WHERE id = 8")
    databases.execute(config.database("sqlite"), """UPDATE t SET "v%" = '?' WHERE id = 8""")
    assert not diff(config, "sqlite", "mariadb").equal
