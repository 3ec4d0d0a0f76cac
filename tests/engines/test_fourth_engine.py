"""One package and one entry are an engine: the contract, and what an engine is for, on one of the test's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.contracts.suite import *  # noqa: F403 - the contract's tests
from tests.engines import fourth
from tests.operations import databases, example, shop
from toolkit.config import Config, Database
from toolkit.engines import connect, registry
from toolkit.errors import ConfigurationError, MissingParentError, UnknownNameError
from toolkit.operations.diff.compare import diff
from toolkit.operations.diff.script import diff_sql
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.migrations.migrate import head_revision, upgrade
from toolkit.operations.migrations.revisions import current_revision
from toolkit.operations.sync import sync
from toolkit.testing.pool import Pool
from toolkit.testing.seeds import Seed


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "ENGINES", (*registry.ENGINES, fourth.ENTRY))


# It has the portable way alone, which is its fast one.
@pytest.fixture(params=["fast", "decorated"])  # type: ignore[no-redef]
def kind(request: pytest.FixtureRequest) -> str:
    """That its repository is used, or that the columns are of an application's own type."""
    return str(request.param)


@pytest.fixture  # type: ignore[no-redef]
def way() -> str:
    """Its repository."""
    return "fast"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """An empty database of the fourth engine."""
    return Database("fourth", f"fourth:///{tmp_path}/one.fourth")


@pytest.fixture
def shopping(config: Config, database: Database) -> Config:
    """A configuration of the shop's tables, which names that database, too."""
    named = {**config.databases, "fourth": database}
    return replace(config, metadata="tests.operations.shop:metadata", migrations=Path("none"), databases=named)


@pytest.mark.slow
def test_rows_go_to_postgres_and_back_and_the_one_difference_is_found(shopping: Config) -> None:
    ours, theirs = shopping.database("fourth"), shopping.database("postgres")
    example.fill(ours)
    there = sync(shopping, "fourth", "postgres")
    assert there.created_schema
    assert there.verified
    assert databases.contents(theirs, shop.metadata) == databases.contents(ours, shop.metadata)

    databases.execute(theirs, "UPDATE category SET name = 'other' WHERE id = 9")
    found = diff(shopping, "fourth", "postgres")
    assert {table.table: table.changed for table in found.tables if table.changed} == {"category": 1}
    back = sync(shopping, "postgres", "fourth")
    assert {table.table: table.updated for table in back.tables if table.updated} == {"category": 1}
    assert back.verified
    assert diff(shopping, "fourth", "postgres").equal


def test_a_new_database_is_made_by_a_sync_and_no_row_without_its_parent_gets_there(shopping: Config) -> None:
    example.fill(shopping.database("postgres"))
    with pytest.raises(MissingParentError):
        sync(shopping, "postgres", "fourth", ["product"])
    assert sa.inspect(shopping.database("fourth").engine).get_table_names() == []
    assert sync(shopping, "postgres", "fourth").verified


def test_a_dump_of_it_is_loaded_into_it_again(shopping: Config, tmp_path: Path) -> None:
    ours = shopping.database("fourth")
    expected = databases.contents(example.fill(ours), shop.metadata)
    dump_data(shopping, "fourth", directory=tmp_path / "dump")
    databases.execute(ours, *(f"DELETE FROM {table.name}" for table in reversed(shop.metadata.sorted_tables)))
    assert load_data(shopping, "fourth", directory=tmp_path / "dump").verified
    assert databases.contents(ours, shop.metadata) == expected


def test_the_migrations_run_on_it(config: Config, database: Database) -> None:
    upgrade(database, config)
    assert current_revision(database, config) == head_revision(config)


def test_tests_get_their_own_copy_of_it(shopping: Config, database: Database, tmp_path: Path) -> None:
    dump_data(shopping, example.fill(database).name, directory=tmp_path / "dump")
    pool = Pool(replace(shopping, fixtures=tmp_path / "dump"), tmp_path / "pool")
    clone = pool.clone("fourth", Seed(pool.config, tmp_path / "dump"))
    assert clone.address.startswith("fourth:///")
    assert databases.contents(clone, shop.metadata) == databases.contents(database, shop.metadata)
    pool.drop(clone)
    assert clone.file is not None
    assert not clone.file.exists()
    pool.close()


def test_what_it_does_not_have_is_refused(shopping: Config, tmp_path: Path) -> None:
    example.fill(shopping.database("fourth"))
    sync(shopping, "fourth", "sqlite")
    with pytest.raises(ConfigurationError, match="no scripts for a client of fourth"):
        diff_sql(shopping, "sqlite", "fourth", tmp_path / "script.sql")


def test_a_file_of_it_is_told_as_its_url_and_without_its_entry_nobody_knows_it(
    config: Config, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError) as told:
        config.database("./one.fourth")
    assert told.value.advice == "A file is given as a URL: fourth:///./one.fourth"
    monkeypatch.undo()
    with pytest.raises(UnknownNameError, match="engine 'fourth'"):
        connect(database)
