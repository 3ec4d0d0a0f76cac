"""Files that rows point at but that a snapshot lacks, and which other snapshot has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct

from toolkit.core.archive_manifest import ERASED, FileEntry, Header, Lacking
from toolkit.errors import StoreError
from toolkit.operations.archive.checking import DIFFERS
from toolkit.operations.archive.collecting import State
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.stores.catalogue import Catalogue

if TYPE_CHECKING:
    from toolkit.core.archive_origins import Origins
    from toolkit.stores.archive import Archive

_SCHEMA = """
-- What snapshots lack, and the snapshot that has it. `size`: only a file of that size is what is lacking;
-- `instead`: that of this SHA-256 is not.
CREATE TABLE lacked (id INTEGER PRIMARY KEY, snapshot TEXT, owner TEXT, tbl TEXT, col TEXT, key TEXT, idx INTEGER,
    backend TEXT, path TEXT, size INTEGER, instead TEXT, reason TEXT, holder TEXT);
CREATE TABLE held (tbl TEXT, col TEXT, key TEXT, backend TEXT, path TEXT, size INTEGER, sha TEXT);
CREATE INDEX held_place ON held (backend, path);
CREATE INDEX held_row ON held (tbl, col, key);
"""
# A reference that names no file lacks whatever file that row had.
_IS_HELD = (
    "holder IS NULL AND owner = ? AND EXISTS (SELECT 1 FROM held WHERE held.backend = lacked.backend "
    "AND held.path = lacked.path AND held.size = coalesce(lacked.size, held.size) "
    "AND held.sha IS NOT lacked.instead UNION ALL SELECT 1 FROM held "
    "WHERE lacked.path IS NULL AND (held.tbl, held.col, held.key) = (lacked.tbl, lacked.col, lacked.key))"
)


def lacking_files(catalogue: Catalogue, malformed: Sequence[Finding]) -> Iterator[Lacking]:
    """What a push could not archive, and what it did that is not of the size that its row says."""
    for finding in malformed:
        # SQLAlchemy's names are a kind of text that msgspec does not take.
        yield Lacking(
            table=str(finding.table),
            column=str(finding.column),
            key=dict(finding.key),
            outcome=finding.outcome,
            reason=finding.reason,
        )
    for table, column, key, index, backend, path, outcome, reason in catalogue.stream(
        "SELECT tbl, col, key, idx, home_backend, home_path, outcome, reason FROM file JOIN live USING (backend, path) "
        "WHERE state = ? ORDER BY tbl, col, key, idx",
        State.FAILED,
    ):
        yield Lacking(
            table=table,
            column=column,
            key=json.loads(key),
            index=index,
            backend=backend,
            path=path,
            outcome=outcome,
            reason=reason,
        )
    for finding, said, index, sha in _differing(catalogue):
        yield Lacking(
            table=str(finding.table),
            column=str(finding.column),
            key=dict(finding.key),
            index=index,
            backend=finding.backend,
            path=finding.path,
            size=said,
            instead=sha if finding.outcome is Outcome.CHECKSUM_DIFFERS else None,
            outcome=finding.outcome,
            reason=finding.reason,
        )


def differing(catalogue: Catalogue) -> Iterator[Finding]:
    """Live files that are not what their row says: cut off, or written anew behind its back."""
    return (finding for finding, *_ in _differing(catalogue))


def _differing(catalogue: Catalogue) -> Iterator[tuple[Finding, int | None, int | None, str | None]]:
    for table, column, key, index, backend, path, said, size, differs, sha in catalogue.stream(
        "SELECT tbl, col, key, idx, backend, path, said_size, size, differs, sha FROM file "
        f"JOIN live USING (backend, path) WHERE {DIFFERS} ORDER BY tbl, col, key, idx",
    ):
        is_of_size = said is None or said == size
        reason = differs if is_of_size else f"{size} bytes, but the row says {said}"
        outcome = Outcome.CHECKSUM_DIFFERS if is_of_size else Outcome.SIZE_DIFFERS
        found = Finding(outcome, table, column, json.loads(key), backend, path, size=size, reason=reason)
        yield found, said, index, sha


class _Lacks:
    """What some snapshots lack; each is found in another one, or in none."""

    def __init__(self, archive: Archive, catalogue: Catalogue) -> None:
        self._archive, self._catalogue = archive, catalogue

    def note(self, header: Header, owner: str, wanted: Callable[[Lacking], bool] = lambda _: True) -> None:
        """Note what a snapshot lacks."""
        self._catalogue.run_many(
            "INSERT INTO lacked (snapshot, owner, tbl, col, key, idx, backend, path, size, instead, reason) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, trim(?, '/'), ?, ?, ?)",
            (
                (
                    header.id,
                    owner,
                    each.table,
                    each.column,
                    _key(each.key),
                    each.index,
                    each.backend,
                    each.path,
                    each.size,
                    each.instead,
                    each.reason,
                )
                for each in self._archive.lacking(header)
                if each.outcome != ERASED and wanted(each)
            ),
        )

    @property
    def open(self) -> int:
        """How many were found in no snapshot."""
        return int(self._catalogue.one("SELECT count(*) FROM lacked WHERE holder IS NULL")[0])

    def find_in(self, header: Header, owner: str) -> str | None:
        """Look for them in a snapshot; whose of them it has, for a message, None if it has none."""
        if not self.open:
            return None
        self._catalogue.run("DELETE FROM held")
        self._catalogue.run_many(
            "INSERT INTO held VALUES (?, ?, ?, ?, trim(?, '/'), ?, ?)",
            (
                (each.table, each.column, _key(each.key), each.backend, each.path, each.size, each.sha256)
                for each in self._archive.entries(header.id)
            ),
        )
        count, snapshot = self._catalogue.one(f"SELECT count(*), max(snapshot) FROM lacked WHERE {_IS_HELD}", owner)
        self._catalogue.run(f"UPDATE lacked SET holder = ? WHERE {_IS_HELD}", header.id, owner)
        return f"has {count:,} file{'' if count == 1 else 's'} that {snapshot} lacks" if count else None


def spared(archive: Archive, origins: Origins, kept: Sequence[Header], going: Sequence[Header]) -> dict[str, str]:
    """The snapshots that are to stay because they have what those that are kept lack; by id, with the reason.

    Newest first: the last copy of a file that a row points at is not pushed out by a snapshot without it.
    """
    found: dict[str, str] = {}
    if not any(header.lacking for header in kept):
        return found
    with Catalogue(_SCHEMA) as catalogue:
        lacks, stay = _Lacks(archive, catalogue), list(kept)
        for header in kept:
            lacks.note(header, origins.described(header))
        for header in kept:
            lacks.find_in(header, origins.described(header))
        left = sorted(going, key=lambda header: (header.made_at, header.id))
        while left and lacks.open:
            header = left.pop()
            reason = lacks.find_in(header, origins.described(header))
            if reason is None:
                continue
            found[header.id] = reason
            if header.lacking:
                # Perhaps a newer one, which was looked at before, has what this one lacks.
                lacks.note(header, origins.described(header))
                for each in stay:
                    lacks.find_in(each, origins.described(each))
                left = sorted(
                    (each for each in going if each.id not in found), key=lambda each: (each.made_at, each.id)
                )
            stay.append(header)
    return found


class Lacked(Struct, frozen=True):
    """A file that a snapshot lacks, and the snapshot that has it, if one does; `unread`: some could not be read."""

    file: Lacking
    holder: str | None
    unread: bool = False

    @property
    def finding(self) -> Finding:
        """What to say of it."""
        file = self.file
        if file.outcome == ERASED:
            return Finding(Outcome.ERASED, file.table, file.column, file.key, reason=file.reason)
        others = "other snapshot that can be read" if self.unread else "other snapshot"
        has = f"snapshot {self.holder} has it: restore from there, too" if self.holder else f"no {others} has it"
        reason = f"when it was made: {(file.reason or '').rstrip('.')}; {has}"
        return Finding(Outcome.LACKING, file.table, file.column, file.key, file.backend, file.path, reason=reason)

    def is_met_by(self, entry: FileEntry) -> bool:
        """Whether a file of its holder is the one: of the same row, at the same place, and what the row says."""
        file = self.file
        if (entry.table, entry.column, entry.key) != (file.table, file.column, file.key):
            return False
        is_same_place = (entry.backend, entry.path.strip("/")) == (file.backend, file.path)
        return file.path is None or (is_same_place and file.size in (None, entry.size) and entry.sha256 != file.instead)


def lacked(
    archive: Archive, header: Header, wanted: Callable[[Lacking], bool], *, older_only: bool = False
) -> list[Lacked]:
    """What a snapshot lacks, and which other one of its database has it: the newest of the older ones, if there is."""
    if not header.lacking:
        return []
    headers, problems = archive.snapshots()
    others = [each for each in headers if each.id != header.id and _is_of_one_database(each, header)]
    unread = bool(problems)
    older = [each for each in others if each.made_at <= header.made_at]
    newer = [each for each in others if each.made_at > header.made_at and not older_only]
    erased = [Lacked(each, None) for each in archive.lacking(header) if each.outcome == ERASED and wanted(each)]
    with Catalogue(_SCHEMA) as catalogue:
        lacks = _Lacks(archive, catalogue)
        lacks.note(header, header.database, wanted)
        for each in (*reversed(older), *newer):
            try:
                lacks.find_in(each, header.database)
            except StoreError:
                unread = True
        return erased + [
            Lacked(
                Lacking(
                    table=table,
                    column=column,
                    key=json.loads(key),
                    index=index,
                    backend=backend,
                    path=path,
                    size=size,
                    instead=instead,
                    outcome=Outcome.LACKING,
                    reason=reason,
                ),
                holder,
                unread,
            )
            for table, column, key, index, backend, path, size, instead, reason, holder in catalogue.stream(
                "SELECT tbl, col, key, idx, backend, path, size, instead, reason, holder FROM lacked ORDER BY id"
            )
        ]


class Incomplete(Struct, frozen=True):
    """A snapshot that lacks so many files that rows pointed at; `elsewhere` of them are in others."""

    snapshot: str
    lacking: int
    elsewhere: int


def incomplete(archive: Archive, origins: Origins, headers: Sequence[Header]) -> tuple[Incomplete, ...]:
    """Which of the snapshots of an archive lack files, and how many of these others have."""
    lacking = [header for header in headers if header.lacking]
    if not lacking:
        return ()
    with Catalogue(_SCHEMA) as catalogue:
        lacks = _Lacks(archive, catalogue)
        for header in lacking:
            with suppress(StoreError):
                lacks.note(header, origins.described(header))
        for header in headers:
            # What is damaged, or was pruned meanwhile, has nothing; another check tells of it.
            with suppress(StoreError):
                lacks.find_in(header, origins.described(header))
        counts = catalogue.all(
            "SELECT snapshot, count(*), count(holder) FROM lacked GROUP BY snapshot ORDER BY snapshot"
        )
        return tuple(Incomplete(*counted) for counted in counts)


def _is_of_one_database(one: Header, other: Header) -> bool:
    """As far as they say: manifests of earlier versions name no place."""
    return one.database == other.database and (one.place == other.place or None in (one.place, other.place))


def _key(key: object) -> str:
    return json.dumps(key, ensure_ascii=False, sort_keys=True)
