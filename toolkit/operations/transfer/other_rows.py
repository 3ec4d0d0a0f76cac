"""Rows that only the target has: no sync writes them, but a trigger there may, as others are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import Struct

from toolkit.compute.changes import compare_rows
from toolkit.core.digest import TableDigest, keyed_digests
from toolkit.core.plan import CHANGED_BY_TRIGGER, NOT_LOOKED_AT, TransferWarning
from toolkit.core.tables import TableSpec
from toolkit.operations.transfer.held_triggers import firing
from toolkit.operations.transfer.verifying import is_counted

if TYPE_CHECKING:
    from toolkit.core.plan import TablePlan
    from toolkit.engines.contract import Connection
    from toolkit.operations.transfer.sources import Source

# Of more, their keys would take too much memory.
_MOST_ROWS = 1_000_000
_UNSEEN = "Of the {:,} that only {} has, it was not looked whether a trigger changed some: there are more than {:,}."
_CHANGED = "Of the {:,} that only {} has, a trigger or a foreign key changed some as others were written. "


class OtherRows(Struct, frozen=True):
    """Those of a table by their keys, and what they were before anything was written; no keys of too many."""

    spec: TableSpec
    count: int
    keys: pa.Table | None = None
    digest: TableDigest | None = None

    def warning(self, target: Connection, plans: Sequence[TablePlan]) -> TransferWarning | None:
        """What is to be told of them: that one is no longer as it was, or that it is not known."""
        if self.keys is None:
            reason = _UNSEEN.format(self.count, target.name, _MOST_ROWS)
            return TransferWarning(NOT_LOOKED_AT, self.spec.name, reason, database=target.name)
        if target.repository(self.spec).digest(keys=self.keys) == self.digest:
            return None
        reason = _CHANGED.format(self.count, target.name) + firing(target, [plan.spec for plan in plans])
        return TransferWarning(CHANGED_BY_TRIGGER, self.spec.name, reason, database=target.name)


def other_rows(
    plans: Sequence[TablePlan], source: Source, target: Connection, held: Sequence[TableSpec]
) -> list[OtherRows]:
    """Those that a trigger may change, of tables that were compared as a whole; those of tables `held` do not fire."""
    names = {spec.name for spec in held}
    fire = [plan.spec for plan in plans if plan.spec.name not in names and (plan.writes or plan.deletes)]
    if not fire or not target.triggers(fire):
        return []
    return list(_looked_up([plan for plan in plans if is_counted(plan)], source, target))


def _looked_up(plans: Sequence[TablePlan], source: Source, target: Connection) -> Iterator[OtherRows]:
    for plan in plans:
        spec = plan.spec
        if not spec.key or not plan.target_only or target.has_update_cascades(spec):
            continue
        if plan.target_only > _MOST_ROWS:
            yield OtherRows(spec, plan.target_only)
            continue
        there = (keyed_digests(spec, batch) for batch in target.repository(spec).read())
        found = compare_rows(spec, source.repository(spec).row_digests(), there, removed=True)
        if found.removed is not None and found.removed.num_rows:
            keys = found.removed.select(list(spec.key))
            yield OtherRows(spec, keys.num_rows, keys, target.repository(spec).digest(keys=keys))


def changed_by_triggers(
    others: Sequence[OtherRows], plans: Sequence[TablePlan], target: Connection
) -> tuple[TransferWarning, ...]:
    """What is to be told of them."""
    return tuple(told for each in others if (told := each.warning(target, plans)) is not None)
