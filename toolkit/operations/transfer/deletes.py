"""Rows that only the target has: what would go, what stands in the way, and how they go."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from toolkit.core.batches import copied
from toolkit.core.digest import digest_batches
from toolkit.core.plan import Action, TablePlan
from toolkit.core.tables import TableSpec, children_of, soft_delete_columns
from toolkit.errors import (
    EXIT_DIFFERENT,
    DeleteGuardError,
    ReferencedRowsError,
    RevisionMismatchError,
    SchemaMismatchError,
    VerificationError,
)
from toolkit.operations.transfer.held_triggers import firing

if TYPE_CHECKING:
    from toolkit.core.progress import Progress
    from toolkit.engines.contract import Connection, Table


Key = tuple[Any, ...]


@contextmanager
def guarding_schema(deletes: bool) -> Iterator[None]:
    """Where rows would be deleted, a schema that does not fit is a guard's refusal, and has its exit code."""
    try:
        yield
    except (RevisionMismatchError, SchemaMismatchError) as error:
        if deletes:
            error.exit_code = EXIT_DIFFERENT
        raise


class DeleteLimit(Struct, frozen=True):
    """How many of a table's rows may go: so many, or so large a share of them, whichever is more."""

    rows: int = 100
    share: float = 0.1

    def allows(self, deletes: int, total: int) -> bool:
        """Whether so many of so many rows may go."""
        return deletes <= max(self.rows, self.share * total)

    def __str__(self) -> str:
        limits = [f"{self.rows:,} rows"] if self.rows or not self.share else []
        return " or ".join([*limits, *([f"{self.share:.0%}"] if self.share else [])])


def guard(plans: Sequence[TablePlan], target: Connection, limit: DeleteLimit | None) -> None:
    """Refuse a plan that would delete too much, or rows that others point at.

    Raises:
        DeleteGuardError: more than `limit`, or all that a table has because the source is empty.
        ReferencedRowsError: a table that is not part of the plan has rows that would go with them.
    """
    together = {plan.spec.name for plan in plans}
    for plan in plans:
        if plan.action is Action.REPLACE:
            _require_allowed(plan, plan.lost, plan.deletes, target, limit)
            _require_unreferenced(plan, target)
        if plan.removals is None or not plan.deletes:
            continue
        _require_allowed(plan, plan.deletes, plan.unchanged + plan.updates + plan.deletes, target, limit)
        for child, rows in () if plan.marks else _pointing(plan, plans, target):
            if child.name not in together:
                is_known = child.table.metadata is plan.spec.table.metadata
                raise ReferencedRowsError(
                    target.name, plan.spec.name, child.name, rows, "unnamed" if is_known else "unknown"
                )


def _require_allowed(plan: TablePlan, gone: int, total: int, target: Connection, limit: DeleteLimit | None) -> None:
    """Refuse that so many of a table's rows go; that rows of the source take their place does not count."""
    if limit is None or not gone:
        return
    table = plan.spec.name
    if not plan.unchanged + plan.writes:
        reason = "the source has no rows of it"
        raise DeleteGuardError(target.name, table, gone, reason, _way_around(plan, target))
    if not limit.allows(gone, total):
        reason = f"that is more than the limit of {limit}, of {total:,} rows there"
        raise DeleteGuardError(target.name, table, gone, reason)


def _require_unreferenced(plan: TablePlan, target: Connection) -> None:
    """Refuse to replace all rows of a table at which others point, by a unique column that is no key."""
    for child in (*children_of(plan.spec), *target.unmapped_children(plan.spec)):
        is_whole = child.name == plan.spec.name and plan.spec.where is None
        if is_whole or not plan.deletes or target.column_names(child) is None:
            continue
        for foreign_key in child.foreign_keys:
            if foreign_key.parent != plan.spec.name:
                continue
            narrow = child.project(foreign_key.columns)
            rows = sum(pa.Table.from_batches([b]).drop_null().num_rows for b in target.repository(narrow).read())
            if rows:
                raise ReferencedRowsError(target.name, plan.spec.name, child.name, rows, "replaced")


