"""`toolkit archive find` and `cat`: a file in all snapshots, and the content of one."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from toolkit.core.archive_manifest import FileEntry, Header
from toolkit.errors import ConfigurationError, MissingObjectError, StoreError
from toolkit.operations.archive.backends import DEFAULT_STORE, open_archive
from toolkit.operations.archive.listing import damaged_manifests, of_database
from toolkit.operations.archive.outcomes import Finding, Outcome

if TYPE_CHECKING:
    from toolkit.config import Config

_HASH = re.compile(r"[0-9a-f]{6,64}")
_TOLD = 10


class FoundFile(Struct, frozen=True):
    """A file of a snapshot. `size` is in bytes."""

    snapshot: str
    made_at: dt.datetime
    database: str
    table: str
    column: str
    key: Mapping[str, Any]
    index: int | None
    backend: str
    path: str
    size: int
    sha256: str


class FoundFiles(Struct, frozen=True):
    """What was found in which snapshots, oldest first; `findings` are those that cannot be read."""

    archive: str
    text: str
    files: tuple[FoundFile, ...]
    findings: tuple[Finding, ...]


class FileContent(Struct, frozen=True):
    """A file of a snapshot; its content is read as it is taken, and compared with its hash at the end."""

    archive: str
    snapshot: str
    file: FileEntry
    chunks: Iterator[bytes]


def find(config: Config, text: str, *, store: str = DEFAULT_STORE, of: str | None = None) -> FoundFiles:
    """Every file of a name, path or `BACKEND:PATH` (with `*` and `?`), or whose SHA-256 begins so (6 digits at least).

    Raises:
        UnknownNameError: there is no snapshot of the database `of`.
        StoreError: the archive cannot be read at all.
    """
    archive = open_archive(config, store)
    headers, problems = archive.snapshots()
    found: list[FoundFile] = []
    broken = list(damaged_manifests(problems))
    for header in of_database(archive.name, headers, of):
        try:
            found += [_found(header, entry) for entry in archive.entries(header.id) if _is_meant(entry, text)]
        except MissingObjectError:
            continue  # Pruned meanwhile.
        except StoreError as error:
            broken.append(Finding(Outcome.DAMAGED_MANIFEST, object=header.id, reason=error.problem))
    return FoundFiles(archive.name, text, tuple(found), tuple(broken))


def _is_meant(entry: FileEntry, text: str) -> bool:
    return _is_of_hash(entry, text) or any(fnmatchcase(name, text) or name == text for name in _names(entry))


def _found(header: Header, entry: FileEntry) -> FoundFile:
    return FoundFile(
        header.id,
        header.made_at,
        header.database,
        entry.table,
        entry.column,
        entry.key,
        entry.index,
        entry.backend,
        entry.path,
        entry.size,
        entry.sha256,
    )


def cat(config: Config, snapshot: str, file: str, *, store: str = DEFAULT_STORE) -> FileContent:
    """The content of one file of a snapshot, by `BACKEND:PATH`, path, name, or the beginning of its SHA-256.

    Raises:
        UnknownNameError: there is no such snapshot.
        ConfigurationError: there is no such file in it, or several of other content.
        StoreError: its manifest is damaged; taking the chunks raises it, too, if the content is.
    """
    archive = open_archive(config, store)
    header = archive.find(snapshot)
    # The most exact way to name it counts: a path may be another one's name.
    ranks: list[dict[str, FileEntry]] = [{} for _ in range(4)]
    for entry in archive.entries(header.id):
        ways = (*(name == file for name in _names(entry)), _is_of_hash(entry, file))
        for rank, is_meant in zip(ranks, ways, strict=True):
            if is_meant and len(rank) <= _TOLD:
                rank.setdefault(entry.sha256, entry)
    found = next((list(rank.values()) for rank in ranks if rank), [])
    if not found:
        advice = "Look for it: toolkit archive find, or toolkit archive show."
        raise ConfigurationError(f"{archive.name}: there is no file {file!r} in snapshot {header.id}.", advice)
    if len(found) > 1:
        shown = ", ".join(f"{each.backend}:{each.path} ({each.sha256[:12]})" for each in found[:_TOLD])
        raise ConfigurationError(
            f"{archive.name}: several files of snapshot {header.id} are called {file!r}, with other content each.",
            f"Name one by its place or its hash: {shown}{', …' if len(found) > _TOLD else ''}.",
        )
    (entry,) = found
    return FileContent(archive.name, header.id, entry, archive.read(entry.address, entry.size))


def _names(entry: FileEntry) -> tuple[str, str, str]:
    path = entry.path.strip("/")
    return f"{entry.backend}:{path}", path, entry.name


def _is_of_hash(entry: FileEntry, text: str) -> bool:
    return _HASH.fullmatch(text.lower()) is not None and entry.sha256.startswith(text.lower())
