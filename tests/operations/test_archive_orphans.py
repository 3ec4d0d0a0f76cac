"""Live files that no row points at can be removed, but none that anybody may need."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from tests.operations.archive_example import Gallery, gallery
from toolkit.config import Config, Database
from toolkit.errors import SharedFilesError
from toolkit.operations.archive.orphans import OrphanResult, remove_orphans
from toolkit.operations.archive.outcomes import Outcome


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
    assert (result.removed, result.complete) == (plan.removed, True)
    assert set(world.live_files()) == {"a", "b", "young"}
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
