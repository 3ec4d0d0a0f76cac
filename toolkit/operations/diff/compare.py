"""`toolkit diff`: what differs between the tables of two databases, down to rows and columns."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct, field, structs

from toolkit.compute.changes import compare, compare_rows
from toolkit.core.changes import Changes
from toolkit.core.plan import TransferWarning
from toolkit.core.progress import Progress, Silent
from toolkit.core.row_diff import RowDiff
from toolkit.core.tables import Conditions, TableSpec, narrowed
from toolkit.engines import connect
from toolkit.engines.portable.as_stored import carried_as_stored
from toolkit.engines.portable.connection import refuse_schema, require_columns
from toolkit.engines.portable.lossy import require_exact
from toolkit.errors import SchemaMismatchError, ToolkitError, UnknownNameError
from toolkit.operations.diff.fitting import fitting_keys
from toolkit.operations.diff.keyless import compare_keyless
from toolkit.operations.diff.rows import Masking, ShownRows, with_kind
from toolkit.operations.parts.comparing import Parallel
from toolkit.operations.reflection.project import Chosen
from toolkit.operations.reflection.requested_tables import Wanted
from toolkit.operations.transfer.conversion_options import conversions
from toolkit.operations.transfer.generated import generated_otherwise
from toolkit.operations.transfer.renamed_target import Elsewhere
from toolkit.operations.transfer.repeated_keys import require_given_keys
from toolkit.operations.transfer.set_values import SetValues, values_to_set
from toolkit.operations.transfer.sources import SourceTables
from toolkit.operations.unmodelled import unmodelled
from toolkit.operations.views import told_views

if TYPE_CHECKING:
    from types import TracebackType

    from toolkit.config import Config
    from toolkit.engines.contract import Table
    from toolkit.operations.parts.crew import WorkerOptions
    from toolkit.operations.transfer.sources import RowSource

# Rows looked up at a time on both sides, to show how they differ.
_ROWS = 500


class Status(StrEnum):
    """How a table of one database compares with that of another."""

    SAME = "same"
    DIFFERS = "differs"
    ONLY_IN_SOURCE = "only in source"
    ONLY_IN_TARGET = "only in target"
    FAILED = "could not be compared"


class TableDiff(Struct, frozen=True):
    """One table, in rows, with the digests of both sides. `reason` says why it could not be compared."""

    table: str
    status: Status
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    reason: str | None = None
    seconds: float = 0.0
    rows: tuple[RowDiff, ...] = ()
    source_digest: str | None = None
    target_digest: str | None = None


class DiffResult(Struct, frozen=True):
    """What was found; an error is never a difference, nor equality. `warnings` tell what was not compared.

    Tables and columns have the models' names; `renamed` has the target's, where it has others.
    """

    source: str
    target: str
    tables: tuple[TableDiff, ...]
    seconds: float
    warnings: tuple[TransferWarning, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether some table could not be compared."""
        return any(table.status is Status.FAILED for table in self.tables)

    @property
    def equal(self) -> bool:
        """Whether all tables are the same."""
        return all(table.status is Status.SAME for table in self.tables)


def diff(
    config: Config,
    source: str,
    target: str,
    tables: Sequence[str] = (),
    *,
    where: Conditions | None = None,
    where_source: Conditions | None = None,
    exclude: Collection[str] = (),
    exclude_columns: Collection[str] = (),
    keys: Mapping[str, Sequence[str]] | None = None,
    columns: Collection[str] = (),
    rename: Mapping[str, str] | None = None,
    convert: Sequence[str] = (),
    rows: int | None = 0,
    show_pii: bool = False,
    progress: Progress | None = None,
    workers: WorkerOptions | None = None,
) -> DiffResult:
    """Compare tables by digest: all, or those named, without those to `exclude`, and without `exclude_columns`.

    Without models they are those of the databases; `keys` names, by table, columns that tell rows apart. `where`
    narrows them on both sides, `where_source` at the source alone: other rows are as if it had none. `rename` holds, by
    `TABLE` or `TABLE.COLUMN` of the models, the second database's name, `convert` as `TABLE.COLUMN:HOW` how values of
    the source become the model's, before they are compared. `rows` of each table that differ are shown with
    their columns (None: all of them). With `workers`, tables are digested in parts by other processes.

    Raises:
        ToolkitError: a database that cannot be opened, or a name that is not known.
    """
    started = time.perf_counter()
    wanted = Wanted(tables, exclude, exclude_columns, rename or {}, keys or {})
    with Comparison(
        config, source, target, wanted, convert, show_pii=show_pii, progress=progress, workers=workers
    ) as comparison:
        found = tuple(
            structs.replace(table, rows=tuple(differences(rows)))
            for table, differences in comparison.tables(where, columns, where_source)
        )
        return comparison.result(found, time.perf_counter() - started)


