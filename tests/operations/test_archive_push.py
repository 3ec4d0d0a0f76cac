"""Files that rows point at come into the archive, once each, and the manifest says what was seen."""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from tests.conftest import ENGINES
from tests.operations.archive_example import LONG_AGO, Gallery, gallery, reference
from tests.operations.gallery import metadata
from toolkit.config import Config, Database, Store
from toolkit.core.archive_manifest import Header
from toolkit.errors import (
    ConfigurationError,
    DamagedObjectError,
    LockLostError,
    MissingObjectError,
    SharedFilesError,
    StoreError,
    ToolkitError,
    UnknownNameError,
)
from toolkit.operations.archive import backends, sending, uploading
from toolkit.operations.archive.outcomes import Outcome
from toolkit.operations.archive.push import push
from toolkit.stores.archive import Archive
from toolkit.stores.live import LiveBackend, live_backend
from toolkit.stores.objects import ObjectStore

EVERY_ENGINE = pytest.mark.parametrize("engine", ENGINES)


@EVERY_ENGINE
def test_every_file_is_archived_once_and_the_snapshot_says_whose(config: Config, engine: str) -> None:
    world = gallery(config, engine)
    world.photo(1, "a.jpg", b"A" * 1000)
    world.photo(2, "dir/same content.jpg", b"A" * 1000)
    world.photo(3, None)
    world.put("x", b"X")
    world.album("me", 7, "x", "a.jpg")
    result = world.push()
    assert (result.files, result.objects, result.sent, result.findings) == (4, 3, 2, ())
    assert len(world.objects()) == 2
    assert result.snapshot is not None
    assert world.contents(result.snapshot) == {
        ("album", ("me", 7), 0): b"X",
        ("album", ("me", 7), 1): b"A" * 1000,
        ("photo", (1,), None): b"A" * 1000,
        ("photo", (2,), None): b"A" * 1000,
    }
    again = world.push()
    assert (again.read, again.sent, again.unchanged) == (0, 0, 3)


@EVERY_ENGINE
def test_a_move_points_rows_at_the_archive_and_removes_live_files(config: Config, engine: str) -> None:
    world = gallery(config, engine)
    world.photo(1, "a.jpg", b"A" * 1000, metadata={"exact": 1})
    (world.live / "a.jpg").chmod(0o640)
    world.photo(2, "b.jpg", b"B")
    world.put("x", b"X")
    world.album("me", 7, "x", "gone")
    stamps = world.stamps()
    result = world.push(move=True)
    assert (result.moved, result.removed) == (3, 3)
    assert [f.outcome for f in result.findings] == ["dangling row"]
    rows = world.rows()
    assert rows[1]["backend"] == "archive"
    assert rows[1]["filename"] in world.objects()
    origin = {"backend": "attachments", "filename": "a.jpg", "properties": {"mode": 0o640}}
    assert rows[1]["metadata"] == {"exact": 1, "archived_from": origin}
    (moved, kept) = world.rows("album", "files")["me", 7]
    assert (moved["backend"], kept["backend"]) == ("archive", "attachments")
    assert world.stamps() == stamps
    assert not [path for path in world.live.rglob("*") if path.is_file()]
    again = world.push(move=True)
    assert (again.archived, again.moved, again.removed) == (3, 0, 0)
    assert {(e.backend, e.path) for e in world.archive.entries(again.snapshot or "")} == {
        ("attachments", "a.jpg"),
        ("attachments", "b.jpg"),
        ("attachments", "x"),
    }


def test_a_dry_run_says_what_a_push_does_and_writes_nothing(world: Gallery) -> None:
    world.photo(1, "a", b"AAA")
    world.photo(2, "gone", None)
    plan = world.push(dry_run=True)
    assert not world.folder.exists()
    done = world.push()
    assert (plan.columns, plan.files, plan.objects, plan.bytes, plan.read, plan.read_bytes, plan.findings) == (
        done.columns,
        done.files,
        done.objects,
        done.bytes,
        done.read,
        done.read_bytes,
        done.findings,
    )
    assert (plan.dry_run, plan.snapshot, done.dry_run) == (True, None, False)


