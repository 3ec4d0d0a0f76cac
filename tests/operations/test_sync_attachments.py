"""Files come along with the rows that point at them."""

from __future__ import annotations

import pytest

from tests.operations import databases
from tests.operations.archive_example import Gallery, gallery
from tests.operations.gallery import metadata
from tests.operations.outcomes import files_in
from toolkit.config import Config
from toolkit.errors import SchemaMismatchError, UnknownNameError
from toolkit.operations.sync import sync


@pytest.mark.parametrize("target", ["sqlite2", "postgres", "duckdb"])
def test_files_that_the_targets_store_lacks_come_with_the_rows(config: Config, target: str) -> None:
    world = gallery(config, "sqlite", copy=".toolkit/copy")
    world.photo(1, "a/ä b.jpg", b"A" * 1000)
    world.photo(2, "b.jpg", b"B")
    world.put("x", b"X")
    world.album("me", 7, "x", "b.jpg")
    databases.create(config.database(target), metadata)
    plan = sync(world.config, "sqlite", target, attachments="copy", dry_run=True)
    assert plan.attachments is not None
    folder = config.root / ".toolkit/copy"
    assert (plan.attachments.copied, folder.exists()) == (3, False)
    done = sync(world.config, "sqlite", target, attachments="copy")
    assert done.attachments == plan.attachments
    assert files_in(folder) == world.live_files()
    again = sync(world.config, "sqlite", target, attachments="copy").attachments
    assert again is not None
    assert (again.copied, again.there, again.problems) == (0, 3, ())


def test_what_cannot_be_copied_is_told_and_the_rows_are_synced(alone: Config) -> None:
    world = gallery(alone, "sqlite", copy=".toolkit/copy")
    world.photo(1, "a", b"A")
    world.photo(2, "gone", None)
    world.photo(3, "other", b"source")
    (alone.root / ".toolkit/copy").mkdir(parents=True)
    (alone.root / ".toolkit/copy/other").write_bytes(b"the target's own")
    two = f"sqlite:///{alone.root}/two.sqlite3"
    databases.create(world.config.database(two), metadata)
    result = sync(world.config, "sqlite", two, attachments="copy")
    assert result.attachments is not None
    assert result.attachments.copied == 1
    assert [problem.partition(": ")[0] for problem in result.attachments.problems] == [
        "attachments:'gone'", result.attachments.store
    ]
    assert (alone.root / ".toolkit/copy/other").read_bytes() == b"the target's own"
    assert Gallery(world.config, two).rows() == world.rows()


def test_files_that_rows_were_moved_to_in_an_archive_stay_there_and_are_counted(alone: Config) -> None:
    world = gallery(alone, "sqlite", copy=".toolkit/copy")
    world.photo(1, "a", b"the same")
    world.photo(2, "b", b"the same")
    world.photo(3, "c", b"C")
    world.push(move=True)
    world.photo(4, "live", b"live")
    two = f"sqlite:///{alone.root}/two.sqlite3"
    databases.create(world.config.database(two), metadata)
    for dry_run in (True, False):
        found = sync(world.config, "sqlite", two, attachments="copy", dry_run=dry_run).attachments
        assert found is not None
        assert (found.files, found.copied, found.archived, found.problems) == (1, 1, 2, ())
    assert files_in(alone.root / ".toolkit/copy") == {"live": b"live"}


def test_only_files_of_rows_that_are_synced_are_copied(alone: Config) -> None:
    world = gallery(alone, "sqlite", copy=".toolkit/copy")
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    two = f"sqlite:///{alone.root}/two.sqlite3"
    databases.create(world.config.database(two), metadata)
    sync(world.config, "sqlite", two, ["photo"], where={"photo": "id = 2"}, attachments="copy")
    assert [path.name for path in (alone.root / ".toolkit/copy").iterdir()] == ["b"]


def test_an_unknown_store_is_refused_before_anything_is_written(alone: Config) -> None:
    world = gallery(alone, "sqlite")
    world.photo(1, "a", b"A")
    two = f"sqlite:///{alone.root}/two.sqlite3"
    databases.create(world.config.database(two), metadata)
    with pytest.raises(UnknownNameError, match="nowhere"):
        sync(world.config, "sqlite", two, attachments="nowhere")
    assert Gallery(world.config, two).rows() == {}


def test_no_file_is_copied_when_the_source_lacks_a_table(alone: Config) -> None:
    world = gallery(alone, "sqlite", copy=".toolkit/copy")
    world.photo(1, "a", b"A")
    world.run("DROP TABLE note")
    two = f"sqlite:///{alone.root}/two.sqlite3"
    databases.create(world.config.database(two), metadata)
    with pytest.raises(SchemaMismatchError, match="no table 'note'"):
        sync(world.config, "sqlite", two, attachments="copy")
    assert not (alone.root / ".toolkit/copy").exists()
