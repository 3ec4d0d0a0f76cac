"""Reading one obstore store, whatever is kept there: streams out of it, listings, and its errors in our words."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from toolkit.core.file_properties import STORAGE_CLASS, Properties
from toolkit.errors import MissingObjectError, StoreError, ToolkitError
from toolkit.stores import locations
from toolkit.stores.chunks import CHUNK_BYTES, cut, first_bytes
from toolkit.stores.requests import Requests
from toolkit.stores.store_errors import (
    BROKEN,
    NO_BUCKET,
    NO_FILE,
    RESUMES,
    UNSUPPORTED,
    explain,
    explain_unsupported,
    secrets_in,
    without,
)

if TYPE_CHECKING:
    from obstore.store import ObjectStore

# What is read of a file of this machine at once.
_WINDOW_BYTES = 4 << 20
# How obstore calls a file of a directory until it is complete.
_UNFINISHED = re.compile(r"#\d+$")
WRITER = "toolkitwriter"
"""User metadata of an object that only one may create: says whose write it was when the answer to it was lost."""


class ObjectInfo(Struct, frozen=True):
    """An object as a store lists it: its size in bytes, when it was last written, and the store's tag of its state.

    `properties` are known of one that was asked for by itself.
    """

    key: str
    size: int
    last_modified: datetime
    etag: str | None = None
    properties: Properties | None = None


class ObjectReader:
    """Objects under any key that obstore itself takes, to be read. May be used by several threads at once."""

    def __init__(self, name: str, store: ObjectStore | None, directory: Path | None = None) -> None:
        """`name` is printed; without `store` it is the `directory`, which is made when it is first written to."""
        from obstore.store import LocalStore

        self.name = name
        self._store = store
        self.directory = directory
        self.root = Path(store.prefix or "/") if isinstance(store, LocalStore) else directory
        """The directory of this machine that it is, if it is one."""
        self.requests = Requests()
        """How often a store that is not a directory was asked."""
        self._config: Mapping[str, Any] = getattr(store, "config", None) or {}
        self._secrets = secrets_in(self._config)

    @property
    def exists(self) -> bool:
        """Whether it is there; a bucket's absence is told by its first use."""
        return self.directory is None or self.directory.is_dir()

    def location(self, key: str = "") -> str:
        """Where an object is, or all of them are: equal for whatever leads to the same place."""
        return locations.in_store(self._store, key) if self.root is None else locations.in_directory(self.root, key)

    def info(self, key: str) -> ObjectInfo | None:
        """What is known of an object, None if there is none."""
        import obstore

        with self.translated(key):
            store = self.opened()
            self._count("head")
            with self._perhaps_missing():
                if store is None:
                    return None
                if self.root is not None:
                    place = self.root / key.strip("/")
                    self._refuse_waiting(key, place)
                    found = obstore.head(store, key)
                    return _info(found, Properties(mode=permissions(place.stat().st_mode)))
                # The same request as obstore's `head`, whose answer leaves attributes out.
                result = obstore.get(store, key, options={"head": True})
                return _info(result.meta, Properties(_kept(result.attributes)))
        return None

    def _refuse_waiting(self, key: str, place: Path) -> None:
        """Whoever opens a named pipe, as obstore does for its `head`, waits for somebody to write into it."""
        with suppress(OSError, ValueError):
            mode = place.stat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise StoreError(f"{self.name}: {key!r}", "something other than a file has its name", "Move it away.")

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object under `prefix`, a whole folder's name, in no particular order, a few at a time.

        Other than obstore's own, a directory's listing does not end at a name that obstore does not take.
        """
        folder = prefix.rstrip("/")
        if self.root is None:
            yield from self._listed(folder)
        elif self.root.is_dir():
            with self.translated():
                yield from walk(self.root / folder, f"{folder}/" if folder else "", set())

    def read(self, key: str) -> Iterator[bytes]:
        """An object's content in chunks of about a megabyte; a broken connection is taken up where it broke.

        Raises:
            MissingObjectError: there is no such object.
            StoreError: it cannot be read, or was replaced meanwhile.
        """
        if self.root is not None:
            yield from self._read_file(key)
            return
        position, tag, failures = 0, None, 0
        while True:
            try:
                with self.translated(key):
                    result = self._get(key, position, tag)
                    tag, size, stream = result.meta["e_tag"], result.meta["size"], iter(result.stream(CHUNK_BYTES))
                while True:
                    with self.translated(key):
                        chunk = next(stream, None)
                    if chunk is None:
                        break
                    view = memoryview(chunk)
                    yield from cut(view)
                    position, failures = position + len(view), 0
                if position >= size:
                    return
            except MissingObjectError:
                raise
            except StoreError:
                failures += 1
                if failures > RESUMES or not position:
                    raise

    def beginning(self, key: str, count: int) -> memoryview:
        """The first `count` bytes of an object, or all of it; the errors are those of `read`."""
        if self.root is None:
            return first_bytes(self.read(key), count)
        with self.translated(key):
            result = self._get(key, 0, None)
            if result.meta["size"] > count:
                result = self._get(key, 0, result.meta["e_tag"], count)
            return memoryview(result.bytes())

    @contextmanager
    def translated(self, key: str | None = None, is_conditional: bool = False) -> Iterator[None]:
        """Errors of obstore as ours, without any secret; `is_conditional`: of a write that not every store knows."""
        from obstore.exceptions import BaseError

        try:
            yield
        except ToolkitError:
            raise
        except (BaseError, OSError, ValueError, NotImplementedError) as error:
            if isinstance(error, FileNotFoundError) and not NO_BUCKET.search(str(error)):
                raise MissingObjectError(self.name, key or "") from None
            # Not as the cause: a traceback would show what was taken out here.
            raise self._explained(error, key, is_conditional) from None

    def opened(self, create: bool = False) -> Any:
        """The obstore store; None if it is a directory that is not there, and not to be made."""
        if self._store is None and self.directory is not None:
            if not create and not self.directory.is_dir():
                return None
            from obstore.store import LocalStore

            self._store = LocalStore(self.directory, mkdir=create)
        return self._store

    def _listed(self, folder: str) -> Iterator[ObjectInfo]:
        count = 0
        try:
            for batch in self._batches(folder):
                count += len(batch)
                yield from map(_info, batch)
        finally:
            self.requests.add_listing(count)

    def _batches(self, folder: str) -> Iterator[Any]:
        import obstore

        last, failures = None, 0
        while True:
            listed = obstore.list(self.opened(), folder or None, offset=last)
            try:
                with self.translated():
                    for batch in listed:
                        yield batch
                        last, failures = batch[-1]["path"], 0
                    return
            except StoreError as error:
                failures += 1
                if failures > RESUMES or error.problem != BROKEN:
                    raise

    def _count(self, kind: str) -> None:
        if self.root is None:
            self.requests.add(kind)

    def _read_file(self, key: str) -> Iterator[bytes]:
        """A file of this machine, window by window: obstore's own stream of one has pieces of 8 KiB, and 160 MB/s."""
        with self.translated(key):
            result = self._get(key, 0, None)
            tag, size = result.meta["e_tag"], result.meta["size"]
            chunk = memoryview(result.bytes()) if size <= _WINDOW_BYTES else None
        if chunk is not None:
            yield from cut(chunk)
            return
        for position in range(0, size, _WINDOW_BYTES):
            with self.translated(key):
                end = min(position + _WINDOW_BYTES, size)
                chunk = memoryview(self._get(key, position, tag, end).bytes())
            yield from cut(chunk)

    def _get(self, key: str, position: int, tag: str | None, end: int | None = None) -> Any:
        import obstore

        store = self.opened()
        if store is None:
            raise MissingObjectError(self.name, key)
        self._count("get")
        part = {"offset": position} if end is None else (position, end)
        options: dict[str, Any] = {"range": part, "if_match": tag} if position or end else {}
        return obstore.get(store, key, options=options)  # type: ignore[arg-type]

    @contextmanager
    def _perhaps_missing(self) -> Iterator[None]:
        """Nothing happens if the object is not there, or no file where one is looked for in a directory."""
        from obstore.exceptions import GenericError

        try:
            yield
        except FileNotFoundError as error:
            if NO_BUCKET.search(str(error)):
                raise
        except GenericError as error:
            if self.root is None or not re.search(NO_FILE, str(error)):
                raise

    def _explained(self, error: Exception, key: str | None, is_conditional: bool) -> StoreError:
        problem, advice = explain(error, without(self._secrets, str(error)))
        if problem == UNSUPPORTED:
            advice = explain_unsupported(self._config, is_conditional) or advice
        return StoreError(self.name if key is None else f"{self.name}: {key!r}", problem, advice)


def walk(folder: Path, prefix: str, seen: set[str], unfinished: bool = False) -> Iterator[ObjectInfo]:
    """The files beneath a folder, through symbolic links as obstore goes; none if it is not there."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            # What does not decode can be in no row: it is only told.
            key = prefix + entry.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            with _no_file_skipped():
                if entry.is_dir():
                    target = os.path.realpath(entry.path) if entry.is_symlink() else None
                    if target is None or target not in seen:
                        yield from walk(Path(entry.path), f"{key}/", seen | {target} if target else seen, unfinished)
                elif entry.is_file() and bool(_UNFINISHED.search(entry.name)) == unfinished:
                    found = entry.stat()
                    yield ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


@contextmanager
def _no_file_skipped() -> Iterator[None]:
    """A link that leads nowhere, or to itself, is no file, and hides no others."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            raise


def permissions(mode: int) -> int:
    """Of a file's mode, what its owner, its group and others may do."""
    return mode & 0o777


def _kept(attributes: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if name not in (STORAGE_CLASS, WRITER)}


def _info(meta: Any, properties: Properties | None = None) -> ObjectInfo:
    return ObjectInfo(meta["path"], meta["size"], meta["last_modified"], meta["e_tag"], properties)
