"""Servers whose own settings change what a session's statements mean, and what is told of tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.engines.mariadb_tables import a_key, load, made
from tests.operations.databases import execute
from tests.servers import mariadb as server
from toolkit.config import Config, Database
from toolkit.engines import connect
from toolkit.errors import MissingParentError, ToolkitError
from toolkit.operations.diff.compare import diff
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Mode, Options

_MODES = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH,EMPTY_STRING_IS_NULL"


@pytest.fixture
def odd(config: Config, tmp_path: Path) -> Iterator[Config]:
    """Two databases `one` and `back` of a server with odd settings, the first with rows of three tables."""
    settings = [
        *(f"--sql-mode={_MODES}", "--autocommit=0", "--explicit-defaults-for-timestamp=0", "--local-infile=1"),
        *("--transaction-isolation=READ-COMMITTED", "--old-mode=NO_DUP_KEY_WARNINGS_WITH_IGNORE"),
    ]
    with (
        server.running(tmp_path, settings) as address,
        server.database(address) as one,
        server.database(address) as back,
    ):
        server.run(
            one,
            "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
            "CREATE TABLE parent (id INT PRIMARY KEY AUTO_INCREMENT, v CHAR(9) DEFAULT 'x', `a%` TIMESTAMP NULL)",
            "CREATE TABLE child (id INT PRIMARY KEY, parent INT NOT NULL REFERENCES parent (id) ON DELETE CASCADE)",
            "CREATE TABLE kept (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING",
            r"INSERT INTO parent VALUES (0, '', NULL), (5, 'a\\', '2024-01-01')",
            "INSERT INTO child VALUES (1, 0)",
            "INSERT INTO kept VALUES (1, 1), (2, 1)",
            "COMMIT",
            # No quotes around names, and of tables with history what they held then: nothing.
            "SET GLOBAL sql_quote_show_create = 0",
            "SET GLOBAL unique_checks = 0, check_constraint_checks = 0, sql_safe_updates = 1, sql_select_limit = 1",
            "SET GLOBAL system_versioning_asof = '2001-01-01'",
        )
        config = replace(config, metadata="", migrations=Path("none"))
        named = {"one": Database("one", one), "back": Database("back", back)}
        yield replace(config, databases={**config.databases, **named})


@pytest.mark.slow
def test_what_a_server_has_set_makes_no_difference(odd: Config) -> None:
    """Names in other quotes or none, backslashes, the past of a table, and what sessions begin with."""
    for source, target in (("one", "back"), ("back", "sqlite")):
        result = sync(odd, source, target)
        assert {each.table: each.inserted for each in result.tables} == {"parent": 2, "child": 1, "kept": 2}
        assert diff(odd, source, target).equal
    for name in ("back", "sqlite"):
        with connect(odd.database(name)) as connection:
            (key,) = connection.schema().metadata.tables["child"].foreign_key_constraints
        assert (key.referred_table.name, key.ondelete) == ("parent", "CASCADE")
    whole = "SET sql_select_limit = 9"
    rows = server.run(odd.database("back").address, whole, "SELECT id, HEX(TRIM(v)) FROM parent ORDER BY id")
    assert rows == [(0, ""), (5, "615C")]
    with connect(odd.database("back"), write=True) as connection:
        asked = "@@unique_checks, @@check_constraint_checks, @@sql_safe_updates, @@sql_select_limit > 1"
        found = connection.sqlalchemy.exec_driver_sql(f"SELECT {asked}").one()
    assert tuple(found) == (1, 1, 0, 1)
    server.run(odd.database("one").address, whole, "UPDATE kept SET v = 2 WHERE id = 2", "COMMIT")
    assert [(each.table, each.changed) for each in diff(odd, "one", "back").tables if each.changed] == [("kept", 1)]


@pytest.mark.slow
def test_a_server_that_says_nothing_of_keys_that_come_twice_has_rows_counted(odd: Config) -> None:
    """In its old mode, a load passes over such rows without a warning."""
    database = odd.database("one")
    spec = made(database, "id INT PRIMARY KEY, v VARCHAR(9) UNIQUE", a_key(), sa.Column("v", sa.Text))
    with pytest.raises(ToolkitError, match="belongs to different rows: id=1 and id=2"):
        load(database, spec, (1, "a"), (2, "a"))
    assert server.run(database.address, "SELECT id FROM t") == []


@pytest.mark.slow
def test_a_server_that_writes_names_of_tables_small_has_rows_of_models_with_capitals(
    config: Config, tmp_path: Path
) -> None:
    config = replace(config, metadata="", migrations=Path("none"))
    execute(
        config.database("sqlite"),
        "CREATE TABLE Parent (id integer PRIMARY KEY)",
        "CREATE TABLE Child (id integer PRIMARY KEY, parent integer REFERENCES Parent (id))",
        "INSERT INTO Parent VALUES (1), (2)",
        "INSERT INTO Child VALUES (1, 1), (2, 2)",
    )
    # It knows of no rights, either.
    settings = ["--lower-case-table-names=1", "--skip-grant-tables"]
    with server.running(tmp_path, settings) as address, server.database(address) as small:
        config = replace(config, databases={**config.databases, "small": Database("small", small)})
        assert sync(config, "sqlite", "small").verified
        execute(config.database("sqlite"), "DELETE FROM Child WHERE id = 1", "DELETE FROM Parent WHERE id = 1")
        assert sync(config, "sqlite", "small", options=Options(mode=Mode.REPLACE)).verified
        assert server.run(small, "SELECT c.id, p.id FROM child AS c JOIN parent AS p ON p.id = c.parent") == [(2, 2)]
        # A foreign key of the database's that no model has, too.
        execute(config.database("sqlite"), "DROP TABLE Child", "CREATE TABLE Child (id integer, parent integer)")
        execute(config.database("sqlite"), "INSERT INTO Child VALUES (2, 9)")
        with pytest.raises(MissingParentError, match="points at parent that small does not have"):
            sync(config, "sqlite", "small", tables=("Child",), options=Options(mode=Mode.REPLACE))
        assert diff(config, "small", "small").equal
