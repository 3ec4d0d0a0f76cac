"""What `toolkit sync` promises, between real databases of all engines."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.contracts.test_matrix import RING
from tests.operations.databases import (
    connected,
    contents,
    create,
    execute,
    fingerprint,
    insert,
    postgres,
    row_versions,
)
from tests.operations.example import EARLY, LATE, ROWS, fill
from tests.operations.shop import (
    Author,
    Book,
    Category,
    Customer,
    Cyclic,
    Product,
    PurchaseLine,
    Review,
    metadata,
)
from toolkit.config import Config, load_config
from toolkit.core.plan import SyncResult
from toolkit.core.progress import Silent
from toolkit.errors import (
    ConfigurationError,
    MigrationError,
    MissingParentError,
    SchemaMismatchError,
    UnknownNameError,
    VerificationError,
)
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Options

# What goes between two engines is in one form: each as the source once, each as the target once, and with its like.
EVERY_PAIR = pytest.mark.parametrize(("source", "target"), [*RING, ("sqlite", "sqlite2"), ("duckdb", "duckdb2")])
_ROOT = Path(__file__).parent.parent.parent
EVERY_TARGET = pytest.mark.parametrize("target", ["sqlite2", "postgres", "duckdb"])

Counts = dict[str, tuple[int, int, int, int]]


def counts(result: SyncResult) -> Counts:
    return {t.table: (t.inserted, t.updated, t.unchanged, t.target_only) for t in result.tables}


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the bundled tables and fixtures."""
    folder = tmp_path_factory.mktemp("bundled")
    (folder / "toolkit.toml").write_text(
        f'metadata = "toolkit.models.todo:metadata"\nmigrations = "{_ROOT}/migrations"\nfixtures = "{_ROOT}/fixtures"\n'
    )
    load_data(load_config(folder, {"TOOLKIT_SQLITE_URL": f"sqlite:///{folder}/bundled.sqlite3"}), "sqlite")
    return folder / "bundled.sqlite3"


@pytest.fixture
def filled(bundled: Path) -> Callable[[Config], None]:
    """Give the source the bundled tables and fixtures."""

    def fill(config: Config) -> None:
        file = config.database("sqlite").file
        assert file is not None
        shutil.copyfile(bundled, file)

    return fill


ALL_NEW: Counts = {model.__tablename__: (len(rows), 0, 0, 0) for model, rows in ROWS.items()}
ALL_SAME: Counts = {model.__tablename__: (0, 0, len(rows), 0) for model, rows in ROWS.items()}


# -- what is written ---------------------------------------------------------------------------------------


@EVERY_PAIR
def test_the_first_run_copies_every_row_exactly_and_the_second_writes_none(
    shop: Config, source: str, target: str
) -> None:
    fill(shop.database(source))
    first = sync(shop, source, target)
    assert counts(first) == ALL_NEW
    assert first.created_schema
    assert first.verified
    assert all(table.verified and table.source_digest == table.target_digest for table in first.tables)
    assert contents(shop.database(target), metadata) == contents(shop.database(source), metadata)

    second = sync(shop, source, target)
    assert counts(second) == ALL_SAME
    assert not second.created_schema


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), RING)
def test_only_what_differs_is_written_and_rows_of_the_target_alone_stay(shop: Config, source: str, target: str) -> None:
    fill(shop.database(source))
    sync(shop, source, target)
    extra = {"id": 1000, "email": "only@target", "name": "stays", "created_at": EARLY, "updated_at": EARLY}
    insert(shop.database(target), Customer, [extra])
    execute(
        shop.database(source),
        "UPDATE customer SET name = 'changed', updated_at = '1999-01-01 00:00:00.000001+00:00' WHERE id = 2"
        if source != "sqlite"
        else "UPDATE customer SET name = 'changed', updated_at = '1999-01-01 00:00:00.000001' WHERE id = 2",
        "UPDATE customer SET name = NULL WHERE id = 3",
        "UPDATE purchase_line SET amount = 7 WHERE customer_id = 40 AND product_id = 5",
        "INSERT INTO category VALUES (10, 1, 'new')",
    )
    assert counts(sync(shop, source, target)) == {
        "customer": (0, 2, 2, 1),
        "category": (1, 0, 3, 0),
        "product": (0, 0, 2, 0),
        "purchase_line": (0, 1, 2, 0),
    }
    expected, found = contents(shop.database(source), metadata), contents(shop.database(target), metadata)
    naive = (EARLY.replace(tzinfo=None),) * 2
    stayed = (1000, "only@target", "stays", *naive)
    assert found == expected | {"customer": sorted([*expected["customer"], stayed], key=repr)}


def test_a_second_run_touches_no_row_of_postgres(shop: Config) -> None:
    fill(shop.database("sqlite"))
    sync(shop, "sqlite", "postgres")
    before = row_versions(shop, metadata)
    sync(shop, "sqlite", "postgres")
    assert row_versions(shop, metadata) == before


