"""`sync --delete`: what goes, what stays, and what stops it before anything is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.operations.databases import contents, create, execute, insert
from tests.operations.shop import Category, Product, metadata
from toolkit.cli import run
from toolkit.config import Config
from toolkit.errors import (
    DeleteGuardError,
    ReferencedRowsError,
    RevisionMismatchError,
    SchemaMismatchError,
    VerificationError,
)
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options

TARGETS = ["sqlite2", "postgres", "duckdb"]
EVERY_TARGET = pytest.mark.parametrize("target", TARGETS)
ALL = Options(mode=Mode.REPLACE, max_delete=DeleteLimit(0, 1.0))
GUARDED = Options(mode=Mode.REPLACE)
AT = "'2024-01-01 00:00:00.000000'"


def categories(config: Config, name: str, count: int) -> None:
    """So many categories: the first alone, each later one under the one before."""
    create(config.database(name), metadata)
    rows = [{"id": n, "name": f"c{n}", "parent_id": n - 1 or None} for n in range(1, count + 1)]
    if rows:
        insert(config.database(name), Category, rows)


def names(config: Config, name: str) -> list[object]:
    return sorted(row[0] for row in contents(config.database(name), metadata)["category"])


@EVERY_TARGET
def test_rows_that_only_the_target_has_go_and_a_second_run_writes_nothing(shop: Config, target: str) -> None:
    categories(shop, "sqlite", 3)
    categories(shop, target, 6)
    result = sync(shop, "sqlite", target, options=ALL)
    assert {table.table: table.deleted for table in result.tables if table.deleted} == {"category": 3}
    assert contents(shop.database(target), metadata) == contents(shop.database("sqlite"), metadata)
    again = sync(shop, "sqlite", target, options=ALL)
    assert not sum(table.inserted + table.updated + table.deleted for table in again.tables)


@pytest.mark.parametrize("target", ["postgres"])
def test_children_go_before_their_parents(shop: Config, target: str) -> None:
    for name in ("sqlite", target):
        categories(shop, name, 2)
        insert(shop.database(name), Product, [{"id": 7, "category_id": 1, "price": 1}])
    insert(shop.database(target), Category, [{"id": 9, "name": "old", "parent_id": None}])
    insert(shop.database(target), Product, [{"id": n, "category_id": 9, "price": 1} for n in (1, 2)])
    result = sync(shop, "sqlite", target, options=ALL)
    assert sum(table.deleted for table in result.tables) == 3
    assert contents(shop.database(target), metadata) == contents(shop.database("sqlite"), metadata)


@pytest.mark.parametrize("target", ["duckdb"])
def test_a_unique_value_of_a_deleted_row_is_free_for_another(shop: Config, target: str) -> None:
    for name, key in (("sqlite", 2), (target, 1)):
        create(shop.database(name), metadata)
        execute(shop.database(name), f"INSERT INTO customer VALUES ({key}, 'same@x', 'n', {AT}, {AT})")
    sync(shop, "sqlite", target, options=ALL)
    assert [row[0] for row in contents(shop.database(target), metadata)["customer"]] == [2]


@pytest.mark.parametrize("target", ["postgres"])
def test_a_dry_run_tells_what_would_go_and_deletes_nothing(shop: Config, target: str) -> None:
    categories(shop, "sqlite", 3)
    categories(shop, target, 5)
    result = sync(shop, "sqlite", target, options=ALL, dry_run=True)
    assert [table.deleted for table in result.tables if table.table == "category"] == [2]
    assert len(names(shop, target)) == 5


@pytest.mark.parametrize(("target", "dry_run"), [("postgres", False), ("duckdb", True)])
def test_an_empty_source_deletes_nothing_whatever_the_limit(shop: Config, target: str, dry_run: bool) -> None:
    categories(shop, "sqlite", 0)
    categories(shop, target, 3)
    with pytest.raises(DeleteGuardError, match=r"3 rows of .* would be deleted, but the source has no rows") as caught:
        sync(shop, "sqlite", target, options=ALL, dry_run=dry_run)
    assert caught.value.exit_code == 3
    assert "which no limit allows here" in caught.value.advice
    assert len(names(shop, target)) == 3


@pytest.mark.parametrize(
    ("limit", "deletes", "allowed"),
    [
        (DeleteLimit(), 100, True),
        (DeleteLimit(), 101, False),
        (DeleteLimit(5, 0), 5, True),
        (DeleteLimit(5, 0), 6, False),
        (DeleteLimit(0, 0.5), 75, True),
        (DeleteLimit(0, 0.5), 76, False),
    ],
)
def test_a_limit_is_a_number_or_a_share_of_the_table(limit: DeleteLimit, deletes: int, allowed: bool) -> None:
    assert limit.allows(deletes, 150) is allowed


@pytest.mark.parametrize("target", ["postgres"])
def test_what_the_refusal_of_an_empty_source_says_empties_the_table(
    shop: Config, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    categories(shop, "sqlite", 0)
    categories(shop, target, 3)
    with pytest.raises(DeleteGuardError) as caught:
        sync(shop, "sqlite", target, options=ALL)
    urls = "\n".join(f'{name} = "{shop.database(name).address}"' for name in ("sqlite", target))
    settings = f'metadata = "{shop.metadata}"\nmigrations = "none"\n[databases]\n{urls}\n'
    (tmp_path / "toolkit.toml").write_text(settings)
    monkeypatch.chdir(tmp_path)
    commands = caught.value.advice.partition("run: ")[2].rstrip(".").replace("SOURCE", "sqlite").split(" && ")
    assert [run(command.split()[1:]) for command in commands] == [0, 0]
    assert not names(shop, target)
    sync(shop, "sqlite", target, options=ALL)


def test_an_empty_source_under_a_condition_names_no_way_that_deletes_more(shop: Config) -> None:
    categories(shop, "sqlite", 0)
    categories(shop, "sqlite2", 3)
    with pytest.raises(DeleteGuardError, match="has no rows of it") as caught:
        sync(shop, "sqlite", "sqlite2", where={"category": "id > 1"}, options=ALL)
    assert "delete them in sqlite2 yourself" in caught.value.advice


@pytest.mark.parametrize("target", ["sqlite2"])
def test_more_than_the_limit_is_refused_and_nothing_is_written(shop: Config, target: str) -> None:
    categories(shop, "sqlite", 3)
    execute(shop.database("sqlite"), "UPDATE category SET name = 'changed'")
    categories(shop, target, 6)
    before = contents(shop.database(target), metadata)
    with pytest.raises(DeleteGuardError, match="more than the limit of 2 rows, of 6 rows there"):
        sync(shop, "sqlite", target, options=Options(mode=Mode.REPLACE, max_delete=DeleteLimit(2, 0)))
    assert contents(shop.database(target), metadata) == before


def test_by_default_a_tenth_of_a_table_and_a_hundred_rows_may_go(shop: Config) -> None:
    categories(shop, "sqlite", 1)
    categories(shop, "duckdb", 101)
    sync(shop, "sqlite", "duckdb", options=GUARDED)
    categories(shop, "sqlite2", 102)
    with pytest.raises(DeleteGuardError, match="limit of 100 rows or 10%"):
        sync(shop, "sqlite", "sqlite2", options=GUARDED)


@pytest.mark.parametrize("target", ["postgres"])
def test_rows_of_a_table_that_is_not_named_keep_the_rows_they_point_at(shop: Config, target: str) -> None:
    categories(shop, "sqlite", 1)
    categories(shop, target, 2)
    insert(shop.database(target), Product, [{"id": 1, "category_id": 2, "price": 1}])
    with pytest.raises(ReferencedRowsError, match=r"1 row of product in .* points at rows that would be deleted"):
        sync(shop, "sqlite", target, ["category"], options=ALL)
    assert len(names(shop, target)) == 2


@pytest.mark.parametrize("target", ["postgres"])
def test_rows_outside_of_their_own_condition_keep_the_rows_they_point_at(shop: Config, target: str) -> None:
    categories(shop, "sqlite", 1)
    categories(shop, target, 2)
    insert(shop.database(target), Product, [{"id": 7, "category_id": 2, "price": 1}])
    with pytest.raises(ReferencedRowsError, match=r"1 row of product in .* points at rows") as caught:
        sync(shop, "sqlite", target, where={"product": "id < 5"}, options=ALL)
    assert "or let the condition for product cover it" in caught.value.advice
    assert len(names(shop, target)) == 2


@pytest.mark.parametrize("target", ["sqlite2"])
def test_a_condition_holds_on_both_sides(shop: Config, target: str) -> None:
    create(shop.database("sqlite"), metadata)
    create(shop.database(target), metadata)
    rows = {"sqlite": [(1, "a"), (2, "b"), (3, "b")], target: [(1, "other a"), (4, "a"), (5, "b"), (2, "a")]}
    for name, pairs in rows.items():
        insert(shop.database(name), Category, [{"id": n, "name": text} for n, text in pairs])
    sync(shop, "sqlite", target, where={"category": "name = 'b'"}, options=ALL)
    found = sorted((row[0], row[2]) for row in contents(shop.database(target), metadata)["category"])
    # 1 and 4 are outside of it; 2 comes into it, 5 was in it.
    assert found == [(1, "other a"), (2, "b"), (3, "b"), (4, "a")]
    again = sync(shop, "sqlite", target, where={"category": "name = 'b'"}, options=ALL)
    assert not sum(table.inserted + table.updated + table.deleted for table in again.tables)


@pytest.mark.parametrize(
    ("target", "mode"), [("sqlite2", Mode.REPLACE), ("postgres", Mode.SOFT_DELETE), ("duckdb", Mode.REPLACE)]
)
def test_a_row_that_the_source_has_outside_of_the_condition_stays(shop: Config, target: str, mode: Mode) -> None:
    for name, text in (("sqlite", "out"), (target, "in")):
        create(shop.database(name), metadata)
        insert(shop.database(name), Category, [{"id": 1, "name": text}, {"id": 2, "name": "in"}])
    insert(shop.database(target), Category, [{"id": 3, "name": "in"}])
    options = Options(mode=mode, max_delete=DeleteLimit(0, 1.0))
    for deleted in (1, 0) if mode is Mode.REPLACE else (0, 0):
        result = sync(shop, "sqlite", target, where={"category": "name = 'in'"}, options=options)
        assert next(t.deleted for t in result.tables if t.table == "category") == deleted
    assert names(shop, target) == ([1, 2] if mode is Mode.REPLACE else [1, 2, 3])


@pytest.mark.slow
def test_a_source_of_another_revision_deletes_nothing(config: Config) -> None:
    load_data(config, "sqlite")
    load_data(config, "sqlite2")
    execute(config.database("sqlite"), "UPDATE alembic_versions SET version_num = 'older'")
    with pytest.raises(RevisionMismatchError, match="older") as caught:
        sync(config, "sqlite", "sqlite2", options=ALL)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("target", ["duckdb"])
def test_a_table_that_the_source_lacks_is_not_emptied(shop: Config, target: str) -> None:
    categories(shop, "sqlite", 3)
    categories(shop, target, 3)
    execute(shop.database("sqlite"), "DROP TABLE purchase_line", "DROP TABLE product")
    insert(shop.database(target), Product, [{"id": 1, "category_id": 2, "price": 1}])
    with pytest.raises(SchemaMismatchError, match="sqlite has no table 'product'") as caught:
        sync(shop, "sqlite", target, options=ALL)
    assert caught.value.exit_code == 3
    assert len(contents(shop.database(target), metadata)["product"]) == 1


def test_a_trigger_that_puts_another_row_in_place_of_a_deleted_one_is_found_by_digest(shop: Config) -> None:
    categories(shop, "sqlite", 2)
    categories(shop, "sqlite2", 3)
    execute(
        shop.database("sqlite2"),
        "CREATE TRIGGER odd AFTER DELETE ON category BEGIN INSERT INTO category (id, name) VALUES (77, 'other'); END",
        "CREATE TRIGGER odder AFTER INSERT ON category BEGIN DELETE FROM category WHERE id = 2; END",
    )
    before = contents(shop.database("sqlite2"), metadata)
    with pytest.raises(VerificationError, match="category: rows other than those of the source") as raised:
        sync(shop, "sqlite", "sqlite2", options=ALL)
    assert raised.value.advice.startswith("--hold-triggers keeps what fires there from doing so (odd, odder).")
    assert contents(shop.database("sqlite2"), metadata) == before


def test_the_command_deletes_within_its_limit(
    shop: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    categories(shop, "sqlite", 3)
    categories(shop, "duckdb", 6)
    urls = "\n".join(f'{name} = "{shop.database(name).address}"' for name in ("sqlite", "duckdb"))
    (tmp_path / "toolkit.toml").write_text(f'metadata = "{shop.metadata}"\nmigrations = "none"\n[databases]\n{urls}\n')
    monkeypatch.chdir(tmp_path)
    command = ["sync", "--from", "sqlite", "--to", "duckdb"]
    assert run([*command, "--max-delete", "5"]) == 2
    for limit in ("many", "nan%", "inf%", "-1", "101%"):
        assert run([*command, "--delete", "--max-delete", limit]) == 2
    assert run([*command, "--delete", "--max-delete", "2"]) == 3
    assert "Traceback" not in capsys.readouterr().err
    assert run([*command, "--delete", "--max-delete", "50%"]) == 0
    assert "Deleted: category 3." in capsys.readouterr().out
    assert run([*command, "--delete", "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert [table["deleted"] for table in tables] == [0] * len(metadata.tables)
    assert all(table["source_digest"] == table["target_digest"] for table in tables if table["table"] == "category")


def test_verify_only_compares_and_writes_nothing(
    shop: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    categories(shop, "sqlite", 3)
    categories(shop, "duckdb", 3)
    urls = "\n".join(f'{name} = "{shop.database(name).address}"' for name in ("sqlite", "duckdb"))
    (tmp_path / "toolkit.toml").write_text(f'metadata = "{shop.metadata}"\nmigrations = "none"\n[databases]\n{urls}\n')
    monkeypatch.chdir(tmp_path)
    command = ["sync", "--from", "sqlite", "--to", "duckdb", "--verify-only"]
    assert run([*command, "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert all(table["source_digest"] == table["target_digest"] for table in tables)
    execute(shop.database("sqlite"), "UPDATE category SET name = 'changed' WHERE id = 2")
    assert run([*command, "--where", "category:id > 2"]) == 0
    assert run(command) == 3
    assert run([*command, "--delete"]) == 2
    assert names(shop, "duckdb") == [1, 2, 3]
    assert "changed" not in str(contents(shop.database("duckdb"), metadata))