def test_without_any_file_there_is_no_snapshot(world: Gallery) -> None:
    world.photo(1, None)
    world.photo(2, "gone", None)
    assert world.push().snapshot is None
    assert list(world.archive.snapshot_ids()) == []


def test_the_manifest_has_all_that_the_row_said(world: Gallery) -> None:
    world.photo(1, "dir/a b.jpg", b"AAA", content_type="image/jpeg", metadata={"n": 1}, etag="row")
    result = world.push()
    (entry,) = world.archive.entries(result.snapshot or "")
    assert (entry.table, entry.column, entry.key, entry.index) == ("photo", "file", {"id": 1}, None)
    assert (entry.backend, entry.path, entry.name, entry.content_type) == (
        "attachments",
        "dir/a b.jpg",
        "a b.jpg",
        "image/jpeg",
    )
    assert (entry.size, json.loads(bytes(entry.metadata))) == (3, {"n": 1})
    assert json.loads(bytes(entry.reference)) == world.rows()[1]
    header = world.archive.find("latest")
    assert (header.database, header.files, header.objects, header.bytes) == ("sqlite", 1, 1, 3)


def test_what_cannot_be_archived_is_told_and_stops_nothing(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "gone", None)
    world.photo(3, "../outside", None)
    world.photo(4, "b", None, backend="nobody")
    for number, text in enumerate(["[1]", '{"backend": "attachments"}', '{"filename": 5}', '"text"'], start=5):
        world.row(number, text)
    world.row(20, "null")
    world.row(21, json.dumps(json.dumps(reference("a", b"A"))))
    result = world.push()
    assert {(f.key["id"], f.outcome) for f in result.findings} == {
        (2, Outcome.DANGLING),
        (3, Outcome.UNREADABLE),
        (4, Outcome.UNREADABLE),
        *((number, Outcome.MALFORMED) for number in (5, 6, 7, 8)),
    }
    assert all(f.reason for f in result.findings)
    assert result.files == 2


