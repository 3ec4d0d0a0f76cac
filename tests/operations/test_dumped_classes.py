"""A dump of a SQLite file without models gives each value back with its storage class, whatever its column is."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from tests.operations.databases import execute
from tests.operations.test_dumped_forms import files, run
from toolkit.config import load_config
from toolkit.errors import FixtureError, FixtureProblemsError, MisfitsError
from toolkit.operations.fixtures.closure import Closure
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data

NO_UTF8 = "CAST(x'ff41' AS TEXT)"
HELD: Sequence[tuple[str, Sequence[Any]]] = [
    ("", [1, 1.0, "1", b"1", -0.0, math.inf, -math.inf, 2**63 - 1, 'a"\n\\\x00', "", None]),
    ("text", ["a", b"a", b"\x00\xff", None]),
    ("blob", ["YWJj", b"abc", 5, 5.5]),
    ("integer", [1, "x", 1.5, b"1", 9.5e300]),
    ("timestamp", ["2024-01-01 00:00:00.123456789", 1700000000, "0000-00-00 00:00:00"]),
    ("date", ["0000-00-00", "2024-02-30", "2024-01-01"]),
    ("boolean", [0, 1, "maybe"]),
    ("double", ["nan", 1.0]),
    # What is read as the column's type, and would be written as a value of another class.
    ("", [1, 1.5]),
    ("", [1.5, -0.0]),
    ("json", ['{"a": 1}', 5, 1.5]),
    ("json", [10**18]),
    ("json", ['{"a":1}', b"[]"]),
    ("decimal(10, 2)", [1.25, 1e300]),
    ("decimal(10, 2)", [1e20]),
    ("decimal(10, 2)", [1e20, -(2**63)]),
    ("float", [255, b"1.50"]),
    # Bytes of which the driver makes no text, in a column that may not be read as its type.
    ("any", ["a", 5.5, b"\xff"]),
    ("numeric", [1, 1.5, 1e-7]),
]


def test_every_value_comes_back_with_its_class(tmp_path: Path) -> None:
    columns = ", ".join(f"v{n} {declared}" for n, (declared, _) in enumerate(HELD))
    config = files(tmp_path, f"CREATE TABLE t (id integer PRIMARY KEY, {columns})")
    for row in zip_longest(*(values for _, values in HELD)):
        places = ", ".join("?" * len(row))
        run(tmp_path / "one.sqlite3", f"INSERT INTO t VALUES (NULL, {places})", values=row)
    run(tmp_path / "one.sqlite3", f"UPDATE t SET v0 = {NO_UTF8} WHERE v0 IS NULL")
    told = [each.column for each in dump_data(config, "one").warnings if each.outcome == "written as stored"]
    assert told == [f"v{n}" for n in range(len(HELD) - 1)]
    assert load_data(config, "two").verified
    assert stored(tmp_path, "two") == stored(tmp_path, "one")
    assert [table.unchanged for table in load_data(config, "two").tables] == [len(HELD[0][1])]


def stored(directory: Path, name: str) -> list[str]:
    """The rows, each value with its class; texts by their bytes, as the driver fetches none that is no UTF-8."""
    value = "typeof(v{0}), CASE typeof(v{0}) WHEN 'text' THEN CAST(v{0} AS BLOB) ELSE v{0} END"
    values = ", ".join(value.format(n) for n in range(len(HELD)))
    return list(map(repr, run(directory / f"{name}.sqlite3", f"SELECT id, {values} FROM t")))


def test_numbers_come_back_into_an_empty_column_of_a_type_that_says_nothing(tmp_path: Path) -> None:
    """Such a column is taken for one of texts, which takes no double from SQLite."""
    config = files(tmp_path, "CREATE TABLE t (id integer PRIMARY KEY, v any)")
    run(tmp_path / "one.sqlite3", "INSERT INTO t (v) VALUES (5), (0.1 + 0.2)")
    dump_data(config, "one")
    assert load_data(config, "two").verified
    assert run(tmp_path / "two.sqlite3", "SELECT v FROM t") == [(5,), (0.1 + 0.2,)]


def test_rows_are_told_apart_by_keys_of_several_classes(tmp_path: Path) -> None:
    config = files(tmp_path, "CREATE TABLE t (k PRIMARY KEY, p REFERENCES t (k))")
    for values in ((1, None), ("1", 1), (b"1", "1"), (1.5, b"1")):
        run(tmp_path / "one.sqlite3", "INSERT INTO t VALUES (?, ?)", values=values)
    dump_data(config, "one")
    assert load_data(config, "two").verified
    rows = "SELECT typeof(k), k, typeof(p), p FROM t"
    one, two = (run(tmp_path / f"{name}.sqlite3", rows) for name in ("one", "two"))
    assert sorted(one, key=repr) == sorted(two, key=repr)


@pytest.mark.parametrize(
    "value", ["true", "[]", '{"blob": 5}', '{"blob": "a"}', '{"b": "YQ=="}', "9223372036854775808"]
)
def test_what_says_of_no_value_what_it_is_is_refused(tmp_path: Path, value: str) -> None:
    config = files(tmp_path, "CREATE TABLE t (id integer PRIMARY KEY, v)")
    for each in (5, "a"):
        run(tmp_path / "one.sqlite3", "INSERT INTO t (v) VALUES (?)", values=(each,))
    dump_data(config, "one")
    file = config.fixtures / "t.json"
    file.write_text(file.read_text().replace('"v":5', f'"v":{value}'))
    with pytest.raises(FixtureProblemsError, match="line 2: column 'v'"):
        load_data(config, "two")


def test_a_closure_has_such_values_but_for_the_columns_that_it_goes_by(tmp_path: Path) -> None:
    config = files(
        tmp_path, "CREATE TABLE p (id PRIMARY KEY, v)", "CREATE TABLE c (id integer PRIMARY KEY, p REFERENCES p (id))"
    )
    run(tmp_path / "one.sqlite3", "INSERT INTO p VALUES ('a', 5), ('b', 'x')", "INSERT INTO c VALUES (1, 'a')")
    dump_data(config, "one", where={"c": ["id = 1"]}, closure=Closure.PARENTS)
    assert json.loads((config.fixtures / "p.json").read_text()) == [{"id": "a", "v": 5}]
    run(tmp_path / "one.sqlite3", "INSERT INTO p VALUES (5, 5)")
    with pytest.raises(MisfitsError, match=r"p\.id: 1 value"):
        dump_data(config, "one", where={"c": ["id = 1"]}, closure=Closure.PARENTS)


def test_another_engine_takes_what_its_column_has_a_place_for(tmp_path: Path) -> None:
    """Texts of such a column are neither base64 nor documents, and what is refused says how it can be carried."""
    files(tmp_path, "CREATE TABLE t (id integer PRIMARY KEY, v)")
    environ = {"TOOLKIT_ONE_URL": "sqlite:///one.sqlite3", "TOOLKIT_DUCKDB_URL": "duckdb:///three.duckdb"}
    bare = load_config(tmp_path, environ, "")
    run(tmp_path / "one.sqlite3", "INSERT INTO t VALUES (1, 5), (2, 'YWJj')")
    dump_data(bare, "one")
    execute(bare.database("duckdb"), "CREATE TABLE t (id bigint PRIMARY KEY, v blob)")
    with pytest.raises(FixtureError, match=r"t\.json: holds v as stored.*\n.*--convert t\.v:HOW"):
        load_data(bare, "duckdb")
    execute(bare.database("duckdb"), "ALTER TABLE t ALTER v TYPE text")
    with pytest.raises(FixtureProblemsError, match=r"line 2: column 'v': 5 is not a string(.|\n)*--convert t\.v:HOW"):
        load_data(bare, "duckdb")


@pytest.mark.parametrize(
    ("declared", "value"), [("blob", "abcd"), ("text", b"\xff"), ("json", "{"), ("", b"\xff"), ("integer", "x")]
)
def test_rows_without_a_manifest_hold_what_their_columns_are_declared_for(
    tmp_path: Path, declared: str, value: Any
) -> None:
    """In standard output: text of a column of bytes would be read as base64, bytes of one without a type as text."""
    config = files(tmp_path, f"CREATE TABLE t (id integer PRIMARY KEY, v {declared})")
    run(tmp_path / "one.sqlite3", "INSERT INTO t (v) VALUES (?), (NULL)", values=(value,))
    if declared == "integer":
        dump_data(config, "one", manifest=False)
    else:
        with pytest.raises(FixtureError, match=r"t\.v: holds"):
            dump_data(config, "one", manifest=False)
