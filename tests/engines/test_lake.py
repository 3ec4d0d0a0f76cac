"""A lake of Delta tables: the contract, and what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.suite import *  # noqa: F403 - the contract's tests
from toolkit.config import Database


@pytest.fixture(params=["fast", "decorated"])  # type: ignore[no-redef]
def kind(request: pytest.FixtureRequest) -> str:
    """A lake is written by its own repository alone: no statement writes a file."""
    return str(request.param)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """An empty lake."""
    return Database("lake", f"delta+file://{tmp_path}/lake")
