"""PostgreSQL's tables by its own catalogue, without models: as they are reflected, and as they are made once more."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.engines.postgresql_catalogue import catalogue
from toolkit.config import Config, load_config
from toolkit.operations.sync import sync

HERE = Path(__file__).parent


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for each in statements:
            connection.execute(each.encode())


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str, second_postgres_url: str) -> Config:
    """Two databases of PostgreSQL, and no models."""
    return load_config(tmp_path, {"TOOLKIT_ONE_URL": postgres_url, "TOOLKIT_TWO_URL": second_postgres_url})


def test_tables_in_another_database_are_the_same_again_by_the_servers_own_catalogue(
    pair: Config, postgres_url: str, second_postgres_url: str
) -> None:
    names = ("hostile_postgresql.sql", "hostile_postgresql_rows.sql")
    run(postgres_url, *((HERE / name).read_text(encoding="utf-8") for name in names))
    result = sync(pair, "one", "two")
    assert result.created_schema
    assert result.verified
    assert catalogue(second_postgres_url) == catalogue(postgres_url)
    again = sync(pair, "one", "two")
    assert {table.unchanged for table in again.tables} == {2, 3}
    assert sum(table.inserted + table.updated for table in again.tables) == 0
