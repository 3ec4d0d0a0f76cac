"""The files that rows point at, brought along with the rows: from the source's live store to the target's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolkit.core.archive_manifest import address_of
from toolkit.core.parallel import MEMORY_BYTES, STREAM_BYTES, Memory, Stop, in_parallel
from toolkit.core.plan import FileCopy
from toolkit.errors import DamagedObjectError, ToolkitError
from toolkit.operations.archive.places import JOBS, Backends
from toolkit.operations.archive.rows import file_columns, narrow, read_cells
from toolkit.stores.access import access_to
from toolkit.stores.catalogue import Catalogue
from toolkit.stores.live import ObstoreBackend

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.operations.archive.rows import Reference
    from toolkit.repositories.base import DatabaseConnection
    from toolkit.stores.live import LiveBackend

_SCHEMA = """
CREATE TABLE file (id INTEGER PRIMARY KEY, backend TEXT, path TEXT, is_archived INTEGER, UNIQUE (backend, path))
"""


@dataclass(frozen=True, slots=True)
class _Copied:
    state: str
    bytes: int = 0
    problem: str | None = None


@dataclass
class _Copy:
    """One copying: from the backends that rows name to one store."""

    backends: Backends
    target: ObstoreBackend
    dry_run: bool
    stop: Stop = field(default_factory=Stop)
    memory: Memory = field(default_factory=lambda: Memory(MEMORY_BYTES))

    def copy(self, row: tuple[int, str, str]) -> _Copied:
        """One file, unless it is there; what is wrong with one stops nothing."""
        _, key, path = row
        try:
            source = self.backends.get(key)
            info, there = source.info(path), self.target.info(path)
            if info is None:
                return _Copied("failed", problem=f"{key}:{path!r}: there is no such file")
            if there is not None and there.size != info.size:
                reason = f"a file of {there.size} bytes is there, not one of {info.size}; it was left as it is"
                return _Copied("failed", problem=f"{self.target.name}: {path!r}: {reason}")
            if there is not None:
                return _Copied("there")
            if not self.dry_run:
                with self.memory.taken(min(info.size, STREAM_BYTES)):
                    send_proved(self.target, path, source.read(path), info.size, self.stop)
        except ToolkitError as error:
            return _Copied("failed", problem=error.fact)
        return _Copied("copied", info.size)


def send_proved(
    target: LiveBackend,
    path: str,
    chunks: Iterable[bytes],
    size: int,
    stop: Stop,
    content_type: str | None = None,
) -> None:
    """Write a file, and read it back: what arrived is what was sent.

    Raises:
        DamagedObjectError: it is not; it was removed.
        StoreError: it cannot be written, or other than `size` bytes came.
    """
    sent, arrived = hashlib.sha256(), hashlib.sha256()
    target.write(path, _passing(stop.watched(chunks), sent), size=size, content_type=content_type)
    for chunk in stop.watched(target.read(path)):
        arrived.update(chunk)
    if arrived.digest() != sent.digest():
        target.delete(path)
        raise DamagedObjectError(target.name, path, "what arrived is not what was sent, and was removed")


def _passing(chunks: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def copy_files(
    config: Config,
    origin: DatabaseConnection,
    specs: Sequence[TableSpec],
    store: str,
    *,
    dry_run: bool,
    progress: Progress,
) -> FileCopy:
    """Copy the files of these tables' rows that a store lacks, each under its own name.

    Files that rows were moved to in an archive stay there. A file that cannot be copied is told, and stops nothing.

    Raises:
        UnknownNameError, StoreError: there is no such store, or its settings cannot be used.
    """
    found = config.store(store)
    run = _Copy(Backends(config), ObstoreBackend(found.name or store, access_to(found)), dry_run)
    counts = {"copied": 0, "there": 0}
    size, problems = 0, []
    with Catalogue(_SCHEMA) as catalogue:
        for spec in (narrow(each) for each in specs if file_columns(each)):
            catalogue.run_many(
                "INSERT OR IGNORE INTO file (backend, path, is_archived) VALUES (?, ?, ?)", _places(origin, spec)
            )
        archived = set_archived_aside(catalogue)
        (files,) = catalogue.one("SELECT count(*) FROM file")
        progress.step(f"copy files to {run.target.name}", files)
        rows = catalogue.pages("SELECT id, backend, path FROM file WHERE id > ? ORDER BY id")
        for done in in_parallel(run.copy, rows, JOBS, run.stop):
            if done.problem is not None:
                problems.append(done.problem)
            else:
                counts[done.state] += 1
                size += done.bytes
            progress.advance(1)
    return FileCopy(
        run.target.name, files, counts["copied"], size, counts["there"], tuple(sorted(problems)), archived
    )  # fmt: skip


def _places(origin: DatabaseConnection, spec: TableSpec) -> Iterator[tuple[str, str, bool]]:
    return (
        (each.backend, each.path, is_archived(each))
        for cell in read_cells(origin, spec)
        for each in cell.references
    )


def is_archived(reference: Reference) -> bool:
    """Whether a file is one that rows were moved to in an archive, not in a live store."""
    return address_of(reference.path) is not None


def set_archived_aside(catalogue: Catalogue) -> int:
    """Strike the files that are in an archive from a catalogue's table `file`; how many there were."""
    (count,) = catalogue.one("SELECT count(*) FROM file WHERE is_archived")
    catalogue.run("DELETE FROM file WHERE is_archived")
    return int(count)
