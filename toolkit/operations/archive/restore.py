"""`toolkit archive restore`: files back into the live store or a directory, and rows that lost them repaired."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from toolkit.core.archive_manifest import Address, FileEntry, Header, Scope, decode_entry
from toolkit.core.parallel import MEMORY_BYTES, STREAM_BYTES, Memory, Stop, in_order, in_parallel
from toolkit.core.progress import Progress, Silent
from toolkit.errors import ConfigurationError, DamagedObjectError, MissingObjectError, ToolkitError, UnknownNameError
from toolkit.models.loader import load_metadata
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.places import DEFAULT_STORE, JOBS, Backends, open_archive
from toolkit.operations.archive.repairing import Repairer
from toolkit.operations.archive.rows import Cell, cell_of, file_tables, read_cells, swap_cells
from toolkit.repositories import connect
from toolkit.repositories.base import check_schema
from toolkit.stores.catalogue import Catalogue
from toolkit.stores.safe_directory import SafeDirectory, hashed_name, safe_name, same_name

if TYPE_CHECKING:
    from toolkit.config import Config, Database
    from toolkit.core.tables import Conditions, TableSpec
    from toolkit.stores.archive import Archive
    from toolkit.stores.live import LiveBackend

_SCHEMA = """
CREATE TABLE entry (id INTEGER PRIMARY KEY, tbl TEXT, col TEXT, key TEXT, idx INTEGER, line TEXT);
CREATE INDEX entry_row ON entry (tbl, col, key);
-- Rows as they are now, of those columns that the snapshot has.
CREATE TABLE cell (tbl TEXT, col TEXT, key TEXT, held TEXT, PRIMARY KEY (tbl, col, key)) WITHOUT ROWID;
-- Places to restore to, each once. `state`: '' is to be looked at, then what was found, then what was done.
CREATE TABLE target (id INTEGER PRIMARY KEY, backend TEXT, path TEXT, sha TEXT, compressed INTEGER, size INTEGER,
    content_type TEXT, state TEXT, outcome TEXT, reason TEXT, UNIQUE (backend, path));
CREATE TABLE use (entry INTEGER, target INTEGER);
CREATE INDEX use_target ON use (target);
CREATE INDEX use_entry ON use (entry);
CREATE TABLE repair (id INTEGER PRIMARY KEY, tbl TEXT, col TEXT, key TEXT, old TEXT, new TEXT);
CREATE TABLE name (name TEXT PRIMARY KEY, is_file INTEGER) WITHOUT ROWID;
"""
_ROWS = 500
_NEW, _SAME, _OTHER, _DONE, _FAILED = "to be written", "same", "other content", "written", "failed"


class _NotReadError(Exception):
    """An object of the archive that cannot be read, as opposed to a file that cannot be written."""


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """Where to, and what of it.

    Without `backend` (a key) and `directory`, every file goes where it was. `only` has, by table, a condition in the
    database's own SQL, or several that hold together. `overwrite`: files with other content, and rows that point at
    other files that are there. `rowless`: also files whose rows are gone.
    """

    backend: str | None = None
    directory: Path | None = None
    only: Conditions = field(default_factory=dict)
    overwrite: bool = False
    rowless: bool = False
    jobs: int = JOBS


@dataclass(frozen=True, slots=True)
class RowRepair:
    """One row's column of files: what it held, and what it holds now (or would hold); as JSON text."""

    table: str
    column: str
    key: Mapping[str, Any]
    old: str | None
    new: str


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What was restored, or (`dry_run`) would be. Sizes are in bytes.

    `database` and `scope` say which rows the snapshot is of. `files` counts places, each once: `written`, there already
    with the `same` content, or left as they are because they have `other` content. `mapping` is the file that says
    where in a directory each file of the snapshot is.
    """

    archive: str
    snapshot: str
    database: str
    scope: Scope
    target: str
    dry_run: bool
    files: int
    written: int
    written_bytes: int
    same: int
    other: int
    repairs: tuple[RowRepair, ...]
    mapping: str | None
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every file of the snapshot is where it should be."""
        return not self.findings


