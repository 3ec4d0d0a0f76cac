"""Foreign keys that a database of MariaDB has and the models have not: it acts on none while rows are written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.operations.clients import run_script
from tests.operations.databases import create, execute
from tests.servers import mariadb as server
from toolkit.config import Config, Database
from toolkit.errors import MissingParentError, ReferencedRowsError
from toolkit.operations.diff.script import diff_sql
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Mode, Options

REPLACE = Options(mode=Mode.REPLACE)

models = sa.MetaData()
sa.Table("parent", models, sa.Column("id", sa.Integer, primary_key=True), sa.Column("code", sa.String(9), unique=True))
sa.Table("child", models, sa.Column("id", sa.Integer, primary_key=True), sa.Column("parent", sa.Integer))
sa.Table(
    "named",
    models,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("code", sa.String(9), sa.ForeignKey("parent.code")),
)


@pytest.fixture
def family(config: Config, mariadb_url: str) -> Config:
    """The same rows in a file and in MariaDB, where foreign keys point that no model knows."""
    named = {**config.databases, "mariadb": Database("mariadb", mariadb_url)}
    config = replace(config, metadata=f"{__name__}:models", migrations=Path("none"), databases=named)
    rows = ["INSERT INTO parent VALUES (1, 'one'), (2, 'two')", "INSERT INTO child VALUES (1, 1)"]
    create(config.database("sqlite"), models)
    execute(config.database("sqlite"), *rows)
    server.run(
        mariadb_url,
        "CREATE TABLE parent (id INT PRIMARY KEY, code VARCHAR(9) UNIQUE)",
        "CREATE TABLE child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parent (id) "
        "ON DELETE CASCADE)",
        "CREATE TABLE named (id INT PRIMARY KEY, code VARCHAR(9), FOREIGN KEY (code) REFERENCES parent (code))",
        "CREATE TABLE unknown (id INT PRIMARY KEY, code VARCHAR(9), FOREIGN KEY (code) REFERENCES parent (code))",
        *rows,
    )
    return config


def _changed(family: Config, there: str = "SELECT 1", *here: str) -> list[tuple[object, ...]]:
    """Change rows on both sides; what the target has then."""
    execute(family.database("sqlite"), *here)
    server.run(family.database("mariadb").address, there)
    return _state(family)


def _state(family: Config) -> list[tuple[object, ...]]:
    tables = ("parent", "child", "named", "unknown")
    query = " UNION ALL ".join(f"SELECT '{table}' AS name, t.* FROM {table} AS t" for table in tables)
    return server.run(family.database("mariadb").address, f"{query} ORDER BY name, id")


@pytest.mark.parametrize("rows", ["(7, 9)", "(1, 9)"])
def test_a_row_without_the_parent_that_only_the_database_asks_for_is_refused(family: Config, rows: str) -> None:
    before = _changed(family, "SELECT 1", "DELETE FROM child", f"INSERT INTO child VALUES {rows}")
    with pytest.raises(MissingParentError, match=r"child\.parent: 1 row points at parent .* \(first: id="):
        sync(family, "sqlite", "mariadb")
    assert _state(family) == before


def test_a_parent_is_not_deleted_under_a_row_that_points_at_it_past_the_models(family: Config) -> None:
    before = _changed(family, "SELECT 1", "DELETE FROM parent WHERE id = 1")
    with pytest.raises(ReferencedRowsError, match="1 row of child"):
        sync(family, "sqlite", "mariadb", ["parent"], options=REPLACE)
    assert _state(family) == before
    # With the row that points there, it goes.
    execute(family.database("sqlite"), "DELETE FROM child", "INSERT INTO child VALUES (2, 2)")
    server.run(family.database("mariadb").address, "INSERT INTO child VALUES (2, 2)")
    assert sync(family, "sqlite", "mariadb", options=REPLACE).verified
    assert _state(family) == [("child", 2, "2"), ("parent", 2, "two")]


@pytest.mark.parametrize("table", ["named", "unknown"])
def test_a_value_does_not_change_that_rows_of_tables_beside_the_sync_point_at(family: Config, table: str) -> None:
    before = _changed(family, f"INSERT INTO {table} VALUES (1, 'one')", "UPDATE parent SET code = 'x' WHERE id = 1")
    with pytest.raises(MissingParentError, match=rf"{table}\.code: 1 row points at parent"):
        sync(family, "sqlite", "mariadb", ["parent"])
    assert _state(family) == before


def test_a_script_refuses_rows_without_such_parents_too(family: Config, tmp_path: Path) -> None:
    before = _changed(family, "SELECT 1", "INSERT INTO child VALUES (7, 9)")
    diff_sql(family, "sqlite", "mariadb", tmp_path / "script.sql")
    ran = run_script(family.database("mariadb"), tmp_path / "script.sql")
    assert "CONSTRAINT `a row points at one that is not there` failed" in ran.stderr
    assert _state(family) == before
