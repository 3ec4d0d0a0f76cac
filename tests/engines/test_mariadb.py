"""MariaDB: the contract, and what is its own, on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.suite import *  # noqa: F403 - the contract's tests
from toolkit.config import Database


@pytest.fixture
def database(mariadb_url: str, tmp_path: Path) -> Database:
    """An empty database of MariaDB."""
    return Database("mariadb", mariadb_url, tmp_path)
