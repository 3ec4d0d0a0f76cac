"""The one way rows get into a database: compare, plan, write what differs, verify, commit."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from toolkit.core.changes import Changes, compare, compare_rows
from toolkit.core.digest import DIGEST_FIELD, TableDigest, digest_schema, keyed_digests, passing, sum_digests
from toolkit.core.plan import Action, TablePlan, TableResult, load_plan, merge_plan
from toolkit.core.progress import Progress
from toolkit.core.streams import cut, only, read_ahead
from toolkit.core.tables import TableSpec, in_cycle
from toolkit.errors import ExistingRowsError, UnnamedRowError, VerificationError
from toolkit.operations import schema
from toolkit.operations.deletes import (
    DeleteLimit,
    delete_first,
    delete_rest,
    guard,
    mark_removed,
    require_rest,
    soften,
)
from toolkit.operations.digesting import SideDigest
from toolkit.operations.moved_values import passing_values
from toolkit.repositories import connect
from toolkit.repositories.base import BATCH_ROWS, batch_key, check_schema, refuse_schema, require_keys

if TYPE_CHECKING:
    from toolkit.config import Config, Database
    from toolkit.operations.watermarks import Watermarks
    from toolkit.repositories.base import DatabaseConnection, TableRepository

# Above this share of a table it is faster to read all of it once more than to look rows up by key.
_READ_ALL_SHARE = 0.1
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
    source_for: Callable[[DatabaseConnection | None], Source],
    target: Database,
    config: Config,
    specs: Sequence[TableSpec],
    *,
    dry_run: bool,
    options: Options,
    progress: Progress,
    problems: Sequence[str] = (),
    watermarks_for: Callable[[DatabaseConnection], Watermarks] | None = None,
    before_rows: Callable[[], None] | None = None,
) -> tuple[bool, tuple[TableResult, ...]]:
    """Plan and, unless it is a dry run, execute. Whether the schema was created (or would be), and the results.

    `source_for` gives the source once the target is open; it is given None for a target that is yet to be made.
    `problems` is what the source lacks; it is told together with what the target lacks. `watermarks_for` gives how far
    the last sync from this source went, if only what changed since is to be looked at. `before_rows` is called when
    nothing is left to refuse, before any row is written.

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
        if options.commit_every and not dry_run:
            destination.keep_turn()
        destination.hold(specs)
        check_schema(destination, specs, to_write=True)
        source = source_for(destination)
        marks = watermarks_for(destination) if watermarks_for else None
        plans = [_plan(source, destination, spec, progress, options.mode, marks) for spec in specs]
        if options.mode is Mode.INSERT:
            _refuse_existing(plans, source, destination, options)
        guard(plans, destination, options.max_delete)
        require_keys(destination, (plan.spec for plan in plans if _upserts(plan, destination, options)))
        if dry_run:
            return False, tuple(planned(plan) for plan in plans)
        if before_rows is not None:
            before_rows()
        return created, execute(plans, source, destination, options, progress, marks)


def _upserts(plan: TablePlan, target: DatabaseConnection, options: Options) -> bool:
    """Whether rows will be written by an upsert, which rests on the table's key."""
    if plan.action is Action.LOAD:
        return bool(options.commit_every) or not target.capabilities.loads_without_key
    return bool(plan.writes)


def _prepare(
    target: Database, config: Config, specs: Sequence[TableSpec], problems: Sequence[str], *, dry_run: bool
) -> bool:
    """Create the schema of a target without any tables; whether it was created, or in a dry run would be."""
    if not problems and not dry_run:
        return schema.ensure_schema(target, config, accept_missing=True)
    blank = schema.lacks_schema(target, config, accept_missing=True)
    if problems and not blank:
        with connect(target) as destination:
            check_schema(destination, specs, problems, to_write=True)
    refuse_schema(problems)
    return blank


