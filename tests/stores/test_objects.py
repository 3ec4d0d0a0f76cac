"""One contract that every kind of store keeps, one that fails on purpose among them; then what is each one's own."""

from __future__ import annotations

import hashlib
import itertools
import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from obstore.exceptions import GenericError

from tests.servers.azurite import AzureServer
from tests.servers.swift import SECRET, S3Server
from tests.servers.unreliable import Fault, UnreliableProxy
from toolkit.config import Store
from toolkit.errors import MissingObjectError, StoreError
from toolkit.stores.client import client_for
from toolkit.stores.objects import ObjectStore
from toolkit.stores.store_errors import explain

FAULTS = (Fault.UNAVAILABLE, Fault.CUT, Fault.LOST_ANSWER, Fault.HALF_ANSWER)
MIB = 1 << 20


@dataclass
class Place:
    """An empty store of one kind."""

    kind: str
    store: Store
    part_bytes: int = 64 << 10

    @property
    def objects(self) -> ObjectStore:
        return ObjectStore(self.store, part_bytes=self.part_bytes)


@pytest.fixture(scope="session")
def s3_store(s3_server: S3Server) -> Store:
    s3_server.create_bucket("objects")
    return Store("s3", "s3://objects", options=s3_server.options)


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Place]:
    """A maker of empty stores."""
    prefix = secrets.token_hex(8)

    def _make(kind: str) -> Place:
        if kind == "local":
            return Place(kind, Store("local", str(tmp_path / "store")))
        if kind == "memory":
            return Place(kind, Store("memory", "memory://"))
        if kind == "azure":
            server: AzureServer = request.getfixturevalue("azure_server")
            server.create_container(f"c{prefix}")
            return Place(kind, Store("azure", f"az://c{prefix}/pre/fix", options=server.options))
        store: Store = request.getfixturevalue("s3_store")
        if kind == "unreliable":
            proxy: UnreliableProxy = request.getfixturevalue("unreliable_s3")
            store = replace(store, options={**store.options, "endpoint": proxy.endpoint})
            proxy.every, proxy.faults = 5, FAULTS
        return Place(kind, replace(store, address=f"s3://objects/{prefix}"))

    return _make


# S3 is the one that is unreliable: of five of its requests, four are answered as they should be.
@pytest.fixture(params=["local", "memory", "unreliable", "azure"])
def place(request: pytest.FixtureRequest, make: Callable[[str], Place]) -> Place:
    return make(request.param)


@pytest.fixture
def local(make: Callable[[str], Place]) -> Place:
    return make("local")


@pytest.fixture
def s3(make: Callable[[str], Place]) -> Place:
    return make("s3")


def chunks(content: bytes, size: int = 100_003) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def read(objects: ObjectStore, key: str) -> bytes:
    return b"".join(objects.read(key))


def keys(objects: ObjectStore, prefix: str = "") -> list[str]:
    return sorted(info.key for info in objects.list(prefix))


# -- the contract ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("in_memory", "parts"), [(False, 1), (True, 4)])
def test_what_is_written_is_read_listed_and_removed(place: Place, in_memory: bool, parts: int) -> None:
    objects, part = place.objects, parts * place.part_bytes
    for number, size in enumerate((0, 1, part - 1, part, part + 1, 3 * part + 7)):
        content, key = os.urandom(size), f"folder/{number}"
        before = datetime.now(UTC) - timedelta(minutes=1)
        objects.write(key, memoryview(content) if in_memory else chunks(content), size=size)
        pieces = list(objects.read(key))
        assert b"".join(pieces) == content
        assert all(0 < len(piece) <= 2 * MIB for piece in pieces)
        info = objects.info(key)
        assert info is not None
        assert (info.key, info.size) == (key, size)
        assert before < info.last_modified < datetime.now(UTC) + timedelta(minutes=1)
        (listed,) = (each for each in objects.list() if each.key == key)
        assert (listed.size, listed.last_modified.tzinfo) == (size, UTC)
    objects.delete(f"folder/{number}" for number in range(6))
    assert keys(objects) == []


