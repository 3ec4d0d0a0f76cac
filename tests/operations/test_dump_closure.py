"""`dump-data --closure`: the rows that chosen ones need come along, so that a set loads into an empty database."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.operations import lending
from tests.operations.databases import connected, contents, execute
from toolkit.config import Config
from toolkit.errors import ConfigurationError, UnknownNameError
from toolkit.operations.fixtures.closure import Closure
from toolkit.operations.fixtures.dump import DumpResult, dump_data
from toolkit.operations.fixtures.load import load_data

ENGINES = ["sqlite", "postgres", "duckdb"]
Rows = dict[str, Any]


@pytest.fixture
def library(config: Config, tmp_path: Path) -> Config:
    return replace(config, metadata="tests.operations.lending:metadata", migrations=tmp_path / "no migrations")


def found(directory: Path) -> Rows:
    """Every file's rows."""
    files = (path for path in directory.glob("*.json") if path.name != "manifest.json")
    return {path.stem: [tuple(row.values()) for row in json.loads(path.read_bytes())] for path in files}


AUTHORS = [(1, "a@x", None), (2, "b@x", 1), (3, "c@x", 2)]
BOOK = [(1, 3, "One")]
CHILDREN: Rows = {
    "volume": [(1, 1), (1, 2)],
    "shelved": [("A1", 1, 2)],
    "book_tag": [(1, 1), (1, 1), (1, 2), (1, None)],
    "tag": [(1, "red"), (2, "blue")],
}
LOADED = dict.fromkeys(("book", "shelved", "country"), 1) | dict.fromkeys(("volume", "tag", "city"), 2)
LOADED |= {"author": 4, "note": 3, "book_tag": 4}
Case = tuple[Any, Closure, Rows]
CASES: list[Case] = [
    ({"book": "id = 1"}, Closure.PARENTS, {"author": AUTHORS, "book": BOOK}),
    ({"book": "id = 1"}, Closure.BOTH, {"author": AUTHORS, "book": BOOK, **CHILDREN}),
    ({"country": "code = 'bb'"}, Closure.PARENTS, {"country": [(2, "bb", 3)], "city": [(3, 2, "Capital")]}),
    (
        {"shelved": "place = 'A1'"},
        Closure.PARENTS,
        {"shelved": [("A1", 1, 2)], "volume": [(1, 2)], "book": BOOK, "author": AUTHORS},
    ),
    ({"note": "id = 1"}, Closure.PARENTS, {"note": [(1, "b@x", "first")], "author": AUTHORS[:2]}),
    ({"note": "id = 2"}, Closure.BOTH, {"note": [(2, None, "of nobody")]}),
    (
        {"book_tag": "tag_id = 2 and book_id = 3", "tag": "slug = 'red'"},
        Closure.PARENTS,
        {
            "book_tag": [(3, 2)],
            "tag": [(1, "red"), (2, "blue")],
            "book": [(3, 4, "One")],
            "author": [(4, "d@x", None)],
        },
    ),
    # Rows without a key that a condition chose, and that are children of others, are there once.
    (
        {"book_tag": "tag_id = 1 OR tag_id IS NULL AND book_id IS NULL", "tag": "slug = 'blue'", "book": "id = 1"},
        Closure.BOTH,
        {
            "author": [*AUTHORS, (4, "d@x", None)],
            "book": [*BOOK, (3, 4, "One")],
            "book_tag": [(1, 1), (1, 1), (1, 2), (1, None), (3, 2), (None, None)],
            "tag": CHILDREN["tag"],
            "volume": CHILDREN["volume"],
            "shelved": CHILDREN["shelved"],
        },
    ),
]


@pytest.mark.parametrize(("engine", "cases"), [("sqlite", CASES), ("postgres", CASES[-2:]), ("duckdb", CASES[-2:])])
def test_the_rows_that_are_needed_come_along_and_no_others(
    library: Config, tmp_path: Path, engine: str, cases: list[Case]
) -> None:
    lending.fill(library.database(engine))
    for number, (where, closure, expected) in enumerate(cases):
        result = dump_data(library, engine, directory=tmp_path / f"{number}", where=where, closure=closure)
        rows = found(tmp_path / f"{number}")
        assert {name: sorted(each, key=repr) for name, each in rows.items()} == {
            name: sorted(each, key=repr) for name, each in expected.items()
        }
        assert not result.warnings
    dry = dump_data(library, engine, directory=tmp_path / "dry", where=where, closure=closure, dry_run=True)
    assert {table.table: table.rows for table in dry.tables} == {name: len(each) for name, each in rows.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "other"), [("sqlite", "postgres")])
def test_what_came_along_loads_into_an_empty_database(library: Config, tmp_path: Path, engine: str, other: str) -> None:
    lending.fill(library.database(engine))
    where = {"book": "id = 1", "country": "id = 1", "note": "1 = 1"}
    # Which rows are named by what is the same for each engine.
    for natural in (False, True) if engine == "sqlite" else (False,):
        out = tmp_path / f"{natural}"
        dump_data(library, engine, directory=out, where=where, closure=Closure.BOTH, natural=natural)
        target = f"sqlite:///{tmp_path}/{natural}.sqlite3" if natural else other
        result = load_data(library, target, directory=out)
        assert result.verified
        rows = contents(library.database(target), lending.metadata)
        assert {name: len(each) for name, each in rows.items()} == LOADED


