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

    `changes` holds the keys and digests of the rows to merge, `removals` the keys of the rows to delete (None when
    none ever are), `seconds` is what the comparison took.
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
    deletes: int = 0
    removals: pa.Table | None = field(default=None, repr=False)

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
    deleted: int = 0

    @property
    def rows_per_second(self) -> float:
        """Rows handled a second, unchanged ones included."""
        rows = self.inserted + self.updated + self.unchanged
        return rows / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class FileCopy:
    """Files that came along with rows: so many `copied` to a store, others `there` already; a line for each problem."""

    store: str
    files: int
    copied: int
    bytes: int
    there: int
    problems: tuple[str, ...] = ()


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
    attachments: FileCopy | None = None


@dataclass(frozen=True, slots=True)
class TableDump:
    """One table's file: rows, bytes and SHA-256, and the seconds it took. A dry run knows only the rows."""

    table: str
    rows: int
    file: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    seconds: float = 0.0


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
        "target_only": changes.target_only if changes.removed is None else 0,
        "deletes": 0 if changes.removed is None else changes.removed.num_rows,
    }
    if not changes.new.num_rows and not changes.changed.num_rows:
        return TablePlan(spec, Action.NOTHING, "no row of the source differs", **counts, removals=changes.removed)
    keys = pa.concat_tables([changes.new, changes.changed])
    return TablePlan(spec, Action.MERGE, "rows differ by digest", **counts, changes=keys, removals=changes.removed)
