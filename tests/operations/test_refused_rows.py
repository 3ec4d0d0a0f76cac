"""Rows that break a constraint of the target: the error says table, key, column or constraint, and what to do next."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.operations.databases import connected, contents, execute
from tests.operations.processes import toolkit
from toolkit.config import Config
from toolkit.core.tables import table_spec
from toolkit.engines import connect
from toolkit.engines.duckdb.table import DuckDBRepository
from toolkit.engines.portable.connection import DatabaseConnection
from toolkit.engines.portable.refusals import first_refused
from toolkit.engines.portable.table import TableRepository
from toolkit.engines.postgresql.table import PostgresRepository
from toolkit.engines.sqlite.table import SqliteRepository
from toolkit.errors import ToolkitError
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Options

METADATA = sa.MetaData()
PARENT = sa.Table("parent", METADATA, sa.Column("id", sa.Integer, primary_key=True))
ITEM = sa.Table(
    "item",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.ForeignKey("parent.id")),
    sa.Column("other_id", sa.Integer),
    sa.Column("email", sa.Text, unique=True),
    sa.Column("nick", sa.Text),
    sa.Column("kind", sa.Text),
    sa.Column("amount", sa.Integer),
    sa.Column("top", sa.Integer),
)
COLUMNS = {column.name: "TEXT" if isinstance(column.type, sa.Text) else "INTEGER" for column in ITEM.columns}
COLUMNS["id"] = "INTEGER PRIMARY KEY"
ROWS = 8
BAD = 5


def row(number: int, **other: Any) -> dict[str, Any]:
    names = {"email": f"e{number}", "nick": f"n{number}", "kind": "good"}
    return {"id": number, "parent_id": 1, "other_id": 1, **names, "amount": 1, "top": 9, **other}


@dataclass(frozen=True)
class Case:
    """A column or constraint of the target that the model does not have, a row that breaks it, and what is told."""

    columns: dict[str, str]
    bad: dict[str, Any]
    told: str
    constraint: str = ""
    index: str = ""
    telling: tuple[str, ...] = ("sqlite", "postgres", "duckdb")
    """The engines that have such a constraint."""


REFUSED = f"item id={BAD} is refused: "
CASES = {
    "check": Case(
        {},
        {"amount": -5},
        f"{REFUSED}*positive",
        "CONSTRAINT positive CHECK (amount > 0)",
        telling=("sqlite", "postgres"),
    ),
    # DuckDB keeps no names of checks.
    "check without a name": Case({"amount": "INTEGER CHECK (amount > 0)"}, {"amount": -5}, f"{REFUSED}*amount"),
    "check of two columns": Case({}, {"amount": 10}, f"{REFUSED}*", "CHECK (amount < top)"),
    "not null": Case({"kind": "TEXT NOT NULL"}, {"kind": None}, f"item id={BAD}: column 'kind' is NULL"),
    "unique": Case(
        {"email": "TEXT UNIQUE"},
        {"email": "e1"},
        f"item: unique email = e1 belongs to different rows: id=1 and id={BAD}",
    ),
    "unique in the target alone": Case(
        {"nick": "TEXT UNIQUE"}, {"nick": "n1"}, f"item: unique nick = n1 belongs to different rows: id=1 and id={BAD}"
    ),
    "unique index in the target alone": Case(
        {}, {"nick": "n1"}, f"item: unique nick = n1 belongs to different rows: id=1 and id={BAD}", index="(nick)"
    ),
    "unique expression": Case(
        {}, {"nick": "N1"}, "item id=[15] is refused: *odd", index="(lower(nick))", telling=("sqlite", "postgres")
    ),
    "foreign key": Case(
        {"parent_id": "INTEGER REFERENCES parent (id)"},
        {"parent_id": 7},
        f"*parent*id={BAD}",
        telling=("sqlite", "postgres"),
    ),
    "foreign key of DuckDB": Case(
        {"parent_id": "INTEGER REFERENCES parent (id)"},
        {"parent_id": 7},
        f"{REFUSED}parent_id points*",
        telling=("duckdb",),
    ),
    "foreign key in the target alone": Case(
        {"other_id": "INTEGER REFERENCES parent (id)"},
        {"other_id": 7},
        f"{REFUSED}*other_id*",
        telling=("postgres", "duckdb"),
    ),
    "too long": Case(
        {"kind": "VARCHAR(5)"},
        {"kind": "too long"},
        f"item id={BAD}: column 'kind' holds 'too long', which postgres cannot keep: *varying(5)",
        telling=("postgres",),
    ),
    "out of range": Case(
        {"amount": "SMALLINT"},
        {"amount": 70_000},
        f"item id={BAD}: column 'amount' holds 70000, which * cannot keep: the column's type there is *",
        telling=("postgres", "duckdb"),
    ),
    "enum": Case(
        {"kind": "kinds"},
        {"kind": "bad"},
        f"item id={BAD}: column 'kind' holds 'bad', which",
        telling=("postgres", "duckdb"),
    ),
}
PATHS = {
    "few into an empty table": Options(batch_rows=3),
    "many into an empty table": Options(batch_rows=3),
    "into a filled table": Options(batch_rows=3),
    "in parts into an empty table": Options(commit_every=100),
    "in parts into a filled table": Options(commit_every=100),
}
# Found in a filled table as another of them is.
IN_FILLED = ("check without a name", "not null", "unique", "unique in the target alone", "foreign key")
IN_PARTS = ("check without a name", "not null", "unique in the target alone")


TOLD = [(name, engine) for name, case in CASES.items() for engine in case.telling]


def paths_of(name: str, engine: str, *, filled: bool) -> list[str]:
    """The ways of writing into a table with a case's constraint."""
    return [
        path
        for path in PATHS
        if path.endswith("filled table") == filled
        # SQLite writes many rows as it writes few, and parts are written as all rows are.
        and not (engine == "sqlite" and path.startswith("many"))
        and (not path.startswith("in parts") or name in IN_PARTS)
    ]


