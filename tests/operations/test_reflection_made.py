"""Another engine's schema made in a real database: all of it is there again, or a note says what is not, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from tests.operations import hostile
from tests.operations.databases import connected, execute
from toolkit import sync
from toolkit.config import Config
from toolkit.core.constraints import Change, Stronger, changes
from toolkit.core.renames import Renames
from toolkit.core.schema import Note, Schema
from toolkit.core.tables import table_spec
from toolkit.engines import connect
from toolkit.engines.portable.constraints import modelled
from toolkit.operations.migrations.model_tables import make_tables
from toolkit.operations.reflection.created_tables import Made, made

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
    """Whether a note of the table says what is lost: a constraint by its name, or else by all of its columns."""
    texts = [f"{each.what} {each.reason} {each.column or ''}" for each in notes if each.table == name]
    named = re.match(r"the (?:unique key|check) (\w+) \(", change.what)
    columns = re.search(r"foreign key \((.*?)\)", change.what) or re.search(r"\(([^()]*)\)", change.what)
    listed = columns[1] if columns else change.what.removeprefix("the ").replace(" of ", " ")
    wanted = [named[1]] if named else re.findall(r"\w+", listed)
    return any(all(re.search(rf"\b{word}\b", text) for word in wanted) for text in texts)


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_all_that_a_schema_demands_is_demanded_again_or_told_and_nothing_more(
    config: Config, source: str, target: str
) -> None:
    schema = SOURCES[source]()
    found, _ = made_in(config, target, schema)
    differences = list(lost(config, target, schema, found))
    assert [(name, change) for name, change in differences if not is_told(name, change, found.schema.notes)] == []
    assert [change for _, change in differences if isinstance(change, Stronger)] == []


INDEXES = {
    "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'index'",
    "postgres": "SELECT indexname FROM pg_indexes",
    "duckdb": "SELECT index_name FROM duckdb_indexes()",
}


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_each_default_generated_column_comment_and_index_is_there_or_told(
    config: Config, source: str, target: str
) -> None:
    schema = SOURCES[source]()
    found, metadata = made_in(config, target, schema)
    with connected(config.database(target)) as connection:
        indexes = set(connection.exec_driver_sql(INDEXES[target]).scalars())
        inspector = sa.inspect(connection)
        there = {
            name: {each["name"]: each for each in inspector.get_columns(table.name, table.schema)}
            for name, table in metadata.tables.items()
        }
    names, lacking = {(each.table, each.column, each.what.partition(" ")[0]) for each in found.schema.notes}, []
    what = {(each.table, word) for each in found.schema.notes for word in re.findall(r"\w+", each.what)}
    for name, table in schema.metadata.tables.items():
        columns = there[found.renames.get(name, name)]
        for column in table.columns:
            place = found.renames.get(f"{name}.{column.name}", column.name).rpartition(".")[2]
            parts: dict[str, bool] = {
                "default": column.server_default is None or columns[place]["default"] is not None,
                "generated": column.computed is None or "computed" in columns[place],
            }
            if column.identity is not None or column.autoincrement is True or column.computed is not None:
                parts.pop("default")
            lacking += [(name, column.name, part) for part, is_there in parts.items() if not is_there]
            if column.comment and columns[place].get("comment") != column.comment:
                assert (name, column.name) in what
        for index in table.indexes:
            assert index.name in indexes or (name, index.name) in what
    assert set(lacking) <= names


@pytest.mark.parametrize(
    ("source", "table", "column", "number"),
    [("sqlite", "person", "e mail", 501), ("postgresql", "User", "email", 77), ("duckdb", "thing", "name", 9)],
)
def test_the_next_number_of_an_empty_table_is_the_source_s(
    config: Config, source: str, table: str, column: str, number: int
) -> None:
    for target in [each for _, each in DIRECTIONS if _ == source]:
        made_in(config, target, SOURCES[source]())
        with connected(config.database(target)) as connection:
            statement = f'INSERT INTO "{table}" ("{column}") VALUES (\'x@\') RETURNING id'
            assert connection.exec_driver_sql(statement).scalar() == number


@pytest.mark.parametrize("target", ["postgres", "duckdb"])
def test_a_key_without_regard_to_case_takes_and_refuses_what_it_did_in_sqlite(config: Config, target: str) -> None:
    made_in(config, target, hostile.of_sqlite())
    database = config.database(target)
    # Letters outside of ASCII have no other case there, and a key of some rows is none of all.
    execute(database, *(f"INSERT INTO person (\"e mail\") VALUES ('{each}')" for each in ("a", "Ä", "ä")))
    with pytest.raises(sa.exc.DBAPIError):
        execute(database, "INSERT INTO person (\"e mail\") VALUES ('A')")


@pytest.mark.parametrize(
    ("source", "target", "notes"),
    [
        (
            "sqlite",
            "postgres",
            {
                "child: index child: It is child_child there: that name is taken.",
                "person: primary key of id: It is made without ON CONFLICT.",
                "person.active: NOT NULL: It is made without ON CONFLICT: NULL is refused there.",
                "person.odd: default (char(65, 66)): Left out: the meaning of CHAR(65, 66) is not certain there.",
                "person.xmin: name: It is xmin_2 there: that name is taken.",
                "child: foreign key of text_id to person: Left out: text_id and id of person are of different types.",
            },
        ),
        (
            "postgresql",
            "sqlite",
            {
                "stage.t: name: It is t there: there are no schemas.",
                "stage.user: name: It is stage_user there: there are no schemas.",
                "user: name: It is user_2 there: that name is taken.",
                "User: index user_gin: Left out: there are no indexes by gin.",
                "User: unique key rated of rate: Several rows may have NULL there.",
                "User.mood: enum mood: It is text, with a check of its labels.",
                'user: foreign key of owner to User: It is made without ON DELETE SET NULL ("owner").',
            },
        ),
        (
            "postgresql",
            "duckdb",
            {
                "User.full: generated stored: It is computed when it is read there.",
                "User: index user_order: Indexes are in no order there.",
            },
        ),
    ],
)
def test_what_is_not_carried_is_told_with_its_reason(config: Config, source: str, target: str, notes: set[str]) -> None:
    assert notes - told(made(SOURCES[source](), config.database(target).kind).schema.notes) == set()


def test_texts_follow_columns_whose_names_are_shortened_and_a_second_run_finds_them(config: Config) -> None:
    name, plain = "x" * 70, replace(config, metadata="")
    execute(
        config.database("sqlite"),
        f'CREATE TABLE "{name}t" (id INTEGER PRIMARY KEY, "{name}c" TEXT CHECK ("{name}c" <> \'no\'), xmin INTEGER)',
        f'CREATE TABLE child (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER REFERENCES "{name}t" (id))',
        f"INSERT INTO \"{name}t\" VALUES (1, 'a', 5)",
        "INSERT INTO child VALUES (1, 1)",
    )
    first, second = (sync(plain, "sqlite", "postgres") for _ in range(2))
    assert [(each.inserted, each.unchanged) for each in first.tables] == [(1, 0)] * 2
    assert [(each.inserted, each.unchanged) for each in second.tables] == [(0, 1)] * 2
    with connected(config.database("postgres")) as connection:
        (table,) = {each for each in sa.inspect(connection).get_table_names() if each != "child"}
        columns = [each["name"] for each in sa.inspect(connection).get_columns(table)]
        (check,) = sa.inspect(connection).get_check_constraints(table)
    assert all(len(each) == 63 and each.startswith("xxx") for each in (table, columns[1]))
    assert columns[2] == "xmin_2"
    assert columns[1] in check["sqltext"]
