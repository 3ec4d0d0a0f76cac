"""`toolkit diff --sql`: the statements that would make the target equal to the source, for the target's own client.

One transaction: rows that only the target has go first, children before parents; then each table's changed rows and
new rows, parents before children; all ordered by key, so that the same difference gives the same script. A unique value
that moves from one changed row to another is set free first. Rows pass through in batches, sorted on disk.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote as shell
from typing import IO, TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import structs

from toolkit.compute.changes import compare_rows
from toolkit.core.batches import BATCH_ROWS
from toolkit.core.changes import Changes
from toolkit.core.digest import keyed_digests
from toolkit.core.json_columns import format_column
from toolkit.core.plan import Fill, merge_plan
from toolkit.core.progress import Progress, Silent
from toolkit.core.streams import only, read_ahead
from toolkit.core.tables import Conditions, TableSpec
from toolkit.engines.contract import Script, TableScript
from toolkit.engines.portable.lossy import require_written_keys
from toolkit.engines.portable.script import qualified, quoted
from toolkit.errors import ScriptError
from toolkit.operations.diff.compare import Comparison, Differences, DiffResult, Status, TableDiff
from toolkit.operations.diff.fitting import fitting_keys
from toolkit.operations.diff.statements import grouped, lines_in_key_order, statements, with_ends
from toolkit.operations.reflection.requested_tables import Wanted
from toolkit.operations.transfer.deletes import guard, has_to_wait
from toolkit.operations.transfer.fixed_numbers import require_same_numbers
from toolkit.operations.transfer.moved_values import temporary_unique_values
from toolkit.operations.transfer.set_values import SetValues, require_values, with_values
from toolkit.operations.transfer.sources import SourceTables, rows_with_keys, without_present
from toolkit.stores.whole_file import whole_file

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.engines.contract import Connection


def diff_sql(
    config: Config,
    source: str,
    target: str,
    script: Path | IO[bytes],
    tables: Sequence[str] = (),
    *,
    where: Conditions | None = None,
    where_source: Conditions | None = None,
    exclude: Collection[str] = (),
    exclude_columns: Collection[str] = (),
    keys: Mapping[str, Sequence[str]] | None = None,
    set_values: Mapping[str, str] | None = None,
    rename: Mapping[str, str] | None = None,
    convert: Sequence[str] = (),
    rows: int | None = 0,
    show_pii: bool = False,
    progress: Progress | None = None,
) -> DiffResult:
    """What `diff` finds, and in `script` the statements that make the target equal, with all values unmasked.

    The script is there when it is complete, or not at all. `set_values` holds, by `TABLE.COLUMN`, what new rows get in
    columns that only the target has.

    Raises:
        SchemaMismatchError: such a column needs a value, and has none.
        ScriptError: a table that could not be compared, or is not in both databases.
        ReferencedRowsError: rows of other tables point at rows that would be deleted.
        UnrepresentableValueError: a value that the target cannot keep.
        StoreError: the script cannot be written.
    """
    started = time.perf_counter()
    wanted = Wanted(tables, exclude, exclude_columns, rename or {}, keys or {})
    with Comparison(config, source, target, wanted, convert, show_pii=show_pii, progress=progress) as comparison:
        compared = list(comparison.tables(where, where_source=where_source))
        for table, differences in compared:
            _require_compared(table)
            _require_told_apart(table, differences.spec)
        parts = [_sorted_out(each, comparison) for _, each in compared if each.spec.key]
        require_written_keys(comparison.target, [spec for spec, changes in parts if _rewrites(changes)])
        values = comparison.values_to_set(set_values or {}, [spec for spec, _ in parts])
        # Of a database given by its URL neither host nor path is told.
        one, other = (_shown(name) if name in config.databases else "a database" for name in (source, target))
        writer = _Writer(comparison, parts, values, progress or Silent())
        writer.write(script, one, other)
        found = tuple(structs.replace(table, rows=tuple(differences(rows))) for table, differences in compared)
        return comparison.result(found, time.perf_counter() - started)


def _require_compared(table: TableDiff) -> None:
    way_out = f"or leave it out: --exclude {shell(table.table)}."
    if table.status is Status.FAILED:
        reason = (table.reason or "").rstrip(".")
        raise ScriptError(table.table, f"could not be compared ({reason})", f"Correct that, {way_out}")
    if table.status in (Status.ONLY_IN_SOURCE, Status.ONLY_IN_TARGET):
        raise ScriptError(
            table.table,
            f"is {table.status}",
            f"Bring both to one schema (toolkit database upgrade), {way_out}",
        )


def _require_told_apart(table: TableDiff, spec: TableSpec) -> None:
    if not spec.key and table.status is Status.DIFFERS:
        raise ScriptError(
            table.table,
            "has no key, so that no statement can say which of its rows differ",
            f"Have toolkit sync --delete replace all of them, or leave it out: --exclude {shell(table.table)}.",
        )


Part = tuple[TableSpec, Changes]


def _sorted_out(differences: Differences, comparison: Comparison) -> Part:
    """A table's changes; a new row that the target has outside of the condition is a changed one.

    And a row that the source has outside of it is none to remove.
    """
    spec, changes = differences.spec, differences.changes
    assert changes is not None
    if spec.where is None:
        return spec, changes
    assert changes.removed is not None
    changes = structs.replace(changes, removed=without_present(spec, changes.removed, comparison.rows))
    if not changes.new.num_rows:
        return spec, changes
    whole = spec.without_conditions().project(spec.key)
    keys = changes.new.select(list(spec.key))
    there = pa.Table.from_batches(comparison.target.repository(whole).read(keys=keys), spec.key_schema)
    moved = pa.Table.from_batches(only(changes.new.to_batches(), there), changes.new.schema)
    known = {tuple(row.values()) for row in there.to_pylist()}
    mask = pa.array([tuple(row.values()) not in known for row in keys.to_pylist()], pa.bool_())
    return spec, structs.replace(
        changes, new=changes.new.filter(mask), changed=pa.concat_tables([changes.changed, moved])
    )


def _rewrites(changes: Changes) -> bool:
    """Whether a statement has to find rows that are there."""
    return bool(changes.changed.num_rows or (changes.removed is not None and changes.removed.num_rows))


class _Writer:
    """Writes the script of tables in the order of parents before children."""

    def __init__(self, comparison: Comparison, parts: Sequence[Part], values: SetValues, progress: Progress) -> None:
        self._source, self._target = comparison.rows, comparison.target
        self._parts = parts
        self._plans = with_values([merge_plan(*part) for part in parts], values, self._target)
        self._unmodelled = [each.place for each in comparison.unmodelled]
        self._progress = progress
        self._script: Script = comparison.target.script()
        self._changed_rows = 0

    def write(self, file: Path | IO[bytes], source: str, target: str) -> None:
        """Write the script into a file, which is there when it is complete, or not at all."""
        with whole_file(file) as script:
            for part in self._text(source, target):
                script.write(part)

    def _text(self, source: str, target: str) -> Iterator[bytes]:
        """The script, piece by piece."""
        require_values((plan for plan in self._plans if plan.inserts), self._target, triggers_fire=True)
        guard(self._plans, self._target, None)
        for spec, changes in self._parts:
            self._require_steady(spec, changes)
            require_same_numbers(spec, changes.changed, self._source, self._target)
        waiting = self._waiting()
        tables = [_table_script(spec, changes) for spec, changes in self._parts]
        differing = [table for table in tables if table.writes + table.deletes]
        yield from self._header(source, target, differing)
        yield from statements(self._script.begin(tables))
        for spec, changes in reversed(self._parts):
            if spec.name not in waiting:
                yield from self._deletes(spec, changes)
        for (spec, changes), plan in zip(self._parts, self._plans, strict=True):
            self._progress.step(f"write {spec.name}", changes.new.num_rows + changes.changed.num_rows)
            yield from self._frees(spec, changes, spec.name in waiting)
            yield from self._updates(spec, changes)
            yield from self._inserts(spec, changes, plan.fill)
        for spec, changes in reversed(self._parts):
            if spec.name in waiting:
                yield from self._deletes(spec, changes)
        yield from statements(self._script.end(tables, self._changed_rows))

    def _require_steady(self, spec: TableSpec, changes: Changes) -> None:
        """Refuse values to change that rows of another table would follow by themselves (ON UPDATE CASCADE)."""
        keys = changes.changed.select(list(spec.key))
        for child, _ in self._parts:
            for fk in child.foreign_keys:
                follows = fk.parent == spec.name and not set(fk.parent_columns) <= set(spec.key)
                if not (follows and keys.num_rows and self._target.has_update_cascades(child)):
                    continue
                names = dict.fromkeys((*spec.key, *fk.parent_columns))
                narrow = spec.without_conditions().project(names)
                ours, theirs = (
                    [keyed_digests(narrow, batch) for batch in side.repository(narrow).read(BATCH_ROWS, keys=keys)]
                    for side in (self._source, self._target)
                )
                if compare_rows(narrow, ours, theirs).changed.num_rows:
                    raise ScriptError(
                        child.name,
                        f"would follow the values of {', '.join(fk.parent_columns)} that change in "
                        f"{spec.name} (ON UPDATE CASCADE)",
                        "Use toolkit sync, which puts its rows right again.",
                    )

    def _waiting(self) -> Collection[str]:
        """The tables whose rows can be deleted only when what points at them has been changed."""
        waiting: set[str] = set()
        if not self._target.capabilities.enforces_foreign_keys:
            return waiting
        for plan in reversed(self._plans):
            if plan.deletes and has_to_wait(plan, self._plans, waiting, self._target):
                waiting.add(plan.spec.name)
        return waiting

    def _header(self, source: str, target: str, tables: Sequence[TableScript]) -> Iterator[bytes]:
        script = self._script
        lines = [
            f"Makes {target} ({script.engine}) equal to {source}; written by toolkit diff --sql.",
            "All values are as they are, those of personal data too: keep this file as you keep the database.",
            f"One transaction, all or nothing: {script.usage}",
        ]
        if tables and self._target.triggers([table.spec for table in tables]):
            lines.append("Triggers of these tables will run, and may change more than is written here.")
        if not tables:
            lines.append("Nothing differs.")
        lines += [f"Not compared, because it is not in the models: {_shown(each)}" for each in self._unmodelled]
        lines += [
            f"{_shown(each.spec.name)}: {each.deletes} to delete, {each.updates} to update, {each.inserts} to insert"
            for each in tables
        ]
        yield "".join(f"-- {line}\n" for line in lines).encode()

    # -- statements ------------------------------------------------------------------------------------------------

    def _deletes(self, spec: TableSpec, changes: Changes) -> Iterator[bytes]:
        removed = changes.removed
        assert removed is not None
        self._changed_rows += removed.num_rows
        begin = f"DELETE FROM {qualified(spec.table)} WHERE "

        def lines() -> Iterator[tuple[list[pa.Array], pa.Array]]:
            for batch in removed.to_batches(BATCH_ROWS):
                keys = self._script.literals(spec, batch)
                texts = keys[spec.key[0]] if len(spec.key) == 1 else [begin + c for c in _conditions(spec, keys)]
                yield batch.columns, pa.array(texts)

        if len(spec.key) > 1:
            yield from lines_in_key_order(spec, with_ends(lines(), ";\n"))
            return
        listed = lines_in_key_order(spec, with_ends(lines(), "\n"))
        yield from grouped(f"{begin}{quoted(spec.key[0])} IN (", ")", listed)

    def _inserts(self, spec: TableSpec, changes: Changes, fill: Fill | None) -> Iterator[bytes]:
        self._changed_rows += changes.new.num_rows
        wide = spec if fill is None else fill.spec
        names = ", ".join(quoted(name) for name in wide.column_names)
        begin = f"INSERT INTO {qualified(spec.table)} ({names}){self._script.overriding} VALUES\n"

        def lines() -> Iterator[tuple[list[pa.Array], pa.Array]]:
            new = changes.new.select(list(spec.key))
            with read_ahead(rows_with_keys(self._source.repository(spec), new)) as batches:
                for batch in batches:
                    cells = self._script.literals(wide, batch if fill is None else fill.filled(batch))
                    rows = zip(*(cells[name] for name in wide.column_names), strict=True)
                    yield [batch.column(n) for n in spec.key], pa.array([f"({', '.join(row)})" for row in rows])
                    self._progress.advance(batch.num_rows)

        yield from grouped(begin, "", lines_in_key_order(spec, with_ends(lines(), "\n")))

    def _updates(self, spec: TableSpec, changes: Changes) -> Iterator[bytes]:
        self._changed_rows += changes.changed.num_rows

        def lines() -> Iterator[tuple[list[pa.Array], pa.Array]]:
            sides = [side.repository(replace(spec, conditions=())) for side in (self._source, self._target)]
            for keys in fitting_keys(changes.changed.select(list(spec.key)), sides, BATCH_ROWS):
                new, old = (self._rows(side, spec, keys) for side in (self._source, self._target))
                yield [new.column(name) for name in spec.key], pa.array(self._update_texts(spec, new, old))
                self._progress.advance(new.num_rows)

        yield from lines_in_key_order(spec, with_ends(lines(), ";\n"))

    def _rows(self, side: Connection | SourceTables, spec: TableSpec, keys: pa.Table) -> pa.RecordBatch:
        """The rows with these keys, in the order of the texts of their keys, so that two sides match."""
        batches = side.repository(replace(spec, conditions=())).read(keys=keys)
        found = pa.Table.from_batches(batches, spec.schema)
        if found.num_rows != keys.num_rows:
            raise ScriptError(spec.name, "rows cannot be told apart by their keys", "Make its keys unique.")
        (batch,) = found.combine_chunks().to_batches()
        texts = pa.table([format_column(spec.column(n).type, batch.column(n)) for n in spec.key], list(spec.key))
        return batch.take(pc.sort_indices(texts, [(name, "ascending") for name in spec.key]))

    def _update_texts(self, spec: TableSpec, new: pa.RecordBatch, old: pa.RecordBatch) -> list[str]:
        cells = self._script.literals(spec, new)
        conditions = _conditions(spec, cells)
        others = [name for name in spec.column_names if name not in spec.key]
        differs = {
            name: pc.not_equal(
                *(format_column(spec.column(name).type, side.column(name)) for side in (new, old))
            ).to_pylist()
            for name in others
        }
        begin, kept = f"UPDATE {qualified(spec.table)} SET ", self._script.kept(spec)
        texts = []
        for row, condition in enumerate(conditions):
            names = [name for name in others if differs[name][row]] or others
            changes = [f"{quoted(n)} = {cells[n][row]}" for n in names] + _left(n for n in kept if n not in names)
            texts.append(f"{begin}{', '.join(changes)} WHERE {condition}")
        return texts

    # -- unique values that move -----------------------------------------------------------------------------------

    def _frees(self, spec: TableSpec, changes: Changes, waits: bool) -> Iterator[bytes]:
        """Take unique values that another row is given from the rows that have them."""
        batches = [batch for rows in self._passing(spec, changes, waits) for batch in rows.to_batches()]
        self._changed_rows += sum(batch.num_rows for batch in batches)

        def lines() -> Iterator[tuple[list[pa.Array], pa.Array]]:
            for batch in batches:
                cells = self._script.literals(spec, batch)
                (column,) = (name for name in batch.schema.names if name not in spec.key)
                more = "".join(f", {each}" for each in _left(n for n in self._script.kept(spec) if n != column))
                texts = [
                    f"UPDATE {qualified(spec.table)} SET {quoted(column)} = {literal}{more} WHERE {condition}"
                    for literal, condition in zip(cells[column], _conditions(spec, cells), strict=True)
                ]
                yield [batch.column(name) for name in spec.key], pa.array(texts)

        yield from lines_in_key_order(spec, with_ends(lines(), ";\n"))

    def _passing(self, spec: TableSpec, changes: Changes, waits: bool) -> Iterator[pa.Table]:
        names = list(spec.key)
        assert changes.removed is not None
        held, written = changes.changed.select(names), changes.changed.select(names)
        if waits:
            held = pa.concat_tables([held, changes.removed.select(names)])
            written = pa.concat_tables([written, changes.new.select(names)])
        if not held.num_rows:
            return
        source = self._source.repository(replace(spec, conditions=()))
        for unique, rows in temporary_unique_values(
            spec, held, lambda: source.read(BATCH_ROWS, keys=written), self._target
        ):
            if rows is None:
                raise ScriptError(
                    spec.name,
                    f"unique values of {', '.join(unique)} move between rows, and can be neither NULL nor "
                    "anything else in between",
                    "Change one of the rows by hand, then run again.",
                )
            yield rows


def _left(names: Iterable[str]) -> list[str]:
    """What leaves columns as they are."""
    return [f"{quoted(name)} = {quoted(name)}" for name in names]


def _conditions(spec: TableSpec, cells: Mapping[str, Sequence[str]]) -> list[str]:
    """What selects each row by its key."""
    columns = [[f"{quoted(name)} = {literal}" for literal in cells[name]] for name in spec.key]
    return [" AND ".join(row) for row in zip(*columns, strict=True)]


def _table_script(spec: TableSpec, changes: Changes) -> TableScript:
    assert changes.removed is not None
    updates, deletes = changes.changed.num_rows, changes.removed.num_rows
    total = updates + changes.unchanged + deletes if spec.where is None else None
    return TableScript(spec, changes.new.num_rows, updates, deletes, total)


def _shown(name: str) -> str:
    """A name in a comment, on one line."""
    return json.dumps(name)
