"""`toolkit archive audit`: rows without files and files without rows, without any snapshot."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, field

from toolkit.core.archive_manifest import OBJECT_GLOB
from toolkit.core.parallel import in_order
from toolkit.core.progress import Progress, Silent
from toolkit.engines import connect
from toolkit.engines.portable.connection import check_schema
from toolkit.errors import ToolkitError
from toolkit.operations.archive import collecting
from toolkit.operations.archive.backends import DEFAULT_STORE, JOBS, Backends, open_archive
from toolkit.operations.archive.collecting import LISTED_PATH, Collector
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.rows import default_backend, file_columns, file_tables
from toolkit.operations.archive.sharing import is_pointed_at, mentioned_in, needed_places, other_databases
from toolkit.operations.project import load_models
from toolkit.stores.catalogue import Catalogue

if TYPE_CHECKING:
    from toolkit.config import Config, Database

_SCHEMA = (
    collecting.SCHEMA
    + """
-- A live store's files, under the names that it lists.
CREATE TABLE listed (backend TEXT, path TEXT, size INTEGER, PRIMARY KEY (backend, path)) WITHOUT ROWID;
CREATE TABLE place (backend TEXT, path TEXT, PRIMARY KEY (backend, path)) WITHOUT ROWID;
-- Where rows point, under whatever name of the place, and where files were told that no row points at.
CREATE TABLE needed (location TEXT PRIMARY KEY) WITHOUT ROWID;
"""
)
# What an archive keeps, and what its snapshots are called, as SQLite's GLOB.
_OF_ARCHIVES = ("snapshots/*", "moved/*", "damaged/*", "locks/*", OBJECT_GLOB)
_SNAPSHOT = "snapshots/????????T??????Z-????????.jsonl.zst"


class BackendAudit(Struct, frozen=True):
    """One live store: `rows` point at `referenced` files there; of all its `files`, `unreferenced` have no row.

    `dangling` counts references to files that are not there. Sizes are in bytes. `problem`: why it could not be read.
    """

    backend: str
    place: str | None
    rows: int
    files: int
    bytes: int
    unreferenced: int
    unreferenced_bytes: int
    dangling: int
    problem: str | None = None


class AuditResult(Struct, frozen=True):
    """Each live store, and every row or file without its counterpart; how often the stores were asked, by kind."""

    source: str
    backends: tuple[BackendAudit, ...]
    findings: tuple[Finding, ...]
    seconds: float
    requests: Mapping[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether every row has its file, and every file a row."""
        return not self.findings


def audit(
    config: Config,
    source: str,
    *,
    store: str = DEFAULT_STORE,
    jobs: int = JOBS,
    progress: Progress | None = None,
) -> AuditResult:
    """Compare all rows that point at files with all files of the stores that they name. Nothing is written.

    A file that a row of another configured database points at, or one under another name of its place, has its row.
    `store` is the archive, which rows may have been moved to: objects there need no row.

    Raises:
        ToolkitError: the database cannot be read.
    """
    started = time.perf_counter()
    database = config.database(source)
    with Catalogue(_SCHEMA) as catalogue:
        run = _Audit(config, database, catalogue, Backends(config, store), store, jobs, progress or Silent())
        findings = run.read_rows()
        backends = []
        for key in run.backend_keys():
            problem, place = run.list_backend(key)
            found = list(run.compare(key, problem))
            findings += found
            backends.append(run.summed(key, place, problem, found))
    return AuditResult(
        database.name, tuple(backends), tuple(findings), time.perf_counter() - started, run.backends.requests()
    )


