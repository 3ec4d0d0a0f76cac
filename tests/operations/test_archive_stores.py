"""The archive in every kind of store, and the live files in every kind of backend."""

from __future__ import annotations

import datetime as dt
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from advanced_alchemy.types.file_object import storages
from advanced_alchemy.types.file_object.backends.fsspec import FSSpecBackend
from fsspec.implementations.memory import MemoryFileSystem

from tests.operations.archive_example import Gallery, gallery
from tests.servers.azurite import AzureServer
from tests.servers.unreliable import Fault, UnreliableProxy
from toolkit.config import Config, Store
from toolkit.errors import MissingObjectError, StoreError
from toolkit.operations.archive import collecting
from toolkit.operations.archive.backends import Backends
from toolkit.operations.archive.erasing import forget
from toolkit.operations.archive.finding import cat, find
from toolkit.stores.live import ObstoreBackend
from toolkit.stores.objects import ObjectInfo

FAULTS = (Fault.UNAVAILABLE, Fault.CUT, Fault.LOST_ANSWER, Fault.HALF_ANSWER)


@pytest.fixture
def stored(request: pytest.FixtureRequest, alone: Config) -> Callable[[str, str], Gallery]:
    """A gallery whose archive, or live store, is of some kind."""

    def make(name: str, kind: str) -> Gallery:
        prefix = secrets.token_hex(8)
        if kind == "memory":
            store = Store(name, "memory://")
        elif kind == "azure":
            server: AzureServer = request.getfixturevalue("azure_server")
            server.create_container(f"a{prefix}")
            store = Store(name, f"az://a{prefix}/in/it", options=server.options)
        else:
            bucket: Store = request.getfixturevalue("archive_bucket")
            store = replace(bucket, name=name, address=f"{bucket.address}/{prefix}")
            if kind == "unreliable":
                proxy: UnreliableProxy = request.getfixturevalue("unreliable_s3")
                store = replace(store, options={**store.options, "endpoint": proxy.endpoint})
                proxy.every, proxy.faults = 5, FAULTS
        return gallery(replace(alone, stores={**alone.stores, name: store}), "sqlite")

    return make


def write_live(world: Gallery, path: str, content: bytes) -> None:
    Backends(world.config).get("attachments").write(path, [content], size=len(content))


# S3 is the one that is unreliable: what it does at once it does at the second attempt, too.
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "unreliable", "azure"])
def test_files_go_into_any_store_and_come_back(stored: Callable[[str, str], Gallery], kind: str) -> None:
    world = stored("archive", kind)
    contents = {f"{number} ä#7.bin": os.urandom(1000 * number) for number in range(4)} | {"big": os.urandom(6_000_000)}
    contents = {path.replace("#7", "") if kind else path: content for path, content in contents.items()}
    for number, (path, content) in enumerate(contents.items()):
        world.photo(number, path, content)
    before = world.rows()
    first = world.push(compress=False)
    assert (first.sent, first.findings) == (len(contents), ())
    again = world.push()
    assert (again.read, again.sent) == (0, 0)
    moved = world.push(move=True)
    assert (moved.moved, moved.removed, world.live_files()) == (len(contents), len(contents), {})
    assert world.verify(read_data=True, source="sqlite").whole
    assert world.prune(last=1).removed_snapshots == 2
    restored = world.restore()
    assert (restored.written, restored.findings) == (len(contents), ())
    assert world.live_files() == contents
    assert world.rows() == before
    assert not list(world.archive.store.list("locks"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "s3", "azure"])
def test_live_files_may_be_in_any_store(stored: Callable[[str, str], Gallery], kind: str) -> None:
    world = stored("attachments", kind)
    contents = {"a b#7 ü%20.txt": b"A" * 1000, "deep/er/x": b"B", "big": os.urandom(6_000_000)}
    for number, (path, content) in enumerate(contents.items()):
        write_live(world, path, content)
        world.photo(number, path)
    before = world.rows()
    assert world.push(move=True).removed == 3
    live = Backends(world.config).get("attachments")
    assert list(live.list()) == []
    assert world.restore().written == 3
    assert {path: b"".join(live.read(path)) for path in contents} == contents
    assert world.rows() == before
    # Read anew once: a store in memory says that the files were written a moment ago.
    assert world.audit().clean


