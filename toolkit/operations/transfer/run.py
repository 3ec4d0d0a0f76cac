"""The one way rows get into a database: its tables made if it has none; then compared, written, verified, committed.

Atomic: one transaction, verified before its commit, unless `commit_every` asks for commits in between. Idempotent: of
rows that are there already, a second transfer writes none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from toolkit.core.plan import CHANGED_MEANWHILE, Action, TableResult, TransferWarning
from toolkit.core.progress import SILENT
from toolkit.engines import connect
from toolkit.engines.portable.connection import check_schema, refuse_schema
from toolkit.errors import (
    ChangedSincePlanError,
    ConfigurationError,
    FixtureProblemsError,
    ToolkitError,
    VerificationError,
)
from toolkit.operations.migrations.revisions import exists
from toolkit.operations.migrations.schema import lacks_schema, made_from, make_schema, migrated_copy, tables_to_make
from toolkit.operations.transfer.attempts import Attempts
from toolkit.operations.transfer.execution import execute
from toolkit.operations.transfer.generated import generated_otherwise, has_generated
from toolkit.operations.transfer.misfits import require_fitting
from toolkit.operations.transfer.other_rows import OtherRows, changed_by_triggers, not_looked_at, other_rows
from toolkit.operations.transfer.planning import Plans, plan, plan_into_nothing
from toolkit.operations.transfer.repeated_keys import require_given_keys
from toolkit.operations.transfer.request import Transfer, TransferResult
from toolkit.operations.transfer.rewritten import tell_rewritten
from toolkit.operations.transfer.sampling import planned_with_rows

if TYPE_CHECKING:
    import sqlalchemy as sa

    from toolkit.config import Database
    from toolkit.core.plan import TablePlan
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection
    from toolkit.operations.project import Project
    from toolkit.operations.transfer.options import Options
    from toolkit.operations.transfer.sources import Source
    from toolkit.operations.transfer.watermarks import Watermarks


def transfer(request: Transfer, project: Project, progress: Progress) -> TransferResult:
    """Plan and, unless it is a dry run, execute. Where other writers spoil it, it is repeated (see `Attempts`).

    A target without any tables is closed again, as the migrations run in a transaction of their own.

    Raises:
        RevisionMismatchError, SchemaMismatchError: before anything is written.
    """
    if request.problems:
        _refuse(request, project)
    if exists(request.target):
        found = _Run(request, project, progress).result()
        if found is not None:
            return found
    # A file that is not there lacks all tables, and nothing about it is to be asked.
    return _into_new_tables(request, project, progress)


def _into_new_tables(request: Transfer, project: Project, progress: Progress) -> TransferResult:
    """Make the target's tables, and transfer."""
    if request.values and not project.has_history:
        raise ConfigurationError(
            f"{request.target.name} has no tables, and those that are made from the models have no column but theirs.",
            "Leave out --set.",
        )
    schema_from = made_from(request.target, project, request.excluded)
    inserts = project.has_history and request.origin.depends_on_target
    # An attempt without rejected rows has told it before.
    teller = SILENT if request.rejects else progress
    told = () if project.has_history else told_constraints(request, project, teller)
    if request.dry_run:
        with migrated_copy(request.target, project) if inserts and request.target.file else nullcontext() as copy:
            found = _dry_run(request, copy, project, progress)
        return replace(found, schema_from=schema_from, warnings=(*told, *found.warnings))
    # No schema is made for rows that cannot be loaded into it.
    if not inserts:
        require_given_keys(request.specs, request.against(None), request.source_name)
    elif request.target.file is not None:
        _require_loadable_into_copy(request, project)
    # Migrations have transactions of their own.
    makes = not project.has_history
    if not makes:
        make_schema(request.target, project, exclude=request.excluded, check=partial(_require_loadable, request))
    try:
        result = _Run(request, project, progress, is_new=True, makes=makes).result()
    except ToolkitError as error:
        if not makes:
            made = "those that were made stay, and the next run loads into them"
            error.advise_last(f"{request.target.name} had no tables; {made}.")
        raise
    assert result is not None, "the tables were just made"
    progress.note(f"{request.target.name} had no tables: its schema was created.")
    return replace(result, schema_from=schema_from, warnings=(*told, *result.warnings))


