"""`toolkit sync`: bring the tables of one database to another, so that both hold the same rows.

One transaction, verified before it commits; reading is one snapshot. A target without any tables is migrated first. As
a dry run nothing is written, and the counts are what a real run would write. Of a table, at most `max_delete` rows are
deleted or marked as deleted (by default a tenth, or 100). Files that the target's store lacks are copied there first;
what has another content there is told, and replaced only where that was asked for.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolkit.core.plan import FileCopy, SyncResult
from toolkit.core.progress import Progress, Silent
from toolkit.core.renames import Renames
from toolkit.core.tables import Conditions, TableSpec, narrowed, select_tables
from toolkit.engines import connect
from toolkit.engines.portable.connection import refuse_schema, require_columns
from toolkit.engines.portable.lossy import require_exact
from toolkit.errors import EXIT_DIFFERENT, ConfigurationError, RevisionMismatchError, SchemaMismatchError
from toolkit.operations.attachments import copy_files
from toolkit.operations.migrations.revisions import mismatch, recorded_revision, revision_of
from toolkit.operations.project import Project
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.elsewhere import Elsewhere
from toolkit.operations.transfer.matching import matches
from toolkit.operations.transfer.options import Mode, Options
from toolkit.operations.transfer.origins import DatabaseOrigin
from toolkit.operations.transfer.request import Transfer, transferred
from toolkit.operations.transfer.run import transfer
from toolkit.operations.transfer.set_values import SetValues, values_to_set
from toolkit.operations.transfer.watermarks import Since, require_column
from toolkit.operations.unmodelled import unmodelled
from toolkit.operations.views import told_views

if TYPE_CHECKING:
    from toolkit.config import Config, Database
    from toolkit.engines.contract import Connection


def sync(
    config: Config,
    source: str,
    target: str,
    tables: Sequence[str] = (),
    *,
    where: Conditions | None = None,
    where_source: Conditions | None = None,
    exclude: Collection[str] = (),
    match: Mapping[str, Sequence[str]] | None = None,
    set_values: Mapping[str, str] | None = None,
    rename: Mapping[str, str] | None = None,
    since: Since | None = None,
    dry_run: bool = False,
    options: Options | None = None,
    attachments: str | Mapping[str, str] | None = None,
    overwrite_attachments: bool = False,
    progress: Progress | None = None,
) -> SyncResult:
    """Write to `target` what differs in `source`; rows that only the target has stay, unless the options say otherwise.

    All tables, or those named, without those to `exclude`. `where` holds, by table, a condition in SQL that both
    databases understand, or several that hold together: only rows that meet it are compared. `where_source` is asked of
    the source alone: rows that do not meet it are to the target as if the source had none. `match` names, by table,
    columns by which rows are recognised instead of the primary key: the target's keys stay, and foreign keys are
    rewritten. `set_values` holds, by `TABLE.COLUMN`, what new rows get in columns that only the target has, `rename`
    the target's name of a `TABLE` or `TABLE.COLUMN` of the models. `since` limits the sync to rows changed since the
    last one that was given a `since`. `attachments` is the store that the target's rows find their files in, or one for
    each backend that they name (`""`: for all others).

    Raises:
        ToolkitError: everything that can go wrong, with what to do next; the target is then as it was before.
    """
    started = time.perf_counter()
    options = _effective(options or Options(), since)
    databases = config.database(source), config.database(target)
    project = Project(config)
    specs = narrowed(select_tables(project.metadata, tables, exclude), where or {}, where_source)
    elsewhere = Elsewhere.of(project, specs, Renames.of(project.metadata, rename))
    _require_two(*databases)
    elsewhere.require_schemas(databases[1])
    if since is not None:
        require_column(since, elsewhere.specs)
    matched = matches({spec.name: spec for spec in specs}, match or {})
    return _Sync(
        project,
        *databases,
        specs,
        elsewhere,
        elsewhere.columns(matched),
        values_to_set(elsewhere.specs, elsewhere.places(set_values or {})),
        since,
        options,
        _Attachments(attachments, overwrite_attachments),
        progress or Silent(),
        started,
        dry_run=dry_run,
        named=bool(tables),
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
    elsewhere: Elsewhere
    match: Mapping[str, Sequence[str]]
    values: SetValues
    since: Since | None
    options: Options
    attachments: _Attachments
    progress: Progress
    started: float
    dry_run: bool
    named: bool

    def done(self) -> SyncResult:
        """Look at the source, copy its files, and transfer its rows."""
        removes, progress = self.options.mode.removes, self.progress
        specs = [spec.at_source for spec in self.specs]
        with _guarding(removes), connect(self.source) as origin:
            origin.lock_tables(specs, progress)
            running = origin.running_transactions() if self.since else ()
            if removes and self.elsewhere.names is None:
                _require_one_revision(origin, self.target, self.project)
            lacking = require_columns(origin, specs)
            if not lacking:
                require_exact(origin, specs)
            views = told_views(origin, specs, progress)
            left = () if lacking else unmodelled(origin, self.project, specs, named=self.named)
            copied = self._copied_files(origin, specs, lacking)
            request = Transfer(
                DatabaseOrigin(self.elsewhere.source(origin), self.elsewhere.specs, self.match),
                self.target,
                self.elsewhere.specs,
                self.options,
                self.dry_run,
                lacking,
                self.since,
                running,
                self.values,
            )
            found = self.elsewhere.told(transfer(request, self.elsewhere.project, progress))
        done = transferred(self.source.name, request, found, self.started, copied, (*views, *left))
        return replace(done, renamed=self.elsewhere.shown)

    def _copied_files(self, source: Connection, specs: Sequence[TableSpec], lacking: Sequence[str]) -> FileCopy | None:
        """Copy the rows' files to the stores that were named, if any were; what the source lacks is refused before."""
        if not self.attachments.stores:
            return None
        refuse_schema(lacking)
        return copy_files(
            self.project.config,
            source,
            specs,
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
