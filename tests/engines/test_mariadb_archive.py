"""Archives of files that rows of MariaDB name: what is so of every engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations import test_archive_push as pushing
from tests.operations import test_archive_restore as restoring
from tests.operations.archive_example import gallery
from toolkit.config import Config, Database
from toolkit.operations.archive.outcomes import Outcome


@pytest.fixture
def config(config: Config, mariadb_url: str, tmp_path: Path) -> Config:
    """A configuration that names an empty database of MariaDB, too."""
    database = Database("mariadb", mariadb_url, tmp_path)
    return replace(config, databases={**config.databases, "mariadb": database})


@pytest.mark.parametrize(
    "test",
    [
        pushing.test_every_file_is_archived_once_and_the_snapshot_says_whose,
        pushing.test_a_move_points_rows_at_the_archive_and_removes_live_files,
        restoring.test_a_lost_live_store_comes_back_and_rows_stay_as_they_are,
        restoring.test_moved_rows_get_their_reference_back_to_the_letter,
        restoring.test_an_emptied_column_is_filled_again,
        restoring.test_only_rows_that_meet_a_condition_are_restored,
    ],
    ids=lambda test: test.__name__.removeprefix("test_"),
)
def test_what_is_so_of_every_engine(config: Config, test: Callable[[Config, str], None]) -> None:
    test(config, "mariadb")


@pytest.mark.parametrize("condition", ["id = 2", "photo.id BETWEEN 2 AND 3"])
def test_rows_that_are_gone_are_found_by_their_keys(config: Config, tmp_path: Path, condition: str) -> None:
    restoring.test_rows_that_are_gone_are_found_by_their_keys(config, "mariadb", tmp_path, condition)


def test_keys_of_several_columns_are_found_when_their_rows_are_gone(config: Config, tmp_path: Path) -> None:
    restoring.test_keys_of_several_columns_are_found_when_their_rows_are_gone(config, "mariadb", tmp_path)


def test_what_rows_lack_is_told_and_what_they_do_not_name_any_more(config: Config) -> None:
    world = gallery(config, "mariadb")
    world.photo(1, "a.jpg", b"one")
    world.photo(2, "b.jpg", b"two")
    world.album("me", 1, "a.jpg", "b.jpg")
    world.push()
    assert world.verify(source="mariadb", read_data=True).whole
    (world.live / "b.jpg").unlink()
    found = world.verify(source="mariadb").findings
    assert {(each.table, each.outcome) for each in found} == {("photo", Outcome.DANGLING), ("album", Outcome.DANGLING)}
    world.run("DELETE FROM album", "DELETE FROM photo WHERE id = 1")
    assert {each.path for each in world.audit().findings} == {"a.jpg", "b.jpg"}
