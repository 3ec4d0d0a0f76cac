"""`toolkit archive verify`: is all there that the snapshots name, and is it what it was?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct, field

from toolkit.core.archive_manifest import SNAPSHOTS, Address, FileEntry, address_of
from toolkit.core.archive_origins import Origins
from toolkit.core.parallel import Stop, in_parallel
from toolkit.core.progress import Progress, Silent
from toolkit.errors import DamagedObjectError, EncryptionError, MissingObjectError, StoreError
from toolkit.operations.archive import collecting
from toolkit.operations.archive.backends import DEFAULT_STORE, JOBS, Backends, open_archive
from toolkit.operations.archive.counting import SCHEMA as COUNTING
from toolkit.operations.archive.counting import note_named
from toolkit.operations.archive.dangling import examine_rows
from toolkit.operations.archive.lacking import Incomplete, incomplete
from toolkit.operations.archive.listing import damaged_manifests
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.verify_without_key import Watched, watch
from toolkit.operations.project import load_models
from toolkit.stores.archive_locks import LockKind
from toolkit.stores.catalogue import Catalogue

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.stores.archive import Archive

_SCHEMA = (
    collecting.SCHEMA
    + COUNTING
    + """
-- What snapshots name, each object once; `stored` is its size as zstd. `outcome` is empty as long as all is well.
CREATE TABLE wanted (key TEXT PRIMARY KEY, size INTEGER, stored INTEGER, outcome TEXT, reason TEXT) WITHOUT ROWID;
-- What others need: rows were pointed at it, or a snapshot that was written meanwhile names it.
CREATE TABLE needed (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE told (key TEXT, tbl TEXT, col TEXT, row TEXT, PRIMARY KEY (key, tbl, col, row)) WITHOUT ROWID;
"""
)


class VerifyResult(Struct, frozen=True):
    """What was looked at, and all that is not as it should be.

    `files` and `bytes` are those of the snapshots, each object once; `read_data` says that each was read and hashed,
    `rows_of` which database's rows were looked at. The orphan check is skipped unless all snapshots were looked at
    and could be read, and nobody was pushing (`pushes` says who): objects of a push wait for their snapshot.
    `incomplete` snapshots are as they were made, but lack files that rows pointed at then. `requests`: how often the
    archive was asked, by kind.
    `without_key`: it is encrypted, and all that lies there was only compared with what it says of itself.
    """

    archive: str
    snapshots: tuple[str, ...]
    read_data: bool
    rows_of: str | None
    objects: int
    bytes: int
    ok: int
    findings: tuple[Finding, ...]
    pushes: tuple[str, ...]
    seconds: float
    incomplete: tuple[Incomplete, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)
    without_key: bool = False

    @property
    def whole(self) -> bool:
        """Whether all is as it should be."""
        return not self.findings


def verify(
    config: Config,
    snapshot: str | None = None,
    *,
    store: str = DEFAULT_STORE,
    source: str | None = None,
    read_data: bool = False,
    jobs: int = JOBS,
    progress: Progress | None = None,
) -> VerifyResult:
    """Compare an archive with its snapshots (default: all of them) by listing, or (`read_data`) by content.

    Of an encrypted archive whose key is not given, what can be told without it; rows are not looked at then.
    With `source`, a database, also its rows with their files. What is found damaged by its content is remembered in
    the archive, so that the next push writes it anew. Nothing else is written.

    Raises:
        ToolkitError: the store or the database cannot be read at all.
    """
    started = time.perf_counter()
    try:
        archive = open_archive(config, store)
    except EncryptionError:
        if snapshot is not None or config.store(store).is_encrypted:
            raise
        return _without_key(watch(config.store(store), read_data, jobs, progress or Silent()), read_data, started)
    with Catalogue(_SCHEMA) as catalogue:
        run = _Verification(archive, catalogue, jobs, progress or Silent())
        return _verified(run, config, snapshot, store, source, read_data, started)


def _verified(
    run: _Verification,
    config: Config,
    snapshot: str | None,
    store: str,
    source: str | None,
    read_data: bool,
    started: float,
) -> VerifyResult:
    """What a verification finds, of the archive and, with `source`, of that database's rows."""
    chosen = run.read_snapshots(snapshot)
    run.compare()
    if read_data:
        run.read_objects()
    findings = [*run.broken, *run.findings(chosen)]
    chosen = [each for each in chosen if each not in run.pruned]
    lacking = run.incomplete(chosen)
    pushes = run.pushes_meanwhile() if snapshot is None else []
    if snapshot is None:
        findings += run.orphans(told=not pushes and not run.broken)
    count, size, good = run.totals()
    database = None
    if source is not None:
        database = config.database(source)
        metadata, backends = load_models(config.of(source)), Backends(config, store)
        run.progress.step(f"rows of {database.name}")
        findings += examine_rows(run.catalogue, run.archive, backends, database, metadata, run.jobs, run.progress)
    elapsed, rows_of = time.perf_counter() - started, None if database is None else database.name
    return VerifyResult(
        run.archive.name,
        tuple(chosen),
        read_data,
        rows_of,
        count,
        size,
        good,
        tuple(findings),
        tuple(pushes),
        elapsed,
        lacking,
        run.archive.store.requests,
    )


def _without_key(seen: Watched, read_data: bool, started: float) -> VerifyResult:
    good, elapsed = seen.objects - len(seen.findings), time.perf_counter() - started
    told = partial(VerifyResult, requests=seen.requests, without_key=True)
    return told(seen.archive, (), read_data, None, seen.objects, seen.bytes, good, seen.findings, (), elapsed)


class _Verification(Struct, dict=True):
    """One verification: what is wanted and what is there stand in the catalogue."""

    archive: Archive
    catalogue: Catalogue
    jobs: int
    progress: Progress
    seen: set[str] = field(default_factory=set)
    pruned: set[str] = field(default_factory=set)
    """Snapshots that were removed since they were read, and perhaps their objects."""

    def read_snapshots(self, snapshot: str | None) -> list[str]:
        """Note what is there, then what the snapshots name; the ids of those that could be read.

        In this order, a snapshot that a push writes meanwhile is not looked at with too old a listing.
        """
        if snapshot is None:
            headers, problems = self.archive.snapshots()
        else:
            headers, problems = (self.archive.find(snapshot),), {}
        self.seen = {*problems, *(header.id for header in headers)}
        self.broken = list(damaged_manifests(problems))
        self.progress.step(f"list {self.archive.name}")
        self.catalogue.run_many(
            "INSERT OR REPLACE INTO object VALUES (?, ?)", ((info.key, info.size) for info in self.archive.objects())
        )
        chosen = []
        for header in headers:
            self.progress.step(f"snapshot {header.id}", header.files)
            try:
                self._want(header.id)
            except MissingObjectError:
                continue  # Pruned meanwhile.
            except StoreError as error:
                self.broken.append(Finding(Outcome.DAMAGED_MANIFEST, object=header.id, reason=error.problem))
                continue
            chosen.append(header.id)
        return chosen

    def incomplete(self, chosen: list[str]) -> tuple[Incomplete, ...]:
        """Which of the chosen snapshots lack files that rows pointed at; the others are looked at, too."""
        headers, _ = self.archive.snapshots()
        found = incomplete(self.archive, Origins.of(headers), headers)
        return tuple(each for each in found if each.snapshot in chosen)

    def totals(self) -> tuple[int, int, int]:
        """How many objects are wanted, their bytes, and how many of them are as they should be."""
        count, size, good = self.catalogue.one(
            "SELECT count(*), total(size), count(*) FILTER (WHERE outcome IS NULL) FROM wanted"
        )
        return count, int(size), good

    def _want(self, snapshot: str) -> None:
        problem = note_named(self.archive, self.catalogue, snapshot)
        if problem is not None:
            self.broken.append(Finding(Outcome.DAMAGED_MANIFEST, object=snapshot, reason=problem))
        self.catalogue.run("INSERT OR IGNORE INTO wanted (key, size, stored) SELECT key, size, stored FROM named")

    def compare(self) -> None:
        """Look for every wanted object in the listing; those that are not as they should be are looked at singly."""
        rows = self.catalogue.pages(
            "SELECT wanted.key, wanted.size, stored FROM wanted LEFT JOIN object USING (key) WHERE wanted.key > ? "
            "AND object.size IS NOT coalesce(stored, wanted.size) ORDER BY wanted.key"
        )
        self._note(in_parallel(self._looked_at, rows, self.jobs))

    def _looked_at(self, row: tuple[str, int, int | None]) -> tuple[str, Outcome | None, str | None]:
        key, size, stored = row
        address = address_of(key)
        assert address is not None
        present = self.archive.size_of(address)
        if present is None:
            return key, Outcome.MISSING, "it is not in the archive"
        expected = size if stored is None else stored
        if present == expected:
            return key, None, None
        # One that was repaired may be larger or smaller as zstd than it was.
        if address.compressed and self._problem(address, size=size) is None:
            return key, None, None
        # Of an encrypted object, the size of its content is told, which one that is cut off may have none of.
        found = f"{present} bytes" if present >= 0 else "it is cut off"
        return key, Outcome.SIZE_DIFFERS, f"{found}, but {expected} should be"

    def read_objects(self) -> None:
        """Read and hash every object that is there."""
        where = "FROM wanted WHERE outcome IS NULL"
        count, size = self.catalogue.one(f"SELECT count(*), total(size) {where}")
        self.progress.files("read", count, int(size))
        rows = self.catalogue.pages(f"SELECT key, size {where} AND key > ? ORDER BY key")
        stop = Stop()
        marked = {address.key for address in self.archive.damaged()}
        healed = []
        for key, outcome, reason in in_parallel(lambda row: self._read(row, stop), rows, self.jobs, stop):
            self._note([(key, outcome, reason)])
            self.progress.advance_file(1, 0)
            if outcome is None and key in marked and (address := address_of(key)):
                healed.append(address)
        if healed:
            self.archive.mark_whole(healed)

    def _read(self, row: tuple[str, int], stop: Stop) -> tuple[str, Outcome | None, str | None]:
        key, size = row
        address = address_of(key)
        assert address is not None
        problem = self._problem(address, stop, size)
        if problem is not None and problem[0] is Outcome.CORRUPT:
            self.archive.mark_damaged(address)
        return (key, *(problem or (None, None)))

    def _problem(
        self, address: Address, stop: Stop | None = None, size: int | None = None
    ) -> tuple[Outcome, str] | None:
        chunks, count = self.archive.read(address), 0
        try:
            for chunk in chunks if stop is None else stop.watched(chunks):
                count += len(chunk)
                if stop is not None:
                    self.progress.advance_file(0, len(chunk))
        except MissingObjectError:
            return Outcome.MISSING, "it is not in the archive"
        except DamagedObjectError as error:
            return Outcome.CORRUPT, error.problem
        except StoreError as error:
            return Outcome.UNREADABLE, error.problem
        if size not in (None, count):
            # The content is what its name says: the manifest is wrong.
            return Outcome.SIZE_DIFFERS, f"its content has {count} bytes, and a manifest says {size}"
        return None

    def _note(self, found: Iterable[tuple[str, Outcome | None, str | None]]) -> None:
        for key, outcome, reason in found:
            self.catalogue.run("UPDATE wanted SET outcome = ?, reason = ? WHERE key = ?", outcome, reason, key)

    def findings(self, snapshots: list[str]) -> Iterator[Finding]:
        """Every file of which something is wrong, each row once."""
        if not snapshots and not self.broken:
            # A store that was emptied, or another place than was meant, is not well.
            reason = "there is no snapshot in it, so that nothing was compared"
            yield Finding(Outcome.MISSING, object=SNAPSHOTS, reason=reason)
        if self.catalogue.one("SELECT 1 FROM wanted WHERE outcome NOT NULL") is None:
            return
        for snapshot in snapshots:
            try:
                yield from self._findings_of(snapshot)
            except MissingObjectError:
                self.pruned.add(snapshot)
        if self.pruned:
            # What only these had is wanted no more, nor is it an orphan.
            untold = "wanted WHERE outcome NOT NULL AND key NOT IN (SELECT key FROM told)"
            self.catalogue.run(f"INSERT OR IGNORE INTO needed SELECT key FROM {untold}")
            self.catalogue.run(f"DELETE FROM {untold}")

    def _findings_of(self, snapshot: str) -> Iterator[Finding]:
        for entry in self.archive.entries(snapshot):
            bad = self.catalogue.one(
                "SELECT outcome, reason FROM wanted WHERE key = ? AND outcome NOT NULL", entry.address.key
            )
            if bad is None:
                continue
            row = (entry.address.key, entry.table, entry.column, json.dumps([entry.key, entry.index]))
            if self.catalogue.one("SELECT 1 FROM told WHERE (key, tbl, col, row) = (?, ?, ?, ?)", *row) is None:
                self.catalogue.run("INSERT INTO told VALUES (?, ?, ?, ?)", *row)
                yield Finding(
                    Outcome(bad[0]),
                    entry.table,
                    entry.column,
                    entry.key,
                    entry.backend,
                    entry.path,
                    entry.address.key,
                    entry.size,
                    bad[1],
                )

    def pushes_meanwhile(self) -> list[str]:
        """Who is pushing; what was pushed since the snapshots were read is wanted, too.

        Asked after the listing, in this order: a push whose objects were listed is at work, or its snapshot is there.
        """
        at_work = self.archive.at_work(LockKind.PUSH)
        for snapshot in set(self.archive.snapshot_ids()) - self.seen:
            with suppress(MissingObjectError, StoreError):
                self._need(self.archive.entries(snapshot))
        return at_work

    def _need(self, entries: Iterable[FileEntry]) -> None:
        self.catalogue.run_many("INSERT OR IGNORE INTO needed VALUES (?)", ((entry.address.key,) for entry in entries))

    def orphans(self, told: bool) -> Iterator[Finding]:
        """Objects that no snapshot needs and no row was pointed at; the unrecognised alone if others are not `told`."""
        try:
            for _, entries in self.archive.moved():
                self._need(entries)
        except StoreError as error:
            told = False
            yield Finding(Outcome.DAMAGED_MANIFEST, object=error.subject, reason=error.problem)
        for key, size in self.catalogue.stream(
            "SELECT key, size FROM object WHERE key NOT IN (SELECT key FROM wanted) "
            "AND key NOT IN (SELECT key FROM needed) ORDER BY key"
        ):
            if address_of(key) is None:
                yield Finding(
                    Outcome.UNRECOGNISED, object=key, size=size, reason="it is not named like an object of an archive"
                )
            elif told:
                yield Finding(Outcome.ORPHAN, object=key, size=size, reason="in no snapshot: a prune removes it")