@pytest.fixture
def strict(config: Config, tmp_path: Path) -> Config:
    """A configuration of these tables, which have no migrations."""
    return replace(config, metadata=f"{__name__}:METADATA", migrations=tmp_path / "none")


@contextmanager
def rebuilding() -> Iterator[None]:
    """Let two rows be enough for the ways of writing that large tables take."""
    usual = PostgresRepository.rebuild_rows, DuckDBRepository.row_group, SqliteRepository.staged_rows
    PostgresRepository.rebuild_rows, DuckDBRepository.row_group, SqliteRepository.staged_rows = 2, 2, 1
    yield
    PostgresRepository.rebuild_rows, DuckDBRepository.row_group, SqliteRepository.staged_rows = usual


@pytest.fixture
def few_are_many() -> Iterator[None]:
    """The same for a whole test."""
    with rebuilding():
        yield


def fill(config: Config, rows: list[dict[str, Any]], database: str = "sqlite2") -> None:
    """The source: tables without any constraint but their keys, and a parent."""
    make(config, database, COLUMNS)
    with connected(config.database(database)) as connection:
        connection.execute(PARENT.insert(), [{"id": 1}])
        connection.execute(ITEM.insert(), rows)


def make(config: Config, engine: str, columns: dict[str, str], constraint: str = "", *more: str) -> None:
    parts = [f"{name} {type_}" for name, type_ in columns.items()] + ([constraint] if constraint else [])
    statements = ["CREATE TABLE parent (id INTEGER PRIMARY KEY)", f"CREATE TABLE item ({', '.join(parts)})", *more]
    if "kinds" in columns.values():
        statements.insert(0, "CREATE TYPE kinds AS ENUM ('good', 'best')")
    execute(config.database(engine), *statements)


def make_strict(config: Config, engine: str, case: Case, *, filled: bool) -> None:
    """The target: with a constraint, and perhaps rows that will be changed, and one that only it has."""
    more = [f"CREATE UNIQUE INDEX odd ON item {case.index}"] if case.index else []
    if filled:
        more.append("INSERT INTO parent VALUES (1)")
        more += (f"INSERT INTO item VALUES ({n}, 1, 1, 'e{n}', 'n{n}', 'good', 1, 8)" for n in (2, BAD, 77))
    make(config, engine, COLUMNS | case.columns, case.constraint, *more)


