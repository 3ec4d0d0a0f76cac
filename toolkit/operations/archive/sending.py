"""Files on their way into the archive: what is to be sent, by the catalogue, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolkit.core.archive_manifest import Address
from toolkit.core.parallel import in_parallel
from toolkit.errors import DamagedObjectError, MissingObjectError
from toolkit.operations.archive.checking import wanted_digests
from toolkit.operations.archive.collecting import State
from toolkit.operations.archive.uploading import Item, Sent, Uploader

if TYPE_CHECKING:
    from toolkit.core.progress import Progress
    from toolkit.operations.archive.backends import Backends
    from toolkit.stores.archive import Archive
    from toolkit.stores.catalogue import Catalogue

# Asking for single objects is cheaper than a listing (1,000 objects an answer) only for few of many.
_LISTED_AT_ONCE = 1000


class Listed:
    """What lies in the archive, by a push's catalogue."""

    def __init__(self, catalogue: Catalogue, archive: Archive) -> None:
        self._catalogue, self._archive = catalogue, archive

    def find(self, address: Address) -> tuple[int, int | None] | None:
        """How many bytes an object has, and should have as zstd, if that was said."""
        row: tuple[int, int | None] | None = self._catalogue.one(
            "SELECT object.size, packed.stored FROM object LEFT JOIN packed USING (key) WHERE key = ? "
            "AND key NOT IN (SELECT key FROM damaged)",
            address.key,
        )
        return row

    def found_whole(self, address: Address, size: int) -> None:
        """An object as zstd was read, and is as it should be."""
        self._catalogue.run("INSERT OR REPLACE INTO packed VALUES (?, ?)", address.key, size)

    def note(self, address: Address, stored: int) -> None:
        """An object was written; in place of another only where that was not as it should be."""
        key = address.key
        # What was there before this push is repaired, once; not what another worker has sent meanwhile.
        repairs = self._catalogue.one("SELECT 1 FROM object WHERE key = ? AND key NOT IN (SELECT key FROM sent)", key)
        if repairs:
            self._catalogue.run("INSERT OR IGNORE INTO repaired VALUES (?)", key)
        self._catalogue.run("INSERT OR REPLACE INTO object VALUES (?, ?)", key, stored)
        self._catalogue.run("INSERT OR REPLACE INTO sent VALUES (?, ?)", key, stored)
        if address.compressed:
            self.found_whole(address, stored)
        if self._catalogue.one("SELECT 1 FROM damaged WHERE key = ?", key):
            self._catalogue.run("DELETE FROM damaged WHERE key = ?", key)
            self._archive.mark_whole([address])


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
    contents: Listed = field(init=False)

    def __post_init__(self) -> None:
        self.contents = Listed(self.catalogue, self.archive)

    @property
    def repaired(self) -> int:
        """How many objects were written in place of others that were not as they should be."""
        return int(self.catalogue.one("SELECT count(*) FROM repaired")[0])

    def announce(self) -> None:
        """Say how much there is to do."""
        count, size = self.catalogue.one("SELECT count(*), total(size) FROM live WHERE state = ?", State.READ)
        self.progress.files("archive", count, int(size))

    def send(self) -> None:
        """Read every file that has to be; send those that the archive lacks.

        Raises:
            ToolkitError: the archive cannot be written to.
        """
        uploader = Uploader(self.contents, self.archive, self.backends, self.compress, self.plain_only, self.progress)
        for done in in_parallel(uploader.send, self.items(), self.jobs, uploader.stop):
            self.note(done)
            self.progress.advance_file(1, 0)
        self.archive.store.settle()

    def items(self) -> Iterator[Item]:
        """The files that are to be read, in their order."""
        pages = self.catalogue.pages(
            "SELECT id, backend, path, size, modified, etag FROM live WHERE state = ? AND id > ? ORDER BY id",
            State.READ,
        )
        for number, backend, path, size, modified, etag in pages:
            algorithms = tuple(sorted(wanted_digests(self.catalogue, backend, path)))
            yield Item(number, backend, path, size, modified, etag, algorithms)

    def note(self, done: Sent) -> None:
        """Note what became of a file."""
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