def make_lacking(request: Transfer, project: Project, target: Connection) -> None:
    """Make the tables in a target that has none of them, in its transaction; migrations have one of their own."""
    if not project.has_history and _lacks_schema(target, request.target, project):
        make = partial(make_schema, request.target, project, exclude=request.excluded, within=target)
        target.begin_with(make)


def _dry_run(request: Transfer, copy: Database | None, project: Project, progress: Progress) -> TransferResult:
    """What a run would do; `copy` is the target as migrations would make it, which may insert rows that others meet."""
    if copy is not None:
        found = _Run(replace(request, target=copy), project, progress).result()
        assert found is not None, "the tables were just made"
        return found
    try:
        source = request.against(None)
    except FixtureProblemsError as error:
        if project.has_history:
            error.advise_last(
                f"Rows that migrations insert are not there before {request.target.name} is migrated: run without "
                f"--dry-run, or first: toolkit database upgrade --database {request.target.name}"
            )
        raise
    require_given_keys(request.specs, source, request.source_name)
    require_fitting(source, request.specs, request.target)
    plans = plan_into_nothing(source, request.specs, progress)
    return TransferResult(planned_with_rows(plans, request.sample, source, None, request.origin.tables))


def _require_loadable(request: Transfer, transaction: sa.Connection) -> None:
    """See that the rows can be loaded into what migrations have made, with the rows that these inserted."""
    with connect(request.target, write=True).within(transaction) as migrated:
        check_schema(migrated, request.specs, to_write=True)
        require_given_keys(request.specs, request.against(migrated), request.source_name)


def _require_loadable_into_copy(request: Transfer, project: Project) -> None:
    """The same before there is a file at all; migrations are run for it only if rows may need what they insert."""
    try:
        require_given_keys(request.specs, request.against(None), request.source_name)
    except FixtureProblemsError:
        with migrated_copy(request.target, project) as copy, connect(copy, write=True) as migrated:
            request.against(migrated)


