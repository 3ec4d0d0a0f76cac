"""Models in which two constraints have one name, as SQLite lets them: tables are made of them on every engine."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.operations.databases import connected, execute
from tests.operations.test_made_constraints import Using, using
from toolkit import sync
from toolkit.engines.registry import engine_of
from toolkit.operations.migrations.statements import make_statements

__all__ = ["using"]

# By target, what is called otherwise there than in the models.
TOLD = {
    "sqlite2": ["book: index ix_name: It is book_ix_name there"],
    "duckdb": ["book: unique key uq_name: It is book_uq_name there", "book: index ix_name: It is book_ix_name there"],
    "postgres": [
        "book: unique key uq_name: It is book_uq_name there",
        "book: check positive: It is positive_2 there",
        "book: index ix_name: It is book_ix_name there",
    ],
}


def models() -> sa.MetaData:
    metadata = sa.MetaData()
    for name in ("author", "book"):
        sa.Table(
            name,
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.String),
            sa.CheckConstraint("id > 0", name="positive"),
            sa.UniqueConstraint("name", name="uq_name"),
            sa.Index("ix_name", "id", "name"),
            *[sa.CheckConstraint("id > 1", name="positive")] * (name == "book"),
        )
    return metadata


@pytest.mark.parametrize("target", TOLD)
def test_a_dry_run_tells_what_is_called_otherwise_and_a_run_makes_it(using: Using, target: str) -> None:
    metadata = models()
    config = using(metadata)
    execute(
        config.database("sqlite"),
        "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR, CONSTRAINT uq_name UNIQUE (name),"
        " CONSTRAINT positive CHECK (id > 0))",
        "CREATE TABLE book (id INTEGER PRIMARY KEY, name VARCHAR, CONSTRAINT uq_name UNIQUE (name),"
        " CONSTRAINT positive CHECK (id > 0), CONSTRAINT positive CHECK (id > 1))",
        "INSERT INTO author VALUES (1, 'x')",
        "INSERT INTO book VALUES (2, 'x')",
    )
    for dry_run in (True, False):
        found = sync(config, "sqlite", target, dry_run=dry_run)
        told = [f"{each.table}: {each.reason}" for each in found.warnings if "that name is taken" in each.reason]
        assert told == [f"{each}: that name is taken." for each in TOLD[target]]
    assert found.verified
    # The models are as they were.
    assert {index.name for table in metadata.tables.values() for index in table.indexes} == {"ix_name"}

    with connected(config.database(target)) as connection, pytest.raises(sa.exc.DBAPIError):
        connection.exec_driver_sql("INSERT INTO book VALUES (3, 'x')")
    assert sync(config, "sqlite", target).tables[1].unchanged == 1


def test_the_statements_that_would_make_them_have_the_same_names() -> None:
    metadata = models()
    kind = engine_of("postgresql://")
    assert kind is not None
    found = "\n".join(make_statements(kind, metadata, list(metadata.tables.values())))
    assert [found.count(each) for each in ("book_uq_name", "positive_2", "book_ix_name")] == [1, 1, 1]