def test_a_prefix_is_a_whole_folder(place: Place) -> None:
    objects = place.objects
    for key in ("a", "b/c", "b/d/e", "bb/f", "b.g"):
        objects.write(key, [b"x"])
    assert keys(objects) == ["a", "b.g", "b/c", "b/d/e", "bb/f"]
    assert keys(objects, "b") == keys(objects, "b/") == ["b/c", "b/d/e"]
    assert keys(objects, "b/d") == ["b/d/e"]
    assert keys(objects, "nothing") == []


def test_what_is_not_there_is_nothing_to_list_and_no_error_to_remove(place: Place) -> None:
    objects = place.objects
    assert keys(objects) == []
    assert objects.info("a/b") is None
    objects.delete(["a/b"])
    with pytest.raises(MissingObjectError, match="there is no object 'a/b'"):
        read(objects, "a/b")
    objects.write("a/c", [b"x"])
    objects.write("a/d", [b"x"])
    # In a directory a folder and a file cannot both be.
    assert objects.info("a") is None
    assert objects.info("a/c/d") is None
    objects.delete(["a/b", "a/c", "a/c/d", "other", "a/d", "a"])
    assert keys(objects) == []
    objects.delete([])


def test_a_write_replaces(place: Place) -> None:
    objects = place.objects
    for content in (b"first", os.urandom(2 * place.part_bytes), b"", b"third"):
        objects.write("key", chunks(content))
        assert read(objects, "key") == content
    assert keys(objects) == ["key"]


def test_an_object_goes_from_one_store_to_another_and_to_itself(place: Place, tmp_path: Path) -> None:
    objects, content = place.objects, os.urandom(3 * place.part_bytes)
    objects.write("from", chunks(content))
    other = ObjectStore(Store("other", str(tmp_path / "other")), part_bytes=place.part_bytes)
    other.write("over", objects.read("from"), size=len(content))
    objects.write("back", other.read("over"), size=len(content))
    objects.write("again", objects.read("back"))
    assert read(objects, "again") == content


@pytest.mark.parametrize("parts", [0.5, 2.5])
def test_an_error_of_the_source_is_raised_as_it_is_and_what_was_there_stays(place: Place, parts: float) -> None:
    objects = place.objects
    objects.write("key", [b"old"])

    def failing() -> Iterator[bytes]:
        yield from chunks(bytes(int(parts * place.part_bytes)))
        raise FileNotFoundError(2, "the source's own")

    for key in ("key", "new"):
        with pytest.raises(FileNotFoundError, match="the source's own"):
            objects.write(key, failing())
    assert keys(objects) == ["key"]
    assert read(objects, "key") == b"old"


@pytest.mark.parametrize("parts", [0.5, 2.5])
@pytest.mark.parametrize("more", [-1, 1])
def test_another_number_of_bytes_than_was_said_is_refused(place: Place, parts: float, more: int) -> None:
    objects, content = place.objects, bytes(int(parts * place.part_bytes))
    with pytest.raises(StoreError, match=rf"should have {len(content) - more} bytes, but \d+"):
        objects.write("key", chunks(content), size=len(content) - more)
    assert keys(objects) == []


def test_only_one_may_create(place: Place) -> None:
    objects = place.objects
    assert objects.create("lock", b"mine") is True
    assert objects.create("lock", b"yours") is False
    # Not even with the same content.
    assert objects.create("lock", b"mine") is False
    assert read(objects, "lock") == b"mine"
    objects.delete(["lock"])
    assert objects.create("lock", b"") is True
    objects.write("written", [b"x"])
    assert objects.create("written", b"y") is False


# Not Swift itself, which looks first and writes then; "unreliable" lets one conditional write in at a time, as S3 does.
@pytest.mark.parametrize("kind", ["local", "memory", "unreliable", "azure"])
def test_of_several_that_create_at_once_one_is_told_so(make: Callable[[str], Place], kind: str) -> None:
    objects = make(kind).objects
    for round_ in range(3):
        barrier = threading.Barrier(8)

        def create(number: int, key: str = f"lock{round_}", barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return objects.create(key, str(number).encode())

        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(create, range(8)))
        winners = [number for number, won in enumerate(told) if won]
        assert winners == [int(read(objects, f"lock{round_}"))]


