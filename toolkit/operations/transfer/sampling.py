"""What a dry run would write, by some rows of each table, shown as `diff` shows rows that differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from msgspec.structs import replace

from toolkit.core.plan import Action, TableResult, planned
from toolkit.operations.diff.keyless import compare_keyless
from toolkit.operations.diff.rows import Masking, ShownRows, with_kind

if TYPE_CHECKING:
    from toolkit.core.plan import TablePlan
    from toolkit.core.row_diff import RowDiff
    from toolkit.engines.contract import Connection
    from toolkit.operations.project import Project
    from toolkit.operations.transfer.sources import Source, SourceTables

# Rows looked up at a time on both sides: they are held together, however wide they are.
_TOGETHER = 20


class Sample(Struct, frozen=True):
    """So many rows of each kind (inserted, updated, deleted or marked) of each table, for a dry run to show."""

    rows: int
    masking: Masking

    @classmethod
    def of(cls, rows: int, project: Project, *, show_pii: bool) -> Sample:
        """Of a project's tables, with personal data masked unless it is to be shown."""
        return cls(rows, Masking.of(project, show_pii=show_pii))


def planned_with_rows(
    plans: Sequence[TablePlan],
    sample: Sample | None,
    source: Source,
    target: Connection | None,
    names: SourceTables | None,
) -> tuple[TableResult, ...]:
    """Plans as the results that they would have, with the sample's rows."""
    if sample is None or names is None:
        return tuple(map(planned, plans))
    # Of an attempt that is made again without rows that are rejected, nothing is shown.
    sample.masking.hidden.clear()
    shown = ShownRows(source, target, names, sample.masking)
    return tuple(planned(each, _rows(each, shown, sample.rows)) for each in plans)


def _rows(plan: TablePlan, shown: ShownRows, limit: int) -> Iterator[RowDiff]:
    if plan.action is Action.LOAD:
        yield from shown.first(plan.spec, limit)
    elif plan.action is Action.REPLACE:
        assert shown.target is not None, "only a table that is there is replaced"
        repositories = shown.source.repository(plan.spec), shown.target.repository(plan.spec)
        every = compare_keyless(plan.spec, *repositories)
        for side in (replace(every, removed=every.new.slice(0, 0)), replace(every, new=every.new.slice(0, 0))):
            yield from islice(shown.surplus(plan.spec, side), limit)
    else:
        chosen = pa.concat_tables([_first(plan, keys, kind, limit) for kind, keys in _keys(plan).items()])
        for start in range(0, chosen.num_rows, _TOGETHER):
            yield from shown.keyed(plan.spec, chosen.slice(start, _TOGETHER))


def _keys(plan: TablePlan) -> Mapping[str, pa.Table]:
    """The keys of the rows that are written, by kind: a plan has those of new rows before those of others."""
    nothing = plan.spec.project(plan.spec.key).schema.empty_table()
    written = nothing if plan.changes is None else plan.changes
    gone = nothing if plan.removals is None else plan.removals
    return {"added": written.slice(0, plan.inserts), "changed": written.slice(plan.inserts), "removed": gone}


def _first(plan: TablePlan, keys: pa.Table, kind: str, limit: int) -> pa.Table:
    """The first keys in their order, with the kind."""
    names = list(plan.spec.key)
    keys = keys.select(names)
    if keys.num_rows:
        keys = keys.take(pc.sort_indices(keys, [(name, "ascending") for name in names])[:limit])
    return with_kind(keys, kind)
