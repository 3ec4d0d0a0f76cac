"""`toolkit sync`: bring the tables of one database to another, so that both hold the same rows."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.core.plan import FileCopy, SyncResult, is_overtaken
from toolkit.core.progress import Progress, Silent
from toolkit.core.tables import Conditions, TableSpec, narrowed, select_tables
from toolkit.engines import connect
from toolkit.engines.portable.connection import refuse_schema, require_columns
from toolkit.engines.portable.lossy import require_exact
from toolkit.errors import EXIT_DIFFERENT, ConfigurationError, RevisionMismatchError, SchemaMismatchError
from toolkit.models.loader import load_metadata
from toolkit.operations.attachments import copy_files
from toolkit.operations.migrations.revisions import current_revision, mismatch
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.made_constraints import made_constraints
from toolkit.operations.transfer.matching import MatchedSource, matches
from toolkit.operations.transfer.run import Mode, Options, transfer
from toolkit.operations.transfer.watermarks import Since, Watermarks, require_column
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
    exclude: Collection[str] = (),
    match: Mapping[str, Sequence[str]] | None = None,
    since: Since | None = None,
    dry_run: bool = False,
    options: Options | None = None,
    attachments: str | Mapping[str, str] | None = None,
    overwrite_attachments: bool = False,
    progress: Progress | None = None,
) -> SyncResult:
    """Write to `target` what differs in `source`; rows that only the target has stay, unless the options say otherwise.

    All tables, or those named, without those to `exclude`. `where` holds, by table, a condition in SQL that both
    databases understand, or several that hold together: only rows that meet it are compared.
    With `Mode.REPLACE` or `Mode.SOFT_DELETE`, at most `options.max_delete` rows of a table are deleted or marked (by
    default a tenth, or 100).

    `match` names, by table, columns by which rows are recognised instead of the primary key: the target's keys stay,
    and foreign keys are rewritten. `since` limits the sync to rows changed since the last one that was given a `since`.
    `attachments` is the store that the target's rows find their files in, or a store for each backend that they name
    (`""`: for all others): files that it lacks are copied there first. What has another content there is told, and
    replaced only with `overwrite_attachments`.

    One transaction, verified before it commits; reading is one snapshot. A target without any tables is migrated
    first. With `dry_run` nothing is written and the counts are what a real run would write.

    Raises:
        ToolkitError: everything that can go wrong, with what to do next; the target is then as it was before.
    """
    started = time.perf_counter()
    options, progress = _effective(options or Options(), since), progress or Silent()
    specs = narrowed(select_tables(load_metadata(config.metadata, config.root), tables, exclude), where or {})
    source_database, target_database = config.database(source), config.database(target)
    _require_two(source_database, target_database)
    if since is not None:
        require_column(since, specs)
    match = matches({spec.name: spec for spec in specs}, match or {})
    with _guarding(options.mode.removes), connect(source_database) as origin:
        origin.lock_tables(specs, progress)
        if options.mode.removes:
            _require_one_revision(source_database, target_database, config)
        lacking = require_columns(origin, specs)
        if not lacking:
            require_exact(origin, specs)
        views = told_views(origin, specs, progress)
        left = () if lacking else unmodelled(origin, config, specs, named=bool(tables))
        copied = _copied_files(
            config,
            origin,
            specs,
            attachments,
            lacking,
            overwrite=overwrite_attachments,
            dry_run=dry_run,
            progress=progress,
        )
        schema_from, results, warnings = transfer(
            lambda destination: MatchedSource(origin, destination, specs, match) if match and destination else origin,
            target_database,
            config,
            specs,
            dry_run=dry_run,
            options=options,
            progress=progress,
            problems=lacking,
            watermarks_for=(lambda destination: Watermarks.between(since, origin, destination, specs))
            if since
            else None,
            before_models=lambda: made_constraints(origin, target_database, specs, progress),
            follows_target=bool(match),
        )
    verified = options.verify and not dry_run and not is_overtaken(warnings)
    elapsed = time.perf_counter() - started
    return SyncResult(
        source_database.name,
        target_database.name,
        dry_run,
        schema_from is not None,
        verified,
        results,
        elapsed,
        copied,
        (*views, *left, *warnings),
        schema_from,
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


def _require_one_revision(source: Database, target: Database, config: Config) -> None:
    """Refuse to delete by a source of another schema revision, whose tables may mean something else."""
    found, expected = (current_revision(database, config) for database in (source, target))
    if found is not None and expected is not None and found != expected:
        raise mismatch(source, found, expected)


def _copied_files(
    config: Config,
    source: Connection,
    specs: Sequence[TableSpec],
    stores: str | Mapping[str, str] | None,
    lacking: Sequence[str],
    *,
    overwrite: bool,
    dry_run: bool,
    progress: Progress,
) -> FileCopy | None:
    """Copy the rows' files to the stores that were named, if any were; what the source lacks is refused before."""
    if not stores:
        return None
    refuse_schema(lacking)
    return copy_files(config, source, specs, stores, overwrite=overwrite, dry_run=dry_run, progress=progress)
