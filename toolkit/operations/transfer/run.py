"""The one way rows get into a database: compare and plan here; `execution` writes, verifies and commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from toolkit.compute.changes import compare, compare_rows
from toolkit.core.batches import BATCH_ROWS
from toolkit.core.changes import Changes
from toolkit.core.digest import DIGEST_FIELD, TableDigest, digest_schema, keyed_digests
from toolkit.core.plan import (
    CHANGED_MEANWHILE,
    Action,
    TablePlan,
    TableResult,
    TransferWarning,
    load_plan,
    merge_plan,
    planned,
)
from toolkit.core.progress import Progress
from toolkit.core.tables import TableSpec
from toolkit.engines import connect
from toolkit.engines.portable.connection import batch_key, check_schema, refuse_schema, require_keys
from toolkit.engines.portable.lossy import require_exact
from toolkit.errors import ChangedSincePlanError, ExistingRowsError
from toolkit.operations.migrations import schema
from toolkit.operations.migrations.revisions import has_history
from toolkit.operations.transfer.attempts import Attempts
from toolkit.operations.transfer.deletes import DeleteLimit, guard, soften
from toolkit.operations.transfer.execution import execute
from toolkit.operations.transfer.prepared import prepared

if TYPE_CHECKING:
    from toolkit.config import Config, Database
    from toolkit.engines.contract import Connection, Table
    from toolkit.operations.transfer.watermarks import Watermarks

# So many rows that changed since the last sync are looked up in the target by key; for more it is read whole.
_LOOKED_UP_ROWS = 100_000


class RowSource(Protocol):
    """One table's rows at the source: a repository, or a fixture file."""

    def count(self) -> int:
        """Number of rows."""

    def read(self, batch_rows: int, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, or those with these keys, in the canonical schema."""

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row."""

    def digest(self) -> TableDigest:
        """The digest of all rows."""


class Source(Protocol):
    """Where rows come from, as one snapshot of all tables."""

    def repository(self, spec: TableSpec) -> RowSource:
        """One table's rows."""


class Mode(StrEnum):
    """What becomes of rows that the target has already."""

    UPSERT = "upsert"
    INSERT = "insert"
    REPLACE = "replace"
    SOFT_DELETE = "soft-delete"

    @property
    def removes(self) -> bool:
        """Whether rows that only the target has are deleted, or marked as deleted."""
        return self in (Mode.REPLACE, Mode.SOFT_DELETE)


@dataclass(frozen=True, slots=True)
class Options:
    """How to write. `commit_every` (rows) trades all-or-nothing for commits in between.

    `mode`: by default rows are inserted or updated, and those that only the target has stay; `insert` refuses rows
    that are there already, `replace` also deletes those that only the target has, of each table `max_delete` at most,
    and `soft-delete` marks them as deleted where the table has columns for that.
    """

    verify: bool = True
    batch_rows: int = BATCH_ROWS
    commit_every: int | None = None
    mode: Mode = Mode.UPSERT
    max_delete: DeleteLimit | None = None


def transfer(
    source_for: Callable[[Connection | None], Source],
    target: Database,
    config: Config,
    specs: Sequence[TableSpec],
    *,
    dry_run: bool,
    options: Options,
    progress: Progress,
    problems: Sequence[str] = (),
    watermarks_for: Callable[[Connection], Watermarks] | None = None,
    before_rows: Callable[[], None] | None = None,
    before_models: Callable[[], tuple[TransferWarning, ...]] | None = None,
    follows_target: bool = False,
) -> tuple[str | None, tuple[TableResult, ...], tuple[TransferWarning, ...]]:
    """Plan and, unless it is a dry run, execute.

    Gives what the schema was created from (or would be), None if it was there; the results; and warnings: of what the
    target now holds, or of what a real run would lack.
    `source_for` gives the source once the target is open; it is given None for a target that is yet to be made.
    `problems` is what the source lacks; it is told together with what the target lacks. `watermarks_for` gives how far
    the last sync from this source went, if only what changed since is to be looked at. `before_rows` is called when
    nothing is left to refuse, before any row is written; `before_models` before tables are made from the models.
    `follows_target`: what the source gives depends on the target's rows.

    Where other writers spoil it, it is repeated (see `Attempts`).

    Raises:
        RevisionMismatchError, SchemaMismatchError: before anything is written.
    """
    created = _lacks_schema(target, config, specs, problems)
    schema_from = schema.schema_from(config) if created else None
    made = before_models() if created and before_models and not has_history(config) else ()
    if created and dry_run:
        source = source_for(None)
        return schema_from, tuple(planned(plan_table(source.repository(s), None, s, progress)) for s in specs), made
    if created:
        schema.make_schema(target, config)
        progress.note(f"{target.name} had no tables: its schema was created.")
    run = _Run(
        source_for,
        target,
        specs,
        options,
        progress,
        watermarks_for,
        before_rows,
        follows_target=follows_target,
        is_new=created,
    )
    if dry_run:
        results, warnings = run.dry()
        return None, results, warnings
    results, warnings = run.attempts.run(run.once, run.may_repeat)
    return schema_from, results, (*made, *run.attempts.warnings, *warnings)


Outcome = tuple[tuple[TableResult, ...], tuple[TransferWarning, ...]]


class _Run:
    """One transfer into a target that has its tables."""

    def __init__(
        self,
        source_for: Callable[[Connection | None], Source],
        target: Database,
        specs: Sequence[TableSpec],
        options: Options,
        progress: Progress,
        watermarks_for: Callable[[Connection], Watermarks] | None,
        before_rows: Callable[[], None] | None,
        *,
        follows_target: bool,
        is_new: bool,
    ) -> None:
        self._source_for, self._watermarks_for, self._before_rows = source_for, watermarks_for, before_rows
        self._target, self._specs, self._options, self._progress = target, specs, options, progress
        # Rows that others came to write since a plan was made may be left to the next sync only where each row is
        # updated by its own key, whatever else there is.
        self._is_exact = follows_target or options.mode is not Mode.UPSERT
        self._is_new, self._began = is_new, False
        self.attempts = Attempts(target.name, progress)

    def may_repeat(self) -> bool:
        """Whether nothing was committed: it would not be counted again."""
        return not (self._began and self._options.commit_every)

    def dry(self) -> Outcome:
        """The plans as results, and what a real run would lack."""
        with connect(self._target) as destination:
            _, plans, marks = self._plans(destination)
            return tuple(planned(plan) for plan in plans), _lacking_rights(marks, destination, self._progress)

    def once(self) -> Outcome:
        """Compare, write, verify and commit."""
        attempts, options, progress = self.attempts, self._options, self._progress
        with connect(self._target, write=True) as destination:
            attempts.has_one_writer = destination.capabilities.has_one_writer
            if options.commit_every:
                destination.hold_writer_lock()
            locks_first = self._is_new or (attempts.is_last and (self._is_exact or attempts.is_brief))
            if not locks_first:
                destination.look_first()
            started = time.perf_counter()
            source, plans, marks = self._plans(destination, locks_first=locks_first)
            attempts.planned(plans, time.perf_counter() - started)
            if self._before_rows is not None:
                self._before_rows()
                self._before_rows = None
            with self._ready(source, plans, destination) as rows:
                stale = self._begin_writing(plans, destination)
                if attempts.number > 1 and not locks_first:
                    destination.exclude_writers([plan.spec for plan in plans if plan.writes or plan.deletes])
                self._began = True
                results = execute(plans, rows, destination, options, progress, marks)
            if stale:
                # Of rows that were equal when they were compared, nobody knows what they hold now.
                results = tuple(replace(each, verified=False, target_digest=None) for each in results)
            return results, (*stale, *_unlike_numbers(destination, self._specs, results, progress))

    def _ready(
        self, source: Source, plans: Sequence[TablePlan], destination: Connection
    ) -> AbstractContextManager[Source]:
        """The source, with the rows to write at hand where others will wait for us."""
        if destination.write:
            return nullcontext(source)
        return prepared(source, plans, self._options.batch_rows, self._progress)

    def _begin_writing(self, plans: Sequence[TablePlan], destination: Connection) -> tuple[TransferWarning, ...]:
        """Take the write lock, and see whether the plans still hold; what is to be told if they do not quite.

        Raises:
            ChangedSincePlanError: they do not.
        """
        if destination.begin_writing():
            return ()
        filled = [
            plan.spec.name
            for plan in plans
            if plan.action is Action.LOAD and not destination.repository(plan.spec).is_empty()
        ]
        if filled or self._is_exact or not self.attempts.is_last:
            raise ChangedSincePlanError(destination.name, filled[0] if filled else None)
        reason = (
            f"{destination.name} was written to by others whenever it was compared: rows that they changed since then, "
            "and that are not among those written here, are left to the next sync."
        )
        self._progress.note(reason)
        return (TransferWarning(CHANGED_MEANWHILE, "", reason, database=destination.name),)

    def _plans(
        self, destination: Connection, *, locks_first: bool = False
    ) -> tuple[Source, list[TablePlan], Watermarks | None]:
        """Compare each table, and refuse what cannot be done.

        Raises:
            SchemaMismatchError, DeleteGuardError, ReferencedRowsError, ExistingRowsError: nothing was written.
        """
        specs, options = self._specs, self._options
        destination.lock_tables(specs, self._progress)
        check_schema(destination, specs, to_write=True)
        if locks_first:
            destination.exclude_writers(specs)
        require_exact(destination, specs)
        source = self._source_for(destination)
        marks = self._watermarks_for(destination) if self._watermarks_for else None
        filled = destination.filled(specs)
        plans = [
            _plan(source, destination, spec, self._progress, options.mode, marks, is_empty=spec.name not in filled)
            for spec in specs
        ]
        if options.mode is Mode.INSERT:
            _refuse_existing(plans, source, destination, options)
        guard(plans, destination, options.max_delete)
        require_keys(destination, (plan.spec for plan in plans if _upserts(plan, destination, options)))
        destination.require_room([plan.spec for plan in plans if plan.writes and plan.action is not Action.LOAD])
        return source, plans, marks


def _lacking_rights(marks: Watermarks | None, target: Connection, progress: Progress) -> tuple[TransferWarning, ...]:
    """What the run that a dry run stands for could not do, though it may read everything."""
    error = marks.lacking_right(target) if marks else None
    if marks is None or error is None:
        return ()
    reason = f"{error.fact} {error.advice}"
    progress.note(f"Without --dry-run this would fail: {reason}")
    return (TransferWarning("right lacking", marks.table, reason),)


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


def _upserts(plan: TablePlan, target: Connection, options: Options) -> bool:
    """Whether rows will be written by an upsert, which rests on the table's key."""
    if plan.action is Action.LOAD:
        return bool(options.commit_every) or not target.capabilities.loads_without_key
    return bool(plan.writes)


def _lacks_schema(target: Database, config: Config, specs: Sequence[TableSpec], problems: Sequence[str]) -> bool:
    """Whether a target is without any tables, which are then to be made; what either side lacks is refused."""
    blank = schema.lacks_schema(target, config, accept_missing=True)
    if problems and not blank:
        with connect(target) as destination:
            check_schema(destination, specs, problems, to_write=True)
    refuse_schema(problems)
    return blank


def _refuse_existing(plans: Sequence[TablePlan], source: Source, target: Connection, options: Options) -> None:
    for plan in plans:
        rows = plan.updates + plan.unchanged
        if not rows:
            continue
        repository = target.repository(plan.spec)
        for batch in source.repository(plan.spec).read(options.batch_rows):
            keys = pa.Table.from_batches([batch]).select(list(plan.spec.key))
            found = next((part for part in repository.read(keys=keys) if part.num_rows), None)
            if found is not None:
                raise ExistingRowsError(target.name, plan.spec.name, rows, batch_key(plan.spec, found, 0))


def _plan(
    source: Source,
    target: Connection,
    spec: TableSpec,
    progress: Progress,
    mode: Mode,
    marks: Watermarks | None,
    *,
    is_empty: bool,
) -> TablePlan:
    """Compare one table on both sides, or only what has changed at the source since the last time."""
    repository = target.repository(spec)
    window = marks.window(spec) if marks else None
    if marks is None or window is None or is_empty:
        plan = plan_table(source.repository(spec), None if is_empty else repository, spec, progress, mode)
        return plan if spec.where is None or not plan.deletes else _keep_present(plan, source)
    started = time.perf_counter()
    progress.step(f"compare {spec.name}")
    changed = source.repository(replace(spec, conditions=(*spec.conditions, window)))
    held = target.repository(replace(spec, conditions=()))
    few = changed.count() <= _LOOKED_UP_ROWS
    changes = _compare_found(changed.row_digests(), held, spec) if few else compare(spec, changed, held)
    plan = merge_plan(spec, replace(changes, target_only=0))
    return replace(plan, seconds=time.perf_counter() - started, since=marks.shown(spec))


def _keep_present(plan: TablePlan, source: Source) -> TablePlan:
    """The same plan without deleting rows that the source has, only not within the condition."""
    assert plan.removals is not None
    gone = without_present(plan.spec, plan.removals, source)
    kept = plan.deletes - gone.num_rows
    return replace(plan, removals=gone, deletes=gone.num_rows, target_only=plan.target_only + kept)


def without_present(spec: TableSpec, keys: pa.Table, source: Source) -> pa.Table:
    """Those of these keys that the source has no row of, whatever the condition that narrows the table."""
    whole = spec.without_conditions().project(spec.key)
    present = {row for batch in source.repository(whole).read(BATCH_ROWS, keys=keys) for row in _tuples(batch, spec)}
    mask = [row not in present for batch in keys.to_batches() for row in _tuples(batch, spec)]
    return keys.filter(pa.array(mask, pa.bool_()))


def _tuples(batch: pa.RecordBatch, spec: TableSpec) -> list[tuple[Any, ...]]:
    return list(zip(*(batch.column(name).to_pylist() for name in spec.key), strict=True))


def _compare_found(digests: Iterable[pa.RecordBatch], target: Table, spec: TableSpec) -> Changes:
    """Compare these rows, few enough to be held, with those of the same keys."""
    found = pa.Table.from_batches(digests, digest_schema(spec))
    held = target.read(keys=found.drop_columns([DIGEST_FIELD]))
    return compare_rows(spec, found.to_batches(), (keyed_digests(spec, batch) for batch in held))


def plan_table(
    source: RowSource,
    target: Table | None,
    spec: TableSpec,
    progress: Progress,
    mode: Mode = Mode.UPSERT,
) -> TablePlan:
    """Compare one table on both sides; a target that is empty, or does not exist yet, is None."""
    started = time.perf_counter()
    progress.step(f"compare {spec.name}")
    if target is None:
        plan = load_plan(spec, source.count())
    else:
        plan = merge_plan(spec, compare(spec, source, target, removed=mode.removes))
        if mode is Mode.SOFT_DELETE:
            plan = soften(plan, target)
    return replace(plan, seconds=time.perf_counter() - started)
