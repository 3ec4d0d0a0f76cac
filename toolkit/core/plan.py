"""Plans: what an operation will do, made before it and executed as made. Results: what it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa

from toolkit.core.changes import Changes
from toolkit.core.tables import TableSpec


class Action(StrEnum):
    """How a table will be written."""

    LOAD = "load"
    MERGE = "merge"
    NOTHING = "nothing"


@dataclass(frozen=True)
class TablePlan:
    """What will happen to one table, in rows.

    `changes` holds the keys and digests of the rows to merge, `seconds` is what the comparison took.
    """

    spec: TableSpec = field(repr=False)
    action: Action
    reason: str
    inserts: int = 0
    updates: int = 0
    unchanged: int = 0
    target_only: int = 0
    changes: pa.Table | None = field(default=None, repr=False)
    seconds: float = 0.0

    @property
    def writes(self) -> int:
        """Rows to write."""
        return self.inserts + self.updates


@dataclass(frozen=True)
class TableResult:
    """What happened to one table, in rows and seconds. Digests are there when the write was verified."""

    table: str
    inserted: int
    updated: int
    unchanged: int
    target_only: int
    seconds: float
    verified: bool
    source_digest: str | None = None
    target_digest: str | None = None

    @property
    def rows_per_second(self) -> float:
        """Rows handled a second, unchanged ones included."""
        rows = self.inserted + self.updated + self.unchanged
        return rows / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class SyncResult:
    """What a sync did, or (`dry_run`) would do. `verified`: what arrived was compared with what was sent."""

    source: str
    target: str
    dry_run: bool
    created_schema: bool
    verified: bool
    tables: tuple[TableResult, ...]
    seconds: float


def load_plan(spec: TableSpec, rows: int) -> TablePlan:
    """The plan for a table that is empty in the target."""
    if rows == 0:
        return TablePlan(spec, Action.NOTHING, "both sides are empty")
    return TablePlan(spec, Action.LOAD, "the target is empty", inserts=rows)


def merge_plan(spec: TableSpec, changes: Changes) -> TablePlan:
    """The plan for a table with rows on both sides."""
    counts = {
        "inserts": changes.new.num_rows,
        "updates": changes.changed.num_rows,
        "unchanged": changes.unchanged,
        "target_only": changes.target_only,
    }
    if not changes.new.num_rows and not changes.changed.num_rows:
        return TablePlan(spec, Action.NOTHING, "no row of the source differs", **counts)
    keys = pa.concat_tables([changes.new, changes.changed])
    return TablePlan(spec, Action.MERGE, "rows differ by digest", **counts, changes=keys)
