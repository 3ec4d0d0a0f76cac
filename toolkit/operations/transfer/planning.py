"""What a transfer would do, found out by comparing, and refused where it cannot or may not be done."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import Struct, field, structs

from toolkit.compute.changes import compare, compare_rows
from toolkit.core.digest import DIGEST_FIELD, digest_schema, keyed_digests
from toolkit.core.plan import Action, TablePlan, load_plan, merge_plan
from toolkit.core.tables import soft_delete_columns
from toolkit.engines.portable.connection import batch_key, check_schema
from toolkit.engines.portable.keys import require_keys
from toolkit.engines.portable.lossy import require_exact, require_written_keys
from toolkit.errors import ExistingRowsError
from toolkit.operations.transfer.deletes import guard, soften
from toolkit.operations.transfer.fixed_numbers import require_same_numbers
from toolkit.operations.transfer.held_triggers import HeldTriggers, triggers_to_hold
from toolkit.operations.transfer.keyless import plan_keyless, require_no_rejected, require_replaceable
from toolkit.operations.transfer.misfits import require_kept
from toolkit.operations.transfer.options import Mode, Options
from toolkit.operations.transfer.repeated_keys import require_given_keys
from toolkit.operations.transfer.set_values import require_values, with_values
from toolkit.operations.transfer.sources import without_present
from toolkit.operations.transfer.unenforced import is_unenforced

if TYPE_CHECKING:
    from toolkit.core.changes import Changes
    from toolkit.core.progress import Progress
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection, Table
    from toolkit.operations.transfer.rejects import Rejects
    from toolkit.operations.transfer.request import Transfer
    from toolkit.operations.transfer.sources import RowSource, Source
    from toolkit.operations.transfer.watermarks import Watermarks

# So many rows that changed since the last sync are looked up in the target by key; for more it is read whole.
_LOOKED_UP_ROWS = 100_000


class Plans(Struct, frozen=True):
    """What is to be written from where, table by table, and how far the source has come."""

    source: Source
    tables: Sequence[TablePlan]
    watermarks: Watermarks | None = None
    held: HeldTriggers = field(default_factory=HeldTriggers)


def plan(request: Transfer, destination: Connection, progress: Progress, *, locks_first: bool = False) -> Plans:
    """Compare each table of those that were locked, and refuse what cannot be done.

    `locks_first`: nobody else writes from here on.

    Raises:
        SchemaMismatchError, DeleteGuardError, ReferencedRowsError, ExistingRowsError, PrivilegeError, RepeatedKeyError,
            KeylessRowsError: nothing was written.
    """
    specs, options = request.specs, request.options
    check_schema(destination, specs, to_write=True)
    if locks_first:
        destination.exclude_writers(specs)
    require_exact(destination, specs)
    source, watermarks = request.against(destination), _watermarks(request, destination)
    require_given_keys(specs, source, request.source_name)
    require_given_keys([spec.without_conditions() for spec in specs], destination, destination.name)
    comparison = _Comparison(source, destination, options.mode, watermarks, progress)
    filled = destination.filled(specs)
    tables = [comparison.plan(spec, is_empty=spec.name not in filled) for spec in specs]
    require_replaceable(tables, options.mode, destination)
    if request.rejects is not None:
        tables = [_keep_rejected(each, request.rejects) for each in tables]
        require_no_rejected(tables, request.rejects, destination)
    if watermarks is not None:
        watermarks.see(specs, source)
    tables = with_values(tables, request.values, destination)
    require_values(tables, destination, triggers_fire=not options.hold_triggers)
    for each in tables:
        if each.changes is not None and each.updates:
            require_same_numbers(each.spec, each.changes.slice(each.inserts), source, destination)
    if options.mode is Mode.INSERT:
        _refuse_existing(tables, source, destination, options)
    guard(tables, destination, options.max_delete)
    require_keys(destination, (each.spec for each in tables if _upserts(each, destination, options)))
    require_written_keys(destination, (each.spec for each in tables if _rewrites(each)))
    require_kept(tables, source, destination, whole=request.dry_run)
    destination.require_room([each.spec for each in tables if each.writes and each.action is not Action.LOAD])
    held = triggers_to_hold(tables, destination) if options.hold_triggers else HeldTriggers()
    return Plans(source, tables, watermarks, held)


def _rewrites(plan: TablePlan) -> bool:
    """Whether rows that are there are written to; with a condition, also what is new within it may be there."""
    return bool(plan.updates or plan.marks or (plan.inserts and plan.spec.where is not None))


def plan_into_nothing(source: Source, specs: Sequence[TableSpec], progress: Progress) -> list[TablePlan]:
    """What would be written to a target that is yet to be made."""
    return [plan_table(source.repository(spec), None, spec, progress) for spec in specs]


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
        found = load_plan(spec, source.count())
    elif not spec.key:
        found = plan_keyless(spec, source, target, mode)
    else:
        found = merge_plan(spec, compare(spec, source, target, removed=mode.removes))
        if mode is Mode.SOFT_DELETE:
            if found.deletes and not soft_delete_columns(spec):
                progress.note(
                    f"{spec.name}: rows that only the target has stay there: to be marked, they need a boolean "
                    "is_deleted or a time deleted_at in both databases."
                )
            found = soften(found, target)
    return replace(found, seconds=time.perf_counter() - started)


def _watermarks(request: Transfer, destination: Connection) -> Watermarks | None:
    if request.since is None:
        return None
    from toolkit.operations.transfer.watermarks import Watermarks

    source = request.origin.tables
    assert source is not None, "rows of files have no watermarks"
    staying = request.rejects.concerned if request.rejects is not None else ()
    return Watermarks.between(request.since, source, destination, request.specs, request.running, staying)


class _Comparison(Struct, frozen=True):
    """A source and a target, table by table."""

    source: Source
    target: Connection
    mode: Mode
    watermarks: Watermarks | None
    progress: Progress

    def plan(self, spec: TableSpec, *, is_empty: bool) -> TablePlan:
        """Compare one table on both sides, or only what has changed at the source since the last time."""
        # Rows that cannot be told apart are compared as a whole.
        window = self.watermarks.window(spec) if self.watermarks and spec.key else None
        if self.watermarks is None or window is None or is_empty:
            repository = self.target.repository(spec)
            held = None if is_empty else repository
            found = plan_table(self.source.repository(spec), held, spec, self.progress, self.mode)
            return self._keep_present(found) if spec.where is not None and found.removals else found
        return self._plan_window(spec, window, self.watermarks.shown(spec))

    def _plan_window(self, spec: TableSpec, window: str, since: str) -> TablePlan:
        started = time.perf_counter()
        self.progress.step(f"compare {spec.name}")
        changed = self.source.repository(replace(spec, conditions=(*spec.conditions, window)))
        held = self.target.repository(replace(spec, conditions=()))
        assert self.watermarks is not None
        unseen = self.watermarks.unseen(spec, changed)
        few = changed.count() <= _LOOKED_UP_ROWS
        changes = (
            _compare_found(unseen.row_digests(), held, spec)
            if few
            else compare(spec, unseen if unseen.seen else changed, held)
        )
        found = merge_plan(spec, structs.replace(changes, target_only=0, unchanged=changes.unchanged + unseen.known))
        return replace(found, seconds=time.perf_counter() - started, since=since)

    def _keep_present(self, found: TablePlan) -> TablePlan:
        """The same plan without deleting rows that the source has, only not within the condition."""
        assert found.removals is not None
        gone = without_present(found.spec, found.removals, self.source)
        kept = found.deletes - gone.num_rows
        return replace(found, removals=gone, deletes=gone.num_rows, target_only=found.target_only + kept)


def _keep_rejected(found: TablePlan, rejects: Rejects) -> TablePlan:
    """The same plan without deleting rows that the source has, too, but that are left out."""
    if found.removals is None:
        return found
    gone = rejects.kept(found.spec, found.removals)
    kept = found.removals.num_rows - gone.num_rows
    return replace(found, removals=gone, deletes=gone.num_rows, target_only=found.target_only + kept)


def _compare_found(digests: Iterable[pa.RecordBatch], target: Table, spec: TableSpec) -> Changes:
    """Compare these rows, few enough to be held, with those of the same keys."""
    found = pa.Table.from_batches(digests, digest_schema(spec))
    held = target.read(keys=found.drop_columns([DIGEST_FIELD]))
    return compare_rows(spec, found.to_batches(), (keyed_digests(spec, batch) for batch in held))


def _refuse_existing(plans: Sequence[TablePlan], source: Source, target: Connection, options: Options) -> None:
    for each in plans:
        rows = each.updates + each.unchanged
        if not rows:
            continue
        repository = target.repository(each.spec)
        if not each.spec.key:
            first = next(part for part in repository.read() if part.num_rows)
            raise ExistingRowsError(target.name, each.spec.name, rows, batch_key(each.spec, first, 0))
        for batch in source.repository(each.spec).read(options.batch_rows):
            keys = pa.Table.from_batches([batch]).select(list(each.spec.key))
            found = next((part for part in repository.read(keys=keys) if part.num_rows), None)
            if found is not None:
                raise ExistingRowsError(target.name, each.spec.name, rows, batch_key(each.spec, found, 0))


def _upserts(plan: TablePlan, target: Connection, options: Options) -> bool:
    """Whether rows will be written by an upsert, which rests on the table's key."""
    if not plan.spec.key or is_unenforced(plan.spec, target):
        return False
    if plan.action is Action.LOAD:
        return bool(options.commit_every) or not target.capabilities.loads_without_key
    return bool(plan.writes)
