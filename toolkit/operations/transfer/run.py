"""The one way rows get into a database: its tables made if it has none; then compared, written, verified, committed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.core.plan import CHANGED_MEANWHILE, Action, TableResult, TransferWarning, planned
from toolkit.engines import connect
from toolkit.engines.portable.connection import check_schema, refuse_schema
from toolkit.errors import ChangedSincePlanError
from toolkit.operations.migrations import schema
from toolkit.operations.migrations.revisions import has_history
from toolkit.operations.transfer.attempts import Attempts
from toolkit.operations.transfer.execution import execute
from toolkit.operations.transfer.made_constraints import made_constraints
from toolkit.operations.transfer.planning import Plans, plan, plan_into_nothing
from toolkit.operations.transfer.prepared import prepared
from toolkit.operations.transfer.request import Transfer, TransferResult

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.core.plan import TablePlan
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.portable.connection import DatabaseConnection
    from toolkit.operations.transfer.sources import Source
    from toolkit.operations.transfer.watermarks import Watermarks


def transfer(request: Transfer, config: Config, progress: Progress) -> TransferResult:
    """Plan and, unless it is a dry run, execute. Where other writers spoil it, it is repeated (see `Attempts`).

    Raises:
        RevisionMismatchError, SchemaMismatchError: before anything is written.
    """
    created, schema_from = _lacks_schema(request, config), None
    told: tuple[TransferWarning, ...] = ()
    if created:
        # No schema is made for rows that cannot be loaded into it.
        source = request.origin.against(None)
        schema_from = schema.schema_from(config)
        told = () if has_history(config) else _told_constraints(request, progress)
        if request.dry_run:
            plans = plan_into_nothing(source, request.specs, progress)
            return TransferResult(tuple(map(planned, plans)), told, schema_from)
        schema.make_schema(request.target, config)
        progress.note(f"{request.target.name} had no tables: its schema was created.")
    run = _Run(request, progress, is_new=created)
    if request.dry_run:
        return run.dry()
    result = run.attempts.run(run.once, run.may_repeat)
    return replace(result, schema_from=schema_from, warnings=(*told, *run.attempts.warnings, *result.warnings))


class _Run:
    """One transfer into a target that has its tables."""

    def __init__(self, request: Transfer, progress: Progress, *, is_new: bool) -> None:
        self._request, self._progress = request, progress
        self._is_new, self._began, self._has_files = is_new, False, False
        self.attempts = Attempts(request.target.name, progress)

    def may_repeat(self) -> bool:
        """Whether nothing was committed: it would not be counted again."""
        return not (self._began and self._request.options.commit_every)

    def dry(self) -> TransferResult:
        """The plans as results, and what a real run would lack."""
        with connect(self._request.target) as destination:
            plans = plan(self._request, destination, self._progress)
            lacking = _lacking_rights(plans.watermarks, destination, self._progress)
            return TransferResult(tuple(map(planned, plans.tables)), lacking)

    def once(self) -> TransferResult:
        """Compare, write, verify and commit."""
        attempts, options = self.attempts, self._request.options
        with connect(self._request.target, write=True) as destination:
            attempts.has_one_writer = destination.capabilities.has_one_writer
            if options.commit_every:
                destination.hold_writer_lock()
            locks_first = self._is_new or (attempts.is_last and (self._request.is_exact or attempts.is_brief))
            if not locks_first:
                destination.look_first()
            started = time.perf_counter()
            plans = plan(self._request, destination, self._progress, locks_first=locks_first)
            attempts.planned(plans.tables, time.perf_counter() - started)
            self._write_files()
            with self._ready(plans, destination) as rows:
                stale = self._begin_writing(plans.tables, destination)
                if attempts.number > 1 and not locks_first:
                    destination.exclude_writers([each.spec for each in plans.tables if each.writes or each.deletes])
                self._began = True
                results = execute(plans.tables, rows, destination, options, self._progress, plans.watermarks)
            if stale:
                # Of rows that were equal when they were compared, nobody knows what they hold now.
                results = tuple(replace(each, verified=False, target_digest=None) for each in results)
            unlike = _unlike_numbers(destination, self._request.specs, results, self._progress)
            return TransferResult(results, (*stale, *unlike), is_checked=options.verify)

    def _write_files(self) -> None:
        """Once, whatever is repeated: nothing is left to refuse."""
        if self._request.files is not None and not self._has_files:
            self._request.files.put()
            self._has_files = True

    def _ready(self, plans: Plans, destination: DatabaseConnection) -> AbstractContextManager[Source]:
        """The source, with the rows to write at hand where others will wait for us."""
        if destination.write:
            return nullcontext(plans.source)
        return prepared(plans.source, plans.tables, self._request.options.batch_rows, self._progress)

    def _begin_writing(
        self, plans: Sequence[TablePlan], destination: DatabaseConnection
    ) -> tuple[TransferWarning, ...]:
        """Take the write lock, and see whether the plans still hold; what is to be told if they do not quite.

        Raises:
            ChangedSincePlanError: they do not.
        """
        if destination.begin_writing():
            return ()
        filled = [
            each.spec.name
            for each in plans
            if each.action is Action.LOAD and not destination.repository(each.spec).is_empty()
        ]
        if filled or self._request.is_exact or not self.attempts.is_last:
            raise ChangedSincePlanError(destination.name, filled[0] if filled else None)
        reason = (
            f"{destination.name} was written to by others whenever it was compared: rows that they changed since then, "
            "and that are not among those written here, are left to the next sync."
        )
        self._progress.note(reason)
        return (TransferWarning(CHANGED_MEANWHILE, "", reason, database=destination.name),)


def _told_constraints(request: Transfer, progress: Progress) -> tuple[TransferWarning, ...]:
    """How the tables that are about to be made from the models differ from those of a source that is a database."""
    source = request.origin.connection
    return () if source is None else made_constraints(source, request.target, request.specs, progress)


def _lacking_rights(
    watermarks: Watermarks | None, target: DatabaseConnection, progress: Progress
) -> tuple[TransferWarning, ...]:
    """What the run that a dry run stands for could not do, though it may read everything."""
    error = watermarks.lacking_right(target) if watermarks else None
    if watermarks is None or error is None:
        return ()
    reason = f"{error.fact} {error.advice}"
    progress.note(f"Without --dry-run this would fail: {reason}")
    return (TransferWarning("right lacking", watermarks.table, reason),)


def _unlike_numbers(
    target: DatabaseConnection, specs: Sequence[TableSpec], results: Sequence[TableResult], progress: Progress
) -> tuple[TransferWarning, ...]:
    """In which columns the target now stores digits as bytes."""
    written = {result.table for result in results if result.inserted + result.updated}
    unlike = target.unlike_numbers([spec for spec in specs if spec.name in written])
    reason = "The toolkit reads them exactly, SQLAlchemy's Numeric and Float do not."
    if unlike:
        columns = ", ".join(f"{table}.{column} {rows:,}" for (table, column), rows in unlike.items())
        progress.note(f"{target.name} has no such numbers, and stores bytes of their digits: {columns}. {reason}")
    return tuple(
        TransferWarning("stored as bytes", table, reason, column, rows) for (table, column), rows in unlike.items()
    )


def _lacks_schema(request: Transfer, config: Config) -> bool:
    """Whether a target is without any tables, which are then to be made; what either side lacks is refused."""
    blank = schema.lacks_schema(request.target, config, accept_missing=True)
    if request.problems and not blank:
        with connect(request.target) as destination:
            check_schema(destination, request.specs, request.problems, to_write=True)
    refuse_schema(request.problems)
    return blank
