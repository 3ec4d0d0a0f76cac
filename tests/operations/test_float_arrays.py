"""Arrays of floats and dates without models: every number arrives bit by bit, in one dimension as in two."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.operations.databases import connected, execute
from toolkit import diff, sync
from toolkit.config import Config
from toolkit.operations.diff.compare import Status

# -0, digits that single precision rounds, numbers of which Python and PostgreSQL write other digits, the end of time.
NUMBERS = ("'-0.0'", "0", "0.1", "'NaN'", "1e20", "2.417575667652323e16", "7.6905125367202208e+16", "428072384", "NULL")
DAYS = ("'infinity'", "'2020-01-01'", "NULL")
COLUMNS = {
    "float8[]": f"ARRAY[{', '.join(NUMBERS)}]",
    "float4[]": f"ARRAY[{', '.join(NUMBERS)}]",
    "float8[][]": f"ARRAY[ARRAY[{', '.join(NUMBERS)}]]",
    "float4[][]": f"ARRAY[ARRAY[{', '.join(NUMBERS)}]]",
    "date[]": f"ARRAY[{', '.join(DAYS)}]",
}
TABLE = "CREATE TABLE t (id bigint PRIMARY KEY, " + ", ".join(f"c{n} {type_}" for n, type_ in enumerate(COLUMNS)) + ")"
ROW = "INSERT INTO t VALUES (1, " + ", ".join(f"{value}::{type_}" for type_, value in COLUMNS.items()) + ")"
TEXTS = "SELECT " + ", ".join(f"CAST(c{n} AS text)" for n in range(len(COLUMNS))) + " FROM t"


@pytest.fixture
def bare(config: Config) -> Config:
    """The configuration of the databases, without models."""
    return replace(config, metadata="", migrations=config.root / "none")


def texts(config: Config, name: str) -> list[tuple[str, ...]]:
    """The arrays as the database writes them."""
    with connected(config.database(name)) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(TEXTS)]


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), [("postgres", "duckdb"), ("duckdb", "postgres")])
def test_numbers_of_arrays_arrive_bit_by_bit(bare: Config, source: str, target: str) -> None:
    """What both engines write of the arrays says so, on the way by a file of SQLite, too."""
    statement = ROW if source == "postgres" else ROW.replace("float8", "double")
    for name in (source, target):
        execute(bare.database(name), TABLE.replace("float8", "double") if name == "duckdb" else TABLE)
    execute(bare.database(target), statement if source == target else ROW)
    wanted = texts(bare, target)
    execute(bare.database(target), "DELETE FROM t")
    execute(bare.database(source), statement)
    sync(bare, source, target)
    assert texts(bare, target) == wanted
    assert sync(bare, source, target).tables[0].unchanged == 1
    sync(bare, source, "sqlite")
    execute(bare.database(target), "DELETE FROM t")
    sync(bare, "sqlite", target)
    assert texts(bare, target) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite", "duckdb"])
def test_minus_zero_in_an_array_is_told_from_zero(bare: Config, target: str) -> None:
    """A diff sees it, in a row for each column and not in the one that is as it was."""
    columns = ("c0", "c1", "c2", "c3")
    rows = [ROW.replace("VALUES (1,", f"VALUES ({number},") for number in range(len(columns) + 1)]
    execute(bare.database("postgres"), TABLE, *rows)
    sync(bare, "postgres", target)
    assert {each.status for each in diff(bare, "postgres", target).tables} == {Status.SAME}
    for number, column in enumerate(columns):
        others = f"SELECT replace({column}::text, '-0', '0') FROM t WHERE id = {number}"
        execute(bare.database("postgres"), f"UPDATE t SET {column} = ({others})::float8[] WHERE id = {number}")
    (found,) = diff(bare, "postgres", target).tables
    assert (found.status, found.changed, found.unchanged) == (Status.DIFFERS, len(columns), 1)
