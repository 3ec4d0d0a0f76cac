"""`archive push --workers`: the same archive and the same words as without, whatever becomes of a worker."""

from __future__ import annotations

import hashlib
import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from tests.executors import forked
from tests.executors.here import open_here
from tests.operations.archive_example import LONG_AGO, Gallery, gallery
from toolkit.config import Config, Store
from toolkit.config.stores import with_key
from toolkit.core.archive_manifest import Address
from toolkit.errors import ConfigurationError
from toolkit.executors.local import LocalExecutor
from toolkit.operations.archive import sending_parts
from toolkit.operations.archive.backends import Backends, open_archive
from toolkit.operations.archive.outcomes import Outcome
from toolkit.operations.archive.push import push
from toolkit.operations.archive.push_values import PushOptions, PushResult
from toolkit.operations.archive.sending_parts import Job, SendPart, cut, send_part, told
from toolkit.operations.archive.store_places import archive_place, live_place
from toolkit.operations.archive.uploading import Item
from toolkit.operations.parts.checking import check_workers
from toolkit.operations.parts.crew import WorkerOptions
from toolkit.stores.archive_locks import Lock, LockKind

LOCAL = WorkerOptions("local:2")


def pushed(world: Gallery, store: str = "archive", workers: WorkerOptions | None = LOCAL, **options: Any) -> PushResult:
    return push(world.config, world.database, store=store, options=PushOptions(**options), workers=workers)


def entries(world: Gallery, store: str = "archive") -> list[str]:
    """The lines of the files of the latest snapshot."""
    archive = replace(world, store=store).archive
    return [each.document for each in archive.entries(archive.find("latest").id)]


def objects(world: Gallery, store: str) -> dict[str, int]:
    return replace(world, store=store).objects()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started: what parts do is the same."""
    monkeypatch.setattr("toolkit.operations.parts.crew.open_executor", open_here)


@pytest.fixture
def in_s3(alone: Config, archive_bucket: Store) -> Gallery:
    """A gallery whose archive is in an object store; that of a push without workers, `plain`, in a directory."""
    store = replace(archive_bucket, address=f"{archive_bucket.address}/{secrets.token_hex(8)}")
    return gallery(replace(alone, stores={**alone.stores, "archive": store}), "sqlite", plain="plain")


@pytest.fixture
def processes() -> Iterator[None]:
    """Workers that are processes, whose start takes little time."""
    with forked.workers():
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("processes")
def test_workers_leave_the_archive_that_a_push_without_them_leaves(
    in_s3: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """120 files into an object store: objects, manifest and result are the same, but for the number of requests."""
    monkeypatch.setattr(sending_parts, "PART_FILES", 25)
    for number in range(120):
        in_s3.put(f"{number}.txt", b"twice" if number % 40 == 3 else b"%d" % number)
    in_s3.photos({number: f"{number}.txt" for number in range(121)})
    results = [pushed(in_s3, "plain", None), pushed(in_s3, jobs=16)]
    assert entries(in_s3, "archive") == entries(in_s3, "plain")
    assert objects(in_s3, "archive") == objects(in_s3, "plain")
    plain, parted = (structs.replace(each, seconds=0, requests={}, snapshot=None, archive="") for each in results)
    assert parted == plain
    assert (parted.sent, parted.files, [f.outcome for f in parted.findings]) == (118, 120, ["dangling row"])
    assert results[1].requests["put"] >= 118


@pytest.fixture
def world(alone: Config) -> Gallery:
    """A gallery with two archives in directories: that of a push without workers is `plain`."""
    return gallery(alone, "sqlite", plain="plain")


@pytest.mark.usefixtures("processes")
def test_a_part_whose_worker_is_killed_is_done_again(world: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is killed with a part; the manifest is that of a push without workers, nothing is lost."""
    for number in range(60):
        world.put(f"{number}", os.urandom(4096))
    world.photos({number: f"{number}" for number in range(60)})
    monkeypatch.setattr(sending_parts, "PART_FILES", 12)
    killed: list[int] = []

    def kill(executor: LocalExecutor) -> None:
        killed.append(executor.process_ids[1])
        os.kill(killed[0], signal.SIGKILL)

    with forked.at_hand_out(2, kill):
        result = pushed(world)
    assert len(killed) == 1
    assert (result.sent, result.repaired, result.findings, result.notes) == (60, 0, (), ())
    pushed(world, "plain", None)
    assert entries(world) == entries(world, "plain")
    assert world.verify(read_data=True).whole


