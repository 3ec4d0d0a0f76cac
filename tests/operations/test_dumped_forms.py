"""Without models, a load into SQLite writes values in the form in which they stood where they were dumped."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.operations.databases import connected, execute
from toolkit.config import Config, load_config
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync

ONE, TWO = "0b4ba3f0-1c57-4cf6-9a9b-1f6c6ab5e0a1", "1b4ba3f0-1c57-4cf6-9a9b-1f6c6ab5e0a1"
FORMS = [
    *(("uuid", each) for each in (ONE, ONE.upper(), ONE.replace("-", ""), bytes.fromhex(ONE.replace("-", "")))),
    *(("datetime", f"2024-01-02{each}") for each in (" 03:04:05", "T03:04:05", " 03:04:05.000000", " 03:04", "")),
    *(("datetime", f"2024-01-02T03:04:05{each}") for each in (".123", "Z", "+00:00", ".123456Z", ".000Z")),
    *(("datetime", f"2024-01-02 03:04:0{each}") for each in ("5.5+00:00", "5.12", "0.05Z")),
    *(("time", each) for each in ("03:04:05", "03:04:05.000000", "03:04", "03:04:05.120", "00:00:00.1")),
    *(("boolean", each) for each in (1, "t", "true", "False")),
    *(("text", each) for each in ("a", b"a")),
    *(("json", each) for each in ('{"a": 1}', b'{"a": 1}')),
    # What the column is not declared for, and what no form is asked of.
    *(("integer", each) for each in ("word", 5.5, b"5")),
    *(("datetime", each) for each in (1700000000, "some day")),
    *(("varchar(3)", "longer"), ("decimal(4, 1)", 1.125), ("date", "2024-01-02 00:00:00")),
    *(("", each) for each in (5, 5.0, "5", b"5")),
]


def files(directory: Path, *tables: str) -> Config:
    """The configuration of two files with these tables."""
    for name in ("one", "two"):
        run(directory / f"{name}.sqlite3", *tables)
    environ = {"TOOLKIT_ONE_URL": "sqlite:///one.sqlite3", "TOOLKIT_TWO_URL": "sqlite:///two.sqlite3"}
    return load_config(directory, environ, "")


def run(path: Path, *statements: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The rows of the last statement."""
    with sqlite3.connect(path) as file:
        found = [list(file.execute(each, values)) for each in statements][-1]
    file.close()
    return found


@pytest.mark.slow
def test_a_value_comes_back_in_the_form_that_it_had(tmp_path: Path) -> None:
    """Each in a table of its own, as a form is a column's."""
    made = (f"CREATE TABLE t{n} (id integer PRIMARY KEY, v {declared})" for n, (declared, _) in enumerate(FORMS))
    config = files(tmp_path, *made)
    for n, (_, value) in enumerate(FORMS):
        run(tmp_path / "one.sqlite3", f"INSERT INTO t{n} (v) VALUES (?), (NULL)", values=(value,))
    assert all(each.outcome != "forms not kept" for each in dump_data(config, "one").warnings)
    assert load_data(config, "two").verified
    one, two = (
        {n: run(tmp_path / f"{name}.sqlite3", f"SELECT id, typeof(v), v FROM t{n}") for n in range(len(FORMS))}
        for name in ("one", "two")
    )
    assert one == two


def without_manifest(directory: Path) -> None:
    """As of files that were written by hand."""
    (directory / "manifest.json").unlink()


