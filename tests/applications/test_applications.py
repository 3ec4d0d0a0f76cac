"""Applications as a dozen frameworks write them go from SQLite into PostgreSQL, DuckDB and back, without a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from tests.applications.styles import (
    BACK,
    INTO_NOTHING,
    INTO_TABLES,
    STYLES,
    Style,
    foreign_keys,
    foreign_keys_of_file,
    make_file,
    other_rows,
    shown_rows,
)
from toolkit import diff, sync
from toolkit.config import Config
from toolkit.core.plan import SyncResult
from toolkit.errors import ToolkitError

OF_EACH = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)


@dataclass(frozen=True)
class Place:
    """The application's file, and the databases beside it."""

    config: Config
    file: Path
    returned: Path
    postgres: str


@pytest.fixture
def place(config: Config, urls: Mapping[str, str], style: Style) -> Place:
    """The application's file, and databases without tables."""
    file, returned = (Path(urls[name].removeprefix("sqlite:///")) for name in ("sqlite", "sqlite2"))
    make_file(style, file)
    bare = replace(config, metadata="", migrations=config.root / "none")
    return Place(bare, file, returned, urls["postgres"])


def written(result: SyncResult) -> int:
    return sum(table.inserted + table.updated + table.deleted for table in result.tables)


def said(place: Place, target: str) -> str:
    """What a sync without conversions would refuse, or make otherwise."""
    try:
        result = sync(place.config, "sqlite", target, dry_run=True)
    except ToolkitError as error:
        return str(error)
    return "\n".join(warning.reason or "" for warning in result.warnings)


def require_settled(place: Place, style: Style, target: str, convert: tuple[str, ...]) -> None:
    """Copy it, by the conversions that the report without them names, and see that nothing is left to do."""
    require_said(place, target, convert)
    copied(place, style, target, convert)
    assert written(sync(place.config, "sqlite", target, convert=convert)) == 0


def require_said(place: Place, target: str, convert: tuple[str, ...]) -> None:
    """See that the report without them names the conversions."""
    places = [f"--convert {each.partition(':')[0]}:" for each in convert]
    report = said(place, target) if convert else ""
    assert [each for each in places if each not in report] == []


def copied(place: Place, style: Style, target: str, convert: tuple[str, ...]) -> None:
    """Copy it, by these conversions."""
    result = sync(place.config, "sqlite", target, convert=convert)
    assert result.verified
    told = [warning.reason for warning in result.warnings if warning.table == style.record]
    assert told == ["table: It is a migration tool's record."]


def next_number(url: str, statement: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
        connection.rollback()
    assert row is not None
    return int(row[0])


@pytest.mark.slow
@OF_EACH
def test_its_rows_arrive_in_the_tables_that_it_has_made(style: Style, place: Place) -> None:
    with psycopg.connect(place.postgres, autocommit=True) as connection:
        connection.execute(style.script("postgres").encode())
    before, record = foreign_keys(place.postgres), shown_rows(place.postgres)
    require_settled(place, style, "postgres", style.into_tables)
    assert shown_rows(place.postgres) == sorted([*style.rows(INTO_TABLES), *record])
    assert foreign_keys(place.postgres) == before == foreign_keys_of_file(place.file)
    if style.insert:
        assert next_number(place.postgres, style.insert) == style.next_number


@pytest.mark.slow
@OF_EACH
def test_it_arrives_with_its_keys_in_databases_without_tables_and_comes_back(style: Style, place: Place) -> None:
    require_said(place, "postgres", style.into_nothing)
    # That nothing is left to do is shown where the application has made the tables, and of these by `diff` (below).
    copied(place, style, "postgres", style.into_nothing)
    copied(place, style, "duckdb", style.into_nothing)
    assert shown_rows(place.postgres) == style.rows(INTO_NOTHING)
    assert foreign_keys(place.postgres) == foreign_keys_of_file(place.file)
    if style.insert:
        assert next_number(place.postgres, style.insert_into_made or style.insert) == style.next_number
    assert diff(place.config, "postgres", "duckdb").equal
    assert sync(place.config, "postgres", "sqlite2").verified
    assert other_rows(place.returned, place.file) == style.rows(BACK)
    assert foreign_keys_of_file(place.returned) == foreign_keys_of_file(place.file)