def test_an_update_touches_only_the_row_that_differs_in_postgres(shop: Config) -> None:
    fill(shop.database("sqlite"))
    sync(shop, "sqlite", "postgres")
    before = row_versions(shop, metadata)
    execute(shop.database("sqlite"), "UPDATE customer SET name = 'x' WHERE id = 3")
    sync(shop, "sqlite", "postgres")
    after = row_versions(shop, metadata)
    assert len(set(after["customer"]) - set(before["customer"])) == 1
    assert {name: rows for name, rows in after.items() if name != "customer"} == {
        name: rows for name, rows in before.items() if name != "customer"
    }


@pytest.mark.parametrize(("target", "file"), [("sqlite2", "two.sqlite3"), ("duckdb", "one.duckdb")])
def test_a_second_run_leaves_every_byte_of_a_file_as_it_was(
    shop: Config, tmp_path: Path, target: str, file: str
) -> None:
    fill(shop.database("sqlite"))
    sync(shop, "sqlite", target)
    before = fingerprint(tmp_path / file)
    sync(shop, "sqlite", target)
    assert fingerprint(tmp_path / file) == before


@pytest.mark.slow
@EVERY_TARGET
def test_copied_rows_keep_their_audit_times_to_the_microsecond(
    config: Config, filled: Callable[[Config], None], target: str
) -> None:
    filled(config)
    times = "created_at = '2001-02-03 04:05:06.000007', updated_at = '2002-03-04 05:06:07.999999'"
    execute(config.database("sqlite"), f"UPDATE todo SET {times}, item = 'first'")
    sync(config, "sqlite", target)
    execute(config.database("sqlite"), "UPDATE todo SET item = 'second'")
    assert counts(sync(config, "sqlite", target, ["todo"]))["todo"] == (0, 40, 0, 0)
    with connected(config.database(target)) as connection:
        found = connection.exec_driver_sql("SELECT DISTINCT item, created_at, updated_at FROM todo").all()
    ((item, created, updated),) = found
    shown = [item, *(str(time).removesuffix("+00:00") for time in (created, updated))]
    assert shown == ["second", "2001-02-03 04:05:06.000007", "2002-03-04 05:06:07.999999"]


# -- which tables, in which order --------------------------------------------------------------------------


@EVERY_TARGET
def test_named_tables_alone_are_written_parents_first(shop: Config, target: str) -> None:
    fill(shop.database("sqlite"))
    result = sync(shop, "sqlite", target, ["product", "category"])
    assert [table.table for table in result.tables] == ["category", "product"]
    found = contents(shop.database(target), metadata)
    assert {name: len(rows) for name, rows in found.items()} == {
        "customer": 0,
        "category": 3,
        "product": 2,
        "purchase_line": 0,
    }


def test_an_unknown_table_is_refused_before_the_target_is_made(shop: Config, tmp_path: Path) -> None:
    fill(shop.database("sqlite"))
    with pytest.raises(UnknownNameError, match="Did you mean 'category'"):
        sync(shop, "sqlite", "sqlite2", ["categories"])
    assert not (tmp_path / "two.sqlite3").exists()


def test_named_tables_need_no_other_table_in_the_target(shop: Config) -> None:
    fill(shop.database("sqlite"))
    with connected(shop.database("postgres")) as connection:
        metadata.tables["customer"].create(connection)
    assert counts(sync(shop, "sqlite", "postgres", ["customer"])) == {"customer": (4, 0, 0, 0)}


@pytest.mark.parametrize(("target", "batch_rows"), [("sqlite2", 1), ("duckdb", 1), ("postgres", 1), ("postgres", 1000)])
def test_a_parent_may_come_after_its_child_whatever_the_batches(shop: Config, target: str, batch_rows: int) -> None:
    fill(shop.database("sqlite"))
    options = Options(batch_rows=batch_rows)
    sync(shop, "sqlite", target, ["category"], options=options)
    execute(
        shop.database("sqlite"),
        "INSERT INTO category VALUES (20, 21, 'child'), (21, NULL, 'parent')",
        "UPDATE category SET parent_id = 21 WHERE id = 9",
    )
    assert counts(sync(shop, "sqlite", target, ["category"], options=options)) == {"category": (2, 1, 2, 0)}


def _fill_cycle(config: Config, name: str) -> None:
    """Authors whose best book is their own, books that need their author, a review of each book."""
    database = config.database(name)
    create(database, Cyclic.metadata)
    insert(database, Author, [{"id": n} for n in (1, 2, 3)])
    insert(database, Book, [{"id": 10 * n, "author_id": n} for n in (1, 2, 3)])
    insert(database, Review, [{"id": n, "book_id": 10 * n} for n in (1, 2, 3)])
    execute(database, "UPDATE author SET best_book_id = 10 * id")