@pytest.fixture
def fsspec_backend() -> Iterator[MemoryFileSystem]:
    """A backend of fsspec, registered by the application under the key that the rows name."""
    files = MemoryFileSystem()
    files.store.clear()
    storages.register_backend(FSSpecBackend(key="attachments", fs=files))
    yield files
    storages.unregister_backend("attachments")
    files.store.clear()


def test_live_files_may_be_in_a_backend_of_fsspec(world: Gallery, fsspec_backend: MemoryFileSystem) -> None:
    names = ["plain", "x#7", "nul\0name", "dots/../up", "n" * 300, "é", "e\u0301"]
    for number, name in enumerate(names):
        fsspec_backend.pipe(name, name.encode())
        world.photo(number, name)
    result = world.push()
    assert result.findings == ()
    assert world.contents(result.snapshot or "") == {
        ("photo", (number,), None): name.encode() for number, name in enumerate(names)
    }
    before = world.rows()
    fsspec_backend.store.clear()
    refused = world.restore()
    assert {f.path for f in refused.findings} == {"dots/../up"}
    assert {name: fsspec_backend.cat_file(name) for name in names if ".." not in name} == {
        name: name.encode() for name in names if ".." not in name
    }
    assert world.rows() == before


def test_a_store_that_may_only_be_read_is_verified_but_not_written_to(
    stored: Callable[[str, str], Gallery], unreliable_s3: UnreliableProxy
) -> None:
    world = stored("archive", "unreliable")
    unreliable_s3.reliable()
    world.photo(1, "a", b"A")
    world.push()
    before = world.rows()
    world.photo(2, "b", b"B")
    unreliable_s3.read_only = True
    with pytest.raises(StoreError, match="access is denied"):
        world.push(move=True)
    with pytest.raises(StoreError, match="access is denied"):
        world.prune(last=1)
    assert world.verify(read_data=True).whole
    assert world.rows() == {**before, 2: world.rows()[2]}
    assert set(world.live_files()) == {"a", "b"}


@pytest.mark.slow
def test_a_store_that_never_answers_well_stops_a_push_and_no_snapshot_lies(
    stored: Callable[[str, str], Gallery], unreliable_s3: UnreliableProxy
) -> None:
    world = stored("archive", "unreliable")
    for number in range(20):
        world.photo(number, f"{number}", os.urandom(1000))
    store = world.config.stores["archive"]
    broken = replace(store, options={**store.options, "retries": 1})
    world.config = replace(world.config, stores={**world.config.stores, "archive": broken})
    unreliable_s3.reliable()
    unreliable_s3.every, unreliable_s3.only, unreliable_s3.faults = 1, "PUT /archives/", (Fault.UNAVAILABLE,)
    with pytest.raises(StoreError):
        world.push()
    unreliable_s3.reliable()
    assert list(world.archive.snapshot_ids()) == []
    assert world.push().files == 20
    assert world.verify(read_data=True).whole


# So few are asked for one by one, so many are listed.
@pytest.mark.slow
@pytest.mark.parametrize("files", [2, 20])
def test_a_store_that_loses_an_object_and_says_nothing_gets_no_snapshot_that_names_it(
    stored: Callable[[str, str], Gallery], unreliable_s3: UnreliableProxy, files: int
) -> None:
    world = stored("archive", "unreliable")
    unreliable_s3.reliable()
    for number in range(files):
        world.photo(number, f"{number}", os.urandom(1000))
    prefix = world.config.stores["archive"].address.removeprefix("s3:/")
    unreliable_s3.every, unreliable_s3.only, unreliable_s3.faults = 2, f"PUT {prefix}/objects/", (Fault.SWALLOWED,)
    with pytest.raises(MissingObjectError, match="there is no object 'objects/"):
        world.push()
    assert unreliable_s3.failed == files // 2
    assert not [request for request in unreliable_s3.requests if request.startswith(f"PUT {prefix}/snapshots/")]
    unreliable_s3.reliable()
    assert list(world.archive.snapshot_ids()) == []
    assert world.push().sent == files // 2
    assert world.verify(read_data=True).whole


