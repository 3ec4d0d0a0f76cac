"""Servers whose own settings change what a session's statements mean, and what is told of tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers import mariadb as server
from toolkit.config import Config, Database
from toolkit.engines import connect
from toolkit.operations.diff.compare import diff
from toolkit.operations.sync import sync

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
            "INSERT INTO kept VALUES (1, 1)",
            "COMMIT",
            # No quotes around names, and of tables with history what they held then: nothing.
            "SET GLOBAL sql_quote_show_create = 0",
            "SET GLOBAL system_versioning_asof = '2001-01-01'",
        )
        config = replace(config, metadata="", migrations=Path("none"))
        named = {"one": Database("one", one), "back": Database("back", back)}
        yield replace(config, databases={**config.databases, **named})


def test_what_a_server_has_set_makes_no_difference(odd: Config) -> None:
    """Names in other quotes or none, backslashes, the past of a table, and what sessions begin with."""
    for source, target in (("one", "back"), ("back", "sqlite")):
        result = sync(odd, source, target)
        assert {each.table: each.inserted for each in result.tables} == {"parent": 2, "child": 1, "kept": 1}
        assert diff(odd, source, target).equal
    for name in ("back", "sqlite"):
        with connect(odd.database(name)) as connection:
            (key,) = connection.schema().metadata.tables["child"].foreign_key_constraints
        assert (key.referred_table.name, key.ondelete) == ("parent", "CASCADE")
    rows = server.run(odd.database("back").address, "SELECT id, HEX(TRIM(v)) FROM parent ORDER BY id")
    assert rows == [(0, ""), (5, "615C")]
