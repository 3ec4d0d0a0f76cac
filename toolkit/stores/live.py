"""Where an application keeps the files that its rows point at, under names that its users chose.

A file is found exactly where Advanced Alchemy would find it. A name that its backend does not take is an error of
that one file, and nothing is ever written or removed outside a backend's directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from msgspec.structs import replace

from toolkit.config import Config, Store
from toolkit.core.file_properties import Properties
from toolkit.errors import MissingObjectError, NotRemovedError, StoreError, ToolkitError, UnknownNameError
from toolkit.stores import locations
from toolkit.stores.chunks import CHUNK_BYTES, Source, first_bytes
from toolkit.stores.client import ObjectStoreClient, client_for
from toolkit.stores.object_reader import ObjectInfo, permissions
from toolkit.stores.store_errors import secrets_in, without


class LiveBackend(Protocol):
    """Files of one storage key. May be used by several threads at once."""

    key: str
    name: str
    is_object_store: bool
    """Whether what is read of a file is one state of it, and a listing says of it all that a question would."""
    has_own_clock: bool
    """Whether it tells when a file was written by a clock of its own, not by that of this machine."""

    @property
    def requests(self) -> Mapping[str, int]:
        """How often the store was asked, by kind, as far as that is known."""

    def location(self, path: str = "") -> str:
        """Where a file is, or all of them are: equal for two names of one place, also of different backends."""

    def info(self, path: str) -> ObjectInfo | None:
        """What is known of a file, None if there is none.

        Raises:
            StoreError: its name cannot be used there.
        """

    def read(self, path: str) -> Iterator[bytes]:
        """A file's content in chunks of about a megabyte.

        Raises:
            MissingObjectError: there is no such file.
            StoreError: it cannot be read.
        """

    def beginning(self, path: str, count: int) -> memoryview:
        """The first `count` bytes of a file, or all of it; the errors are those of `read`."""

    def write(
        self, path: str, chunks: Iterable[bytes], *, size: int | None = None, properties: Properties | None = None
    ) -> None:
        """Write a file, in place of what has the name; it is there, whole, when this returns.

        Of `properties`, what there is a place for is kept with it.

        Raises:
            StoreError: it cannot be written, would be outside the backend, or other than `size` bytes came.
        """

    def delete(self, path: str) -> None:
        """Remove a file that may not be there.

        Raises:
            StoreError: it cannot be removed, or is outside the backend.
        """

    def list(self) -> Iterator[ObjectInfo]:
        """Every file, in no particular order, a few at a time."""


def live_backend(config: Config, key: str) -> LiveBackend:
    """The backend that rows name `key`.

    It is the store that was configured under that name, else what the application registered with Advanced Alchemy
    (its metadata must have been imported), else the default of that name.

    Raises:
        UnknownNameError: there is none of these.
        StoreError: its address or a setting cannot be used.
    """
    from advanced_alchemy.types.file_object import storages

    store = config.stores.get(key)
    registered = storages.is_registered(key)
    if store is not None and not (store.is_default and registered):
        refuse_encrypted(store)
        return ObstoreBackend(key, client_for(store))
    if not registered:
        raise UnknownNameError("store", key, {*config.stores, *storages.registered_backends()})
    backend: Any = storages.get_backend(key)
    if backend.driver == "obstore":
        return ObstoreBackend(key, ObjectStoreClient(f"backend {key}", backend.fs))
    if backend.driver == "fsspec":
        return FsspecBackend(key, backend)
    raise StoreError(f"backend {key}", f"its driver {backend.driver!r} is not known", f"Configure a store named {key}.")


def refuse_encrypted(store: Store) -> None:
    """See that nothing goes in the clear where an encryption key was given: only archives are encrypted.

    Raises:
        StoreError: one was.
    """
    if store.is_encrypted:
        raise StoreError(
            f"store {store.name!r}",
            "it has an encryption key, but only an archive is encrypted, neither live files nor dumps",
            "Name another store for them, or take its key away.",
        )


def is_registered(key: str) -> bool:
    """Whether the application registered a backend of that name (its metadata must have been imported)."""
    from advanced_alchemy.types.file_object import storages

    return storages.is_registered(key)


class ObstoreBackend:
    """Files in an obstore store, under whatever names it takes."""

    def __init__(self, key: str, access: ObjectStoreClient) -> None:
        self.key = key
        self.name = access.name
        self.is_object_store = self.has_own_clock = access.root is None
        self._access = access

    @property
    def requests(self) -> Mapping[str, int]:
        """How often the store was asked, by kind; a directory's are none."""
        return self._access.requests.counts

    def location(self, path: str = "") -> str:
        """Where a file is, or all of them are."""
        return self._access.location(path)

    def info(self, path: str) -> ObjectInfo | None:
        """What is known of a file, None if there is none."""
        return self._access.info(path)

    def read(self, path: str) -> Iterator[bytes]:
        """A file's content in chunks of about a megabyte."""
        return self._access.read(path)

    def beginning(self, path: str, count: int) -> memoryview:
        """The first `count` bytes of a file, or all of it."""
        return self._access.beginning(path, count)

    def write(
        self, path: str, chunks: Iterable[bytes], *, size: int | None = None, properties: Properties | None = None
    ) -> None:
        """Write a file, in place of what has the name."""
        self._refuse_outside(path)
        self._access.write(path, chunks, size=size, properties=properties)

    def delete(self, path: str) -> None:
        """Remove a file that may not be there.

        Raises:
            NotRemovedError: the store says that it did, and has it still.
        """
        self._refuse_outside(path)
        self._access.delete([path])
        if self._access.info(path) is not None:
            raise NotRemovedError(self.name, path)

    def list(self) -> Iterator[ObjectInfo]:
        """Every file, in no particular order, a few at a time."""
        return self._access.list()

    def _refuse_outside(self, path: str) -> None:
        """Obstore refuses `..` itself, but follows symbolic links."""
        root = self._access.root
        if root is not None:
            with self._access.translated(path):
                _refuse_outside(self.name, root, path)


