"""Rows that only the target has: no sync writes them, but a trigger there may, as others are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import Struct

from toolkit.compute.changes import compare_rows
from toolkit.core.digest import DIGEST, TableDigest, digest_schema, keyed_digests
from toolkit.core.plan import CHANGED_BY_TRIGGER, NOT_LOOKED_AT, Action, TransferWarning
from toolkit.core.tables import TableSpec
from toolkit.operations.transfer.held_triggers import firing

if TYPE_CHECKING:
    from toolkit.core.plan import TablePlan
    from toolkit.engines.catalogue import TableTriggers
    from toolkit.engines.contract import Connection
    from toolkit.operations.transfer.sources import Source

# Of more, their keys would take too much memory.
_MOST_ROWS = 1_000_000
_UNSEEN = "Of the {:,} that only {} has{}, it was not looked whether a trigger changed some: there are more than {:,}."
_OUTSIDE = " or that are outside of the condition"
_CHANGED = "Of the {:,} that only {} has{}, a trigger or a foreign key changed some as others were written. "
_ADDED = "Outside of the condition, {:,} came into {} as others were written. "


class OtherRows(Struct, frozen=True):
    """Those of a table by their keys, and what they were before anything was written; no keys of too many."""

    spec: TableSpec
    count: int
    keys: pa.Table | None = None
    digest: TableDigest | None = None
    beside: str = ""
    """Which others they are, too."""
    most: int | None = None
    """With a condition, how many rows there may be in all when others were written."""

    def warning(self, target: Connection, plans: Sequence[TablePlan]) -> TransferWarning | None:
        """What is to be told of them: that one is no longer as it was, or that it is not known."""
        names = [plan.spec for plan in plans]
        added = 0 if self.most is None else target.repository(self.spec).count() - self.most
        if added > 0:
            reason = _ADDED.format(added, target.name) + firing(target, names)
            return TransferWarning(CHANGED_BY_TRIGGER, self.spec.name, reason, database=target.name)
        if not self.count:
            return None
        if self.keys is None:
            reason = _UNSEEN.format(self.count, target.name, self.beside, _MOST_ROWS)
            return TransferWarning(NOT_LOOKED_AT, self.spec.name, reason, database=target.name)
        if target.repository(self.spec).digest(keys=self.keys) == self.digest:
            return None
        reason = _CHANGED.format(self.count, target.name, self.beside) + firing(target, names)
        return TransferWarning(CHANGED_BY_TRIGGER, self.spec.name, reason, database=target.name)


def other_rows(
    plans: Sequence[TablePlan], source: Source, target: Connection, held: Sequence[TableSpec]
) -> list[OtherRows]:
    """Those that a trigger may change, of tables that were compared; those of tables `held` do not fire."""
    if not _firing(plans, target, held):
        return []
    return [each for plan in plans if (each := _looked_up(plan, source, target)) is not None]


def _firing(plans: Sequence[TablePlan], target: Connection, held: Sequence[TableSpec]) -> Sequence[TableTriggers]:
    names = {spec.name for spec in held}
    fire = [plan.spec for plan in plans if plan.spec.name not in names and (plan.writes or plan.deletes)]
    return target.triggers(fire) if fire else ()


def _looked_up(plan: TablePlan, source: Source, target: Connection) -> OtherRows | None:
    """Those of one table, also outside of its conditions; None where there are none, or none that is to stay as it is.

    Since the last sync, they would be most rows of a table of which few are looked at (see `not_looked_at`).
    """
    spec = plan.spec.without_conditions()
    is_compared = plan.since is None and plan.action in (Action.MERGE, Action.NOTHING)
    if not spec.key or not is_compared or target.has_update_cascades(spec):
        return None
    count = _count(plan, target)
    is_narrow = plan.spec.where is not None
    beside = _OUTSIDE if is_narrow else ""
    most = target.repository(spec).count() + plan.inserts if is_narrow else None
    if not count or count > _MOST_ROWS:
        return OtherRows(spec, count, beside=beside, most=most) if count or is_narrow else None
    there = (keyed_digests(spec, batch) for batch in target.repository(spec).read())
    known = chain(source.repository(plan.spec).row_digests(), _removals(plan))
    found = compare_rows(spec, known, there, removed=True)
    assert found.removed is not None
    keys = found.removed.select(list(spec.key))
    if not keys.num_rows:
        return OtherRows(spec, 0, most=most) if is_narrow else None
    return OtherRows(spec, keys.num_rows, keys, target.repository(spec).digest(keys=keys), beside, most)


def _removals(plan: TablePlan) -> Iterator[pa.RecordBatch]:
    """The rows to delete, or to mark, beside those of the source; what their digests are does not count."""
    schema = digest_schema(plan.spec)
    for batch in () if plan.removals is None else plan.removals.select(list(plan.spec.key)).to_batches():
        digest = pa.array([bytes(DIGEST.byte_width)] * batch.num_rows, DIGEST)
        yield pa.record_batch([*batch.columns, digest], schema=schema)


def _count(plan: TablePlan, target: Connection) -> int:
    """How many they may be."""
    if plan.spec.where is None:
        return plan.target_only
    return target.repository(plan.spec.without_conditions()).count() - plan.updates - plan.unchanged - plan.deletes


def not_looked_at(
    plans: Sequence[TablePlan], target: Connection, held: Sequence[TableSpec]
) -> tuple[TransferWarning, ...]:
    """That with `--since` nobody looks at most rows, where there are triggers that may change them."""
    if all(plan.since is None for plan in plans):
        return ()
    return tuple(
        TransferWarning(
            NOT_LOOKED_AT,
            each.table,
            f"With --since, rows that did not change at the source are not compared: whether a trigger of {each.table} "
            f"changes some is not seen ({', '.join(each.triggers)}).",
            database=target.name,
        )
        for each in _firing(plans, target, held)
        if each.triggers
    )


def changed_by_triggers(
    others: Sequence[OtherRows], plans: Sequence[TablePlan], target: Connection
) -> tuple[TransferWarning, ...]:
    """What is to be told of them."""
    return tuple(told for each in others if (told := each.warning(target, plans)) is not None)
