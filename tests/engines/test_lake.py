"""A lake of Delta tables: the contract, and what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.suite import *  # noqa: F403 - the contract's tests
from toolkit.config import Database

# What an application's own type changes is how values are stored, and what is asked of them by key.
WITH_TYPES = (
    "test_what_was_written_is_read_back_by_both_ways",
    "test_digests_are_those_of_the_canonical_rows_and_of_what_was_sent",
    "test_an_upsert_updates_rows_with_the_same_key_and_inserts_the_others",
    "test_rows_are_deleted_by_key",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A lake is written by its own repository alone: no statement writes a file."""
    if "kind" in metafunc.fixturenames:
        has_types = metafunc.function.__name__ in WITH_TYPES
        metafunc.parametrize("kind", ["fast", "decorated"] if has_types else ["fast"], indirect=True)


@pytest.fixture  # type: ignore[no-redef]
def kind(request: pytest.FixtureRequest) -> str:
    """Which of the contract's tables."""
    return str(request.param)


@pytest.fixture  # type: ignore[no-redef]
def way() -> str:
    """Its own repository."""
    return "fast"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """An empty lake."""
    return Database("lake", f"delta+file://{tmp_path}/lake")
