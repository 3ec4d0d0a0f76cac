"""Snapshots of conditions, and the removal of single ones: what only they have stays until somebody insists."""

from __future__ import annotations

import pytest

from tests.operations.archive_example import Gallery
from toolkit.errors import NeededSnapshotsError, StoreError, UnknownNameError
from toolkit.operations.archive.prune_values import PruneResult


def left(world: Gallery) -> list[str]:
    return [header.id for header in world.archive.snapshots()[0]]


def reasons(result: PruneResult) -> dict[str, tuple[str, ...]]:
    return {each.snapshot.id: each.reasons for each in result.snapshots}


def nightly(world: Gallery, condition: str, numbers: range) -> list[str]:
    """A snapshot of each of some nights, whose condition names its day."""
    ids = []
    for number in numbers:
        world.photo(number, f"{number}", b"%d" % number)
        day = {"photo": condition.format(day=f"'2024-01-{number:02}'")}
        ids.append(str(world.push(where=day).snapshot))
    return ids


def test_snapshots_whose_conditions_differ_by_a_date_are_of_one_group(world: Gallery) -> None:
    ids = nightly(world, "created_at < {day} AND id <> 99", range(1, 5))
    result = world.prune(last=1)
    assert {each.group for each in result.snapshots} == {"sqlite (photo where created_at < '…' AND id <> 99)"}
    assert left(world) == ids[-1:]


def test_a_snapshot_of_rows_that_no_newer_one_has_stays(world: Gallery) -> None:
    ids = nightly(world, "created_at <> {day} AND id < 9", range(1, 3))
    world.run("UPDATE photo SET created_at = '2024-01-03' WHERE id = 1")
    ids += nightly(world, "created_at <> {day} AND id < 9", range(3, 4))
    assert len({each.group for each in world.prune(last=1, dry_run=True).snapshots}) == 1
    result = world.prune(last=1)
    assert reasons(result)[ids[1]] == ("has files of 1 row that no newer one has that stays",)
    assert left(world) == ids[1:]
    # Of rows that are gone, nothing is needed; which are is known of the database alone.
    world.run("DELETE FROM photo WHERE id = 1")
    assert world.prune(last=1).removed_snapshots == 0
    assert world.prune(last=1, source="sqlite").removed_snapshots == 1
    assert left(world) == ids[2:]


def test_a_snapshot_of_everything_makes_up_for_those_of_conditions(world: Gallery) -> None:
    ids = nightly(world, "created_at <> {day} AND id >= 1", range(1, 3))
    whole = str(world.push().snapshot)
    assert world.prune(last=1).removed_snapshots == 1
    assert left(world) == [ids[1], whole]


def test_single_snapshots_are_removed_with_what_no_other_needs(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    first = str(world.push().snapshot)
    world.put("a", b"B", fresh=True)
    second = str(world.push().snapshot)
    plan = world.remove(first, dry_run=True)
    assert (plan.removed_snapshots, plan.removed_objects, left(world)) == (1, 1, [first, second])
    assert world.remove(first).snapshots == plan.snapshots
    assert left(world) == [second]
    assert world.verify(read_data=True).whole
    with pytest.raises(UnknownNameError):
        world.remove(first)


def test_what_only_one_snapshot_has_goes_by_force_alone(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    first = str(world.push().snapshot)
    world.photo(2, "b", b"B")
    second = str(world.push().snapshot)
    for snapshots in ([second], [first, second]):
        with pytest.raises(NeededSnapshotsError, match=f"{second} has files of 2 rows that no newer one has"):
            world.remove(*snapshots)
    assert left(world) == [first, second]
    world.remove(second, force=True)
    assert left(world) == [first]
    assert world.verify(read_data=True).whole


def test_a_snapshot_that_has_what_a_newer_one_lacks_goes_by_force_alone(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    first = str(world.push().snapshot)
    (world.live / "a").unlink()
    second = str(world.push().snapshot)
    with pytest.raises(NeededSnapshotsError, match=f"{first} has 1 file that {second} lacks"):
        world.remove(first)
    assert world.remove(first, force=True).removed_objects == 1


def test_a_snapshot_whose_manifest_is_damaged_can_be_removed_and_stands_in_no_way_then(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    ids = [str(world.push().snapshot) for _ in range(3)]
    (world.folder / "snapshots" / f"{ids[1]}.jsonl.zst").write_bytes(b"nothing of the kind")
    with pytest.raises(StoreError):
        world.remove(ids[0])
    world.remove(ids[1])
    world.remove(ids[0])
    assert left(world) == ids[2:]
