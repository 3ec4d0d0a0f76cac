"""What the plans say, done: rows written, and verified by digest."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import structs

from toolkit.compute.changes import compare_rows
from toolkit.core.batches import BATCH_ROWS, copied
from toolkit.core.digest import DIGEST_FIELD, TableDigest, digest_passthrough, keyed_digests, sum_digests
from toolkit.core.plan import Action, TablePlan, TableResult, merge_plan, planned
from toolkit.core.progress import Progress
from toolkit.core.streams import cut, read_ahead
from toolkit.core.tables import TableSpec, in_cycle
from toolkit.engines.contract import CopiesWithinDatabase, PassesThrough
from toolkit.errors import ChangedSincePlanError, UnnamedRowError, VerificationError
from toolkit.operations.transfer.background_digest import BackgroundDigest
from toolkit.operations.transfer.deletes import delete_first, delete_rest, mark_removed, require_rest
from toolkit.operations.transfer.held_triggers import firing
from toolkit.operations.transfer.missing_row import first_difference
from toolkit.operations.transfer.moved_values import temporary_unique_values
from toolkit.operations.transfer.set_values import writer
from toolkit.operations.transfer.sources import rows_with_keys
from toolkit.operations.transfer.verifying import changes_more, verify_again

if TYPE_CHECKING:
    from toolkit.engines.contract import Connection, Table
    from toolkit.operations.transfer.options import Options
    from toolkit.operations.transfer.sources import RowSource, Source
    from toolkit.operations.transfer.watermarks import Watermarks

# From here on DuckDB's hashes, which take 20 ms to begin, are faster than the canonical digest (10 µs a row).
_MANY_ROWS = 2_000


def execute(
    plans: Sequence[TablePlan],
    source: Source,
    target: Connection,
    options: Options,
    progress: Progress,
    watermarks: Watermarks | None = None,
    held: Sequence[TableSpec] = (),
    compared: Source | None = None,
    numbers: Mapping[str, Mapping[str, int]] | None = None,
) -> tuple[TableResult, ...]:
    """Write what the plans say, in their order, with the watermarks that were reached; the caller commits.

    The triggers of the tables `held` do not fire. `compared` has all rows that were compared, for those that do; None
    where it is known that they are no longer as they were. `numbers` are, by table and column, what is given out next
    at least.

    Raises:
        VerificationError: what arrived is not what was sent; nothing is kept.
        MissingParentError, UniqueConflictError, UnrepresentableValueError: named with the rows; nothing is kept.
    """
    target.stop_reading()
    specs = [plan.spec for plan in plans]
    # Foreign keys are checked by the end of the block: beside what is left to check, no trigger can be enabled.
    with target.held_triggers(held) if held else nullcontext():
        results = _write_all(plans, source, target, options, progress)
    if options.verify and compared is not None and changes_more(plans, target):
        verify_again(plans, results, compared, target, watermarks)
    for spec in specs:
        target.repository(spec).advance_sequences((numbers or {}).get(spec.name))
    if watermarks is not None:
        watermarks.write(target, specs)
    return results


def _write_all(
    plans: Sequence[TablePlan], source: Source, target: Connection, options: Options, progress: Progress
) -> tuple[TableResult, ...]:
    """Write, delete and mark rows, and check what that does to foreign keys and to the rows that stay."""
    specs = [plan.spec for plan in plans]
    written = [plan for plan in plans if plan.action is not Action.NOTHING]
    cyclic = in_cycle(specs)
    with ExitStack() as stack:
        if any(plan.spec.name in cyclic for plan in plans if plan.writes or plan.deletes):
            stack.enter_context(target.defer_foreign_keys([spec for spec in specs if spec.name in cyclic]))
            # A commit in between would find children whose parents are still to come.
            options = _in_one_piece(options, cyclic, progress)
        rest = delete_first(plans, target, progress)
        progress.whole(sum(plan.writes for plan in plans))
        try:
            results = tuple(_write(plan, source, target, options, progress, rest.get(plan.spec.name)) for plan in plans)
        except ChangedSincePlanError as error:
            error.advise(firing(target, specs))  # It may have been a trigger of a table that was written before.
            raise
        delete_rest(plans, rest, target)
        _undo_cascades(plans, source, target, options, progress)
    mark_removed(plans, target, dt.datetime.now(dt.UTC))
    target.check_parents([plan.spec for plan in plans if plan in written or _lost_parents(plan, plans)])
    require_rest(plans, target, verify=options.verify)
    return results


def _undo_cascades(
    plans: Sequence[TablePlan], source: Source, target: Connection, options: Options, progress: Progress
) -> None:
    """Write rows again that the database changed by itself as what they point at got another value.

    A value that went from one row to another took them along (ON UPDATE CASCADE), though they point where they did.
    """
    updated = {plan.spec.name: plan.spec for plan in plans if plan.updates}
    for plan in plans:
        spec = plan.spec
        parents = ((updated[fk.parent], fk) for fk in spec.foreign_keys if fk.parent in updated)
        if all(set(fk.parent_columns) <= set(parent.key) for parent, fk in parents) or not target.has_update_cascades(
            spec
        ):
            continue
        repository = target.repository(spec)
        if not spec.key:
            _replace_changed(plan, source, target, options, progress)
            continue
        held = (keyed_digests(spec, batch) for batch in repository.read())
        found = compare_rows(spec, source.repository(spec).row_digests(), held)
        again = merge_plan(spec, found)
        if again.writes:
            writer(plan, target).upsert_many(_differing(again, source, options))
            keys, expected = _expected(again)
            _verified(
                partial(_differing, again, source, options), repository, expected, repository.digest(keys=keys), keys
            )


def _replace_changed(plan: TablePlan, source: Source, target: Connection, options: Options, progress: Progress) -> None:
    """Write all rows of a table without a key again, if they are no longer those of the source that they were."""
    rows = source.repository(plan.spec).digest()
    held = target.repository(plan.spec).digest()
    if held != rows and not plan.target_only:
        again = replace(plan, action=Action.REPLACE, inserts=rows.rows, replaced=held)
        _load(again, source, target, options, progress)


def _lost_parents(plan: TablePlan, plans: Sequence[TablePlan]) -> bool:
    parents = {foreign_key.parent for foreign_key in plan.spec.foreign_keys}
    return any(other.deletes and not other.marks for other in plans if other.spec.name in parents)


def _in_one_piece(options: Options, cyclic: Collection[str], progress: Progress) -> Options:
    if options.commit_every:
        progress.note(f"{', '.join(sorted(cyclic))}: refer to tables after them, so all is one commit.")
    return structs.replace(options, commit_every=None)


def _whole(plan: TablePlan, written: TableDigest) -> TableDigest:
    """The digest of all rows of the source, with this one for those that were written."""
    assert plan.digest is not None
    return plan.digest - _expected(plan)[1] + written


def _write(
    plan: TablePlan,
    source: Source,
    target: Connection,
    options: Options,
    progress: Progress,
    leaving: pa.Table | None,
) -> TableResult:
    started = time.perf_counter()
    sent = arrived = plan.digest if options.verify and plan.action is Action.NOTHING else None
    if plan.action is not Action.NOTHING:
        progress.step(f"{plan.action} {plan.spec.name}", plan.writes)
        if plan.inserts and plan.spec.key and target.repository(plan.spec).collated_key():
            target.repository(plan.spec).require_distinct(_keys_to_write(plan, source))
        moved = _assign_temporary_values(plan, lambda: _differing(plan, source, options), target, leaving)
        if options.commit_every and plan.spec.key and not moved and not _points_at_itself(plan.spec):
            sent, arrived = _in_parts(plan, source, target, options, progress)
        elif plan.changes is None:
            sent, arrived = _load(plan, source, target, options, progress)
        else:
            sent, arrived = _merge(plan, source, target, options, progress)
    return structs.replace(
        planned(plan),
        seconds=plan.seconds + time.perf_counter() - started,
        verified=sent is not None,
        source_digest=sent.text if sent else None,
        target_digest=arrived.text if arrived else None,
    )


def _assign_temporary_values(
    plan: TablePlan,
    incoming: Callable[[], Iterator[pa.RecordBatch]],
    target: Connection,
    leaving: pa.Table | None,
) -> bool:
    """Give rows temporary values where another takes theirs; whether there were any.

    Rows to be updated, and `leaving`, the keys of those to be deleted only later. Where nothing else can stand in
    between, the engine is left to refuse the value.
    """
    if plan.changes is None or not (plan.updates or leaving):
        return False
    keys = plan.changes.select(list(plan.spec.key))
    held = pa.concat_tables([keys, leaving]) if leaving else keys
    moved = [rows for _, rows in temporary_unique_values(plan.spec, held, incoming, target) if rows is not None]
    for rows in moved:
        target.repository(plan.spec).update_many(rows)
    return bool(moved)


Digests = tuple[TableDigest, TableDigest] | tuple[None, None]


def _load(plan: TablePlan, source: Source, target: Connection, options: Options, progress: Progress) -> Digests:
    """Fill a table, which is empty or emptied; digest what is sent on the side, and what arrived where it lies."""
    origin, repository, into = _as_loaded(plan, source, target), target.repository(plan.spec), writer(plan, target)
    is_empty = plan.action is Action.LOAD or _emptied(plan, repository)
    if is_empty and isinstance(into, PassesThrough) and into.can_pass_through(origin):
        return _load_passthrough(plan, origin, repository, into, options, progress)
    as_stored = _is_verified_as_stored(plan, target)
    with BackgroundDigest(plan.spec, as_stored) as sent, read_ahead(origin.read(options.batch_rows)) as batches:

        def passing() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                if options.verify:
                    sent.add(batch)
                yield batch
                progress.advance(batch.num_rows)
            progress.step(f"indexes and constraints of {plan.spec.name}")

        try:
            if is_empty:
                into.load(passing(), plan.inserts)
            else:
                into.upsert_many(passing())
        except UnnamedRowError as error:
            raise into.why_refused(origin.read(options.batch_rows), error) or error from error
        if not options.verify:
            return None, None
        progress.step(f"verify {plan.spec.name}")
        arrived = repository.stored_digest() if as_stored else repository.digest()
        return _verified(partial(origin.read, options.batch_rows), repository, sent.result(), arrived)


def _as_loaded(plan: TablePlan, source: Source, target: Connection) -> RowSource:
    """The rows in the order in which the target takes them soonest."""
    return source.repository(replace(plan.spec, is_read_by_key=target.capabilities.loads_by_key))


def _load_passthrough(
    plan: TablePlan, origin: RowSource, repository: Table, into: PassesThrough, options: Options, progress: Progress
) -> Digests:
    """Fill an empty table with rows that the source's engine sends in the target's own form, and digests itself."""
    try:
        sent = into.load_passthrough(origin, plan.inserts, progress.advance, digest=options.verify)
    except UnnamedRowError as error:
        raise repository.why_refused(origin.read(options.batch_rows), error) or error from error
    if sent is None:
        return None, None
    progress.step(f"verify {plan.spec.name}")
    return _verified(partial(origin.read, options.batch_rows), repository, sent, repository.digest())


def _emptied(plan: TablePlan, repository: Table) -> bool:
    """Delete all rows of a table that is replaced; whether a condition has left none.

    Raises:
        ChangedSincePlanError: they are not those that were to go.
    """
    target = repository.connection
    target.exclude_writers([plan.spec])
    if repository.digest() != plan.replaced:
        raise ChangedSincePlanError(target.name, plan.spec.name)
    repository.delete_all()
    return repository.is_empty()


def _is_verified_as_stored(plan: TablePlan, target: Connection) -> bool:
    """Whether there are enough rows for the digest that takes 20 ms to begin, and they come back to the letter.

    Of a decimal without precision an engine keeps the value, not the text.
    """
    return (
        plan.inserts >= _MANY_ROWS
        and target.capabilities.keeps_text_of_json
        and not any(column.type.is_free_decimal for column in plan.spec.columns)
    )


def _merge(plan: TablePlan, source: Source, target: Connection, options: Options, progress: Progress) -> Digests:
    """Write the rows that differ; the plan has their digests."""
    repository, into, origin = target.repository(plan.spec), writer(plan, target), source.repository(plan.spec)
    if isinstance(into, CopiesWithinDatabase) and into.can_copy_within(origin):
        progress.advance(into.upsert_within(origin, _expected(plan)[0]))
    else:
        with read_ahead(_differing(plan, source, options)) as batches:
            into.upsert_many(_counted(batches, progress))
    if not options.verify:
        return None, None
    keys, expected = _expected(plan)
    found = repository.digest(keys=keys)
    sent, arrived = _verified(partial(_differing, plan, source, options), repository, expected, found, keys)
    return _whole(plan, sent), _whole(plan, arrived)


def _expected(plan: TablePlan) -> tuple[pa.Table, TableDigest]:
    assert plan.changes is not None
    digests = plan.changes.column(DIGEST_FIELD).combine_chunks()
    return plan.changes.drop_columns([DIGEST_FIELD]), sum_digests(digests)


def _keys_to_write(plan: TablePlan, source: Source) -> Iterator[pa.RecordBatch]:
    if plan.changes is not None:
        yield from plan.changes.select(list(plan.spec.key)).to_batches()
        return
    narrow = plan.spec.project(plan.spec.key)
    for batch in source.repository(narrow).read(BATCH_ROWS):
        yield batch.select(list(plan.spec.key))


def _differing(plan: TablePlan, source: Source, options: Options) -> Iterator[pa.RecordBatch]:
    return rows_with_keys(source.repository(plan.spec), _expected(plan)[0], options.batch_rows)


def _in_parts(plan: TablePlan, source: Source, target: Connection, options: Options, progress: Progress) -> Digests:
    """Write and commit so many rows at a time, each part verified before its commit."""
    assert options.commit_every is not None
    rows = (
        _as_loaded(plan, source, target).read(options.batch_rows)
        if plan.action is Action.LOAD
        else _differing(plan, source, options)
    )
    sent, arrived = TableDigest(), TableDigest()
    with read_ahead(rows) as batches:
        for part in cut(batches, options.commit_every):
            repository = target.repository(plan.spec)
            seen: list[TableDigest] = []
            keys: list[pa.RecordBatch] = []
            rows_sent = _noting_keys(plan.spec, digest_passthrough(plan.spec, part, seen.append), keys)
            writer(plan, target).upsert_many(rows_sent)
            passed = sum(seen, TableDigest())
            if options.verify:
                held = pa.Table.from_batches(keys)
                found = repository.digest(keys=held)
                again = partial(source.repository(plan.spec).read, options.batch_rows, keys=held)
                _verified(again, repository, passed, found, held)
                sent, arrived = sent + passed, arrived + found
            target.check_parents([plan.spec])
            repository.advance_sequences()
            target.commit()
            progress.advance(passed.rows)
    return (sent, arrived) if options.verify else (None, None)


def _noting_keys(
    spec: TableSpec, batches: Iterator[pa.RecordBatch], keys: list[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        keys.append(copied(batch, spec.key))
        yield batch


def _verified(
    rows: Callable[[], Iterator[pa.RecordBatch]],
    repository: Table,
    sent: TableDigest,
    arrived: TableDigest,
    keys: pa.Table | None = None,
) -> tuple[TableDigest, TableDigest]:
    """Both digests, if they are equal; `rows` are those that were sent.

    Raises:
        VerificationError: they are not, with the first row that shows it.
    """
    if sent == arrived:
        return sent, arrived
    target, spec = repository.connection, repository.spec
    fact = (
        f"row count differs: {sent.rows} rows were sent, but {arrived.rows} of them are"
        if sent.rows != arrived.rows
        else "rows are there, but with other values than were sent,"
    )
    evidence = first_difference(rows, repository, keys)
    error = VerificationError(target.name, spec.name, fact, evidence.text)
    error.advise(evidence.advice(target.name) or firing(target, [spec]))
    raise error


def _points_at_itself(spec: TableSpec) -> bool:
    return any(foreign_key.parent == spec.name for foreign_key in spec.foreign_keys)


def _counted(batches: Iterator[pa.RecordBatch], progress: Progress) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        progress.advance(batch.num_rows)
