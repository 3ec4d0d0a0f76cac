"""`toolkit archive list` and `show`: the snapshots of an archive, and the files of one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from toolkit.core.archive_manifest import FileEntry, Header, Lacking, Scope
from toolkit.errors import UnknownNameError
from toolkit.operations.archive.backends import DEFAULT_STORE, open_archive
from toolkit.operations.archive.outcomes import Finding, Outcome

if TYPE_CHECKING:
    from toolkit.config import Config


class SnapshotInfo(Struct, frozen=True):
    """One snapshot: `files` references of rows, to `objects` of so many `bytes` in all.

    `place` tells databases of one name apart; snapshots of earlier versions have none. `lacking` counts references
    whose files it lacks, `erased` those whose files were taken out of it on purpose. `made_at` is what it counts as of:
    earlier than it says (`created_at`) if that cannot be.
    """

    id: str
    created_at: dt.datetime
    database: str
    revision: str | None
    scope: Scope
    files: int
    objects: int
    bytes: int
    moved: bool
    place: str | None
    lacking: int = 0
    erased: int = 0
    made_at: dt.datetime | None = None


class SnapshotList(Struct, frozen=True):
    """All snapshots, oldest first, and those that cannot be read; `notes` are sentences about some of them."""

    archive: str
    snapshots: tuple[SnapshotInfo, ...]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


class SnapshotFiles(Struct, frozen=True):
    """One snapshot, its files and those that it lacks, which are read from the archive as they are taken."""

    archive: str
    snapshot: SnapshotInfo
    files: Iterator[FileEntry]
    lacking: Iterator[Lacking]


class SnapshotDocument(Struct, frozen=True):
    """The same as it is printed: files and what is lacking as the manifest has them."""

    archive: str
    snapshot: SnapshotInfo
    lacking: tuple[dict[str, Any], ...]
    files: tuple[dict[str, Any], ...]


def described(header: Header) -> SnapshotInfo:
    """What a header says."""
    return SnapshotInfo(
        header.id,
        header.created_at,
        header.database,
        header.revision,
        header.scope,
        header.files,
        header.objects,
        header.bytes,
        header.moved,
        header.place,
        header.lacking - header.erased,
        header.erased,
        header.made_at,
    )


def damaged_manifests(problems: dict[str, str]) -> tuple[Finding, ...]:
    """The snapshots that cannot be read."""
    return tuple(
        Finding(Outcome.DAMAGED_MANIFEST, object=snapshot, reason=f"the manifest {problem}")
        for snapshot, problem in sorted(problems.items())
    )


def list_snapshots(config: Config, *, store: str = DEFAULT_STORE, of: str | None = None) -> SnapshotList:
    """The snapshots of an archive, or those `of` a database alone.

    Raises:
        UnknownNameError: it has none of that database.
        ToolkitError: the store cannot be read.
    """
    archive = open_archive(config, store)
    headers, problems = archive.snapshots()
    headers = of_database(archive.name, headers, of)
    return SnapshotList(
        archive.name, tuple(map(described, headers)), damaged_manifests(problems), tuple(ahead_of_time(headers))
    )


def of_database(archive: str, headers: Sequence[Header], name: str | None) -> tuple[Header, ...]:
    """Those of a database of this name; without one, all.

    Raises:
        UnknownNameError: there are others, but none of it.
    """
    found = tuple(header for header in headers if name in (None, header.database))
    if headers and not found:
        raise UnknownNameError("snapshot of", str(name), {header.database for header in headers}, archive)
    return found


def ahead_of_time(headers: Iterable[Header]) -> Iterator[str]:
    """What to say of snapshots by a clock that was wrong."""
    now = dt.datetime.now(dt.UTC)
    for header in headers:
        if header.is_ahead(now):
            told = f"Snapshot {header.id} says that it was made {header.created_at:%Y-%m-%d %H:%M} UTC, which cannot be"
            if header.made_at < header.created_at:
                yield f"{told}: the store wrote it {header.made_at:%Y-%m-%d %H:%M}, and it counts as of then."
            else:
                yield f"{told} yet, by the clock here: it is not the latest, and takes no other's place."


def show(config: Config, snapshot: str, *, store: str = DEFAULT_STORE) -> SnapshotFiles:
    """The files of a snapshot, given by its id, the beginning of it, or `latest`.

    Raises:
        UnknownNameError: there is no such snapshot.
        StoreError: its manifest is damaged, which may show only at the end of the files.
    """
    archive = open_archive(config, store)
    header = archive.find(snapshot)
    return SnapshotFiles(archive.name, described(header), archive.entries(header.id), archive.lacking(header))