def test_only_rows_of_the_named_tables_that_meet_a_condition_are_archived(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    world.put("x", b"X")
    world.album("me", 1, "x")
    assert world.push("photo", where={"photo": "id = 2"}).files == 1
    assert world.push("album").files == 1
    with pytest.raises(ConfigurationError, match="note has no column of files"):
        world.push("note")
    with pytest.raises(UnknownNameError):
        world.push("nothing")


def test_files_are_old_by_their_row_or_else_by_their_last_modification(world: Gallery) -> None:
    now = dt.datetime.now(dt.UTC)
    world.photo(1, "old row", b"A")
    os.utime(world.live / "old row")
    world.photo(2, "young row", b"B", at=now - dt.timedelta(days=3))
    world.put("old file", b"X")
    world.put("young file", b"Y", fresh=True)
    world.album("me", 1, "old file", "young file")
    result = world.push(older_than=dt.timedelta(days=90))
    assert {e.path for e in world.archive.entries(result.snapshot or "")} == {"old row", "old file"}
    assert {(c.table, c.files, c.younger, c.age_by) for c in result.columns} == {
        ("photo", 1, 1, "photo.created_at"),
        ("album", 1, 1, "last modification of the live file"),
    }
    assert world.archive.find("latest").scope.older_than == "90d"


WITH_LOG = sa.MetaData()
metadata.tables["photo"].to_metadata(WITH_LOG)
sa.Table("log", WITH_LOG, sa.Column("line", sa.Text), sa.Column("odd", sa.types.NullType()))


def test_only_tables_with_files_need_a_key(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    own = replace(world.config, metadata=f"{__name__}:WITH_LOG")
    assert push(own, "sqlite").complete
    with pytest.raises(ConfigurationError, match=r"log "):
        push(own, "sqlite", ["log"])


def test_nothing_is_older_than_time(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.put("x", b"X")
    world.album("me", 7, "x")
    result = world.push(older_than=dt.timedelta(days=365 * 9999))
    assert ([column.younger for column in result.columns], result.snapshot) == ([1, 1], None)


def test_a_changed_file_is_read_again_and_the_old_snapshot_keeps_the_old_content(world: Gallery) -> None:
    world.photo(1, "a", b"old")
    first = world.push().snapshot
    (world.live / "a").write_bytes(b"new")
    second = world.push()
    assert (second.read, second.sent) == (1, 1)
    assert world.contents(first or "") == {("photo", (1,), None): b"old"}
    assert world.contents(second.snapshot or "") == {("photo", (1,), None): b"new"}


def test_a_file_written_just_before_it_was_read_is_read_again(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    os.utime(world.live / "a")
    world.push()
    assert world.push().read == 1


def test_rehash_reads_what_only_looks_unchanged(world: Gallery) -> None:
    world.photo(1, "a", b"old")
    world.push()
    with (world.live / "a").open("r+b") as file:
        file.write(b"new")
    os.utime(world.live / "a", (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    assert world.push().read == 0
    assert world.push(rehash=True).sent == 1


def test_what_gets_smaller_is_compressed_and_comes_back_as_it_was(world: Gallery) -> None:
    noise = os.urandom(50_000)
    world.photo(1, "text", b"text " * 10_000)
    world.photo(2, "noise", noise)
    world.photo(3, "large", b"large " * 1_000_000)
    result = world.push(compress=True)
    sizes = world.objects()
    assert sorted(key.endswith(".zst") for key in sizes) == [False, True, True]
    assert sum(sizes.values()) < 60_000
    assert world.contents(result.snapshot or "") == {
        ("photo", (1,), None): b"text " * 10_000,
        ("photo", (2,), None): noise,
        ("photo", (3,), None): b"large " * 1_000_000,
    }
    assert world.verify(read_data=True).whole
    assert world.push().sent == 0
    assert world.push(rehash=True).sent == 0


def test_moved_files_lie_plain_also_if_they_were_compressed_before(world: Gallery) -> None:
    world.photo(1, "text", b"text " * 10_000)
    world.push(compress=True)
    with pytest.raises(ConfigurationError):
        world.push(move=True, compress=True)
    assert world.push(move=True).moved == 1
    assert (world.folder / world.rows()[1]["filename"]).read_bytes() == b"text " * 10_000


def test_rows_are_only_moved_to_an_archive_that_has_a_name(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.store = str(world.folder)
    with pytest.raises(ConfigurationError, match="name"):
        world.push(move=True)


def test_a_file_that_another_row_points_at_stays_when_one_is_moved(world: Gallery) -> None:
    world.photo(1, "shared", b"S")
    world.photo(2, "shared", None)
    result = world.push(where={"photo": "id = 1"}, move=True)
    assert (result.moved, result.removed) == (1, 0)
    assert world.live_files() == {"shared": b"S"}
    assert world.push(move=True).removed == 1


def test_a_move_from_one_archive_to_another_takes_nothing_from_the_first(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    first = world.push(move=True).snapshot
    offsite = Store("offsite", "offsite", world.config.root)
    world.config = replace(world.config, stores={**world.config.stores, "offsite": offsite})
    world.store = "offsite"
    assert world.push(move=True).moved == 1
    assert (world.rows()[1]["backend"], world.objects()) == ("offsite", {world.rows()[1]["filename"]: 1})
    world.store = "archive"
    assert world.verify(first).whole
    assert world.audit().clean


def test_a_file_that_another_row_names_with_a_slash_stays_when_one_is_moved(world: Gallery) -> None:
    world.photo(1, "dir/shared", b"S")
    world.photo(2, "/dir/shared", None)
    result = world.push(where={"photo": "id = 1"}, move=True)
    assert (result.moved, result.removed) == (1, 0)
    assert world.live_files() == {"dir/shared": b"S"}
    world.push(move=True)
    assert not world.live_files()


def second(world: Gallery, **changes: Any) -> Gallery:
    """Another database of the configuration, which both know, with a gallery of its own."""
    other = Database("other", f"sqlite:///{world.config.root}/other.sqlite3", **changes)
    world.config = replace(world.config, databases={**world.config.databases, "other": other})
    return gallery(world.config, "other")


def test_a_file_that_a_row_of_another_database_points_at_stays_when_one_is_moved(world: Gallery) -> None:
    other = second(world)
    world.photo(1, "shared", b"S")
    other.photo(1, "/shared", None)
    result = world.push(move=True)
    assert (result.moved, result.removed, world.live_files()) == (1, 0, {"shared": b"S"})
    other.run("DELETE FROM photo", "ALTER TABLE photo DROP COLUMN file", "DROP TABLE album")
    assert world.push(move=True).removed == 1


@pytest.mark.parametrize("dry_run", [True, False])
def test_nothing_is_moved_while_the_rows_of_another_database_cannot_be_read(world: Gallery, dry_run: bool) -> None:
    world.photo(1, "a", b"A")
    second(world)
    (world.config.root / "other.sqlite3").write_bytes(b"no database at all, but a file of some length" * 10)
    before = world.rows()
    with pytest.raises(SharedFilesError, match="'other'") as caught:
        world.push(move=True, dry_run=dry_run)
    assert caught.value.exit_code == 3
    assert (world.rows(), world.live_files(), world.objects()) == (before, {"a": b"A"}, {})
    assert world.push().complete
    # Of an address that means nothing here, nobody knows either.
    sure = world.config
    world.config = replace(sure, databases={**sure.databases, "other": Database("other", "mysql://host/rows")})
    with pytest.raises(SharedFilesError, match="'other'"):
        world.push(move=True, dry_run=dry_run)
    world.config = sure
    # One that is not there has no rows.
    (world.config.root / "other.sqlite3").unlink()
    assert world.push(move=True).removed == 1


@pytest.mark.parametrize(
    ("stores", "other"),
    [
        ({"media": ".toolkit/attachments/"}, "media"),
        ({"media": "link"}, "media"),
        ({"media": ".toolkit/attachments/within"}, "media"),
        ({"media": ".toolkit"}, "media"),
        ({"archive": ".toolkit/attachments/archive"}, "archive"),
        ({"archive": "link"}, "archive"),
        ({"attachments": ".toolkit/archive/objects"}, "archive"),
    ],
)
def test_nothing_is_moved_where_two_backends_or_one_and_the_archive_share_a_place(
    alone: Config, stores: dict[str, str], other: str
) -> None:
    (alone.root / ".toolkit/attachments").mkdir(parents=True)
    (alone.root / "link").symlink_to(alone.root / ".toolkit/attachments")
    world = gallery(alone, "sqlite", **stores)
    world.photo(1, "a", b"A")
    if other == "media":
        world.photo(2, "x", None, backend="media")
    before = world.rows()
    with pytest.raises(SharedFilesError, match=f"'attachments' and .*{other}"):
        world.push(move=True)
    assert (world.rows(), list(world.archive.snapshot_ids())) == (before, [])
    assert world.live_files()["a"] == b"A"
    world.push()


def test_a_file_that_a_row_of_an_unknown_backend_may_mean_stays_when_one_is_moved(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    world.photo(3, "a", None, backend="nobody")
    assert world.push(move=True).removed == 1
    assert world.live_files() == {"a": b"A"}


def test_a_file_that_another_column_of_files_points_at_stays_when_one_is_moved(world: Gallery) -> None:
    world.photo(1, "shared", b"S")
    world.album("me", 1, "shared")
    result = world.push("photo", move=True)
    assert (result.moved, result.removed, world.live_files()) == (1, 0, {"shared": b"S"})


def test_what_an_archive_in_a_folder_of_the_live_store_holds_is_not_removed(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.store = str(world.live / "kept")
    world.push()
    (name,) = (path for path in world.live_files() if "objects/" in path)
    world.photo(2, name, None)
    world.store = "archive"
    assert world.push(move=True).moved == 2
    assert name in world.live_files()


@pytest.mark.parametrize("name", ["copy", "link"])
def test_rows_that_were_moved_are_known_under_any_name_of_the_archive(alone: Config, name: str) -> None:
    world = gallery(alone, "sqlite", copy=".toolkit/archive/", link="link")
    (alone.root / "link").symlink_to(world.folder)
    world.photo(1, "a", b"A")
    world.push(move=True)
    moved = world.rows()[1]["filename"]
    world.put("b", b"B")
    world.album("me", 1, "b")
    world.push("album")
    world.archive.remove_snapshots([each.id for each in world.archive.snapshots()[0] if each.moved])
    world.store = name
    assert world.push().archived == 1
    world.archive.remove_snapshots([each.id for each in world.archive.snapshots()[0] if not each.scope.tables])
    world.prune(last=1, source="sqlite")
    assert moved in world.objects()


class _Live:
    """A live backend that does something before each reading, or after it."""

    def __init__(self, backend: LiveBackend, act: Callable[[str], None]) -> None:
        self._backend, self._act = backend, act

    def __getattr__(self, name: str) -> object:
        return getattr(self._backend, name)

    def read(self, path: str) -> Iterator[bytes]:
        yield from self._backend.read(path)
        self._act(path)

    def beginning(self, path: str, count: int) -> memoryview:
        found = self._backend.beginning(path, count)
        self._act(path)
        return found


@pytest.fixture
def meddling(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], None]], None]:
    """Have something happen whenever a live file was read."""

    def meddle(act: Callable[[str], None]) -> None:
        monkeypatch.setattr(backends, "live_backend", lambda config, key: _Live(live_backend(config, key), act))

    return meddle


@pytest.mark.parametrize("size", [100, 10_000])
def test_a_file_that_changes_while_it_is_read_is_archived_as_it_was_once_or_told(
    world: Gallery, meddling: Callable[[Callable[[str], None]], None], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(uploading, "_KEPT_BYTES", 1000)
    world.photo(1, "restless", b"0" * size)
    world.photo(2, "once", b"0" * size + b"x", size=None)
    reads: list[str] = []

    def act(path: str) -> None:
        reads.append(path)
        if path == "restless" or reads.count(path) == 1:
            (world.live / path).write_bytes(b"%d" % (len(reads) % 10) * (size - len(reads)))

    meddling(act)
    result = world.push()
    assert [(f.key["id"], f.outcome) for f in result.findings] == [(1, Outcome.CHANGING)]
    assert world.verify(read_data=True).whole


def test_a_file_that_grew_since_it_was_listed_is_archived_as_it_is_now(
    world: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.photo(1, "log", b"1", size=None)
    listed = sending.Sender.send

    def send(sender: sending.Sender) -> None:
        world.put("log", b"1234")
        listed(sender)

    monkeypatch.setattr(sending.Sender, "send", send)
    result = world.push()
    assert result.complete
    assert world.verify(read_data=True).whole
    assert world.contents(str(result.snapshot))["photo", (1,), None] == b"1234"


def test_a_row_that_changes_during_the_push_is_not_moved(
    world: Gallery, meddling: Callable[[Callable[[str], None]], None]
) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    new = json.dumps(reference("new", b"N"))
    world.put("new", b"N")
    meddling(lambda path: world.run(f"UPDATE photo SET file = '{new}' WHERE id = 1") if path == "a" else None)
    result = world.push(move=True)
    assert ([f.outcome for f in result.findings], result.moved) == ([Outcome.ROW_CHANGED], 1)
    rows = world.rows()
    assert (rows[1]["filename"], rows[2]["backend"]) == ("new", "archive")
    assert world.live_files() == {"a": b"A", "new": b"N"}


def test_a_file_that_was_written_anew_since_it_was_archived_is_not_removed(
    world: Gallery, meddling: Callable[[Callable[[str], None]], None]
) -> None:
    world.photo(1, "a", b"A")
    meddling(lambda path: world.put(path, b"N"))
    # The same size, time and inode: only its content tells.
    result = world.push(move=True)
    assert ([f.outcome for f in result.findings], result.moved, result.removed) == ([Outcome.KEPT], 1, 0)
    assert world.live_files() == {"a": b"N"}


def test_a_move_reads_objects_back_before_it_points_a_row_at_them(
    world: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.photo(1, "a", b"A" * 100)
    world.photo(2, "b", b"B" * 100)
    real = ObjectStore.write

    def spoiling(self: ObjectStore, key: str, chunks: Any, *, size: int | None = None) -> None:
        content = bytes(chunks) if isinstance(chunks, memoryview) else b"".join(chunks)
        real(self, key, [b"Z" + content[1:] if content.startswith(b"A") else content], size=size)

    monkeypatch.setattr(ObjectStore, "write", spoiling)
    result = world.push(move=True)
    assert [f.outcome for f in result.findings] == [Outcome.CORRUPT]
    assert [row["backend"] for row in world.rows().values()] == ["attachments", "archive"]
    assert world.live_files() == {"a": b"A" * 100}
    monkeypatch.undo()
    again = world.push(move=True)
    assert (again.moved, again.repaired, world.live_files()) == (1, 1, {})


@pytest.mark.parametrize(("there", "error"), [(None, MissingObjectError), (b"A", DamagedObjectError)])
def test_a_push_whose_store_lost_what_was_sent_writes_no_snapshot(
    world: Gallery, monkeypatch: pytest.MonkeyPatch, there: bytes | None, error: type[StoreError]
) -> None:
    world.photo(1, "a", b"A" * 100)
    real = ObjectStore.settle

    def losing(self: ObjectStore) -> None:
        real(self)
        for key in world.objects():
            if there is None:
                (world.folder / key).unlink()
            else:
                (world.folder / key).write_bytes(there)

    monkeypatch.setattr(ObjectStore, "settle", losing)
    with pytest.raises(error):
        world.push()
    assert list(world.archive.snapshot_ids()) == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_push_whose_lock_was_taken_for_void_before_or_after_its_manifest_leaves_no_snapshot(
    world: Gallery, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    world.photo(1, "a", b"A")

    def lose_lock() -> None:
        world.archive.store.delete([info.key for info in world.archive.store.list("locks")])

    if moment == "before":
        real_send = sending.Sender.send

        def send(self: sending.Sender) -> None:
            real_send(self)
            lose_lock()

        monkeypatch.setattr(sending.Sender, "send", send)
        monkeypatch.setattr(Archive, "write_snapshot", lambda *_: pytest.fail("it was written all the same"))
    else:
        real_write = Archive.write_snapshot

        def write(self: Archive, header: Header, *parts: Any) -> None:
            real_write(self, header, *parts)
            assert list(self.snapshot_ids()) == [header.id]
            lose_lock()

        monkeypatch.setattr(Archive, "write_snapshot", write)
    with pytest.raises(LockLostError):
        world.push(move=True)
    assert list(world.archive.snapshot_ids()) == []
    assert [row["backend"] for row in world.rows().values()] == ["attachments"]


def test_files_that_a_killed_move_left_behind_go_with_the_next(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    world.push(move=True)
    world.put("a", b"A")
    world.put("b", b"other content of the same name")
    result = world.push(move=True)
    assert (result.moved, result.removed) == (0, 1)
    assert world.live_files() == {"b": b"other content of the same name"}


def test_two_pushes_at_once_make_two_whole_snapshots(world: Gallery) -> None:
    for number in range(40):
        world.photo(number, f"{number}", os.urandom(2000))
    results = []
    start = threading.Barrier(2)

    def work() -> None:
        start.wait()
        results.append(world.push())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r.files for r in results] == [40, 40]
    assert len(world.objects()) == 40
    assert len(world.verify(read_data=True).snapshots) == 2
    assert world.verify(read_data=True).whole


def test_an_archive_that_cannot_be_written_to_stops_a_push_and_keeps_every_row(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    before = world.rows()
    world.folder.parent.mkdir(exist_ok=True)
    world.folder.write_text("a file where the directory should be")
    with pytest.raises(StoreError):
        world.push(move=True)
    assert world.rows() == before
    assert world.live_files() == {"a": b"A"}


def test_a_named_pipe_in_a_files_place_is_told_and_not_waited_for(config: Config) -> None:
    world = gallery(config, "sqlite")
    world.photo(1, "a.jpg", b"A")
    world.row(2, json.dumps(reference("pipe", None)))
    os.mkfifo(world.live / "pipe")
    result = world.push()
    assert [(each.outcome, each.key) for each in result.findings] == [(Outcome.UNREADABLE, {"id": 2})]
    assert "'pipe': something other than a file has its name" in str(result.findings[0].reason)
    assert result.files == 1
    (world.live / "a.jpg").unlink()
    restored = world.restore()
    assert ([file.path for file in restored.findings], (world.live / "a.jpg").read_bytes()) == (["pipe"], b"A")


def test_an_age_that_cannot_be_read_is_in_nobody_s_way_who_does_not_ask_for_it(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.run("UPDATE photo SET created_at = 'x'")
    assert world.push(move=True).moved == 1
    assert (world.restore().complete, world.verify().whole, world.audit().clean) == (True, True, True)
    with pytest.raises(ToolkitError, match="created_at"):
        world.push(older_than=dt.timedelta(days=1))
