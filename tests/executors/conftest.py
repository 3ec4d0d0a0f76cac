"""Ray is no part of what the tests bring (287 MB): `uv sync --extra ray` adds it."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest

from tests.operations.databases import connected
from tests.operations.parted import METADATA, ROWS, fill, only
from toolkit.config import Config, Database

collect_ignore = [] if find_spec("ray") else ["test_ray.py"]


@pytest.fixture
def two(config: Config, second_postgres_url: str) -> Config:
    """A full table, and an empty one in another database."""
    target = Database("other", second_postgres_url, config.root)
    fill(config.database("postgres"), 3 * ROWS)
    with connected(target) as connection:
        METADATA.create_all(connection)
    return replace(only(config), databases={**config.databases, "other": target})
