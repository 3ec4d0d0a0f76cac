"""`toolkit archive restore`: files back into the live store or a directory, and rows that lost them repaired."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from toolkit.core.archive_manifest import Address, FileEntry, Header, Lacking, Scope, decode_entry
from toolkit.core.parallel import MEMORY_BYTES, STREAM_BYTES, Memory, Stop, in_order, in_parallel
from toolkit.core.progress import Progress, Silent
from toolkit.engines import connect
from toolkit.engines.portable.connection import check_schema
from toolkit.errors import ConfigurationError, DamagedObjectError, MissingObjectError, ToolkitError, UnknownNameError
from toolkit.models.loader import load_metadata
from toolkit.operations.archive import lacking, targets
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.places import DEFAULT_STORE, JOBS, Backends, open_archive
from toolkit.operations.archive.repairing import Repairer
from toolkit.operations.archive.rows import Cell, cell_of, file_columns, file_tables, read_cells, swap_cells
from toolkit.operations.archive.sharing import present
from toolkit.operations.archive.targets import DONE, FAILED, NEW, OTHER, SAME, Targets
from toolkit.stores.catalogue import Catalogue
from toolkit.stores.safe_directory import SafeDirectory

if TYPE_CHECKING:
    from toolkit.config import Config, Database
    from toolkit.core.tables import Conditions, TableSpec
    from toolkit.stores.archive import Archive

_SCHEMA = """
CREATE TABLE entry (id INTEGER PRIMARY KEY, tbl TEXT, col TEXT, key TEXT, idx INTEGER, line TEXT);
CREATE INDEX entry_row ON entry (tbl, col, key);
-- Rows as they are now, of those columns that the snapshot has.
CREATE TABLE cell (tbl TEXT, col TEXT, key TEXT, held TEXT, PRIMARY KEY (tbl, col, key)) WITHOUT ROWID;
CREATE TABLE repair (id INTEGER PRIMARY KEY, tbl TEXT, col TEXT, key TEXT, old TEXT, new TEXT);
"""
_ROWS = 500


class _NotReadError(Exception):
    """An object of the archive that cannot be read, as opposed to a file that cannot be written."""


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """Where to, and what of it.

    Without `backend` and `directory`, every file goes where it was; `backend` is the key of a live store, or such a key
    for each backend that files were in (`""`: for all others). `only` has, by table, a condition in the database's own
    SQL, or several that hold together. `overwrite`: files with other content, and rows that point at other files that
    are there. `rowless`: also files whose rows are gone.
    """

    backend: str | Mapping[str, str] | None = None
    directory: Path | None = None
    only: Conditions = field(default_factory=dict)
    overwrite: bool = False
    rowless: bool = False
    jobs: int = JOBS

    @property
    def backends(self) -> Mapping[str, str]:
        """By backend that files were in, the one that they go to; "" stands for all others."""
        return self.backend if isinstance(self.backend, Mapping) else {"": self.backend} if self.backend else {}

    def backend_of(self, key: str) -> str:
        """Where files of a backend go."""
        return self.backends.get(key) or self.backends.get("") or key

    @property
    def target(self) -> str:
        """Where to, for a message."""
        shown = ", ".join(f"{key} to {to}" if key else to for key, to in self.backends.items())
        return shown or (str(self.directory) if self.directory else "where they were")


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
    with Catalogue(_SCHEMA + targets.SCHEMA) as catalogue:
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
        for key in options.backends.values():
            self._backends.get(key)
        self._findings: list[Finding] = []
        self._repaired: list[RowRepair] | None = None
        self._stop, self._memory = Stop(), Memory(MEMORY_BYTES)
        self._repairer = Repairer(options.backend_of, options.overwrite, self._backends.archived, self._is_gone)
        self._targets = Targets(
            catalogue, self._backends, self._directory, self._repairer.place, options.jobs, progress, self._stop
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
        self._require_backends()
        if self._database is not None and (self._directory is None or self._options.only):
            self._read_rows(self._database)
        rows = self._catalogue.stream(
            "SELECT id, tbl, col, key, line FROM entry ORDER BY tbl, col, key, coalesce(idx, 0), id"
        )
        groups = ([*group] for _, group in groupby(rows, key=lambda row: row[1:4]))
        # In order, so that a dry run gives names in a directory as the real one does.
        for repair, aims, findings in in_order(self._planned_row, groups, self._options.jobs):
            self._findings += findings
            for aim in aims:
                self._targets.aim(*aim)
            if repair is not None:
                self._catalogue.run("INSERT INTO repair (tbl, col, key, old, new) VALUES (?, ?, ?, ?, ?)", *repair)
        self._findings += lacking.told(self._archive, self._header, self._is_asked_for)
        self._tell_empty_conditions()
        self._targets.tell_collisions()
        self._targets.look()
        if self._options.overwrite:
            self._targets.overwrite(self._pointers())

    def _pointers(self) -> Iterator[tuple[str, str, str, str]]:
        """Where every file is that a row points at now, and the row; those in a directory are no row's."""
        if self._database is None or self._metadata is None or self._directory is not None:
            return
        with connect(self._database) as connection:
            for spec in present(connection, self._metadata):
                for cell in read_cells(connection, spec):
                    key = json.dumps(cell.key, ensure_ascii=False)
                    for each in cell.references:
                        yield self._backends.location(each.backend, each.path), cell.table, cell.column, key

    def _is_asked_for(self, file: Lacking) -> bool:
        """Whether a file that the snapshot lacks would be restored if it were there: its row is, if that matters."""
        if self._database is None or (self._options.rowless and not self._options.only):
            return True
        row = file.table, file.column, json.dumps(file.key, ensure_ascii=False)
        return self._catalogue.one("SELECT 1 FROM cell WHERE (tbl, col, key) = (?, ?, ?)", *row) is not None

    def _require_backends(self) -> None:
        """Refuse a backend that no file of the snapshot was in: a misspelt one would leave files where they were."""
        known = {key for (key,) in self._catalogue.all("SELECT DISTINCT json_extract(line, '$.backend') FROM entry")}
        for key in self._options.backends:
            if key and key not in known:
                raise UnknownNameError("backend", key, known, f"snapshot {self._header.id}")

    def _read_rows(self, database: Database) -> None:
        """Note what the rows hold now, those that meet the condition."""
        assert self._metadata is not None
        needed = {table for (table,) in self._catalogue.all("SELECT DISTINCT tbl FROM entry")}
        needed |= {each.table for each in self._archive.lacking(self._header)}
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

    def _tell_empty_conditions(self) -> None:
        """Say of a condition that it finds nothing, as it does not find a row that was deleted."""
        for spec in (self._specs[table] for table in self._options.only):
            found = self._catalogue.one("SELECT 1 FROM entry JOIN cell USING (tbl, col, key) WHERE tbl = ?", spec.name)
            if found is not None or any(finding.table == spec.name for finding in self._findings):
                continue
            reason = (
                "no row that meets the condition now is in the snapshot; for one that was deleted, restore without "
                "--only: all that is missing with --rowless, or to a directory with --to"
            )
            columns = ", ".join(file_columns(spec))
            self._findings.append(Finding(Outcome.ROW_GONE, spec.name, columns, reason=reason))

    def _planned_row(
        self, rows: Sequence[tuple[int, str, str, str, str]]
    ) -> tuple[tuple[Any, ...] | None, list[tuple[int, FileEntry, bool]], list[Finding]]:
        """What is to be done about one row: its repair, its files, and what is worth telling."""
        _, table, column, key, _ = rows[0]
        entries = [(number, decode_entry(line), False) for number, *_, line in rows]
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
        repair = self._repairer.repair(cell, [entry for _, entry, _ in entries])
        now = {(each.backend, each.path) for each in cell.references}
        entries = [(number, entry, self._repairer.place(entry) in now) for number, entry, _ in entries]
        findings = []
        if repair.outcome is not None:
            findings = [Finding(repair.outcome, table, column, cell.key, reason=repair.reason)]
            # Only what the row points at, or will; or what was sent elsewhere.
            after = self._cell(table, column, cell.key, held[0] if repair.text is None else repair.text)
            named = {(each.backend, each.path) for each in after.references}
            entries = [each for each in entries if self._is_wanted(each[1], named)]
        change = None if repair.text is None else (table, column, key, held[0], repair.text)
        return change, entries, findings

    def _cell(self, table: str, column: str, key: Mapping[str, Any], held: str | None) -> Cell:
        return cell_of(self._spec(table), column, key, held)

    def _spec(self, table: str) -> TableSpec:
        return self._specs[table]

    def _is_wanted(self, entry: FileEntry, named: set[tuple[str, str]]) -> bool:
        return self._options.backend_of(entry.backend) != entry.backend or self._repairer.place(entry) in named

    def _is_gone(self, backend: str, path: str) -> bool:
        """Whether there is no such file; of a store that cannot be asked, nobody knows."""
        try:
            return self._backends.get(backend).info(path) is None
        except ToolkitError:
            return False

    # -- its execution -----------------------------------------------------------------------------------------------

    def execute(self) -> None:
        """Write the files, then change the rows whose files are there."""
        count, size = self._catalogue.one("SELECT count(*), total(size) FROM target WHERE state = ?", NEW)
        self._progress.files("restore", count, int(size))
        rows = self._catalogue.pages(
            "SELECT id, backend, path, sha, compressed, size, content_type FROM target WHERE state = ? AND id > ? "
            "ORDER BY id",
            NEW,
        )
        for number, outcome, reason in in_parallel(self._write, rows, self._options.jobs, self._stop):
            self._targets.note(number, FAILED if outcome else DONE, outcome, reason)
            self._progress.advance_file(1, 0)
        if self._directory is not None:
            self._write_mapping(self._directory)
        self._repair_rows()

    def _write(self, row: tuple[Any, ...]) -> tuple[int, Outcome | None, str | None]:
        number, backend, path, sha, compressed, size, content_type = row
        address = Address(sha, bool(compressed))
        try:
            with self._memory.taken(min(size, STREAM_BYTES)):
                self._targets.live(backend).write(path, self._content(address), size=size, content_type=content_type)
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
            DONE,
            SAME,
        ):
            yield b'{"restored_to":' + msgspec.json.encode(path) + b"," + line.encode()[1:] + b"\n"

    def _repair_rows(self) -> None:
        """Change rows, a few in each transaction, if they still hold what they did and their files are there."""
        self._repaired = []
        rows = self._catalogue.stream(f"{_REPAIRS} ORDER BY tbl, col, key", DONE, SAME)
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
        written = NEW if dry_run else DONE
        counts = {
            state: (number, int(size))
            for state, number, size in self._catalogue.all(
                "SELECT state, count(*), total(size) FROM target GROUP BY state"
            )
        }
        repairs = self._repaired
        if repairs is None:
            planned = self._catalogue.stream(f"{_REPAIRS} ORDER BY tbl, col, key", NEW, SAME)
            repairs = [RowRepair(table, column, json.loads(key), old, new) for table, column, key, old, new in planned]
        return RestoreResult(
            archive=self._archive.name,
            snapshot=self._header.id,
            database=self._header.database,
            scope=self._header.scope,
            target=self._options.target,
            dry_run=dry_run,
            files=sum(number for number, _ in counts.values()),
            written=counts.get(written, (0, 0))[0],
            written_bytes=counts.get(written, (0, 0))[1],
            same=counts.get(SAME, (0, 0))[0],
            other=counts.get(OTHER, (0, 0))[0],
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
                Outcome(outcome),
                table,
                column,
                json.loads(key),
                backend or None,
                path,
                Address(sha, bool(compressed)).key,
                size,
                reason,
            )


# The rows none of whose files failed: a row is not pointed at a file that is not there.
_REPAIRS = (
    "SELECT tbl, col, key, old, new FROM repair WHERE NOT EXISTS (SELECT 1 FROM entry JOIN use ON entry.id = use.entry "
    "JOIN target ON target.id = use.target WHERE (entry.tbl, entry.col, entry.key) = (repair.tbl, repair.col, "
    "repair.key) AND state NOT IN (?, ?))"
)
