"""One obstore store to read and to write: streams into it, in parts where they are long."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.config import Store
from toolkit.core.file_properties import Properties, acceptable
from toolkit.errors import DeleteRefusedError, MissingObjectError, StoreError, ToolkitError
from toolkit.stores.chunks import Source
from toolkit.stores.long_names import is_long, write_long
from toolkit.stores.object_reader import WRITER, ObjectReader, walk
from toolkit.stores.opening import name_of, opened
from toolkit.stores.store_errors import (
    BROKEN,
    BROKEN_ADVICE,
    BROKEN_TEXT,
    DENIED,
    RESUMES,
    again,
)

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PART_BYTES = 5 << 20
"""The smallest part that S3 accepts: a stream that is not longer goes in one request."""
# S3 accepts 10,000 parts.
_PARTS = 9_000
# Of all writes together, and of one: what is held in memory is a part for each, and one more for each write.
_PARTS_IN_FLIGHT = 12
_PARTS_OF_ONE = 4
_DELETED_AT_ONCE = 1000
# Content that is in memory already goes in parts so much larger: each request costs the store time of its own. For
# 1 GB in files of 50 MiB, OpenStack Swift needs 12.7 s of processor time in parts of 5 MiB, 9 s in parts of 16 MiB.
_LARGER = 4


class ObjectStoreClient(ObjectReader):
    """Objects under any key that obstore itself takes. May be used by several threads at once."""

    def __init__(
        self, name: str, store: ObjectStore | None, directory: Path | None = None, part_bytes: int = PART_BYTES
    ) -> None:
        """As `ObjectReader`; what is larger than `part_bytes` goes in several parts."""
        super().__init__(name, store, directory)
        self._part_bytes = part_bytes
        self._slots = threading.Semaphore(_PARTS_IN_FLIGHT)

    def remove_unfinished(self, before: datetime) -> int:
        """Remove what killed processes left in a directory of writes that were not finished; the number of files.

        A bucket's own rules do that for uploads there.
        """
        count = 0
        if self.root is not None and self.root.is_dir():
            with self.translated():
                for info in walk(self.root, "", set(), unfinished=True):
                    if info.last_modified < before:
                        (self.root / info.key).unlink(missing_ok=True)
                        count += 1
        return count

    def write(
        self,
        key: str,
        chunks: Iterable[bytes] | memoryview,
        *,
        size: int | None = None,
        properties: Properties | None = None,
        writer: str | None = None,
    ) -> None:
        """Store an object, in place of what has the key; nobody ever sees a part of it.

        More than a part goes in several, a few of them at a time. An error of `chunks` is raised as it is, and what
        was there stays. `size` is the number of bytes that must come; a `memoryview` is the whole content and is
        neither copied nor counted. Of `properties`, what there is a place for is kept, too. `writer` is kept with an
        object of several parts, by which a write whose answer was lost is known again.

        Raises:
            StoreError: it cannot be written, or there were more or fewer bytes.
        """
        properties = properties or Properties()
        self._write(key, chunks, size, properties.attributes or {}, writer)
        if self.root is not None and properties.mode is not None:
            with self.translated(key):
                (self.root / key.strip("/")).chmod(properties.mode)

    def _write(
        self,
        key: str,
        chunks: Iterable[bytes] | memoryview,
        size: int | None,
        attributes: Mapping[str, str],
        writer: str | None,
    ) -> None:
        from toolkit.core.streams import read_ahead

        if self.root is not None and is_long(key):
            self._write_long(self.root, key, chunks, size)
            return
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
        self._count_upload(source.count, part_bytes)

    def _write_long(self, root: Path, key: str, chunks: Iterable[bytes] | memoryview, size: int | None) -> None:
        source = Source([bytes(chunks)] if isinstance(chunks, memoryview) else chunks, size, self.name, key)
        # Obstore refuses the names that it does not take, as for any other.
        self.info(key)
        try:
            with self.translated(key):
                self.opened(create=True)
                write_long(root, key, source)
        except ToolkitError:
            if source.error is not None:
                raise source.error from None
            raise

    def _put_once(self, key: str, content: bytes | memoryview, attributes: Mapping[str, str]) -> None:
        import obstore

        with self.translated(key):
            store, options = self.opened(create=True), self._options(attributes)
            self._count("put")
            obstore.put(store, key, content, use_multipart=False, **options)

    def _put_whole(self, key: str, content: memoryview, attributes: Mapping[str, str], writer: str | None) -> None:
        """Content in memory: its parts in flight need no more of it."""
        part_bytes = self._part_bytes * _LARGER
        if len(content) <= part_bytes:
            self._put_once(key, content, attributes)
            return
        self._put_parts(key, lambda: content, lambda: True, part_bytes, _PARTS_IN_FLIGHT, attributes, writer)
        self._count_upload(len(content), part_bytes)

    def _count_upload(self, size: int, part_bytes: int) -> None:
        if self.root is None:
            self.requests.add_upload(size, part_bytes)

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
            attributes = {**attributes, WRITER: writer}
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

        `writer` is kept with it, by which a write whose answer was lost is known again. Where the store's settings say
        that it knows no conditional writes, several who try at once may all be told True.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        if self._config.get("conditional_put") == "disabled":
            if self.info(key) is not None:
                return False
            self._put_once(key, content, {WRITER: writer})
            return True
        with self.translated(key, is_conditional=self.root is None):
            store, options = self.opened(create=True), self._options({WRITER: writer})
            self._count("put")
            try:
                again(partial(obstore.put, store, key, content, mode="create", **options))
            except AlreadyExistsError:
                return self.root is None and self._writer(key) == writer
        return True

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are no error."""
        for batch in _batches(keys, _DELETED_AT_ONCE):
            with self._translated_delete(batch):
                store = self.opened()
                if store is None:
                    continue
                self._count("delete")
                with self._perhaps_missing():
                    again(partial(_delete, store, batch))
                    continue
                # Some stores stop at the first that is missing.
                for key in batch:
                    self._count("delete")
                    with self._perhaps_missing():
                        again(partial(_delete, store, [key]))

    @contextmanager
    def _translated_delete(self, keys: list[str]) -> Iterator[None]:
        """As `translated`; that credentials may not delete is told as such."""
        try:
            with self.translated(keys[0] if len(keys) == 1 else None):
                yield
        except MissingObjectError:
            raise
        except StoreError as error:
            if error.problem == DENIED:
                raise DeleteRefusedError(error.subject) from None
            raise

    def _options(self, attributes: Mapping[str, str]) -> dict[str, Any]:
        # A directory has no place for them.
        if not attributes or self.root is not None:
            return {}
        taken = acceptable(attributes, identifiers=type(self.opened()).__name__ == "AzureStore")
        return {"attributes": taken} if taken else {}

    def _writer(self, key: str) -> str | None:
        import obstore

        with self.translated(key), suppress(FileNotFoundError):
            self._count("head")
            found = again(partial(obstore.get, self.opened(), key, options={"head": True}))
            return found.attributes.get(WRITER)
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


def client_for(store: Store, part_bytes: int = PART_BYTES) -> ObjectStoreClient:
    """A client of a configured store.

    Raises:
        StoreError: its address or a setting cannot be used.
    """
    return ObjectStoreClient(name_of(store), opened(store), store.directory, part_bytes)


def _delete(store: Any, keys: list[str]) -> None:
    import obstore

    try:
        obstore.delete(store, keys)
    except TypeError as error:
        # What it says of a name that it does not take, here only.
        raise ValueError("Could not parse path") from error


def _batches(keys: Iterable[str], count: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for key in keys:
        batch.append(key)
        if len(batch) == count:
            yield batch
            batch = []
    if batch:
        yield batch
