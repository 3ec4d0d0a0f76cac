"""Places for files: a directory of this machine, or a prefix in an object store."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from toolkit.config import Store
from toolkit.errors import ArchiveBusyError, NotArrivedError, StoreError
from toolkit.locks import take_writer_lock
from toolkit.stores.archive_locks import LockKind, take_lock
from toolkit.stores.client import client_for
from toolkit.stores.live import refuse_encrypted
from toolkit.stores.objects import ObjectStore

if TYPE_CHECKING:
    from obstore.store import ObjectStore as OpenedStore

_COPIED = 1 << 20
_WAIT_SECONDS = 10.0
_BUSY = "another dump is being written there"


class Directory(Protocol):
    """Files under names that may hold one slash: a subdirectory's."""

    name: str

    @property
    def exists(self) -> bool:
        """Whether it is there; a prefix in a store always is."""

    def files(self, folder: str = "") -> frozenset[str]:
        """The names of all files in it or one of its folders, without those further down."""

    def folders(self) -> frozenset[str]:
        """The names of the folders in it."""

    def has(self, name: str) -> bool:
        """Whether there is such a file."""

    def size(self, name: str) -> int | None:
        """The size of a file in bytes, None if there is none."""

    def open(self, name: str) -> IO[bytes]:
        """A file to read.

        Raises:
            StoreError: it is not there, or may not be read.
        """

    def create(self, name: str) -> Any:
        """A new file to write, for a `with` block; it is there, whole, when the block ends without an error."""

    def move(self, source: str, target: str) -> None:
        """Give a file another name, in place of what has it."""

    def remove(self, name: str) -> None:
        """Remove a file that may not be there."""

    def alone(self) -> AbstractContextManager[Callable[[], None]]:
        """Be the only toolkit that changes the directory; it is made if it is not there.

        Gives what sees that this is still so, and raises LockLostError where it is not.

        Raises:
            StoreError: somebody else changes it, and goes on.
        """


def directory_at(given: str | Path | Store) -> Directory:
    """The directory of a path, of an object store's URL (`s3://bucket/prefix`, `az://…`, `gs://…`), or of a store.

    Raises:
        StoreError: the URL is none that is known, or lacks credentials.
    """
    if isinstance(given, Path) or (isinstance(given, str) and "://" not in given):
        return LocalDirectory(Path(given))
    store = given if isinstance(given, Store) else Store("", given)
    refuse_encrypted(store)
    return ObjectDirectory(store) if store.directory is None else LocalDirectory(store.directory)


