"""What a database holds may be anything: it arrives as it is, or is refused by table, key and column."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from tests.operations.databases import connected, create
from toolkit.config import Config, Database, load_config
from toolkit.errors import UnrepresentableValueError
from toolkit.operations.diff.compare import Status, diff
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync
from toolkit.stores.fixture_files import FileForm, Format

MODULE = "values_of_a_test"
SPACE = sa.MetaData()
TYPES: dict[str, Any] = {
    "number": sa.Integer,
    "price": sa.Numeric(10, 2),
    "free": sa.Numeric,
    "double": sa.Double,
    "text": sa.Text,
    "json": sa.JSON,
    "jsonb": sa.JSON().with_variant(postgresql.JSONB(), "postgresql"),
    "length": sa.Interval,
    "time": sa.Time,
    "moment": sa.DateTime,
    "list": sa.ARRAY(sa.Integer).with_variant(sa.JSON(), "sqlite"),
    "documents": sa.ARRAY(sa.JSON).with_variant(sa.JSON(), "sqlite"),
}
for name, type_ in TYPES.items():
    sa.Table(name, SPACE, sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", type_))
sa.Table("keyed", SPACE, sa.Column("id", sa.Text, primary_key=True), sa.Column("v", sa.Integer))
Hold = Callable[..., None]
DEEP = "replace(hex(zeroblob({0})), '00', '[') || replace(hex(zeroblob({0})), '00', ']')"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each engine that has these tables."""
    folder = tmp_path_factory.mktemp("made")
    for name in ("sqlite", "duckdb"):
        create(Database(name, f"{name}:///{folder}/{name}.db", folder), SPACE)
    return folder


@pytest.fixture
def space(tmp_path: Path, made: Path, request: pytest.FixtureRequest) -> Iterator[Config]:
    """Tables of one value each in two databases of every engine that a test needs."""
    urls = {name: f"{name.rstrip('2')}:///{tmp_path}/{name}.db" for name in ("sqlite", "sqlite2", "duckdb", "duckdb2")}
    if "postgres" in request.node.name:
        urls["postgres"] = request.getfixturevalue("postgres_url")
        urls["postgres2"] = request.getfixturevalue("second_postgres_url")
    (tmp_path / "toolkit.toml").write_text('metadata = "toolkit.models.todo:metadata"\n')
    config = load_config(tmp_path, {f"TOOLKIT_{name.upper()}_URL": url for name, url in urls.items()})
    for name in urls:
        if name.startswith("postgres"):
            create(config.database(name), SPACE)
        else:
            shutil.copyfile(made / f"{name.rstrip('2')}.db", tmp_path / f"{name}.db")
    module = types.ModuleType(MODULE)
    module.metadata = SPACE  # type: ignore[attr-defined]
    sys.modules[MODULE] = module
    yield replace(config, metadata=f"{MODULE}:metadata", migrations=tmp_path / "none")
    sys.modules.pop(MODULE)


@pytest.fixture
def hold(space: Config) -> Hold:
    """Put values, written in the database's own SQL, into a table: a row each, the first of number 7."""

    def held(database: str, table: str, *values: str) -> None:
        rows = ", ".join(f"({key}, {value})" for key, value in enumerate(values, 7))
        with connected(space.database(database)) as connection:
            connection.exec_driver_sql(f'INSERT INTO "{table}" VALUES {rows}')

    return held


def stored(config: Config, database: str, table: str) -> list[Any]:
    with connected(config.database(database)) as connection:
        return [row[0] for row in connection.exec_driver_sql(f'SELECT CAST(v AS VARCHAR) FROM "{table}"').all()]


def refused(config: Config, source: str, table: str, target: str) -> str:
    """What a sync says of the one row, which the target then does not have."""
    with pytest.raises(UnrepresentableValueError) as caught:
        sync(config, source, target, [table])
    assert (caught.value.table, caught.value.key, caught.value.column) == (table, "id=7", "v")
    assert stored(config, target, table) == []
    return caught.value.problem


