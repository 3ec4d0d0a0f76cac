"""One file on its way into the archive, here or on a worker: hashed while it is read, sent if the archive lacks it."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from toolkit.core.archive_manifest import Address
from toolkit.core.parallel import MEMORY_BYTES, STREAM_BYTES, Memory, Stop
from toolkit.errors import DamagedObjectError, MissingObjectError, ToolkitError
from toolkit.operations.archive.collecting import SETTLED
from toolkit.operations.archive.outcomes import Outcome
from toolkit.stores.zstd import is_compressible

if TYPE_CHECKING:
    from toolkit.core.progress import Progress
    from toolkit.operations.archive.backends import Backends
    from toolkit.stores.archive import Archive

# A file up to this size is read once and kept, as long as all of those under way need no more than that much memory; a
# larger one is read once for its address and once to be sent, which needs neither memory nor space on a disk.
_KEPT_BYTES = 64 << 20
_SAMPLE_BYTES = 1 << 20
_ATTEMPTS = 3


class _NotReadError(Exception):
    """A live file that cannot be archived."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome, self.reason = outcome, reason


class _ChangedError(Exception):
    """A live file that was changed while it was read."""


class Item(Struct, frozen=True):
    """A live file as it was looked at; `algorithms` are those by which rows know it, but for SHA-256."""

    id: int
    backend: str
    path: str
    size: int
    modified: float | None = None
    etag: str | None = None
    algorithms: tuple[str, ...] = ()


class Sent(Struct, frozen=True):
    """What became of a file. `stored`: its size as zstd, None if it lies there plain; `written`: it was not there."""

    item: Item
    sha: str | None = None
    stored: int | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    digests: str | None = None
    written: bool = False


class Contents(Protocol):
    """What lies in the archive, as far as it is known. May be used by several threads at once."""

    def find(self, address: Address) -> tuple[int, int | None] | None:
        """How many bytes an object has, and should have as zstd, if that was said; None: it is to be written."""

    def found_whole(self, address: Address, size: int) -> None:
        """An object as zstd was read, and is as it should be."""

    def note(self, address: Address, stored: int) -> None:
        """An object was written."""


Again = Callable[[], Iterable[bytes] | memoryview]