def test_many_threads_share_a_store(place: Place) -> None:
    objects = place.objects
    contents = {f"f/{number}": os.urandom(number * 1000) for number in range(24)}
    contents["big"] = os.urandom(3 * place.part_bytes)

    def write(key: str) -> bytes:
        objects.write(key, chunks(contents[key]), size=len(contents[key]))
        return read(objects, key)

    with ThreadPoolExecutor(8) as pool:
        assert dict(zip(contents, pool.map(write, contents), strict=True)) == contents
    assert {info.key: info.size for info in objects.list()} == {key: len(each) for key, each in contents.items()}


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        "..",
        "a/../b",
        ".hidden",
        "a b",
        "ü",
        "a#7",
        "a%20b",
        "a\x00",
        "a\nb",
        "a?b",
        "-rf",
        "x" * 513,
        "a\\b",
        "~",
    ],
)
def test_a_key_that_is_not_for_every_store_is_refused(local: Place, key: str) -> None:
    for call in (local.objects.info, local.objects.read, lambda key: local.objects.write(key, [b""])):
        with pytest.raises(ValueError, match="is not a key that every store takes"):
            call(key)
    with pytest.raises(ValueError, match="is not a key"):
        local.objects.create(key, b"")
    with pytest.raises(ValueError, match="is not a key"):
        local.objects.delete([key])
    assert not local.objects.exists


# -- failures ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.HALF_ANSWER])
def test_a_store_that_fails_every_other_time_is_written_read_and_emptied(
    make: Callable[[str], Place], unreliable_s3: UnreliableProxy, fault: Fault
) -> None:
    place = make("unreliable")
    unreliable_s3.reliable()
    unreliable_s3.every, unreliable_s3.faults = 2, (fault,)
    objects, content = place.objects, os.urandom(2 * place.part_bytes + 9)
    objects.write("big", chunks(content))
    assert read(objects, "big") == content
    assert [objects.create("lock", b"1"), objects.create("lock", b"1")] == [True, False]
    objects.write("small", [b"x"])
    assert keys(objects) == ["big", "lock", "small"]
    assert objects.info("big") is not None
    objects.delete(["big", "lock"])
    assert keys(objects) == ["small"]
    assert unreliable_s3.failed > 5


_OF_PARTS = ("?uploads", "partNumber=2", "POST /objects/{prefix}/big?uploadId=")


# What is in memory is cut by obstore, which sends the same requests: each fault once.
@pytest.mark.parametrize(
    ("in_memory", "request_", "fault"),
    [
        *((False, request_, fault) for request_ in _OF_PARTS for fault in FAULTS),
        *((True, _OF_PARTS[number % 3], fault) for number, fault in enumerate(FAULTS)),
    ],
)
def test_an_upload_in_parts_survives_a_failure_of_each_of_its_requests(
    s3_store: Store, unreliable_s3: UnreliableProxy, in_memory: bool, request_: str, fault: Fault
) -> None:
    options = {**s3_store.options, "endpoint": unreliable_s3.endpoint}
    prefix = os.urandom(8).hex()
    objects = ObjectStore(Store("s3", f"s3://objects/{prefix}", options=options), part_bytes=64 << 10)
    unreliable_s3.every, unreliable_s3.faults = 1, (fault,)
    unreliable_s3.only = request_.format(prefix=prefix)
    # The first such request fails, the second does not.
    unreliable_s3._counted = itertools.chain([1], itertools.repeat(0.5))
    content = os.urandom(150_000 if not in_memory else 600_000)
    objects.write("big", memoryview(content) if in_memory else chunks(content))
    assert unreliable_s3.failed == 1
    unreliable_s3.reliable()
    assert read(objects, "big") == content
    objects.delete(["big"])


