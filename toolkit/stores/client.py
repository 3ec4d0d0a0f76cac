"""One obstore store, whatever is kept there: opening it, streaming in and out of it, and its errors in our words."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.config import Store
from toolkit.errors import MissingObjectError, StoreError, ToolkitError
from toolkit.stores import locations
from toolkit.stores.chunks import CHUNK_BYTES, Source, cut, first_bytes
from toolkit.stores.store_errors import (
    BROKEN,
    BROKEN_ADVICE,
    BROKEN_TEXT,
    NO_BUCKET,
    NO_FILE,
    RESUMES,
    again,
    explain,
    secrets_in,
    without,
)

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PART_BYTES = 5 << 20
"""The smallest part that S3 accepts: a stream that is not longer goes in one request."""
# What is read of a file of this machine at once.
_WINDOW_BYTES = 4 << 20
# S3 accepts 10,000 parts.
_PARTS = 9_000
# Of all writes together, and of one: what is held in memory is a part for each, and one more for each write.
_PARTS_IN_FLIGHT = 12
_PARTS_OF_ONE = 4
_DELETED_AT_ONCE = 1000
# Content that is in memory already goes in parts so much larger: each request costs the store time of its own. For
# 1 GB in files of 50 MiB, OpenStack Swift needs 12.7 s of processor time in parts of 5 MiB, 9 s in parts of 16 MiB.
_LARGER = 4
# How obstore calls a file of a directory until it is complete.
_UNFINISHED = re.compile(r"#\d+$")
# User metadata of an object that only one may create: says whose write it was when the answer to it was lost.
_WRITER = "toolkitwriter"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as a store lists it: its size in bytes, when it was last written, and the store's tag of its state."""

    key: str
    size: int
    last_modified: datetime
    etag: str | None = None


