"""One obstore store, whatever is kept there: opening it, streaming in and out of it, and its errors in our words."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.config import Store
from toolkit.errors import MissingObjectError, StoreError, ToolkitError, without_passwords

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PART_BYTES = 5 << 20
"""The smallest part that S3 accepts: what is not larger goes in one request."""
_CHUNK_BYTES = 1 << 20
# S3 accepts 10,000 parts.
_PARTS = 9_000
# Of all writes together, and of one: what is held in memory is a part for each, and one more for each write.
_PARTS_IN_FLIGHT = 12
_PARTS_OF_ONE = 4
_RESUMES = 5
_DELETED_AT_ONCE = 1000
# User metadata of an object that only one may create: says whose write it was when the answer to it was lost.
_WRITER = "toolkitwriter"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as a store lists it: its size in bytes, and when it was last written."""

    key: str
    size: int
    last_modified: datetime


class Access:
    """Objects under any key that obstore itself takes. May be used by several threads at once."""

    def __init__(
        self, name: str, store: ObjectStore | None, directory: Path | None = None, part_bytes: int = PART_BYTES
    ) -> None:
        """`name` is printed; without `store` it is the `directory`, which is made when it is first written to."""
        self.name = name
        self._store = store
        self.directory = directory
        self._part_bytes = part_bytes
        self._slots = threading.Semaphore(_PARTS_IN_FLIGHT)
        self._secrets = _secrets(store)

    @property
    def exists(self) -> bool:
        """Whether it is there; a bucket's absence is told by its first use."""
        return self.directory is None or self.directory.is_dir()

    def info(self, key: str) -> ObjectInfo | None:
        """What is known of an object, None if there is none."""
        import obstore

        with self.translated():
            store = self._opened()
            if store is None:
                return None
            try:
                return _info(obstore.head(store, key))
            except FileNotFoundError as error:
                self._refuse_missing_bucket(error)
                return None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object under `prefix`, a whole folder's name, in no particular order, a few at a time."""
        import obstore

        with self.translated():
            store = self._opened()
            listed = iter(()) if store is None else obstore.list(store, prefix.rstrip("/") or None)
        while True:
            with self.translated():
                batch = next(listed, None)
            if batch is None:
                return
            yield from map(_info, batch)

    def read(self, key: str) -> Iterator[bytes]:
        """An object's content in chunks of about a megabyte; a broken connection is taken up where it broke.

        Raises:
            MissingObjectError: there is no such object.
            StoreError: it cannot be read, or was replaced meanwhile.
        """
        position, tag, failures = 0, None, 0
        while True:
            try:
                with self.translated(key):
                    result = self._get(key, position, tag)
                    tag, size, stream = result.meta["e_tag"], result.meta["size"], iter(result.stream(_CHUNK_BYTES))
                while True:
                    with self.translated(key):
                        chunk = next(stream, None)
                    if chunk is None:
                        break
                    view = memoryview(chunk)
                    for start in range(0, len(view), _CHUNK_BYTES):
                        yield bytes(view[start : start + _CHUNK_BYTES])
                    position, failures = position + len(view), 0
                if position >= size:
                    return
            except MissingObjectError:
                raise
            except StoreError:
                failures += 1
                if failures > _RESUMES or not position:
                    raise

    def write(
        self, key: str, chunks: Iterable[bytes], *, size: int | None = None, content_type: str | None = None
    ) -> None:
        """Store an object, in place of what has the key; nobody ever sees a part of it.

        More than a part goes in several, a few of them at a time. An error of `chunks` is raised as it is, and what
        was there stays. `size` is the number of bytes that must come.

        Raises:
            StoreError: it cannot be written, or there were more or fewer bytes.
        """
        import obstore

        source = _Source(chunks, size, self.name, key)
        first = source.take(self._part_bytes)
        options = self._options(content_type)
        if source.ended:
            with self.translated(key):
                obstore.put(self._opened(create=True), key, first, use_multipart=False, **options)
            return
        part_bytes = max(self._part_bytes, (size or 0) // _PARTS + 1)
        with self._lanes() as lanes:
            try:
                with self.translated(key):
                    obstore.put(
                        self._opened(create=True), key, chain([first], source),
                        use_multipart=True, chunk_size=part_bytes, max_concurrency=lanes, **options,
                    )  # fmt: skip
            except ToolkitError:
                if source.error is not None:
                    raise source.error from None
                raise

    def create(self, key: str, content: bytes, writer: str) -> bool:
        """Store a small object if there is none of that key; False if there is.

        `writer` is kept with it, by which a write whose answer was lost is known again.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        options = {} if self._is_local else {"attributes": {_WRITER: writer}}
        with self.translated(key):
            try:
                obstore.put(self._opened(create=True), key, content, mode="create", **options)  # type: ignore[arg-type]
            except AlreadyExistsError:
                return not self._is_local and self._writer(key) == writer
        return True

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are no error."""
        import obstore

        with self.translated():
            store = self._opened()
            if store is None:
                return
            for batch in _batches(keys, _DELETED_AT_ONCE):
                try:
                    obstore.delete(store, batch)
                except FileNotFoundError:
                    # Some stores stop at the first that is missing.
                    for key in batch:
                        with suppress(FileNotFoundError):
                            obstore.delete(store, key)

    @contextmanager
    def translated(self, key: str | None = None) -> Iterator[None]:
        """Errors of obstore as ours, without any secret."""
        from obstore.exceptions import BaseError

        try:
            yield
        except ToolkitError:
            raise
        except FileNotFoundError as error:
            self._refuse_missing_bucket(error)
            raise MissingObjectError(self.name, key or "") from None
        except (BaseError, OSError, ValueError, NotImplementedError) as error:
            # Not as the cause: a traceback would show what was taken out here.
            raise self._explained(error, key) from None

    def _opened(self, create: bool = False) -> Any:
        """The obstore store; None if it is a directory that is not there, and not to be made."""
        if self._store is None and self.directory is not None:
            if not create and not self.directory.is_dir():
                return None
            from obstore.store import LocalStore

            self._store = LocalStore(self.directory, mkdir=create)
        return self._store

    def _get(self, key: str, position: int, tag: str | None) -> Any:
        import obstore

        store = self._opened()
        if store is None:
            raise MissingObjectError(self.name, key)
        options: dict[str, Any] = {"range": {"offset": position}, "if_match": tag} if position else {}
        return obstore.get(store, key, options=options)  # type: ignore[arg-type]

    def _options(self, content_type: str | None) -> dict[str, Any]:
        # A directory has no place for it.
        return {} if content_type is None or self._is_local else {"attributes": {"Content-Type": content_type}}

    @property
    def _is_local(self) -> bool:
        from obstore.store import LocalStore

        return self.directory is not None or isinstance(self._store, LocalStore)

    def _writer(self, key: str) -> str | None:
        import obstore

        with suppress(FileNotFoundError):
            found = obstore.get(self._opened(), key, options={"head": True})
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

    def _refuse_missing_bucket(self, error: Exception) -> None:
        if re.search("NoSuchBucket|ContainerNotFound|The specified bucket does not exist", str(error)):
            raise StoreError(self.name, "there is no such bucket", "Check its name, or create it.") from None

    def _explained(self, error: Exception, key: str | None) -> StoreError:
        text = str(error)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        problem, advice = _explain(error, without_passwords(text))
        return StoreError(self.name if key is None else f"{self.name}: {key!r}", problem, advice)


class _Source:
    """Chunks on their way into a store: counted, and their own errors kept apart from the store's."""

    def __init__(self, chunks: Iterable[bytes], size: int | None, place: str, key: str) -> None:
        self.error: BaseException | None = None
        self.ended = False
        self._chunks = iter(chunks)
        self._size, self._place, self._key = size, place, key
        self._count = 0

    def take(self, count: int) -> bytes:
        """At least `count` bytes, or all."""
        taken = bytearray()
        while len(taken) <= count and not self.ended:
            taken += next(self, b"")
        return bytes(taken)

    def __iter__(self) -> _Source:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self.ended = True
            self._check(ended=True)
            raise
        except BaseException as error:
            self.error = error
            raise
        self._count += len(chunk)
        self._check()
        return chunk

    def _check(self, ended: bool = False) -> None:
        if self._size is None or self._count == self._size or (self._count < self._size and not ended):
            return
        self.error = StoreError(
            self._place,
            f"{self._key!r} should have {self._size} bytes, but {self._count}{'' if ended else ' and more'} came",
            "It changed while it was read, or is damaged: nothing was written. Run again.",
        )
        raise self.error


def access_to(store: Store, part_bytes: int = PART_BYTES) -> Access:
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
        text = str(error).partition("\n")[0]
        for secret in map(str, store.settings.values()):
            text = text.replace(secret, "***")
        raise StoreError(
            name_of(store), without_passwords(text).rstrip("."), "Correct its address and settings."
        ) from None
    return found


# -- errors ------------------------------------------------------------------------------------------------

_CREDENTIALS = "SignatureDoesNotMatch|InvalidAccessKeyId|AuthenticationFailed|InvalidToken|ExpiredToken"
_BY_TEXT: Mapping[str, tuple[str, str]] = {
    _CREDENTIALS: (
        "the credentials are refused",
        "Check the key, the secret and the region in the configuration or the environment (AWS_…, AZURE_…, GOOGLE_…).",
    ),
    "AccessDenied|AuthorizationFailure|PermissionDenied|403 Forbidden": (
        "access is denied",
        "Check the credentials, and what they are allowed to do there.",
    ),
    "NoSuchBucket|ContainerNotFound": ("there is no such bucket", "Check its name, or create it."),
    "Connection refused": ("nobody answers there", "Check the endpoint, and that the store runs."),
    "dns error|failed to lookup address": ("its host is not known", "Check the endpoint, and the network."),
    "BadScheme|URL scheme is not allowed": (
        "it is not reached over https",
        "If it may be plain http, set allow_http = true for the store.",
    ),
    "SlowDown|503 Service Unavailable|ServerBusy": (
        "the store is overloaded or out of order",
        "Try again later, or with fewer --jobs.",
    ),
    "operation timed out|TimedOut|timeout": (
        "no answer in time",
        "Check the network, or raise the timeout of the store.",
    ),
    "Error performing token request|169.254.169.254|metadata.google|Account must be specified|MissingAccount": (
        "there are no credentials",
        "Set them in the configuration or the environment (AWS_…, AZURE_…, GOOGLE_…).",
    ),
}
_BY_NUMBER: Mapping[int, str] = {
    28: "Make room there, then run again.",
    122: "Make room there, then run again.",
    27: "Make room there, then run again.",
    30: "It is mounted read-only: mount it for writing, or choose another place.",
    13: "Check the permissions on it.",
    1: "Check the permissions on it.",
    20: "A file is where a directory should be: move it, or choose another place.",
    21: "A directory is where a file should be: move it, or choose another place.",
}


def _explain(error: Exception, text: str) -> tuple[str, str]:
    """What went wrong, and what to do about it."""
    number = getattr(error, "errno", None)
    if number is None and (found := re.search(r"\(os error (\d+)\)", text)) and "Local" in text:
        number = int(found[1])
    if number is not None:
        return os.strerror(number), _BY_NUMBER.get(number, "")
    for pattern, explained in _BY_TEXT.items():
        if re.search(pattern, text):
            return explained
    return text.partition("\n")[0].rstrip(". "), ""


def _secrets(store: Any) -> tuple[str, ...]:
    config: Mapping[str, Any] = getattr(store, "config", None) or {}
    return tuple(
        str(value)
        for name, value in config.items()
        if re.search("secret|token|_key$|sas|password", name) and value
    )


def _info(meta: Any) -> ObjectInfo:
    return ObjectInfo(meta["path"], meta["size"], meta["last_modified"])


def _batches(keys: Iterable[str], count: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for key in keys:
        batch.append(key)
        if len(batch) == count:
            yield batch
            batch = []
    if batch:
        yield batch
