"""What a push has before it: rows and their files, the live store's word on them, and what the archive has already."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from toolkit.core.archive_manifest import OBJECT_GLOB, Address, Header, Scope
from toolkit.core.parallel import in_parallel
from toolkit.errors import StoreError, ToolkitError
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.rows import age_column, read_cells

if TYPE_CHECKING:
    from toolkit.core.file_properties import Properties
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.operations.archive.backends import Backends
    from toolkit.stores.archive import Archive
    from toolkit.stores.catalogue import Catalogue

SCHEMA = """
-- A reference of a row; `home` is the place in the live store, also when it was moved. `differs`: in what the file is
-- not what the row's checksum says.
CREATE TABLE file (id INTEGER PRIMARY KEY, tbl TEXT, col TEXT, key TEXT, idx INTEGER, backend TEXT, path TEXT,
    home_backend TEXT, home_path TEXT, content_type TEXT, said_size INTEGER, metadata TEXT, reference TEXT,
    age_unknown INTEGER, checksum TEXT, differs TEXT);
CREATE INDEX file_place ON file (backend, path);
CREATE INDEX file_row ON file (tbl, col, key);
-- A file of the live store (or of the archive), once. States: see `State`. `digests`: others than SHA-256, as JSON.
CREATE TABLE live (id INTEGER PRIMARY KEY, backend TEXT, path TEXT, state TEXT, size INTEGER, modified REAL, etag TEXT,
    sha TEXT, stored INTEGER, outcome TEXT, reason TEXT, digests TEXT, UNIQUE (backend, path));
