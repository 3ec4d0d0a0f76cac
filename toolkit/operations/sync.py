"""`toolkit sync`: bring the tables of one database to another, so that both hold the same rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.core.plan import SyncPlan, SyncResult, TablePlan, TableResult
from toolkit.core.progress import Progress, Silent
from toolkit.core.tables import TableSpec, select_tables
from toolkit.errors import ConfigurationError
from toolkit.models.loader import load_metadata
from toolkit.operations import migrate
from toolkit.operations.transfer import Options, execute, plan_table
from toolkit.repositories import connect
from toolkit.repositories.base import check_schema

if TYPE_CHECKING:
    from toolkit.config import Config, Database
    from toolkit.repositories.base import DatabaseConnection


def sync(
    config: Config,
    source: str,
    target: str,
    tables: Sequence[str] = (),
    *,
    dry_run: bool = False,
    options: Options | None = None,
    progress: Progress | None = None,
) -> SyncResult:
    """Write to `target` what differs in `source`; rows that only the target has stay.

    One transaction, verified before it commits; reading is one snapshot. A target without any tables is migrated
    first. With `dry_run` nothing is written and the counts are what a real run would write.

    Raises:
        ToolkitError: everything that can go wrong, with what to do next; the target is then as it was before.
    """
    started = time.perf_counter()
    options, progress = options or Options(), progress or Silent()
    specs = select_tables(load_metadata(config.metadata, config.root), tables)
    source_database, target_database = config.database(source), config.database(target)
    _require_two(source_database, target_database)
    with connect(source_database) as origin:
        check_schema([origin], specs)
        created = _prepare(target_database, config, dry_run, progress)
        if created and dry_run:
            plans = tuple(plan_table(origin.repository(spec), None, spec, progress) for spec in specs)
            results = tuple(_planned(plan) for plan in plans)
        else:
            with connect(target_database, write=not dry_run) as destination:
                check_schema([destination], specs)
                plan = plan_sync(origin, destination, specs, progress)
                results = (
                    tuple(_planned(table) for table in plan.tables)
                    if dry_run
                    else execute(plan.tables, origin, destination, options, progress)
                )
    elapsed = time.perf_counter() - started
    return SyncResult(source_database.name, target_database.name, dry_run, created, results, elapsed)


def plan_sync(
    source: DatabaseConnection, target: DatabaseConnection, specs: Sequence[TableSpec], progress: Progress
) -> SyncPlan:
    """Compare every table; nothing is written."""
    plans = [plan_table(source.repository(spec), target.repository(spec), spec, progress) for spec in specs]
    return SyncPlan(source.name, target.name, tuple(plans))


def _prepare(target: Database, config: Config, dry_run: bool, progress: Progress) -> bool:
    """Migrate a target without tables; whether that was, or in a dry run would be, necessary."""
    if dry_run:
        return _is_blank(target)
    created = migrate.ensure_schema(target, config)
    if created:
        progress.note(f"{target.name} had no tables: its schema was created.")
    return created


def _is_blank(database: Database) -> bool:
    if database.file is not None and not database.file.exists():
        return True
    with connect(database) as connection:
        return not connection.has_tables()


def _planned(plan: TablePlan) -> TableResult:
    return TableResult(
        plan.spec.name, plan.inserts, plan.updates, plan.unchanged, plan.target_only, 0.0, verified=False
    )


def _require_two(source: Database, target: Database) -> None:
    same_file = source.file is not None and target.file is not None and source.file.resolve() == target.file.resolve()
    if same_file or source.name == target.name:
        raise ConfigurationError(
            f"Source and target are the same database ({source.name}).", "Name two different ones: --from and --to."
        )
