"""`toolkit archive prune`: remove snapshots by a policy, then the objects that no snapshot needs."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolkit.core.archive_manifest import Header, address_of
from toolkit.core.progress import Progress, Silent
from toolkit.core.retention import Policy, Verdict, apply_policy
from toolkit.errors import ConfigurationError, LastSnapshotError, StoreError
from toolkit.models.loader import load_metadata
from toolkit.operations.archive.listing import SnapshotInfo, described
from toolkit.operations.archive.places import DEFAULT_STORE, Backends, open_archive
from toolkit.operations.archive.rows import file_tables, read_cells
from toolkit.repositories import connect
from toolkit.repositories.base import check_schema
from toolkit.stores.archive_locks import HOLDS, LockKind
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
class PruneResult:
    """What was removed, or (`dry_run`) would be. Sizes are in bytes.

    `moved_objects` are in no snapshot that stays, but kept because rows were pointed at them.
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
    dry_run: bool = False,
    progress: Progress | None = None,
) -> PruneResult:
    """Remove the snapshots that the policy does not keep, then every object that none of the others needs.

    Snapshots of one database and the same rows (tables, conditions, age) are a group, to which the policy is applied.
    Objects that rows were pointed at by --move stay, unless the rows of `source`, a database, show that none does any
    more.

    Raises:
        ConfigurationError: the policy keeps nothing.
        ArchiveBusyError: a push or another prune is running.
        LastSnapshotError: no snapshot of a group would be left.
        StoreError: a manifest is damaged, so that nobody knows what is needed.
    """
    started = time.perf_counter()
    if policy.is_empty:
        raise ConfigurationError(
            "No policy was given, so that nothing would be kept.", "Say what to keep, for example --keep-last 10."
        )
    archive = open_archive(config, store)
    with Catalogue(_SCHEMA) as catalogue, nullcontext(None) if dry_run else archive.locked(LockKind.PRUNE) as lock:
        if source is not None:
            _note_rows(config, catalogue, source, store)
        run = _Prune(archive, catalogue, progress or Silent(), None if source is None else config.database(source).name)
        result = run.plan(policy)
        if lock is not None:
            run.execute(result, lock)
    return replace(result, dry_run=dry_run, seconds=time.perf_counter() - started)


def _note_rows(config: Config, catalogue: Catalogue, source: str, store: str) -> None:
    """Which objects of the archive the rows of a database point at now."""
    backends = Backends(config, store)
    specs = file_tables(load_metadata(config.metadata, config.root))
    with connect(config.database(source)) as connection:
        check_schema(connection, specs)
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


def group_of(header: Header) -> str:
    """What a snapshot is one of: a database, and which of its rows."""
    scope = header.scope
    parts = [
        *([", ".join(scope.tables)] if scope.tables else []),
        *(f"{table} where {condition}" for table, condition in scope.where.items()),
        *([f"older than {scope.older_than}"] if scope.older_than else []),
    ]
    return header.database + (f" ({'; '.join(parts)})" if parts else "")


@dataclass
class _Prune:
    """One prune: what is needed and what is there stand in the catalogue."""

    archive: Archive
    catalogue: Catalogue
    progress: Progress
    source: str | None
    released: tuple[str, ...] = ()

    def plan(self, policy: Policy) -> PruneResult:
        """Find out what goes; nothing is removed."""
        headers, problems = self.archive.snapshots()
        for snapshot, problem in problems.items():
            raise StoreError(
                f"{self.archive.name}: snapshot {snapshot}", f"its manifest {problem}; nothing was removed",
                "Nobody knows which objects it needs. Update toolkit if a later version wrote it; if it is damaged, "
                "restore it from a copy of the archive, or remove it.",
            )  # fmt: skip
        verdicts = tuple(self._verdicts(headers, policy))
        for verdict in verdicts:
            if verdict.kept:
                self.progress.step(f"read snapshot {verdict.snapshot.id}", verdict.snapshot.files)
                self._need("needed", self._keys(verdict.snapshot.id))
        self._need_moved()
        self.progress.step(f"list {self.archive.name}")
        self.catalogue.run_many(
            "INSERT OR REPLACE INTO object VALUES (?, ?)",
            ((info.key, info.size) for info in self.archive.objects() if address_of(info.key) is not None),
        )
        return self._result(verdicts)

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
        self.archive.store.remove_unfinished(dt.datetime.now(dt.UTC) - HOLDS)

    def _verdicts(self, headers: Sequence[Header], policy: Policy) -> Iterator[SnapshotVerdict]:
        groups: dict[str, list[Header]] = {}
        for header in headers:
            groups.setdefault(group_of(header), []).append(header)
        for group, members in sorted(groups.items()):
            found: tuple[Verdict[Header], ...] = apply_policy(members, policy, dt.datetime.now(dt.UTC))
            if not any(verdict.kept for verdict in found):
                raise LastSnapshotError(self.archive.name, group)
            for verdict in found:
                yield SnapshotVerdict(described(verdict.snapshot), group, verdict.reasons)

    def _keys(self, snapshot: str) -> Iterator[tuple[str]]:
        return ((entry.address.key,) for entry in self.archive.entries(snapshot))

    def _need(self, table: str, keys: Iterator[tuple[str]]) -> None:
        self.catalogue.run_many(f"INSERT OR IGNORE INTO {table} VALUES (?)", keys)

    def _need_moved(self) -> None:
        """Objects that rows point at, or may: only of the database that was looked into is it known."""
        released = []
        for header, entries in self.archive.moved():
            keys = [(entry.address.key,) for entry in entries] if header.database == self.source else None
            if keys is not None and not any(self._is_pointed_at(key) for (key,) in keys):
                released.append(header.id)
            else:
                self._need("moved", iter(keys) if keys is not None else ((e.address.key,) for e in entries))
        self.released = tuple(released)

    def _is_pointed_at(self, key: str) -> bool:
        return self.catalogue.one("SELECT 1 FROM pointed WHERE key = ?", key) is not None

    def _result(self, verdicts: tuple[SnapshotVerdict, ...]) -> PruneResult:
        counts = self.catalogue.one(
            f"SELECT count(*) FILTER (WHERE {_GOES}), total(size) FILTER (WHERE {_GOES}), "
            f"count(*) FILTER (WHERE NOT ({_GOES})), total(size) FILTER (WHERE NOT ({_GOES})), "
            f"count(*) FILTER (WHERE key NOT IN (SELECT key FROM needed) AND NOT ({_GOES})) FROM object"
        )
        removed, removed_bytes, kept, kept_bytes, moved = map(int, counts)
        return PruneResult(self.archive.name, True, verdicts, removed, removed_bytes, kept, kept_bytes, moved, 0.0)

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