CREATE INDEX live_state ON live (state, id);
-- What a live store keeps with a file beside its content, as JSON (`Properties`).
CREATE TABLE kept (backend TEXT, path TEXT, properties TEXT, PRIMARY KEY (backend, path)) WITHOUT ROWID;
-- What lies in the archive; `stored` of an object that the last snapshots say how large it is as zstd.
CREATE TABLE object (key TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;
CREATE TABLE packed (key TEXT PRIMARY KEY, stored INTEGER) WITHOUT ROWID;
CREATE TABLE damaged (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE sent (key TEXT PRIMARY KEY, stored INTEGER) WITHOUT ROWID;
CREATE TABLE repaired (key TEXT PRIMARY KEY) WITHOUT ROWID;
-- What live stores list, under the names that they list.
CREATE TABLE seen (backend TEXT, path TEXT, size INTEGER, modified REAL, etag TEXT, PRIMARY KEY (backend, path))
    WITHOUT ROWID;
-- What the last snapshots say of a live file.
CREATE TABLE known (backend TEXT, path TEXT, size INTEGER, modified REAL, etag TEXT, sha TEXT, stored INTEGER,
    properties TEXT, PRIMARY KEY (backend, path)) WITHOUT ROWID;
"""
# A store finds a file also under a path with slashes around it, which it does not list so.
LISTED_PATH = "trim(path, '/')"
# Fewer files are asked for singly. A listing of 1,000 objects is billed as about 12 questions for single ones.
_LISTED_FROM = 20
LISTED_FOR_ONE = 80
# A file that was written so shortly before it was read could have been written once more within its clock's tick.
SETTLED = dt.timedelta(seconds=2)


class State:
    """States of a live file in the catalogue."""

    NEW = "new"
    READ = "to be read"
    UNCHANGED = "unchanged"
    ARCHIVED = "archived"
    SENT = "done"
    FAILED = "failed"
    DONE = (UNCHANGED, ARCHIVED, SENT)


class _Examined(Struct, frozen=True):
    id: int
    state: str
    size: int | None = None
    modified: float | None = None
    etag: str | None = None
    sha: str | None = None
    stored: int | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    properties: Properties | None = None


class Collector(Struct, dict=True):
    """Fills a catalogue; all that is wrong with single files is noted there, and stops nothing."""

    catalogue: Catalogue
    archive: Archive
    backends: Backends
    older_than: dt.timedelta | None
    rehash: bool
    plain_only: bool
    jobs: int
    progress: Progress

    def rows(self, connection: Connection, specs: Sequence[TableSpec], now: dt.datetime) -> list[Finding]:
        """Note what every row points at; the references that say nothing are returned."""
        self._malformed: list[Finding] = []
        self.mentioned: list[str] = []
        self._younger: dict[tuple[str, str], int] = {}
        for spec in specs:
            self.progress.step(f"read {spec.name}")
            self.catalogue.run_many(
                "INSERT INTO file (tbl, col, key, idx, backend, path, home_backend, home_path, content_type, "
                "said_size, metadata, reference, age_unknown, checksum) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                self._references(connection, spec, now),
            )
        self.catalogue.run(
            "INSERT INTO live (backend, path, state) SELECT backend, path, ? FROM file GROUP BY backend, path "
            "ORDER BY min(id)",
            State.NEW,
        )
        return self._malformed

    def younger(self, table: str, column: str) -> int:
        """How many references of a column were left out because of their age."""
        return self._younger.get((table, column), 0)

    def _references(self, connection: Connection, spec: TableSpec, now: dt.datetime) -> Iterator[tuple[Any, ...]]:
        by_row = bool(age_column(spec))
        for cell in read_cells(connection, spec):
            if cell.problem is not None:
                self.mentioned.append(cell.mentioned)
                self._malformed.append(
                    Finding(Outcome.MALFORMED, cell.table, cell.column, cell.key, reason=cell.problem)
                )
            if (
                self.older_than is not None
                and by_row
                and cell.references
                and (cell.created_at is None or now - cell.created_at < self.older_than)
            ):
                self._count_younger(cell.table, cell.column, len(cell.references))
                continue
            key = json.dumps(cell.key, ensure_ascii=False)
            for index, each in enumerate(cell.references):
                yield (
                    cell.table,
                    cell.column,
                    key,
                    index if cell.multiple else None,
                    each.backend,
                    each.path,
                    *each.home,
                    each.content_type,
                    each.size,
                    bytes(each.metadata).decode(),
                    bytes(each.raw).decode(),
                    not by_row,
                    each.checksum,
                )

    def _count_younger(self, table: str, column: str, files: int) -> None:
        self._younger[table, column] = self._younger.get((table, column), 0) + files

    def archive_contents(self, database: str, place: str, scope: Scope) -> None:
        """Note which objects are there, which were found damaged, and what the last snapshots say of live files."""
        self.progress.step(f"list {self.archive.name}")
        self.catalogue.run_many(
            "INSERT OR REPLACE INTO object VALUES (?, ?)", ((info.key, info.size) for info in self.archive.objects())
        )
        self.catalogue.run_many(
            "INSERT OR IGNORE INTO damaged VALUES (?)", ((address.key,) for address in self.archive.damaged())
        )
        for header in _parents(self.archive.snapshots()[0], database, place, scope):
            self._remember(header)

    def _remember(self, header: Header) -> None:
        """A damaged manifest says nothing; then all is read anew, and `verify` tells of it."""
        limit = (header.made_at - SETTLED).timestamp()
        try:
            entries = list_of_known(self.archive, header.id, limit)
            self.catalogue.run_many("INSERT OR IGNORE INTO known VALUES (?, ?, ?, ?, ?, ?, ?, ?)", entries)
            # What was not as its row had it is read until it is.
            for each in self.archive.lacking(header):
                if each.outcome == Outcome.CHECKSUM_DIFFERS:
                    place = each.backend, each.path
                    self.catalogue.run("DELETE FROM known WHERE backend = ? AND path = ?", *place)
        except StoreError:
            self.catalogue.run("DELETE FROM known")
            return
        self.catalogue.run_many(
            "INSERT OR IGNORE INTO packed VALUES (?, ?)",
            (
                (Address(sha, compressed=True).key, stored)
                for sha, stored in self.catalogue.all("SELECT DISTINCT sha, stored FROM known WHERE stored NOT NULL")
            ),
        )

    def examine(self, now: dt.datetime) -> None:
        """Ask the live stores for every file: is it there, and is it what the last snapshot saw?"""
        (count,) = self.catalogue.one("SELECT count(*) FROM live")
        for backend, files in self.catalogue.all(
            "SELECT backend, count(*) FROM live WHERE path NOT GLOB ? GROUP BY backend", OBJECT_GLOB
        ):
            self._list(backend, files)
        self.progress.step("look at files", count)
        pages = self.catalogue.pages("SELECT id, backend, path FROM live WHERE id > ? ORDER BY id")
        for found in in_parallel(self._examine, pages, self.jobs):
            self.catalogue.run(
                "UPDATE live SET state = ?, size = ?, modified = ?, etag = ?, sha = ?, stored = ?, outcome = ?, "
                "reason = ? WHERE id = ?",
                found.state,
                found.size,
                found.modified,
                found.etag,
                found.sha,
                found.stored,
                found.outcome,
                found.reason,
                found.id,
            )
            if found.properties is not None:
                self._keep(found.id, found.properties)
            self.progress.advance(1)
        if self.older_than is not None:
            # Seconds before the year 1 are still seconds.
            self._leave_out_younger(now.timestamp() - self.older_than.total_seconds())

    def _list(self, backend: str, files: int) -> None:
        """Note what an object store lists, as long as that costs less than to ask for each file."""
        with suppress(ToolkitError):
            live = self.backends.get(backend)
            if files < _LISTED_FROM or not live.is_object_store:
                return
            self.progress.step(f"list {backend}")
            self.catalogue.run_many(
                "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)",
                (
                    (backend, info.key, info.size, info.last_modified.timestamp(), info.etag)
                    for info in islice(live.list(), files * LISTED_FOR_ONE)
                ),
            )

    def _info(self, backend: str, path: str) -> tuple[tuple[int, float, str | None], Properties | None] | None:
        """Size, time and tag of a live file; one that was not listed, perhaps by another spelling, is asked for.

        And what the store keeps beside its content, if that was said: a listing does not.
        """
        seen: tuple[int, float, str | None] | None = self.catalogue.one(
            "SELECT size, modified, etag FROM seen WHERE backend = ? AND path = trim(?, '/')", backend, path
        )
        if seen is not None:
            return seen, None
        info = self.backends.get(backend).info(path)
        return None if info is None else ((info.size, info.last_modified.timestamp(), info.etag), info.properties)

    def _examine(self, row: tuple[int, str, str]) -> _Examined:
        number, backend, path = row
        address = self.backends.archived(backend, path)
        if address is not None:
            return self._examine_archived(number, backend, path, address)
        try:
            found = self._info(backend, path)
        except ToolkitError as error:
            return _Examined(number, State.FAILED, outcome=Outcome.UNREADABLE, reason=error.fact)
        if found is None:
            return _Examined(number, State.FAILED, outcome=Outcome.DANGLING, reason="there is no such file")
        info, properties = found
        known = None if self.rehash else self._known(backend, path, *info)
        if known is None:
            return _Examined(number, State.READ, *info, properties=properties)
        return _Examined(number, State.UNCHANGED, *info, *known, properties=properties)

    def complete_properties(self) -> None:
        """Note what live stores keep with the files of a snapshot, where the look at them did not say it.

        It is what the last snapshot says of a file that is unchanged; others are asked for.
        """
        self.catalogue.run(
            "INSERT OR IGNORE INTO kept SELECT backend, path, known.properties FROM live JOIN known "
            "USING (backend, path) WHERE state = ? AND known.properties NOT NULL",
            State.UNCHANGED,
        )
        rows = self.catalogue.pages(
            "SELECT id, backend, path FROM live WHERE state IN (?, ?) AND (backend, path) NOT IN "
            "(SELECT backend, path FROM kept) AND id > ? ORDER BY id",
            State.SENT,
            State.UNCHANGED,
        )
        for number, properties in in_parallel(self._properties, rows, self.jobs):
            if properties is not None:
                self._keep(number, properties)

    def _properties(self, row: tuple[int, str, str]) -> tuple[int, Properties | None]:
        """What a file is given by its row is better than no snapshot."""
        number, backend, path = row
        with suppress(ToolkitError):
            info = self.backends.get(backend).info(path)
            return number, None if info is None else info.properties
        return number, None

    def _keep(self, number: int, properties: Properties) -> None:
        self.catalogue.run(
            "INSERT OR REPLACE INTO kept SELECT backend, path, ? FROM live WHERE id = ?", properties.text, number
        )

    def _known(
        self, backend: str, path: str, size: int, modified: float, etag: str | None
    ) -> tuple[str, int | None] | None:
        """Digest and stored size of a file that is as the last snapshot saw it, and whose object is as it should be."""
        # Of one state, S3's listings give the time to the millisecond, its answers for single objects to the second.
        known = self.catalogue.one(
            "SELECT sha, stored FROM known WHERE backend = ? AND path = ? AND size = ? AND etag IS ? "
            "AND (modified = ? OR (etag NOT NULL AND abs(modified - ?) < 1))",
            backend,
            path,
            size,
            etag,
            modified,
            modified,
        )
        if known is None:
            return None
        sha, stored = known
        if stored is not None and self.plain_only:
            return None
        key = Address(sha, stored is not None).key
        whole = self.catalogue.one(
            "SELECT 1 FROM object WHERE key = ? AND size = ? AND key NOT IN (SELECT key FROM damaged)",
            key,
            size if stored is None else stored,
        )
        return (sha, stored) if whole else None

    def _examine_archived(self, number: int, backend: str, path: str, address: Address) -> _Examined:
        """A row that was moved: its file is in the archive, and must be as large as its reference says."""
        present = self.catalogue.one("SELECT size FROM object WHERE key = ?", address.key)
        if present is None:
            reason = "its object is not in the archive"
            return _Examined(number, State.FAILED, outcome=Outcome.DANGLING, reason=reason)
        (said,) = self.catalogue.one("SELECT max(said_size) FROM file WHERE backend = ? AND path = ?", backend, path)
        if said is not None and said != present[0]:
            reason = f"{present[0]} bytes in the archive, but {said} should be"
            return _Examined(number, State.FAILED, outcome=Outcome.SIZE_DIFFERS, reason=reason)
        return _Examined(number, State.ARCHIVED, present[0], sha=address.sha256)

    def _leave_out_younger(self, limit: float) -> None:
        """The files of rows without an age of their own, by when the live store wrote them."""
        young = (
            "age_unknown AND EXISTS (SELECT 1 FROM live WHERE live.backend = file.backend AND live.path = file.path "
            "AND modified > ?)"
        )
        for table, column, files in self.catalogue.all(
            f"SELECT tbl, col, count(*) FROM file WHERE {young} GROUP BY tbl, col", limit
        ):
            self._count_younger(table, column, files)
        self.catalogue.run(f"DELETE FROM file WHERE {young}", limit)
        self.catalogue.run("DELETE FROM live WHERE (backend, path) NOT IN (SELECT backend, path FROM file)")


def list_of_known(archive: Archive, snapshot: str, limit: float) -> Iterator[tuple[Any, ...]]:
    """What a snapshot says of the live files that had been left alone for a while when it saw them."""
    for entry in archive.entries(snapshot):
        if entry.modified is not None and entry.modified <= limit:
            properties = None if entry.properties is None else entry.properties.text
            place = entry.backend, entry.path
            yield *place, entry.size, entry.modified, entry.etag, entry.sha256, entry.stored, properties


def _parents(headers: Sequence[Header], database: str, place: str, scope: Scope) -> list[Header]:
    """The last snapshot of the same rows, and the last of this database at all.

    Another one of its name serves only until it has its own: on a machine of a new name, not every file is read anew.
    """
    named = [header for header in headers if header.database == database]
    own = [header for header in named if header.place == place] or named
    same = [header for header in own if header.scope == scope]
    return list({header.id: header for header in (*same[-1:], *own[-1:])}.values())
