"""`toolkit archive prune`: remove snapshots by a policy, then the objects that no snapshot needs."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolkit.core.archive_manifest import FileEntry, Header, address_of
from toolkit.core.archive_origins import UNMARKED, Origins, Owner
from toolkit.core.progress import Progress, Silent
from toolkit.core.retention import Policy, Verdict, apply_policy, is_future
from toolkit.engines import connect
from toolkit.engines.portable.connection import check_schema
from toolkit.errors import ConfigurationError, LastSnapshotError, StoreError, UnknownNameError
from toolkit.models.loader import load_metadata
from toolkit.operations.archive.backends import DEFAULT_STORE, Backends, open_archive
from toolkit.operations.archive.lacking import spared
from toolkit.operations.archive.listing import SnapshotInfo, ahead_of_time, described
from toolkit.operations.archive.rows import file_columns, file_tables, read_cells
from toolkit.stores.archive_locks import LOCK_TTL, LockKind
from toolkit.stores.catalogue import Catalogue

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.stores.archive import Archive
    from toolkit.stores.archive_locks import Lock

_SCHEMA = """
CREATE TABLE object (key TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;
CREATE TABLE needed (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE moved (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE pointed (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE moved_once (key TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_REMOVED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class SnapshotVerdict:
    """One snapshot and why it is kept; without a reason it goes. The policy is applied to each group by itself."""

    snapshot: SnapshotInfo
    group: str
    reasons: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether it stays."""
        return bool(self.reasons)


@dataclass(frozen=True, slots=True)
class KeptMoves:
    """How many pushes with --move of a database of this name are not released, and why.

    Either it was at another `place`, or the metadata lacks these `columns`, so that their rows were not looked at.
    """

    moves: int
    place: str | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What was removed, or (`dry_run`) would be. Sizes are in bytes.

    `moved_objects` are in no snapshot that stays, but kept because rows were pointed at them; `kept_moves` says of
    which it is not known whether the rows that were looked at are those.
    """

    archive: str
    dry_run: bool
    snapshots: tuple[SnapshotVerdict, ...]
    removed_objects: int
    removed_bytes: int
    kept_objects: int
    kept_bytes: int
    moved_objects: int
    seconds: float
    kept_moves: tuple[KeptMoves, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def removed_snapshots(self) -> int:
        """How many snapshots go."""
        return sum(not verdict.kept for verdict in self.snapshots)


def prune(
    config: Config,
    policy: Policy,
    *,
    store: str = DEFAULT_STORE,
    source: str | None = None,
    adopt: Sequence[str] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
) -> PruneResult:
    """Remove the snapshots that the policy does not keep, then every object that none of the others needs.

    Snapshots of one database and the same rows (tables, conditions, age) are a group, to which the policy is applied.
    One that has what a kept one lacks stays, too.
    Objects that rows were pointed at by --move stay, unless they were rows of `source`, a database, and none of its
    rows does any more. Of other databases of its name, nothing is released; `adopt` are the places where it was before.

    Raises:
        ConfigurationError: the policy keeps nothing; `adopt` without `source`.
        UnknownNameError: no manifest names a place to adopt.
        ArchiveBusyError: a push or another prune is running.
        LastSnapshotError: no snapshot of a group would be left.
        StoreError: a manifest is damaged, so that nobody knows what is needed.
    """
    started = time.perf_counter()
    if policy.is_empty:
        raise ConfigurationError(
            "No policy was given, so that nothing would be kept.", "Say what to keep, for example --keep-last 10."
        )
    if adopt and source is None:
        raise ConfigurationError("Only a database can adopt what was moved elsewhere.", "Name it with --from.")
    archive = open_archive(config, store)
    with Catalogue(_SCHEMA) as catalogue, nullcontext(None) if dry_run else archive.locked(LockKind.PRUNE) as lock:
        rows = None if source is None else _note_rows(config, catalogue, source, store, adopt)
        run = _Prune(archive, catalogue, progress or Silent(), rows)
        result = run.plan(policy)
        if lock is not None:
            run.execute(result, lock)
    return replace(result, dry_run=dry_run, seconds=time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows that were looked at: whose, and which columns of theirs."""

    owner: Owner
    columns: frozenset[tuple[str, str]]


def _note_rows(config: Config, catalogue: Catalogue, source: str, store: str, adopt: Sequence[str]) -> _Rows:
    """Note which objects of the archive the rows of a database point at now."""
    backends, database = Backends(config, store), config.database(source)
    specs = file_tables(load_metadata(config.metadata, config.root))
    with connect(database) as connection:
        check_schema(connection, specs)
        owner = Owner(database.name, connection.identity(), frozenset(adopt))
        for spec in specs:
            catalogue.run_many(
                "INSERT OR IGNORE INTO pointed VALUES (?)",
                (
                    (address.key,)
                    for cell in read_cells(connection, spec)
                    for each in cell.references
                    if (address := backends.archived(each.backend, each.path)) is not None
                ),
            )
    return _Rows(owner, frozenset((spec.name, column) for spec in specs for column in file_columns(spec)))


def group_of(header: Header, origins: Origins) -> str:
    """What a snapshot is one of: a database, and which of its rows."""
    scope = header.scope
    parts = [
        *([", ".join(scope.tables)] if scope.tables else []),
        *(f"{table} where {condition}" for table, condition in scope.where.items()),
        *([f"older than {scope.older_than}"] if scope.older_than else []),
    ]
    return origins.described(header) + (f" ({'; '.join(parts)})" if parts else "")


@dataclass
class _Prune:
    """One prune: what is needed and what is there stand in the catalogue."""

    archive: Archive
    catalogue: Catalogue
    progress: Progress
    rows: _Rows | None
    released: tuple[str, ...] = ()
    kept_moves: tuple[KeptMoves, ...] = ()

    def plan(self, policy: Policy) -> PruneResult:
        """Find out what goes; nothing is removed."""
        headers, problems = self.archive.snapshots()
        for snapshot, problem in problems.items():
            raise StoreError(
                f"{self.archive.name}: snapshot {snapshot}",
                f"its manifest {problem}; nothing was removed",
                "Nobody knows which objects it needs. Update toolkit if a later version wrote it; if it is damaged, "
                "restore it from a copy of the archive, or remove it.",
            )
        origins = self._origins(headers)
        verdicts = self._sparing(tuple(self._verdicts(headers, origins, policy)), headers, origins)
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
        lock.require_still_there()
        self.archive.remove_snapshots(v.snapshot.id for v in plan.snapshots if not v.kept)
        self.archive.remove_moved(self.released)
        self.archive.store.settle()
        self.progress.step("remove objects", plan.removed_objects)
        for keys in self._in_lots():
            lock.require()
            self.archive.remove(keys)
            self.progress.advance(len(keys))
        self._forget_damage()
        self.archive.store.remove_unfinished(dt.datetime.now(dt.UTC) - LOCK_TTL)

    def _origins(self, snapshots: Sequence[Header]) -> Origins:
        headers = [*snapshots, *(header for header, _ in self.archive.moved())]
        if self.rows is None:
            return Origins.of(headers)
        known = {header.place or UNMARKED for header in headers}
        for place in self.rows.owner.adopted - known:
            raise UnknownNameError("place", place, sorted(known), self.archive.name)
        return Origins.of(headers, self.rows.owner)

    def _verdicts(self, headers: Sequence[Header], origins: Origins, policy: Policy) -> Iterator[SnapshotVerdict]:
        groups: dict[str, list[Header]] = {}
        now = dt.datetime.now(dt.UTC)
        for header in headers:
            groups.setdefault(group_of(header, origins), []).append(header)
        for group, members in sorted(groups.items()):
            # One by a clock that was wrong takes the place of none that is really the newest.
            future = [each for each in members if is_future(each, now)]
            found: tuple[Verdict[Header], ...] = apply_policy(
                [each for each in members if each not in future], policy, now
            )
            if found and not any(verdict.kept for verdict in found):
                raise LastSnapshotError(self.archive.name, group)
            for verdict in (*(Verdict(each, ("made in the future",)) for each in future), *found):
                yield SnapshotVerdict(described(verdict.snapshot), group, verdict.reasons)

    def _sparing(
        self, verdicts: tuple[SnapshotVerdict, ...], headers: Sequence[Header], origins: Origins
    ) -> tuple[SnapshotVerdict, ...]:
        """The verdicts, but what has the last copy of a file that a kept snapshot lacks stays."""
        ids = {verdict.snapshot.id for verdict in verdicts if verdict.kept}
        kept, going = ([each for each in headers if (each.id in ids) == wanted] for wanted in (True, False))
        reasons = spared(self.archive, origins, kept, going)
        return tuple(
            replace(each, reasons=(reasons[each.snapshot.id],)) if each.snapshot.id in reasons else each
            for each in verdicts
        )

    def _keys(self, snapshot: str) -> Iterator[tuple[str]]:
        return ((entry.address.key,) for entry in self.archive.entries(snapshot))

    def _need(self, table: str, keys: Iterator[tuple[str]]) -> None:
        self.catalogue.run_many(f"INSERT OR IGNORE INTO {table} VALUES (?)", keys)

    def _need_moved(self, origins: Origins) -> None:
        """Objects that rows point at, or may: only of the rows that were looked at is it known."""
        released, kept = [], Counter[tuple[str | None, tuple[str, ...]]]()
        for header, entries in self.archive.moved():
            columns = self._note_moved(entries)
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