@pytest.mark.parametrize(
    ("name", "engine", "filled"),
    [(*each, filled) for each in TOLD for filled in (False, True) if not filled or each[0] in IN_FILLED],
)
def test_a_row_that_breaks_a_constraint_is_named_with_it_and_nothing_is_written(
    strict: Config, name: str, engine: str, filled: bool
) -> None:
    case = CASES[name]
    fill(strict, [row(n, **(case.bad if n == BAD else {})) for n in range(1, ROWS + 1)])
    make_strict(strict, engine, case, filled=filled)
    before = contents(strict.database(engine), METADATA)["item"]
    pattern = case.told if case.told.startswith(("*", "item:")) or "column" in case.told else f"{engine}: {case.told}"
    for path in paths_of(name, engine, filled=filled):
        with rebuilding() if path.startswith("many") else nullcontext(), pytest.raises(ToolkitError) as caught:
            sync(strict, "sqlite2", engine, options=PATHS[path])
        require_like(f"{path}: {caught.value.fact}", f"{path}: {pattern}*")
        assert caught.value.advice.startswith(("Correct the ", "Change or remove one of the two", "Sync parent too"))
        assert contents(strict.database(engine), METADATA)["item"] == before, path


def require_like(text: str, pattern: str) -> None:
    """Compare by the wild cards `*` and `[…]` alone."""
    assert fnmatch.fnmatchcase(text, pattern), f"{text!r} is not like {pattern!r}"


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "duckdb"])
def test_a_row_of_a_fixture_that_breaks_a_constraint_is_named_with_it(
    strict: Config, tmp_path: Path, engine: str
) -> None:
    case = CASES["check without a name"]
    make_strict(strict, engine, case, filled=True)
    rows = [row(n, **(case.bad if n == BAD else {})) for n in range(1, ROWS + 1)]
    (tmp_path / "item.json").write_text(json.dumps(rows))
    with pytest.raises(ToolkitError) as caught:
        load_data(strict, engine, directory=tmp_path)
    require_like(caught.value.fact, f"{engine}: {case.told}*")


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "duckdb"])
def test_a_key_of_text_and_a_quote_in_the_value_are_named_as_they_are(strict: Config, engine: str) -> None:
    value = """it's "a) = (b", 50 %"""
    fill(strict, [row(1, nick=value), row(2), row(3, nick=value)])
    make_strict(strict, engine, CASES["unique in the target alone"], filled=False)
    with pytest.raises(ToolkitError) as caught:
        sync(strict, "sqlite2", engine)
    assert caught.value.fact == f"item: unique nick = {value} belongs to different rows: id=1 and id=3."


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "duckdb"])
def test_the_portable_repository_names_the_row_too(strict: Config, engine: str) -> None:
    case = CASES["check of two columns"]
    fill(strict, [row(n, **(case.bad if n == BAD else {})) for n in range(1, ROWS + 1)])
    make_strict(strict, engine, case, filled=False)
    spec = table_spec(ITEM)
    with connect(strict.database("sqlite2")) as source, connect(strict.database(engine), write=True) as target:
        assert isinstance(target, DatabaseConnection)
        with pytest.raises(ToolkitError) as caught:
            TableRepository(target, spec).upsert_many(source.repository(spec).read())
        assert not TableRepository(target, spec).count()
    require_like(caught.value.fact, f"{engine}: {REFUSED}*")


@pytest.mark.parametrize("bad", [1, 4, ROWS])
def test_nothing_that_duckdb_took_in_the_search_for_a_row_stays(strict: Config, bad: int) -> None:
    case = CASES["check without a name"]
    fill(strict, [row(n, **(case.bad if n == bad else {})) for n in range(1, ROWS + 1)])
    make_strict(strict, "duckdb", case, filled=False)
    with pytest.raises(ToolkitError, match=f"item id={bad} is refused"):
        sync(strict, "sqlite2", "duckdb")
    assert not any(contents(strict.database("duckdb"), METADATA).values())


