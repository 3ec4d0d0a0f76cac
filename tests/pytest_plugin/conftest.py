"""A small project of its own, whose tests are run by pytest inside a test."""

from __future__ import annotations

import gc
import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Loaded before pytester's runs in this process, which forget what they load: numpy, DuckDB, SQLAlchemy are loaded once.
import advanced_alchemy.base
import advanced_alchemy.config  # noqa: F401
import aiosqlite  # noqa: F401
import asyncpg  # noqa: F401
import duckdb  # noqa: F401
import numpy as np  # noqa: F401
import psycopg
import pyarrow.compute as pc  # noqa: F401
import pytest
from sqlalchemy import make_url

import toolkit.operations.fixtures.load
import toolkit.operations.migrations.schema
import toolkit.testing.pool  # noqa: F401
from toolkit.engines.postgresql.templates import prefix_of

SHOP = """
    import os

    from sqlalchemy import Column, Integer, MetaData, String, Table, event

    metadata = MetaData()
    item = Table("item", metadata, Column("id", Integer, primary_key=True), Column("name", String(20)))
    price = Table("price", metadata, Column("id", Integer, primary_key=True))

    @event.listens_for(metadata, "after_create")
    def note(target, connection, **_):
        with open(os.path.join(os.path.dirname(__file__), "created.txt"), "a") as file:
            print(connection.engine.name, file=file)
"""


@dataclass(frozen=True)
class Project:
    """The project's files, and pytest in it."""

    pytester: pytest.Pytester
    server: str

    def settings(self, *lines: str) -> None:
        """Write pytest's settings; every warning is an error."""
        # Hypothesis and Faker would be loaded anew by each run.
        options = "--strict-config --strict-markers -p no:hypothesispytest -p no:faker"
        usual = ["[pytest]", f"addopts = {options}", "filterwarnings = error"]
        self.pytester.makefile(".ini", pytest="\n".join([*usual, *lines]))

    def test(self, text: str) -> None:
        """Write the module of tests."""
        lines = "import pytest\nfrom sqlalchemy import text\n"
        self.pytester.makepyfile(test_shop=lines + textwrap.dedent(text))

    def fixture(self, table: str, *rows: dict[str, object]) -> None:
        """Write a fixture."""
        (self.pytester.path / "fixtures" / f"{table}.json").write_text(json.dumps(rows))

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest in this process."""
        return self.pytester.runpytest_inprocess(*arguments)

    def created(self) -> list[str]:
        """The engines on which the tables were made, once for each time."""
        return (self.pytester.path / "created.txt").read_text().split()

    def databases(self) -> list[str]:
        """The databases that the plugin made on the PostgreSQL server, without what they all begin with."""
        with psycopg.connect(self.server, autocommit=True) as connection:
            rows = databases_of(connection, self)
        return ["_".join(name.split("_")[2:]) for (name,) in rows]

    def files(self) -> list[Path]:
        """What the plugin left in pytest's cache, without locks."""
        cache = self.pytester.path / ".pytest_cache" / "d" / "toolkit"
        return sorted(path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock")


@pytest.fixture
def project(pytester: pytest.Pytester, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Two tables without migrations, a fixture for one of them, a PostgreSQL server."""
    monkeypatch.setenv("TOOLKIT_TEST_POSTGRES_URL", postgres_url)
    pytester.makefile(".toml", toolkit='metadata = "shop:metadata"\n')
    pytester.makepyfile(shop=textwrap.dedent(SHOP))
    pytester.mkdir("fixtures")
    project = Project(pytester, postgres_url)
    project.fixture("item", {"id": 1, "name": "bread"}, {"id": 2, "name": "salt"})
    project.settings("toolkit_databases = sqlite postgres duckdb")
    # Runs and tests in this process collect garbage: what was there before is none of theirs, and takes them seconds.
    gc.collect()
    gc.freeze()
    yield project
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for (name,) in databases_of(connection, project):
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def databases_of(connection: psycopg.Connection[tuple[str]], project: Project) -> list[tuple[str]]:
    """The project's databases: other tests make some on the same server meanwhile."""
    prefix = prefix_of(project.pytester.path, make_url(project.server).database)
    query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1"
    return connection.execute(query, (prefix,)).fetchall()