@pytest.mark.parametrize(
    ("target", "commit_every"), [("sqlite2", None), ("sqlite2", 1), ("postgres", None), ("postgres", 1), ("duckdb", 1)]
)
@pytest.mark.usefixtures("small_rebuilds")
def test_tables_that_refer_to_each_other_are_copied(cyclic: Config, target: str, commit_every: int | None) -> None:
    _fill_cycle(cyclic, "sqlite")
    options = Options(commit_every=commit_every)
    sync(cyclic, "sqlite", target, options=options)
    execute(
        cyclic.database("sqlite"),
        "INSERT INTO author VALUES (4, 40)",
        "INSERT INTO book VALUES (40, 4)",
        "UPDATE author SET best_book_id = 40 WHERE id = 1",
    )
    assert counts(sync(cyclic, "sqlite", target, options=options)) == {
        "author": (1, 1, 2, 0),
        "book": (1, 0, 3, 0),
        "review": (0, 0, 3, 0),
    }
    expected = contents(cyclic.database("sqlite"), Cyclic.metadata)
    assert contents(cyclic.database(target), Cyclic.metadata) == expected


_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), condeferrable, condeferred
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2
"""


@pytest.mark.parametrize("deferrable", ["NOT DEFERRABLE", "DEFERRABLE INITIALLY IMMEDIATE"])
@pytest.mark.usefixtures("small_rebuilds")
def test_foreign_keys_of_a_cycle_are_afterwards_as_deferrable_as_before(cyclic: Config, deferrable: str) -> None:
    _fill_cycle(cyclic, "sqlite")
    create(cyclic.database("postgres"), Cyclic.metadata)
    with postgres(cyclic) as connection:
        for table, name in (("author", "fk_best_book"), ("book", "fk_author")):
            connection.execute(f"ALTER TABLE {table} ALTER CONSTRAINT {name} {deferrable}")
        before = connection.execute(_CONSTRAINTS).fetchall()
        sync(cyclic, "sqlite", "postgres")
        assert connection.execute(_CONSTRAINTS).fetchall() == before


@EVERY_TARGET
def test_a_missing_parent_within_a_cycle_is_named_and_nothing_is_kept(cyclic: Config, target: str) -> None:
    _fill_cycle(cyclic, "sqlite")
    execute(cyclic.database("sqlite"), "UPDATE author SET best_book_id = 77 WHERE id >= 2")
    with pytest.raises(MissingParentError) as caught:
        sync(cyclic, "sqlite", target)
    error = caught.value
    assert (error.table, error.column, error.parent, error.count, error.first) == (
        "author",
        "best_book_id",
        "book",
        2,
        "id=2",
    )
    with connected(cyclic.database(target)) as connection:
        # The tables were made in the same transaction.
        assert sa.inspect(connection).get_table_names() == []


# -- refused before anything is written --------------------------------------------------------------------


@pytest.mark.parametrize("dry_run", [False, True])
def test_all_that_either_side_lacks_is_named_in_one_error(shop: Config, dry_run: bool) -> None:
    fill(shop.database("sqlite"))
    execute(
        shop.database("sqlite"),
        "ALTER TABLE customer DROP COLUMN name",
        "ALTER TABLE customer DROP COLUMN updated_at",
        "DROP TABLE purchase_line",
    )
    create(shop.database("postgres"), metadata)
    execute(shop.database("postgres"), "DROP TABLE product CASCADE", "ALTER TABLE category DROP COLUMN parent_id")
    with pytest.raises(SchemaMismatchError) as caught:
        sync(shop, "sqlite", "postgres", dry_run=dry_run)
    assert set(caught.value.problems) == {
        "sqlite.customer lacks name, updated_at",
        "sqlite has no table 'purchase_line'",
        "postgres has no table 'product'",
        "postgres.category lacks parent_id",
    }
    assert not contents(shop.database("postgres"), sa.MetaData())
    with postgres(shop) as connection:
        assert connection.execute("SELECT count(*) FROM customer").fetchall() == [(0,)]


def test_a_source_that_lacks_something_stops_the_target_from_being_made(shop: Config, tmp_path: Path) -> None:
    fill(shop.database("sqlite"))
    execute(shop.database("sqlite"), "DROP TABLE purchase_line")
    with pytest.raises(SchemaMismatchError, match="no table 'purchase_line'"):
        sync(shop, "sqlite", "sqlite2")
    assert not (tmp_path / "two.sqlite3").exists()


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("sqlite", "sqlite"),
        ("sqlite", "sqlite:///one.sqlite3"),
        ("sqlite", "sqlite:///./none/../one.sqlite3"),
        ("postgresql://me:pw@example.com/a", "postgresql+asyncpg://you@example.com:5432/a"),
    ],
)
def test_a_database_is_not_synced_with_itself_however_it_is_named(
    shop: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="same database"):
        sync(shop, source, target)


def test_files_of_one_name_in_two_folders_are_two_databases(shop: Config, tmp_path: Path) -> None:
    fill(shop.database("sqlite"))
    (tmp_path / "copy").mkdir()
    assert counts(sync(shop, "sqlite", f"sqlite:///{tmp_path}/copy/one.sqlite3")) == ALL_NEW


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "duckdb:///:memory:"])
def test_a_database_in_memory_is_refused(shop: Config, url: str) -> None:
    fill(shop.database("sqlite"))
    for source, target in (("sqlite", url), (url, "sqlite")):
        with pytest.raises(ConfigurationError, match="in memory"):
            sync(shop, source, target)


# -- dry run -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["sqlite2", "duckdb"])
def test_a_dry_run_into_a_missing_file_tells_the_plan_and_makes_no_file(
    shop: Config, tmp_path: Path, target: str
) -> None:
    fill(shop.database("sqlite"))
    files = set(tmp_path.iterdir())
    planned = sync(shop, "sqlite", target, dry_run=True)
    assert set(tmp_path.iterdir()) == files
    assert planned.dry_run
    assert planned.created_schema
    assert planned.schema_from == "the models"
    assert not planned.verified
    assert counts(planned) == counts(sync(shop, "sqlite", target)) == ALL_NEW


@pytest.mark.slow
@EVERY_TARGET
def test_a_dry_run_tells_what_the_real_run_does_and_writes_nothing(shop: Config, target: str) -> None:
    fill(shop.database("sqlite"))
    sync(shop, "sqlite", target, ["customer", "category"])
    execute(shop.database("sqlite"), "UPDATE customer SET name = 'x'", "DELETE FROM customer WHERE id = 3")
    before = contents(shop.database(target), metadata)
    planned = sync(shop, "sqlite", target, dry_run=True)
    assert contents(shop.database(target), metadata) == before
    expected = ALL_NEW | {"customer": (0, 3, 0, 1), "category": (0, 0, 3, 0)}
    assert counts(planned) == counts(sync(shop, "sqlite", target)) == expected


@EVERY_TARGET
def test_a_dry_run_sees_a_database_without_tables_as_the_real_run_does(
    config: Config, filled: Callable[[Config], None], target: str
) -> None:
    """A downgrade to nothing leaves the record of the revision behind."""
    from toolkit.operations.migrations import migrate

    filled(config)
    migrate.upgrade(config.database(target), config)
    migrate.downgrade(config.database(target), config, "base")
    planned = sync(config, "sqlite", target, ["role"], dry_run=True)
    assert planned.created_schema
    migrations = len(list((config.migrations / "versions").glob("*.py")))
    head = migrate.head_revision(config)
    assert planned.schema_from == f"{migrations} migration{'s' if migrations > 1 else ''} to revision {head}"
    assert counts(planned) == counts(sync(config, "sqlite", target, ["role"])) == {"role": (3, 0, 0, 0)}


def test_a_dry_run_refuses_migrations_that_cannot_be_run(
    config: Config, filled: Callable[[Config], None], tmp_path: Path
) -> None:
    from toolkit.operations.migrations import history

    filled(config)
    empty = replace(config, migrations=tmp_path / "new")
    history.init(empty.migrations)
    with pytest.raises(MigrationError, match="holds no migrations"):
        sync(empty, "sqlite", "duckdb", dry_run=True)
    assert not (tmp_path / "one.duckdb").exists()


# -- verification and commits in between -------------------------------------------------------------------

_POSTGRES_TRIGGER = """
    CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
    CREATE TRIGGER spoil {when} ON {table} FOR EACH ROW EXECUTE FUNCTION spoil();
