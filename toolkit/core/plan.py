"""Plans: what an operation will do, made before it and executed as made. Results: what it did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from toolkit.core.changes import Changes
from toolkit.core.digest import NO_ROWS, TableDigest
from toolkit.core.inspection import Inspection
from toolkit.core.row_diff import RowDiff
from toolkit.core.tables import TableSpec


class Action(StrEnum):
    """How a table will be written."""

    LOAD = "load"
    MERGE = "merge"
    REPLACE = "replace"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Fill:
    """What rows that are inserted get beside what is sent: `spec` has these columns, `values` one value for each."""

    spec: TableSpec = field(repr=False)
    values: Mapping[str, pa.Array] = field(repr=False)

    def filled(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Rows with these columns."""
        more = [pc.take(value, pa.array([0] * batch.num_rows, pa.int64())) for value in self.values.values()]
        return pa.record_batch([*batch.columns, *more], schema=self.spec.schema)


@dataclass(frozen=True)
class TablePlan:
    """What will happen to one table, in rows.

    `changes` holds the keys and digests of the rows to merge, `removals` the keys of the rows to delete (None when
    none ever are) or, if it `marks`, to mark as deleted; `digest` is that of all rows of the source, if they were
    compared, `seconds` what that took. With `since`, only rows from that watermark on were compared. `fill` is what
    only the target has a column for. A table without a key is replaced as a whole: all its `deletes` rows go, of which
    `lost` are not among those of the source, and `replaced` is the digest of all of them.
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
    digest: TableDigest | None = None
    marks: bool = False
    since: str | None = None
    fill: Fill | None = None
    lost: int = 0
    replaced: TableDigest = NO_ROWS

    @property
    def writes(self) -> int:
        """Rows to write."""
        return self.inserts + self.updates


class TableResult(Struct, frozen=True):
    """What happened to one table, in rows and seconds.

    When it was verified, the digests are those of all rows of the source, and of the same rows in the target. With
    `since`, only rows from that watermark on were looked at. `rows` are some of those that a dry run would write.
    """

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
    marked: int = 0
    since: str | None = None
    rows: tuple[RowDiff, ...] = ()

    @property
    def rows_per_second(self) -> float:
        """Rows handled a second, unchanged ones included."""
        rows = self.inserted + self.updated + self.unchanged
        return rows / self.seconds if self.seconds else 0.0


class FileCopy(Struct, frozen=True):
    """Files that came along with rows: so many `copied` to a store, others `there` already; a line for each problem.

    `archived` are not among these `files`: rows were moved to them in an archive, where they were left.
    """

    store: str
    files: int
    copied: int
    bytes: int
    there: int
    problems: tuple[str, ...] = ()
    archived: int = 0


class TransferWarning(Struct, frozen=True):
    """What is worth knowing of a table, perhaps of so many rows' values of one column; `reason` says it in words.

    `database` is the name of the one that it is true of, where that may be either.
    """

    outcome: str
    table: str
    reason: str
    column: str | None = None
    rows: int | None = None
    database: str | None = None

    @property
    def place(self) -> str:
        """The table, or its column."""
        return self.table if self.column is None else f"{self.table}.{self.column}"

    @property
    def is_of_unmodelled(self) -> bool:
        """Whether it is of a column with values, or a table with rows, that was left alone as no model knows it."""
        return self.outcome == NOT_IN_MODELS

    @property
    def is_of_masking(self) -> bool:
        """Whether it is of a column whose values were masked in what is shown, as personal."""
        return self.outcome in {MASKED, MASKED_BY_MODEL}

    @property
    def is_of_record(self) -> bool:
        """Whether it is of a table that records a revision of migrations, and is not the one that is looked into."""
        return self.outcome == OTHER_RECORD

    @property
    def is_of_schema(self) -> bool:
        """Whether it is of what a table has in the source, and does not have, or not so, in the target."""
        return self.outcome == NOT_CARRIED

    @property
    def is_of_generated(self) -> bool:
        """Whether it is of columns that the target generates, with other values than the source has."""
        return self.outcome == GENERATED_OTHERWISE

    @property
    def is_of_trigger(self) -> bool:
        """Whether it is of rows that no sync writes, which a trigger has changed."""
        return self.outcome == CHANGED_BY_TRIGGER

    @property
    def is_of_unseen(self) -> bool:
        """Whether it is of rows that a trigger may have changed, of which nobody knows."""
        return self.outcome == NOT_LOOKED_AT

    @property
    def is_of_conversion(self) -> bool:
        """Whether it counts the values that a conversion changed for good, as the user asked for."""
        return self.outcome == CONVERTED


class TableRejects(Struct, frozen=True):
    """So many rows of a table that were left out of a sync, or would be; they are in that file."""

    table: str
    rows: int
    file: str


NOT_IN_MODELS = "not in the models"
NOT_CARRIED = "not carried"
OTHER_RECORD = "revision recorded elsewhere"
CHANGED_MEANWHILE = "changed meanwhile"
CHANGED_BY_TRIGGER = "changed by a trigger"
NOT_LOOKED_AT = "not looked at"
GENERATED_OTHERWISE = "generated otherwise"
CONVERTED = "converted"
MASKED = "masked by name"
MASKED_BY_MODEL = "masked by its model"


class SyncResult(Struct, frozen=True):
    """What a sync did, or (`dry_run`) would do. `verified`: what arrived was compared with what was sent.

    `schema_from` says what a target without tables got them from, or would get them: migrations, or the models.
    Tables and columns have the models' names; `renamed` has the target's, where it has others. Without models, a dry
    run into an empty database has an `inspection` of what would become of the tables.
    """

    source: str
    target: str
    dry_run: bool
    created_schema: bool
    verified: bool
    tables: tuple[TableResult, ...]
    seconds: float
    attachments: FileCopy | None = None
    warnings: tuple[TransferWarning, ...] = ()
    schema_from: str | None = None
    renamed: Mapping[str, str] = {}
    rejected: tuple[TableRejects, ...] = ()
    inspection: Inspection | None = None

    @property
    def is_overtaken(self) -> bool:
        """Whether others wrote to the target since it was compared, so that nothing is proved of it as a whole."""
        return is_overtaken(self.warnings)


def is_overtaken(warnings: Iterable[TransferWarning]) -> bool:
    """Whether one of these says that rows changed after they were compared."""
    return any(warning.outcome == CHANGED_MEANWHILE for warning in warnings)


class TableDump(Struct, frozen=True):
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
        return TablePlan(spec, Action.NOTHING, "both sides are empty", digest=NO_ROWS)
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
    common: dict[str, Any] = {**counts, "removals": changes.removed, "digest": changes.source}
    if not changes.new.num_rows and not changes.changed.num_rows:
        return TablePlan(spec, Action.NOTHING, "no row of the source differs", **common)
    keys = pa.concat_tables([changes.new, changes.changed])
    return TablePlan(spec, Action.MERGE, "rows differ by digest", **common, changes=keys)


def planned(plan: TablePlan, rows: Iterable[RowDiff] = ()) -> TableResult:
    """A plan as the result that it would have, with some of the rows that it would write."""
    return TableResult(
        plan.spec.name,
        plan.inserts,
        plan.updates,
        plan.unchanged,
        plan.target_only,
        plan.seconds,
        verified=False,
        deleted=0 if plan.marks else plan.deletes,
        marked=plan.deletes if plan.marks else 0,
        since=plan.since,
        rows=tuple(rows),
    )