@pytest.mark.usefixtures("here")
def test_files_that_go_or_change_meanwhile_are_told_as_without_workers(
    world: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is removed after it was looked at, one is written anew: what the snapshot says is what a worker has read."""
    for number in range(20):
        world.photo(number, f"{number}", b"old %d" % number)
    usual = sending_parts.PartSender.send

    def send(sender: sending_parts.PartSender, lock: Lock) -> None:
        (world.live / "7").unlink()
        world.put("8", b"new and longer")
        usual(sender, lock)

    monkeypatch.setattr(sending_parts.PartSender, "send", send)
    result = pushed(world)
    told = {(each.outcome, each.path): each.reason for each in result.findings}
    assert told == {
        (Outcome.DANGLING, "7"): "it was removed while it was read",
        (Outcome.SIZE_DIFFERS, "8"): "14 bytes, but the row says 5",
    }
    assert result.notes == ()
    assert result.snapshot is not None
    assert world.contents(result.snapshot)["photo", (8,), None] == b"new and longer"


@pytest.mark.usefixtures("here")
def test_what_lies_in_the_archive_is_not_sent_again_and_what_is_damaged_there_is_repaired(world: Gallery) -> None:
    """Workers have no list of the archive: they ask it, and are told what is damaged."""
    for number in range(6):
        world.photo(number, f"{number}", b"content %d" % number * 100)
    pushed(world, workers=None, compress=True)
    first, second, *_ = sorted(objects(world, "archive"))
    world.spoil(first)
    assert not world.verify(read_data=True).whole
    (world.folder / second).write_bytes(b"cut off")
    result = pushed(world, rehash=True, compress=True)
    assert (result.read, result.sent, result.repaired, result.findings) == (6, 2, 2, ())
    assert world.verify(read_data=True).whole


def part_for(world: Gallery, lock: Lock) -> SendPart:
    """A part of one file, as a push with this lock hands it out."""
    world.photo(1, "a", b"A")
    backends = Backends(world.config, "archive")
    places = (live_place(world.config, backends, "attachments", is_local=True),)
    archive = archive_place(world.config, "archive", is_local=True)
    job = Job("sqlite", archive, lock.key, places, False, False, 1, frozenset(), frozenset())
    (part,) = cut([Item(1, "attachments", "a", 1, LONG_AGO.timestamp())], job)
    return part


@pytest.mark.parametrize("name", ["archive", "attachments"])
def test_a_worker_refuses_a_store_that_is_another_one_there(world: Gallery, name: str) -> None:
    """Nothing is read or written in it."""
    here = told(world.config, "sqlite")
    other = replace(here, stores={**here.stores, name: Store(name, f"other {name}", here.root)})
    with world.archive.locked(LockKind.PUSH) as lock:
        part = part_for(world, lock)
        with pytest.raises(ConfigurationError, match=f"{name} is another store on this worker"):
            send_part(part, other)
        assert not objects(world, "archive")
        assert [each.sha for each in send_part(part, here).done] == [hashlib.sha256(b"A").hexdigest()]


def test_a_worker_sends_nothing_for_a_push_that_has_ended(world: Gallery) -> None:
    """Nor into an archive where it does not find the push's lock, such as one that it has another key for."""
    with world.archive.locked(LockKind.PUSH) as lock:
        part = part_for(world, lock)
    with pytest.raises(ConfigurationError, match="The lock of this push is not in"):
        send_part(part, told(world.config, "sqlite"))
    assert not objects(world, "archive")


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_the_check_of_workers_has_each_reach_stores(world: Gallery) -> None:
    """One that is encrypted with another key is told, by the worker's own words."""
    key, other = "1" * 64, "2" * 64
    config = world.config
    for name, address, keys in (("sealed", "sealed", key), ("wrong", "sealed", other)):
        config = replace(config, stores={**config.stores, name: with_key(Store(name, address, config.root), keys)})
    open_archive(config, "sealed").write(Address("0" * 64), [b"x"], 1)
    found = check_workers(config, (), LOCAL, ("archive", "sealed", "wrong"))
    assert found.workers
    for worker in found.workers:
        assert [each.problem is None for each in worker.stores] == [True, True, False]
        assert "encrypted with key" in (worker.stores[2].problem or "")
    assert not found.is_fine


def test_stores_that_no_worker_would_find_are_refused(world: Gallery) -> None:
    """Directories, for workers elsewhere; the memory of a process; an address that has no name."""
    backends = Backends(world.config)
    with pytest.raises(ConfigurationError, match="attachments is a directory of this machine"):
        live_place(world.config, backends, "attachments", is_local=False)
    with pytest.raises(ConfigurationError, match="may hold a password"):
        archive_place(world.config, "s3://bucket/somewhere", is_local=False)
    world.photo(1, "a", b"A")
    with pytest.raises(ConfigurationError, match="in the memory of this process"):
        pushed(world, "memory://")
