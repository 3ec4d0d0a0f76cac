"""Live files that no row points at can be removed, but none that anybody may need."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from tests.operations.archive_example import Gallery, gallery
from toolkit.config import Config, Database, Store
from toolkit.errors import ArchivedRowsError, SharedFilesError
from toolkit.operations.archive.backends import Backends
from toolkit.operations.archive.erasing import forget
from toolkit.operations.archive.orphans import OrphanResult, remove_orphans
from toolkit.operations.archive.outcomes import Outcome
from toolkit.stores.live import ObstoreBackend
from toolkit.stores.objects import ObjectInfo


def removed(world: Gallery, **options: Any) -> OrphanResult:
    return remove_orphans(world.config, world.database, store=world.store, **options)


def paths(result: OrphanResult) -> list[str | None]:
    return [each.path for each in result.removed]


def test_old_files_without_rows_go_and_young_ones_stay(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "/b", None)
    world.put("b", b"B")
    world.put("alone/old", b"12345")
    world.put("young", b"1", fresh=True)
    plan = removed(world, dry_run=True)
    assert (paths(plan), plan.removed_bytes, plan.younger) == (["alone/old"], 5, 1)
    assert set(world.live_files()) == {"a", "b", "alone/old", "young"}
    result = removed(world)
    # Between the two a second may have gone by, which the reason tells.
    told, planned = ([structs.replace(each, reason=None) for each in found.removed] for found in (result, plan))
    assert (told, result.complete) == (planned, True)
    assert set(world.live_files()) == {"a", "b", "young"}
    # An age before all times is none that anything has.
    assert removed(world, older_than=dt.timedelta.max).younger == 1
    assert paths(removed(world, older_than=dt.timedelta())) == ["young"]


def test_what_rows_of_another_configured_database_point_at_stays(config: Config) -> None:
    world = gallery(config, "sqlite")
    other = gallery(config, "duckdb")
    world.photo(1, "a", b"A")
    other.photo(1, "theirs", None)
    for path in ("theirs", "nobody's"):
        world.put(path, b"1")
    assert paths(removed(replace(world, config=other.config))) == ["nobody's"]
    assert set(world.live_files()) == {"a", "theirs"}


def test_nothing_goes_where_no_row_points_at_the_store(world: Gallery) -> None:
    world.put("a", b"A")
    with pytest.raises(SharedFilesError, match="No file is removed: no row of 'sqlite' points at any"):
        removed(world)
    assert set(world.live_files()) == {"a"}


def test_nothing_goes_where_stores_share_a_place(alone: Config) -> None:
    world = gallery(alone, "sqlite", other=".toolkit/attachments/within")
    world.photo(1, "a", b"A")
    world.photo(2, "b", None, backend="other")
    world.put("within/b", b"B")
    world.put("alone", b"1")
    with pytest.raises(SharedFilesError, match=r"No file is removed: .* share a place"):
        removed(world)
    assert set(world.live_files()) == {"a", "within/b", "alone"}


def test_nothing_goes_where_a_configured_database_cannot_be_read(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.put("alone", b"1")
    (world.config.root / "other.sqlite3").write_bytes(b"no database" * 100)
    other = Database("other", "sqlite:///other.sqlite3", world.config.root)
    world.config = replace(world.config, databases={**world.config.databases, "other": other})
    with pytest.raises(SharedFilesError, match="No file is removed: the rows of database 'other'"):
        removed(world)
    assert set(world.live_files()) == {"a", "alone"}


def test_what_an_archive_in_the_live_store_holds_stays(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.store = str(world.live / "kept" / "here")
    world.push()
    world.store = "archive"
    (world.live / "kept" / "here" / "snapshots").rename(world.config.root / "taken")
    assert removed(world, older_than=dt.timedelta()).removed == ()


def test_rows_without_files_are_told_all_the_same(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "gone", None)
    world.put("alone", b"1")
    result = removed(world)
    assert (paths(result), [each.outcome for each in result.findings]) == (["alone"], [Outcome.DANGLING])


# What others read, but not we: half of a surrogate pair, a type that is another, a text that is cut off.
@pytest.mark.parametrize(
    "text",
    [
        '{"filename": "dir/caf\\u00e9", "backend": "attachments", "metadata": {"a": "\\ud800"}}',
        '{"filename": "dir\\/caf\\u00e9", "backend": "attachments", "content_type": 5}',
        '"{\\"filename\\": \\"dir/caf\\\\u00e9\\", \\"backend\\": 5}"',
        '{"backend": "attachments", "filename": "dir/café',
    ],
)
def test_a_file_that_a_row_mentions_which_cannot_be_read_stays(world: Gallery, text: str) -> None:
    world.photo(1, "one.jpg", b"A")
    world.row(2, text)
    world.put("dir/café", b"B")
    world.put("alone.jpg", b"1")
    assert [each.path for each in world.audit().findings if each.outcome is Outcome.ORPHAN] == ["alone.jpg"]
    result = removed(world)
    assert (paths(result), [each.outcome for each in result.findings]) == (["alone.jpg"], [Outcome.MALFORMED])
    world.photo(3, "dir/café", b"B")
    assert world.push(move=True).removed == 1
    assert world.live_files() == {"dir/café": b"B"}


def test_an_object_that_a_row_mentions_which_cannot_be_read_is_neither_pruned_nor_erased(world: Gallery) -> None:
    world.photo(1, "one.jpg", b"A")
    first = str(world.push(move=True).snapshot)
    (moved,) = world.rows().values()
    world.run("UPDATE photo SET file = json_set(file, '$.content_type', 5)")
    world.photo(2, "b", b"B")
    world.push()
    world.remove(first, force=True)
    assert world.prune(source="sqlite", last=1).removed_objects == 0
    with pytest.raises(ArchivedRowsError):
        forget(world.config, "sqlite", {"photo": ("id = 1",)})
    assert moved["filename"] in world.objects()


@pytest.mark.parametrize("minutes", [-15, 15])
def test_by_a_store_with_another_clock_no_file_is_old_that_was_just_written(
    alone: Config, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    world = gallery(replace(alone, stores={**alone.stores, "attachments": Store("attachments", "memory://")}), "sqlite")
    live = Backends(world.config).get("attachments")
    for path in ("a", "uncommitted"):
        live.write(path, [b"A"])
    world.photo(1, "a")
    info = ObstoreBackend.info

    def differing(self: ObstoreBackend, path: str) -> ObjectInfo | None:
        found = info(self, path)
        assert found is not None
        return structs.replace(found, last_modified=found.last_modified + dt.timedelta(minutes=minutes))

    with monkeypatch.context() as patch:
        patch.setattr(ObstoreBackend, "info", differing)
        result = removed(world, older_than=dt.timedelta(minutes=10))
    assert (result.removed, result.younger) == ((), 1)
    # Who asks for no age at all gets none.
    assert paths(removed(world, older_than=dt.timedelta())) == ["uncommitted"]