class _Run:
    """One transfer, into the tables that the target has, or that it `makes`, which are gone again if it fails."""

    def __init__(
        self, request: Transfer, project: Project, progress: Progress, *, is_new: bool = False, makes: bool = False
    ) -> None:
        self._request, self._project, self._progress = request, project, progress
        self._is_new, self._has_tables, self._began, self._has_files = is_new, is_new, False, False
        self._makes = makes
        self._attempts = Attempts(request.target.name, progress)

    def result(self) -> TransferResult | None:
        """What was done, or would be; None for a target without any tables, of which nothing was asked."""
        if self._request.dry_run:
            return self._dry()
        found = self._attempts.run(self._once, self._may_repeat)
        return found and replace(found, warnings=(*self._attempts.warnings, *found.warnings))

    def _may_repeat(self) -> bool:
        """Whether nothing was committed: it would not be counted again."""
        return not (self._began and self._request.options.commit_every)

    def _dry(self) -> TransferResult | None:
        """The plans as results, and what a real run would lack."""
        with connect(self._request.target) as destination:
            if self._is_blank(destination):
                return None
            plans = plan(self._request, destination, self._progress)
            lacking = _lacking_rights(plans.watermarks, destination, self._progress)
            plans.held.tell(self._progress)
            tell_rewritten(plans.tables, destination, self._progress)
            sample, names = self._request.sample, self._request.origin.tables
            tables = planned_with_rows(plans.tables, sample, plans.source, destination, names)
            unseen = not_looked_at(plans.tables, destination, plans.held.specs)
            return TransferResult(tables, (*lacking, *unseen, *plans.held.warnings))

    def _is_blank(self, destination: Connection) -> bool:
        """Whether the target lacks all tables, as it was opened; they are locked, which has to come first of all."""
        destination.lock_tables(self._request.specs, self._progress)
        if not self._has_tables:
            self._has_tables = not _lacks_schema(destination, self._request.target, self._project)
        return not self._has_tables

    def _once(self) -> TransferResult | None:
        """Compare, write, verify and commit."""
        attempts, options = self._attempts, self._request.options
        with self._writing() as destination:
            attempts.has_one_writer = destination.capabilities.has_one_writer
            if options.commit_every:
                destination.hold_writer_lock()
            locks_first = self._is_new or (attempts.is_last and (self._request.is_exact or attempts.is_brief))
            if not locks_first:
                destination.look_first()
            if self._makes:
                make_lacking(self._request, self._project, destination)
            started = time.perf_counter()
            if self._is_blank(destination):
                return None
            plans = plan(self._request, destination, self._progress, locks_first=locks_first)
            attempts.planned(plans.tables, time.perf_counter() - started)
            self._write_files()
            with self._ready(plans, destination) as rows:
                stale = self._begin_writing(plans.tables, destination)
                if attempts.number > 1 and not locks_first:
                    destination.exclude_writers([each.spec for each in plans.tables if each.writes or each.deletes])
                self._began = True
                found = self._written(plans, rows, destination, None if stale else plans.source)
            results = found.tables
            if stale:
                # Of rows that were equal when they were compared, nobody knows what they hold now.
                results = tuple(replace(each, verified=False, target_digest=None) for each in results)
            unlike = _unlike_numbers(destination, self._request.specs, results, self._progress)
            return replace(found, tables=results, warnings=(*stale, *found.warnings, *unlike, *plans.held.warnings))

    def _writing(self) -> Connection:
        target = self._request.target
        return target.kind.filling(target) if self._request.beside else connect(target, write=True)

    def _written(self, plans: Plans, rows: Source, destination: Connection, compared: Source | None) -> TransferResult:
        """What was written of these rows, and committed."""
        options, held, marks = self._request.options, plans.held, plans.watermarks
        numbers = self._request.next_numbers()
        others: Sequence[OtherRows] = ()
        if options.verify and compared is not None:
            others = other_rows(plans.tables, compared, destination, held.specs)
        with _telling_committed(options):
            found = execute(
                plans.tables, rows, destination, options, self._progress, marks, held.specs, compared, numbers
            )
            told = self._generated(plans.tables, compared, destination) if options.verify else ()
            told = (*told, *changed_by_triggers(others, plans.tables, destination))
        told = (*told, *not_looked_at(plans.tables, destination, held.specs))
        self._progress.step("commit")
        destination.commit()
        for table, reason in destination.unfinished():
            self._progress.note(reason)
            told = (*told, TransferWarning("numbers", table, reason))
        held.tell(self._progress)
        return TransferResult(found, told, is_checked=options.verify)

    def _generated(
        self, plans: Sequence[TablePlan], compared: Source | None, destination: Connection
    ) -> tuple[TransferWarning, ...]:
        """What the target generates otherwise than the source, of tables that were compared as a whole.

        Raises:
            GeneratedOtherwiseError: in a table that was made in this run, by an expression of ours.
        """
        names = self._request.origin.tables
        specs = [plan.spec for plan in plans if plan.since is None]
        if names is None or compared is None or not has_generated(specs):
            return ()
        self._progress.step("compare generated columns")
        found = list(generated_otherwise(specs, names, compared, destination, self._request.exclude_columns))
        if found and self._makes and self._project.is_reflected:
            raise found[0].error(destination.name)
        return tuple(each.warning(destination.name) for each in found)

    def _write_files(self) -> None:
        """Once, whatever is repeated: nothing is left to refuse."""
        if self._request.files is not None and not self._has_files:
            self._request.files.put()
            self._has_files = True

    def _ready(self, plans: Plans, destination: Connection) -> AbstractContextManager[Source]:
        """The source, with the rows to write at hand where others will wait for us."""
        if destination.write:
            return nullcontext(plans.source)
        from toolkit.operations.transfer.prepared import prepared

        return prepared(plans.source, plans.tables, self._request.options.batch_rows, self._progress)

    def _begin_writing(self, plans: Sequence[TablePlan], destination: Connection) -> tuple[TransferWarning, ...]:
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
        if filled or not self._attempts.is_last:
            raise ChangedSincePlanError(destination.name, filled[0] if filled else None)
        reason = (
            f"{destination.name} was written to by others whenever it was compared: rows that they changed since then, "
            "and that are not among those written here, are left to the next sync."
        )
        self._progress.note(reason)
        return (TransferWarning(CHANGED_MEANWHILE, "", reason, database=destination.name),)


