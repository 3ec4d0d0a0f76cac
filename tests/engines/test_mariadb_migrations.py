"""Migrations on MariaDB: the tests of all engines, as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations.test_migrate import (  # noqa: F401 - the tests of all engines
    of,
    project,
    table_names,
    test_advanced_alchemy_runs_the_same_history,
    test_bundled_history_leaves_nothing_to_do_and_nothing_behind,
    test_drop_all_of_tables_that_refer_to_one_another,
    test_each_engine_can_autogenerate,
    test_ensure_schema_upgrades_what_is_empty,
    test_ensure_schema_without_migrations_makes_the_tables,
    test_hostile_names,
    test_rows_and_tables_change_in_one_migration,
    test_second_migration_keeps_the_rows_both_ways,
    test_stamp_records_and_purges,
)
from toolkit.config import Config, Database
from toolkit.operations.migrations import history, migrate


@pytest.fixture
def database(mariadb_url: str, tmp_path: Path) -> Database:
    """An empty database of MariaDB."""
    return Database("mariadb", mariadb_url, tmp_path)


@pytest.fixture
def config(config: Config, database: Database) -> Config:
    """The configuration, which names that database, too."""
    return replace(config, databases={**config.databases, "mariadb": database})


@pytest.mark.slow
def test_what_is_generated_on_mariadb_serves_the_others(project: Config, database: Database) -> None:  # noqa: F811
    after = of(project, "SECOND_IN_PLACE")
    history.make_migrations(database, project, "first")
    migrate.upgrade(database, project)
    made = history.make_migrations(database, after, "second")
    assert made is not None
    assert "mysql" not in made.path.read_text()
    for name in ("sqlite", "postgres", "duckdb"):
        other = after.database(name)
        migrate.upgrade(other, after)
        assert migrate.check(other, after).changes == ()
        migrate.downgrade(other, after, "base")
        assert table_names(other) == set()
