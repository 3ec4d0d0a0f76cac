"""The one way rows get into a database: compare, plan, write what differs, verify, commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from toolkit.core.changes import compare
from toolkit.core.digest import DIGEST_FIELD, TableDigest, passing, sum_digests
from toolkit.core.plan import Action, TablePlan, TableResult, load_plan, merge_plan
from toolkit.core.progress import Progress
from toolkit.core.streams import cut, only, read_ahead
from toolkit.core.tables import TableSpec, in_cycle
from toolkit.errors import ExistingRowsError, UnnamedRowError, VerificationError
from toolkit.operations import migrate
from toolkit.operations.deletes import DeleteLimit, delete_first, delete_rest, guard, require_counts
from toolkit.operations.digesting import SideDigest
from toolkit.repositories import connect
from toolkit.repositories.base import BATCH_ROWS, batch_key, check_schema, refuse_schema

if TYPE_CHECKING:
    from toolkit.config import Config, Database
    from toolkit.repositories.base import DatabaseConnection, TableRepository

# Above this share of a table it is faster to read all of it once more than to look rows up by key.
_READ_ALL_SHARE = 0.1


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


@dataclass(frozen=True, slots=True)
class Options:
    """How to write. `commit_every` (rows) trades all-or-nothing for commits in between.

    `mode`: by default rows are inserted or updated, and those that only the target has stay; `insert` refuses rows
    that are there already, `replace` also deletes those that only the target has, of each table `max_delete` at most.
    """

    verify: bool = True
    batch_rows: int = BATCH_ROWS
    commit_every: int | None = None
    mode: Mode = Mode.UPSERT
    max_delete: DeleteLimit | None = None


def transfer(
    source_for: Callable[[DatabaseConnection | None], Source],
    target: Database,
    config: Config,
    specs: Sequence[TableSpec],
    *,
    dry_run: bool,
    options: Options,
    progress: Progress,
    problems: Sequence[str] = (),
) -> tuple[bool, tuple[TableResult, ...]]:
    """Plan and, unless it is a dry run, execute. Whether the schema was created (or would be), and the results.

    `source_for` gives the source once the target is open; it is given None for a target that is yet to be made.
    `problems` is what the source lacks; it is told together with what the target lacks.

    Raises:
        RevisionMismatchError, SchemaMismatchError: before anything is written.
    """
    created = _prepare(target, config, specs, problems, dry_run=dry_run)
    if created and dry_run:
        source = source_for(None)
        return True, tuple(planned(plan_table(source.repository(s), None, s, progress)) for s in specs)
    if created:
        progress.note(f"{target.name} had no tables: its schema was created.")
    with connect(target, write=not dry_run) as destination:
        destination.hold(specs)
        check_schema(destination, specs, to_write=True)
        source = source_for(destination)
        plans = [plan_table(source.repository(s), destination.repository(s), s, progress, options.mode) for s in specs]
        if options.mode is Mode.INSERT:
            _refuse_existing(plans, source, destination, options)
        guard(plans, destination, options.max_delete)
        if dry_run:
            return False, tuple(planned(plan) for plan in plans)
        return created, execute(plans, source, destination, options, progress)


def _prepare(
    target: Database, config: Config, specs: Sequence[TableSpec], problems: Sequence[str], *, dry_run: bool
) -> bool:
    """Create the schema of a target without any tables; whether it was created, or in a dry run would be."""
    if not problems and not dry_run:
        return migrate.ensure_schema(target, config, accept_missing=True)
    blank = migrate.lacks_schema(target, config, accept_missing=True)
    if problems and not blank:
        with connect(target) as destination:
            check_schema(destination, specs, problems, to_write=True)
    refuse_schema(problems)
    return blank


def planned(plan: TablePlan) -> TableResult:
    """A plan as the result that it would have."""
    return TableResult(
        plan.spec.name, plan.inserts, plan.updates, plan.unchanged, plan.target_only, plan.seconds, verified=False,
        deleted=plan.deletes,
    )


def _refuse_existing(
    plans: Sequence[TablePlan], source: Source, target: DatabaseConnection, options: Options
) -> None:
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


def plan_table(
    source: RowSource,
    target: TableRepository | None,
    spec: TableSpec,
    progress: Progress,
    mode: Mode = Mode.UPSERT,
) -> TablePlan:
    """Compare one table on both sides; a target that does not exist yet is None."""
    started = time.perf_counter()
    progress.step(f"compare {spec.name}")
    if target is None or target.is_empty():
        plan = load_plan(spec, source.count())
    else:
        removed = mode is Mode.REPLACE
        plan = merge_plan(spec, compare(spec, source.row_digests(), target.row_digests(), removed=removed))
    return replace(plan, seconds=time.perf_counter() - started)


def execute(
    plans: Sequence[TablePlan], source: Source, target: DatabaseConnection, options: Options, progress: Progress
) -> tuple[TableResult, ...]:
    """Write what the plans say, in their order, and commit.

    Raises:
        VerificationError: what arrived is not what was sent; nothing is kept.
        MissingParentError, UniqueConflictError, UnrepresentableValueError: named with the rows; nothing is kept.
    """
    target.stop_reading()
    specs = [plan.spec for plan in plans]
    written = [plan for plan in plans if plan.action is not Action.NOTHING]
    cyclic = in_cycle(specs)
    with ExitStack() as stack:
        if any(plan.spec.name in cyclic for plan in plans if plan.writes or plan.deletes):
            stack.enter_context(target.defer_foreign_keys([spec for spec in specs if spec.name in cyclic]))
            # A commit in between would find children whose parents are still to come.
            options = _in_one_piece(options, cyclic, progress)
        rest = delete_first(plans, target, progress)
        results = tuple(_write(plan, source, target, options, progress) for plan in plans)
        delete_rest(plans, rest, target)
    target.check_parents([plan.spec for plan in plans if plan in written or _lost_parents(plan, plans)])
    require_counts(plans, target)
    if options.verify and not options.commit_every and target.fires_triggers(specs):
        _verify_again(written, results, target)
    for spec in specs:
        target.repository(spec).advance_sequences()
    target.commit()
    return results


def _lost_parents(plan: TablePlan, plans: Sequence[TablePlan]) -> bool:
    parents = {foreign_key.parent for foreign_key in plan.spec.foreign_keys}
    return any(other.deletes for other in plans if other.spec.name in parents)


def _in_one_piece(options: Options, cyclic: Collection[str], progress: Progress) -> Options:
    if options.commit_every:
        progress.note(f"{', '.join(sorted(cyclic))}: refer to tables after them, so all is one commit.")
    return replace(options, commit_every=None)


def _verify_again(
    written: Sequence[TablePlan], results: Sequence[TableResult], target: DatabaseConnection
) -> None:
    """See that no trigger on a table written later has changed one that was verified before."""
    verified = {result.table: result.target_digest for result in results}
    for plan in written:
        keys = None if plan.changes is None else _expected(plan)[0]
        if target.repository(plan.spec).digest(keys=keys).text != verified[plan.spec.name]:
            raise VerificationError(target.name, plan.spec.name, "rows were changed by a trigger of another table")


def _write(
    plan: TablePlan, source: Source, target: DatabaseConnection, options: Options, progress: Progress
) -> TableResult:
    started = time.perf_counter()
    sent = arrived = None
    if plan.action is not Action.NOTHING:
        progress.step(f"{plan.action} {plan.spec.name}", plan.writes)
        if options.commit_every and not _points_at_itself(plan.spec):
            sent, arrived = _in_parts(plan, source, target, options, progress)
        elif plan.action is Action.LOAD:
            sent, arrived = _load(plan, source, target, options, progress)
        else:
            sent, arrived = _merge(plan, source, target, options, progress)
    return TableResult(
        plan.spec.name, plan.inserts, plan.updates, plan.unchanged, plan.target_only,
        plan.seconds + time.perf_counter() - started, verified=sent is not None, deleted=plan.deletes,
        source_digest=sent.text if sent else None, target_digest=arrived.text if arrived else None,
    )


Digests = tuple[TableDigest | None, TableDigest | None]


def _load(
    plan: TablePlan, source: Source, target: DatabaseConnection, options: Options, progress: Progress
) -> Digests:
    """Fill an empty table; digest what is sent on the side, and what arrived where it lies."""
    origin, repository = source.repository(plan.spec), target.repository(plan.spec)
    # An engine keeps the value of such a decimal, not its text.
    free_decimals = any(column.type.is_free_decimal for column in plan.spec.columns)
    as_stored = target.capabilities.keeps_text_of_json and not free_decimals
    with SideDigest(plan.spec, as_stored) as sent, read_ahead(origin.read(options.batch_rows)) as batches:

        def passing() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                if options.verify:
                    sent.add(batch)
                yield batch
                progress.advance(batch.num_rows)

        try:
            repository.load(passing(), plan.inserts)
        except UnnamedRowError as error:
            raise repository.why_refused(origin.read(options.batch_rows)) or error from error
        if not options.verify:
            return None, None
        arrived = repository.stored_digest() if as_stored else repository.digest()
        return _verified(plan, target, sent.result(), arrived)


def _merge(
    plan: TablePlan, source: Source, target: DatabaseConnection, options: Options, progress: Progress
) -> Digests:
    """Write the rows that differ; the plan has their digests."""
    repository = target.repository(plan.spec)
    with read_ahead(_differing(plan, source, options)) as batches:
        repository.upsert_many(_counted(batches, progress))
    if not options.verify:
        return None, None
    keys, expected = _expected(plan)
    return _verified(plan, target, expected, repository.digest(keys=keys))


def _expected(plan: TablePlan) -> tuple[pa.Table, TableDigest]:
    assert plan.changes is not None
    digests = plan.changes.column(DIGEST_FIELD).combine_chunks()
    return plan.changes.drop_columns([DIGEST_FIELD]), sum_digests(digests)


def _differing(plan: TablePlan, source: Source, options: Options) -> Iterator[pa.RecordBatch]:
    repository = source.repository(plan.spec)
    keys, _ = _expected(plan)
    if keys.num_rows > _READ_ALL_SHARE * (plan.writes + plan.unchanged):
        return only(repository.read(options.batch_rows), keys)
    return repository.read(options.batch_rows, keys=keys)


def _in_parts(
    plan: TablePlan, source: Source, target: DatabaseConnection, options: Options, progress: Progress
) -> Digests:
    """Write and commit so many rows at a time, each part verified before its commit."""
    assert options.commit_every is not None
    rows = (
        source.repository(plan.spec).read(options.batch_rows)
        if plan.action is Action.LOAD
        else _differing(plan, source, options)
    )
    sent, arrived = TableDigest(), TableDigest()
    with read_ahead(rows) as batches:
        for part in cut(batches, options.commit_every):
            repository = target.repository(plan.spec)
            seen: list[TableDigest] = []
            repository.upsert_many(passing(plan.spec, [part], seen.append))
            if options.verify:
                keys = pa.Table.from_batches([part]).select(list(plan.spec.key))
                _verified(plan, target, seen[0], found := repository.digest(keys=keys))
                sent, arrived = sent + seen[0], arrived + found
            target.check_parents([plan.spec])
            repository.advance_sequences()
            target.commit()
            progress.advance(part.num_rows)
    return (sent, arrived) if options.verify else (None, None)


def _verified(plan: TablePlan, target: DatabaseConnection, sent: TableDigest, arrived: TableDigest) -> Digests:
    if sent.rows != arrived.rows:
        raise VerificationError(
            target.name, plan.spec.name, f"{sent.rows} rows were sent, but {arrived.rows} of them are"
        )
    if sent != arrived:
        raise VerificationError(target.name, plan.spec.name, "rows are there, but with other values than were sent,")
    return sent, arrived


def _points_at_itself(spec: TableSpec) -> bool:
    return any(foreign_key.parent == spec.name for foreign_key in spec.foreign_keys)


def _counted(batches: Iterator[pa.RecordBatch], progress: Progress) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        progress.advance(batch.num_rows)
