"""Another engine's schema made in a real database: all of it is there again, or a note says what is not, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from tests.operations import hostile
from toolkit.config import Config
from toolkit.core.constraints import Change, Stronger, changes
from toolkit.core.renames import Renames
from toolkit.core.schema import Note, Schema
from toolkit.core.tables import table_spec
from toolkit.engines import connect
from toolkit.engines.portable.constraints import modelled
from toolkit.operations.migrations.model_tables import make_tables
from toolkit.operations.reflection.made import Made, made

SOURCES = {"sqlite": hostile.of_sqlite, "postgresql": hostile.of_postgres, "duckdb": hostile.of_duckdb}
TARGETS = ("sqlite", "postgres", "duckdb")
DIRECTIONS = [(s, t) for s in SOURCES for t in TARGETS if not s.startswith(t)]


def made_in(config: Config, target: str, schema: Schema) -> tuple[Made, sa.MetaData]:
    """A schema made in an empty database; in the source's names, and as it is there."""
    found = made(schema, config.database(target).kind)
    names = Renames.of(found.schema.metadata, found.renames)
    metadata = found.schema.metadata if names is None else names.metadata
    plain = replace(config, metadata="", migrations=config.root / "none")
    make_tables(config.database(target), plain, metadata, list(metadata.tables.values()))
    return found, metadata


def told(notes: tuple[Note, ...]) -> set[str]:
    """Notes as texts."""
    return {f"{each.table}{'.' + each.column if each.column else ''}: {each.what}: {each.reason}" for each in notes}


def lost(config: Config, target: str, schema: Schema, found: Made) -> Iterator[tuple[str, Change]]:
    """How the constraints of the target's own catalogue differ from the source's, by the source's table."""
    tables = schema.metadata.tables
    renamed = {name: found.renames.get(name, name) for name in tables}
    names = Renames.of(found.schema.metadata, found.renames)
    metadata = found.schema.metadata if names is None else names.metadata
    specs = {name: table_spec(metadata.tables[other]) for name, other in renamed.items()}
    with connect(config.database(target)) as connection:
        there = connection.constraints(list(specs.values()))
    for name, table in tables.items():
        before = modelled(table, schema.dialect, lambda index: bool(index.unique), with_foreign_keys=True)
        for change in changes(before, there[specs[name].name]):
            yield name, change


def is_told(name: str, change: Change, notes: tuple[Note, ...]) -> bool:
    """Whether a note of the table names what is lost: by its name, or by its columns."""
    words = set(re.findall(r"\w+", change.what)) - {"the", "unique", "key", "check", "where", "foreign", "to", "of"}
    texts = [f"{each.what} {each.reason} {each.column or ''}" for each in notes if each.table == name]
    return any(words & set(re.findall(r"\w+", text)) for text in texts)


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_all_that_a_schema_demands_is_demanded_again_or_told_and_nothing_more(
    config: Config, source: str, target: str
) -> None:
    schema = SOURCES[source]()
    found, _ = made_in(config, target, schema)
    differences = list(lost(config, target, schema, found))
    assert [(name, change) for name, change in differences if not is_told(name, change, found.schema.notes)] == []
    assert [change for _, change in differences if isinstance(change, Stronger)] == []
