"""Rows pointed at the archive, and live files removed: verified in the archive, row committed, then removed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from toolkit.core.archive_manifest import Address
from toolkit.core.file_properties import Properties, decode_properties
from toolkit.core.parallel import Stop, in_parallel
from toolkit.engines import connect
from toolkit.errors import DamagedObjectError, MissingObjectError, ToolkitError
from toolkit.operations.archive.collecting import State
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.rows import (
    Cell,
    Reference,
    column_text,
    file_tables,
    keys_table,
    pointed_at,
    read_cells,
    swap_cells,
)
from toolkit.operations.archive.sharing import Holder, is_needed, needed_places

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from toolkit.config import Database
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.operations.archive.backends import Backends
    from toolkit.stores.archive import Archive
    from toolkit.stores.archive_locks import Lock
    from toolkit.stores.catalogue import Catalogue

SCHEMA = """
-- Objects read back from the archive, and found whole; places that rows do not point at any more, or still do.
CREATE TABLE proved (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE left_behind (id INTEGER PRIMARY KEY, backend TEXT, path TEXT, size INTEGER, sha TEXT,
    removed INTEGER, UNIQUE (backend, path));
CREATE TABLE needed (location TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_Archived = tuple[str, int, Properties | None]
# Rows changed in one transaction.
_ROWS = 500


class Mover(Struct):
    """Moves what a push has archived."""

    catalogue: Catalogue
    archive: Archive
    backends: Backends
    database: Database
    others: Sequence[Holder]
    metadata: MetaData
    backend: str
    jobs: int
    progress: Progress
    lock: Lock
    moved: int = 0
    removed: int = 0
    findings: list[Finding] = field(default_factory=list)
    _stop: Stop = field(default_factory=Stop)

    def prove(self) -> None:
        """Read every object back that rows are going to point at."""
        pages = self.catalogue.pages(
            "SELECT DISTINCT sha FROM live WHERE state IN (?, ?) AND sha > ? ORDER BY sha", State.SENT, State.UNCHANGED
        )
        count, size = self.catalogue.one(
            "SELECT count(*), total(size) FROM (SELECT DISTINCT sha, size FROM live WHERE state IN (?, ?))",
            State.SENT,
            State.UNCHANGED,
        )
        self.progress.files("read back", count, int(size))
        for address, problem in in_parallel(self._proved, (Address(sha) for (sha,) in pages), self.jobs, self._stop):
            if problem is None:
                self.catalogue.run("INSERT OR IGNORE INTO proved VALUES (?)", address.key)
            else:
                self.findings.append(Finding(Outcome.CORRUPT, object=address.key, reason=problem))
            self.progress.advance_file(1, 0)

    def _proved(self, address: Address) -> tuple[Address, str | None]:
        try:
            for chunk in self._stop.watched(self.archive.read(address)):
                self.progress.advance_file(0, len(chunk))
        except (DamagedObjectError, MissingObjectError) as error:
            self.archive.mark_damaged(address)
            return address, error.problem
        return address, None

    def move(self) -> None:
        """Point rows at the archive, a few in each transaction, and remove the files that no row needs any more.

        Raises:
            ToolkitError: the database or the archive failed; the next push goes on where this stopped.
        """
        self._point_rows()
        self._note_earlier()
        self._remove()

    # -- rows ------------------------------------------------------------------------------------------------------

    def _point_rows(self) -> None:
        (count,) = self.catalogue.one(f"SELECT count(*) FROM ({_MOVABLE})", *_MOVABLE_STATES)
        self.progress.step("point rows at the archive", count)
        rows = self.catalogue.stream(f"{_MOVABLE} ORDER BY tbl, col, key", *_MOVABLE_STATES)
        specs = {spec.name: spec for spec in file_tables(self.metadata)}
        for (table, column), keys in groupby(rows, key=lambda row: (row[0], row[1])):
            waiting: list[str] = []
            for key, _ in groupby(keys, key=lambda row: row[2]):
                waiting.append(key)
                if len(waiting) == _ROWS:
                    self._point(specs[table], column, waiting)
                    waiting = []
            if waiting:
                self._point(specs[table], column, waiting)

    def _point(self, spec: TableSpec, column: str, keys: Sequence[str]) -> None:
        """Change some rows in one transaction, if they still hold what the push saw."""
        self.lock.require()
        seen = {key: self._seen(spec.name, column, key) for key in keys}
        with connect(self.database, write=True) as connection:
            changes = []
            for cell in self._present(connection, spec, column, keys):
                key = json.dumps(cell.key, ensure_ascii=False)
                text = self._changed(cell, seen.pop(key))
                if text is not None:
                    changes.append((cell, text))
            took = swap_cells(connection, spec, column, changes) if changes else []
            connection.commit()
        for (cell, _), done in zip(changes, took, strict=True):
            self._note(cell) if done else self._row_changed(cell.table, cell.column, cell.key)
        for key in seen:
            self._row_changed(spec.name, column, json.loads(key))
        self.progress.advance(len(keys))

    def _present(self, connection: Connection, spec: TableSpec, column: str, keys: Sequence[str]) -> Iterator[Cell]:
        cells = read_cells(connection, spec, keys_table(spec, [json.loads(key) for key in keys]))
        # Read to the end before anything is written: DuckDB does nothing else while a result is unfinished.
        yield from [cell for cell in cells if cell.column == column]

    def _seen(self, table: str, column: str, key: str) -> dict[str, _Archived]:
        """By reference, as the push saw it, the digest and size of what it archived, and what was kept with it."""
        rows = self.catalogue.all(
            "SELECT reference, sha, size, properties FROM file JOIN live USING (backend, path) "
            "LEFT JOIN kept USING (backend, path) "
            f"WHERE tbl = ? AND col = ? AND key = ? AND {_IS_MOVABLE}",
            table,
            column,
            key,
            State.SENT,
            State.UNCHANGED,
        )
        return {
            reference: (sha, size, None if properties is None else decode_properties(properties))
            for reference, sha, size, properties in rows
            if self._is_proved(sha)
        }

    def _is_proved(self, sha: str) -> bool:
        return self.catalogue.one("SELECT 1 FROM proved WHERE key = ?", Address(sha).key) is not None

    def _changed(self, cell: Cell, seen: Mapping[str, _Archived]) -> str | None:
        """What the row is to hold; None if there is nothing to change."""
        parts, changed, left = [], 0, 0
        for reference in cell.references:
            archived = seen.get(bytes(reference.raw).decode())
            if archived is None or not reference.is_movable:
                parts.append(bytes(reference.raw))
                left += archived is not None
                continue
            sha, size, properties = archived
            parts.append(pointed_at(reference, self.backend, Address(sha).key, size, properties))
            changed += 1
        if left:
            reason = "its metadata are no JSON object, in which it could say where the file was; it is left as it is"
            self.findings.append(Finding(Outcome.MALFORMED, cell.table, cell.column, cell.key, reason=reason))
        if changed + left < len(seen):
            self._row_changed(cell.table, cell.column, cell.key)
        return column_text(parts, cell.multiple) if changed else None

    def _row_changed(self, table: str, column: str, key: Mapping[str, Any]) -> None:
        reason = "it was changed or deleted since it was read; it is left as it is"
        self.findings.append(Finding(Outcome.ROW_CHANGED, table, column, key, reason=reason))

    def _note(self, cell: Cell) -> None:
        """The row is committed: what it pointed at may go."""
        self.moved += 1
        for reference in cell.references:
            self.catalogue.run(
                "INSERT OR IGNORE INTO left_behind (backend, path, size, sha) "
                "SELECT backend, path, size, sha FROM live WHERE backend = ? AND path = ? AND state IN (?, ?)",
                reference.backend,
                reference.path,
                State.SENT,
                State.UNCHANGED,
            )

    # -- files -----------------------------------------------------------------------------------------------------

    def _note_earlier(self) -> None:
        """Files of rows that an earlier push moved, which was killed before it could remove them."""
        self.catalogue.run(
            "INSERT OR IGNORE INTO left_behind (backend, path, size, sha) "
            "SELECT home_backend, home_path, live.size, sha FROM file JOIN live USING (backend, path) "
            "WHERE state = ? AND (home_backend, home_path) <> (backend, path)",
            State.ARCHIVED,
        )

    def _remove(self) -> None:
        self.archive.store.settle()
        # Whoever took the lock for void may have removed what rows were pointed at since: no live file goes then.
        self.lock.require_still_there()
        self._note_needed()
        rows = self.catalogue.pages("SELECT id, backend, path, size, sha FROM left_behind WHERE id > ? ORDER BY id")
        self.progress.step("remove live files")
        for number, removed, finding in in_parallel(
            lambda row: (row[0], *self._remove_file(*row[1:])), rows, self.jobs, self._stop
        ):
            if removed:
                self.removed += 1
                self.catalogue.run("UPDATE left_behind SET removed = 1 WHERE id = ?", number)
            if finding is not None:
                self.findings.append(finding)
        if self.removed:
            self._look_for_rows()

    def _note_needed(self) -> None:
        self.catalogue.run_many(
            "INSERT OR IGNORE INTO needed VALUES (?)",
            needed_places((Holder(self.database, (self.metadata,)), *self.others), self.backends),
        )

    def _look_for_rows(self) -> None:
        """Tell of rows that a restore, or the application, pointed at a file while it was removed."""
        self._note_needed()
        removed = "SELECT id, backend, path, size FROM left_behind WHERE removed AND id > ? ORDER BY id"
        for _, backend, path, size in self.catalogue.pages(removed):
            if is_needed(self.catalogue, self.backends, backend, path) and self._is_gone(backend, path):
                reason = "a row was pointed at it while it was removed; its content is in the archive: restore it"
                self.findings.append(Finding(Outcome.DANGLING, backend=backend, path=path, size=size, reason=reason))

    def _is_gone(self, backend: str, path: str) -> bool:
        with suppress(ToolkitError):
            return self.backends.get(backend).info(path) is None
        return True

    def _remove_file(self, backend: str, path: str, size: int, sha: str) -> tuple[bool, Finding | None]:
        """Remove a live file, if it still is what was archived: that is read once more, for there is no way back."""
        if is_needed(self.catalogue, self.backends, backend, path):
            return False, None
        try:
            live = self.backends.get(backend)
            info = live.info(path)
            if info is None:
                return False, None
            if info.size != size or not self._holds(backend, path, sha):
                reason = "the live file was written again since it was archived, and is left as it is"
                return False, Finding(Outcome.KEPT, backend=backend, path=path, size=info.size, reason=reason)
            live.delete(path)
        except ToolkitError as error:
            return False, Finding(Outcome.UNWRITABLE, backend=backend, path=path, size=size, reason=error.fact)
        return True, None

    def _holds(self, backend: str, path: str, sha: str) -> bool:
        digest = hashlib.sha256()
        for chunk in self._stop.watched(self.backends.get(backend).read(path)):
            digest.update(chunk)
        return digest.hexdigest() == sha


# A file that is not what its row says is not taken for it.
_IS_MOVABLE = "state IN (?, ?) AND coalesce(said_size, size) = size AND differs IS NULL"
_MOVABLE = f"SELECT DISTINCT tbl, col, key FROM file JOIN live USING (backend, path) WHERE {_IS_MOVABLE}"
_MOVABLE_STATES = (State.SENT, State.UNCHANGED)

__all__ = ["Mover", "Reference"]
