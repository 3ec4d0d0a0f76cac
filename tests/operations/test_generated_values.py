"""Columns that both databases generate: nobody sends their values, and where they differ, it is said or refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from tests.operations.databases import create, execute
from tests.operations.test_hard_schemas import Using, using
from toolkit import Options, diff, sync
from toolkit.config import Config
from toolkit.core.plan import SyncResult
from toolkit.errors import GeneratedOtherwiseError
from toolkit.operations.diff.compare import DiffResult, Status
from toolkit.operations.reflection.created_columns import Computation, TableMaking

__all__ = ["using"]

VIRTUAL = {"sqlite": "VIRTUAL", "postgres": "STORED", "duckdb": "VIRTUAL"}
TABLE = "CREATE TABLE t (id integer PRIMARY KEY, x integer, g integer GENERATED ALWAYS AS ({}) {}, h integer)"
ROWS = "INSERT INTO t (id, x) VALUES (1, 10), (2, -7), (3, NULL)"


@pytest.fixture
def bare(config: Config) -> Config:
    """The configuration of the databases, without models."""
    return replace(config, metadata="", migrations=config.root / "none")


def make(config: Config, name: str, expression: str, *more: str) -> None:
    execute(config.database(name), TABLE.format(expression, VIRTUAL[name.rstrip("2")]), *more)


def told(result: SyncResult | DiffResult) -> list[tuple[str, int | None]]:
    return [(each.place, each.rows) for each in result.warnings if each.is_of_generated]


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgres"), ("postgres", "duckdb")])
def test_other_values_of_a_table_that_was_there_are_told_and_are_a_difference(
    bare: Config, source: str, target: str
) -> None:
    make(bare, source, "x * 2", ROWS)
    make(bare, target, "abs(x) * 2")
    for _ in ("written", "compared"):
        found = sync(bare, source, target)
        assert found.verified
        assert told(found) == [("t.g", 1)]
    [reason] = [each.reason for each in found.warnings if each.is_of_generated]
    assert "id=2: g '-14' was sent, '14' is there" in reason
    compared = diff(bare, source, target)
    assert (told(compared), compared.equal) == ([("t.g", 1)], False)
    assert [each.status for each in compared.tables] == [Status.DIFFERS]
    assert told(sync(bare, source, target, exclude_columns=["t.g"])) == []
    assert diff(bare, source, target, exclude_columns=["t.g"]).equal
    assert diff(bare, source, target, columns=["x"]).equal


@pytest.mark.parametrize(("source", "target"), [("duckdb", "sqlite")])
def test_equal_values_say_nothing(bare: Config, source: str, target: str) -> None:
    make(bare, source, "x * 2", ROWS)
    make(bare, target, "x + x")
    assert told(sync(bare, source, target)) == []
    assert diff(bare, source, target).equal


@pytest.mark.slow
@pytest.mark.parametrize("target", ["postgres", "duckdb"])
def test_a_table_that_would_generate_other_values_is_not_made(
    bare: Config, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(bare, "sqlite", "x * 2", ROWS)
    monkeypatch.setattr(TableMaking, "_computation", lambda *_: Computation('"x" * 3', frozenset("x")))
    with pytest.raises(
        GeneratedOtherwiseError, match=r"t: values of g.* First: id=1: g '20' was sent, '30' is there"
    ) as e:
        sync(bare, "sqlite", target)
    assert "--exclude-column t.g" in e.value.advice
    assert sync(bare, "sqlite", target, exclude_columns=["t.g"]).created_schema


@pytest.mark.slow
def test_each_column_is_told_by_the_source_name_and_none_without_verifying(bare: Config) -> None:
    make(bare, "sqlite", "x * 2", "ALTER TABLE t ADD k integer AS (x + 1)", ROWS)
    execute(
        bare.database("postgres"),
        "CREATE TABLE t (id int PRIMARY KEY, x int, h int, g2 int GENERATED ALWAYS AS (x * 2) STORED, "
        "k int GENERATED ALWAYS AS (x + 2) STORED)",
    )
    names = {"t.g": "t.g2"}
    assert told(sync(bare, "sqlite", "postgres", rename=names)) == [("t.k", 2)]
    assert told(sync(bare, "sqlite", "postgres", rename=names, options=Options(verify=False))) == []
    execute(bare.database("postgres"), "ALTER TABLE t DROP g2, ADD g2 int GENERATED ALWAYS AS (x * 3) STORED")
    assert told(sync(bare, "sqlite", "postgres", rename=names)) == [("t.g", 2), ("t.k", 2)]
    assert told(diff(bare, "sqlite", "postgres", rename=names)) == [("t.g", 2), ("t.k", 2)]


def test_rows_of_a_table_without_a_key_are_told_apart_by_all_of_their_values(bare: Config) -> None:
    table = "CREATE TABLE t (x integer, g integer GENERATED ALWAYS AS ({}) STORED)"
    execute(bare.database("sqlite"), table.format("x * 2"), "INSERT INTO t VALUES (1), (1), (-1)")
    execute(bare.database("postgres"), table.format("abs(x * 2)"))
    assert told(sync(bare, "sqlite", "postgres")) == [("t.g", 1)]


def test_rows_that_only_the_target_has_are_not_counted(bare: Config) -> None:
    make(bare, "sqlite", "x * 2", ROWS)
    make(bare, "postgres", "x * 2", "INSERT INTO t (id, x) VALUES (9, 9)")
    assert told(sync(bare, "sqlite", "postgres")) == []


def test_columns_that_models_generate_are_compared_too(using: Using) -> None:
    metadata = sa.MetaData()
    sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("x", sa.Integer))
    metadata.tables["t"].append_column(sa.Column("g", sa.Integer, sa.Computed("x * 2", persisted=True)))
    own = using(metadata)
    create(own.database("sqlite"), metadata)
    execute(own.database("sqlite"), ROWS)
    execute(
        own.database("postgres"),
        "CREATE TABLE t (id int PRIMARY KEY, x int, g int GENERATED ALWAYS AS (abs(x) * 2) STORED)",
    )
    found = sync(own, "sqlite", "postgres")
    assert (found.verified, told(found)) == (True, [("t.g", 1)])
    assert told(sync(own, "sqlite", "postgres", exclude_columns=["t.g"])) == []


def test_values_that_cannot_be_read_as_their_columns_type_are_told(bare: Config) -> None:
    make(bare, "sqlite", "'n' || x", ROWS)
    make(bare, "postgres", "x * 2")
    assert told(sync(bare, "sqlite", "postgres")) == [("t.g", None)]


@pytest.mark.parametrize(
    ("key", "source", "target"), [("PRIMARY KEY", "sqlite", "postgres"), ("NOT NULL", "duckdb", "sqlite")]
)
def test_values_of_rows_that_differ_are_not_said_to_be_generated_otherwise(
    bare: Config, source: str, target: str, key: str
) -> None:
    for name, rows in ((source, "(1, 10, 1), (2, 3, 1)"), (target, "(1, 11, 1), (2, 3, 1)")):
        table = TABLE.replace("PRIMARY KEY", key).format("x * 2", VIRTUAL[name])
        execute(bare.database(name), table, f"INSERT INTO t (id, x, h) VALUES {rows}")
    found = diff(bare, source, target)
    assert (told(found), [each.status for each in found.tables]) == ([], [Status.DIFFERS])
