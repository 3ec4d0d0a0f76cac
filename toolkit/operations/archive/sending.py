"""Files on their way into the archive: hashed while they are read, sent if the archive lacks them."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolkit.core.archive_manifest import Address
from toolkit.core.parallel import MEMORY_BYTES, STREAM_BYTES, Memory, Stop, in_parallel
from toolkit.errors import DamagedObjectError, MissingObjectError, ToolkitError
from toolkit.operations.archive.checking import wanted_digests
from toolkit.operations.archive.collecting import SETTLED, State
from toolkit.operations.archive.outcomes import Outcome
from toolkit.stores.zstd import is_compressible

if TYPE_CHECKING:
    from toolkit.core.progress import Progress
    from toolkit.operations.archive.backends import Backends
    from toolkit.stores.archive import Archive
    from toolkit.stores.catalogue import Catalogue

# A file up to this size is read once and kept, as long as all of those under way need no more than that much memory; a
# larger one is read once for its address and once to be sent, which needs neither memory nor space on a disk.
_KEPT_BYTES = 64 << 20
_SAMPLE_BYTES = 1 << 20
_ATTEMPTS = 3
# Asking for single objects is cheaper than a listing (1,000 objects an answer) only for few of many.
_LISTED_AT_ONCE = 1000


class _NotReadError(Exception):
    """A live file that cannot be archived."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome, self.reason = outcome, reason


class _ChangedError(Exception):
    """A live file that was changed while it was read."""


@dataclass(frozen=True, slots=True)
class _Item:
    id: int
    backend: str
    path: str
    size: int
    modified: float | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class _Sent:
    item: _Item
    sha: str | None = None
    stored: int | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    digests: str | None = None


Again = Callable[[], Iterable[bytes] | memoryview]


