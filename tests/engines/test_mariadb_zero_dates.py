"""Dates that no calendar has, from one MariaDB database to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.operations.test_diff_sql import made_equal
from tests.servers import mariadb as server
from toolkit.config import Config, load_config
from toolkit.engines import connect
from toolkit.errors import ToolkitError, UnrepresentableValueError
from toolkit.operations.diff.compare import diff
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Mode, Options

_REPLACE = Options(mode=Mode.REPLACE)
_ANY = "SET sql_mode = 'ALLOW_INVALID_DATES'"
_POST = (
    "CREATE TABLE post (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, "
    "at datetime NOT NULL DEFAULT '0000-00-00 00:00:00', stamp timestamp(3) NULL, day date, seen datetime(6), "
    "UNIQUE (day))"
)
_ROWS = (
    "INSERT INTO post VALUES (1, '2024-01-02 03:04:05', '0000-00-00', '2024-02-30', '2024-01-02'), "
    "(2, '0000-00-00', '2024-03-04 05:06:07.089', '2024-00-10', NULL), "
    "(3, '2024-01-02', NULL, NULL, '2024-01-02 03:04:05.000006')"
)
_STORED = "SELECT id, CAST(at AS CHAR), CAST(stamp AS CHAR), CAST(day AS CHAR), CAST(seen AS CHAR) FROM post"

models = sa.MetaData()
sa.Table(
    "post",
    models,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("stamp", sa.DateTime(timezone=True)),
    sa.Column("day", sa.Date),
    sa.Column("seen", sa.DateTime),
)


@pytest.fixture
def two(mariadb_server: str, tmp_path: Path) -> Iterator[Config]:
    """Two databases, `a` with the rows."""
    with server.database(mariadb_server) as one, server.database(mariadb_server) as other:
        server.run(one, _ANY, _POST, _ROWS)
        yield load_config(tmp_path, {"TOOLKIT_A_URL": one, "TOOLKIT_B_URL": other})


def _stored(config: Config, name: str) -> list[tuple[Any, ...]]:
    return server.run(config.database(name).address, _STORED)


@pytest.mark.slow
@pytest.mark.parametrize("is_made", [True, False])
def test_zero_dates_arrive_as_they_are(two: Config, is_made: bool) -> None:
    if not is_made:
        server.run(two.database("b").address, _ANY, _POST)
    assert sync(two, "a", "b").verified
    assert _stored(two, "a") == _stored(two, "b")
    assert not sum(each.inserted + each.updated for each in sync(two, "a", "b").tables)
    assert diff(two, "a", "b").equal


@pytest.mark.slow
def test_zero_dates_that_only_the_target_has_are_seen_and_written_over(two: Config) -> None:
    sync(two, "a", "b")
    server.run(
        two.database("a").address, "UPDATE post SET at = '2024-05-06', day = id + 20240100, stamp = '2024-05-06'"
    )
    server.run(two.database("b").address, _ANY, "INSERT INTO post (id) VALUES (9)")
    assert not diff(two, "a", "b").equal
    found = sync(two, "a", "b", options=_REPLACE)
    assert (found.verified, found.tables[0].updated) == (True, 3)
    assert _stored(two, "a") == _stored(two, "b")


def test_zero_dates_arrive_under_models_that_have_no_place_for_them(two: Config) -> None:
    server.run(two.database("b").address, _ANY, _POST)
    given = replace(two, metadata=f"{__name__}:models", migrations=Path("none"))
    assert sync(given, "a", "b").verified
    assert _stored(two, "a") == _stored(two, "b")


@pytest.mark.slow
def test_zero_dates_that_are_keys_find_their_rows(two: Config) -> None:
    made = "CREATE TABLE hour (at datetime, day date, n int, PRIMARY KEY (at, day))"
    rows = "INSERT INTO hour VALUES ('0000-00-00', '0000-00-00', 1), ('2024-00-00', '2024-01-01', 2)"
    server.run(two.database("a").address, _ANY, made, rows)
    sync(two, "a", "b")
    server.run(two.database("a").address, "UPDATE hour SET n = n + 1", "DELETE FROM hour WHERE n = 3")
    found = sync(two, "a", "b", options=_REPLACE)
    assert [(each.table, each.updated) for each in found.tables] == [("hour", 1), ("post", 0)]
    assert server.run(two.database("b").address, "SELECT n FROM hour") == [(2,)]


def test_zero_dates_into_a_column_of_other_digits_are_refused_by_row(two: Config) -> None:
    server.run(two.database("b").address, _ANY, _POST.replace("at datetime", "at datetime(6)"))
    with pytest.raises(UnrepresentableValueError, match="post id=2: column 'at' holds '0000-00-00"):
        sync(two, "a", "b")


@pytest.mark.slow
def test_a_script_writes_zero_dates(two: Config, tmp_path: Path) -> None:
    sync(two, "a", "b")
    server.run(two.database("a").address, _ANY, "UPDATE post SET at = '0000-00-00', seen = '0000-00-00'")
    made_equal(two, "b", tmp_path / "script.sql", "a")
    assert _stored(two, "a") == _stored(two, "b")


def test_zero_dates_are_dumped_and_loaded(two: Config) -> None:
    two = replace(two, fixtures=two.root / "dump")
    dump_data(two, "a")
    assert '"at":"0000-00-00 00:00:00"' in (two.fixtures / "post.json").read_text()
    server.run(two.database("b").address, _ANY, _POST)
    assert load_data(two, "b").verified
    assert _stored(two, "a") == _stored(two, "b")
    assert [each.unchanged for each in load_data(two, "b").tables] == [3]


def test_zero_dates_are_converted_as_they_are_dumped(two: Config) -> None:
    two = replace(two, fixtures=two.root / "dump")
    server.run(two.database("a").address, _ANY, "UPDATE post SET at = '2024-01-01', day = NULL")
    dump_data(two, "a", convert=["post.stamp:zero-date-as-null"])
    assert '"stamp":null' in (two.fixtures / "post.json").read_text()


def test_dumped_zero_dates_are_refused_where_there_are_none(two: Config, tmp_path: Path) -> None:
    two = replace(two, fixtures=two.root / "dump")
    dump_data(two, "a")
    other = load_config(tmp_path, {"TOOLKIT_C_URL": f"duckdb:///{tmp_path}/c.duckdb"})
    with connect(other.database("c"), write=True) as connection:
        connection.sqlalchemy.exec_driver_sql(
            'CREATE TABLE post (id BIGINT PRIMARY KEY, "at" TIMESTAMP, stamp TIMESTAMPTZ, day DATE, seen TIMESTAMP)'
        )
        connection.commit()
    with pytest.raises(ToolkitError, match="0000-00-00"):
        load_data(replace(other, fixtures=two.fixtures), "c")
