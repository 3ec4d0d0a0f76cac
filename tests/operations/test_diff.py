"""`diff`: what is the same, what differs and by which columns, and what could not be compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contracts.test_matrix import RING
from tests.operations.databases import connected, contents, create, execute
from tests.operations.example import fill
from tests.operations.shop import metadata
from toolkit.cli import run
from toolkit.config import Config
from toolkit.core.row_diff import MASK
from toolkit.engines.portable.table import TableRepository
from toolkit.errors import UnknownNameError
from toolkit.operations.diff.compare import Status, diff
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync

ENGINES = ("sqlite", "postgres", "duckdb")


def statuses(config: Config, source: str, target: str) -> set[str]:
    return {table.status for table in diff(config, source, target).tables}


@pytest.mark.parametrize(("source", "target"), [*RING, *((name, name) for name in ENGINES)])
def test_each_engine_is_compared_with_another_and_with_itself(shop: Config, source: str, target: str) -> None:
    fill(shop.database(source))
    if source != target:
        sync(shop, source, target)
    assert statuses(shop, source, target) == {Status.SAME}
    if source != target:
        execute(shop.database(target), "UPDATE customer SET name = 'other' WHERE id = 1")
        found = {table.table: table for table in diff(shop, source, target, rows=5).tables}
        assert (found["customer"].status, found["customer"].changed) == (Status.DIFFERS, 1)
        (row,) = found["customer"].rows
        assert (row.kind, row.key, list(row.columns)) == ("changed", {"id": 1}, ["name"])
        assert row.columns["name"][0] == "other"


@pytest.mark.slow
def test_rows_are_told_in_the_order_of_their_keys_and_as_many_as_wanted(
    shop: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sqlite", "duckdb"):
        create(shop.database(name), metadata)
    values = {"sqlite": [(1, "a"), (3, "c"), (4, "d"), (6, "f")], "duckdb": [(1, "a"), (2, "b"), (4, "x"), (5, "e")]}
    for name, pairs in values.items():
        rows = ", ".join(f"({n}, NULL, '{text}')" for n, text in pairs)
        execute(shop.database(name), f"INSERT INTO category VALUES {rows}")
    found = {table.table: table for table in diff(shop, "sqlite", "duckdb", rows=None).tables}["category"]
    assert (found.added, found.changed, found.removed, found.unchanged) == (2, 1, 2, 1)
    kinds = [(row.key["id"], row.kind) for row in found.rows]
    assert kinds == [(2, "removed"), (3, "added"), (4, "changed"), (5, "removed"), (6, "added")]
    assert found.rows[0].columns["name"] == ("b", None)
    assert found.rows[1].columns["name"] == (None, "c")
    monkeypatch.setattr(TableRepository, "batch_bytes", 1)
    (looked_up_alone,) = diff(shop, "sqlite", "duckdb", ["category"], rows=None).tables
    assert looked_up_alone.rows == found.rows
    (limited,) = diff(shop, "sqlite", "duckdb", ["category"], rows=2).tables
    assert limited.rows == found.rows[:2]


@pytest.mark.slow
def test_only_some_columns_and_rows_are_compared(shop: Config) -> None:
    fill(shop.database("sqlite"))
    sync(shop, "sqlite", "duckdb")
    execute(shop.database("duckdb"), "UPDATE customer SET name = 'other' WHERE id = 1")
    assert diff(shop, "sqlite", "duckdb", ["customer"], columns=["email"]).equal
    assert not diff(shop, "sqlite", "duckdb", ["customer"], columns=["name"]).equal
    assert diff(shop, "sqlite", "duckdb", ["customer"], where={"customer": "id > 1"}).equal
    with pytest.raises(UnknownNameError, match="email"):
        diff(shop, "sqlite", "duckdb", ["customer"], columns=["emial"])


@pytest.mark.slow
def test_personal_data_is_masked_unless_it_is_asked_for(config: Config) -> None:
    load_data(config, "sqlite")
    sync(config, "sqlite", "duckdb")
    execute(config.database("duckdb"), "UPDATE user_account SET email = email || 'x', is_active = NOT is_active")
    for shown in (False, True):
        (table,) = diff(config, "sqlite", "duckdb", ["user_account"], rows=1, show_pii=shown).tables
        columns = table.rows[0].columns
        assert set(columns) == {"email", "is_active"}
        assert (columns["email"] == (MASK, MASK)) is not shown
        assert set(columns["is_active"]) == {True, False}


def test_a_table_that_one_side_lacks_or_cannot_be_read_is_told_as_such(shop: Config) -> None:
    fill(shop.database("sqlite"))
    sync(shop, "sqlite", "duckdb")
    execute(shop.database("duckdb"), "DROP TABLE purchase_line", "ALTER TABLE product DROP COLUMN price")
    with connected(shop.database("sqlite")) as connection:
        connection.exec_driver_sql("UPDATE customer SET created_at = 'not a time' WHERE id = 1")
    result = diff(shop, "sqlite", "duckdb")
    found = {table.table: table for table in result.tables}
    assert found["purchase_line"].status is Status.ONLY_IN_SOURCE
    assert found["product"].status is Status.FAILED
    assert "price" in str(found["product"].reason)
    assert found["customer"].status is Status.FAILED
    assert "created_at" in str(found["customer"].reason)
    assert found["category"].status is Status.SAME
    assert result.failed
    assert {table.status for table in diff(shop, "duckdb", "sqlite", ["purchase_line"]).tables} == {
        Status.ONLY_IN_TARGET
    }


def test_nothing_is_written(shop: Config) -> None:
    fill(shop.database("sqlite"))
    create(shop.database("duckdb"), metadata)
    before = contents(shop.database("duckdb"), metadata)
    diff(shop, "sqlite", "duckdb", rows=None)
    assert contents(shop.database("duckdb"), metadata) == before


@pytest.mark.slow
def test_the_command_s_exit_code_says_what_was_found(
    shop: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(shop.database("sqlite"))
    sync(shop, "sqlite", "duckdb")
    urls = "\n".join(f'{name} = "{shop.database(name).address}"' for name in ("sqlite", "duckdb"))
    (tmp_path / "toolkit.toml").write_text(f'metadata = "{shop.metadata}"\nmigrations = "none"\n[databases]\n{urls}\n')
    monkeypatch.chdir(tmp_path)
    command = ["diff", "--from", "sqlite", "--to", "duckdb"]
    assert run(command) == 0
    assert "The same" in capsys.readouterr().out
    execute(shop.database("duckdb"), "UPDATE customer SET name = 'other' WHERE id = 1")
    assert run([*command, "--rows", "1"]) == 3
    assert '"other" → ' in capsys.readouterr().out
    assert run([*command, "--json"]) == 3
    assert [table["changed"] for table in json.loads(capsys.readouterr().out)["tables"]].count(1) == 1
    assert run([*command, "--json-lines"]) == 3
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["key"] for line in lines if "key" in line] == [{"id": 1}]
    execute(shop.database("duckdb"), "ALTER TABLE product DROP COLUMN price")
    assert run(command) == 1
    assert run(["diff", "--from", "sqlite", "--to", "nowhere"]) == 2