"""
_CHANGES_THE_ROW = {
    "postgres": _POSTGRES_TRIGGER.format(
        table="customer",
        when="BEFORE INSERT OR UPDATE",
        body="NEW.updated_at = now(); RETURN NEW;",
    ),
    "sqlite2": """CREATE TRIGGER spoil AFTER INSERT ON customer BEGIN
        UPDATE customer SET updated_at = datetime('now') WHERE id = NEW.id; END""",
}
_DROPS_THE_ROW = {
    "postgres": _POSTGRES_TRIGGER.format(
        table="customer", when="BEFORE INSERT", body="IF NEW.id = 3 THEN RETURN NULL; END IF; RETURN NEW;"
    ),
    "sqlite2": """CREATE TRIGGER spoil AFTER INSERT ON customer WHEN NEW.id = 3 BEGIN
        DELETE FROM customer WHERE id = NEW.id; END""",
}
_CHANGES_ANOTHER_TABLE = {
    "postgres": _POSTGRES_TRIGGER.format(
        table="purchase_line",
        when="AFTER INSERT",
        body="UPDATE customer SET name = 'bought' WHERE id = NEW.customer_id; RETURN NULL;",
    ),
    "sqlite2": """CREATE TRIGGER spoil AFTER INSERT ON purchase_line BEGIN
        UPDATE customer SET name = 'bought' WHERE id = NEW.customer_id; END""",
}


_OTHER_VALUES = "customer: rows are there, but with other values"
_FEWER_ROWS = "customer: row count differs: 4 rows were sent, but 3"
_CHANGED_AFTERWARDS = "customer: rows were changed by a trigger, a foreign key or others"


@pytest.mark.parametrize(
    ("target", "rebuild", "triggers", "message"),
    [
        ("postgres", False, _CHANGES_THE_ROW, _OTHER_VALUES),
        ("postgres", True, _CHANGES_THE_ROW, _OTHER_VALUES),
        ("postgres", False, _DROPS_THE_ROW, _FEWER_ROWS),
        ("postgres", True, _CHANGES_ANOTHER_TABLE, _CHANGED_AFTERWARDS),
        ("sqlite2", False, _DROPS_THE_ROW, _FEWER_ROWS),
        ("sqlite2", False, _CHANGES_ANOTHER_TABLE, _CHANGED_AFTERWARDS),
    ],
)
def test_a_trigger_of_the_target_that_changes_what_was_sent_is_caught_and_nothing_kept(
    shop: Config,
    request: pytest.FixtureRequest,
    target: str,
    rebuild: bool,
    triggers: dict[str, str],
    message: str,
) -> None:
    if rebuild:
        request.getfixturevalue("small_rebuilds")
    fill(shop.database("sqlite"))
    create(shop.database(target), metadata)
    execute(shop.database(target), triggers[target])
    with pytest.raises(VerificationError, match=message):
        sync(shop, "sqlite", target)
    assert not any(contents(shop.database(target), metadata).values())

    result = sync(shop, "sqlite", target, options=Options(verify=False))
    assert not result.verified
    assert not any(table.verified for table in result.tables)
    assert contents(shop.database(target), metadata) != contents(shop.database("sqlite"), metadata)


@pytest.mark.slow
def test_a_trigger_that_changes_an_updated_row_is_caught_and_nothing_kept(shop: Config) -> None:
    fill(shop.database("sqlite"))
    sync(shop, "sqlite", "postgres")
    execute(shop.database("postgres"), _CHANGES_THE_ROW["postgres"])
    before = contents(shop.database("postgres"), metadata)
    execute(shop.database("sqlite"), "UPDATE customer SET name = 'x' WHERE id = 1", "DELETE FROM purchase_line")
    with pytest.raises(VerificationError, match="customer: rows are there, but with other values"):
        sync(shop, "sqlite", "postgres")
    assert contents(shop.database("postgres"), metadata) == before


@EVERY_TARGET
def test_a_trigger_that_leaves_the_values_alone_does_no_harm(shop: Config, target: str) -> None:
    fill(shop.database("sqlite"))
    create(shop.database(target), metadata)
    if target == "postgres":
        body = "CREATE TABLE IF NOT EXISTS log (n int); INSERT INTO log VALUES (NEW.id); RETURN NULL;"
        statement = _POSTGRES_TRIGGER.format(table="customer", when="AFTER INSERT", body=body)
        execute(shop.database(target), statement)
    assert counts(sync(shop, "sqlite", target)) == ALL_NEW


@EVERY_TARGET
def test_commits_in_between_keep_whole_batches_when_a_later_one_fails(shop: Config, target: str) -> None:
    database = shop.database("sqlite")
    create(database, metadata)
    rows = [{"id": n, "email": f"{n}@x", "name": None, "created_at": EARLY, "updated_at": LATE} for n in range(1, 8)]
    insert(database, Customer, rows)
    insert(database, Category, [{"id": 1, "name": "c"}])
    insert(database, Product, [{"id": 1, "category_id": 1, "price": 1}])
    insert(database, PurchaseLine, [{"customer_id": 99, "product_id": 1, "amount": 1}])
    with pytest.raises(MissingParentError, match=r"purchase_line\.customer_id: 1 row points at customer"):
        sync(shop, "sqlite", target, options=Options(commit_every=3))
    assert {name: len(found) for name, found in contents(shop.database(target), metadata).items()} == {
        "customer": 7,
        "category": 1,
        "product": 1,
        "purchase_line": 0,
    }


@pytest.mark.slow
@EVERY_TARGET
def test_commits_in_between_are_verified_and_add_up(shop: Config, target: str) -> None:
    fill(shop.database("sqlite"))
    options = Options(commit_every=2, batch_rows=3)
    first = sync(shop, "sqlite", target, options=options)
    assert counts(first) == ALL_NEW
    assert all(table.verified and table.source_digest == table.target_digest for table in first.tables)
    execute(shop.database("sqlite"), "UPDATE customer SET name = 'x' WHERE id <> 2")
    again = sync(shop, "sqlite", target, options=options)
    assert counts(again) == ALL_SAME | {"customer": (0, 3, 1, 0)}
    assert contents(shop.database(target), metadata) == contents(shop.database("sqlite"), metadata)


# -- sequences ---------------------------------------------------------------------------------------------


def _next_values(config: Config) -> dict[str, int]:
    """The number that each table of PostgreSQL would give to its next row."""
    with postgres(config) as connection:
        found = connection.execute(
            "SELECT c.relname, pg_get_serial_sequence(quote_ident(c.relname), 'id') FROM pg_class c "
            "WHERE c.relname IN ('customer', 'category', 'product')"
        ).fetchall()
        return {
            table: connection.execute("SELECT nextval(%s::regclass)", (sequence,)).fetchall()[0][0]
            for table, sequence in found
        }


def test_sequences_of_postgres_go_past_the_highest_copied_key_and_stay_where_there_is_none(
    shop: Config,
) -> None:
    fill(shop.database("sqlite"))
    execute(shop.database("sqlite"), "DELETE FROM purchase_line", "DELETE FROM product", "DELETE FROM category")
    create(shop.database("postgres"), metadata)
    execute(shop.database("postgres"), "ALTER TABLE product ALTER id SET GENERATED ALWAYS")
    sync(shop, "sqlite", "postgres")
    assert _next_values(shop) == {"customer": 41, "category": 1, "product": 1}

    fill_again = [{"id": 1, "parent_id": None, "name": "a"}, {"id": 2, "parent_id": None, "name": "b"}]
    insert(shop.database("sqlite"), Category, fill_again)
    insert(shop.database("sqlite"), Product, [{"id": 8_000_000_000, "category_id": 1, "price": 1}])
    sync(shop, "sqlite", "postgres")
    assert _next_values(shop) == {"customer": 42, "category": 3, "product": 8_000_000_001}


def test_sequences_of_postgres_never_go_back(shop: Config) -> None:
    fill(shop.database("sqlite"))
    create(shop.database("postgres"), metadata)
    with postgres(shop) as connection:
        connection.execute("SELECT setval('customer_id_seq', 100), setval('category_id_seq', 9, false)")
    sync(shop, "sqlite", "postgres")
    assert _next_values(shop) == {"customer": 101, "category": 10, "product": 7_000_000_001}


def test_sequences_are_right_after_every_commit_in_between(shop: Config) -> None:
    fill(shop.database("sqlite"))
    execute(shop.database("sqlite"), "UPDATE purchase_line SET customer_id = 99 WHERE customer_id = 1")
    with pytest.raises(MissingParentError):
        sync(shop, "sqlite", "postgres", options=Options(commit_every=2))
    assert _next_values(shop)["customer"] == 41


def test_duckdb_numbers_new_rows_past_the_highest_copied_key(shop: Config) -> None:
    fill(shop.database("sqlite"))
    sync(shop, "sqlite", "duckdb")
    execute(shop.database("duckdb"), "INSERT INTO product (category_id, price) VALUES (1, 1)")
    with connected(shop.database("duckdb")) as connection:
        assert connection.exec_driver_sql("SELECT max(id) FROM product").scalar_one() == 7_000_000_001


# -- PostgreSQL: keys and indexes are left for last --------------------------------------------------------

_RICH_TABLES = """
    ALTER TABLE customer ADD CHECK (id > 0);
    ALTER TABLE customer ADD CONSTRAINT "later %s" UNIQUE (id, email) DEFERRABLE INITIALLY DEFERRED;
    CREATE UNIQUE INDEX "partial" ON customer (name) WHERE name <> '' AND created_at < '2100-01-01';
    CREATE INDEX "Upper ""quoted"" x" ON customer (lower(email) text_pattern_ops, created_at DESC NULLS LAST)
        INCLUDE (name) WITH (fillfactor = 70);
    CREATE INDEX hashed ON customer USING hash (name);
    CREATE UNIQUE INDEX nulls ON customer (email, name) NULLS NOT DISTINCT;
    ALTER TABLE category ADD FOREIGN KEY (parent_id) REFERENCES category (id)
        ON UPDATE CASCADE ON DELETE SET NULL;
