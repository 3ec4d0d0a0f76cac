"""`toolkit archive diff`: how the files of two snapshots differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from toolkit.core.archive_manifest import Header
from toolkit.operations.archive.backends import DEFAULT_STORE, open_archive
from toolkit.operations.archive.listing import SnapshotInfo, described
from toolkit.stores.catalogue import Catalogue

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.stores.archive import Archive

_SCHEMA = """
CREATE TABLE old (tbl TEXT, col TEXT, key TEXT, idx INTEGER, backend TEXT, path TEXT, size INTEGER, sha TEXT,
    PRIMARY KEY (tbl, col, key, idx)) WITHOUT ROWID;
CREATE TABLE new (tbl TEXT, col TEXT, key TEXT, idx INTEGER, backend TEXT, path TEXT, size INTEGER, sha TEXT,
    PRIMARY KEY (tbl, col, key, idx)) WITHOUT ROWID;
"""
_NO_INDEX = -1


class Change(StrEnum):
    """How a file of the newer snapshot differs from that of the same row in the older one."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"


class FilePlace(Struct, frozen=True):
    """Where a file was, and what: its `size` in bytes and its SHA-256."""

    backend: str
    path: str
    size: int
    sha256: str


class FileChange(Struct, frozen=True):
    """One reference of a row that is not the same in both snapshots. `RENAMED`: the same content at another place."""

    change: Change
    table: str
    column: str
    key: Mapping[str, Any]
    index: int | None
    old: FilePlace | None
    new: FilePlace | None


class SnapshotDiff(Struct, frozen=True):
    """Two snapshots, what differs, and how many references are the same in both."""

    archive: str
    old: SnapshotInfo
    new: SnapshotInfo
    changes: tuple[FileChange, ...]
    same: int


def diff(config: Config, old: str, new: str, *, store: str = DEFAULT_STORE) -> SnapshotDiff:
    """Compare the files of two snapshots, row by row.

    Raises:
        UnknownNameError: there is no such snapshot.
        StoreError: a manifest is damaged.
    """
    archive = open_archive(config, store)
    headers = archive.find(old), archive.find(new)
    with Catalogue(_SCHEMA) as catalogue:
        for name, header in zip(("old", "new"), headers, strict=True):
            _note(catalogue, archive, name, header)
        changes = tuple(_changes(catalogue))
        (same,) = catalogue.one(
            "SELECT count(*) FROM old JOIN new USING (tbl, col, key, idx) "
            "WHERE (old.backend, old.path, old.sha) = (new.backend, new.path, new.sha)"
        )
    return SnapshotDiff(archive.name, described(headers[0]), described(headers[1]), changes, same)


def _note(catalogue: Catalogue, archive: Archive, name: str, header: Header) -> None:
    catalogue.run_many(
        f"INSERT OR REPLACE INTO {name} VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                each.table,
                each.column,
                json.dumps(each.key, ensure_ascii=False),
                _NO_INDEX if each.index is None else each.index,
                each.backend,
                each.path,
                each.size,
                each.sha256,
            )
            for each in archive.entries(header.id)
        ),
    )


def _changes(catalogue: Catalogue) -> Iterator[FileChange]:
    for table, column, key, index, *places in catalogue.stream(
        # Both ways: SQLite has had full joins since 3.39 only.
        "SELECT tbl, col, key, idx, old.backend, old.path, old.size, old.sha, new.backend, new.path, new.size, new.sha "
        "FROM old LEFT JOIN new USING (tbl, col, key, idx) "
        "WHERE (old.backend, old.path, old.sha) IS NOT (new.backend, new.path, new.sha) UNION ALL "
        "SELECT tbl, col, key, idx, NULL, NULL, NULL, NULL, backend, path, size, sha FROM new "
        "WHERE (tbl, col, key, idx) NOT IN (SELECT tbl, col, key, idx FROM old) ORDER BY 1, 2, 3, 4"
    ):
        old, new = (None if part[0] is None else FilePlace(*part) for part in (places[:4], places[4:]))
        if old is None or new is None:
            change = Change.ADDED if old is None else Change.REMOVED
        else:
            change = Change.RENAMED if old.sha256 == new.sha256 else Change.CHANGED
        row = None if index == _NO_INDEX else index
        yield FileChange(change, table, column, json.loads(key), row, old, new)