@contextmanager
def _telling_committed(options: Options) -> Iterator[None]:
    """Tell that what others can see already is not gone."""
    try:
        yield
    except VerificationError as error:
        if options.commit_every:
            error.advise_last("Rows that were committed before, as --commit-every has it, stay.")
        raise


def told_constraints(request: Transfer, project: Project, progress: Progress) -> tuple[TransferWarning, ...]:
    """How the tables that are about to be made from the models differ from those of a source that is a database."""
    from toolkit.operations.transfer.made_constraints import made_constraints, unnamed_constraints

    source = request.origin.tables
    told = _told_defaults(request, project)
    if source is None:
        return told
    # Of what is made without models, that is told already.
    if not project.is_reflected:
        specs = list(map(source.own, request.specs))
        told = (*told, *made_constraints(source.connection, request.target, specs, progress))
    lacking = source.renames.not_made if source.renames is not None else {}
    return (*told, *unnamed_constraints(request.target, request.specs, lacking, progress))


def _told_defaults(request: Transfer, project: Project) -> tuple[TransferWarning, ...]:
    """What becomes of the models' defaults that are another engine's, and of names that two have.

    Of tables without models, that is told already.
    """
    if project.is_reflected:
        return ()
    from toolkit.operations.migrations.model_checks import require_checks
    from toolkit.operations.migrations.model_defaults import made_defaults
    from toolkit.operations.migrations.model_names import made_names

    tables = tables_to_make(project.metadata, request.excluded)
    require_checks(request.target, tables)
    defaults = (each.warning for each in made_defaults(request.target, tables))
    names = (each.warning for each in made_names(request.target.kind.features, tables))
    return tuple(warning for warning in (*defaults, *names) if warning is not None)


def _lacking_rights(
    watermarks: Watermarks | None, target: Connection, progress: Progress
) -> tuple[TransferWarning, ...]:
    """What the run that a dry run stands for could not do, though it may read everything."""
    error = watermarks.lacking_right(target) if watermarks else None
    if watermarks is None or error is None:
        return ()
    reason = f"{error.fact} {error.advice}"
    progress.note(f"Without --dry-run this would fail: {reason}")
    return (TransferWarning("right lacking", watermarks.table, reason),)


def _unlike_numbers(
    target: Connection, specs: Sequence[TableSpec], results: Sequence[TableResult], progress: Progress
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


def _lacks_schema(destination: Connection, target: Database, project: Project) -> bool:
    with destination.translated():
        return lacks_schema(destination.sqlalchemy, target, project, accept_missing=True)


def _refuse(request: Transfer, project: Project) -> None:
    """Tell what the source lacks, together with what a target that has tables lacks.

    Raises:
        RevisionMismatchError, SchemaMismatchError: always.
    """
    if exists(request.target):
        with connect(request.target) as destination:
            if not _lacks_schema(destination, request.target, project):
                check_schema(destination, request.specs, request.problems, to_write=True)
    refuse_schema(request.problems)
