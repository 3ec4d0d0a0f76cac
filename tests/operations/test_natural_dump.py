"""`dump-data --natural`: references by unique keys, and no keys that a load makes anew: fixtures survive renumbering."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.operations import lending
from tests.operations.databases import connected, contents, execute
from tests.operations.outcomes import files_in
from toolkit.config import Config
from toolkit.core.tables import table_spec
from toolkit.errors import FixtureError
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.fixtures.natural import NaturalTable, natural_tables

ENGINES = ["sqlite", "postgres", "duckdb"]
# All whose keys need not stay.
FREE = ["author", "book", "volume", "shelved", "tag", "book_tag"]


@pytest.fixture
def library(config: Config, tmp_path: Path) -> Config:
    return replace(config, metadata="tests.operations.lending:metadata", migrations=tmp_path / "no migrations")


def rows(directory: Path, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((directory / f"{table}.json").read_bytes())
    return found


def tables(metadata: sa.MetaData) -> Mapping[str, NaturalTable]:
    return natural_tables([table_spec(table) for table in metadata.sorted_tables])


def test_rows_point_by_unique_keys_nested_and_keys_are_left_out(library: Config, tmp_path: Path) -> None:
    lending.fill(library.database("sqlite"))
    result = dump_data(library, "sqlite", directory=tmp_path / "out", natural=True)
    assert rows(tmp_path / "out", "author")[1] == {"email": "b@x", "mentor": {"email": "a@x"}}
    one = {"author": {"email": "c@x"}, "title": "One"}
    assert rows(tmp_path / "out", "book")[0] == one
    assert rows(tmp_path / "out", "volume")[0] == {"book": one, "number": 1}
    assert rows(tmp_path / "out", "shelved")[0] == {"place": "A1", "volume": {"book": one, "number": 2}, "number": 2}
    assert rows(tmp_path / "out", "book_tag")[3] == {"book": one, "tag": None}
    # What has no name stays, and is told: of no unique key, and of one that leads through a cycle.
    assert rows(tmp_path / "out", "city")[0] == {"id": 1, "country": {"code": "aa"}, "name": "Capital"}
    assert rows(tmp_path / "out", "country")[0] == {"code": "aa", "capital_id": 1}
    assert {each.table for each in result.warnings if each.outcome == "key kept"} == {"note", "city"}


@pytest.mark.parametrize("engine", ENGINES)
def test_they_survive_renumbering_and_come_back_the_same(library: Config, tmp_path: Path, engine: str) -> None:
    database = library.database(engine)
    lending.fill(library.database("sqlite") if engine != "sqlite" else database)
    dump_data(library, "sqlite", directory=tmp_path / "out", natural=True)
    before = files_in(tmp_path / "out")
    if engine == "sqlite":
        library = replace(library, databases={**library.databases, "sqlite": library.database("duckdb")})
    load_data(library, engine, directory=tmp_path / "out")
    dump_data(library, engine, directory=tmp_path / "again", natural=True)
    assert files_in(tmp_path / "again") == before
