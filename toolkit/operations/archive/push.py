"""`toolkit archive push`: every file that rows point at, into the archive; then the manifest of what was seen."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from toolkit.core.archive_manifest import FORMAT, OBJECT_GLOB, FileEntry, Header, Scope, new_snapshot_id
from toolkit.core.durations import show_duration
from toolkit.core.progress import Progress, Silent
from toolkit.core.retention import CLOCKS_DIFFER
from toolkit.core.tables import choose_tables
from toolkit.engines import connect
from toolkit.engines.portable.connection import check_schema
from toolkit.errors import ConfigurationError, ToolkitError
from toolkit.operations.archive import collecting, moving
from toolkit.operations.archive.backends import DEFAULT_STORE, Backends, open_archive
from toolkit.operations.archive.checking import note_checksums
from toolkit.operations.archive.collecting import Collector, State
from toolkit.operations.archive.dangling import failed
from toolkit.operations.archive.entries import archived_entries
from toolkit.operations.archive.lacking import differing, lacking_files
from toolkit.operations.archive.moving import Mover
from toolkit.operations.archive.outcomes import Finding
from toolkit.operations.archive.push_values import ColumnPush, PushOptions, PushResult
from toolkit.operations.archive.rows import AGE_COLUMN, age_column, file_columns, file_tables
from toolkit.operations.archive.sending import Sender
from toolkit.operations.archive.sending_parts import PartSender, told
from toolkit.operations.archive.sharing import other_databases, require_apart, require_readable
from toolkit.operations.migrations.revisions import current_revision
from toolkit.operations.parts.crew import hired
from toolkit.operations.project import load_models
from toolkit.stores.archive_locks import LockKind
from toolkit.stores.catalogue import Catalogue
from toolkit.stores.live import is_registered
from toolkit.stores.requests import summed

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from toolkit.config import Config, Database
    from toolkit.core.tables import Conditions, TableSpec
    from toolkit.operations.parts.crew import Crew, WorkerOptions
    from toolkit.stores.archive import Archive
    from toolkit.stores.archive_locks import Lock


def push(
    config: Config,
    source: str,
    tables: Sequence[str] = (),
    *,
    store: str = DEFAULT_STORE,
    where: Conditions | None = None,
    exclude: Collection[str] = (),
    options: PushOptions | None = None,
    dry_run: bool = False,
    workers: WorkerOptions | None = None,
    progress: Progress | None = None,
) -> PushResult:
    """Archive every file that the rows of these tables (default: all that hold files) point at, but those to `exclude`.

    A file that cannot be read is a finding and stops nothing. The snapshot is written when all else is there; if no
    row points at any file, none is. With `dry_run`, nothing is. `workers` read and send the files in parts.

    Raises:
        SharedFilesError: others may need what `move` would remove; nothing was written.
        ToolkitError: everything else that can go wrong; what was sent until then is not sent again by the next push.
    """
    started = time.perf_counter()
    options = options or PushOptions()
    if options.move:
        _require_movable(config, store, options)
    database, archive = config.database(source), open_archive(config, store)
    older = None if options.older_than is None else show_duration(options.older_than)
    metadata = load_models(config.of(source))
    if exclude:
        # The snapshot is one of the tables that are left: another push that leaves out others is of other rows.
        holding = [spec.name for spec in file_tables(metadata, tables)]
        tables = [str(table.fullname) for table in choose_tables(metadata, holding, exclude)]
    specs = file_tables(metadata, tables, where, with_age=options.older_than is not None)
    conditions = {spec.name: _on_one_line(spec.conditions) for spec in specs if spec.conditions}
    scope = Scope(tuple(sorted(set(tables))), dict(sorted(conditions.items())), older)
    with Catalogue(collecting.SCHEMA + moving.SCHEMA) as catalogue:
        run = _Push(
            config, source, database, archive, store, options, catalogue, metadata, specs, scope, progress or Silent()
        )
        with ExitStack() as stack:
            if dry_run:
                result = run.plan()
            else:
                # Before all else: an address where there are none is told at once.
                crew = stack.enter_context(hired(config, (), workers, told(config, source))) if workers else None
                result = run.execute(stack.enter_context(archive.locked(LockKind.PUSH)), crew)
    return replace(result, seconds=time.perf_counter() - started, requests=run.requests)


def _require_movable(config: Config, store: str, options: PushOptions) -> None:
    """Rows can only point at a backend that has a name, and at content that an application can read."""
    if store not in config.stores:
        raise ConfigurationError(
            "Rows can only be pointed at an archive that has a name.",
            "Name the store in the configuration ([tool.toolkit.stores]), and register a backend of that name in the "
            "application.",
        )
    unreadable = "compressed" if options.compress else "encrypted" if config.stores[store].is_encrypted else None
    if unreadable:
        what = f"An application could not read files that were {unreadable}."
        raise ConfigurationError(what, f"Leave out --move, or have them archived without being {unreadable}.")


def _on_one_line(conditions: Sequence[str]) -> str:
    """Conditions as a snapshot tells them; a single one as its user wrote it."""
    return conditions[0] if len(conditions) == 1 else " AND ".join(f"({each})" for each in conditions)


class _Push:
    """One push: what it has to do is in the catalogue."""

    def __init__(
        self,
        config: Config,
        source: str,
        database: Database,
        archive: Archive,
        store: str,
        options: PushOptions,
        catalogue: Catalogue,
        metadata: MetaData,
        specs: Sequence[TableSpec],
        scope: Scope,
        progress: Progress,
    ) -> None:
        self._config, self._source, self._database = config, source, database
        self._archive, self._store = archive, store
        self._options, self._catalogue, self._scope, self._progress = options, catalogue, scope, progress
        self._backends = Backends(config, store)
        self._metadata, self._specs = metadata, specs
        self._malformed: list[Finding] = []
        self._ahead = dt.timedelta()
        self._theirs: Counter[str] = Counter()
        self._unread: list[str] = []
        self._others = other_databases(config, database, self._metadata) if options.move else []

    @property
    def requests(self) -> dict[str, int]:
        """How often the stores were asked until now, by kind."""
        return summed([self._backends.requests(self._archive), self._theirs])

    def plan(self) -> PushResult:
        """Find out what is to be done; nothing is written, and no file is read."""
        self._now = dt.datetime.now(dt.UTC)
        self._collector = Collector(
            self._catalogue,
            self._archive,
            self._backends,
            self._options.older_than,
            self._options.rehash,
            self._options.move,
            self._options.jobs,
            self._progress,
        )
        with connect(self._database) as connection:
            check_schema(connection, self._specs)
            self._place = connection.identity()
            self._malformed = self._collector.rows(connection, self._specs, self._now)
        if self._options.move:
            # Not those of rows that were moved: they lead to an archive.
            named = self._catalogue.all(
                "SELECT backend FROM file WHERE path NOT GLOB ? UNION "
                "SELECT home_backend FROM file WHERE home_path NOT GLOB ?",
                OBJECT_GLOB,
                OBJECT_GLOB,
            )
            require_apart(self._backends, self._metadata, (key for (key,) in named))
            require_readable(self._others)
        self._collector.archive_contents(self._database.name, self._place, self._scope)
        self._collector.examine(self._now)
        return self._result()

    def execute(self, lock: Lock, crew: Crew | None = None) -> PushResult:
        """Send what is to be sent, by a crew if there is one; write the snapshot; move rows if that was asked for."""
        planned = self.plan()
        sender = Sender(
            self._catalogue,
            self._archive,
            self._backends,
            self._options.compress,
            self._options.move,
            self._options.jobs,
            self._progress,
        )
        sender.announce()
        self._send(sender, crew, lock)
        sender.require_arrived()
        note_checksums(self._catalogue)
        self._collector.complete_properties()
        lock.require_still_there()
        header = self._write_snapshot(lock)
        self._ahead = lock.ahead
        moved = self._move(header, lock) if self._options.move and header is not None else None
        sent, sent_bytes = self._catalogue.one("SELECT count(*), total(stored) FROM sent")
        return replace(
            self._result(),
            dry_run=False,
            snapshot=None if header is None else header.id,
            read=planned.read,
            read_bytes=planned.read_bytes,
            sent=sent,
            sent_bytes=int(sent_bytes),
            repaired=sender.repaired,
            moved=0 if moved is None else moved.moved,
            removed=0 if moved is None else moved.removed,
            findings=(*self._findings(), *(() if moved is None else moved.findings)),
        )

    def _send(self, sender: Sender, crew: Crew | None, lock: Lock) -> None:
        if crew is None:
            sender.send()
            return
        parts = PartSender(sender, crew, self._config, self._source, self._store, self._theirs)
        parts.send(lock)
        # What workers could not read is told by what is found here.
        sender.send()
        self._unread = parts.read_here()

    # -- the snapshot ------------------------------------------------------------------------------------------------

    def _write_snapshot(self, lock: Lock) -> Header | None:
        header = self._header()
        if not header.files:
            return None
        self._progress.step("write the snapshot", header.files)
        try:
            self._archive.write_snapshot(header, self._entries(), lacking_files(self._catalogue, self._malformed))
            self._archive.store.settle()
            # Whoever took the lock for void may have removed objects that the manifest names.
            lock.require_still_there()
        except BaseException:
            # What became of it is told, and not why it could not be removed.
            with suppress(ToolkitError):
                self._archive.remove_snapshots([header.id])
            raise
        return header

    def _header(self) -> Header:
        (files,) = self._catalogue.one(
            f"SELECT count(*) FROM file JOIN live USING (backend, path) WHERE state IN ({_MARKS})", *State.DONE
        )
        objects, size = self._catalogue.one(
            f"SELECT count(*), total(size) FROM (SELECT DISTINCT sha, size FROM live WHERE state IN ({_MARKS}))",
            *State.DONE,
        )
        lacking = sum(1 for _ in lacking_files(self._catalogue, self._malformed))
        return Header(
            format=FORMAT if lacking else 1,
            lacking=lacking,
            id=new_snapshot_id(self._now),
            created_at=self._now,
            database=self._database.name,
            revision=current_revision(self._database, self._config),
            scope=self._scope,
            files=files,
            objects=objects,
            bytes=int(size),
            moved=self._options.move,
            place=self._place,
        )

    def _entries(self, moved_only: bool = False) -> Iterator[FileEntry]:
        return archived_entries(self._catalogue, (State.SENT, State.UNCHANGED) if moved_only else State.DONE)

    def _move(self, header: Header, lock: Lock) -> Mover:
        mover = Mover(
            self._catalogue,
            self._archive,
            self._backends,
            self._database,
            self._others,
            self._metadata,
            self._store,
            self._options.jobs,
            self._progress,
            lock,
        )
        mover.prove()
        # From here on prune keeps these objects, whatever becomes of the snapshot: rows point at them.
        self._archive.write_moved(header, self._entries(moved_only=True))
        lock.require_still_there()
        mover.move()
        return mover

    # -- the result --------------------------------------------------------------------------------------------------

    def _result(self) -> PushResult:
        by_state = self._catalogue.all("SELECT state, count(*), total(size) FROM live GROUP BY state")
        counted = {state: (count, int(size)) for state, count, size in by_state}
        counts = {state: counted.get(state, (0, 0)) for state in (State.READ, *State.DONE)}
        columns = tuple(self._column(spec, column) for spec in self._specs for column in file_columns(spec))
        return PushResult(
            self._database.name,
            self._archive.name,
            True,
            None,
            columns,
            files=sum(column.files for column in columns),
            objects=sum(count for count, _ in counts.values()),
            bytes=sum(size for _, size in counts.values()),
            unchanged=counts[State.UNCHANGED][0],
            archived=counts[State.ARCHIVED][0],
            read=counts[State.READ][0],
            read_bytes=counts[State.READ][1],
            findings=tuple(self._findings()),
            notes=tuple(self._notes()),
        )

    def _notes(self) -> Iterator[str]:
        """The application may register its backends later than the metadata is loaded: this is no reason to refuse."""
        if abs(self._ahead) > CLOCKS_DIFFER:
            how = f"{show_duration(abs(self._ahead))} {'ahead of' if self._ahead > dt.timedelta() else 'behind'}"
            yield f"The clock here is {how} that of the archive's store: set it, as snapshots are ordered by time."
        if self._unread:
            yield f"Files that workers could not read, and were read here: {len(self._unread):,} ({self._unread[0]})."
        if self._options.move and not is_registered(self._store):
            yield (
                f"No storage backend is registered as {self._store!r} where the metadata is loaded: an application "
                "without one cannot read rows that were moved. Register a toolkit.archive.ArchiveBackend there."
            )

    def _column(self, spec: TableSpec, column: str) -> ColumnPush:
        files, size = self._catalogue.one(
            "SELECT count(*), total(size) FROM file JOIN live USING (backend, path) "
            f"WHERE tbl = ? AND col = ? AND state IN ({_MARKS}, ?)",
            spec.name,
            column,
            *State.DONE,
            State.READ,
        )
        age_by = None
        if self._options.older_than is not None:
            age_by = f"{spec.name}.{AGE_COLUMN}" if age_column(spec) else "last modification of the live file"
        return ColumnPush(spec.name, column, files, int(size), self._collector.younger(spec.name, column), age_by)

    def _findings(self) -> Iterator[Finding]:
        yield from self._malformed
        yield from failed(self._catalogue)
        yield from differing(self._catalogue)


_MARKS = ", ".join("?" for _ in State.DONE)