def planned(plan: TablePlan) -> TableResult:
    """A plan as the result that it would have."""
    return TableResult(
        plan.spec.name, plan.inserts, plan.updates, plan.unchanged, plan.target_only, plan.seconds, verified=False,
        deleted=0 if plan.marks else plan.deletes, marked=plan.deletes if plan.marks else 0, since=plan.since,
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


def _plan(
    source: Source,
    target: DatabaseConnection,
    spec: TableSpec,
    progress: Progress,
    mode: Mode,
    marks: Watermarks | None,
) -> TablePlan:
    """Compare one table on both sides, or only what has changed at the source since the last time."""
    repository = target.repository(spec)
    window = marks.window(spec) if marks else None
    if marks is None or window is None or repository.is_empty():
        plan = plan_table(source.repository(spec), repository, spec, progress, mode)
        return plan if spec.where is None or not plan.deletes else _keep_present(plan, source)
    started = time.perf_counter()
    progress.step(f"compare {spec.name}")
    changed = source.repository(replace(spec, where=window))
    held = target.repository(replace(spec, where=None))
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
    whole = replace(spec, where=None, columns=tuple(spec.column(name) for name in spec.key))
    present = {row for batch in source.repository(whole).read(BATCH_ROWS, keys=keys) for row in _tuples(batch, spec)}
    mask = [row not in present for batch in keys.to_batches() for row in _tuples(batch, spec)]
    return keys.filter(pa.array(mask, pa.bool_()))


def _tuples(batch: pa.RecordBatch, spec: TableSpec) -> list[tuple[Any, ...]]:
    return list(zip(*(batch.column(name).to_pylist() for name in spec.key), strict=True))


def _compare_found(digests: Iterable[pa.RecordBatch], target: TableRepository, spec: TableSpec) -> Changes:
    """Compare these rows, few enough to be held, with those of the same keys."""
    found = pa.Table.from_batches(digests, digest_schema(spec))
    held = target.read(keys=found.drop_columns([DIGEST_FIELD]))
    return compare_rows(spec, found.to_batches(), (keyed_digests(spec, batch) for batch in held))


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
        plan = merge_plan(spec, compare(spec, source, target, removed=mode.removes))
        if mode is Mode.SOFT_DELETE:
            plan = soften(plan, target)
    return replace(plan, seconds=time.perf_counter() - started)


def execute(
    plans: Sequence[TablePlan],
    source: Source,
    target: DatabaseConnection,
    options: Options,
    progress: Progress,
    marks: Watermarks | None = None,
) -> tuple[TableResult, ...]:
    """Write what the plans say, in their order, with the watermarks that were reached, and commit.

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
        results = tuple(_write(plan, source, target, options, progress, rest.get(plan.spec.name)) for plan in plans)
        delete_rest(plans, rest, target)
        _undo_cascades(plans, source, target, options)
    mark_removed(plans, target, dt.datetime.now(dt.UTC))
    target.check_parents([plan.spec for plan in plans if plan in written or _lost_parents(plan, plans)])
    require_rest(plans, target, verify=options.verify)
    if options.verify and not options.commit_every and target.fires_triggers(specs):
        _verify_again(written, results, target)
    for spec in specs:
        target.repository(spec).advance_sequences()
    if marks is not None:
        marks.write(target, specs)
    target.commit()
    return results


def _undo_cascades(
    plans: Sequence[TablePlan], source: Source, target: DatabaseConnection, options: Options
) -> None:
    """Write rows again that the database changed by itself as what they point at got another value.

    A value that went from one row to another took them along (ON UPDATE CASCADE), though they point where they did.
    """
    updated = {plan.spec.name: plan.spec for plan in plans if plan.updates}
    for plan in plans:
        spec = plan.spec
        parents = ((updated[fk.parent], fk) for fk in spec.foreign_keys if fk.parent in updated)
        if all(set(fk.parent_columns) <= set(parent.key) for parent, fk in parents) or not target.follows_updates(spec):
            continue
        repository = target.repository(spec)
        held = (keyed_digests(spec, batch) for batch in repository.read())
        found = compare_rows(spec, source.repository(spec).row_digests(), held)
        again = merge_plan(spec, found)
        if again.writes:
            repository.upsert_many(_differing(again, source, options))
            keys, expected = _expected(again)
            _verified(again, target, expected, repository.digest(keys=keys))


def _lost_parents(plan: TablePlan, plans: Sequence[TablePlan]) -> bool:
    parents = {foreign_key.parent for foreign_key in plan.spec.foreign_keys}
    return any(other.deletes and not other.marks for other in plans if other.spec.name in parents)


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
        if _written_digest(plan, target).text != verified[plan.spec.name]:
            raise VerificationError(target.name, plan.spec.name, "rows were changed by a trigger of another table")


def _written_digest(plan: TablePlan, target: DatabaseConnection) -> TableDigest:
    """The digest of the source's rows as the target has them now, of the kind that `_load` or `_merge` gave."""
    repository = target.repository(plan.spec)
    if plan.changes is None:
        return repository.stored_digest() if _is_kept_as_sent(plan.spec, target) else repository.digest()
    return _whole(plan, repository.digest(keys=_expected(plan)[0]))


def _whole(plan: TablePlan, written: TableDigest) -> TableDigest:
    """The digest of all rows of the source, with this one for those that were written."""
    assert plan.digest is not None
    return plan.digest - _expected(plan)[1] + written


def _write(
    plan: TablePlan,
    source: Source,
    target: DatabaseConnection,
    options: Options,
    progress: Progress,
    leaving: pa.Table | None,
) -> TableResult:
    started = time.perf_counter()
    sent = arrived = plan.digest if options.verify and plan.action is Action.NOTHING else None
    if plan.action is not Action.NOTHING:
        progress.step(f"{plan.action} {plan.spec.name}", plan.writes)
        if plan.inserts and target.repository(plan.spec).folded_key():
            target.repository(plan.spec).require_distinct(_keys_to_write(plan, source))
        parked = _park_moved(plan, lambda: _differing(plan, source, options), target, leaving)
        if options.commit_every and not parked and not _points_at_itself(plan.spec):
            sent, arrived = _in_parts(plan, source, target, options, progress)
        elif plan.action is Action.LOAD:
            sent, arrived = _load(plan, source, target, options, progress)
        else:
            sent, arrived = _merge(plan, source, target, options, progress)
    return replace(
        planned(plan), seconds=plan.seconds + time.perf_counter() - started, verified=sent is not None,
        source_digest=sent.text if sent else None, target_digest=arrived.text if arrived else None,
    )


def _park_moved(
    plan: TablePlan, incoming: Callable[[], Iterator[pa.RecordBatch]], target: DatabaseConnection,
    leaving: pa.Table | None,
) -> bool:
    """Give rows passing values where another takes theirs; whether there were any.

    Rows to be updated, and `leaving`, the keys of those to be deleted only later. Where nothing else can stand in
    between, the engine is left to refuse the value.
    """
    if plan.changes is None or not (plan.updates or leaving):
        return False
    keys = plan.changes.select(list(plan.spec.key))
    held = pa.concat_tables([keys, leaving]) if leaving else keys
    parked = [rows for _, rows in passing_values(plan.spec, held, incoming, target) if rows is not None]
    for rows in parked:
        target.repository(plan.spec).update_many(rows)
    return bool(parked)


Digests = tuple[TableDigest, TableDigest] | tuple[None, None]


def _load(
    plan: TablePlan, source: Source, target: DatabaseConnection, options: Options, progress: Progress
) -> Digests:
    """Fill an empty table; digest what is sent on the side, and what arrived where it lies."""
    origin, repository = source.repository(plan.spec), target.repository(plan.spec)
    as_stored = _is_kept_as_sent(plan.spec, target)
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


def _is_kept_as_sent(spec: TableSpec, target: DatabaseConnection) -> bool:
    """Whether rows come back to the letter; of a decimal without precision an engine keeps the value, not the text."""
    return target.capabilities.keeps_text_of_json and not any(c.type.is_free_decimal for c in spec.columns)


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
    sent, arrived = _verified(plan, target, expected, repository.digest(keys=keys))
    return _whole(plan, sent), _whole(plan, arrived)


def _expected(plan: TablePlan) -> tuple[pa.Table, TableDigest]:
    assert plan.changes is not None
    digests = plan.changes.column(DIGEST_FIELD).combine_chunks()
    return plan.changes.drop_columns([DIGEST_FIELD]), sum_digests(digests)


def _keys_to_write(plan: TablePlan, source: Source) -> Iterator[pa.RecordBatch]:
    if plan.changes is not None:
        yield from plan.changes.select(list(plan.spec.key)).to_batches()
        return
    narrow = replace(plan.spec, columns=tuple(plan.spec.column(name) for name in plan.spec.key))
    for batch in source.repository(narrow).read(BATCH_ROWS):
        yield batch.select(list(plan.spec.key))


def _differing(plan: TablePlan, source: Source, options: Options) -> Iterator[pa.RecordBatch]:
    return rows_with_keys(source.repository(plan.spec), _expected(plan)[0], options.batch_rows)


def rows_with_keys(rows: RowSource, keys: pa.Table, batch_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """The rows with these keys; for a large share of them, all rows are read once."""
    if keys.num_rows > _READ_ALL_SHARE * rows.count():
        return only(rows.read(batch_rows), keys)
    return rows.read(batch_rows, keys=keys)


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


def _verified(
    plan: TablePlan, target: DatabaseConnection, sent: TableDigest, arrived: TableDigest
) -> tuple[TableDigest, TableDigest]:
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