@pytest.mark.slow
def test_a_slow_store_only_takes_longer(stored: Callable[[str, str], Gallery], unreliable_s3: UnreliableProxy) -> None:
    world = stored("archive", "unreliable")
    unreliable_s3.reliable()
    unreliable_s3.delay = 0.05
    for number in range(12):
        world.photo(number, f"{number}", os.urandom(1000))
    contents, before = world.live_files(), world.rows()
    pushed = world.push(move=True)
    assert (pushed.sent, pushed.removed, pushed.findings) == (12, 12, ())
    assert world.verify(read_data=True).whole
    restored = world.restore()
    assert (restored.written, restored.findings) == (12, ())
    assert (world.live_files(), world.rows()) == (contents, before)
    assert not list(world.archive.store.list("locks"))


@pytest.mark.slow
def test_a_push_of_nothing_new_lists_and_asks_for_no_single_file(
    stored: Callable[[str, str], Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "SETTLED", dt.timedelta(hours=-1))
    monkeypatch.setattr(collecting, "_LISTED_FROM", 4)
    world = stored("attachments", "s3")
    count = 5
    for number in range(count):
        write_live(world, f"{number} é", b"%d" % number)
    world.photos({number: f"{number} é" for number in range(count)})
    first = world.push()
    # Of a new file, its headers are asked for: a listing does not have them.
    assert (first.requests["get"], first.requests["head"]) == (count, count)
    again = world.push()
    assert (again.unchanged, again.read) == (count, 0)
    assert again.requests == {"list": 1}
    # What is asked for singly has the time to the second: it is the same.
    world.run("DELETE FROM photo WHERE id > 2")
    few = world.push()
    assert (few.unchanged, few.requests) == (3, {"head": 3})
    write_live(world, "2 é", b"changed")
    assert (world.push().read, world.push().sent) == (1, 0)


@pytest.mark.slow
def test_files_are_found_erased_and_snapshots_removed_in_a_bucket(stored: Callable[[str, str], Gallery]) -> None:
    world = stored("archive", "s3")
    for number in range(3):
        world.photo(number, f"{number}", b"%d" % number)
    first, second = (str(world.push().snapshot) for _ in range(2))
    assert b"".join(cat(world.config, "latest", "1").chunks) == b"1"
    result = forget(world.config, "sqlite", {"photo": "id = 1"})
    assert (result.snapshots, result.removed_objects) == (tuple(sorted((first, second))), 1)
    assert {each.snapshot for each in find(world.config, "2").files} == {first, second}
    assert not find(world.config, "1").files
    assert world.remove(first).removed_objects == 0
    assert world.verify(read_data=True).whole


def test_a_listing_that_would_cost_more_than_to_ask_ends(
    stored: Callable[[str, str], Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = stored("attachments", "memory")
    monkeypatch.setattr(collecting, "_LISTED_FROM", 2)
    monkeypatch.setattr(collecting, "LISTED_FOR_ONE", 2)
    for number in range(9):
        write_live(world, f"{number}", b"%d" % number)
    world.photos({7: "7", 8: "8"})
    taken: list[ObjectInfo] = []
    usual = ObstoreBackend.list

    def listed(self: ObstoreBackend) -> Iterator[ObjectInfo]:
        for each in usual(self):
            taken.append(each)
            yield each

    monkeypatch.setattr(ObstoreBackend, "list", listed)
    assert (world.push().sent, len(taken)) == (2, 4)