def of_an_older_version(directory: Path) -> None:
    """A manifest that does not speak of forms."""
    manifest = json.loads((directory / "manifest.json").read_text())
    for table in manifest["tables"].values():
        del table["forms"]
    (directory / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("age", [without_manifest, of_an_older_version])
def test_of_files_that_do_not_say_it_uuids_have_hyphens_unless_others_are_there(
    tmp_path: Path, age: Callable[[Path], None]
) -> None:
    """What points at them is written in the form of those: to SQLite, others are no parents."""
    parent = "CREATE TABLE parent (id uuid PRIMARY KEY, at datetime)"
    config = files(tmp_path, parent, "CREATE TABLE child (id integer PRIMARY KEY, up uuid REFERENCES parent (id))")
    run(tmp_path / "one.sqlite3", f"INSERT INTO parent VALUES ('{ONE}', '2024-01-02 03:04:05')")
    run(tmp_path / "one.sqlite3", f"INSERT INTO child VALUES (1, '{ONE}')")
    dump_data(config, "one")
    age(config.fixtures)
    assert load_data(config, "two").verified
    read = "SELECT parent.id, at, up FROM parent JOIN child ON parent.id = up"
    assert run(tmp_path / "two.sqlite3", read) == [(ONE, "2024-01-02 03:04:05", ONE)]
    others = f"INSERT INTO parent VALUES ('{TWO.replace('-', '')}', '2024-01-02T03:04:05Z')"
    run(tmp_path / "two.sqlite3", "DELETE FROM child", "DELETE FROM parent", others)
    assert load_data(config, "two").verified
    digits = ONE.replace("-", "")
    assert run(tmp_path / "two.sqlite3", read) == [(digits, "2024-01-02T03:04:05Z", digits)]


def test_a_column_with_values_in_several_forms_is_told(tmp_path: Path) -> None:
    config = files(tmp_path, "CREATE TABLE t (id integer PRIMARY KEY, at datetime, v boolean)")
    rows = "(1, '2024-01-02 03:04:05', 1), (2, '2024-01-02T03:04:05', 0), (3, '2024-01-02 03:04:05.5', NULL)"
    run(tmp_path / "one.sqlite3", f"INSERT INTO t VALUES {rows}")
    (told,) = dump_data(config, "one").warnings
    assert (told.table, told.column) == ("t", "at")
    assert "in several forms" in told.reason


@pytest.mark.parametrize("key", ["char(32)", "binary(16)", "uuid", "text"])
def test_what_a_strict_database_had_is_written_as_a_sync_from_it_would_write_it(
    config: Config, tmp_path: Path, key: str
) -> None:
    """Of a table without rows it is not known that its times have zones, nor that its texts and bytes are UUIDs."""
    bare = replace(config, metadata="", migrations=config.root / "none", fixtures=tmp_path / "dump")
    own = "id uuid PRIMARY KEY, at timestamptz, local timestamp, day date, n numeric(12, 4), free numeric, done boolean"
    row = f"'{ONE}', '2024-01-02 03:04:05.5+00', '2024-01-02', '2024-01-02', 1.25, 2.5, true"
    execute(bare.database("postgres"), f"CREATE TABLE t ({own}, long text)", f"INSERT INTO t VALUES ({row}, 'longer')")
    theirs = f"id {key} PRIMARY KEY, at timestamp, local datetime, day datetime, n decimal(4, 1), free numeric"
    execute(bare.database("sqlite"), f"CREATE TABLE t ({theirs}, done integer, long varchar(3))")
    dump_data(bare, "postgres")
    assert load_data(bare, "sqlite").verified
    loaded = stored(bare)
    execute(bare.database("sqlite"), "DELETE FROM t")
    assert sync(bare, "postgres", "sqlite").verified
    assert loaded == stored(bare)


def stored(config: Config) -> list[tuple[Any, ...]]:
    """The rows, with the storage class of a value."""
    with connected(config.database("sqlite")) as connection:
        return [tuple(each) for each in connection.exec_driver_sql("SELECT typeof(id), * FROM t").all()]


@pytest.mark.parametrize("declared", ["numeric", "decimal(20, 2)", "real"])
def test_bytes_that_a_load_would_write_as_a_number_are_written_as_bytes(tmp_path: Path, declared: str) -> None:
    config = files(tmp_path, f"CREATE TABLE t (id integer PRIMARY KEY, v {declared})")
    # Of the second, a number here would be another.
    for value in (b"1.5", b"12345678901234567.89"):
        run(tmp_path / "one.sqlite3", "INSERT INTO t (v) VALUES (?), (2)", values=(value,))
        told = [each.column for each in dump_data(config, "one").warnings if each.outcome == "written as stored"]
        assert told == (["v"] if value == b"1.5" else [])
        run(tmp_path / "one.sqlite3", "DELETE FROM t")
        if declared == "real":
            return