@pytest.mark.parametrize("retries", [0, 10])
def test_reading_goes_on_where_the_connection_broke(
    make: Callable[[str], Place], unreliable_s3: UnreliableProxy, retries: int
) -> None:
    # obstore goes on by itself, but only so often and for so long: without retries, never.
    store = make("unreliable").store
    # In one piece: Swift reads no more than one part a second after the tenth.
    objects, content = ObjectStore(replace(store, options={**store.options, "retries": retries})), os.urandom(4 * MIB)
    unreliable_s3.reliable()
    objects.write("big", [content])
    unreliable_s3.every, unreliable_s3.only, unreliable_s3.faults = 2, "GET", (Fault.HALF_ANSWER,)
    unreliable_s3._counted = itertools.count(2)
    unreliable_s3.requests.clear()
    assert read(objects, "big") == content
    assert len(unreliable_s3.requests) == 2


@pytest.mark.slow
def test_reading_slowly_outlives_the_timeout_of_a_request(s3: Place) -> None:
    objects = ObjectStore(replace(s3.store, options={**s3.store.options, "timeout": 0.5}))
    content = os.urandom(12 * MIB)
    objects.write("big", [content])
    reading = objects.read("big")
    pieces = [next(reading)]
    time.sleep(0.7)
    pieces += reading
    assert b"".join(pieces) == content


@pytest.mark.slow
def test_an_object_that_is_replaced_while_it_is_read_is_not_mixed(
    make: Callable[[str], Place], unreliable_s3: UnreliableProxy
) -> None:
    objects = ObjectStore(make("unreliable").store)
    unreliable_s3.reliable()
    objects.write("big", [bytes(8 * MIB)])
    unreliable_s3.every, unreliable_s3.only, unreliable_s3.faults = 1, "GET", (Fault.HALF_ANSWER,)
    reading = objects.read("big")
    next(reading)
    unreliable_s3.reliable()
    objects.write("big", [b"\x01" * (8 * MIB)])
    with pytest.raises(StoreError):
        list(reading)


@pytest.mark.slow
def test_a_store_that_does_not_come_back_is_told(make: Callable[[str], Place], unreliable_s3: UnreliableProxy) -> None:
    place = make("unreliable")
    unreliable_s3.every, unreliable_s3.faults = 1, (Fault.UNAVAILABLE,)
    objects = ObjectStore(replace(place.store, options={**place.store.options, "retries": 1}), part_bytes=64 << 10)
    with pytest.raises(StoreError, match=r"'a': it is overloaded or out of order"):
        objects.write("a", [b"x"])
    with pytest.raises(StoreError, match="overloaded"):
        objects.create("a", b"x")
    with pytest.raises(StoreError, match="overloaded"):
        list(objects.list())
    unreliable_s3.faults = (Fault.CUT,)
    with pytest.raises(StoreError, match="the connection broke off"):
        objects.write("a", chunks(bytes(150_000)))


def test_a_store_that_may_only_be_read_is_told(make: Callable[[str], Place], unreliable_s3: UnreliableProxy) -> None:
    objects = make("unreliable").objects
    unreliable_s3.reliable()
    objects.write("a", [b"x"])
    unreliable_s3.read_only = True
    for write in (
        lambda: objects.write("a", [b"y"]),
        lambda: objects.write("a", chunks(bytes(150_000))),
        lambda: objects.create("b", b""),
        lambda: objects.delete(["a"]),
    ):
        with pytest.raises(StoreError, match=r"access is denied|may not remove"):
            write()
    assert read(objects, "a") == b"x"


@pytest.mark.azure
def test_a_wrong_secret_is_told_without_it(s3: Place, make: Callable[[str], Place]) -> None:
    azure = make("azure").store
    wrong = {
        "the credentials are refused": replace(
            s3.store, options={**s3.store.options, "secret_access_key": "hunter2hunter2"}
        ),
        "credentials are refused": replace(azure, options={**azure.options, "account_key": "aHVudGVyMmh1bnRlcjI="}),
    }
    calls: tuple[Callable[[ObjectStore], object], ...] = (
        lambda objects: objects.write("a", [b"x"]),
        lambda objects: list(objects.list()),
        lambda objects: read(objects, "a"),
    )
    for message, store in wrong.items():
        objects = ObjectStore(store)
        for call in calls:
            with pytest.raises(StoreError, match=message) as caught:
                call(objects)
            assert caught.value.advice
            shown = f"{caught.value} {caught.value.__cause__!r} {store!r} {objects.name}"
            assert "hunter2" not in shown
            assert "aHVudGVyM" not in shown
    # A refused HEAD has no body that would say why.
    with pytest.raises(StoreError, match="access is denied"):
        ObjectStore(wrong["the credentials are refused"]).info("a")


