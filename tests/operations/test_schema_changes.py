"""Many changes of schema, up, down and up again, on every engine: rows and catalogue are what they have to be."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.operations.databases import connected
from tests.operations.schema_changes import AFTER, BEFORE, CHANGES, PARENTS, batches
from toolkit.config import Config, Database
from toolkit.operations.migrations import history, migrate

Catalogue = dict[tuple[str, str], str]


@pytest.fixture
def project(tmp_path: Path, config: Config) -> Config:
    """A project with a migrations directory of its own."""
    made = replace(config, root=tmp_path, migrations=tmp_path / "migrations", metadata=f"{__name__}:AFTER")
    history.init(made.migrations)
    return made


def written(database: Database, project: Config) -> str:
    """The changes as one migration by hand."""
    made = history.make_migrations(database, project, "all", autogenerate=False)
    assert made is not None
    head = made.path.read_text().partition("def schema_upgrades")[0]
    up, down = (textwrap.indent(batches(way), "    ") for way in ("up", "down"))
    rest = "\n\n\ndef data_upgrades(): ...\ndef data_downgrades(): ...\n"
    made.path.write_text(f"{head}def schema_upgrades():\n{up}\n\n\ndef schema_downgrades():\n{down}{rest}")
    return made.revision


def fill(database: Database) -> None:
    """Make the tables as they are before, with rows."""
    with connected(database) as connection:
        BEFORE.create_all(connection)
        connection.execute(BEFORE.tables["parent"].insert(), [{"id": number} for (number,) in PARENTS])
        for change in CHANGES:
            table = BEFORE.tables[change.name]
            names = [each.name for each in table.columns if each.computed is None]
            rows = [dict(zip(names, row, strict=False)) for row in change.rows]
            connection.execute(table.insert(), rows)


def rows(database: Database, metadata: sa.MetaData) -> dict[str, list[Any]]:
    """All rows, by the columns' names in the metadata."""
    with connected(database) as connection:
        return {
            change.name: [
                tuple(row)
                for row in connection.execute(sa.select(metadata.tables[change.name]).order_by(sa.literal_column("id")))
            ]
            for change in CHANGES
        }


def expected(stage: str) -> dict[str, list[Any]]:
    return {change.name: change.rows_at(stage) for change in CHANGES}


def catalogue(database: Database) -> Catalogue:
    """All that reflection tells of the tables, a line for each thing, but for the order of columns."""
    with connected(database) as connection:
        inspector = sa.inspect(connection)
        names = [each for each in inspector.get_table_names() if each != "alembic_versions"]
        found = {(name, part): text for name in names for part, text in _described(inspector, name)}
        if database.engine_name == "sqlite":
            query = "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            found.update(
                {(table, name): sql.replace(chr(34), "") for table, name, sql in connection.exec_driver_sql(query)}
            )
    return found


def _described(inspector: sa.Inspector, table: str) -> Iterator[tuple[str, str]]:
    for column in inspector.get_columns(table):
        yield f"column {column['name']}", str({**column, "type": str(column["type"])})
    yield "key", str(sorted(inspector.get_pk_constraint(table)["constrained_columns"]))
    yield "unique", _sorted(inspector.get_unique_constraints(table))
    yield "indexes", _sorted(inspector.get_indexes(table))
    yield "foreign keys", _sorted(inspector.get_foreign_keys(table))
    yield "checks", _sorted(inspector.get_check_constraints(table))


def _sorted(found: Iterable[Any]) -> str:
    return "; ".join(sorted(map(str, found)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_rows_and_catalogue_are_what_they_have_to_be_up_down_and_up_again(database: Database, project: Config) -> None:
    fill(database)
    before = catalogue(database)
    written(database, project)
    migrate.upgrade(database, project)
    assert rows(database, AFTER) == expected("after")
    after = catalogue(database)
    migrate.downgrade(database, project, "base")
    assert rows(database, BEFORE) == expected("back")
    assert catalogue(database) == before
    migrate.upgrade(database, project)
    with connected(database) as connection:
        AFTER.drop_all(connection)
        AFTER.create_all(connection)
    assert after == catalogue(database)