"""
_INDEXES = """
    SELECT indexrelid::regclass::text, indrelid::regclass::text, pg_get_indexdef(indexrelid), indisunique,
           indisprimary, indisvalid
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = 'public'::regnamespace ORDER BY 1
"""


def _keys(config: Config, *, oids: bool = False) -> list[tuple[Any, ...]]:
    """Every index and constraint as PostgreSQL itself writes it, or which objects the indexes are."""
    with postgres(config) as connection:
        if oids:
            objects = "SELECT oid FROM pg_class WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace"
            return connection.execute(objects).fetchall()
        return [*connection.execute(_INDEXES).fetchall(), *connection.execute(_CONSTRAINTS).fetchall()]


def _sync_into_rich_tables(config: Config, *statements: str, name: str = "postgres") -> tuple[int, list[Any]]:
    """Sync into empty tables with all sorts of keys: how many indexes were built anew, and all keys before."""
    fill(config.database("sqlite"))
    create(config.database("postgres"), metadata)
    with postgres(config) as connection:
        for statement in (_RICH_TABLES, *statements):
            connection.execute(statement)
    before, objects = _keys(config), _keys(config, oids=True)
    assert counts(sync(config, "sqlite", name)) == ALL_NEW
    assert contents(config.database("postgres"), metadata) == contents(config.database("sqlite"), metadata)
    return len(set(_keys(config, oids=True)) - set(objects)), before


@pytest.mark.usefixtures("small_rebuilds")
def test_every_key_and_index_that_was_built_anew_is_as_it_was_to_the_letter(shop: Config) -> None:
    rebuilt, before = _sync_into_rich_tables(shop)
    assert rebuilt == len(_keys(shop, oids=True))
    assert _keys(shop) == before


@pytest.mark.usefixtures("small_rebuilds")
def test_a_role_that_is_not_the_owner_syncs_without_building_indexes_anew(shop: Config) -> None:
    role = f"writer_{abs(hash(shop.root))}"
    with postgres(shop) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
    address = shop.database("postgres").address.replace("postgres:@", f"{role}@")
    limited = replace(shop.database("postgres"), name="limited", address=address)
    shop = replace(shop, databases={**shop.databases, "limited": limited})
    try:
        grants = (
            f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role};"
            f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role};"
        )
        rebuilt, before = _sync_into_rich_tables(shop, grants, name="limited")
    finally:
        with postgres(shop) as connection:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert not rebuilt
    assert _keys(shop) == before


@pytest.mark.usefixtures("small_rebuilds")
def test_a_foreign_key_that_is_not_valid_yet_holds_for_the_rows_that_are_loaded(shop: Config) -> None:
    fill(shop.database("sqlite"))
    execute(shop.database("sqlite"), "UPDATE purchase_line SET customer_id = 99 WHERE customer_id = 1")
    create(shop.database("postgres"), metadata)
    name = "purchase_line_customer_id_fkey"
    key = f"ADD CONSTRAINT {name} FOREIGN KEY (customer_id) REFERENCES customer NOT VALID"
    execute(shop.database("postgres"), f"ALTER TABLE purchase_line DROP CONSTRAINT {name}, {key}")
    with pytest.raises(MissingParentError):
        sync(shop, "sqlite", "postgres")


@pytest.mark.parametrize(
    "hindrance",
    [
        "CREATE VIEW v AS SELECT c.id, c.name FROM customer c GROUP BY c.id",
        "COMMENT ON INDEX customer_pkey IS 'mine'; COMMENT ON INDEX ix_category_name IS 'mine'",
        "COMMENT ON CONSTRAINT customer_email_key ON customer IS 'mine'",
        "CLUSTER customer USING customer_pkey",
        "ALTER TABLE customer REPLICA IDENTITY USING INDEX customer_email_key",
        'ALTER INDEX "Upper ""quoted"" x" ALTER COLUMN 1 SET STATISTICS 500',
        "ALTER TABLE customer DISABLE TRIGGER ALL",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'hashed'::regclass",
        "ALTER TABLE customer ADD COLUMN r int4range; ALTER TABLE customer ADD EXCLUDE USING gist (r WITH &&)",
    ],
)
@pytest.mark.usefixtures("small_rebuilds")
def test_what_no_statement_could_bring_back_is_never_dropped(shop: Config, hindrance: str) -> None:
    _, before = _sync_into_rich_tables(shop, hindrance)
    assert _keys(shop) == before
    with postgres(shop) as connection:
        marks = connection.execute(
            "SELECT (SELECT count(*) FROM pg_index WHERE NOT indisvalid)"
            " + (SELECT count(*) FROM pg_description JOIN pg_class ON objoid = pg_class.oid "
            "        WHERE description = 'mine')"
            " + (SELECT count(*) FROM pg_description JOIN pg_constraint ON objoid = pg_constraint.oid "
            "    WHERE description = 'mine')"
            " + (SELECT count(*) FROM pg_index WHERE indisclustered OR indisreplident)"
            " + (SELECT count(*) FROM pg_attribute WHERE attstattarget = 500)"
            " + (SELECT count(*) FROM pg_views WHERE viewname = 'v')"
            " + (SELECT count(*) FROM pg_constraint WHERE contype = 'x')"
            " + (SELECT least(count(*), 1) FROM pg_trigger WHERE tgenabled = 'D')"
        ).fetchall()
    assert marks[0][0] >= 1


@pytest.mark.usefixtures("small_rebuilds")
def test_somebody_who_reads_the_target_meanwhile_does_not_stop_the_sync(
    shop: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.engines.postgresql.indexes._LOCK_TIMEOUT", "50ms")
    fill(shop.database("sqlite"))
    create(shop.database("postgres"), metadata)
    with postgres(shop) as reader, reader.transaction():
        reader.execute("SELECT count(*) FROM customer")
        assert counts(sync(shop, "sqlite", "postgres")) == ALL_NEW


# -- one snapshot of the source ----------------------------------------------------------------------------


class Meddler(Silent):
    """Somebody who writes to the source whenever the sync takes a step."""

    def __init__(self, write: Callable[[int], None]) -> None:
        self.write = write
        self.steps = 0

    def step(self, label: str, rows: int | None = None) -> None:
        self.steps += 1
        self.write(100 + self.steps)


def _in_another_process(file: Path, statements: str) -> None:
    """Run statements on a SQLite file as another program would."""
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])"
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(file), statements], check=True, timeout=60)


_MEDDLING = (
    "INSERT INTO customer VALUES ({0}, '{0}@x', 'late', '2020-01-01 00:00:00', '2020-01-01 00:00:00')",
    "UPDATE customer SET name = 'late' WHERE id = 1",
)


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True])
def test_what_is_written_to_sqlite_after_the_sync_began_is_not_seen(shop: Config, tmp_path: Path, again: bool) -> None:
    fill(shop.database("sqlite"))
    with connected(shop.database("sqlite")) as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    if again:
        sync(shop, "sqlite", "duckdb")
        execute(shop.database("sqlite"), "UPDATE customer SET name = 'before' WHERE id < 3")
    before = contents(shop.database("sqlite"), metadata)

    def write(number: int) -> None:
        _in_another_process(tmp_path / "one.sqlite3", ";".join(_MEDDLING).format(number))

    meddler = Meddler(write)
    result = sync(shop, "sqlite", "duckdb", progress=meddler)
    assert meddler.steps >= 5
    assert counts(result)["customer"] == ((0, 2, 2, 0) if again else (4, 0, 0, 0))
    assert contents(shop.database("duckdb"), metadata) == before
    assert counts(sync(shop, "sqlite", "duckdb"))["customer"] == (meddler.steps, 1, 3, 0)


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True])
def test_what_is_written_to_postgres_after_the_sync_began_is_not_seen(shop: Config, again: bool) -> None:
    fill(shop.database("postgres"))
    if again:
        sync(shop, "postgres", "sqlite")
        execute(shop.database("postgres"), "UPDATE customer SET name = 'before' WHERE id < 3")
    before = contents(shop.database("postgres"), metadata)
    with postgres(shop) as other:

        def write(number: int) -> None:
            for statement in _MEDDLING:
                other.execute(statement.format(number))

        meddler = Meddler(write)
        result = sync(shop, "postgres", "sqlite", progress=meddler)
    assert counts(result)["customer"] == ((0, 2, 2, 0) if again else (4, 0, 0, 0))
    assert contents(shop.database("sqlite"), metadata) == before
    assert counts(sync(shop, "postgres", "sqlite"))["customer"] == (meddler.steps, 1, 3, 0)


# -- whose schema ------------------------------------------------------------------------------------------

_NOTES = """
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Text, UniqueConstraint

