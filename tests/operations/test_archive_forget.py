"""What is erased is in no snapshot any more, says so, and takes nothing from anybody else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from tests.operations.archive_example import Gallery
from toolkit.errors import ArchivedRowsError, ConditionError
from toolkit.operations.archive.erasing import ForgetResult, forget
from toolkit.operations.archive.finding import find
from toolkit.operations.archive.listing import list_snapshots, show
from toolkit.operations.archive.outcomes import Outcome
from toolkit.stores.archive import Archive

SECRET = b"a picture of one person"


def erase(world: Gallery, dry_run: bool = False, **rows: str) -> ForgetResult:
    return forget(world.config, "sqlite", rows, store=world.store, dry_run=dry_run)


def bytes_in(folder: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(params=["there", "gone"])
def person(request: pytest.FixtureRequest, world: Gallery) -> Gallery:
    """Two snapshots, of which the first has a person's first file, the second the next; the row is there, or gone."""
    world.photo(1, "me.jpg", SECRET)
    world.photo(2, "other.jpg", b"other")
    world.push()
    world.put("me.jpg", SECRET[::-1], fresh=True)
    world.push(compress=True)
    if request.param == "gone":
        world.run("DELETE FROM photo WHERE id = 1")
    return world


def test_a_row_s_files_are_erased_from_every_snapshot_with_a_word_that_they_were(person: Gallery) -> None:
    world = person
    plan = erase(world, photo="id = 1", dry_run=True)
    assert any(content == SECRET for content in bytes_in(world.folder))
    result = erase(world, photo="id = 1")
    assert (result.rows, result.files, result.removed_objects, result.findings) == (1, 2, 2, ())
    assert (plan.rows, plan.files, plan.removed_objects) == (1, 2, 2)
    assert result.rows_left == (1 if 1 in world.rows() else 0)
    snapshots = list_snapshots(world.config).snapshots
    assert [(each.files, each.objects, each.lacking, each.erased) for each in snapshots] == [(1, 1, 0, 1)] * 2
    for each in snapshots:
        assert [found.path for found in show(world.config, each.id).files] == ["other.jpg"]
        (told,) = show(world.config, each.id).lacking
        assert (told.outcome, told.key, told.path, told.backend) == ("erased", {"id": 1}, None, None)
        assert str(told.reason).startswith("erased 20")
    assert not find(world.config, "me.jpg").files
    assert SECRET not in set(bytes_in(world.folder))
    assert world.verify(read_data=True).whole
    assert world.verify().incomplete == ()
    # Once more, there is nothing to do.
    assert erase(world, photo="id = 1").files == 0


def test_a_content_that_another_row_has_stays_for_it_and_is_told(world: Gallery) -> None:
    world.photo(1, "a.jpg", SECRET)
    world.photo(2, "b.jpg", SECRET)
    world.push()
    result = erase(world, photo="id = 1")
    assert (result.files, result.removed_objects) == (1, 0)
    assert [(each.outcome, each.key) for each in result.findings] == [(Outcome.SHARED, {"id": 1})]
    assert list(world.contents(world.archive.find("latest").id).values()) == [SECRET]
    assert erase(world, photo="id = 2").removed_objects == 1


def test_what_a_snapshot_lacked_of_the_row_says_no_more_where_it_was(world: Gallery) -> None:
    world.photo(1, "personal name.jpg", None)
    world.photo(2, "b", b"B")
    snapshot = str(world.push().snapshot)
    erase(world, photo="id = 1")
    (told,) = show(world.config, snapshot).lacking
    assert (told.outcome, told.path) == ("erased", None)


def test_a_restore_says_that_a_file_was_erased_and_a_prune_looks_for_it_nowhere(world: Gallery) -> None:
    world.photo(1, "a", SECRET)
    world.photo(2, "b", b"B")
    first = str(world.push().snapshot)
    erase(world, photo="id = 1")
    (world.live / "a").unlink()
    for fills in (False, True):
        (told,) = world.restore(fill_from_older=fills).findings
        assert (told.outcome, told.key) == (Outcome.ERASED, {"id": 1})
    world.run("DELETE FROM photo WHERE id = 1")
    world.push()
    world.prune(last=1)
    assert first not in [header.id for header in world.archive.snapshots()[0]]


