"""The shop's schema in place of the bundled one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations.archive_example import Gallery, gallery
from tests.servers.swift import S3Server
from toolkit.config import Config, Store, load_config
from toolkit.engines.postgresql.table import PostgresRepository


@pytest.fixture
def shop(config: Config, tmp_path: Path) -> Config:
    """The configuration for the shop's tables, which have no migrations."""
    return replace(config, metadata="tests.operations.shop:metadata", migrations=tmp_path / "no migrations")


@pytest.fixture
def cyclic(shop: Config) -> Config:
    """The configuration for the tables that refer to each other."""
    return replace(shop, metadata="tests.operations.shop:Cyclic")


@pytest.fixture
def small_rebuilds() -> Iterator[None]:
    """Let two rows be many enough for PostgreSQL's indexes to be built anew."""
    usual, PostgresRepository.rebuild_rows = PostgresRepository.rebuild_rows, 2
    yield
    PostgresRepository.rebuild_rows = usual


@pytest.fixture
def alone(tmp_path: Path) -> Config:
    """A configuration of one SQLite file, for which no server has to make a database."""
    (tmp_path / "toolkit.toml").write_text('metadata = "toolkit.models.todo:metadata"\n')
    return load_config(tmp_path, {"TOOLKIT_SQLITE_URL": f"sqlite:///{tmp_path}/one.sqlite3"})


@pytest.fixture(scope="session")
def archive_bucket(s3_server: S3Server) -> Store:
    """A store in a bucket, for archives under names of their own."""
    s3_server.create_bucket("archives")
    return Store("archive", "s3://archives", options=s3_server.options)


@pytest.fixture
def world(alone: Config) -> Gallery:
    """An empty gallery."""
    return gallery(alone, "sqlite")