def _way_around(plan: TablePlan, target: Connection) -> str:
    """How all rows of a table go, which no limit allows; a load would also delete what a condition leaves out."""
    if plan.marks or plan.spec.where is not None:
        return f"{'mark' if plan.marks else 'delete'} them in {target.name} yourself: no limit allows that here"
    table = plan.spec.name
    return (
        f"which no limit allows here, run: toolkit dump-data {table} --from SOURCE --dir NEW && "
        f"toolkit load-data {table} --to {target.name} --dir NEW --mode replace"
    )


def soften(plan: TablePlan, target: Table | None) -> TablePlan:
    """The same plan with rows marked instead of deleted, those that are not yet; none where they cannot be marked."""
    columns = soft_delete_columns(plan.spec)
    if plan.removals is None or target is None:
        return plan
    if not columns:
        return replace(plan, removals=None, deletes=0, target_only=plan.deletes)
    marks = plan.spec.without_conditions().project((*plan.spec.key, *columns))
    read = target.connection.repository(marks).read(keys=plan.removals)
    unmarked = pa.Table.from_batches((_unmarked(batch, columns) for batch in read), marks.schema)
    rows = unmarked.num_rows
    removals = unmarked.select(list(plan.spec.key))
    return replace(plan, removals=removals, deletes=rows, target_only=plan.deletes - rows, marks=True)


