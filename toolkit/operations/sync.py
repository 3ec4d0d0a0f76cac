"""`toolkit sync`: bring the tables of one database to another, so that both hold the same rows.

One transaction, verified before it commits; reading is one snapshot. A target without any tables is migrated first. As
a dry run nothing is written, and the counts are what a real run would write. Of a table, at most `max_delete` rows are
deleted or marked as deleted (by default a tenth, or 100). Files that the target's store lacks are copied there first;
what has another content there is told, and replaced only where that was asked for.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolkit.core.plan import FileCopy, SyncResult, TransferWarning
from toolkit.core.progress import Progress, Silent
from toolkit.core.tables import Conditions, TableSpec, narrowed, select_tables
from toolkit.engines import connect
from toolkit.engines.portable.as_stored import carried_as_stored
from toolkit.engines.portable.connection import refuse_schema, require_columns
from toolkit.engines.portable.lossy import require_exact
from toolkit.errors import EXIT_DIFFERENT, ConfigurationError, RevisionMismatchError, SchemaMismatchError
from toolkit.operations.attachments import copy_files
from toolkit.operations.migrations.revisions import exists, mismatch, recorded_revision, revision_of
from toolkit.operations.project import Project
from toolkit.operations.transfer.conversion_options import conversions
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.matching import matches
from toolkit.operations.transfer.options import Mode, Options
from toolkit.operations.transfer.origins import DatabaseOrigin
from toolkit.operations.transfer.request import Transfer, transferred
from toolkit.operations.transfer.run import transfer
from toolkit.operations.transfer.watermarks import Since, require_column
from toolkit.operations.unmodelled import unmodelled
from toolkit.operations.views import told_views

if TYPE_CHECKING:
    from toolkit.config import Config, Database
    from toolkit.engines.contract import Connection
    from toolkit.operations.transfer.converting import Conversions


def sync(
    config: Config,
    source: str,
    target: str,
    tables: Sequence[str] = (),
    *,
    where: Conditions | None = None,
    exclude: Collection[str] = (),
    match: Mapping[str, Sequence[str]] | None = None,
    convert: Sequence[str] = (),
    since: Since | None = None,
    dry_run: bool = False,
    options: Options | None = None,
    attachments: str | Mapping[str, str] | None = None,
    overwrite_attachments: bool = False,
    progress: Progress | None = None,
) -> SyncResult:
    """Write to `target` what differs in `source`; rows that only the target has stay, unless the options say otherwise.

    All tables, or those named, without those to `exclude`. `where` holds, by table, a condition in SQL that both
    databases understand, or several that hold together: only rows that meet it are compared. `match` names, by
    table, columns by which rows are recognised instead of the primary key: the target's keys stay, and foreign keys
    are rewritten. `convert` says as `TABLE.COLUMN:HOW` how values of the source become the model's. `since` limits
    the sync to rows changed since the last one that was given a `since`. `attachments` is the store that the
    target's rows find their files in, or one for each backend that they name (`""`: for all others).

    Raises:
        ToolkitError: everything that can go wrong, with what to do next; the target is then as it was before.
    """
    started = time.perf_counter()
    options = _effective(options or Options(), since)
    databases = config.database(source), config.database(target)
    project = Project(config)
    specs = narrowed(select_tables(project.metadata, tables, exclude), where or {})
    _require_two(*databases)
    converted = conversions(project.metadata, config.convert, convert)
    converted.require_usable(specs, since.column if since else None)
    if since is not None:
        require_column(since, specs)
    return _Sync(
        project,
        *databases,
        specs,
        matches({spec.name: spec for spec in specs}, match or {}),
        since,
        options,
        _Attachments(attachments, overwrite_attachments),
        progress or Silent(),
        started,
        dry_run=dry_run,
        named=bool(tables),
        exclude=exclude,
        conversions=converted,
    ).done()


@dataclass(frozen=True, slots=True)
class _Attachments:
    """Where the files that rows point at are copied to, if anywhere."""

    stores: str | Mapping[str, str] | None
    overwrite: bool


@dataclass(frozen=True)
class _Sync:
    """One sync, as it was asked for. `named`: the tables were, so that nobody is told of others."""

    project: Project
    source: Database
    target: Database
    specs: Sequence[TableSpec]
    match: Mapping[str, Sequence[str]]
    since: Since | None
    options: Options
    attachments: _Attachments
    progress: Progress
    started: float
    dry_run: bool
    named: bool
    exclude: Collection[str]
    conversions: Conversions

    def done(self) -> SyncResult:
        """Look at the source, copy its files, and transfer its rows."""
        removes, specs, progress = self.options.mode.removes, self.specs, self.progress
        with _guarding(removes), connect(self.source) as origin:
            origin.lock_tables(specs, progress)
            if removes:
                _require_one_revision(origin, self.target, self.project)
            lacking = require_columns(origin, specs)
            told: Sequence[TransferWarning] = ()
            if not lacking:
                specs, told = self._readable(origin)
            views = told_views(origin, specs, progress)
            left = () if lacking else unmodelled(origin, self.project, specs, named=self.named)
            copied = self._copied_files(origin, lacking)
            request = Transfer(
                DatabaseOrigin(origin, specs, self.match, self.conversions),
                self.target,
                specs,
                self.options,
                self.dry_run,
                lacking,
                self.since,
                excluded=self.exclude,
            )
            found = transfer(request, self.project, progress)
        return transferred(self.source.name, request, found, self.started, copied, (*views, *left, *told))

    def _readable(self, origin: Connection) -> tuple[Sequence[TableSpec], Sequence[TransferWarning]]:
        """The tables as they are read, all of whose values can be; and what conversions change of these."""
        stored = self._as_stored(origin, [self.conversions.stored(spec) for spec in self.specs])
        require_exact(origin, stored)
        specs = [self.conversions.restored(*each) for each in zip(stored, self.specs, strict=True)]
        return specs, self.conversions.require_taken(origin, specs, self.progress)

    def _as_stored(self, origin: Connection, specs: Sequence[TableSpec]) -> Sequence[TableSpec]:
        """The tables, with what two databases of one engine have, but not the model, as it is stored."""
        if self.source.kind is not self.target.kind:
            return specs
        with ExitStack() as open_:

            def target() -> Connection | None:
                return open_.enter_context(connect(self.target)) if exists(self.target) else None

            return carried_as_stored(origin, specs, target)

    def _copied_files(self, source: Connection, lacking: Sequence[str]) -> FileCopy | None:
        """Copy the rows' files to the stores that were named, if any were; what the source lacks is refused before."""
        if not self.attachments.stores:
            return None
        refuse_schema(lacking)
        return copy_files(
            self.project.config,
            source,
            self.specs,
            self.attachments.stores,
            overwrite=self.attachments.overwrite,
            dry_run=self.dry_run,
            progress=self.progress,
        )


