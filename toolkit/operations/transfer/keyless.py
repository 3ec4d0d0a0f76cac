"""Tables without a key: no row can be told from another, so that they are compared, and replaced, as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from toolkit.compute.multisets import compare_multisets
from toolkit.core.digest import DIGEST_FIELD
from toolkit.core.plan import Action, TablePlan
from toolkit.errors import DeleteGuardError, KeylessRowsError
from toolkit.operations.transfer.options import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection, Table
    from toolkit.operations.transfer.rejects import Rejects
    from toolkit.operations.transfer.sources import RowSource


def plan_keyless(spec: TableSpec, source: RowSource, target: Table, mode: Mode) -> TablePlan:
    """What becomes of a table without a key that has rows: nothing if it holds the same rows, each as many times.

    Where no rows are to go, nothing becomes of it either if the source has none.
    """
    ours, theirs = source.digest(), target.digest()
    if ours == theirs:
        return TablePlan(spec, Action.NOTHING, "both sides hold the same rows", unchanged=ours.rows, digest=ours)
    if not ours.rows and not mode.removes:
        return TablePlan(spec, Action.NOTHING, "the source has no rows", target_only=theirs.rows, digest=ours)
    lost = 0
    if mode is Mode.REPLACE and theirs.rows:
        lost = compare_multisets(source.row_digests(), target.row_digests()).target_only
    return TablePlan(
        spec,
        Action.REPLACE,
        "rows differ, and have no key to tell them apart",
        inserts=ours.rows,
        deletes=theirs.rows,
        digest=ours,
        lost=lost,
        replaced=theirs,
    )


def require_replaceable(plans: Sequence[TablePlan], mode: Mode, target: Connection) -> None:
    """Check that rows of tables without a key may be replaced, where any of the target would be.

    Raises:
        KeylessRowsError: all tables whose rows may not.
    """
    refused = {
        plan.spec.name: (plan.deletes, plan.inserts)
        for plan in plans
        if plan.action is Action.REPLACE and plan.deletes and mode is not Mode.REPLACE
    }
    if refused:
        raise KeylessRowsError(target.name, refused)


def require_no_rejected(plans: Sequence[TablePlan], rejects: Rejects, target: Connection) -> None:
    """Check that no row goes with the others of its table that is left out of what takes their place.

    Raises:
        DeleteGuardError: the target has rows that are equal to rejected ones.
    """
    for plan in plans:
        rejected = rejects.tables.get(plan.spec.name)
        if plan.action is not Action.REPLACE or rejected is None or not rejected.keys:
            continue
        digests = rejected.key_table.column(DIGEST_FIELD).combine_chunks()
        found = (pc.is_in(batch.column(DIGEST_FIELD), digests) for batch in target.repository(plan.spec).row_digests())
        rows = sum(each.true_count for each in found)
        if rows:
            reason = "the same rows of the source are rejected, and the table has no key to keep them by"
            raise DeleteGuardError(
                target.name, plan.spec.name, rows, reason, f"delete them in {target.name} yourself, or correct the rows"
            )