# -- SQLite ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "value", "problem"),
    [
        ("text", "CAST(x'61ff' AS TEXT)", r"b'a\xff'"),
        ("number", "CAST(x'eda080' AS TEXT)", r"b'\xed"),
        ("json", "CAST(x'225bff22' AS TEXT)", r"\xff"),
        ("number", "x'00ff'", r"b'\x00\xff'"),
        ("price", "x'ff'", r"b'\xff'"),
        ("price", "x'31652d3939393939393939'", "1e-99999999"),
        ("price", "'abc'", "'abc'"),
        ("free", "'sNaN'", "'sNaN'"),
        ("free", "x'3165393939393939'", "1e999999"),
        ("double", "x'316539393939'", "1e9999"),
        ("moment", "'10000-01-01'", "'10000"),
        ("time", "'24:00:00'", "'24:00:00'"),
        ("list", DEEP.format(1500), "[[["),
        ("list", "'[' || replace(hex(zeroblob(3000)), '00', '9') || ']'", "[999"),
        ("list", "'[99999999999]'", "[99999999999]"),
    ],
)
def test_a_value_that_is_none_of_its_column_is_named(
    space: Config, hold: Hold, table: str, value: str, problem: str
) -> None:
    hold("sqlite", table, value)
    assert problem in refused(space, "sqlite", table, "duckdb")
    with pytest.raises(UnrepresentableValueError, match="id=7"):
        dump_data(space, "sqlite", [table], directory=space.root / "dumped")


def test_a_key_that_is_no_text_is_named(space: Config) -> None:
    with closing(sqlite3.connect(space.root / "sqlite.db")) as connection:
        connection.execute("INSERT INTO keyed VALUES (CAST(x'61ff' AS TEXT), 1)")
        connection.commit()
    with pytest.raises(UnrepresentableValueError, match=r"id=b'a\\xff'"):
        sync(space, "sqlite", "duckdb", ["keyed"])


@pytest.mark.parametrize("target", ["sqlite2", "duckdb", "postgres"])
def test_documents_that_python_cannot_hold_arrive(space: Config, hold: Hold, target: str) -> None:
    digits, levels = "CAST(replace(hex(zeroblob(3000)), '00', '9') AS BLOB)", DEEP.format(1500)
    hold("sqlite", "json", digits, levels, "'{\"a\": [1e400, -0, 1.10]}'")
    assert sync(space, "sqlite", target, ["json"]).verified
    (compared,) = diff(space, "sqlite", target, ["json"]).tables
    assert compared.status is Status.SAME


@pytest.mark.parametrize("target", ["sqlite2", "postgres"])
def test_a_number_without_end_is_compared_as_it_is_written(space: Config, hold: Hold, target: str) -> None:
    hold("sqlite", "json", "'{\"a\": 1e1000000000}'")
    if target == "postgres":
        assert "holds a number that has more than" in refused(space, "sqlite", "json", target)
        return
    assert sync(space, "sqlite", target, ["json"]).verified
    hold("duckdb", "json", "'{\"a\": 1e1000000001}'")
    (compared,) = diff(space, "sqlite", "duckdb", ["json"], rows=1).tables
    assert compared.status is Status.DIFFERS


@pytest.mark.slow
@pytest.mark.parametrize("document", [r'[{"a": {"b":1, "b" :"\u003A"}}]', r'[{"a":  "\u0000"}]'])
def test_a_document_that_jsonb_would_not_keep_arrives_in_json_of_postgres_and_elsewhere_as_it_is_written(
    space: Config, hold: Hold, document: str
) -> None:
    hold("sqlite", "json", f"'{document}'")
    for source, target in itertools.pairwise(("sqlite", "postgres", "duckdb", "sqlite2")):
        assert sync(space, source, target, ["json"]).verified
    assert stored(space, "sqlite2", "json") == [document]
    dump_data(space, "duckdb", ["json"], directory=space.root / "dumped")
    load_data(space, "duckdb2", ["json"], directory=space.root / "dumped")
    assert stored(space, "duckdb2", "json") == [document]
    hold("postgres2", "json", """'[{"a": {"b": ":"}}]'""")
    for one in ("postgres", "sqlite"):
        (compared,) = diff(space, one, "postgres2", ["json"]).tables
        assert compared.status is Status.DIFFERS


def test_a_document_of_several_lines_is_dumped_on_one(space: Config, hold: Hold) -> None:
    hold("sqlite", "json", """'{"a":1,\n "a":\r\n2}'""")
    dump_data(space, "sqlite", ["json"], directory=space.root / "dumped", form=FileForm(Format.JSONL))
    load_data(space, "sqlite2", ["json"], directory=space.root / "dumped")
    assert stored(space, "sqlite2", "json") == ['{"a":1,  "a":  2}']