class _Audit(Struct, dict=True):
    """One audit: rows and listings stand in the catalogue."""

    config: Config
    database: Database
    catalogue: Catalogue
    backends: Backends
    store: str
    jobs: int
    progress: Progress

    def read_rows(self) -> list[Finding]:
        """Note what every row points at; the references that say nothing are returned."""
        self.metadata = load_models(self.config.of(self.database.name))
        self._are_rows_known = False
        specs = file_tables(self.metadata)
        self._declared = {
            key for spec in specs for column in file_columns(spec) if (key := default_backend(spec, column)) is not None
        }
        collector = Collector(
            self.catalogue,
            open_archive(self.config, self.store),
            self.backends,
            older_than=None,
            rehash=True,
            plain_only=False,
            jobs=self.jobs,
            progress=self.progress,
        )
        with connect(self.database) as connection:
            check_schema(connection, specs)
            malformed = collector.rows(connection, specs, dt.datetime.now(dt.UTC))
        self._mentioned = collector.mentioned
        self.catalogue.run(f"INSERT OR IGNORE INTO place SELECT DISTINCT backend, {LISTED_PATH} FROM live")
        return malformed

    def backend_keys(self) -> list[str]:
        """The stores that rows or models name."""
        named = {key for (key,) in self.catalogue.all("SELECT DISTINCT backend FROM live")}
        return sorted(named | self._declared)

    def list_backend(self, key: str) -> tuple[str | None, str | None]:
        """Note all files of a store; why that could not be done, and where the store is."""
        self.progress.step(f"list {key}")
        try:
            backend = self.backends.get(key)
            self.catalogue.run_many(
                "INSERT OR REPLACE INTO listed VALUES (?, ?, ?)",
                ((key, info.key, info.size) for info in backend.list()),
            )
            self._leave_out_archives(key)
        except ToolkitError as error:
            return error.fact, None
        return None, backend.name

    def _leave_out_archives(self, key: str) -> None:
        """What archives keep needs no row; they are known by their snapshots, in whichever folder they are."""
        found = self.catalogue.all("SELECT path FROM listed WHERE backend = ? AND path GLOB ?", key, f"*{_SNAPSHOT}")
        folders = {path[: -len(_SNAPSHOT)].removesuffix("moved/") for (path,) in found}
        if self.backends.is_archive(key):
            folders.add("")
        for folder in folders:
            for kept in _OF_ARCHIVES:
                self.catalogue.run(
                    "DELETE FROM listed WHERE backend = ? AND substr(path, 1, ?) = ? AND substr(path, ?) GLOB ? "
                    "AND (backend, path) NOT IN (SELECT backend, path FROM place)",
                    key,
                    len(folder),
                    folder,
                    len(folder) + 1,
                    kept,
                )

    def compare(self, key: str, problem: str | None) -> Iterator[Finding]:
        """Rows without files, files of another size than their row says, files without rows."""
        if problem is not None:
            yield Finding(Outcome.UNREADABLE, backend=key, reason=problem)
            return
        yield from self._without_files(key)
        for table, column, row, path, said, size in self.catalogue.stream(
            "SELECT tbl, col, key, file.path, said_size, listed.size FROM file JOIN listed "
            "ON listed.backend = file.backend AND listed.path = trim(file.path, '/') "
            "WHERE file.backend = ? AND said_size <> listed.size ORDER BY tbl, col, key, idx",
            key,
        ):
            yield Finding(
                Outcome.SIZE_DIFFERS,
                table,
                column,
                json.loads(row),
                key,
                path,
                size=size,
                reason=f"{size} bytes, but the row says {said}",
            )
        yield from self._without_rows(key)

    def _without_rows(self, key: str) -> Iterator[Finding]:
        """Files that no row points at, of any configured database, under whatever name of the place; each once."""
        for path, size in self.catalogue.pages(
            "SELECT path, size FROM listed WHERE backend = ? AND (backend, path) NOT IN "
            "(SELECT backend, path FROM place) AND path > ? ORDER BY path",
            key,
        ):
            if not self._are_rows_known:
                yield from self._know_rows()
            if not is_pointed_at(self.catalogue, self.backends, key, path):
                self.catalogue.run("INSERT INTO needed VALUES (?)", self.backends.location(key, path))
                yield Finding(Outcome.ORPHAN, backend=key, path=path, size=size, reason="no row points at it")

    def _know_rows(self) -> Iterator[Finding]:
        """Note all places that rows point at, which takes too long to do it for nothing; what cannot be read is told.

        A file that only rows of such a database point at would be taken for one without.
        """
        self._are_rows_known = True
        own = self.catalogue.pages("SELECT id, backend, path FROM live WHERE id > ? ORDER BY id")
        self._note_needed((self.backends.location(backend, path),) for _, backend, path in own)
        self._note_needed((mentioned_in(text),) for text in self._mentioned)
        for holder in other_databases(self.config, self.database, self.metadata):
            self.progress.step(f"read {holder.database.name}")
            try:
                self._note_needed(needed_places([holder], self.backends))
            except ToolkitError as error:
                reason = (
                    f"the rows of database {holder.database.name!r} may point at files that are listed as orphans: "
                )
                yield Finding(Outcome.UNREADABLE, reason=reason + error.fact)

    def _note_needed(self, places: Iterable[tuple[str]]) -> None:
        self.catalogue.run_many("INSERT OR IGNORE INTO needed VALUES (?)", places)

    def _without_files(self, key: str) -> Iterator[Finding]:
        """What the listing lacks is asked for singly: a path may be written in several ways."""
        rows = self.catalogue.pages(
            f"SELECT id, path FROM live WHERE backend = ? AND (backend, {LISTED_PATH}) NOT IN "
            "(SELECT backend, path FROM listed) AND id > ? ORDER BY id",
            key,
        )
        for path, outcome, reason in in_order(lambda row: self._looked_at(key, row[1]), rows, self.jobs):
            if outcome is None:
                continue
            for table, column, row in self.catalogue.all(
                "SELECT tbl, col, key FROM file WHERE backend = ? AND path = ? ORDER BY tbl, col, key, idx", key, path
            ):
                yield Finding(outcome, table, column, json.loads(row), key, path, reason=reason)

    def _looked_at(self, key: str, path: str) -> tuple[str, Outcome | None, str | None]:
        try:
            found = self.backends.get(key).info(path)
        except ToolkitError as error:
            return path, Outcome.UNREADABLE, error.fact
        return (path, None, None) if found else (path, Outcome.DANGLING, "there is no such file")

    def summed(self, key: str, place: str | None, problem: str | None, found: list[Finding]) -> BackendAudit:
        """One store in numbers."""
        (rows,) = self.catalogue.one("SELECT count(*) FROM file WHERE backend = ?", key)
        files, size = self.catalogue.one("SELECT count(*), total(size) FROM listed WHERE backend = ?", key)
        alone = [finding for finding in found if finding.outcome is Outcome.ORPHAN]
        dangling = sum(finding.outcome in (Outcome.DANGLING, Outcome.UNREADABLE) for finding in found)
        return BackendAudit(
            key,
            place,
            rows,
            files,
            int(size),
            len(alone),
            sum(each.size or 0 for each in alone),
            0 if problem else dangling,
            problem,
        )
