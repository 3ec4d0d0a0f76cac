"""A logical type that nobody knew: one adapter, registered, takes it through all pairs of engines and all commands."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from tests.operations.clients import for_clients, run_script
from tests.operations.databases import connected, create, execute
from toolkit.config import Config
from toolkit.core.logical import Kind, LogicalType, TypeAdapter, register, unregister
from toolkit.core.tables import table_spec
from toolkit.engines import connect
from toolkit.engines.portable.literals import each
from toolkit.engines.postgresql.adapter import PostgresAdapter
from toolkit.engines.postgresql.adapters import ADAPTERS
from toolkit.errors import FixtureProblemsError
from toolkit.operations.diff.compare import diff
from toolkit.operations.diff.script import diff_sql
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync

ENGINES = ("sqlite", "postgres", "duckdb")
# Each engine to itself, as it may send rows that it does not look at, to another and from another.
PAIRS = list(itertools.pairwise([*ENGINES, ENGINES[0]]))


class Version(sa.types.UserDefinedType[str]):
    """A semantic version, as the text `1.20.3`."""

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        return "VARCHAR(40)"


class Steps(Version):
    """The same, kept in PostgreSQL as an array of numbers."""

    cache_ok = True


@compiles(Steps, "postgresql")
def _steps(*_: Any, **__: Any) -> str:
    return "INTEGER[]"


class Tags(sa.types.UserDefinedType[str]):
    """A list of words."""

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        return "TEXT[]"


@compiles(Tags, "sqlite")
def _tags(*_: Any, **__: Any) -> str:
    return "JSON"


class TagsAdapter(TypeAdapter):
    """One string in fixtures, an array to every engine."""

    kind = "tags"
    carrier = Kind.ARRAY

    @classmethod
    def recognise(cls, declared: sa.types.TypeEngine[Any]) -> LogicalType | None:
        return LogicalType(cls.kind, element=LogicalType(Kind.TEXT)) if isinstance(declared, Tags) else None

    @property
    def is_nested(self) -> bool:
        return False

    def json_value(self, value: Any) -> Any:
        return " ".join(value)

    def parse_json(self, value: Any) -> Any:
        return value.split()


class VersionAdapter(TypeAdapter):
    """A list of numbers in fixtures; a text everywhere else."""

    kind = "version"
    carrier = Kind.TEXT

    @classmethod
    def recognise(cls, declared: sa.types.TypeEngine[Any]) -> LogicalType | None:
        return LogicalType(cls.kind) if type(declared) is Version else None

    def json_value(self, value: Any) -> Any:
        return [int(part) for part in value.split(".")]

    def parse_json(self, value: Any) -> Any:
        if not isinstance(value, list) or not all(type(part) is int for part in value):
            raise ValueError("is not a list of numbers")
        return ".".join(map(str, value))


class StepsAdapter(VersionAdapter):
    kind = "steps"

    @classmethod
    def recognise(cls, declared: sa.types.TypeEngine[Any]) -> LogicalType | None:
        return LogicalType(cls.kind) if type(declared) is Steps else None


class PostgresSteps(PostgresAdapter):
    """What PostgreSQL alone does otherwise."""

    wire = "text"
    is_short = False

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.func.array_to_string(sa.type_coerce(source, sa.types.NullType()), ".")

    def encode(self, values: pa.Array) -> list[Any]:
        return [None if value is None else [int(part) for part in value.split(".")] for value in values.to_pylist()]

    def fetch(self, name: str) -> str:
        return f"array_to_string({name}, '.')"

    def store(self, name: str, actual: str) -> str:
        return f"string_to_array({name}, '.')::{actual}"

    def text(self, value: Any) -> str:
        return f"{{{value.replace('.', ',')}}}"

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return None

    def literals(self, values: pa.Array) -> list[str]:
        return each(values, lambda value: f"'{self.text(value)}'")


metadata = sa.MetaData()
sa.Table(
    "release",
    metadata,
    sa.Column("version", Version, primary_key=True),
    sa.Column("needs", Version),
    sa.Column("steps", Steps),
    sa.Column("earlier", Steps, nullable=True),
    sa.Column("tags", Tags),
)
ROWS = [
    ("1.0.0", None, "1.0.0", None, ("first", "old")),
    ("1.20.3", "1.0.0", "10.2", "1.0.0", None),
    ("10.0.0", "1.20.3", "7", "0", ("new",)),
]
KINDS = (VersionAdapter, StepsAdapter, TagsAdapter)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The types are known while a test runs."""
    for adapter in KINDS:
        register(adapter)
    monkeypatch.setitem(ADAPTERS, "steps", PostgresSteps)
    yield
    for adapter in KINDS:
        unregister(adapter)