def test_what_obstore_says_is_told_without_secrets(s3: Place) -> None:
    message = r"no idea what \*\*\* and http://me:\*\*\*@h are\."
    with pytest.raises(StoreError, match=message) as caught, client_for(s3.store).translated("a"):
        raise ValueError(f"no idea what {SECRET} and http://me:hunter2@h are\nDebug source: {SECRET}")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("endpoint", "http://127.0.0.1:1", "nothing answers there"),
        ("endpoint", "http://no-such-host.invalid", "its host name cannot be resolved"),
        ("allow_http", False, "it is not reached over https"),
        ("region", "eu-central-1", "it is in another region"),
        ("access_key_id", "nobody", "the credentials are refused"),
        ("timeout", 0.0001, "it does not answer in time"),
    ],
)
def test_a_setting_that_is_wrong_is_told_with_what_to_correct(
    s3: Place, setting: str, value: str | bool, message: str
) -> None:
    store = replace(s3.store, options={**s3.store.options, "retries": 1, setting: value})
    with pytest.raises(StoreError, match=f"'a': {message}") as caught:
        ObjectStore(store).write("a", [b"x"])
    assert SECRET not in str(caught.value)
    assert str(caught.value).count("\n") == 1


@pytest.mark.azure
def test_a_bucket_that_is_not_there_is_told(s3: Place, make: Callable[[str], Place]) -> None:
    calls: tuple[Callable[[ObjectStore], object], ...] = (
        lambda objects: objects.write("a", [b"x"]),
        lambda objects: objects.write("a", chunks(bytes(150_000))),
        lambda objects: objects.create("a", b"x"),
        lambda objects: list(objects.list()),
        lambda objects: read(objects, "a"),
        lambda objects: objects.delete(["a"]),
        lambda objects: objects.delete(["a", "b"]),
    )
    for store in (replace(s3.store, address="s3://nowhere"), replace(make("azure").store, address="az://nowhere/x")):
        for call in calls:
            with pytest.raises(StoreError, match=r"nowhere.*: there is no such bucket"):
                call(ObjectStore(store, part_bytes=64 << 10))


@pytest.mark.parametrize(
    ("store", "message"),
    [
        (Store("x", "nowhere://bucket"), "'x': its address has an unknown scheme"),
        (Store("x", "http://example.org/"), "unknown scheme"),
        (Store("x", "s3://"), "s3://"),
        (Store("x", "az://c", options={"account_name": "a", "account_key": "no base64"}), "credentials are refused"),
        (Store("x", "gs://c", options={"service_account_key": "topsecret"}), "service account"),
    ],
)
def test_a_store_that_cannot_be_opened_is_told(store: Store, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        ObjectStore(store)
    assert "topsecret" not in str(caught.value)


# -- directories of this machine ---------------------------------------------------------------------------


def test_reading_makes_no_directory_and_writing_does(local: Place) -> None:
    objects = local.objects
    assert objects.info("a") is None
    assert list(objects.list()) == []
    objects.delete(["a"])
    assert objects.remove_unfinished(datetime.now(UTC)) == 0
    assert not objects.exists
    assert objects.create("a/b", b"x")
    assert objects.exists
    assert objects.directory is not None
    assert (objects.directory / "a" / "b").read_bytes() == b"x"
    objects.settle()


def test_a_file_where_a_directory_should_be_is_told(local: Place, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreError, match="store"):
        local.objects.write("a", [b"x"])
    (tmp_path / "store").unlink()
    local.objects.write("a", [b"x"])
    with pytest.raises(StoreError, match="'a/b': Not a directory") as caught:
        local.objects.write("a/b", [b"x"])
    assert "A file is where a directory should be" in caught.value.advice
    with pytest.raises(StoreError, match="'a/b'"):
        local.objects.create("a/b", b"x")


def run_limited(
    code: str, *arguments: str, limit: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], preexec_fn=limit, capture_output=True, text=True, check=False
    )