class Differences(Struct, frozen=True):
    """A table's rows that differ; called, it yields so many of them, ordered by key. No changes: not in both."""

    spec: TableSpec
    changes: Changes | None
    _describe: Callable[[TableSpec, Changes, int | None], Iterator[RowDiff]]

    def __call__(self, limit: int | None) -> Iterator[RowDiff]:
        """At most `limit` rows; all of them for None."""
        return iter(()) if self.changes is None else self._describe(self.spec, self.changes, limit)


class Comparison:
    """Two databases, each in one snapshot, for use in a `with` block."""

    def __init__(
        self,
        config: Config,
        source: str,
        target: str,
        wanted: Wanted | None = None,
        convert: Sequence[str] = (),
        *,
        show_pii: bool = False,
        progress: Progress | None = None,
        workers: WorkerOptions | None = None,
    ) -> None:
        config = config.of(source, target)
        wanted = structs.replace(wanted or Wanted(), convert=(*config.convert, *convert))
        self._databases = (config.database(source), config.database(target))
        self._parallel = workers and Parallel(config, self._databases, workers)
        with Chosen.of_both(config, *self._databases, wanted, compares=True) as chosen:
            self._chosen = structs.replace(chosen, source=None)
        self._is_named = bool(wanted.tables)
        self._project = self._chosen.project
        self._names = self._chosen.renames
        self._masking = Masking.of(self._project, show_pii=show_pii)
        self._progress = progress or Silent()
        self._conversions = conversions(self._project.metadata, config.convert, convert)
        self._told: list[TransferWarning] = []
        self._is_narrow = False
        self.renamed: Mapping[str, str] = {}
        self.unmodelled: tuple[TransferWarning, ...] = ()
        """What either database holds beside the tables that are compared, from the first of them on."""

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        with ExitStack() as opening:
            self.source, self.target = (opening.enter_context(connect(each)) for each in self._databases)
            self.rows = SourceTables(self.source)
            if self._parallel:
                opening.enter_context(self._parallel)
            self._stack = opening.pop_all()
        return self

    @property
    def warnings(self) -> tuple[TransferWarning, ...]:
        """What was not compared, what conversions changed, and what was masked, in the tables so far."""
        return (*self.unmodelled, *self._told, *self._masking.warnings)

    def result(self, found: tuple[TableDiff, ...], seconds: float) -> DiffResult:
        """What was found in all tables."""
        return DiffResult(self.source.name, self.target.name, found, seconds, self.warnings, self.renamed)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def tables(
        self,
        where: Conditions | None = None,
        columns: Collection[str] = (),
        where_source: Conditions | None = None,
    ) -> Iterator[tuple[TableDiff, Differences]]:
        """Each table as it compares, and a function that yields so many of its rows that differ, ordered by key."""
        models = narrowed(self._chosen.specs(), where or {}, where_source)
        self._conversions.require_in_run(models)
        self._conversions.require_unasked(models)
        models = tuple(_only(spec, columns) for spec in models) if columns else models
        self._is_narrow = bool(columns)
        self._elsewhere = elsewhere = Elsewhere.of(self._project, models, self._names)
        self.rows, self.renamed = elsewhere.source(self.source, self._conversions), elsewhere.shown
        sides = ((self.source, models), (self.target, elsewhere.specs))
        for side, specs in sides:
            side.lock_tables(specs, self._progress)
            told_views(side, specs, self._progress)
        if self._parallel:
            self._parallel.share(self.source, self.target)
        self.unmodelled = tuple(self._chosen.warnings)
        if not self._project.is_reflected:
            self.unmodelled += tuple(
                warning
                for side, specs in sides
                for warning in unmodelled(side, self._project, specs, named=self._is_named, columns=not columns)
            )
        filled = [side.filled([spec for spec in specs if side.column_names(spec) is not None]) for side, specs in sides]
        for own, spec in zip(models, elsewhere.specs, strict=True):
            yield self._compared(spec, is_filled=own.name in filled[0] or spec.name in filled[1])

    def values_to_set(self, given: Mapping[str, str], specs: Sequence[TableSpec]) -> SetValues:
        """What is given by `TABLE.COLUMN` for columns that only the target has, of tables that were compared."""
        return values_to_set(specs, self._elsewhere.places(given))

    def _compared(self, spec: TableSpec, *, is_filled: bool) -> tuple[TableDiff, Differences]:
        started, name = time.perf_counter(), self.rows.own(spec).name
        self._progress.step(f"compare {name}")
        try:
            spec, status, changes = self._changes(spec, is_filled=is_filled)
        except ToolkitError as error:
            return TableDiff(name, Status.FAILED, reason=error.fact), Differences(spec, None, self._rows)
        if changes is None:
            return TableDiff(name, status), Differences(spec, None, self._rows)
        removed = 0 if changes.removed is None else changes.removed.num_rows
        if generated := self._generated(spec, changes):
            self._told += generated
            status = Status.DIFFERS
        found = TableDiff(
            name,
            status,
            changes.new.num_rows,
            changes.changed.num_rows,
            removed,
            changes.unchanged,
            seconds=time.perf_counter() - started,
            source_digest=changes.source.text,
            target_digest=changes.target.text,
        )
        return found, Differences(spec, changes, self._rows)

    def _changes(self, spec: TableSpec, *, is_filled: bool) -> tuple[TableSpec, Status, Changes | None]:
        """The table as it is compared, how it compares, and by which rows."""
        sides = ((self.source, self.rows.own(spec)), (self.target, spec))
        lacking = [side.column_names(each) is None for side, each in sides]
        if all(lacking):
            raise SchemaMismatchError([f"neither database has table {spec.name}"], "")
        if any(lacking):
            return spec, (Status.ONLY_IN_TARGET if lacking[0] else Status.ONLY_IN_SOURCE), None
        for side, each in sides:
            refuse_schema(require_columns(side, [each]))
        stored = self._conversions.stored
        (spec,) = carried_as_stored(self.source, [(stored(self.rows.own(spec)), spec)], lambda: self.target)
        require_exact(self.source, [stored(self.rows.own(spec))])
        require_exact(self.target, [spec])
        self._told += self._conversions.require_taken(self.source, [self.rows.own(spec)], self._progress)
        require_given_keys([spec], self.rows, self.source.name)
        require_given_keys([spec], self.target, self.target.name)
        if not is_filled:
            return spec, Status.SAME, compare_rows(spec, (), (), removed=True)
        changes = self._found(spec, self.rows.repository(spec), self.target.repository(spec))
        assert changes.removed is not None
        equal = not changes.new.num_rows + changes.changed.num_rows + changes.removed.num_rows
        return spec, (Status.SAME if equal else Status.DIFFERS), changes

    def _generated(self, spec: TableSpec, changes: Changes) -> list[TransferWarning]:
        """The columns that both generate, where rows differ in them alone.

        None where columns of the user's are compared, or rows that differ cannot be told from others.
        """
        if self._is_narrow or not (spec.key or changes.source == changes.target):
            return []
        exclude = self._chosen.wanted.exclude_columns
        found = generated_otherwise([spec], self.rows, self.rows, self.target, exclude, changes.changed)
        return [self._elsewhere.warning(each.warning(self.target.name)) for each in found]

    def _found(self, spec: TableSpec, ours: RowSource, theirs: Table) -> Changes:
        if self._parallel and (found := self._parallel.compare(spec, ours, theirs)):
            return found
        return compare(spec, ours, theirs, removed=True) if spec.key else compare_keyless(spec, ours, theirs)

    def _rows(self, spec: TableSpec, changes: Changes, limit: int | None) -> Iterator[RowDiff]:
        names = list(spec.key)
        assert changes.removed is not None
        shown = ShownRows(self.rows, self.target, self.rows, self._masking)
        if not names:
            yield from islice(shown.surplus(spec, changes), limit)
            return
        kinds = (("added", changes.new), ("changed", changes.changed), ("removed", changes.removed))
        parts = [with_kind(keys.select(names), kind) for kind, keys in kinds]
        ordered = pa.concat_tables(parts).combine_chunks()
        ordered = ordered.take(pc.sort_indices(ordered, [(name, "ascending") for name in names]))
        ordered = ordered if limit is None else ordered.slice(0, limit)
        whole = replace(spec, conditions=())
        for part in fitting_keys(ordered, [side.repository(whole) for side in (self.rows, self.target)], _ROWS):
            yield from shown.keyed(spec, part)


def _only(spec: TableSpec, columns: Collection[str]) -> TableSpec:
    """The table with its key and these columns alone."""
    for name in columns:
        if name not in spec.column_names:
            raise UnknownNameError("column", name, spec.column_names, spec.name)
    return spec.project(name for name in spec.column_names if name in columns or name in spec.key)