@dataclass
class Sender:
    """Sends what the catalogue says is to be read. Several pushes may send the same at once: it is the same."""

    catalogue: Catalogue
    archive: Archive
    backends: Backends
    compress: bool
    plain_only: bool
    jobs: int
    progress: Progress
    repaired: int = 0
    _memory: Memory = field(default_factory=lambda: Memory(MEMORY_BYTES))
    _stop: Stop = field(default_factory=Stop)
    _turns: threading.Condition = field(default_factory=threading.Condition)
    _busy: set[str] = field(default_factory=set)

    def send(self) -> None:
        """Read every file that has to be; send those that the archive lacks.

        Raises:
            ToolkitError: the archive cannot be written to.
        """
        count, size = self.catalogue.one("SELECT count(*), total(size) FROM live WHERE state = ?", State.READ)
        self.progress.files("archive", count, int(size))
        pages = self.catalogue.pages(
            "SELECT id, backend, path, size, modified, etag FROM live WHERE state = ? AND id > ? ORDER BY id",
            State.READ,
        )
        for done in in_parallel(self._send, (_Item(*row) for row in pages), self.jobs, self._stop):
            self.catalogue.run(
                "UPDATE live SET state = ?, size = ?, modified = ?, etag = ?, sha = ?, stored = ?, outcome = ?, "
                "reason = ?, digests = ? WHERE id = ?",
                State.FAILED if done.outcome else State.SENT,
                done.item.size,
                done.item.modified,
                done.item.etag,
                done.sha,
                done.stored,
                done.outcome,
                done.reason,
                done.digests,
                done.item.id,
            )
            self.progress.advance_file(1, 0)
        self.archive.store.settle()

    def require_arrived(self) -> None:
        """See in the archive itself that all that was sent is there, of the size that was sent.

        Raises:
            MissingObjectError, DamagedObjectError: something is not.
        """
        sent, there = self.catalogue.one("SELECT (SELECT count(*) FROM sent), (SELECT count(*) FROM object)")
        if sent > self.jobs * (there // _LISTED_AT_ONCE + 1):
            self.catalogue.run("DELETE FROM object")
            self.catalogue.run_many(
                "INSERT OR REPLACE INTO object VALUES (?, ?)",
                ((info.key, info.size) for info in self.archive.objects()),
            )
            listed = "(key, stored) NOT IN (SELECT key, size FROM object)"
        else:
            listed = "true"
        rows = self.catalogue.pages(f"SELECT key, stored FROM sent WHERE key > ? AND {listed} ORDER BY key")
        for key, stored, info in in_parallel(lambda row: (*row, self.archive.store.info(row[0])), rows, self.jobs):
            if info is None:
                raise MissingObjectError(self.archive.name, key)
            if info.size != stored:
                raise DamagedObjectError(self.archive.name, key, f"{info.size} bytes arrived of {stored}")

    def _send(self, item: _Item) -> _Sent:
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
            return _Sent(item, outcome=error.outcome, reason=error.reason)
        return _Sent(item, outcome=Outcome.CHANGING, reason="it was changed each time that it was read")

    def _looked_at_again(self, item: _Item) -> _Item:
        try:
            info = self.backends.get(item.backend).info(item.path)
        except ToolkitError as error:
            raise _NotReadError(Outcome.UNREADABLE, error.fact) from error
        if info is None:
            raise _NotReadError(Outcome.DANGLING, "it was removed while it was read")
        modified = info.last_modified.timestamp()
        return _Item(item.id, item.backend, item.path, info.size, modified, info.etag)

    def _send_once(self, item: _Item) -> _Sent:
        others = {name: hashlib.new(name) for name in wanted_digests(self.catalogue, item.backend, item.path)}
        if item.size <= _KEPT_BYTES:
            with self._memory.taken(item.size):
                content = self._kept(item)
                sha = hashlib.sha256(content).hexdigest()
                for digest in others.values():
                    digest.update(content)
                self._require_at_rest(item, sha)
                stored = self._stored(sha, item.size, bytes(content[:_SAMPLE_BYTES]), lambda: content)
        else:
            with self._memory.taken(STREAM_BYTES):
                sha, sample = self._hashed(item, others.values())
                self._require_at_rest(item, sha)
                stored = self._stored(sha, item.size, sample, lambda: self._once_more(item, sha))
        digests = json.dumps({name: digest.hexdigest() for name, digest in others.items()}) if others else None
        return _Sent(item, sha, stored, digests=digests)

    def _require_at_rest(self, item: _Item, sha: str) -> None:
        """A file that is written to while it is read may keep its size; what was read is then half old and half new."""
        if self.backends.get(item.backend).is_object_store:
            return
        if self._looked_at_again(item) != item:
            raise _ChangedError
        # Two writes within a tick of the file system's clock leave the same time, and some have none (0).
        is_settled = bool(item.modified) and time.time() - (item.modified or 0) > SETTLED.total_seconds()
        if not is_settled and self._digest(item) != sha:
            raise _ChangedError

    def _digest(self, item: _Item) -> str:
        digest = hashlib.sha256()
        for chunk in self._read(item):
            digest.update(chunk)
        return digest.hexdigest()

    def _kept(self, item: _Item) -> memoryview:
        with _readable():
            content = self.backends.get(item.backend).beginning(item.path, item.size + 1)
        if len(content) != item.size:
            raise _ChangedError
        self.progress.advance_file(0, item.size)
        return content

    def _hashed(self, item: _Item, others: Iterable[hashlib._Hash]) -> tuple[str, bytes]:
        digest, sample = hashlib.sha256(), b""
        for chunk in self._expected(item):
            for each in (digest, *others):
                each.update(chunk)
            sample = sample or chunk
        return digest.hexdigest(), sample

    def _once_more(self, item: _Item, sha: str) -> Iterator[bytes]:
        """A large file again; if it is not the same any more, the error keeps what was sent of it from appearing."""
        digest = hashlib.sha256()
        for chunk in self._read(item):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != sha:
            raise _ChangedError

    def _expected(self, item: _Item) -> Iterator[bytes]:
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

    def _read(self, item: _Item) -> Iterator[bytes]:
        with _readable():
            yield from self._stop.watched(self.backends.get(item.backend).read(item.path))

    def _stored(self, sha: str, size: int, sample: bytes, again: Again) -> int | None:
        """The size as zstd of content in the archive, None for a plain object; it is sent if it is not there."""
        with self._writer_lock(sha):
            for address in (Address(sha), Address(sha, compressed=True)):
                present = self._present(address, size)
                if present is not None:
                    return present if address.compressed else None
            compressed = self.compress and not self.plain_only and is_compressible(sample)
            address = Address(sha, compressed)
            stored = self.archive.write(address, again(), size)
            self._note(address, stored)
            return stored if compressed else None

    def _present(self, address: Address, size: int) -> int | None:
        """How many bytes an object takes that is there, and as it should be."""
        if address.compressed and self.plain_only:
            return None
        row = self.catalogue.one(
            "SELECT object.size, packed.stored FROM object LEFT JOIN packed USING (key) WHERE key = ? "
            "AND key NOT IN (SELECT key FROM damaged)",
            address.key,
        )
        if row is None:
            return None
        there, said = row
        if not address.compressed:
            return int(there) if there == size else None
        # Left by a push that was killed, or of another database: nobody said how large it should be as zstd.
        if there != said and self._is_whole(address):
            self.catalogue.run("INSERT OR REPLACE INTO packed VALUES (?, ?)", address.key, there)
            said = there
        return int(there) if there == said else None

    def _is_whole(self, address: Address) -> bool:
        try:
            for _ in self._stop.watched(self.archive.read(address)):
                pass
        except (DamagedObjectError, MissingObjectError):
            return False
        return True

    def _note(self, address: Address, stored: int) -> None:
        """An object was written; in place of another only where that was not as it should be."""
        was_there = self.catalogue.one("SELECT 1 FROM object WHERE key = ?", address.key)
        self.catalogue.run("INSERT OR REPLACE INTO object VALUES (?, ?)", address.key, stored)
        self.catalogue.run("INSERT OR REPLACE INTO sent VALUES (?, ?)", address.key, stored)
        if address.compressed:
            self.catalogue.run("INSERT OR REPLACE INTO packed VALUES (?, ?)", address.key, stored)
        if self.catalogue.one("SELECT 1 FROM damaged WHERE key = ?", address.key):
            self.catalogue.run("DELETE FROM damaged WHERE key = ?", address.key)
            self.archive.mark_whole([address])
        if was_there:
            with self._turns:
                self.repaired += 1

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