@pytest.fixture
def config(config: Config, second_postgres_url: str) -> Config:
    """A second database of each engine, and the table's model."""
    databases = {**config.databases, "postgres2": replace(config.database(second_postgres_url), name="postgres2")}
    return replace(config, metadata=f"{__name__}:metadata", databases=databases)


def fill(config: Config, name: str, rows: list[tuple[Any, ...]] = ROWS) -> None:
    """The table in a database, with these rows, as an application writes them."""
    database = config.database(name)
    create(database, metadata)
    numbers = "string_to_array('{}', '.')::int[]" if database.engine_name == "postgresql" else "'{}'"
    for *versions, steps, earlier, tags in rows:
        plain = ["NULL" if each is None else f"'{each}'" for each in versions]
        stepped = ["NULL" if each is None else numbers.format(each) for each in (steps, earlier)]
        brackets = "{}" if database.engine_name == "postgresql" else "[]"
        words = None if tags is None else ",".join(f'"{tag}"' for tag in tags)
        tagged = "NULL" if words is None else f"'{brackets[0]}{words}{brackets[1]}'"
        execute(database, f"INSERT INTO release VALUES ({', '.join([*plain, *stepped, tagged])})")


def found(config: Config, name: str) -> list[tuple[Any, ...]]:
    """What an application finds there."""
    with connected(config.database(name)) as connection:
        rows = connection.execute(sa.text("SELECT version, needs, steps, earlier, tags FROM release ORDER BY 1")).all()
    return [(*map(_dotted, row[:-1]), _listed(row[-1])) for row in rows]


def _dotted(cell: Any) -> Any:
    return ".".join(map(str, cell)) if isinstance(cell, list) else cell


def _listed(cell: Any) -> Any:
    return None if cell is None else tuple(json.loads(cell) if isinstance(cell, str) else cell)


@pytest.mark.parametrize(("source", "other"), PAIRS)
def test_it_goes_from_every_engine_and_to_every_one(config: Config, source: str, other: str) -> None:
    target = f"{other}2"
    fill(config, source)
    create(config.database(target), metadata)
    first = sync(config, source, target)
    assert (first.tables[0].inserted, first.tables[0].verified) == (3, True)
    assert found(config, target) == ROWS
    execute(config.database(target), "UPDATE release SET needs = '9.9.9' WHERE version = '10.0.0'")
    execute(config.database(target), "UPDATE release SET steps = earlier WHERE version = '1.20.3'")
    assert diff(config, source, target).tables[0].changed == 2
    assert sync(config, source, target).tables[0].updated == 2
    assert found(config, target) == ROWS
    assert sync(config, source, target).tables[0].unchanged == 3


@pytest.mark.parametrize("engine", ENGINES)
def test_it_is_dumped_in_its_own_form_and_loaded_again(config: Config, tmp_path: Path, engine: str) -> None:
    target = f"{engine}2"
    fill(config, engine)
    create(config.database(target), metadata)
    dump_data(config, engine, directory=tmp_path / "fixtures")
    text = (tmp_path / "fixtures" / "release.json").read_text()
    versions = {"version": [1, 20, 3], "needs": [1, 0, 0], "steps": [10, 2], "earlier": [1, 0, 0]}
    assert json.loads(text)[1] == {**versions, "tags": None}
    assert json.loads(text)[0]["tags"] == "first old"

    load_data(config, target, directory=tmp_path / "fixtures")
    assert found(config, target) == ROWS

    (tmp_path / "fixtures" / "release.json").write_text(text.replace("20", '"20"'))
    with pytest.raises(FixtureProblemsError, match=r"column 'version': \[1, *\"20\", *3\] is not a list of numbers"):
        load_data(config, target, directory=tmp_path / "fixtures")


@pytest.mark.parametrize("target", ENGINES)
def test_a_script_writes_it(config: Config, tmp_path: Path, target: str) -> None:
    for_clients(config)
    fill(config, "sqlite2")
    fill(config, target, [("1.0.0", "3", "3", "3", ("x",)), ("8.8.8", None, "1", None, None)])
    diff_sql(config, "sqlite2", target, tmp_path / "script.sql")
    assert run_script(config.database(target), tmp_path / "script.sql").returncode == 0
    assert found(config, target) == ROWS


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_are_found_by_such_a_key(config: Config, engine: str) -> None:
    fill(config, engine)
    spec = table_spec(metadata.tables["release"])
    keys = pa.table({"version": pa.array(["10.0.0", "1.0.0"])})
    for write in (False, True):
        with connect(config.database(engine), write=write) as connection:
            batches = list(connection.repository(spec).read(keys=keys))
        assert sorted(row["steps"] for batch in batches for row in batch.to_pylist()) == ["1.0.0", "7"]


def test_without_its_adapter_it_is_carried_as_the_engines_own_text() -> None:
    unregister(VersionAdapter)
    try:
        assert table_spec(metadata.tables["release"]).column("version").type.kind == Kind.NATIVE
    finally:
        register(VersionAdapter)
