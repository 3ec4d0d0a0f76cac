"""`toolkit sync --workers`: rows written by many, a part each, and yet all of it or nothing.

Tables of a server are staged there, and synced from the stage (`staging`); a table that is files, which one commit
names, is written by `committing`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toolkit.core.plan import SyncResult
from toolkit.core.progress import Progress, Silent
from toolkit.engines import connect
from toolkit.engines.contract import CommitsParts
from toolkit.engines.portable.as_stored import carried_as_stored
from toolkit.engines.portable.connection import refuse_schema, require_columns
from toolkit.engines.portable.lossy import require_exact
from toolkit.errors import ConfigurationError, RunError
from toolkit.operations.migrations.revisions import exists
from toolkit.operations.migrations.schema import lacks_schema, make_schema
from toolkit.operations.parts.committing import Committing
from toolkit.operations.parts.crew import hired
from toolkit.operations.reflection.project import Chosen
from toolkit.operations.reflection.requested_tables import Wanted
from toolkit.operations.sync import sync
from toolkit.operations.transfer.conversion_options import conversions

if TYPE_CHECKING:
    from toolkit.config import Config, Database
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.operations.parts.crew import WorkerOptions


def load_in_parts(
    config: Config,
    source: str,
    target: str,
    tables: str | Sequence[str],
    workers: WorkerOptions,
    *,
    resume: str | None = None,
    restart: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> SyncResult:
    """Sync tables, or one, by workers; `options` are those of `sync`, as far as workers know them.

    `resume` names a run that was interrupted: parts that it has written, and that have not changed at the source since,
    are kept. `restart` removes what such runs have left.

    Raises:
        RunError: the table cannot be filled so, or an interrupted run is there, or not there.
        ToolkitError: everything else; the target's tables are then as they were before.
    """
    names = (tables,) if isinstance(tables, str) else tuple(tables)
    config = config.of(source, target)
    databases = config.database(source), config.database(target)
    if databases[0].place == databases[1].place:
        raise ConfigurationError("Source and target are the same database.", "Name two different ones.")
    if databases[1].kind.commits_parts:
        if options or len(names) != 1:
            raise ConfigurationError(
                f"{target}: workers write one table of a lake, with all rows of another.",
                "Name just that one, without other options; or run without --workers.",
            )
        return _committed(config, databases, names[0], workers, resume, restart, dry_run, progress or Silent())
    from toolkit.operations.parts.staging import Staging

    with hired(config, databases, workers) as crew:
        staging = Staging(crew, resume, restart)
        return sync(config, source, target, names, dry_run=dry_run, progress=progress, staging=staging, **options)


def _table(
    config: Config, databases: tuple[Database, Database], name: str, progress: Progress, *, makes: bool
) -> tuple[TableSpec, str]:
    """The table, and what it was made from, if the target had none at all.

    Raises:
        ConfigurationError: its values are to be converted, or it goes by another name in the target.
    """
    makes_one = not databases[1].kind.has_migrations
    with Chosen.of_both(config, *databases, Wanted((name,), makes_missing=makes_one), progress) as chosen:
        (spec,) = chosen.specs()
        renames, project, excluded = chosen.renames, chosen.project, chosen.excluded
    if renames is not None or conversions(project.metadata, config.convert, ()).of(spec):
        raise ConfigurationError(
            f"{name}: workers copy a table under one name, and its values as they are stored.",
            "Leave out --workers where names differ, or values are to be converted.",
        )
    lacks_all = True
    if exists(databases[1]):
        with connect(databases[1]) as target, target.translated():
            lacks_all = lacks_schema(target.sqlalchemy, databases[1], project, accept_missing=True)
            if not lacks_all and not (makes_one and target.column_names(spec) is None):
                return spec, ""
    what = "tables" if lacks_all else f"table {spec.name}"
    if not makes:
        raise RunError(
            f"{databases[1].name} has no {what} yet: what would be done is known when it has.", "Leave out --dry-run."
        )
    if not lacks_all:
        excluded = [each for each in project.metadata.tables if each != spec.table.fullname]
    make_schema(databases[1], project, exclude=excluded)
    progress.note(f"{databases[1].name} had no {what}: {'its schema' if lacks_all else 'it'} was created.")
    return spec, "migrations" if project.has_history else project.origin


def _committed(
    config: Config,
    databases: tuple[Database, Database],
    name: str,
    workers: WorkerOptions,
    resume: str | None,
    restart: bool,
    dry_run: bool,
    progress: Progress,
) -> SyncResult:
    """Write one table of a lake."""
    started = time.perf_counter()
    spec, made_from = _table(config, databases, name, progress, makes=not dry_run)
    with (
        hired(config, databases, workers) as crew,
        connect(databases[0]) as origin,
        connect(databases[1], write=not dry_run) as destination,
    ):
        assert isinstance(destination, CommitsParts)
        committing = Committing(crew, origin, destination, progress)
        found = committing.done(_checked(origin, destination, spec, progress), resume, restart=restart, dry_run=dry_run)
    seconds, (ours, theirs) = time.perf_counter() - started, (each.name for each in databases)
    return SyncResult(
        ours, theirs, dry_run, bool(made_from), not dry_run, (found,), seconds, schema_from=made_from or None
    )


def _checked(origin: Connection, destination: Connection, spec: TableSpec, progress: Progress) -> TableSpec:
    """The table, if rows of it can be carried as they are."""
    origin.lock_tables([spec], progress)
    ours, theirs = require_columns(origin, [spec]), require_columns(destination, [spec], to_write=True)
    refuse_schema([*ours, *theirs])
    require_exact(origin, [spec])
    (spec,) = carried_as_stored(origin, [(spec, spec)], lambda: destination)
    return spec
