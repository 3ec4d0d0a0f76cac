"""Which rows of a source cannot be written, found by why a transfer failed; and which others depend on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.digest import row_digests
from toolkit.core.plan import load_plan
from toolkit.core.sql_terms import lower_ascii
from toolkit.core.tables import table_spec
from toolkit.engines import connect
from toolkit.engines.portable.connection import batch_key
from toolkit.errors import (
    KeylessRowsError,
    MissingParentError,
    RefusedRowError,
    RepeatedKeyError,
    ToolkitError,
    UniqueConflictError,
    UnrepresentableValueError,
    VerificationError,
)
from toolkit.operations.migrations.revisions import exists
from toolkit.operations.transfer.held_triggers import HeldTriggers, triggers_to_hold
from toolkit.operations.transfer.misfits import expect_made, sifted_rows
from toolkit.operations.transfer.rejects import Key, Rejects, WithoutRejected
from toolkit.operations.transfer.set_values import FilledTable, SetValues, with_values, writer
from toolkit.operations.transfer.sources import SiftedRows, table_beneath
from toolkit.operations.transfer.unenforced import UnenforcedTable

if TYPE_CHECKING:
    from toolkit.config import Database
    from toolkit.core.sifted import BadValue
    from toolkit.core.tables import ForeignKeySpec, TableSpec
    from toolkit.engines.contract import Connection, Table
    from toolkit.operations.transfer.options import Options
    from toolkit.operations.transfer.request import TransferResult
    from toolkit.operations.transfer.sources import Source

REFUSALS = (
    KeylessRowsError,
    MissingParentError,
    RefusedRowError,
    UniqueConflictError,
    UnrepresentableValueError,
    VerificationError,
)


@dataclass(frozen=True)
class Rejecting:
    """A transfer from the `database` that is tried again without the rows that it failed by.

    `values` are what rows get in columns that only the target has. `looked_at` narrows the tables to the rows that may
    be written. `make` makes the tables in a target that has none of them, in its transaction.
    """

    database: str
    origin: Source
    specs: Sequence[TableSpec]
    target: Database
    rejects: Rejects
    options: Options
    values: SetValues
    looked_at: Callable[[], Sequence[TableSpec]]
    make: Callable[[Connection], None]
    dry_run: bool = False
    _keys: dict[tuple[str, tuple[str, ...]], Callable[[Key], Key]] = field(default_factory=dict, init=False)

    def run(self, attempt: Callable[[], TransferResult]) -> TransferResult:
        """The result of the first attempt that succeeds.

        Raises:
            ToolkitError: what no row of the source is the cause of; no file is left.
        """
        try:
            while True:
                try:
                    self._require_all_told()
                    found = attempt()
                    if not (self.dry_run and self._reject_all_orphans(found)):
                        return found
                except REFUSALS as error:
                    before = len(self.rejects)
                    self._reject(error)
                    self._reject_dependents()
                    if len(self.rejects) == before:
                        raise
        except BaseException:
            self.rejects.discard()
            raise

    def _require_all_told(self) -> None:
        """See that each row of the source is either left out, and in a file, or among those that are written.

        Raises:
            RepeatedKeyError: one is neither: it has the key of one that is left out.
        """
        for spec in self.specs:
            rejected = self.rejects.tables.get(spec.name)
            if rejected is not None and rejected.lines:
                rows = self._source.repository(spec)
                if sum(batch.num_rows for batch in rows.read(BATCH_ROWS)) != rows.count():
                    raise RepeatedKeyError(self.database, spec.name, ", ".join(spec.key) or "all of their values")

    def _reject(self, error: ToolkitError) -> None:
        before = len(self.rejects)
        doubtful = isinstance(error, UnrepresentableValueError | VerificationError | KeylessRowsError)
        if doubtful and not self.rejects.is_searched:
            self.rejects.is_searched = True
            self._reject_misfits()
        if isinstance(error, MissingParentError):
            self._reject_orphans(error)
        if isinstance(error, RefusedRowError):
            self._reject_refused(error.table)
        if isinstance(error, KeylessRowsError):
            self._reject_unwritable(error.tables)
        if len(self.rejects) == before:
            self._reject_named(error)

    def _reject_misfits(self) -> None:
        """All rows with values that cannot be read as they are, or that the target would not keep."""
        with ExitStack() as stack:
            kept = stack.enter_context(connect(self.target)) if exists(self.target) else None
            if kept is not None:
                expect_made(kept, self.target, [spec for spec in self.specs if kept.facts(spec) is None])
            for spec in self.specs:
                rejected, target = self.rejects.of(spec), None if kept is None else kept.repository(spec)
                for sifted in sifted_rows(self.origin.repository(spec)):
                    for bad in sifted.bad:
                        rejected.add_unread(bad)
                    unkept: dict[int, list[BadValue]] = {}
                    for row, value in () if target is None else target.unkeepable(sifted.batch):
                        unkept.setdefault(row, []).append(value)
                    for row, found in unkept.items():
                        rejected.add(sifted.batch, row, rejected.reason(found))

    def _reject_unwritable(self, tables: Collection[str]) -> None:
        """All rows of tables without a key that the target would not take: without them, it may have the others."""
        for spec in self.specs:
            if spec.name in tables:
                for key in spec.foreign_keys:
                    self._reject_lost(spec, key)
                if not self.dry_run:
                    self._reject_refused(spec.name)

    def _reject_refused(self, table: str) -> None:
        """All rows of a table that a constraint of the target refuses, found by writing them; nothing of that stays."""
        for spec in self.looked_at():
            if spec.name == table:
                with (
                    suppress(_UndoneError),
                    connect(self.target, write=True) as target,
                    self._as_written(target, spec),
                ):
                    (plan,) = with_values([load_plan(spec, 1)], self.values, target)
                    into = writer(plan, target)
                    if not spec.key:
                        target.repository(spec).delete_all()
                    for batch in self._source.repository(spec).read(BATCH_ROWS):
                        self._reject_refused_of(target, into, spec, batch)
                    raise _UndoneError

    @contextmanager
    def _as_written(self, target: Connection, spec: TableSpec) -> Iterator[None]:
        """Have tables, triggers and foreign keys for the block as they are when rows are written."""
        self.make(target)
        held = triggers_to_hold([load_plan(spec, 1)], target) if self.options.hold_triggers else HeldTriggers()
        with target.held_triggers(held.specs) if held.specs else nullcontext(), target.defer_foreign_keys([spec]):
            yield

    def _reject_refused_of(
        self, target: Connection, into: Table | UnenforcedTable | FilledTable, spec: TableSpec, batch: pa.RecordBatch
    ) -> None:
        def refusal(rows: pa.RecordBatch, *, keep: bool = False) -> RefusedRowError | None:
            """Why the target does not take these rows, if it is because of one of them."""
            try:
                with suppress(_UndoneError), target.savepoint():
                    into.upsert_many([rows])
                    if not keep:
                        # Without a key they would stand in their own way when they are tried again.
                        raise _UndoneError
            except RefusedRowError as error:
                return error
            except ToolkitError:
                return None
            return None

        while batch.num_rows and (refused := refusal(batch, keep=True)) is not None:
            row = _refused_row(spec, batch, refused, refusal)
            self.rejects.of(spec).add(batch, row, refused.fact)
            batch = pa.concat_batches([batch.slice(0, row), batch.slice(row + 1)])

    def _reject_named(self, error: ToolkitError) -> None:
        """The rows that an error names, among those that would be written."""
        table = getattr(error, "table", None)
        keys = error.rows if isinstance(error, UniqueConflictError) else (getattr(error, "key", None),)
        for spec in self.specs:
            if spec.name == table and any(keys):
                named = [(batch, row) for batch, row in self._rows(spec) if batch_key(spec, batch, row) in keys]
                columns = error.columns.split(", ") if isinstance(error, UniqueConflictError) else []
                if len(named) > len(keys) and set(columns) <= set(spec.column_names):
                    # Long keys are not shown whole: of those that look like these, some have other values.
                    named = _twins(named, columns) or named
                if spec.key or _are_alike(spec, named):
                    for batch, row in named:
                        self.rejects.of(spec).add(batch, row, error.fact)

    def _reject_orphans(self, error: MissingParentError) -> None:
        """All rows whose parent neither side has."""
        for spec in self.specs:
            for key in spec.foreign_keys:
                if spec.name == error.table and ", ".join(key.columns) == error.column and key.parent == error.parent:
                    self._reject_lost(spec, key)

    def _reject_all_orphans(self, planned: TransferResult) -> bool:
        """Those that a run would meet as it writes, with what depends on them; whether there were any."""
        before = len(self.rejects)
        written = {each.table for each in planned.tables if each.inserted or each.updated}
        for spec in self.specs:
            for key in spec.foreign_keys if spec.name in written else ():
                self._reject_lost(spec, key)
        self._reject_dependents()
        return len(self.rejects) > before

    def _reject_lost(self, spec: TableSpec, key: ForeignKeySpec) -> None:
        reason = f"{', '.join(key.columns)} points at a row of {key.parent} that is not there"
        self._reject_pointing(spec, key, self._parents(key), reason, among=False)

    def _parents(self, key: ForeignKeySpec) -> set[Key]:
        """What a foreign key may point at: rows that will be written, and those of the target that stay."""
        synced = next((spec for spec in self.specs if spec.name == key.parent), None)
        found: set[Key] = set()
        if synced is not None:
            found |= set(_values(self._source.repository(synced).read(BATCH_ROWS), key.parent_columns))
        if (self.options.mode.removes and synced is not None) or not exists(self.target):
            return found
        parent = synced or table_spec(self.specs[0].table.metadata.tables[key.parent])
        narrow = parent.without_conditions().project((*parent.key, *key.parent_columns))
        with connect(self.target) as target:
            if target.column_names(narrow) is None:
                # A dry run has not made it.
                return found
            return found | set(_values(target.repository(narrow).read(), key.parent_columns))

    def _reject_dependents(self) -> None:
        """The rows that point at rejected ones, and those that point at these, and so on."""
        seen: dict[str, int] = {}
        while True:
            grown = {name for name, each in self.rejects.tables.items() if len(each.lines) > seen.get(name, 0)}
            if not grown:
                return
            seen = {name: len(each.lines) for name, each in self.rejects.tables.items()}
            for spec in self.specs:
                for key in spec.foreign_keys:
                    if key.parent in grown:
                        gone = self.rejects.tables[key.parent].values(key.parent_columns)
                        reason = f"{', '.join(key.columns)} points at a row of {key.parent} that is rejected"
                        self._reject_pointing(spec, key, gone, reason, among=True)

    def _reject_pointing(
        self, spec: TableSpec, key: ForeignKeySpec, parents: Collection[Key], reason: str, *, among: bool
    ) -> None:
        """The rows whose parent is, or is not, among these; a part that is NULL points nowhere."""
        rejected, pointed_at = self.rejects.of(spec), (key.parent, key.parent_columns)
        if pointed_at not in self._keys:
            self._keys[pointed_at] = self._compared(key)
        compared = self._keys[pointed_at]
        parents = {compared(parent) for parent in parents}
        for batch in self._source.repository(spec).read(BATCH_ROWS):
            for row, value in enumerate(_values([batch], key.columns)):
                if None not in value and (compared(value) in parents) is among:
                    rejected.add(batch, row, reason)

    def _compared(self, key: ForeignKeySpec) -> Callable[[Key], Key]:
        """What makes two values one to a foreign key, by the collations of what it points at."""
        parent = next((spec for spec in self.specs if spec.name == key.parent), None)
        if parent is None or set(parent.key) != set(key.parent_columns):
            return tuple
        with ExitStack() as stack:
            # What is yet to be made by an engine for itself is as it is at the source.
            there = stack.enter_context(connect(self.target)) if exists(self.target) else None
            rows = self.origin if there is None or there.facts(parent) is None else there
            table = rows.repository(parent)
            held: Any = table_beneath(table) if isinstance(table, SiftedRows) else table
            kinds = (held.connection.database.engine_name, self.target.engine_name)
            collations = held.collated_key() if kinds[0] == kinds[1] else {}
        changes = [
            _FOLDINGS.get(collations.get(name, "").rpartition(" ")[2], _unchanged) for name in key.parent_columns
        ]
        return lambda values: tuple(change(value) for change, value in zip(changes, values, strict=True))

    def _rows(self, spec: TableSpec) -> Iterator[tuple[pa.RecordBatch, int]]:
        for batch in self._source.repository(spec).read(BATCH_ROWS):
            for row in range(batch.num_rows):
                yield batch, row

    @property
    def _source(self) -> WithoutRejected:
        return WithoutRejected(self.origin, self.rejects)


def _unchanged(value: Any) -> Any:
    return value


# As SQLite's collations compare texts.
_FOLDINGS: dict[str, Callable[[Any], Any]] = {
    "NOCASE": lambda value: lower_ascii(value) if isinstance(value, str) else value,
    "RTRIM": lambda value: value.rstrip(" ") if isinstance(value, str) else value,
}


def _are_alike(spec: TableSpec, named: Iterable[tuple[pa.RecordBatch, int]]) -> bool:
    """Whether rows of a table without a key that have the same name are equal, so that the name is of no other."""
    found: dict[str, set[Any]] = {}
    for batch, row in named:
        digest = row_digests(spec, batch.slice(row, 1))[0].as_py()
        found.setdefault(batch_key(spec, batch, row), set()).add(digest)
    return all(len(digests) == 1 for digests in found.values())


class _UndoneError(Exception):
    """Ends a transaction that is not to be committed."""


def _twins(rows: Sequence[tuple[pa.RecordBatch, int]], columns: Sequence[str]) -> list[tuple[pa.RecordBatch, int]]:
    """Those of these rows that share their values of some columns."""
    values = [tuple(batch.column(name)[row].as_py() for name in columns) for batch, row in rows]
    counts = Counter(values)
    return [row for row, value in zip(rows, values, strict=True) if counts[value] > 1]


def _refused_row(
    spec: TableSpec,
    batch: pa.RecordBatch,
    refused: RefusedRowError,
    refusal: Callable[[pa.RecordBatch], RefusedRowError | None],
) -> int:
    """Which row it is that is refused: the one of that key, or, where several or none are shown so, found by halves."""
    named = [row for row in range(batch.num_rows) if batch_key(spec, batch, row) == refused.key]
    if len(named) == 1:
        return named[0]
    first, rows = 0, batch.num_rows
    while rows > 1:
        half = rows // 2
        if refusal(batch.slice(first, half)):
            rows = half
        else:
            first, rows = first + half, rows - half
    return first


def _values(batches: Any, names: Collection[str]) -> Iterator[Key]:
    for batch in batches:
        yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)
