"""What a database does by itself as rows are written may change others: equal ones, and those verified before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from toolkit.compute.changes import Digested, compare_rows
from toolkit.core.digest import keyed_digests
from toolkit.core.plan import Action
from toolkit.errors import VerificationError
from toolkit.operations.transfer.held_triggers import firing
from toolkit.operations.transfer.missing_row import first_difference
from toolkit.operations.transfer.sources import rows_with_keys

if TYPE_CHECKING:
    from toolkit.core.plan import TablePlan, TableResult
    from toolkit.engines.contract import Connection
    from toolkit.operations.transfer.sources import Source
    from toolkit.operations.transfer.watermarks import Watermarks


def changes_more(plans: Sequence[TablePlan], target: Connection) -> bool:
    """Whether the target may by itself change rows beside those that the plans write, of the same tables."""
    specs = [plan.spec for plan in plans]
    is_written = any(plan.writes or plan.deletes for plan in plans)
    return is_written and (bool(target.triggers(specs)) or target.has_unmapped_actions(specs))


def verify_again(
    plans: Sequence[TablePlan],
    results: Sequence[TableResult],
    source: Source,
    target: Connection,
    watermarks: Watermarks | None,
) -> None:
    """See that every row that was compared or written is there as the source has it, now that all is written.

    By digest where the target has no other rows, else row by row; and that it has no more others than before.

    Raises:
        VerificationError: one is not.
    """
    digests = {result.table: result.target_digest for result in results}
    for plan in plans:
        repository = target.repository(plan.spec)
        there = repository.digest()
        # With the source's rows alone there, others that only the target had may be gone.
        if there.text == digests[plan.spec.name] and not (is_counted(plan) and there.rows != _expected(plan)):
            continue
        keys = _changed(plan, source, target, watermarks)
        if keys.num_rows:
            rows = partial(rows_with_keys, source.repository(plan.spec), keys)
            fact = "rows were changed by a trigger, a foreign key or others after they were compared or verified"
            found = first_difference(rows, repository, keys)
            error = VerificationError(target.name, plan.spec.name, fact, found.text)
            error.advise(found.advice(target.name) or firing(target, [each.spec for each in plans]))
            raise error
        if is_counted(plan) and (rows_there := repository.count()) != (expected := _expected(plan)):
            counts = f"{rows_there:,} rows, not {expected:,}"
            fact = f"a trigger or others changed how many rows there are as others were written ({counts})"
            error = VerificationError(target.name, plan.spec.name, fact)
            error.advise(firing(target, [each.spec for each in plans]))
            raise error


def is_counted(plan: TablePlan) -> bool:
    """Whether all rows are known that the table had, and none of them went, or came to meet a condition."""
    is_whole = plan.since is None and plan.spec.where is None and plan.removals is None
    return is_whole and plan.action in (Action.MERGE, Action.NOTHING)


def _expected(plan: TablePlan) -> int:
    return plan.inserts + plan.updates + plan.unchanged + plan.target_only


def _changed(plan: TablePlan, source: Source, target: Connection, watermarks: Watermarks | None) -> pa.Table:
    """The keys of the rows that are not as the source has them; in a table that was empty, also of any other."""
    spec = plan.spec
    held = target.repository(spec if plan.since is None else spec.without_conditions())
    found = compare_rows(
        spec,
        _compared(plan, source, watermarks).row_digests(),
        (keyed_digests(spec, batch) for batch in held.read()),
        removed=plan.action is Action.LOAD,
    )
    parts = (found.changed, found.new, found.removed)
    return pa.concat_tables([part.select(list(spec.key)) for part in parts if part is not None])


def _compared(plan: TablePlan, source: Source, watermarks: Watermarks | None) -> Digested:
    """The rows of the source that were looked at."""
    spec = plan.spec
    window = None if watermarks is None or plan.since is None else watermarks.window(spec)
    if watermarks is None or window is None:
        return source.repository(spec)
    return watermarks.unseen(spec, source.repository(replace(spec, conditions=(*spec.conditions, window))))