_HEAD = """
import sys
from pathlib import Path
from toolkit.config import Store
from toolkit.errors import StoreError
from toolkit.stores.objects import ObjectStore
from toolkit.stores.store_errors import explain
objects = ObjectStore(Store("local", sys.argv[1]))
"""


def test_a_full_disk_is_told_and_leaves_nothing(local: Place, tmp_path: Path) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    code = """
for count in (1, 20):
    try:
        objects.write("big", (bytes(1 << 20) for _ in range(count)))
    except StoreError as error:
        print(error)
"""
    done = run_limited(_HEAD + code, str(tmp_path / "store"), limit=limit)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("File too large") == done.stdout.count("Make room there") == 2
    assert keys(local.objects) == []


def when_not_busy(*command: str) -> None:
    """Run a command that may fail as long as a given-up write still has its file open."""
    for _ in range(200):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError(f"{command} does not succeed")


def test_a_disk_that_is_full_or_read_only_is_told(tmp_path: Path) -> None:
    """Needs the right to mount; where there is none, the file-size limit above has to do."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        return
    try:
        objects = ObjectStore(Store("local", str(disk / "store")))
        objects.write("small", [b"x"])
        for count in (3, 20):
            with pytest.raises(StoreError, match="No space left on device") as caught:
                objects.write("big", (bytes(1 << 20) for _ in range(count)))
            assert "Make room there" in caught.value.advice
        assert keys(objects) == ["small"]
        when_not_busy("mount", "-o", "remount,ro", str(disk))
        with pytest.raises(StoreError, match="Read-only file system"):
            objects.write("more", [b"x"])
        with pytest.raises(StoreError, match="Read-only file system"):
            objects.delete(["small"])
        assert read(objects, "small") == b"x"
    finally:
        when_not_busy("umount", str(disk))


@pytest.mark.slow
def test_a_big_object_goes_through_little_memory(tmp_path: Path) -> None:
    code = """
import hashlib
piece = bytes(range(256)) * 4096
objects.write("big", (piece for _ in range(200)), size=200 << 20)
digest = hashlib.sha256()
for chunk in objects.read("big"):
    digest.update(chunk)
# Of this program alone: ru_maxrss counts what the process was before it ran this.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(digest.hexdigest(), peak.split()[1])
"""
    done = run_limited(_HEAD + code, str(tmp_path / "store"))
    assert done.returncode == 0, done.stderr
    digest, peak = done.stdout.split()
    assert digest == hashlib.sha256(bytes(range(256)) * 4096 * 200).hexdigest()
    assert int(peak) < 200 << 10  # kilobytes


def test_a_killed_writer_leaves_no_object_and_what_it_leaves_can_be_removed(local: Place, tmp_path: Path) -> None:
    code = """
def pieces():
    for number in range(1000):
        yield bytes(1 << 20)
        if number == 12:
            print("now", flush=True)
            sys.stdin.read()
objects.write("folder/big", pieces())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", _HEAD + code, str(tmp_path / "store")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        process.kill()
    objects = local.objects
    assert keys(objects) == []
    assert [path.name for path in (tmp_path / "store" / "folder").iterdir()] == ["big#1"]
    assert objects.remove_unfinished(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert objects.remove_unfinished(datetime.now(UTC) + timedelta(hours=1)) == 1
    assert list((tmp_path / "store" / "folder").iterdir()) == []
    objects.write("folder/big", [b"x"])


def test_a_folder_may_be_a_link_to_another_disk(local: Place, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "objects").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "loop").symlink_to(tmp_path / "other")
    local.objects.write("objects/a", [b"x"])
    assert (tmp_path / "other" / "a").exists()
    assert "objects/a" in keys(local.objects)


def test_what_a_store_does_not_have_is_told_in_one_line() -> None:
    answer = "non-2xx status code: 501 Not Implemented: <?xml version='1.0'?><Code>NotImplemented</Code>"
    problem, advice = explain(GenericError(f"Generic S3 error: Error performing PUT http://h/k: {answer}"), answer)
    assert problem.startswith("it does not support the request (501 Not Implemented)")
    assert ("If-None-Match" in advice, "server_side_encryption" in advice) == (True, True)
