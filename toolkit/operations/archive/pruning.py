"""Snapshots that go, then every object that none of the others needs: of a prune, and of the removal of single ones."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from toolkit.core.archive_manifest import FileEntry, Header, address_of, addresses_in
from toolkit.core.archive_origins import UNMARKED, Origins, Owner
from toolkit.core.progress import Progress
from toolkit.engines import connect
from toolkit.engines.portable.connection import check_schema
from toolkit.errors import StoreError, UnknownNameError
from toolkit.operations.archive.backends import Backends
from toolkit.operations.archive.collecting import LISTED_FOR_ONE
from toolkit.operations.archive.listing import ahead_of_time
from toolkit.operations.archive.prune_values import KeptMoves, PruneResult, SnapshotVerdict
from toolkit.operations.archive.refusals import refusal_told
from toolkit.operations.archive.rows import file_columns, file_tables, read_cells
from toolkit.operations.project import load_models
from toolkit.stores.archive_locks import LOCK_TTL
from toolkit.stores.catalogue import Catalogue

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.stores.archive import Archive
    from toolkit.stores.archive_locks import Lock

SCHEMA = """
CREATE TABLE object (key TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;
CREATE TABLE needed (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE moved (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE pointed (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE moved_once (key TEXT PRIMARY KEY) WITHOUT ROWID;
-- Rows that point at files now.
CREATE TABLE present (row TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_REMOVED_AT_ONCE = 1000
# A time in a condition, which may be another one each time: its day, at least.
_TIME = re.compile(r"'\d{4}-\d{2}-\d{2}[^']*'")
_ANY_TIME = "'…'"

Judge = Callable[[Sequence[Header], Origins], tuple[SnapshotVerdict, ...]]
"""Says of each snapshot of an archive whether it stays."""


class Rows(Struct, frozen=True):
    """The rows that were looked at: whose, and which columns of theirs; the rows themselves are in the catalogue."""

    owner: Owner
    columns: frozenset[tuple[str, str]]

    def are_gone(self, catalogue: Catalogue, origins: Origins, header: Header, entry: FileEntry) -> bool:
        """Whether the row of a file is known to point at nothing any more."""
        if not origins.is_own(header) or (entry.table, entry.column) not in self.columns:
            return False
        return catalogue.one("SELECT 1 FROM present WHERE row = ?", row_of(entry.table, entry.key)) is None


def note_rows(config: Config, catalogue: Catalogue, source: str, store: str, adopt: Sequence[str]) -> Rows:
    """Note which rows of a database point at files now, and at which objects of the archive."""
    backends, database = Backends(config, store), config.database(source)
    specs = file_tables(load_models(config.of(source)))
    with connect(database) as connection:
        check_schema(connection, specs)
        owner = Owner(database.name, connection.identity(), frozenset(adopt))
        for spec in specs:
            catalogue.run_many(
                "INSERT OR IGNORE INTO present VALUES (?)",
                (
                    (row_of(cell.table, cell.key),)
                    for cell in read_cells(connection, spec)
                    if cell.references or cell.mentioned
                ),
            )
            catalogue.run_many(
                "INSERT OR IGNORE INTO pointed VALUES (?)",
                (
                    (address.key,)
                    for cell in read_cells(connection, spec)
                    for address in (
                        *(backends.archived(each.backend, each.path) for each in cell.references),
                        *addresses_in(cell.mentioned),
                    )
                    if address is not None
                ),
            )
    return Rows(owner, frozenset((spec.name, column) for spec in specs for column in file_columns(spec)))


def row_of(table: str, key: Mapping[str, Any]) -> str:
    """A row, as one text."""
    return json.dumps([table, key], ensure_ascii=False, sort_keys=True)


def group_of(header: Header, origins: Origins) -> str:
    """What a snapshot is one of: a database, and which of its rows, whatever the times in their conditions are."""
    scope = header.scope
    parts = [
        *([", ".join(scope.tables)] if scope.tables else []),
        *(f"{table} where {_TIME.sub(_ANY_TIME, condition)}" for table, condition in scope.where.items()),
        *([f"older than {scope.older_than}"] if scope.older_than else []),
    ]
    return origins.described(header) + (f" ({'; '.join(parts)})" if parts else "")


class Pruning(Struct):
    """Snapshots that go, and the objects that no other needs: what is needed and there stands in the catalogue.

    `damaged` are the snapshots that go although their manifests cannot be read; `left_out` says of a file of a push
    that it is not to count.
    """

    archive: Archive
    catalogue: Catalogue
    progress: Progress
    rows: Rows | None = None
    damaged: frozenset[str] = frozenset()
    left_out: Callable[[str, FileEntry], bool] = lambda _, __: False
    released: tuple[str, ...] = ()
    kept_moves: tuple[KeptMoves, ...] = ()

    def plan(self, judge: Judge) -> PruneResult:
        """Find out what goes; nothing is removed.

        Raises:
            StoreError: the manifest of a snapshot that is not to go is damaged.
        """
        headers, problems = self.archive.snapshots()
        for snapshot, problem in problems.items():
            if snapshot in self.damaged:
                continue
            raise StoreError(
                f"{self.archive.name}: snapshot {snapshot}",
                f"its manifest {problem}; nothing was removed",
                "Nobody knows which objects it needs. Update toolkit if a later version wrote it; if it is damaged, "
                "restore it from a copy of the archive, or remove it.",
            )
        origins = self._origins(headers)
        verdicts = judge(headers, origins)
        for verdict in verdicts:
            if verdict.kept:
                self.progress.step(f"read snapshot {verdict.snapshot.id}", verdict.snapshot.files)
                self._need("needed", self._keys(verdict.snapshot.id))
        self._need_moved(origins)
        self.progress.step(f"list {self.archive.name}")
        self.catalogue.run_many(
            "INSERT OR REPLACE INTO object VALUES (?, ?)",
            ((info.key, info.size) for info in self.archive.objects() if address_of(info.key) is not None),
        )
        return replace(self._result(verdicts), notes=tuple(ahead_of_time(headers)))

    def execute(self, plan: PruneResult, lock: Lock) -> None:
        """Remove manifests first, so that no snapshot ever names an object that is gone."""
        going = [*self.damaged, *(verdict.snapshot.id for verdict in plan.snapshots if not verdict.kept)]
        with refusal_told(going, plan.removed_objects, plan.removed_bytes):
            self._remove(going, plan, lock)

    def _remove(self, going: Sequence[str], plan: PruneResult, lock: Lock) -> None:
        lock.require_still_there()
        self.archive.remove_snapshots(going)
        self.archive.remove_moved(self.released)
        self.archive.store.settle()
        self.progress.step("remove objects", plan.removed_objects)
        for keys in self._in_lots():
            lock.require()
            self.archive.remove(keys)
            self.progress.advance(len(keys))
        self.archive.require_removed(self._perhaps_left(plan))
        self._forget_damage()
        self.archive.store.remove_unfinished(dt.datetime.now(dt.UTC) - LOCK_TTL)

    def _perhaps_left(self, plan: PruneResult) -> Iterator[str]:
        """Of the objects that were removed those that are listed still; all, where a listing would cost more."""
        if plan.removed_objects * LISTED_FOR_ONE < plan.kept_objects:
            return (key for keys in self._in_lots() for key in keys)
        listed = (info.key for info in self.archive.objects()) if plan.removed_objects else iter(())
        gone = f"SELECT 1 FROM object WHERE key = ? AND {_GOES}"
        return (key for key in listed if self.catalogue.one(gone, key) is not None)

    def _origins(self, snapshots: Sequence[Header]) -> Origins:
        headers = [*snapshots, *(header for header, _ in self.archive.moved())]
        if self.rows is None:
            return Origins.of(headers)
        known = {header.place or UNMARKED for header in headers}
        for place in self.rows.owner.adopted - known:
            raise UnknownNameError("place", place, sorted(known), self.archive.name)
        return Origins.of(headers, self.rows.owner)

    def _keys(self, snapshot: str) -> Iterator[tuple[str]]:
        entries = self.archive.entries(snapshot)
        return ((entry.address.key,) for entry in entries if not self.left_out(snapshot, entry))

    def _need(self, table: str, keys: Iterator[tuple[str]]) -> None:
        self.catalogue.run_many(f"INSERT OR IGNORE INTO {table} VALUES (?)", keys)

    def _need_moved(self, origins: Origins) -> None:
        """Objects that rows point at, or may: only of the rows that were looked at is it known."""
        released, kept = [], Counter[tuple[str | None, tuple[str, ...]]]()
        for header, entries in self.archive.moved():
            columns = self._note_moved(each for each in entries if not self.left_out(header.id, each))
            if self.rows is not None and origins.is_own(header):
                # Another application's tables in the same database, or those of an earlier version of this one.
                unknown = columns - self.rows.columns
                if not unknown and not self._is_pointed_at():
                    released.append(header.id)
                    continue
                if unknown:
                    kept[None, tuple(sorted(map(".".join, unknown)))] += 1
            elif self.rows is not None and header.database == self.rows.owner.name:
                kept[origins.place(header) or UNMARKED, ()] += 1
            self.catalogue.run("INSERT OR IGNORE INTO moved SELECT key FROM moved_once")
        self.released = tuple(released)
        self.kept_moves = tuple(KeptMoves(moves, *why) for why, moves in kept.items())

    def _note_moved(self, entries: Iterable[FileEntry]) -> set[tuple[str, str]]:
        """Note which objects one push moved rows to; the columns of these rows are returned."""
        columns = set()

        def keys() -> Iterator[tuple[str]]:
            for entry in entries:
                columns.add((entry.table, entry.column))
                yield (entry.address.key,)

        self.catalogue.run("DELETE FROM moved_once")
        self._need("moved_once", keys())
        return columns

    def _is_pointed_at(self) -> bool:
        """Whether a row of those that were looked at points at any of these objects."""
        return self.catalogue.one("SELECT 1 FROM moved_once JOIN pointed USING (key)") is not None

    def _result(self, verdicts: tuple[SnapshotVerdict, ...]) -> PruneResult:
        counts = self.catalogue.one(
            f"SELECT count(*) FILTER (WHERE {_GOES}), total(size) FILTER (WHERE {_GOES}), "
            f"count(*) FILTER (WHERE NOT ({_GOES})), total(size) FILTER (WHERE NOT ({_GOES})), "
            f"count(*) FILTER (WHERE key NOT IN (SELECT key FROM needed) AND NOT ({_GOES})) FROM object"
        )
        removed, removed_bytes, kept, kept_bytes, moved = map(int, counts)
        return PruneResult(
            self.archive.name, True, verdicts, removed, removed_bytes, kept, kept_bytes, moved, 0.0, self.kept_moves
        )

    def _in_lots(self) -> Iterator[list[str]]:
        lot: list[str] = []
        for (key,) in self.catalogue.pages(f"SELECT key FROM object WHERE {_GOES} AND key > ? ORDER BY key"):
            lot.append(key)
            if len(lot) == _REMOVED_AT_ONCE:
                yield lot
                lot = []
        if lot:
            yield lot

    def _forget_damage(self) -> None:
        """Marks of objects that are no more."""
        gone = [
            address
            for address in self.archive.damaged()
            if self.catalogue.one(f"SELECT 1 FROM object WHERE key = ? AND NOT ({_GOES})", address.key) is None
        ]
        if gone:
            self.archive.mark_whole(gone)


_GOES = "key NOT IN (SELECT key FROM needed) AND key NOT IN (SELECT key FROM moved)"