class Access:
    """Objects under any key that obstore itself takes. May be used by several threads at once."""

    def __init__(
        self, name: str, store: ObjectStore | None, directory: Path | None = None, part_bytes: int = PART_BYTES
    ) -> None:
        """`name` is printed; without `store` it is the `directory`, which is made when it is first written to."""
        from obstore.store import LocalStore

        self.name = name
        self._store = store
        self.directory = directory
        self.root = Path(store.prefix or "/") if isinstance(store, LocalStore) else directory
        """The directory of this machine that it is, if it is one."""
        self._part_bytes = part_bytes
        self._slots = threading.Semaphore(_PARTS_IN_FLIGHT)
        self._secrets = secrets_in(getattr(store, "config", None) or {})

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
            with self._perhaps_missing():
                return None if store is None else _info(obstore.head(store, key))
        return None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object under `prefix`, a whole folder's name, in no particular order, a few at a time.

        Other than obstore's own, a directory's listing does not end at a name that obstore does not take.
        """
        folder = prefix.rstrip("/")
        if self.root is None:
            yield from self._listed(folder)
        elif self.root.is_dir():
            with self.translated():
                yield from _walk(self.root / folder, f"{folder}/" if folder else "", set())

    def remove_unfinished(self, before: datetime) -> int:
        """Remove what killed processes left in a directory of writes that were not finished; the number of files.

        A bucket's own rules do that for uploads there.
        """
        count = 0
        if self.root is not None and self.root.is_dir():
            with self.translated():
                for info in _walk(self.root, "", set(), unfinished=True):
                    if info.last_modified < before:
                        (self.root / info.key).unlink(missing_ok=True)
                        count += 1
        return count

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

    def write(
        self,
        key: str,
        chunks: Iterable[bytes] | memoryview,
        *,
        size: int | None = None,
        content_type: str | None = None,
        writer: str | None = None,
    ) -> None:
        """Store an object, in place of what has the key; nobody ever sees a part of it.

        More than a part goes in several, a few of them at a time. An error of `chunks` is raised as it is, and what
        was there stays. `size` is the number of bytes that must come; a `memoryview` is the whole content and is
        neither copied nor counted. `writer` is kept with an object of several parts, by which a write whose answer was
        lost is known again.

        Raises:
            StoreError: it cannot be written, or there were more or fewer bytes.
        """
        from toolkit.core.streams import read_ahead

        attributes = {"Content-Type": content_type} if content_type else {}
        if isinstance(chunks, memoryview):
            self._put_whole(key, chunks, attributes, writer)
            return
        source = Source(chunks, size, self.name, key)
        first = source.take(self._part_bytes)
        if source.ended:
            self._put_once(key, first, attributes)
            return
        part_bytes = max(self._part_bytes, (size or 0) // _PARTS + 1)
        # In a thread of their own: chunks that come from obstore cannot be read within an upload of obstore's.
        with self._lanes() as lanes, read_ahead(source.chunks) as source.chunks:
            try:
                self._put_parts(
                    # From the beginning, as long as the beginning is all that was taken.
                    key,
                    lambda: chain([first], source),
                    lambda: source.count <= len(first),
                    part_bytes,
                    lanes,
                    attributes,
                    writer,
                )
            except ToolkitError:
                if source.error is not None:
                    raise source.error from None
                raise

    def _put_once(self, key: str, content: bytes | memoryview, attributes: Mapping[str, str]) -> None:
        import obstore

        with self.translated(key):
            store, options = self.opened(create=True), self._options(attributes)
            obstore.put(store, key, content, use_multipart=False, **options)

    def _put_whole(self, key: str, content: memoryview, attributes: Mapping[str, str], writer: str | None) -> None:
        """Content in memory: its parts in flight need no more of it."""
        part_bytes = self._part_bytes * _LARGER
        if len(content) <= part_bytes:
            self._put_once(key, content, attributes)
            return
        self._put_parts(key, lambda: content, lambda: True, part_bytes, _PARTS_IN_FLIGHT, attributes, writer)

    def _put_parts(
        self,
        key: str,
        content: Callable[[], Any],
        may_repeat: Callable[[], bool],
        part_bytes: int,
        lanes: int,
        attributes: Mapping[str, str],
        writer: str | None,
    ) -> None:
        import obstore

        if writer:
            attributes = {**attributes, _WRITER: writer}
        upload = partial(
            obstore.put,
            path=key,
            use_multipart=True,
            chunk_size=part_bytes,
            max_concurrency=lanes,
            **self._options(attributes),
        )
        try:
            with self.translated(key):
                self._upload(upload, content, may_repeat)
        except MissingObjectError:
            # The upload is gone: it was completed, or given up by the store.
            if writer is None or self._writer(key) != writer:
                raise StoreError(f"{self.name}: {key!r}", BROKEN, BROKEN_ADVICE) from None

    def _upload(self, upload: Callable[..., Any], content: Callable[[], Any], may_repeat: Callable[[], bool]) -> None:
        from obstore.exceptions import GenericError

        store = self.opened(create=True)
        for _ in range(RESUMES):
            try:
                upload(store, file=content())
            except GenericError as error:
                if not may_repeat() or not re.search(BROKEN_TEXT, str(error)):
                    raise
            else:
                return
        upload(store, file=content())

    def create(self, key: str, content: bytes, writer: str) -> bool:
        """Store a small object if there is none of that key; False if there is.

        `writer` is kept with it, by which a write whose answer was lost is known again.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with self.translated(key):
            store, options = self.opened(create=True), self._options({_WRITER: writer})
            try:
                again(partial(obstore.put, store, key, content, mode="create", **options))
            except AlreadyExistsError:
                return self.root is None and self._writer(key) == writer
        return True

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are no error."""
        for batch in _batches(keys, _DELETED_AT_ONCE):
            with self.translated(batch[0] if len(batch) == 1 else None):
                store = self.opened()
                if store is None:
                    continue
                with self._perhaps_missing():
                    again(partial(_delete, store, batch))
                    continue
                # Some stores stop at the first that is missing.
                for key in batch:
                    with self._perhaps_missing():
                        again(partial(_delete, store, [key]))

    @contextmanager
    def translated(self, key: str | None = None) -> Iterator[None]:
        """Errors of obstore as ours, without any secret."""
        from obstore.exceptions import BaseError

        try:
            yield
        except ToolkitError:
            raise
        except (BaseError, OSError, ValueError, NotImplementedError) as error:
            if isinstance(error, FileNotFoundError) and not NO_BUCKET.search(str(error)):
                raise MissingObjectError(self.name, key or "") from None
            # Not as the cause: a traceback would show what was taken out here.
            raise self._explained(error, key) from None

    def opened(self, create: bool = False) -> Any:
        """The obstore store; None if it is a directory that is not there, and not to be made."""
        if self._store is None and self.directory is not None:
            if not create and not self.directory.is_dir():
                return None
            from obstore.store import LocalStore

            self._store = LocalStore(self.directory, mkdir=create)
        return self._store

    def _listed(self, folder: str) -> Iterator[ObjectInfo]:
        import obstore

        last, failures = None, 0
        while True:
            listed = obstore.list(self.opened(), folder or None, offset=last)
            try:
                with self.translated():
                    for batch in listed:
                        yield from map(_info, batch)
                        last, failures = batch[-1]["path"], 0
                    return
            except StoreError as error:
                failures += 1
                if failures > RESUMES or error.problem != BROKEN:
                    raise

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
        part = {"offset": position} if end is None else (position, end)
        options: dict[str, Any] = {"range": part, "if_match": tag} if position or end else {}
        return obstore.get(store, key, options=options)  # type: ignore[arg-type]

    def _options(self, attributes: Mapping[str, str]) -> dict[str, Any]:
        # A directory has no place for them.
        return {"attributes": attributes} if attributes and self.root is None else {}

    def _writer(self, key: str) -> str | None:
        import obstore

        with self.translated(key), suppress(FileNotFoundError):
            found = again(partial(obstore.get, self.opened(), key, options={"head": True}))
            return found.attributes.get(_WRITER)
        return None

    @contextmanager
    def _lanes(self) -> Iterator[int]:
        """The number of parts that may be under way at once, fewer when others write too."""
        self._slots.acquire()
        lanes = 1
        while lanes < _PARTS_OF_ONE and self._slots.acquire(blocking=False):
            lanes += 1
        try:
            yield lanes
        finally:
            self._slots.release(lanes)

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

    def _explained(self, error: Exception, key: str | None) -> StoreError:
        problem, advice = explain(error, without(self._secrets, str(error)))
        return StoreError(self.name if key is None else f"{self.name}: {key!r}", problem, advice)


def client_for(store: Store, part_bytes: int = PART_BYTES) -> Access:
    """Access to a configured store.

    Raises:
        StoreError: its address or a setting cannot be used.
    """
    return Access(name_of(store), opened(store), store.directory, part_bytes)


def name_of(store: Store) -> str:
    """How a store is called in messages."""
    place = str(store.directory) if store.kind == "file" else store.shown_url
    return f"{store.name} ({place})" if store.name else place


def opened(store: Store) -> ObjectStore | None:
    """The obstore store; None for a directory, which may have to be made first.

    Raises:
        StoreError: its address or a setting cannot be used.
    """
    if store.kind == "file":
        return None
    if store.kind == "memory":
        return store.memory
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        found: ObjectStore = from_url(
            store.address,
            config=store.settings,  # type: ignore[call-overload]
            client_options=store.client_options,
            retry_config={"max_retries": store.retries},
        )
    except (BaseError, ValueError) as error:
        text = without(secrets_in(store.settings), str(error))
        problem, advice = explain(error, text)
        raise StoreError(name_of(store), problem, advice or "Correct its address and settings.") from None
    return found


def _delete(store: Any, keys: list[str]) -> None:
    import obstore

    try:
        obstore.delete(store, keys)
    except TypeError as error:
        # What it says of a name that it does not take, here only.
        raise ValueError("Could not parse path") from error


def _walk(folder: Path, prefix: str, seen: set[str], unfinished: bool = False) -> Iterator[ObjectInfo]:
    """The files beneath a folder, through symbolic links as obstore goes; none if it is not there."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            # What does not decode can be in no row: it is only told.
            key = prefix + entry.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            with suppress(FileNotFoundError):
                if entry.is_dir():
                    target = os.path.realpath(entry.path) if entry.is_symlink() else None
                    if target is None or target not in seen:
                        yield from _walk(Path(entry.path), f"{key}/", seen | {target} if target else seen, unfinished)
                elif entry.is_file() and bool(_UNFINISHED.search(entry.name)) == unfinished:
                    found = entry.stat()
                    yield ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _info(meta: Any) -> ObjectInfo:
    return ObjectInfo(meta["path"], meta["size"], meta["last_modified"], meta["e_tag"])


def _batches(keys: Iterable[str], count: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for key in keys:
        batch.append(key)
        if len(batch) == count:
            yield batch
            batch = []
    if batch:
        yield batch