def _unmarked(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    flags = [
        batch.column(name).fill_null(False)
        if pa.types.is_boolean(batch.column(name).type)
        else batch.column(name).is_valid()
        for name in columns
    ]
    return batch.filter(pc.invert(reduce(pc.or_, flags)))


def mark_removed(plans: Sequence[TablePlan], target: Connection, now: dt.datetime) -> None:
    """Mark rows as deleted, as of `now`, and see that they are.

    To the second, as there are columns of times that keep, or take, no more.

    Raises:
        VerificationError: some are not.
    """
    now = now.replace(microsecond=0)
    for plan in plans:
        if not plan.marks or plan.removals is None or not plan.deletes:
            continue
        marked = plan.removals
        for name in soft_delete_columns(plan.spec):
            type_ = plan.spec.schema.field(name).type
            value = True if pa.types.is_boolean(type_) else now if type_.tz else now.replace(tzinfo=None)
            marked = marked.append_column(name, pa.array([value] * marked.num_rows, type_))
        narrow = plan.spec.without_conditions().project(marked.column_names)
        target.repository(plan.spec).update_many(marked)
        arrived = target.repository(narrow).digest(keys=plan.removals)
        if arrived != digest_batches(narrow, marked.select(narrow.column_names).combine_chunks().to_batches()):
            raise _told("rows that were marked as deleted are not as marked", plan, plans, target)


def _pointing(plan: TablePlan, plans: Sequence[TablePlan], target: Connection) -> Iterator[tuple[TableSpec, int]]:
    """The tables with rows that point at rows to be deleted, and how many, without those that `plans` delete too."""
    assert plan.removals is not None
    going = {
        other.spec.name: _keys(other.removals, other.spec.key)
        for other in plans
        if other.removals is not None and not other.marks
    }
    for child in (*children_of(plan.spec), *target.unmapped_children(plan.spec)):
        if target.column_names(child) is None:
            continue
        own = going.get(child.name, frozenset())
        for foreign_key in child.foreign_keys:
            if foreign_key.parent != plan.spec.name:
                continue
            values = _values(plan, foreign_key.parent_columns, target)
            keys = values.rename_columns(list(foreign_key.columns))
            rows = sum(_others(batch, child, own) for batch in target.repository(child).read(keys=keys))
            if rows:
                yield child, rows


def _values(plan: TablePlan, names: Sequence[str], target: Connection) -> pa.Table:
    """What the rows to be deleted have in these columns, which need not be their key."""
    assert plan.removals is not None
    if set(names) <= set(plan.spec.key):
        return plan.removals.select(list(names))
    batches = [copied(batch, names) for batch in target.repository(plan.spec).read(keys=plan.removals)]
    schema = pa.schema([plan.spec.schema.field(name) for name in names])
    return pa.Table.from_batches(batches, schema).drop_null()


def _others(batch: pa.RecordBatch, child: TableSpec, own: frozenset[Key]) -> int:
    """How many of these rows are not among `own`; all of them if they cannot be told apart."""
    return sum(key not in own for key in _rows(batch, child.key)) if child.key else batch.num_rows


def _rows(batch: pa.RecordBatch, names: Sequence[str]) -> list[Key]:
    return list(zip(*(batch.column(name).to_pylist() for name in names), strict=True))


def _keys(table: pa.Table, names: Sequence[str]) -> frozenset[Key]:
    return frozenset(key for batch in table.to_batches() for key in _rows(batch, names))


def delete_first(plans: Sequence[TablePlan], target: Connection, progress: Progress) -> dict[str, pa.Table]:
    """Delete, children before parents, what only the target has and no row that stays points at; by table, the rest.

    First, for another row may be about to take a unique value that goes. The rest has to wait until the rows that
    point at it have been changed: a database would delete them with it (ON DELETE CASCADE), and say nothing.
    """
    rest: dict[str, pa.Table] = {}
    for plan in reversed(plans):
        if plan.removals is None or not plan.deletes or plan.marks:
            continue
        progress.step(f"delete {plan.spec.name}", plan.deletes)
        if has_to_wait(plan, plans, rest, target):
            rest[plan.spec.name] = plan.removals
        else:
            target.repository(plan.spec).delete_many(plan.removals)
    return rest


def has_to_wait(plan: TablePlan, plans: Sequence[TablePlan], waiting: Collection[str], target: Connection) -> bool:
    """Whether a row that stays, or is of a table whose deletes are `waiting`, points at one to be deleted."""
    # Rows that wait themselves are still there, and what they point at waits with them.
    gone = [other for other in plans if other.spec.name not in waiting]
    return any(True for _ in _pointing(plan, gone, target))


def delete_rest(plans: Sequence[TablePlan], rest: dict[str, pa.Table], target: Connection) -> None:
    """Delete what had to wait.

    Raises:
        ReferencedRowsError: rows that stay still point there.
    """
    for plan in reversed(plans):
        if plan.spec.name not in rest:
            continue
        for child, rows in _pointing(plan, plans, target):
            raise ReferencedRowsError(target.name, plan.spec.name, child.name, rows, "stays")
        target.repository(plan.spec).delete_many(rest[plan.spec.name])


def require_rest(plans: Sequence[TablePlan], target: Connection, *, verify: bool) -> None:
    """See that exactly the rows that should be are left where some were deleted; `verify`: also by their digest.

    Raises:
        VerificationError: others went with them, or came or changed meanwhile.
    """
    for plan in plans:
        if plan.removals is None:
            continue
        repository = target.repository(plan.spec)
        stay = plan.target_only + (_still_within(plan, target) if plan.marks else 0)
        expected = plan.inserts + plan.updates + plan.unchanged + stay
        if (rows := repository.count()) != expected:
            raise _told(f"row count differs: {rows} rows, but {expected} should be,", plan, plans, target)
        is_equal = plan.deletes and not plan.target_only and not plan.marks
        if verify and is_equal and repository.digest() != plan.digest:
            raise _told("rows other than those of the source are", plan, plans, target)


def _told(fact: str, plan: TablePlan, plans: Sequence[TablePlan], target: Connection) -> VerificationError:
    """What is not as it should be, with the triggers that may have done it."""
    error = VerificationError(target.name, plan.spec.name, fact)
    error.advise(firing(target, [each.spec for each in plans]))
    return error


def _still_within(plan: TablePlan, target: Connection) -> int:
    """How many of the rows that were marked still meet the condition, which may be of the very columns that mark."""
    if plan.spec.where is None or plan.removals is None:
        return plan.deletes
    narrow = plan.spec.project(plan.spec.key)
    return sum(batch.num_rows for batch in target.repository(narrow).read(keys=plan.removals))