@pytest.mark.slow
def test_a_document_with_a_key_twice_is_refused_for_jsonb_of_postgres_before_and_while_it_is_written(
    space: Config, hold: Hold
) -> None:
    hold("sqlite", "jsonb", """'{"a":1,"a":2}'""")
    problem = "has a key twice in one object, which postgres cannot keep"
    with pytest.raises(UnrepresentableValueError, match=r"--convert jsonb\.v:last-duplicate-key") as caught:
        sync(space, "sqlite", "postgres", ["jsonb"], dry_run=True)
    assert caught.value.problem == problem == refused(space, "sqlite", "jsonb", "postgres")
    with connected(space.database("postgres2")) as connection:
        SPACE.drop_all(connection)
    with pytest.raises(UnrepresentableValueError, match="has a key twice"):
        sync(space, "sqlite", "postgres2", ["jsonb"], dry_run=True)
    hold("postgres", "jsonb", """'{"a": 2}'""")
    (compared,) = diff(space, "sqlite", "postgres", ["jsonb"]).tables
    assert compared.status is Status.DIFFERS


# -- PostgreSQL and DuckDB -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "one", "other"),
    [
        ("length", "'1 month'", "'2 months'"),
        ("length", "'1000000000 days'", "'1000000001 days'"),
        ("list", "'{{1,2},{3,4}}'", "'{1,2,3,4}'"),
        ("list", "'[5:6]={1,2}'", "'{1,2}'"),
    ],
)
def test_what_only_postgres_has_is_told_apart_and_carried_to_postgres_alone(
    space: Config, hold: Hold, table: str, one: str, other: str
) -> None:
    """Two intervals of months were one to a comparison, and an array of two dimensions arrived as one of one."""
    hold("postgres", table, one)
    for target in ("sqlite", "duckdb"):
        refused(space, "postgres", table, target)
    hold("postgres2", table, other)
    (compared,) = diff(space, "postgres", "postgres2", [table]).tables
    assert compared.status is Status.DIFFERS
    assert sync(space, "postgres", "postgres2", [table]).tables[0].updated == 1
    assert stored(space, "postgres", table) == stored(space, "postgres2", table)


@pytest.mark.parametrize(
    ("value", "problem"),
    [("'1e1000000000'", "a number"), (r"""'["\ud800"]'""", "invalid JSON")],
)
def test_a_document_that_postgres_cannot_compare_is_named(space: Config, hold: Hold, value: str, problem: str) -> None:
    hold("postgres", "json", value)
    (compared,) = diff(space, "postgres", "postgres2", ["json"]).tables
    assert compared.status is Status.FAILED
    assert "json id=7: column 'v' holds" in (compared.reason or "")
    assert problem in (compared.reason or "")
    assert problem in refused(space, "postgres", "json", "postgres2")


def test_a_document_with_a_key_twice_in_an_array_of_postgres_is_named(space: Config, hold: Hold) -> None:
    hold("postgres", "documents", """ARRAY['{"a": 1, "a": 2}'::json]""")
    assert "of type json[]" in refused(space, "postgres", "documents", "sqlite")


def test_an_interval_too_long_to_count_is_named_in_duckdb(space: Config, hold: Hold) -> None:
    hold("duckdb", "length", "INTERVAL 2147483647 days")
    assert "holds 2147483647 days, of type INTERVAL" in refused(space, "duckdb", "length", "sqlite")


@pytest.mark.parametrize("source", ["duckdb", "postgres"])
def test_the_end_of_a_day_is_not_its_beginning(space: Config, hold: Hold, source: str) -> None:
    hold(source, "time", "'24:00:00'")
    assert "'24:00:00'" in refused(space, source, "time", "sqlite")
    dump_data(space, source, ["time"], directory=space.root / "dumped")
    assert b'"24:00:00"' in (space.root / "dumped" / "time.json").read_bytes()
    assert load_data(space, "duckdb2", ["time"], directory=space.root / "dumped").verified
    assert stored(space, "duckdb2", "time") == ["24:00:00"]


@pytest.mark.parametrize("source", ["duckdb", "postgres"])
def test_the_longest_interval_is_dumped_and_loaded(space: Config, hold: Hold, source: str) -> None:
    hold(source, "length", "INTERVAL '-106751991 days'")
    dump_data(space, source, ["length"], directory=space.root / "dumped")
    assert load_data(space, "duckdb2", ["length"], directory=space.root / "dumped").verified