metadata = MetaData()
note = Table("note", metadata, Column("id", Integer, primary_key=True), Column("text", Text, unique=True))
link = Table("link", metadata, Column("a", ForeignKey("note.id"), primary_key=True),
             Column("b", ForeignKey("note.id"), primary_key=True), UniqueConstraint("b", "a"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("by", ["option", "file", "environment"])
def test_a_schema_of_somebody_else_goes_round_through_all_engines(
    config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    by: str,
) -> None:
    from toolkit.cli import run

    module = f"notes_{by}"
    (tmp_path / f"{module}.py").write_text(_NOTES)
    name = f"{module}:metadata"
    (tmp_path / "toolkit.toml").write_text(f'metadata = "{name}"\n' if by == "file" else "")
    if by == "environment":
        monkeypatch.setenv("TOOLKIT_METADATA", name)
    for each in config.databases.values():
        monkeypatch.setenv(f"TOOLKIT_{each.name.upper()}_URL", each.address)
    monkeypatch.chdir(tmp_path)
    options = ["--metadata", name] if by == "option" else []
    execute(
        config.database("sqlite"),
        "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT UNIQUE)",
        "CREATE TABLE link (a INTEGER, b INTEGER, PRIMARY KEY (a, b))",
        "INSERT INTO note VALUES (1, 'one'), (2, NULL), (-3, 'drei')",
        "INSERT INTO link VALUES (1, 2), (2, 1), (-3, -3)",
    )
    before = fingerprint(tmp_path / "one.sqlite3")
    for source, target in (("sqlite", "postgres"), ("postgres", "duckdb"), ("duckdb", "sqlite")):
        assert run([*options, "sync", "--from", source, "--to", target]) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in shown if line.startswith(("note", "link"))] == [
        *([["note", "3", "0", "0"], ["link", "3", "0", "0"]] * 2),
        ["note", "0", "0", "3"],
        ["link", "0", "0", "3"],
    ]
    assert fingerprint(tmp_path / "one.sqlite3") == before