def restore(
    config: Config,
    snapshot: str,
    *,
    store: str = DEFAULT_STORE,
    source: str | None = None,
    options: RestoreOptions | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> RestoreResult:
    """Bring the files of a snapshot back, each compared with its hash as it is written; then repair rows.

    `source` is the database whose rows point at the files; only a restore to a directory goes without. Rows that were
    deleted are not made again.

    Raises:
        UnknownNameError: no such snapshot or backend.
        ToolkitError: the archive or the database cannot be read.
    """
    started = time.perf_counter()
    options = options or RestoreOptions()
    if source is None and (options.directory is None or options.only):
        raise ConfigurationError("A restore needs the database whose rows point at the files.", "Name it with --from.")
    archive = open_archive(config, store)
    # Keys mean other rows in another database; after a migration to a new one, there is only the old one's snapshot.
    header = archive.find(snapshot) if source is None else _find(archive, snapshot, config.database(source))
    with Catalogue(_SCHEMA) as catalogue:
        run = _Restore(config, archive, header, store, source, options, catalogue, progress or Silent())
        run.plan()
        if not dry_run:
            run.execute()
        return run.result(dry_run, started)


def _find(archive: Archive, snapshot: str, database: Database) -> Header:
    with connect(database) as connection:
        return archive.find(snapshot, database.name, connection.identity())


class _Restore:
    """One restore: its plan stands in the catalogue."""

    def __init__(
        self,
        config: Config,
        archive: Archive,
        header: Header,
        store: str,
        source: str | None,
        options: RestoreOptions,
        catalogue: Catalogue,
        progress: Progress,
    ) -> None:
        self._archive, self._header, self._options = archive, header, options
        self._catalogue, self._progress = catalogue, progress
        self._database: Database | None = None if source is None else config.database(source)
        self._metadata = None if source is None else load_metadata(config.metadata, config.root)
        self._specs = {} if self._metadata is None else {spec.name: spec for spec in file_tables(self._metadata)}
        self._backends = Backends(config, store)
        self._directory = None if options.directory is None else SafeDirectory(options.directory)
        if options.backend is not None:
            self._backends.get(options.backend)
        self._findings: list[Finding] = []
        self._repaired: list[RowRepair] | None = None
        self._stop, self._memory = Stop(), Memory(MEMORY_BYTES)
        self._repairer = Repairer(
            options.backend, options.overwrite, self._backends.archived, self._is_there
        )

    # -- the plan ----------------------------------------------------------------------------------------------------

    def plan(self) -> None:
        """Find out which files are to be written and which rows are to be changed; nothing is written."""
        self._progress.step(f"read snapshot {self._header.id}", self._header.files)
        self._catalogue.run_many(
            "INSERT INTO entry (tbl, col, key, idx, line) VALUES (?, ?, ?, ?, ?)",
            (
                (e.table, e.column, json.dumps(e.key, ensure_ascii=False), e.index, msgspec.json.encode(e).decode())
                for e in self._archive.entries(self._header.id)
            ),
        )
        if self._database is not None and (self._directory is None or self._options.only):
            self._read_rows(self._database)
        rows = self._catalogue.stream(
            "SELECT id, tbl, col, key, line FROM entry ORDER BY tbl, col, key, coalesce(idx, 0), id"
        )
        groups = ([*group] for _, group in groupby(rows, key=lambda row: row[1:4]))
        # In order, so that a dry run gives names in a directory as the real one does.
        for repair, targets, findings in in_order(self._planned_row, groups, self._options.jobs):
            self._findings += findings
            for number, entry in targets:
                self._aim(number, entry)
            if repair is not None:
                self._catalogue.run("INSERT INTO repair (tbl, col, key, old, new) VALUES (?, ?, ?, ?, ?)", *repair)
        self._look_at_targets()

    def _read_rows(self, database: Database) -> None:
        """Note what the rows hold now, those that meet the condition."""
        assert self._metadata is not None
        needed = {table for (table,) in self._catalogue.all("SELECT DISTINCT tbl FROM entry")}
        for table in self._options.only:
            if table not in needed:
                raise UnknownNameError("table", table, needed, f"snapshot {self._header.id}")
        known = sorted(needed & set(self._specs))
        specs = file_tables(self._metadata, known, self._options.only) if known else ()
        with connect(database) as connection:
            check_schema(connection, specs)
            for spec in specs:
                if self._options.only and spec.name not in self._options.only:
                    continue
                self._progress.step(f"read {spec.name}")
                self._catalogue.run_many(
                    "INSERT INTO cell VALUES (?, ?, ?, ?)",
                    (
                        (cell.table, cell.column, json.dumps(cell.key, ensure_ascii=False), cell.held)
                        for cell in read_cells(connection, spec)
                    ),
                )

    def _planned_row(
        self, rows: Sequence[tuple[int, str, str, str, str]]
    ) -> tuple[tuple[Any, ...] | None, list[tuple[int, FileEntry]], list[Finding]]:
        """What is to be done about one row: its repair, its files, and what is worth telling."""
        _, table, column, key, _ = rows[0]
        entries = [(number, decode_entry(line)) for number, *_, line in rows]
        held = self._catalogue.one("SELECT held FROM cell WHERE (tbl, col, key) = (?, ?, ?)", table, column, key)
        if self._options.only and held is None:
            return None, [], []
        if self._directory is not None:
            return None, entries, []
        if held is None:
            left = ": its file was left in the archive (--rowless restores it, too)"
            reason = "no such row any more" + ("" if self._options.rowless else left)
            gone = Finding(Outcome.ROW_GONE, table, column, json.loads(key), reason=reason)
            return None, entries if self._options.rowless else [], [gone]
        cell = self._cell(table, column, json.loads(key), held[0])
        repair = self._repairer.repair(cell, [entry for _, entry in entries])
        findings = []
        if repair.outcome is not None:
            findings = [Finding(repair.outcome, table, column, cell.key, reason=repair.reason)]
            if self._options.backend is None:
                # Only what the row points at, or will.
                after = self._cell(table, column, cell.key, held[0] if repair.text is None else repair.text)
                named = {(each.backend, each.path) for each in after.references}
                entries = [(number, entry) for number, entry in entries if self._repairer.place(entry) in named]
        change = None if repair.text is None else (table, column, key, held[0], repair.text)
        return change, entries, findings

    def _cell(self, table: str, column: str, key: Mapping[str, Any], held: str | None) -> Cell:
        return cell_of(self._spec(table), column, key, held)

    def _spec(self, table: str) -> TableSpec:
        return self._specs[table]

    def _is_there(self, backend: str, path: str) -> bool:
        try:
            return self._backends.get(backend).info(path) is not None
        except ToolkitError:
            return False

    def _aim(self, number: int, entry: FileEntry) -> None:
        """Note where one file of the snapshot goes."""
        if self._directory is None:
            backend, path = self._repairer.place(entry)
        else:
            backend, path = "", self._file_name(entry)
        self._catalogue.run(
            "INSERT OR IGNORE INTO target (backend, path, sha, compressed, size, content_type, state) "
            "VALUES (?, ?, ?, ?, ?, ?, '')",
            backend, path, entry.sha256, entry.address.compressed, entry.size, entry.content_type,
        )  # fmt: skip
        target, sha = self._catalogue.one("SELECT id, sha FROM target WHERE (backend, path) = (?, ?)", backend, path)
        if sha == entry.sha256:
            self._catalogue.run("INSERT INTO use VALUES (?, ?)", number, target)
            return
        reason = "another file of the snapshot has its name, and is restored"
        self._findings.append(
            Finding(
                Outcome.KEPT, entry.table, entry.column, entry.key, backend, path, entry.address.key, entry.size, reason
            )
        )

    def _file_name(self, entry: FileEntry) -> str:
        """A name in the directory that no other file of the snapshot has, nor a folder of one."""
        name = safe_name(entry.backend, entry.path)
        if name != hashed_name(entry.backend, entry.path) and self._is_taken(name, entry):
            name = hashed_name(entry.backend, entry.path)
        if self._catalogue.one("SELECT 1 FROM target WHERE path = ? AND sha <> ?", name, entry.sha256):
            name = f"{hashed_name(entry.backend, entry.path)}-{entry.sha256[:16]}"
        parts = same_name(name).split("/")
        for depth in range(1, len(parts)):
            self._catalogue.run("INSERT OR IGNORE INTO name VALUES (?, 0)", "/".join(parts[:depth]))
        self._catalogue.run("INSERT OR IGNORE INTO name VALUES (?, 1)", "/".join(parts))
        return name

    def _is_taken(self, name: str, entry: FileEntry) -> bool:
        if self._catalogue.one("SELECT 1 FROM target WHERE path = ? AND sha = ?", name, entry.sha256):
            return False
        same = same_name(name)
        if self._catalogue.one("SELECT 1 FROM name WHERE name = ?", same):
            return True
        folders = ["/".join(same.split("/")[:depth]) for depth in range(1, same.count("/") + 1)]
        return any(self._catalogue.one("SELECT 1 FROM name WHERE name = ? AND is_file", each) for each in folders)

    def _look_at_targets(self) -> None:
        """Compare what is there already with what is to be there, by content."""
        count, size = self._catalogue.one("SELECT count(*), total(size) FROM target")
        self._progress.files("look at files that are there", count, int(size))
        rows = self._catalogue.pages(
            "SELECT id, backend, path, sha, size FROM target WHERE state = '' AND id > ? ORDER BY id"
        )
        for number, state, outcome, reason in in_parallel(self._looked_at, rows, self._options.jobs, self._stop):
            self._set(number, state, outcome, reason)
            self._progress.advance_file(1, 0)

    def _looked_at(self, row: tuple[int, str, str, str, int]) -> tuple[int, str, Outcome | None, str | None]:
        number, backend, path, sha, size = row
        try:
            live = self._live(backend)
            info = live.info(path)
            if info is None:
                return number, _NEW, None, None
            if info.size == size and self._hash(live.read(path)) == sha:
                return number, _SAME, None, None
        except MissingObjectError:
            return number, _NEW, None, None
        except ToolkitError as error:
            return number, _FAILED, Outcome.UNWRITABLE, error.fact
        if self._options.overwrite:
            return number, _NEW, None, None
        return number, _OTHER, Outcome.KEPT, f"a file of {info.size} bytes with other content is there"

    def _hash(self, chunks: Iterator[bytes]) -> str:
        digest = hashlib.sha256()
        for chunk in self._stop.watched(chunks):
            digest.update(chunk)
        return digest.hexdigest()

    def _live(self, backend: str) -> LiveBackend | SafeDirectory:
        return self._backends.get(backend) if self._directory is None else self._directory

    def _set(self, number: int, state: str, outcome: Outcome | None, reason: str | None) -> None:
        self._catalogue.run(
            "UPDATE target SET state = ?, outcome = ?, reason = ? WHERE id = ?", state, outcome, reason, number
        )

    # -- its execution -----------------------------------------------------------------------------------------------

    def execute(self) -> None:
        """Write the files, then change the rows whose files are there."""
        count, size = self._catalogue.one("SELECT count(*), total(size) FROM target WHERE state = ?", _NEW)
        self._progress.files("restore", count, int(size))
        rows = self._catalogue.pages(
            "SELECT id, backend, path, sha, compressed, size, content_type FROM target WHERE state = ? AND id > ? "
            "ORDER BY id",
            _NEW,
        )
        for number, outcome, reason in in_parallel(self._write, rows, self._options.jobs, self._stop):
            self._set(number, _FAILED if outcome else _DONE, outcome, reason)
            self._progress.advance_file(1, 0)
        if self._directory is not None:
            self._write_mapping(self._directory)
        self._repair_rows()

    def _write(self, row: tuple[Any, ...]) -> tuple[int, Outcome | None, str | None]:
        number, backend, path, sha, compressed, size, content_type = row
        address = Address(sha, bool(compressed))
        try:
            with self._memory.taken(min(size, STREAM_BYTES)):
                self._live(backend).write(path, self._content(address), size=size, content_type=content_type)
        except MissingObjectError as error:
            return number, Outcome.MISSING, error.fact
        except DamagedObjectError as error:
            return number, Outcome.CORRUPT, error.problem
        except _NotReadError as error:
            return number, Outcome.UNREADABLE, str(error)
        except ToolkitError as error:
            return number, Outcome.UNWRITABLE, error.fact
        return number, None, None

    def _content(self, address: Address) -> Iterator[bytes]:
        """An object's content; that it has its hash is known before its last piece is accepted as such."""
        try:
            for chunk in self._stop.watched(self._archive.read(address)):
                self._progress.advance_file(0, len(chunk))
                yield chunk
        except (MissingObjectError, DamagedObjectError):
            raise
        except ToolkitError as error:
            raise _NotReadError(error.fact) from error

    def _write_mapping(self, directory: SafeDirectory) -> None:
        directory.write(self._mapping, self._mapped())

    @property
    def _mapping(self) -> str:
        return f"{self._header.id}.jsonl"

    def _mapped(self) -> Iterator[bytes]:
        """A line for each file of the snapshot that is in the directory: where, and all that the manifest says."""
        for line, path in self._catalogue.stream(
            "SELECT line, path FROM entry JOIN use ON entry.id = use.entry JOIN target ON target.id = use.target "
            "WHERE state IN (?, ?) ORDER BY entry.id",
            _DONE, _SAME,
        ):  # fmt: skip
            yield b'{"restored_to":' + msgspec.json.encode(path) + b"," + line.encode()[1:] + b"\n"

    def _repair_rows(self) -> None:
        """Change rows, a few in each transaction, if they still hold what they did and their files are there."""
        self._repaired = []
        rows = self._catalogue.stream(f"{_REPAIRS} ORDER BY tbl, col, key", _DONE, _SAME)
        for (table, column), group in groupby(rows, key=lambda row: (row[0], row[1])):
            waiting: list[tuple[str, str | None, str]] = []
            for _, _, key, old, new in group:
                waiting.append((key, old, new))
                if len(waiting) == _ROWS:
                    self._swap(table, column, waiting)
                    waiting = []
            if waiting:
                self._swap(table, column, waiting)

    def _swap(self, table: str, column: str, changes: Sequence[tuple[str, str | None, str]]) -> None:
        assert self._database is not None
        assert self._repaired is not None
        self._progress.step(f"repair rows of {table}", len(changes))
        cells = [(self._cell(table, column, json.loads(key), old), new) for key, old, new in changes]
        with connect(self._database, write=True) as connection:
            took = swap_cells(connection, self._spec(table), column, cells)
            connection.commit()
        for (cell, new), done in zip(cells, took, strict=True):
            if done:
                self._repaired.append(RowRepair(table, column, cell.key, cell.held, new))
            else:
                reason = "it was changed or deleted since it was read, and left as it is"
                self._findings.append(Finding(Outcome.ROW_CHANGED, table, column, cell.key, reason=reason))

    # -- the result --------------------------------------------------------------------------------------------------

    def result(self, dry_run: bool, started: float) -> RestoreResult:
        """What the catalogue says now."""
        written = _NEW if dry_run else _DONE
        counts = {state: (number, int(size)) for state, number, size in self._catalogue.all(
            "SELECT state, count(*), total(size) FROM target GROUP BY state"
        )}  # fmt: skip
        repairs = self._repaired
        if repairs is None:
            planned = self._catalogue.stream("SELECT tbl, col, key, old, new FROM repair ORDER BY tbl, col, key")
            repairs = [RowRepair(table, column, json.loads(key), old, new) for table, column, key, old, new in planned]
        return RestoreResult(
            archive=self._archive.name,
            snapshot=self._header.id,
            database=self._header.database,
            scope=self._header.scope,
            target=self._options.backend or (self._directory.name if self._directory else "where they were"),
            dry_run=dry_run,
            files=sum(number for number, _ in counts.values()),
            written=counts.get(written, (0, 0))[0],
            written_bytes=counts.get(written, (0, 0))[1],
            same=counts.get(_SAME, (0, 0))[0],
            other=counts.get(_OTHER, (0, 0))[0],
            repairs=tuple(repairs),
            mapping=None if self._directory is None else f"{self._directory.name}/{self._mapping}",
            findings=(*self._findings, *self._failed()),
            seconds=time.perf_counter() - started,
        )

    def _failed(self) -> Iterator[Finding]:
        for table, column, key, backend, path, size, sha, compressed, outcome, reason in self._catalogue.stream(
            "SELECT tbl, col, key, backend, path, target.size, sha, compressed, outcome, reason FROM target "
            "JOIN use ON use.target = target.id JOIN entry ON entry.id = use.entry "
            "WHERE outcome NOT NULL ORDER BY tbl, col, key, idx"
        ):
            yield Finding(
                Outcome(outcome), table, column, json.loads(key), backend or None, path,
                Address(sha, bool(compressed)).key, size, reason,
            )  # fmt: skip


# The rows none of whose files failed: a row is not pointed at a file that is not there.
_REPAIRS = (
    "SELECT tbl, col, key, old, new FROM repair WHERE NOT EXISTS (SELECT 1 FROM entry JOIN use ON entry.id = use.entry "
    "JOIN target ON target.id = use.target WHERE (entry.tbl, entry.col, entry.key) = (repair.tbl, repair.col, "
    "repair.key) AND state NOT IN (?, ?))"
)