class FsspecBackend:
    """Files in an fsspec file system, as Advanced Alchemy's own backend of it names them."""

    def __init__(self, key: str, backend: Any) -> None:
        self.key = key
        self.name = f"backend {key}"
        self.is_object_store = False
        self._backend = backend
        self._fs = backend.fs
        self._is_local = backend.protocol in ("file", "local")
        self.has_own_clock = not self._is_local and backend.protocol != "memory"
        self._secrets = secrets_in(getattr(self._fs, "storage_options", None) or {})

    @property
    def requests(self) -> Mapping[str, int]:
        """Nobody knows what its file system asks."""
        return {}

    def location(self, path: str = "") -> str:
        """Where a file is, or all of them are."""
        with self._translated(path):
            full_path = str(self._fs._strip_protocol(self._full_path(path)))  # noqa: SLF001 - it has no public name.
        return locations.in_file_system(
            self._backend.protocol, getattr(self._fs, "storage_options", None) or {}, full_path
        )

    def info(self, path: str) -> ObjectInfo | None:
        """What is known of a file, None if there is none."""
        with suppress(MissingObjectError), self._translated(path):
            found = self._fs.info(self._full_path(path))
            if found.get("type") == "directory":
                return None
            mode = permissions(int(found["mode"])) if self._is_local else None
            return replace(_described(path, found), properties=Properties(mode=mode))
        return None

    def read(self, path: str) -> Iterator[bytes]:
        """A file's content in chunks of about a megabyte."""
        with self._translated(path), self._fs.open(self._full_path(path), "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def beginning(self, path: str, count: int) -> memoryview:
        """The first `count` bytes of a file, or all of it."""
        return first_bytes(self.read(path), count)

    def write(
        self, path: str, chunks: Iterable[bytes], *, size: int | None = None, properties: Properties | None = None
    ) -> None:
        """Write a file, in place of what has the name; an interrupted write leaves what was there."""
        full_path = self._inside(path)
        source = Source(chunks, size, self.name, path)
        if self._backend.protocol == "memory":
            # It shows a file from its first byte on, and holds it all anyway.
            content = b"".join(source)
            with self._translated(path):
                self._fs.pipe_file(full_path, content)
            return
        file = self._create(path, full_path)
        mode = properties.mode if self._is_local and properties is not None else None
        try:
            for chunk in source:
                with self._translated(path):
                    file.write(chunk)
            with self._translated(path):
                file.close()
                file.commit()
                if mode is not None:
                    self._fs.chmod(full_path, mode)
        except BaseException:
            with suppress(Exception):
                file.close()
                file.discard()
            raise

    def _create(self, path: str, full_path: str) -> Any:
        """A file that appears when it is committed."""
        with self._translated(path):
            with suppress(NotImplementedError):
                self._fs.makedirs(self._fs._parent(full_path), exist_ok=True)  # noqa: SLF001 - it has no public name.
            file = self._fs.open(full_path, "wb", autocommit=False)
            # It is ours to commit, not the next transaction's.
            with suppress(ValueError):
                self._fs.transaction.files.remove(file)
            return file

    def delete(self, path: str) -> None:
        """Remove a file that may not be there."""
        full_path = self._inside(path)
        with self._translated(path), suppress(FileNotFoundError):
            self._fs.rm_file(full_path)

    def list(self) -> Iterator[ObjectInfo]:
        """Every file, in no particular order, a folder at a time."""
        with self._translated():
            base = str(self._fs._strip_protocol(self._backend.prefix or "")).strip("/")  # noqa: SLF001
            for _, _, files in self._fs.walk(self._backend.prefix or "", detail=True):
                for found in files.values():
                    name = str(found["name"]).lstrip("/")
                    yield _described(name.removeprefix(base).lstrip("/"), found)

    def _full_path(self, path: str) -> str:
        return str(self._backend._prepare_path(path))  # noqa: SLF001 - where Advanced Alchemy looks for it.

    def _inside(self, path: str) -> str:
        """Where to write a file; never outside the prefix."""
        if ".." in PurePosixPath(path.replace("\\", "/")).parts:
            raise _outside(self.name, path)
        if self._is_local and self._backend.prefix:
            with self._translated(path):
                _refuse_outside(self.name, Path(self._backend.prefix), path)
        return self._full_path(path)

    @contextmanager
    def _translated(self, path: str | None = None) -> Iterator[None]:
        try:
            yield
        except ToolkitError:
            raise
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise MissingObjectError(self.name, path or "") from None
        except Exception as error:  # noqa: BLE001 - every file system has errors of its own.
            text = without(self._secrets, str(error).partition("\n")[0])
            shown = self.name if path is None else f"{self.name}: {path!r}"
            problem = getattr(error, "strerror", None) or f"{type(error).__name__}: {text}"
            raise StoreError(shown, problem.rstrip(".")) from None


def _described(path: str, found: dict[str, Any]) -> ObjectInfo:
    from advanced_alchemy.types.file_object._utils import get_mtime_equivalent

    # S3's and the memory file system's names, which Advanced Alchemy does not know.
    written = found.get("LastModified", found.get("created"))
    seconds = get_mtime_equivalent(found) or get_mtime_equivalent({"mtime": written}) or 0
    return ObjectInfo(path, int(found.get("size") or 0), datetime.fromtimestamp(seconds, UTC))


def _refuse_outside(name: str, root: Path, path: str) -> None:
    inside = os.path.realpath(root)
    # The last part may be a link: it is replaced or removed, not followed.
    folder = os.path.realpath((root / path.strip("/")).parent)
    if os.path.commonpath([inside, folder]) != inside:
        raise _outside(name, path)


def _outside(name: str, path: str) -> StoreError:
    return StoreError(f"{name}: {path!r}", "it would be outside the store", "Look for a symbolic link on its path.")
