"""`toolkit archive forget`: the files of some rows, taken out of every snapshot, with a word that they were."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct, structs
from msgspec.structs import replace

from toolkit.core.archive_manifest import ERASED, FORMAT, Address, FileEntry, Header, Lacking, addresses_in
from toolkit.core.archive_origins import Origins, Owner
from toolkit.core.progress import Progress, Silent
from toolkit.engines import connect
from toolkit.engines.portable.connection import check_schema
from toolkit.errors import ArchivedRowsError
from toolkit.operations.archive.backends import DEFAULT_STORE, Backends, open_archive
from toolkit.operations.archive.listing import described
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.prune_values import PruneResult, SnapshotVerdict
from toolkit.operations.archive.pruning import SCHEMA, Pruning, group_of
from toolkit.operations.archive.rows import file_tables, keys_table, read_cells
from toolkit.operations.archive.selecting import Selection
from toolkit.operations.project import load_models
from toolkit.stores.archive_locks import LockKind
from toolkit.stores.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.config import Config
    from toolkit.core.tables import Conditions, TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.stores.archive import Archive
    from toolkit.stores.archive_locks import Lock

_SCHEMA = (
    SCHEMA
    + """
-- Rows that stand in the archive, of the tables that were asked for; and those of them that are to be erased.
CREATE TABLE candidate (tbl TEXT, key TEXT, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
CREATE TABLE chosen (tbl TEXT, key TEXT, gone INTEGER, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
-- Their files, each content once; and how many of each snapshot there are.
CREATE TABLE erased (sha TEXT, tbl TEXT, col TEXT, key TEXT, PRIMARY KEY (sha, tbl, col, key)) WITHOUT ROWID;
CREATE TABLE hit (snapshot TEXT PRIMARY KEY, files INTEGER) WITHOUT ROWID;
CREATE TABLE content (sha TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;
"""
)


class ForgetResult(Struct, frozen=True):
    """What was erased, or (`dry_run`) would be. Sizes are in bytes.

    `rows` met the conditions and had `files` in all `snapshots` together; `rows_left` are in the database still.
    `removed_objects` are needed by nobody any more. `findings` are contents that stay because others have them, too.
    """

    archive: str
    dry_run: bool
    rows: int
    rows_left: int
    files: int
    snapshots: tuple[str, ...]
    removed_objects: int
    removed_bytes: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    seconds: float


def forget(
    config: Config,
    source: str,
    rows: Conditions,
    *,
    store: str = DEFAULT_STORE,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ForgetResult:
    """Take the files of the rows that meet these conditions (by table) out of every snapshot of the database `source`.

    Rows that are gone are known by their keys alone. In each snapshot a line stays that says whose file was erased, and
    when; nothing of the file. A content that another row has, too, stays for it.

    Raises:
        ArchivedRowsError: one of the rows points at the archive itself.
        UnknownNameError, ConditionError: there is no such table, or a condition is not understood.
        ArchiveBusyError: a push or a prune is running.
        StoreError: a manifest is damaged, so that nobody knows what it has.
    """
    started = time.perf_counter()
    archive = open_archive(config, store)
    with Catalogue(_SCHEMA) as catalogue, nullcontext(None) if dry_run else archive.locked(LockKind.PRUNE) as lock:
        run = _Erasing(config, archive, catalogue, source, store, progress or Silent())
        plan = run.plan(rows)
        result = run.result(plan)
        if lock is not None and result.rows:
            run.execute(plan, lock)
    return replace(result, dry_run=dry_run, seconds=time.perf_counter() - started)


class _Erasing:
    """One erasure: what is to be taken out stands in the catalogue."""

    def __init__(
        self, config: Config, archive: Archive, catalogue: Catalogue, source: str, store: str, progress: Progress
    ) -> None:
        self._config, self._archive, self._catalogue, self._progress = config, archive, catalogue, progress
        self._database, self._backends = config.database(source), Backends(config, store)
        self._notes: list[str] = []
        self._now = dt.datetime.now(dt.UTC)

    def plan(self, rows: Conditions) -> PruneResult:
        """Find out what is to be taken out, and which objects nobody needs then; nothing is written."""
        specs = file_tables(load_models(self._config.of(self._database.name)), sorted(rows), rows)
        self._pruning = Pruning(self._archive, self._catalogue, self._progress, left_out=self._is_erased)
        with connect(self._database) as connection:
            check_schema(connection, specs)
            self._own = self._own_pushes(connection)
            self._note_candidates({spec.name for spec in specs})
            for spec in specs:
                self._choose(connection, spec)
        self._note_files()
        # As a prune that removes no snapshot: it knows what is needed.
        return self._pruning.plan(_all_stay)

    def execute(self, plan: PruneResult, lock: Lock) -> None:
        """Manifests first, so that none ever names an object that is gone."""
        headers = [header for header in self._own.values() if self._is_hit(header.id)]
        for header in headers:
            lock.require()
            self._progress.step(f"rewrite snapshot {header.id}", header.files)
            self._rewrite(header)
        for header in [header for header, _ in self._archive.moved()]:
            if header.id in self._own and self._is_hit(f"moved {header.id}"):
                lock.require()
                self._rewrite_moved(header)
        self._pruning.execute(plan, lock)

    def result(self, plan: PruneResult) -> ForgetResult:
        """What is to be taken out."""
        rows, gone = self._catalogue.one("SELECT count(*), total(gone) FROM chosen")
        hits = self._catalogue.all(
            "SELECT snapshot, files FROM hit WHERE snapshot NOT LIKE 'moved %' ORDER BY snapshot"
        )
        return ForgetResult(
            self._archive.name,
            True,
            rows,
            rows - int(gone),
            sum(files for _, files in hits),
            tuple(snapshot for snapshot, _ in hits),
            plan.removed_objects,
            plan.removed_bytes,
            tuple(self._shared()),
            tuple(self._notes),
            0.0,
        )

    # -- what is meant ---------------------------------------------------------------------------------------------

    def _own_pushes(self, connection: Connection) -> Mapping[str, Header]:
        """The pushes of this database; of others of its name nobody knows whose rows they are of."""
        headers, _ = self._archive.snapshots()
        moved = [header for header, _ in self._archive.moved()]
        origins = Origins.of([*headers, *moved], Owner(self._database.name, connection.identity()))
        own = {header.id: header for header in [*moved, *headers] if origins.is_own(header)}
        others = {header.id for header in headers if header.database == self._database.name} - set(own)
        if others:
            self._notes.append(
                f"Nothing was looked for in snapshots of another database of this name: {', '.join(sorted(others))}."
            )
        return own

    def _note_candidates(self, tables: set[str]) -> None:
        for entries in self._all_entries():
            self._catalogue.run_many(
                "INSERT OR IGNORE INTO candidate VALUES (?, ?)",
                ((each.table, _key(each.key)) for _, each in entries if each.table in tables),
            )
        self._catalogue.run_many(
            "INSERT OR IGNORE INTO candidate VALUES (?, ?)",
            ((each.table, _key(each.key)) for _, each in self._all_lacking() if each.table in tables),
        )

    def _all_lacking(self) -> Iterator[tuple[str, Lacking]]:
        """What each own snapshot lacks; of what was erased, no more than whose it was."""
        for header in self._own.values():
            yield from ((header.id, each) for each in self._archive.lacking(header))

    def _all_entries(self) -> Iterator[Iterator[tuple[str, FileEntry]]]:
        """The files of each own snapshot, then of each own push that moved some, with a name for it."""
        for header in self._archive.snapshots()[0]:
            if header.id in self._own:
                yield ((header.id, entry) for entry in self._archive.entries(header.id))
        for header, entries in self._archive.moved():
            if header.id in self._own:
                yield ((f"moved {header.id}", entry) for entry in entries)

    def _choose(self, connection: Connection, spec: TableSpec) -> None:
        connection.repository(spec).check_condition()
        keys = [
            key for (key,) in self._catalogue.all("SELECT key FROM candidate WHERE tbl = ? ORDER BY key", spec.name)
        ]
        selection = Selection(self._database, connection, spec)
        chosen = list(selection.of(keys))
        self._catalogue.run_many(
            "INSERT INTO chosen VALUES (?, ?, ?)", [(spec.name, each.key, each.gone) for each in chosen]
        )
        if selection.untold is not None:
            self._notes.append(
                f"Rows of {spec.name} that are gone were not looked for: of them the key alone is known, and "
                f"{selection.untold}. Write the condition of {', '.join(spec.key)}."
            )
        there = [json.loads(each.key) for each in chosen if not each.gone]
        if there:
            self._require_elsewhere(connection, spec, there)

    def _require_elsewhere(self, connection: Connection, spec: TableSpec, keys: Sequence[Mapping[str, object]]) -> None:
        """A row that was moved has its only file in the archive: it would point at nothing."""
        for cell in read_cells(connection, spec, keys_table(spec, keys)):
            is_moved = any(self._backends.archived(each.backend, each.path) for each in cell.references)
            if is_moved or any(addresses_in(cell.mentioned)):
                raise ArchivedRowsError(self._archive.name, cell.table, cell.column, cell.key)

    def _is_chosen(self, entry: FileEntry | Lacking) -> bool:
        found = self._catalogue.one("SELECT 1 FROM chosen WHERE (tbl, key) = (?, ?)", entry.table, _key(entry.key))
        return found is not None

    def _is_erased(self, snapshot: str, entry: FileEntry) -> bool:
        return snapshot in self._own and self._is_chosen(entry)

    def _is_hit(self, name: str) -> bool:
        return self._catalogue.one("SELECT 1 FROM hit WHERE snapshot = ?", name) is not None

    def _note_files(self) -> None:
        for entries in self._all_entries():
            for name, each in entries:
                if self._is_chosen(each):
                    row = each.sha256, each.table, each.column, _key(each.key)
                    self._catalogue.run("INSERT OR IGNORE INTO erased VALUES (?, ?, ?, ?)", *row)
                    self._catalogue.run("INSERT OR IGNORE INTO hit VALUES (?, 0)", name)
                    self._catalogue.run("UPDATE hit SET files = files + 1 WHERE snapshot = ?", name)
        for name, lacking in self._all_lacking():
            if lacking.outcome != ERASED and self._is_chosen(lacking):
                self._catalogue.run("INSERT OR IGNORE INTO hit VALUES (?, 0)", name)

    def _shared(self) -> Iterator[Finding]:
        """Contents that stay, for others have them."""
        for sha, table, column, key in self._catalogue.all(
            "SELECT sha, tbl, col, key FROM erased ORDER BY tbl, col, key"
        ):
            for address in (Address(sha), Address(sha, compressed=True)):
                needed = "SELECT 1 FROM (SELECT key FROM needed UNION ALL SELECT key FROM moved) WHERE key = ?"
                if self._catalogue.one(needed, address.key) is not None:
                    reason = "a row that was not chosen has the same content, which stays for it"
                    yield Finding(Outcome.SHARED, table, column, json.loads(key), object=address.key, reason=reason)

    # -- what is written -------------------------------------------------------------------------------------------

    def _rewrite(self, header: Header) -> None:
        """The same snapshot without these files, and without the places of those that it lacks of these rows."""
        lacking = list(self._lacking(header))
        self._catalogue.run("DELETE FROM content")
        self._catalogue.run_many(
            "INSERT OR IGNORE INTO content VALUES (?, ?)", ((each.sha256, each.size) for each in self._left(header))
        )
        objects, size = self._catalogue.one("SELECT count(*), total(size) FROM content")
        (erased,) = self._catalogue.one("SELECT files FROM hit WHERE snapshot = ?", header.id)
        changed = structs.replace(
            header,
            format=FORMAT,
            # As of which it counts: the manifest is written now.
            created_at=header.made_at,
            files=header.files - erased,
            objects=objects,
            bytes=int(size),
            lacking=len(lacking),
            erased=sum(each.outcome == ERASED for each in lacking),
        )
        self._archive.write_snapshot(changed, self._left(header), lacking)

    def _left(self, header: Header) -> Iterator[FileEntry]:
        return (each for each in self._archive.entries(header.id) if not self._is_chosen(each))

    def _lacking(self, header: Header) -> Iterator[Lacking]:
        told = partial(Lacking, outcome=ERASED, reason=f"erased {self._now:%Y-%m-%d %H:%M} UTC")
        for each in self._archive.lacking(header):
            is_personal = each.outcome != ERASED and self._is_chosen(each)
            yield told(table=each.table, column=each.column, key=each.key, index=each.index) if is_personal else each
        for entry in self._archive.entries(header.id):
            if self._is_chosen(entry):
                yield told(table=entry.table, column=entry.column, key=entry.key, index=entry.index)

    def _rewrite_moved(self, header: Header) -> None:
        left = [
            entry
            for each, entries in self._archive.moved()
            if each.id == header.id
            for entry in entries
            if not self._is_chosen(entry)
        ]
        if left:
            self._archive.write_moved(header, left)
        else:
            self._archive.remove_moved([header.id])


def _all_stay(headers: Sequence[Header], origins: Origins) -> tuple[SnapshotVerdict, ...]:
    return tuple(SnapshotVerdict(described(header), group_of(header, origins), ("stays",)) for header in headers)


def _key(key: Mapping[str, object]) -> str:
    return json.dumps(key, ensure_ascii=False)
