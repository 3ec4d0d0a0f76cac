"""The models' tables as a target has them, under its own names."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from toolkit.core.renames import Renames
from toolkit.core.tables import table_spec


def models() -> sa.MetaData:
    found = sa.MetaData()
    sa.Table("p", found, sa.Column("id", sa.Integer, primary_key=True), sa.Column("code", sa.Text, unique=True))
    child = sa.Table(
        "c",
        found,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("p_id", sa.Integer, index=True),
        sa.Column("v", sa.Text),
        sa.ForeignKeyConstraint(
            ["p_id"],
            ["p.id"],
            onupdate="CASCADE",
            ondelete="SET NULL",
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.CheckConstraint("p_id > 0", name="positive"),
        sa.UniqueConstraint("p_id", "v", name="once"),
    )
    sa.Index("some", child.c.v, sqlite_where=sa.text("p_id IS NOT NULL"))
    return found


def made(metadata: sa.MetaData, table: str) -> str:
    """The statements that make it."""
    found = metadata.tables[table]
    parts: list[sa.schema.ExecutableDDLElement] = [
        CreateTable(found),
        *map(CreateIndex, sorted(found.indexes, key=lambda each: str(each.name))),
    ]
    return "\n".join(" ".join(str(part.compile(dialect=sqlite.dialect())).split()) for part in parts)


def test_a_table_of_another_name_is_made_with_all_that_it_had() -> None:
    names = Renames.of(models(), {"c": "child"})
    assert names is not None
    own = made(models(), "c").replace("TABLE c ", "TABLE child ").replace(" ON c ", " ON child ")
    # In any order: a table's constraints are a set.
    assert sorted(made(names.metadata, "child").replace(",", "").split()) == sorted(own.replace(",", "").split())


def test_renamed_columns_are_renamed_wherever_they_are_named() -> None:
    names = Renames.of(models(), {"c.p_id": "parent", "p.id": "number"})
    assert names is not None
    table, index, some = made(names.metadata, "c").splitlines()
    assert not names.not_made
    assert table == (
        "CREATE TABLE c ( id INTEGER NOT NULL, parent INTEGER, v TEXT, PRIMARY KEY (id), "
        'CONSTRAINT once UNIQUE (parent, v), CONSTRAINT positive CHECK ("parent" > 0), '
        "FOREIGN KEY(parent) REFERENCES p (number) ON DELETE SET NULL ON UPDATE CASCADE "
        "DEFERRABLE INITIALLY DEFERRED )"
    )
    assert some == 'CREATE INDEX some ON c (v) WHERE "parent" IS NOT NULL'
    assert index == "CREATE INDEX ix_c_p_id ON c (parent)"
    spec = table_spec(names.metadata.tables["p"])
    assert (spec.key, spec.unique_keys) == (("number",), (("code",),))


def test_a_table_that_is_bound_keeps_its_key_and_its_conditions() -> None:
    own = models()
    names = Renames.of(own, {"c": "child", "c.id": "number"})
    assert names is not None
    spec = replace(table_spec(own.tables["c"]), conditions=("v = 'a'",), source_conditions=("p_id > 1",))
    (bound,) = names.bound([spec])
    assert (bound.name, bound.key, bound.column_names) == ("child", ("number",), ("number", "p_id", "v"))
    assert (bound.conditions, bound.source_conditions) == (spec.conditions, spec.source_conditions)