def _effective(options: Options, since: Since | None) -> Options:
    """The options with the limit that every deleting sync has.

    Raises:
        ConfigurationError: rows are to be deleted that `since` cannot see.
    """
    if since is not None and options.mode is not Mode.UPSERT:
        raise ConfigurationError(
            "Rows that changed since the last sync do not show which are gone.", "Delete by a sync without --since."
        )
    return replace(options, max_delete=options.max_delete or DeleteLimit()) if options.mode.removes else options


@contextmanager
def _guarding(deletes: bool) -> Iterator[None]:
    """Where rows would be deleted, a schema that does not fit is a guard's refusal, and has its exit code."""
    try:
        yield
    except (RevisionMismatchError, SchemaMismatchError) as error:
        if deletes:
            error.exit_code = EXIT_DIFFERENT
        raise


def _require_two(source: Database, target: Database) -> None:
    if source.place == target.place:
        raise ConfigurationError(
            f"Source and target are the same database ({source.name}).", "Name two different ones: --from and --to."
        )


def _require_one_revision(source: Connection, target: Database, project: Project) -> None:
    """Refuse to delete by a source of another schema revision, whose tables may mean something else."""
    if not project.has_history:
        return
    with source.translated():
        found = recorded_revision(source.sqlalchemy, project.version_table)
    expected = None if found is None else revision_of(target, project)
    if expected is not None and found != expected:
        raise mismatch(source.database, found, expected)
