"""Rows that only the target has: what would go, what stands in the way, and how they go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from toolkit.core.plan import TablePlan
from toolkit.core.tables import TableSpec, children_of
from toolkit.errors import DeleteGuardError, ReferencedRowsError, VerificationError

if TYPE_CHECKING:
    from toolkit.core.progress import Progress
    from toolkit.repositories.base import DatabaseConnection


@dataclass(frozen=True, slots=True)
class DeleteLimit:
    """How many of a table's rows may go: so many, or so large a share of them, whichever is more."""

    rows: int = 100
    share: float = 0.1

    def allows(self, deletes: int, total: int) -> bool:
        """Whether so many of so many rows may go."""
        return deletes <= max(self.rows, self.share * total)

    def __str__(self) -> str:
        limits = [f"{self.rows:,} rows"] if self.rows or not self.share else []
        return " or ".join([*limits, *([f"{self.share:.0%}"] if self.share else [])])


def guard(plans: Sequence[TablePlan], target: DatabaseConnection, limit: DeleteLimit | None) -> None:
    """Refuse a plan that would delete too much, or rows that others point at.

    Raises:
        DeleteGuardError: more than `limit`, or all that a table has because the source is empty.
        ReferencedRowsError: a table that is not part of the plan has rows that would go with them.
    """
    together = {plan.spec.name for plan in plans}
    for plan in plans:
        if plan.removals is None or not plan.deletes:
            continue
        kept = plan.unchanged + plan.updates
        if limit is not None:
            if not kept + plan.inserts:
                raise DeleteGuardError(target.name, plan.spec.name, plan.deletes, "the source has no rows of it")
            if not limit.allows(plan.deletes, kept + plan.deletes):
                raise DeleteGuardError(
                    target.name, plan.spec.name, plan.deletes,
                    f"that is more than the limit of {limit}, of {kept + plan.deletes:,} rows there",
                )
        _require_no_children(plan.spec, plan.removals, target, together)


def _require_no_children(
    spec: TableSpec, removals: pa.Table, target: DatabaseConnection, together: Collection[str]
) -> None:
    """Refuse to delete rows that others point at, which the database would delete with them."""
    for child in children_of(spec):
        foreign_keys = [fk for fk in child.foreign_keys if fk.parent == spec.name and fk.parent_columns == spec.key]
        if child.name in together or not foreign_keys or target.column_names(child) is None:
            continue
        for foreign_key in foreign_keys:
            keys = removals.select(list(spec.key)).rename_columns(list(foreign_key.columns))
            rows = sum(batch.num_rows for batch in target.repository(child).read(keys=keys))
            if rows:
                raise ReferencedRowsError(target.name, spec.name, child.name, rows)


def delete(plans: Sequence[TablePlan], target: DatabaseConnection, progress: Progress) -> None:
    """Delete what only the target has, children before parents."""
    for plan in reversed(plans):
        if plan.removals is not None and plan.deletes:
            progress.step(f"delete {plan.spec.name}", plan.deletes)
            target.repository(plan.spec).delete_many(plan.removals)


def require_counts(plans: Sequence[TablePlan], target: DatabaseConnection) -> None:
    """See that exactly the rows that should be are left where some were deleted.

    Raises:
        VerificationError: others went with them, or came meanwhile.
    """
    for plan in plans:
        expected = plan.inserts + plan.updates + plan.unchanged
        if plan.removals is not None and (rows := target.repository(plan.spec).count()) != expected:
            raise VerificationError(target.name, plan.spec.name, f"{rows} rows, but {expected} should be,")