def test_a_row_that_points_at_the_archive_itself_is_refused_until_it_is_gone(world: Gallery) -> None:
    world.photo(1, "a", SECRET)
    world.photo(2, "b", b"B")
    world.push(move=True)
    with pytest.raises(ArchivedRowsError, match="id=1 points at archive"):
        erase(world, photo="id = 1")
    assert world.verify(read_data=True).whole
    world.run("DELETE FROM photo WHERE id = 1")
    assert erase(world, photo="id = 1").removed_objects == 1
    assert SECRET not in set(bytes_in(world.folder))
    # What another row was moved to stays, whatever becomes of the snapshots.
    assert world.rows()[2]["filename"] in world.objects()


def test_a_snapshot_stays_in_its_place_when_it_is_written_anew(world: Gallery) -> None:
    world.photo(1, "a", SECRET)
    world.photo(2, "b", b"B")
    # By a clock that was years ahead.
    first = written_as(world, str(world.push().snapshot), created_at=dt.datetime(2199, 1, 1, tzinfo=dt.UTC))
    world.run("DELETE FROM photo WHERE id = 1")
    second = str(world.push().snapshot)
    before = [each.made_at for each in list_snapshots(world.config).snapshots]
    erase(world, photo="id = 1")
    after = list_snapshots(world.config).snapshots
    assert [each.id for each in after] == [first, second]
    assert [each.made_at for each in after] == before


def test_what_another_database_s_rows_of_the_same_keys_have_stays(world: Gallery) -> None:
    world.photo(1, "a", SECRET)
    world.photo(2, "b", b"B")
    own = str(world.push().snapshot)
    other = f"{own[:-8]}{'0' * 8}"
    entries = list(world.archive.entries(own))
    header = structs.replace(world.archive.find(own), id=other, database="other", place="0" * 16)
    world.archive.write_snapshot(header, entries)
    result = erase(world, photo="id = 1")
    assert (result.snapshots, result.removed_objects) == ((own,), 0)
    assert [each.outcome for each in result.findings] == [Outcome.SHARED]
    assert list(world.contents(other).values()) == [SECRET, b"B"]


def written_as(world: Gallery, snapshot: str, **values: Any) -> str:
    """The same snapshot with other words in its header."""
    header, entries = world.archive.find(snapshot), list(world.archive.entries(snapshot))
    world.archive.write_snapshot(structs.replace(header, **values), entries)
    return snapshot


@pytest.mark.parametrize("condition", ["title = 'no. 1'", "id IN (SELECT 1)"])
def test_rows_that_are_gone_are_not_guessed_at(world: Gallery, condition: str) -> None:
    world.photo(1, "a", SECRET)
    world.push()
    world.run("DELETE FROM photo")
    result = erase(world, photo=condition)
    assert result.rows == 0
    assert any("gone were not looked for" in note for note in result.notes)


def test_a_condition_that_is_not_understood_erases_nothing(world: Gallery) -> None:
    world.photo(1, "a", SECRET)
    world.push()
    with pytest.raises(ConditionError):
        erase(world, photo="id ==== 1")
    assert world.verify().whole


def test_an_erasure_that_was_killed_is_finished_by_the_next(world: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    world.photo(1, "a", SECRET)
    world.photo(2, "b", b"B")
    world.push()
    world.push()
    usual, count = Archive.write_snapshot, iter(range(9))

    def killed(self: Archive, *of: Any) -> None:
        if next(count) == 1:
            raise KeyboardInterrupt
        usual(self, *of)

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "write_snapshot", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(world, photo="id = 1")
    assert world.verify(read_data=True).whole
    result = erase(world, photo="id = 1")
    assert (result.files, result.removed_objects) == (1, 1)
    assert SECRET not in set(bytes_in(world.folder))


def test_an_erasure_that_was_killed_before_its_objects_went_is_finished_by_the_next(
    world: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.photo(1, "a", SECRET)
    world.photo(2, "b", b"B")
    world.push()
    with monkeypatch.context() as patch:
        patch.setattr(Archive, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(world, photo="id = 1")
    assert SECRET in set(bytes_in(world.folder))
    result = erase(world, photo="id = 1")
    assert (result.rows, result.files, result.removed_objects) == (1, 0, 1)
    assert SECRET not in set(bytes_in(world.folder))
    assert world.verify(read_data=True).whole
    assert erase(world, photo="id = 9").rows == 0


def killed(*_: object) -> None:
    raise KeyboardInterrupt
