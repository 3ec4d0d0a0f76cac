"""Snapshots go by a policy and objects with the last of them; what is needed never goes."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import time
from typing import Any

import pytest
from msgspec.structs import replace

from tests.operations.archive_example import Gallery
from tests.operations.outcomes import files_in
from toolkit.core.archive_manifest import Address, Header
from toolkit.errors import ArchiveBusyError, ConfigurationError, LastSnapshotError, LockLostError, StoreError
from toolkit.operations.archive.lacking import Incomplete
from toolkit.operations.archive.listing import list_snapshots, show
from toolkit.operations.archive.outcomes import Outcome
from toolkit.stores.archive_locks import LOCK_TTL, LockKind, _host, take_lock
from toolkit.stores.objects import ObjectStore


def three_days(world: Gallery) -> list[str]:
    """A snapshot of each of three days, each with one file more; the file of the first is gone by the last."""
    ids = []
    for number in range(3):
        world.photo(number, f"{number}.txt", b"%d" % number)
        if number == 2:
            world.run("DELETE FROM photo WHERE id = 0")
        snapshot = world.push().snapshot
        assert snapshot is not None
        ids.append(_aged(world, snapshot, 2 - number))
    return ids


def _aged(world: Gallery, snapshot: str, days: int) -> str:
    """The same snapshot, made so many days ago."""
    header = world.archive.find(snapshot)
    entries = list(world.archive.entries(snapshot))
    then = header.created_at - dt.timedelta(days=days)
    values = {name: getattr(header, name) for name in Header.__struct_fields__}
    aged = Header(**{**values, "created_at": then, "id": f"{then:%Y%m%dT%H%M%SZ}-{snapshot[-8:]}"})
    world.archive.remove_snapshots([snapshot])
    world.archive.write_snapshot(aged, entries)
    return aged.id


def left(world: Gallery) -> list[str]:
    return [header.id for header in world.archive.snapshots()[0]]


def test_the_plan_says_why_each_stays_or_goes_and_is_what_happens(world: Gallery) -> None:
    ids = three_days(world)
    plan = world.prune(last=1, daily=2, dry_run=True)
    assert [(v.snapshot.id, v.reasons) for v in plan.snapshots] == [
        (ids[2], ("last 1 of 1", "daily 1 of 2")),
        (ids[1], ("daily 2 of 2",)),
        (ids[0], ()),
    ]
    assert (plan.removed_objects, plan.kept_objects) == (0, 3)
    assert left(world) == ids
    done = world.prune(last=1, daily=2)
    assert done.snapshots == plan.snapshots
    assert left(world) == ids[1:]


def test_objects_go_with_the_last_snapshot_that_needs_them(world: Gallery) -> None:
    ids = three_days(world)
    result = world.prune(last=1)
    assert (result.removed_snapshots, result.removed_objects, result.removed_bytes) == (2, 1, 1)
    assert left(world) == ids[2:]
    assert world.contents(ids[2]) == {("photo", (1,), None): b"1", ("photo", (2,), None): b"2"}
    assert world.verify(read_data=True).whole


def lose_design(world: Gallery) -> tuple[str, str]:
    """A whole snapshot, and one made after a file was lost."""
    world.photo(1, "a", b"A")
    world.photo(2, "/dir/b", None)
    world.put("dir/b", b"B")
    whole = world.push().snapshot
    (world.live / "dir/b").unlink()
    later = world.push()
    assert (whole is None, later.snapshot is None, later.complete) == (False, False, False)
    return str(whole), str(later.snapshot)


def test_a_snapshot_that_lacks_a_file_says_so(world: Gallery) -> None:
    whole, later = lose_design(world)
    listed = {each.id: each.lacking for each in list_snapshots(world.config).snapshots}
    assert listed == {whole: 0, later: 1}
    (lacking,) = show(world.config, later).lacking
    assert (lacking.table, lacking.key, lacking.path, lacking.outcome) == ("photo", {"id": 2}, "/dir/b", "dangling row")


def test_a_verification_says_which_snapshots_lack_files_and_whether_others_have_them(world: Gallery) -> None:
    whole, later = lose_design(world)
    result = world.verify()
    assert (result.whole, result.incomplete) == (True, (Incomplete(later, 1, 1),))
    world.archive.remove_snapshots([whole])
    world.archive.remove(set(world.objects()) - {e.address.key for e in world.archive.entries(later)})
    assert world.verify(later).incomplete == (Incomplete(later, 1, 0),)


@pytest.mark.parametrize("only", [None, {"photo": "id = 2"}, {"photo": "id = 1"}])
@pytest.mark.parametrize("to_directory", [False, True])
def test_a_restore_says_what_the_snapshot_lacks_and_which_one_has_it(
    world: Gallery, only: dict[str, str] | None, to_directory: bool
) -> None:
    whole, later = lose_design(world)
    options: dict[str, Any] = {"directory": world.config.root / "out"} if to_directory else {}
    result = world.restore(**options, only=only) if only else world.restore(**options)
    if only == {"photo": "id = 1"}:
        assert (result.snapshot, result.findings) == (later, ())
        return
    (told,) = result.findings
    assert (told.outcome, told.key, told.path) == (Outcome.LACKING, {"id": 2}, "dir/b")
    assert told.reason == f"when it was made: there is no such file; snapshot {whole} has it: restore from there, too"
    world.archive.remove_snapshots([whole])
    assert "no other snapshot has it" in str(world.restore(**options).findings[0].reason)


def test_a_snapshot_without_a_file_never_pushes_out_the_last_that_has_it(world: Gallery) -> None:
    whole, _ = lose_design(world)
    later = [str(world.push().snapshot) for _ in range(2)]
    plan = world.prune(last=1, dry_run=True)
    result = world.prune(last=1)
    assert result.snapshots == plan.snapshots
    assert left(world) == [whole, later[-1]]
    (verdict,) = [each for each in result.snapshots if each.snapshot.id == whole]
    assert verdict.reasons == (f"has 1 file that {later[-1]} lacks",)
    world.restore(whole)
    assert world.live_files()["dir/b"] == b"B"
    # As soon as one that is kept has it, or no row wants it any more, the older one may go.
    world.push()
    assert world.prune(last=1).removed_snapshots == 2


def test_a_row_that_is_gone_holds_no_snapshot(world: Gallery) -> None:
    lose_design(world)
    world.run("DELETE FROM photo WHERE id = 2")
    world.push()
    assert world.prune(last=1).removed_snapshots == 2


def test_a_snapshot_that_stays_for_a_file_keeps_others_for_what_it_lacks_itself(world: Gallery) -> None:
    for number, path in enumerate(("a", "b", "c")):
        world.photo(number, path, path.encode())
    ids = [str(world.push().snapshot)]
    (world.live / "a").unlink()
    ids.append(str(world.push().snapshot))
    world.put("a", b"a")
    (world.live / "b").unlink()
    ids.append(str(world.push(where={"photo": "id <> 0"}).snapshot))
    assert world.prune(last=1).removed_snapshots == 0
    ids.append(str(world.push().snapshot))
    # The last lacks b, which the second has; the second lacks a, which the last has.
    world.prune(last=1)
    assert left(world) == ids[1:]


def test_a_reference_that_became_unreadable_holds_the_snapshot_of_its_row(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    whole = world.push().snapshot
    world.run("UPDATE photo SET file = '[1]' WHERE id = 2")
    assert not world.push().complete
    assert world.prune(last=1).removed_snapshots == 0
    assert whole in left(world)


def test_a_snapshot_from_the_future_neither_pushes_out_others_nor_is_it_the_latest(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    future = _aged(world, str(world.push().snapshot), -1500)
    then = time.time() + 1500 * 86400
    os.utime(world.folder / "snapshots" / f"{future}.jsonl.zst", (then, then))
    assert world.archive.find("latest").id == future
    now = [str(world.push().snapshot) for _ in range(2)][-1]
    assert world.archive.find("latest").id == now
    assert "by the clock here: it is not the latest" in list_snapshots(world.config).notes[0]
    result = world.prune(last=1)
    assert {each.snapshot.id: each.reasons for each in result.snapshots if each.kept} == {
        future: ("made in the future",),
        now: ("last 1 of 1",),
    }
    assert set(left(world)) == {future, now}


def test_a_snapshot_by_a_clock_that_was_ahead_counts_as_of_when_the_store_wrote_it(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    ahead = _aged(world, str(world.push().snapshot), -1500)
    world.put("a", b"B", fresh=True)
    now = str(world.push().snapshot)
    assert left(world) == [ahead, now]
    assert world.archive.find("latest").id == now
    (note,) = list_snapshots(world.config).notes
    assert note.startswith(f"Snapshot {ahead} says that it was made ")
    assert "which cannot be: the store wrote it" in note
    result = world.prune(last=1)
    assert result.notes == (note,)
    assert left(world) == [now]


def test_a_copy_of_an_archive_that_was_made_at_once_keeps_its_order(world: Gallery) -> None:
    ids = three_days(world)
    for number, snapshot in enumerate(reversed(ids)):
        at = time.time() + number
        os.utime(world.folder / "snapshots" / f"{snapshot}.jsonl.zst", (at, at))
    assert left(world) == ids
    assert list_snapshots(world.config).notes == ()


def test_pushes_keep_their_order_where_the_store_is_a_quarter_of_an_hour_behind(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    first, second = (str(world.push().snapshot) for _ in range(2))
    now = dt.datetime.now(dt.UTC)
    # One that took twelve minutes, then one that took none; each by a clock that is right, in a store that is not.
    for snapshot, began, ended in ((first, 60, 48), (second, 47, 47)):
        _made(world, snapshot, now - dt.timedelta(minutes=began), now - dt.timedelta(minutes=ended + 15))
    assert [left(world)[-1], world.archive.find("latest").id] == [second] * 2
    # Nor does an older one that cannot be read stand in the way of the newest.
    (world.folder / "snapshots" / f"{first}.jsonl.zst").write_bytes(b"damaged")
    os.utime(world.folder / "snapshots" / f"{first}.jsonl.zst", (now.timestamp() - 63 * 60,) * 2)
    assert world.archive.find("latest").id == second


def _made(world: Gallery, snapshot: str, at: dt.datetime, written: dt.datetime) -> None:
    header = world.archive.find(snapshot)
    world.archive.write_snapshot(replace(header, created_at=at), list(world.archive.entries(snapshot)))
    os.utime(world.folder / "snapshots" / f"{snapshot}.jsonl.zst", (written.timestamp(),) * 2)


def test_a_push_says_that_the_clock_is_not_that_of_the_store(world: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    world.photo(1, "a", b"A")
    assert world.push().notes == ()
    monkeypatch.setattr(time, "time", lambda real=time.time: real() + 86400 * 3)
    (note,) = world.push().notes
    assert note.startswith("The clock here is 3d ahead of that of the archive's store")


@pytest.mark.parametrize("to_directory", [False, True])
def test_a_restore_takes_what_the_snapshot_lacks_from_an_older_one(world: Gallery, to_directory: bool) -> None:
    world.photo(3, "c", b"whole")
    whole, later = lose_design(world)
    world.put("c", b"cut")
    world.photo(4, "never", None)
    latest = str(world.push().snapshot)
    out = world.config.root / "out"
    options: dict[str, Any] = {"directory": out} if to_directory else {"overwrite": True}
    result = world.restore(**options, fill_from_older=True)
    assert (result.snapshot, result.filled) == (latest, {later: 1, whole: 1})
    assert [(f.outcome, f.key) for f in result.findings] == [(Outcome.LACKING, {"id": 4})]
    found = files_in(out) if to_directory else world.live_files()
    contents = {content for path, content in found.items() if not path.endswith(".jsonl")}
    assert contents == {b"A", b"B", b"whole"}


def test_of_several_files_of_a_row_the_one_that_is_lacking_is_taken(world: Gallery) -> None:
    for path in ("a", "b", "c"):
        world.put(path, path.encode())
    world.album("me", 1, "a", "b", "c")
    world.push()
    (world.live / "b").unlink()
    world.push()
    shutil.rmtree(world.live)
    result = world.restore(fill_from_older=True)
    assert (list(result.filled.values()), result.findings) == ([1], ())
    assert world.live_files() == {"a": b"a", "b": b"b", "c": b"c"}


def test_a_snapshot_from_the_future_makes_up_for_no_condition_s(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    first = str(world.push(where={"photo": "'2024-01-01' || id IN ('2024-01-011')"}).snapshot)
    future = _aged(world, str(world.push().snapshot), -1500)
    then = time.time() + 1500 * 86400
    os.utime(world.folder / "snapshots" / f"{future}.jsonl.zst", (then, then))
    last = str(world.push(where={"photo": "'2024-01-01' || id IN ('2024-01-012')"}).snapshot)
    assert world.prune(last=1).removed_snapshots == 0
    assert set(left(world)) == {first, last, future}


def test_a_restore_of_an_old_snapshot_takes_nothing_from_a_newer_one(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "b", None)
    first = str(world.push().snapshot)
    world.put("b", b"later")
    world.push()
    (world.live / "b").unlink()
    result = world.restore(first, fill_from_older=True)
    assert (result.filled, [f.outcome for f in result.findings]) == ({}, [Outcome.LACKING])


def test_a_file_that_was_cut_off_never_pushes_out_the_whole_one_nor_is_its_row_moved(world: Gallery) -> None:
    world.photo(1, "a", b"whole")
    whole = world.push().snapshot
    world.put("a", b"")
    for move in (False, True):
        result = world.push(move=move)
        (told,) = result.findings
        assert (told.outcome, told.reason) == (Outcome.SIZE_DIFFERS, "0 bytes, but the row says 5")
        assert (result.files, result.moved, world.live_files()) == (1, 0, {"a": b""})
    world.prune(last=1)
    assert (whole in left(world), world.contents(str(whole))) == (True, {("photo", (1,), None): b"whole"})
    assert f"snapshot {whole} has it" in str(world.restore().findings[0].reason)


def test_orphans_go_too(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.push()
    world.archive.store.write("objects/ab/" + "ab" * 32, [b"left behind"])
    assert world.prune(last=1).removed_objects == 1
    assert world.verify().whole


def test_without_a_rule_nothing_is_done(world: Gallery) -> None:
    with pytest.raises(ConfigurationError):
        world.prune()


def test_the_last_snapshot_is_never_removed(world: Gallery) -> None:
    ids = three_days(world)
    with pytest.raises(LastSnapshotError) as error:
        world.prune(within=dt.timedelta(0))
    assert error.value.exit_code == 3
    assert left(world) == ids


def test_snapshots_of_other_rows_are_judged_by_themselves(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.push()
    world.push(where={"photo": "id > 5"})
    world.photo(7, "b", b"B")
    narrow = world.push(where={"photo": "id > 5"})
    assert narrow.files == 1
    result = world.prune(last=1)
    assert result.removed_snapshots == 0
    assert {verdict.group for verdict in result.snapshots} == {"sqlite", "sqlite (photo where id > 5)"}


def test_a_prune_is_refused_while_a_push_runs_and_the_other_way_round(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.push()
    with world.archive.locked(LockKind.PUSH):
        with pytest.raises(ArchiveBusyError, match="push") as error:
            world.prune(last=1)
        assert error.value.exit_code == 3
        world.push()
    with world.archive.locked(LockKind.PRUNE):
        with pytest.raises(ArchiveBusyError, match="prune"):
            world.push()
        with pytest.raises(ArchiveBusyError, match="prune"):
            world.prune(last=1)
        assert world.verify().whole
    assert world.prune(last=1).removed_snapshots == 1
    assert not list(world.archive.store.list("locks"))


def _old_lock(world: Gallery, host: str = "elsewhere") -> str:
    """The lock of a push on another machine, which gave no sign of life for longer than locks hold."""
    key = "locks/push-0123456789abcdef"
    content = f'{{"kind":"push","host":"{host}","pid":1,"began":"2024-01-01T00:00:00Z"}}'
    world.archive.store.write(key, [content.encode()])
    old = time.time() - LOCK_TTL.total_seconds() - 10
    os.utime(world.folder / key, (old, old))
    return key


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pid", "123456789012345678901234567890"),
        ("pid", "-1"),
        ("began", '"2024-01-01T00:00:00"'),
        ("kind", '"\xff"'),
        ("host", "[" * 5000),
    ],
)
def test_a_lock_that_nobody_could_have_written_stands_in_the_way(world: Gallery, name: str, value: str) -> None:
    holder = json.dumps({"kind": "push", "host": _host(), "pid": 1, "began": "2024-01-01T00:00:00Z", name: "@"})
    place = world.folder / "locks" / "push-0123456789abcdef"
    place.parent.mkdir(parents=True)
    place.write_bytes(holder.replace('"@"', value).encode("latin-1"))
    with pytest.raises(ArchiveBusyError, match="process 0 on unknown"):
        world.prune(last=1)


def test_a_lock_is_void_some_time_after_its_last_sign_of_life(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.push()
    key = _old_lock(world)
    fresh = time.time() - LOCK_TTL.total_seconds() / 2
    os.utime(world.folder / key, (fresh, fresh))
    with pytest.raises(ArchiveBusyError):
        world.prune(last=1)
    _old_lock(world)
    world.prune(last=1)
    assert world.archive.store.info(key) is None


def test_a_push_is_seen_in_a_store_whose_clock_is_a_quarter_of_an_hour_behind(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.push()
    _old_lock(world)
    waiting = Address("0" * 64)
    world.archive.write(waiting, [b""], 0)
    result = world.verify()
    assert (result.whole, len(result.pushes)) == (True, 1)


def test_a_lock_goes_with_ctrl_c_in_the_moment_that_it_is_made(world: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    store = world.archive.store
    create = store.create

    def interrupted(key: str, content: bytes) -> bool:
        create(key, content)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "create", interrupted)
    with pytest.raises(KeyboardInterrupt), take_lock(store, LockKind.PUSH):
        pass
    assert list(store.list("locks")) == []


def test_whoever_lost_its_lock_finds_out(world: Gallery) -> None:
    with take_lock(world.archive.store, LockKind.PUSH) as lock:
        lock.require_still_there()
        world.archive.store.delete([lock.key])
        with pytest.raises(LockLostError):
            lock.require_still_there()
        assert world.archive.store.info(lock.key) is None


def test_pushes_go_on_where_nothing_may_be_removed(world: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise StoreError("archive", "access was denied")

    world.photo(1, "a", b"A")
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStore, "delete", refused)
        world.push()
        key = _old_lock(world)
        assert world.push().snapshot is not None
        assert world.archive.store.info(key) is not None
        for path in (world.folder / "locks").iterdir():
            long_ago = time.time() - LOCK_TTL.total_seconds() - 60
            os.utime(path, (long_ago, long_ago))
        with pytest.raises(StoreError, match="access was denied"):
            world.prune(last=1)
        for path in (world.folder / "locks").iterdir():
            os.utime(path, (long_ago, long_ago))
    # By whoever may, they are removed as soon as they are void.
    world.prune(last=1)
    assert list((world.folder / "locks").iterdir()) == []


def test_a_lock_that_was_not_renewed_in_time_is_lost_though_nobody_could_remove_it(
    world: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    with take_lock(world.archive.store, LockKind.PRUNE) as lock:
        lock.require()
        monkeypatch.setattr(time, "time", lambda real=time.time: real() + LOCK_TTL.total_seconds() + 60)
        with pytest.raises(LockLostError):
            lock.require()
        with pytest.raises(LockLostError):
            lock.require_still_there()
        monkeypatch.undo()
        assert world.archive.store.info(lock.key) is not None


def test_objects_that_rows_were_moved_to_stay_whatever_becomes_of_the_snapshots(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.push(move=True)
    world.put("b", b"B")
    world.album("me", 1, "b")
    world.push("album")
    moved = world.rows()[1]["filename"]
    for header in world.archive.snapshots()[0]:
        if header.moved:
            world.archive.remove_snapshots([header.id])
    result = world.prune(last=1)
    assert (result.moved_objects, result.removed_objects) == (1, 0)
    assert moved in world.objects()
    assert world.verify().whole
    assert world.prune(last=1, source="sqlite").moved_objects == 1
    world.run("DELETE FROM photo")
    assert world.prune(last=1, source="sqlite").removed_objects == 1
    assert moved not in world.objects()


def test_a_damaged_manifest_stops_a_prune_before_it_removes_anything(world: Gallery) -> None:
    ids = three_days(world)
    (world.folder / "snapshots" / f"{ids[2]}.jsonl.zst").write_bytes(b"nothing of the kind")
    with pytest.raises(StoreError):
        world.prune(last=1)
    assert len(world.objects()) == 3
    assert len(list((world.folder / "snapshots").iterdir())) == 3


def test_an_audit_names_what_has_no_counterpart(world: Gallery) -> None:
    world.photo(1, "a b#7.txt", b"A")
    world.photo(2, "gone", None)
    world.photo(3, "/slash", None)
    world.put("slash", b"1234")
    world.put("alone/file", b"12345")
    world.photo(4, "grown", b"1")
    world.put("grown", b"123")
    result = world.audit()
    found = {(f.outcome, f.path, f.size) for f in result.findings}
    assert found == {
        (Outcome.DANGLING, "gone", None),
        (Outcome.ORPHAN, "alone/file", 5),
        (Outcome.SIZE_DIFFERS, "grown", 3),
    }
    (backend,) = result.backends
    assert (backend.backend, backend.rows, backend.files, backend.unreferenced, backend.dangling) == (
        "attachments",
        4,
        4,
        1,
        1,
    )


def test_an_audit_names_a_store_that_is_not_there(world: Gallery) -> None:
    world.photo(1, "a", None, backend="nowhere")
    (finding,) = world.audit().findings
    assert (finding.outcome, finding.place) == (Outcome.UNREADABLE, "nowhere")


def test_an_audit_does_not_mind_an_archive_in_a_folder_of_the_live_store(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.store = str(world.live / "kept" / "here")
    world.push()
    world.put("kept/here/alone", b"1")
    world.store = "archive"
    assert [finding.path for finding in world.audit().findings] == ["kept/here/alone"]


def test_an_audit_does_not_mind_what_an_archive_holds(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    world.push()
    world.push(move=True)
    assert world.audit().clean
    world.archive.remove([world.rows()[1]["filename"]])
    assert [f.outcome for f in world.audit().findings] == [Outcome.DANGLING]
