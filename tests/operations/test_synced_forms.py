"""Without models, a sync from strict types into SQLite writes values in the form of those that stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operations.test_dumped_forms import run
from toolkit.config import Config, load_config
from toolkit.operations.diff.compare import diff
from toolkit.operations.sync import sync

ONE, TWO = "0b4ba3f0-1c57-4cf6-9a9b-1f6c6ab5e0a1", "1b4ba3f0-1c57-4cf6-9a9b-1f6c6ab5e0a1"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A database of DuckDB and a file."""
    environ = {"TOOLKIT_ONE_URL": "duckdb:///one.duckdb", "TOOLKIT_TWO_URL": "sqlite:///two.sqlite3"}
    return load_config(tmp_path, environ, "")


def fill(tmp_path: Path, *statements: str) -> None:
    """Run statements in DuckDB."""
    import duckdb

    with duckdb.connect(tmp_path / "one.duckdb") as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("type_", "declared", "standing", "value", "written"),
    [
        ("uuid", "uuid", ONE.replace("-", ""), TWO, TWO.replace("-", "")),
        ("uuid", "text", ONE.replace("-", ""), TWO, TWO.replace("-", "")),
        ("uuid", "char(36)", ONE.upper(), TWO, TWO.upper()),
        ("uuid", "uuid", bytes.fromhex(ONE.replace("-", "")), TWO, bytes.fromhex(TWO.replace("-", ""))),
        ("timestamptz", "datetime", "2024-01-02T03:04:05.678Z", "2024-05-06 07:08:09+00", "2024-05-06T07:08:09.000Z"),
        ("timestamp", "datetime", "2024-01-02 03:04:05", "2024-05-06 07:08:09", "2024-05-06 07:08:09"),
        ("boolean", "boolean", "t", "false", "f"),
    ],
)
def test_what_is_new_or_changed_is_written_as_what_is_there(
    config: Config, tmp_path: Path, type_: str, declared: str, standing: object, value: str, written: object
) -> None:
    run(tmp_path / "two.sqlite3", f"CREATE TABLE t (id integer PRIMARY KEY, v {declared})")
    run(tmp_path / "two.sqlite3", "INSERT INTO t VALUES (1, ?), (2, ?), (9, NULL)", values=(standing, standing))
    fill(
        tmp_path,
        f"CREATE TABLE t (id bigint PRIMARY KEY, v {type_})",
        f"INSERT INTO t SELECT x, '{value}' FROM range(2, 4) r(x)",
    )
    assert sync(config, "one", "two").verified
    assert run(tmp_path / "two.sqlite3", "SELECT id, v FROM t ORDER BY id") == [
        (1, standing), (2, written), (3, written), (9, None),
    ]  # fmt: skip
    assert [each.unchanged for each in sync(config, "one", "two").tables] == [2]
    assert [each.changed for each in diff(config, "one", "two").tables] == [0]


def test_keys_without_hyphens_are_found_and_what_points_at_them_has_none(config: Config, tmp_path: Path) -> None:
    run(
        tmp_path / "two.sqlite3",
        "CREATE TABLE a (id uuid PRIMARY KEY, n int)",
        "CREATE TABLE b (id integer PRIMARY KEY, a uuid REFERENCES a (id))",
    )
    run(tmp_path / "two.sqlite3", "INSERT INTO a VALUES (?, 1)", values=(ONE.replace("-", ""),))
    fill(
        tmp_path,
        "CREATE TABLE a (id uuid PRIMARY KEY, n int)",
        "CREATE TABLE b (id int PRIMARY KEY, a uuid REFERENCES a (id))",
        f"INSERT INTO a VALUES ('{ONE}', 2), ('{TWO}', 3)",
        f"INSERT INTO b VALUES (1, '{ONE}'), (2, '{TWO}')",
    )
    assert [(each.inserted, each.updated) for each in sync(config, "one", "two").tables] == [(1, 1), (2, 0)]
    found = run(tmp_path / "two.sqlite3", "SELECT b.id, b.a, a.n FROM b JOIN a ON a.id = b.a ORDER BY 1")
    assert found == [(1, ONE.replace("-", ""), 2), (2, TWO.replace("-", ""), 3)]


def test_where_values_stand_in_several_forms_new_ones_are_written_in_the_usual_one(
    config: Config, tmp_path: Path
) -> None:
    run(tmp_path / "two.sqlite3", "CREATE TABLE t (id integer PRIMARY KEY, v uuid)")
    run(tmp_path / "two.sqlite3", "INSERT INTO t VALUES (1, ?), (2, ?)", values=(ONE.replace("-", ""), ONE))
    fill(tmp_path, "CREATE TABLE t (id bigint PRIMARY KEY, v uuid)", f"INSERT INTO t VALUES (3, '{TWO}')")
    sync(config, "one", "two")
    assert run(tmp_path / "two.sqlite3", "SELECT v FROM t WHERE id = 3") == [(TWO,)]