def test_named_tables_are_whole_and_others_as_they_are_needed(library: Config, tmp_path: Path) -> None:
    lending.fill(library.database("sqlite"))
    dump_data(library, "sqlite", ["shelved"], directory=tmp_path / "out", closure=Closure.PARENTS)
    rows = found(tmp_path / "out")
    assert {name: len(each) for name, each in rows.items()} == {"shelved": 2, "volume": 2, "book": 2, "author": 4}


def told(result: DumpResult) -> list[tuple[str, str, int | None]]:
    return [(each.outcome, each.table, each.rows) for each in result.warnings]


def test_what_it_does_not_reach_is_told(library: Config, tmp_path: Path) -> None:
    lending.fill(library.database("sqlite"))
    execute(library.database("sqlite"), "INSERT INTO book_tag VALUES (1, 77), (1, 78)")
    result = dump_data(
        library,
        "sqlite",
        directory=tmp_path / "out",
        where={"book_tag": "book_id = 1"},
        exclude=["author"],
        closure=Closure.PARENTS,
    )
    assert told(result) == [("parents not in the closure", "book", 1), ("parents not in the closure", "book_tag", 2)]
    assert "author_id points at author, and that table is left out (1 value)" in result.warnings[0].reason
    assert "tag_id points at tag, and such a row is not there (2 values)" in result.warnings[1].reason


def test_a_closure_of_nothing_is_refused(library: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="none were chosen"):
        dump_data(library, "sqlite", directory=tmp_path, closure=Closure.PARENTS)
    with pytest.raises(UnknownNameError, match="boook"):
        dump_data(library, "sqlite", ["boook"], directory=tmp_path, closure=Closure.PARENTS)


@pytest.mark.parametrize("engine", ["postgres"])
def test_tables_without_models_have_a_closure(config: Config, tmp_path: Path, engine: str) -> None:
    config = replace(config, metadata="", migrations=tmp_path / "no migrations")
    execute(
        config.database(engine),
        "CREATE TABLE a (x integer, y varchar, UNIQUE (x, y))",
        "CREATE TABLE b (p varchar, q integer, FOREIGN KEY (q, p) REFERENCES a (x, y))",
        "INSERT INTO a VALUES (1, 'one'), (2, 'two'), (2, 'one'), (NULL, 'one')",
        "INSERT INTO b VALUES ('one', 1), ('two', NULL), ('one', 2), ('one', 2)",
    )
    dump_data(config, engine, directory=tmp_path / "out", where={"b": "q = 2"}, closure=Closure.PARENTS)
    assert found(tmp_path / "out") == {"a": [(2, "one")], "b": [("one", 2), ("one", 2)]}
    dump_data(config, engine, directory=tmp_path / "both", where={"a": "x = 1"}, closure=Closure.BOTH)
    assert found(tmp_path / "both") == {"a": [(1, "one")], "b": [("one", 1)]}


@pytest.mark.parametrize("engine", ENGINES)
def test_chains_of_any_length_and_more_keys_than_a_statement_takes(
    library: Config, tmp_path: Path, engine: str
) -> None:
    with connected(library.database(engine)) as connection:
        lending.metadata.create_all(connection, checkfirst=False)
        chain = [{"id": n, "email": f"{n}", "mentor_id": n - 1 if 0 < n < 12 else None} for n in range(1500)]
        connection.execute(sa.insert(lending.author).values(chain))
        books = [{"id": n, "author_id": n, "title": "t"} for n in range(10, 1500)]
        connection.execute(sa.insert(lending.book).values(books))
    where = {"book": "id < 1000"}
    result = dump_data(library, engine, directory=tmp_path, where=where, closure=Closure.PARENTS)
    assert {table.table: table.rows for table in result.tables} == {"author": 1000, "book": 990}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_value_that_the_other_column_cannot_hold_is_of_no_row(config: Config, tmp_path: Path, engine: str) -> None:
    config = replace(config, metadata="tests.operations.test_dump_closure:UNLIKE", migrations=tmp_path / "none")
    with connected(config.database(engine)) as connection:
        UNLIKE.create_all(connection, checkfirst=False)
        connection.execute(sa.insert(UNLIKE.tables["large"]), [{"id": 2**40, "up": None}, {"id": 3, "up": 3}])
        connection.execute(sa.insert(UNLIKE.tables["small"]), [{"id": 3, "large_id": 3}])
    dump_data(config, engine, ["large"], directory=tmp_path / "out", closure=Closure.BOTH)
    assert found(tmp_path / "out") == {"large": [(3, 3), (2**40, None)], "small": [(3, 3)]}


UNLIKE = sa.MetaData()
sa.Table(
    "large",
    UNLIKE,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("up", sa.ForeignKey("large.id")),
)
sa.Table(
    "small",
    UNLIKE,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("large_id", sa.Integer, sa.ForeignKey("large.id")),
)
