"""Columns of SQLite that are compared without regard to spaces at the end of texts (`COLLATE RTRIM`)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from tests.operations.databases import connected, execute
from toolkit.config import Config
from toolkit.operations.sync import sync


@pytest.fixture
def bare(config: Config) -> Config:
    """The configuration of the databases, without models, and a file with such columns."""
    bare = replace(config, metadata="", migrations=config.root / "none")
    execute(
        bare.database("sqlite"),
        "CREATE TABLE k (id TEXT COLLATE RTRIM PRIMARY KEY, b BOOLEAN COLLATE RTRIM)",
        "CREATE TABLE p (i INTEGER PRIMARY KEY, k TEXT COLLATE RTRIM REFERENCES k (id))",
        "INSERT INTO k VALUES ('a ', 't '), ('b', 'f')",
        "INSERT INTO p VALUES (1, 'a'), (2, 'b   ')",
    )
    return bare


@pytest.mark.parametrize("target", ["postgres", "duckdb"])
def test_what_is_no_longer_one_is_told_and_rows_find_their_place_without_the_foreign_key(
    bare: Config, target: str
) -> None:
    found = sync(bare, "sqlite", target)
    assert found.verified
    told = {(each.table, each.column, each.reason) for each in found.warnings}
    spaces = "collation RTRIM: Texts that differ by spaces at their end are two there, in keys and queries."
    assert {("k", "id", spaces), ("p", "k", spaces)} <= told
    keys = "id of k is found with other spaces at its end here, and not there"
    assert any(keys in (reason or "") for *_, reason in told)
    with connected(bare.database(target)) as connection:
        rows = [tuple(row) for row in connection.execute(sa.text("SELECT id, b FROM k ORDER BY id"))]
    # What is a truth to the collation alone is a text.
    assert rows == [("a ", "t "), ("b", "f")]
    assert sum(each.inserted + each.updated for each in sync(bare, "sqlite", target).tables) == 0