def test_a_child_refused_by_a_check_is_not_mistaken_for_one_without_its_parent_which_was_written_before(
    strict: Config,
) -> None:
    columns = {"parent_id": "INTEGER REFERENCES parent (id)"}
    case = replace(CASES["check without a name"], columns={**CASES["check without a name"].columns, **columns})
    fill(strict, [row(n, **(case.bad if n == BAD else {})) for n in range(1, ROWS + 1)])
    make_strict(strict, "duckdb", case, filled=False)
    with pytest.raises(ToolkitError, match="CHECK constraint failed") as caught:
        sync(strict, "sqlite2", "duckdb")
    assert "parent" not in caught.value.fact


@pytest.mark.usefixtures("few_are_many")
def test_a_unique_value_of_an_earlier_statement_of_duckdb_is_named_with_a_row(strict: Config) -> None:
    fill(strict, [row(n, **({"nick": "n1"} if n == BAD else {})) for n in range(1, ROWS + 1)])
    make_strict(strict, "duckdb", CASES["unique in the target alone"], filled=True)
    with pytest.raises(ToolkitError) as caught:
        sync(strict, "sqlite2", "duckdb", options=Options(batch_rows=2))
    require_like(caught.value.fact, f"duckdb: {REFUSED}*n1*")


@pytest.mark.slow
def test_two_rows_of_many_with_one_unique_value_are_found_without_comparing_each_with_each(
    strict: Config, tmp_path: Path
) -> None:
    make(strict, "sqlite2", COLUMNS)
    # With its key, which the models would make, too: they would be refused before any row is read.
    make(strict, "postgres", COLUMNS)
    execute(strict.database("postgres"), "CREATE UNIQUE INDEX item_email ON item (email)")
    values = "n, NULL, NULL, 'e' || min(n, 99999), NULL, NULL, NULL, NULL"
    numbers = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 100000)"
    execute(strict.database("sqlite2"), f"{numbers} INSERT INTO item SELECT {values} FROM t")
    lines = [f'metadata = "{strict.metadata}"', 'migrations = "none"', "[databases]"]
    lines += [f'{name} = "{strict.database(name).address}"' for name in ("sqlite2", "postgres")]
    (tmp_path / "toolkit.toml").write_text("\n".join(lines))
    running = toolkit(tmp_path, "sync", "item", "--from", "sqlite2", "--to", "postgres")
    assert running.end(100) == 1
    assert "item: unique email = e99999 belongs to different rows: id=99999 and id=100000" in running.err


@pytest.mark.parametrize("bad", [0, 1, 499_999, 999_999, None])
def test_one_row_of_a_million_is_found_by_writing_each_of_them_twice_at_most(config: Config, bad: int | None) -> None:
    written = []

    def refusal(first: int, rows: int) -> Exception | None:
        written.append(rows)
        return ValueError("refused") if bad is not None and first <= bad < first + rows else None

    with connect(config.database("sqlite"), write=True) as connection:
        found = first_refused(connection, 1_000_000, refusal)
    assert bad == (None if found is None else found[0])
    assert sum(written) <= 2_000_000
    assert len(written) <= 22


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("name", ["check", "not null", "out of range"])
def test_a_row_that_postgres_refuses_when_many_more_were_sent_is_named_all_the_same(strict: Config, name: str) -> None:
    case = CASES[name]
    fill(strict, [row(n, **(case.bad if n == BAD else {})) for n in range(1, 100)])
    make_strict(strict, "postgres", case, filled=False)
    with pytest.raises(ToolkitError) as caught:
        sync(strict, "sqlite2", "postgres", options=Options(batch_rows=3))
    pattern = case.told if "column" in case.told else f"postgres: {case.told}"
    require_like(caught.value.fact, f"{pattern}*")
    assert not contents(strict.database("postgres"), METADATA)["item"]