class Uploader(Struct):
    """Sends files, each once, also where several are sent at once."""

    contents: Contents
    archive: Archive
    backends: Backends
    compress: bool
    plain_only: bool
    progress: Progress
    stop: Stop = field(default_factory=Stop)
    _memory: Memory = field(default_factory=lambda: Memory(MEMORY_BYTES))
    _turns: threading.Condition = field(default_factory=threading.Condition)
    _busy: set[str] = field(default_factory=set)

    def send(self, item: Item) -> Sent:
        """Read a file; send it if the archive lacks it.

        Raises:
            ToolkitError: the archive cannot be written to.
        """
        try:
            for _ in range(_ATTEMPTS):
                try:
                    return self._send_once(item)
                except _ChangedError:
                    item = self._looked_at_again(item)
                except _NotReadError:
                    # A read that a writer cut short, by truncating the file, ends with an error of its own.
                    before, item = item, self._looked_at_again(item)
                    if item == before:
                        raise
        except _NotReadError as error:
            return Sent(item, outcome=error.outcome, reason=error.reason)
        return Sent(item, outcome=Outcome.CHANGING, reason="it was changed each time that it was read")

    def _looked_at_again(self, item: Item) -> Item:
        try:
            info = self.backends.get(item.backend).info(item.path)
        except ToolkitError as error:
            raise _NotReadError(Outcome.UNREADABLE, error.fact) from error
        if info is None:
            raise _NotReadError(Outcome.DANGLING, "it was removed while it was read")
        modified = info.last_modified.timestamp()
        return replace(item, size=info.size, modified=modified, etag=info.etag)

    def _send_once(self, item: Item) -> Sent:
        others = {name: hashlib.new(name) for name in item.algorithms}
        if item.size <= _KEPT_BYTES:
            with self._memory.taken(item.size):
                content = self._kept(item)
                sha = hashlib.sha256(content).hexdigest()
                for digest in others.values():
                    digest.update(content)
                self._require_at_rest(item, sha)
                stored, written = self._stored(sha, item.size, bytes(content[:_SAMPLE_BYTES]), lambda: content)
        else:
            with self._memory.taken(STREAM_BYTES):
                sha, sample = self._hashed(item, others.values())
                self._require_at_rest(item, sha)
                stored, written = self._stored(sha, item.size, sample, lambda: self._once_more(item, sha))
        digests = json.dumps({name: digest.hexdigest() for name, digest in others.items()}) if others else None
        return Sent(item, sha, stored, digests=digests, written=written)

    def _require_at_rest(self, item: Item, sha: str) -> None:
        """A file that is written to while it is read may keep its size; what was read is then half old and half new."""
        if self.backends.get(item.backend).is_object_store:
            return
        if self._looked_at_again(item) != item:
            raise _ChangedError
        # Two writes within a tick of the file system's clock leave the same time, and some have none (0).
        is_settled = bool(item.modified) and time.time() - (item.modified or 0) > SETTLED.total_seconds()
        if not is_settled and self._digest(item) != sha:
            raise _ChangedError

    def _digest(self, item: Item) -> str:
        digest = hashlib.sha256()
        for chunk in self._read(item):
            digest.update(chunk)
        return digest.hexdigest()

    def _kept(self, item: Item) -> memoryview:
        with _readable():
            content = self.backends.get(item.backend).beginning(item.path, item.size + 1)
        if len(content) != item.size:
            raise _ChangedError
        self.progress.advance_file(0, item.size)
        return content

    def _hashed(self, item: Item, others: Iterable[hashlib._Hash]) -> tuple[str, bytes]:
        digest, sample = hashlib.sha256(), b""
        for chunk in self._expected(item):
            for each in (digest, *others):
                each.update(chunk)
            sample = sample or chunk
        return digest.hexdigest(), sample

    def _once_more(self, item: Item, sha: str) -> Iterator[bytes]:
        """A large file again; if it is not the same any more, the error keeps what was sent of it from appearing."""
        digest = hashlib.sha256()
        for chunk in self._read(item):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != sha:
            raise _ChangedError

    def _expected(self, item: Item) -> Iterator[bytes]:
        """The content of a file, which must have the size that it had."""
        count = 0
        for chunk in self._read(item):
            count += len(chunk)
            if count > item.size:
                raise _ChangedError
            self.progress.advance_file(0, len(chunk))
            yield chunk
        if count != item.size:
            raise _ChangedError

    def _read(self, item: Item) -> Iterator[bytes]:
        with _readable():
            yield from self.stop.watched(self.backends.get(item.backend).read(item.path))

    def _stored(self, sha: str, size: int, sample: bytes, again: Again) -> tuple[int | None, bool]:
        """The size as zstd of content in the archive, None for a plain object; and whether it had to be sent."""
        with self._writer_lock(sha):
            for address in (Address(sha), Address(sha, compressed=True)):
                present = self._present(address, size)
                if present is not None:
                    return (present if address.compressed else None), False
            compressed = self.compress and not self.plain_only and is_compressible(sample)
            address = Address(sha, compressed)
            stored = self.archive.write(address, again(), size)
            self.contents.note(address, stored)
            return (stored if compressed else None), True

    def _present(self, address: Address, size: int) -> int | None:
        """How many bytes an object takes that is there, and as it should be."""
        if address.compressed and self.plain_only:
            return None
        row = self.contents.find(address)
        if row is None:
            return None
        there, said = row
        if not address.compressed:
            return there if there == size else None
        # Left by a push that was killed, or of another database: nobody said how large it should be as zstd.
        if there != said and self._is_whole(address):
            self.contents.found_whole(address, there)
            said = there
        return there if there == said else None

    def _is_whole(self, address: Address) -> bool:
        try:
            for _ in self.stop.watched(self.archive.read(address)):
                pass
        except (DamagedObjectError, MissingObjectError):
            return False
        return True

    @contextmanager
    def _writer_lock(self, sha: str) -> Iterator[None]:
        """Two files of the same content are sent once: the second waits and finds it there."""
        with self._turns:
            self._turns.wait_for(lambda: sha not in self._busy)
            self._busy.add(sha)
        try:
            yield
        finally:
            with self._turns:
                self._busy.discard(sha)
                self._turns.notify_all()


@contextmanager
def _readable() -> Iterator[None]:
    """What keeps a live file from being read is said of that file, and ends nothing."""
    try:
        yield
    except MissingObjectError as error:
        raise _NotReadError(Outcome.DANGLING, "it was removed before it was read") from error
    except ToolkitError as error:
        raise _NotReadError(Outcome.UNREADABLE, error.fact) from error
