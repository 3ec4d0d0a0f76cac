"""Files of an application's own storage, under names that its users chose, as Advanced Alchemy finds them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from advanced_alchemy.types.file_object import FileObject, storages
from advanced_alchemy.types.file_object.backends.fsspec import FSSpecBackend
from advanced_alchemy.types.file_object.backends.obstore import ObstoreBackend
from obstore.store import LocalStore, MemoryStore, S3Store

from tests.servers.swift import S3Server
from toolkit.config import Config, load_config
from toolkit.core.file_properties import Properties
from toolkit.errors import MissingObjectError, StoreError, UnknownNameError
from toolkit.stores.client import ObjectStoreClient
from toolkit.stores.live import LiveBackend, live_backend

NAMES = (
    "plain.txt",
    "folder/deeper/name.bin",
    "with space .txt ",
    "100%.txt",
    "a%20b%2Fc",
    "caf\u00e9",
    "cafe\u0301",
    "日本語/ファイル.pdf",
    "\N{GRINNING FACE}",
    "?#&=+;:@$,'\"<>|*",
    "#7x",
    "~",
    ".hidden",
    "..two",
    "three...",
    "back\\slash",
    "-rf",
    "a" * 200,
)
LONG = "/".join(["n" * 99] * 3)


@pytest.fixture
def registered() -> Iterator[None]:
    """Whatever a test registers with Advanced Alchemy is gone after it."""
    before = dict(storages._registry)
    yield
    storages._registry.clear()
    storages._registry.update(before)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    return tmp_path / "root"


@pytest.fixture(params=["configured", "obstore", "memory", "s3", "fsspec", "fsspec in memory"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def s3_live(s3_server: S3Server) -> S3Server:
    """The server with a bucket `live-files`."""
    s3_server.create_bucket("live-files")
    return s3_server


@pytest.fixture
def live(request: pytest.FixtureRequest, kind: str, root: Path, tmp_path: Path, registered: None) -> LiveBackend:
    """A backend `files`, registered as an application would, or configured where one is."""
    config = load_config(tmp_path, {"TOOLKIT_FILES_STORE": str(root)} if kind == "configured" else {})
    fsspec.filesystem("memory").store.clear()
    if kind == "s3":
        server: S3Server = request.getfixturevalue("s3_live")
        options: dict[str, Any] = {name: value for name, value in server.options.items() if name != "allow_http"}
        prefix = f"pre/{os.urandom(8).hex()}"
        bucket = S3Store("live-files", prefix=prefix, client_options={"allow_http": True}, **options)
        storages.register_backend(ObstoreBackend(key="files", fs=bucket))
    elif kind == "fsspec in memory":
        storages.register_backend(FSSpecBackend(key="files", fs=fsspec.filesystem("memory"), prefix="some/prefix"))
    elif kind == "fsspec":
        storages.register_backend(
            FSSpecBackend(key="files", fs=fsspec.filesystem("file", auto_mkdir=True), prefix=str(root))
        )
    else:
        store = MemoryStore() if kind == "memory" else LocalStore(root)
        storages.register_backend(ObstoreBackend(key="files", fs=store))
    return live_backend(config, "files")


def read(live: LiveBackend, path: str) -> bytes:
    return b"".join(live.read(path))


def save(path: str, content: bytes) -> None:
    """As an application does."""
    FileObject(backend="files", filename=path.rpartition("/")[2], to_filename=path, content=content).save()


def load(path: str) -> bytes:
    """As an application does."""
    return storages.get_backend("files").get_content(path)


# -- which backend -----------------------------------------------------------------------------------------


def test_a_configured_store_comes_first_then_the_applications_own_then_the_default(
    tmp_path: Path, registered: None
) -> None:
    config = load_config(tmp_path, {})
    assert live_backend(config, "attachments").name == f"attachments ({tmp_path / '.toolkit/attachments'})"
    storages.register_backend(f"file://{tmp_path}", key="attachments")
    assert live_backend(config, "attachments").name == "backend attachments"
    configured = load_config(tmp_path, {"TOOLKIT_ATTACHMENTS_STORE": "elsewhere"})
    assert live_backend(configured, "attachments").name == f"attachments ({tmp_path / 'elsewhere'})"
    (tmp_path / "toolkit.toml").write_text("[stores]\nattachments = '.toolkit/attachments'\n")
    assert live_backend(load_config(tmp_path, {}), "attachments").name.startswith("attachments (")


def test_a_backend_that_nobody_knows_is_told_with_those_that_are_known(tmp_path: Path, registered: None) -> None:
    storages.register_backend("memory:///", key="documents")
    with pytest.raises(UnknownNameError, match="no store 'document'") as caught:
        live_backend(load_config(tmp_path, {}), "document")
    assert "Did you mean 'documents'" in caught.value.advice
    assert "attachments" in caught.value.advice


# -- names -------------------------------------------------------------------------------------------------


def test_what_the_application_saved_is_found_under_any_name(live: LiveBackend) -> None:
    for number, name in enumerate(NAMES):
        save(name, f"{number}".encode() * 3)
    for number, name in enumerate(NAMES):
        content = f"{number}".encode() * 3
        assert read(live, name) == content
        info = live.info(name)
        assert info is not None
        assert (info.key, info.size) == (name, len(content))
    assert sorted(info.key for info in live.list()) == sorted(NAMES)
    live.delete(NAMES[0])
    live.delete(NAMES[0])
    assert live.info(NAMES[0]) is None
    assert sorted(info.key for info in live.list()) == sorted(NAMES[1:])


def test_the_beginning_of_a_file_is_so_many_bytes_or_all_of_it(live: LiveBackend) -> None:
    content = os.urandom(3 << 20)
    save("some", content)
    save("empty", b"")
    for count in (1, 1 << 20, len(content) - 1, len(content), len(content) + 1):
        assert bytes(live.beginning("some", count)) == content[:count]
    assert bytes(live.beginning("empty", 1)) == b""
    with pytest.raises(MissingObjectError, match="absent"):
        live.beginning("absent", 1)


def test_what_is_written_is_found_by_the_application(live: LiveBackend) -> None:
    for name in NAMES:
        live.write(name, [b"old"], size=3, properties=Properties({"Content-Type": "text/plain"}, 0o600))
        live.write(name, iter([name.encode(), b"!"]))
    for name in NAMES:
        assert load(name) == name.encode() + b"!"


def test_a_long_name_is_stored_where_the_store_can(live: LiveBackend) -> None:
    live.write(LONG, [b"x"])
    assert read(live, LONG) == b"x" == load(LONG)
    whole = "n" * 300
    try:
        live.write(whole, [b"x"])
    except StoreError as error:
        assert "File name too long" in str(error)  # noqa: PT017 - only directories refuse it.
    else:
        assert load(whole) == b"x"


@pytest.mark.parametrize("name", ["n" * 255, "folder/" + "\u00fc" * 127 + "n", "n" * 251])
def test_a_name_as_long_as_a_directory_takes_is_written_like_any_other(root: Path, name: str) -> None:
    client = ObjectStoreClient("long", None, root / "made")
    client.write(name, [b"old", b"er"], size=5)
    client.write(name, [b"x"], properties=Properties(mode=0o600))
    assert [(info.key, info.size) for info in client.list()] == [(name, 1)]
    with pytest.raises(StoreError, match="should have 9 bytes"):
        client.write(name, [b"y"], size=9)
    with pytest.raises(RuntimeError):
        client.write(name, (raised() for _ in range(1)))
    assert (b"".join(client.read(name)), [*client.list()][1:]) == (b"x", [])


def raised() -> bytes:
    raise RuntimeError


def test_a_name_that_is_not_taken_is_an_error_of_that_file_and_never_outside(
    live: LiveBackend, kind: str, tmp_path: Path
) -> None:
    calls: tuple[Callable[[str], object], ...] = (
        lambda name: live.write(name, [b"broken"]),
        live.delete,
        live.info,
        lambda name: list(live.read(name)),
    )
    for name in ("..", "../outside/secret", "a/../../outside/secret", "a//b", "a\x00b", "a\nb", "", ".", "\ud800"):
        refused = kind[0] != "f" and name not in ("", "\ud800")
        for call in calls:
            with pytest.raises(StoreError) if refused else suppress(StoreError):
                call(name)
        with suppress(StoreError):
            live.delete(name)
    live.write("fine", [b"x"])
    assert read(live, "fine") == b"x"
    assert (tmp_path / "outside" / "secret").read_text() == "secret"
    assert {path.name for path in tmp_path.iterdir()} <= {"root", "outside", "toolkit.toml"}


def test_what_is_not_there_is_missing(live: LiveBackend) -> None:
    live.write("folder/there", [b"x"])
    for name in ("nothing", "folder", "folder/there/deeper"):
        assert live.info(name) is None
        with pytest.raises(StoreError):
            read(live, name)
    with pytest.raises(MissingObjectError):
        read(live, "nothing")


def test_an_interrupted_write_leaves_what_was_there(live: LiveBackend) -> None:
    live.write("file", [b"old"])

    def failing() -> Iterator[bytes]:
        yield b"new"
        raise KeyError("the source's own")

    for name in ("file", "folder/other"):
        with pytest.raises(KeyError, match="the source's own"):
            live.write(name, failing())
        with pytest.raises(StoreError, match="should have 4 bytes, but 3 came"):
            live.write(name, [b"new"], size=4)
    assert read(live, "file") == b"old"
    assert [info.key for info in live.list()] == ["file"]


@pytest.mark.parametrize("size", [1, 6_000_000])
def test_what_belongs_to_a_file_is_kept_where_the_store_has_a_place_for_it(
    live: LiveBackend, kind: str, size: int
) -> None:
    said = {"Content-Type": "image/png", "Content-Disposition": 'attachment; filename="1.png"', "author": "dept-7"}
    # What no client can send ended the process.
    hostile = {"Cache-Control": "x\ny", "no name": "x", "\u00e4": "x", "city": "K\u00f6ln", "long": "x" * 5000}
    live.write("picture", [b"x" * size], properties=Properties({**said, **hostile}, 0o640))
    info = live.info("picture")
    assert info is not None
    if kind in ("memory", "s3"):
        assert storages.get_backend("files").fs.get("picture").attributes == said
        assert info.properties == Properties(said)
    elif kind != "fsspec in memory":
        assert info.properties == Properties(mode=0o640)


# -- directories -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["configured", "obstore", "fsspec"], indirect=True)
def test_a_link_out_of_the_directory_is_read_as_the_application_does_but_never_written_through(
    live: LiveBackend, root: Path, tmp_path: Path
) -> None:
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "file").symlink_to(tmp_path / "outside" / "secret")
    assert load("link/secret") == b"secret" == read(live, "link/secret") == read(live, "file")
    calls: tuple[Callable[[], None], ...] = (
        lambda: live.write("link/secret", [b"broken"]),
        lambda: live.write("link/new", [b"broken"]),
        lambda: live.delete("link/secret"),
    )
    for call in calls:
        with pytest.raises(StoreError, match="it would be outside the store"):
            call()
    # The link itself is in the directory.
    live.write("file", [b"new"])
    assert (root / "file").read_bytes() == b"new"
    assert {path.name: path.read_text() for path in (tmp_path / "outside").iterdir()} == {"secret": "secret"}


@pytest.mark.parametrize("kind", ["configured", "obstore"], indirect=True)
def test_a_name_that_obstore_does_not_take_does_not_end_the_listing(live: LiveBackend, root: Path) -> None:
    for name in ("a\x01b", "new\nline", "fine"):
        (root / name).write_bytes(b"x")
    (Path(os.fsdecode(os.fsencode(root) + b"/bad\xff"))).write_bytes(b"xy")
    (root / "broken link").symlink_to("nowhere")
    (root / "loop").symlink_to("loop")
    assert sorted(info.key for info in live.list()) == ["a\x01b", "bad\\xff", "fine", "new\nline"]
    with pytest.raises(StoreError, match="obstore, and so Advanced Alchemy, does not take"):
        read(live, "a\x01b")


@pytest.mark.parametrize("kind", ["configured"], indirect=True)
def test_a_file_that_is_replaced_while_it_is_read_is_told_as_such(
    live: LiveBackend, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.stores.object_reader._WINDOW_BYTES", 4)
    (root / "a").write_bytes(b"12345678")
    chunks = live.read("a")
    next(chunks)
    (root / "a").write_bytes(b"123456789")
    with pytest.raises(StoreError, match="'a': it was replaced while it was read"):
        list(chunks)


@pytest.mark.parametrize("kind", ["configured", "obstore"], indirect=True)
def test_a_name_like_an_unfinished_uploads_is_refused(live: LiveBackend) -> None:
    with pytest.raises(StoreError, match="'a#7': a name that obstore"):
        live.write("a#7", [b"x"])
    with pytest.raises(StoreError, match="'a#7': a name that obstore"):
        live.info("a#7")


def test_errors_of_an_fsspec_file_system_hold_no_secret(tmp_path: Path, registered: None) -> None:
    class Refusing(fsspec.AbstractFileSystem):  # type: ignore[misc]
        def info(self, path: str, **_: object) -> dict[str, object]:
            raise RuntimeError(f"cannot log in with {self.storage_options['secret']}\nmore")

    storages.register_backend(FSSpecBackend(key="files", fs=Refusing(secret="hunter2")))
    live = live_backend(load_config(tmp_path, {}), "files")
    with pytest.raises(StoreError, match=r"backend files: 'a': RuntimeError: cannot log in with \*\*\*\.") as caught:
        live.info("a")
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_a_backend_of_another_kind_is_told(tmp_path: Path, registered: None) -> None:
    backend = ObstoreBackend(key="files", fs=MemoryStore())
    backend.driver = "carrier pigeon"
    storages.register_backend(backend)
    with pytest.raises(StoreError, match="its driver 'carrier pigeon' is not known"):
        live_backend(load_config(tmp_path, {}), "files")


def test_a_configured_backend_in_memory_lasts_as_long_as_the_configuration(tmp_path: Path) -> None:
    config: Config = load_config(tmp_path, {"TOOLKIT_FILES_STORE": "memory://"})
    live_backend(config, "files").write("a", [b"x"])
    assert read(live_backend(config, "files"), "a") == b"x"
    assert live_backend(replace(config, stores={**config.stores}), "files").info("a") is not None
    assert live_backend(load_config(tmp_path, {"TOOLKIT_FILES_STORE": "memory://"}), "files").info("a") is None
