"""SQLite files without models: what both of two hold decides, and conversions say what columns are to hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.operations.databases import connected
from toolkit.config import Config, load_config
from toolkit.engines.sqlite import copy, snapshot
from toolkit.errors import ConfigurationError, ToolkitError
from toolkit.operations.diff.compare import diff
from toolkit.operations.sync import sync
from toolkit.operations.transfer.conversion_options import conversions

Run = Callable[..., str]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(tmp_path, {})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a script on a file, and gives its URL."""

    def run(name: str, script: str = "") -> str:
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.executescript(script)
            connection.commit()
        return f"sqlite:///{tmp_path / name}"

    return run


def stored(url: str) -> list[Any]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.text_factory = lambda text: text.decode(errors="surrogateescape")
        return connection.execute("SELECT id, typeof(v), quote(v) FROM t ORDER BY id").fetchall()


def test_the_tables_of_a_source_and_its_rows_are_of_one_moment_and_one_copy(
    config: Config, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = run("a.sqlite", "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 5)")
    copies = []

    def copy_file(*given: Any) -> None:
        copies.append(given)
        copy.copy_file(*given)

    def looked_up(*given: Any) -> Any:
        run("a.sqlite", "INSERT INTO t VALUES (2, 'no number')")
        return conversions(*given)

    monkeypatch.setattr(snapshot, "copy_file", copy_file)
    monkeypatch.setattr("toolkit.operations.sync.conversions", looked_up)
    (table,) = sync(config, source, f"duckdb:///{tmp_path / 'b.duckdb'}").tables
    assert (table.inserted, len(copies)) == (1, 1)


def test_a_file_whose_name_is_no_utf_8_is_copied(config: Config, run: Run, tmp_path: Path) -> None:
    source = run("a\udcff.sqlite", "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    (table,) = sync(config, source, f"duckdb:///{tmp_path / 'b.duckdb'}").tables
    assert (table.inserted, table.verified) == (1, True)


SIDES = {
    "integers beside texts": ("v", "1, '5'", "'5', 5"),
    "doubles beside nothing": ("v", "-0.0, 0.5", ""),
    "texts beside bytes": ("v TEXT", "'a', 'b'", "x'61', x'62'"),
    "reals beside integers": ("v NUMERIC", "0.5, 1", "1, 1"),
    "texts that are no UTF-8 beside others": ("v TEXT", "CAST(x'ff' AS TEXT), 'b'", "'a', 'b'"),
}


@pytest.mark.parametrize(("column", "own", "there"), SIDES.values(), ids=SIDES)
def test_two_files_are_compared_by_a_type_that_holds_the_values_of_both(
    config: Config, run: Run, column: str, own: str, there: str
) -> None:
    def made(name: str, values: str) -> str:
        rows = "".join(f"INSERT INTO t VALUES ({n}, {value});" for n, value in enumerate(values.split(", ")) if value)
        return run(name, f"CREATE TABLE t (id INTEGER PRIMARY KEY, {column}); {rows}")

    source, target = made("a", own), made("b", there)
    assert {table.status for table in diff(config, source, target).tables} == {"differs"}
    sync(config, source, target)
    assert stored(target) == stored(source)
    assert {table.status for table in diff(config, source, target).tables} == {"same"}


def test_a_column_of_another_affinity_is_what_it_was_declared(config: Config, run: Run) -> None:
    source = run("a", "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 5)")
    target = run("b", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    sync(config, source, target)
    assert stored(target) == [(1, "text", "'5'")]
    assert {table.status for table in diff(config, source, target).tables} == {"same"}


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_a_conversion_gives_a_column_that_is_made_the_type_that_it_makes(
    config: Config, run: Run, tmp_path: Path, engine: str
) -> None:
    source = run(
        "a",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v DATETIME, counted INTEGER, ok INTEGER);"
        "INSERT INTO t VALUES (1, 1700000000, 1700000000123, 1), (2, NULL, NULL, 0)",
    )
    target = f"{engine}:///{tmp_path}/b"
    convert = ("t.v:epoch-s", "t.counted:epoch-ms", "t.ok:bool")
    result = sync(config, source, target, convert=convert)
    assert result.verified
    assert [warning.reason for warning in result.warnings if warning.column] == []
    with connected(config.database(target)) as connection:
        found = connection.exec_driver_sql("SELECT CAST(v AS VARCHAR) FROM t ORDER BY id").scalars().all()
    assert [value and value[:19] for value in found] == ["2023-11-14 22:13:20", None]
    assert not any(table.inserted or table.updated for table in sync(config, source, target, convert=convert).tables)
    assert {table.status for table in diff(config, source, target, convert=convert).tables} == {"same"}


def test_a_conversion_that_makes_nothing_of_a_column_is_refused(config: Config, run: Run, tmp_path: Path) -> None:
    source = run("a", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'x')")
    with pytest.raises(ConfigurationError, match="of type text"):
        sync(config, source, f"duckdb:///{tmp_path}/b.duckdb", convert=["t.v:round"])


@pytest.mark.parametrize("columns", ["v)", "v BLOB)", "v ANY) STRICT"])
def test_numbers_among_the_texts_of_a_column_without_a_type_are_no_texts(
    config: Config, run: Run, tmp_path: Path, columns: str
) -> None:
    source = run("a", f"CREATE TABLE t (id INTEGER PRIMARY KEY, {columns}; INSERT INTO t VALUES (1, 5), (2, '5')")
    target = f"duckdb:///{tmp_path}/b.duckdb"
    with pytest.raises(ToolkitError, match=r"t\.v: 1 value|holds 5"):
        sync(config, source, target)
    assert sync(config, source, target, convert=["t.v:text"]).verified


def test_a_file_of_another_encoding_holds_the_same_texts(config: Config, run: Run) -> None:
    table = "CREATE TABLE t (id PRIMARY KEY, v);"
    source = run("a", f"PRAGMA encoding = 'UTF-16le'; {table} INSERT INTO t VALUES ('é', 5), (1, 'ü'), (x'ff', x'00')")
    target = run("b", table)
    sync(config, source, target)
    assert stored(target) == stored(source)
    run("a", "UPDATE t SET v = 'neu' WHERE id = 'é'")
    sync(config, source, target)
    assert stored(target) == stored(source)
    sync(config, target, source)
    assert not any(table.changed or table.added for table in diff(config, target, source).tables)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["duckdb"])
def test_a_primary_key_with_nulls_tells_no_rows_apart_the_second_time_either(
    config: Config, run: Run, tmp_path: Path, engine: str
) -> None:
    source = run("a", "CREATE TABLE t (id TEXT PRIMARY KEY, v); INSERT INTO t VALUES (NULL, 1), ('k', 2), (NULL, 1)")
    target = f"{engine}:///{tmp_path}/b"
    assert sync(config, source, target).verified
    assert not any(table.inserted or table.updated for table in sync(config, source, target).tables)
    assert {table.status for table in diff(config, source, target).tables} == {"same"}


def test_numbers_that_sqlite_itself_made_of_digits_are_their_digits(config: Config, run: Run, tmp_path: Path) -> None:
    source = run("a", "CREATE TABLE t (id INTEGER PRIMARY KEY, v ANY); INSERT INTO t VALUES (1, '5'), (2, 'x')")
    assert sync(config, source, f"duckdb:///{tmp_path}/b.duckdb").verified


def test_tables_that_are_made_by_other_names_have_the_types_that_were_declared(config: Config, run: Run) -> None:
    source = run(
        "a",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR(3) COLLATE NOCASE UNIQUE, x);"
        "INSERT INTO t VALUES (1, 5, x'00'), (2, 'abcd', 5)",
    )
    target = run("b")
    for written in (2, 0):
        result = sync(config, source, target, rename={"t": "u", "t.v": "w"})
        assert sum(table.inserted for table in result.tables) == written
    with connected(config.database(target)) as connection:
        (sql,) = connection.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE type = 'table'").scalars()
        row = connection.exec_driver_sql("SELECT typeof(w), typeof(x) FROM u WHERE w = 'ABCD'").one()
    assert tuple(row) == ("text", "integer")
    assert "id INTEGER NOT NULL" in sql
    assert 'w VARCHAR(3) COLLATE "NOCASE"' in sql