class LocalDirectory:
    """A directory of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    @property
    def exists(self) -> bool:
        """Whether it is there."""
        return self.path.is_dir()

    def files(self, folder: str = "") -> frozenset[str]:
        """The names of all files in it or one of its folders; none if that is not there."""
        with self._translated(), suppress(FileNotFoundError), os.scandir(self.path / folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_file())
        return frozenset()

    def folders(self) -> frozenset[str]:
        """The names of the folders in it; none if it is not there."""
        with self._translated(), suppress(FileNotFoundError), os.scandir(self.path) as entries:
            return frozenset(entry.name for entry in entries if entry.is_dir())
        return frozenset()

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.path / name).is_file()

    def size(self, name: str) -> int | None:
        """The size of a file in bytes, None if there is none."""
        path = self.path / name
        with self._translated(), suppress(FileNotFoundError):
            return path.stat().st_size if path.is_file() else None
        return None

    def open(self, name: str) -> IO[bytes]:
        """A file to read."""
        with self._translated():
            return (self.path / name).open("rb")

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        """A new file to write."""
        with self._translated():
            path = self._within(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            # Anew: what has the name may be a link.
            path.unlink(missing_ok=True)
            with path.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())

    def move(self, source: str, target: str) -> None:
        """Give a file another name; the file system does it in one step."""
        with self._translated():
            path, new = self._within(source), self._within(target)
            new.parent.mkdir(parents=True, exist_ok=True)
            path.replace(new)

    def remove(self, name: str) -> None:
        """Remove a file that may not be there, and the subdirectory it leaves empty."""
        with self._translated():
            path = self._within(name)
            path.unlink(missing_ok=True)
            if path.parent != self.path:
                with suppress(OSError):
                    path.parent.rmdir()

    @contextmanager
    def alone(self) -> Iterator[Callable[[], None]]:
        """Be the only toolkit of this user that changes the directory; a killed one does not count."""
        with self._translated():
            self.path.mkdir(parents=True, exist_ok=True)
            lock = take_writer_lock(self.path, _WAIT_SECONDS)
        if lock is None:
            raise StoreError(self.name, _BUSY, "Let it end, then run again.")
        with closing(lock):
            yield _nothing  # The kernel takes it from nobody who lives.

    def _within(self, name: str) -> Path:
        """The path of a file that is to be changed: the directory may have come from somebody else, with links in it.

        Raises:
            StoreError: it is outside of the directory.
        """
        path = self.path / name
        if not path.parent.resolve().is_relative_to(self.path.resolve()):
            raise StoreError(
                str(path.parent),
                f"leads out of {self.path}, where nothing is written",
                "Remove the link, or name another directory.",
            )
        return path

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(str(error.filename or self.path), error.strerror or str(error)) from error


class ObjectDirectory:
    """A prefix in an object store."""

    def __init__(self, store: Store) -> None:
        access = client_for(store)
        self._objects = ObjectStore(store)
        self.name = access.name
        self._store: OpenedStore = access.opened()
        self._translated = access.translated

    @property
    def exists(self) -> bool:
        """A prefix is there as soon as an object is."""
        return True

    def files(self, folder: str = "") -> frozenset[str]:
        """The names of all objects directly under the prefix, or under one beneath it."""
        import obstore

        with self._translated():
            listed = obstore.list_with_delimiter(self._store, folder.rstrip("/") or None)
        return frozenset(entry["path"].rpartition("/")[2] for entry in listed["objects"])

    def folders(self) -> frozenset[str]:
        """The names between the prefix and the next slash."""
        import obstore

        with self._translated():
            listed = obstore.list_with_delimiter(self._store)
        return frozenset(prefix.rstrip("/").rpartition("/")[2] for prefix in listed["common_prefixes"])

    def has(self, name: str) -> bool:
        """Whether there is such an object."""
        return self.size(name) is not None

    def size(self, name: str) -> int | None:
        """The size of an object in bytes, None if there is none."""
        import obstore

        with self._translated(), suppress(FileNotFoundError):
            return obstore.head(self._store, name)["size"]
        return None

    def open(self, name: str) -> IO[bytes]:
        """An object to read."""
        import obstore

        with self._translated():
            return io.BufferedReader(_Reading(obstore.open_reader(self._store, name), self._translated), _COPIED)

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        """A new object; it appears when it is complete."""
        import obstore

        with self._translated():
            writer = obstore.open_writer(self._store, name)
            yield writer  # type: ignore[misc]
            # Not on an error: what was sent of an upload that is not completed never shows.
            writer.close()
        if self.size(name) is None:
            raise NotArrivedError(self.name, name, "it was written, and is not there")

    def move(self, source: str, target: str) -> None:
        """Copy, then remove: stores have no other way."""
        import obstore

        size = self.size(source)
        with self._translated():
            obstore.copy(self._store, source, target)
        if self.size(target) != size:
            raise NotArrivedError(self.name, target, "it was copied, and is not there as it was")
        with self._translated():
            obstore.delete(self._store, source)

    def remove(self, name: str) -> None:
        """Remove an object that may not be there."""
        import obstore

        with self._translated(), suppress(FileNotFoundError):
            obstore.delete(self._store, name)

    @contextmanager
    def alone(self) -> Iterator[Callable[[], None]]:
        """Be the only toolkit that changes the prefix, by a lock like an archive's, renewed while this one lives."""
        with ExitStack() as held:
            try:
                lock = held.enter_context(take_lock(self._objects, LockKind.DUMP))
            except ArchiveBusyError as error:
                raise StoreError(self.name, f"{_BUSY} ({error.holder})", error.advice) from error
            yield lock.require_still_there


def _nothing() -> None:
    """See that what the kernel keeps is kept."""


class _Reading(io.RawIOBase):
    """obstore's reader as Python's other files are."""

    def __init__(self, reader: Any, translated: Callable[[], AbstractContextManager[None]]) -> None:
        self._reader, self._translated = reader, translated

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._translated():
            content = memoryview(self._reader.read(len(buffer)))
        buffer[: len(content)] = content
        return len(content)
