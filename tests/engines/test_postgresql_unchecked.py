"""Foreign keys of PostgreSQL's that the server does not check: sessions, tables and partitions that are set so."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from tests.operations.databases import create, execute, postgres
from tests.operations.test_hard_schemas import Using, plain, rows, using
from toolkit.config import Config
from toolkit.errors import DatabaseUnavailableError, MissingParentError
from toolkit.operations.sync import sync

__all__ = ["using"]

PARTITIONED = (
    "DROP TABLE child",
    "CREATE TABLE child (id integer PRIMARY KEY, parent integer REFERENCES parent) PARTITION BY RANGE (id)",
    "CREATE TABLE child_part PARTITION OF child FOR VALUES FROM (0) TO (9)",
    "ALTER TABLE child_part DISABLE TRIGGER ALL",
)
# The model of what is synced has no key: the database has.
UNMODELLED = ("ALTER TABLE other ADD FOREIGN KEY (parent) REFERENCES parent", "ALTER TABLE other DISABLE TRIGGER ALL")


@pytest.fixture
def orphaned(using: Using) -> Config:
    """Tables on both sides, and at the source two rows without the parent that they point at."""
    metadata = plain("parent")
    for name, *key in (("child", sa.ForeignKey("parent.id")), ("other",)):
        id_ = sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)
        sa.Table(name, metadata, id_, sa.Column("parent", sa.Integer, *key))
    config = using(metadata)
    create(config.database("postgres"), metadata)
    filled = ("INSERT INTO parent VALUES (1)", "INSERT INTO child VALUES (1, 1), (2, NULL), (3, 7)")
    execute(config.database("sqlite"), "PRAGMA foreign_keys = OFF", *filled, "INSERT INTO other VALUES (1, 1), (4, 7)")
    return config


def let_replicate(config: Config, what: str) -> None:
    """Have sessions of a role, or of the database, as those that copy what others have checked."""
    with postgres(config) as connection:
        name = sql.Identifier(what if what != "database" else connection.info.dbname)
        kind = sql.SQL("DATABASE" if what == "database" else "ROLE")
        connection.execute(sql.SQL("ALTER {} {} SET session_replication_role = replica").format(kind, name))


@pytest.mark.parametrize(
    ("statements", "table", "first"),
    [
        ((), "child", "id=3"),
        (("ALTER TABLE child DISABLE TRIGGER ALL",), "child", "id=3"),
        (PARTITIONED, "child", "id=3"),
        (UNMODELLED, "other", "id=4"),
    ],
    ids=["the session's", "the table's", "a partition's", "not in the model"],
)
def test_a_row_without_its_parent_is_refused_all_the_same(
    orphaned: Config, statements: tuple[str, ...], table: str, first: str
) -> None:
    execute(orphaned.database("postgres"), *statements)
    if not statements:
        let_replicate(orphaned, "database")
    if table == "other":
        execute(orphaned.database("sqlite"), "DELETE FROM child WHERE id = 3")
    with pytest.raises(MissingParentError, match=rf"{table}.parent: 1 row points at parent .* \(first: {first}\)"):
        sync(orphaned, "sqlite", "postgres")
    assert rows(orphaned, "postgres", f"SELECT * FROM {table}") == []
    execute(orphaned.database("sqlite"), f"DELETE FROM {table} WHERE parent = 7")
    assert sync(orphaned, "sqlite", "postgres").verified


def test_a_role_that_may_not_have_them_checked_is_refused_with_what_to_do(orphaned: Config) -> None:
    with postgres(orphaned) as connection:
        connection.execute("DROP ROLE IF EXISTS replicating")
        connection.execute("CREATE ROLE replicating LOGIN")
        connection.execute("GRANT ALL ON parent, child, other TO replicating")
        owner = connection.info.user
    let_replicate(orphaned, "replicating")
    database = orphaned.database("postgres")
    other = replace(database, address=database.address.replace(f"//{owner}", "//replicating"))
    try:
        with psycopg.connect(other.address) as session:
            assert session.execute("SHOW session_replication_role").fetchone() == ("replica",)
        with pytest.raises(DatabaseUnavailableError, match="checks no foreign keys for this role") as refused:
            sync(replace(orphaned, databases={**orphaned.databases, "postgres": other}), "sqlite", "postgres")
    finally:
        execute(database, "DROP OWNED BY replicating", "DROP ROLE replicating")
    assert "RESET session_replication_role" in refused.value.advice
