"""All values that do not fit, looked for as soon as one was met: nothing is asked of tables without a doubt before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from shlex import quote as shell
from typing import TYPE_CHECKING

import pyarrow as pa
from msgspec import Struct, field
from msgspec.structs import replace

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.sifted import BadValue, Sifted, as_error
from toolkit.core.streams import ended
from toolkit.engines import connect
from toolkit.engines.portable.connection import batch_key
from toolkit.engines.portable.lossy import require_exact
from toolkit.engines.portable.type_texts import type_text
from toolkit.errors import (
    Misfit,
    MisfitRow,
    MisfitsError,
    MissingParentError,
    SchemaMismatchError,
    ToolkitError,
    UnrepresentableValueError,
    VerificationError,
)
from toolkit.operations.migrations.revisions import exists
from toolkit.operations.transfer.sources import RenamedRows, SiftedRows, rows_with_keys, table_beneath

if TYPE_CHECKING:
    from toolkit.config import Database
    from toolkit.core.plan import TablePlan
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection, Table
    from toolkit.operations.transfer.sources import RowSource, Source

# So many rows of a group are told, in JSON.
_KEPT_ROWS = 100


class _Group(Struct):
    advice: str
    count: int = 0
    rows: list[MisfitRow] = field(default_factory=list)


class Misfits(Struct):
    """The values that were found so far, by table, column and reason."""

    groups: dict[tuple[str, str, str], _Group] = field(default_factory=dict)
    first: UnrepresentableValueError | None = None
    own: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """By a target's table and column, the models', where the target has other names."""

    def has(self, met: ToolkitError) -> bool:
        """Whether what was met may be among them."""
        if not isinstance(met, UnrepresentableValueError):
            return bool(self.groups)
        return any(self._place(met) == (table, column) for table, column, _ in self.groups)

    def _place(self, met: UnrepresentableValueError) -> tuple[str, str]:
        return self.own.get((met.table, met.column), (met.table, met.column))

    @property
    def count(self) -> int:
        """How many values."""
        return sum(group.count for group in self.groups.values())

    def add(self, table: str, key: str, value: BadValue) -> None:
        """Count a value."""
        group = self.groups.setdefault((table, value.column, value.reason), _Group(value.advice))
        group.count += 1
        if len(group.rows) < _KEPT_ROWS:
            group.rows.append(MisfitRow(key, value.value))
        self.first = self.first or as_error(table, key, value)

    def add_rows(self, table: str, missing: MissingParentError) -> None:
        """Count rows without a parent."""
        reason = f"no row of {missing.parent} that it points at"
        group = self.groups.setdefault((table, missing.column, reason), _Group("Correct the rows at the source."))
        group.count += missing.count
        group.rows.append(MisfitRow(missing.first, "…"))

    def error(self, met: ToolkitError) -> ToolkitError:
        """All of them; what was met, if that is all, or what shows why it is."""
        if self.first is None:
            return met
        first = self.first
        if not isinstance(met, UnrepresentableValueError):
            met = first
        places = list(dict.fromkeys((table, column) for table, column, _ in self.groups))
        found = [
            Misfit(*place, reason, group.count, tuple(group.rows), group.advice)
            for place in places
            for (table, column, reason), group in self.groups.items()
            if (table, column) == place
        ]
        if not self.has(met):
            row = MisfitRow(met.key, "…")
            found.append(Misfit(*self._place(met), met.problem, 1, (row,), met.advice))
        return first if sum(each.count for each in found) == 1 else MisfitsError(found, met)


@contextmanager
def telling_all_misfits(
    source: Callable[[], Source],
    specs: Sequence[TableSpec],
    target: Database | None,
    looked_at: Callable[[], Sequence[TableSpec]] | None = None,
) -> Iterator[None]:
    """Tell of all values of these tables that do not fit, where the block fails by one of them.

    They are looked for in the whole source, and against what the target has by then, which is closed; or, if only some
    rows are `looked_at` and the value is among these, in them.
    """
    try:
        yield
    except (UnrepresentableValueError, VerificationError) as error:
        found: ToolkitError = error
        # What stands in the way of looking for others is not what is told.
        with suppress(ToolkitError):
            found = _explained(error, source, [*([looked_at] if looked_at else []), lambda: specs], target)
        if found is not error:
            raise found from error
        raise


def _explained(
    met: ToolkitError,
    source: Callable[[], Source],
    choices: Sequence[Callable[[], Sequence[TableSpec]]],
    target: Database | None,
) -> ToolkitError:
    for specs in choices:
        found = all_misfits(source(), specs(), target)
        if found.has(met):
            break
    if found.groups:
        note_orphans(found, source(), specs())
    return found.error(met)


def note_orphans(found: Misfits, source: Source, specs: Sequence[TableSpec]) -> None:
    """Count the rows whose parent is none of a whole table that comes along: they would be refused next."""
    every = [(spec, source.repository(spec)) for spec in specs]
    # By the source's own names: the target's tables may be called otherwise.
    tables = [(spec, table_beneath(rows)) for spec, rows in every if isinstance(rows, SiftedRows)]
    whole = {table.spec.name for spec, table in tables if spec.where is None and spec.at_source.where is None}
    for _, table in tables:
        for key in (each for each in table.spec.foreign_keys if {table.spec.name, each.parent} <= whole):
            with suppress(ToolkitError):
                try:
                    table.require_parents(key)
                except MissingParentError as error:
                    found.add_rows(table.spec.name, error)


def all_misfits(source: Source, specs: Sequence[TableSpec], target: Database | None) -> Misfits:
    """The values that cannot be read, and those that the target would not keep; or else the target's own."""
    found = Misfits()
    with ExitStack() as stack:
        kept = stack.enter_context(connect(target)) if target is not None and exists(target) else None
        if kept is not None and target is not None:
            expect_made(kept, target, [spec for spec in specs if kept.facts(spec) is None])
        for spec in specs:
            rows, own = source.repository(spec), spec
            if isinstance(rows, RenamedRows):
                rows = rows.rows
            if isinstance(rows, SiftedRows):
                own = rows.spec
                names = zip(spec.column_names, own.column_names, strict=True)
                found.own |= {(spec.name, name): (own.name, other) for name, other in names}
            for sifted in sifted_rows(rows):
                note_unread(found, own, sifted)
                if kept is not None:
                    note_unkept(found, own, sifted.batch, kept.repository(spec))
        if found.first is None and kept is not None:
            # It may be a row of the target that was met, where it was compared.
            for spec in specs:
                for sifted in sifted_rows(kept.repository(spec)):
                    note_unread(found, spec, sifted)
    return found


def sifted_rows(rows: RowSource) -> Iterator[Sifted]:
    """All rows of a table; they are taken apart only if they cannot be read as they are."""
    if not isinstance(rows, SiftedRows) or is_whole(rows):
        for batch in rows.read(BATCH_ROWS):
            yield Sifted(batch)
        return
    yield from rows.sifted()


def is_whole(rows: SiftedRows) -> bool:
    """Whether every value of a table can be read as it is: it is read once, and what was read is let go."""
    table = table_beneath(rows)
    try:
        require_exact(table.connection, [table.spec])
        with ended(batches := rows.read(BATCH_ROWS)):
            for _ in batches:
                pass
    except UnrepresentableValueError:
        return False
    return True


def note_unread(found: Misfits, spec: TableSpec, sifted: Sifted) -> None:
    """Count the values of some rows that could not be read."""
    for row in sifted.bad:
        for value in row.values:
            found.add(spec.name, row.key, value)


def note_unkept(found: Misfits, own: TableSpec, batch: pa.RecordBatch, kept: Table) -> None:
    """Count the values of some rows that a target would not keep."""
    sent = pa.record_batch(batch.columns, schema=kept.spec.schema)
    for number, value in kept.unkeepable(sent):
        table, column = found.own.get((kept.spec.name, value.column), (own.name, value.column))
        found.add(table, batch_key(own, batch, number), replace(value, column=column))


def require_kept(plans: Iterable[TablePlan], source: Source, target: Connection, *, whole: bool = False) -> None:
    """Check that the target keeps what would be written, by the columns of types that are narrower than the model's.

    `whole`: by all columns, as far as is known without writing; this reads what is otherwise read as it is written.

    Raises:
        UnrepresentableValueError: the first value that it would change or refuse.
        SchemaMismatchError: it takes no value of a column.
    """
    for plan in plans:
        if not plan.writes:
            continue
        _require_castable(target.repository(plan.spec))
        names = plan.spec.column_names if whole else target.repository(plan.spec).narrower_columns()
        if names:
            narrow = plan.spec.project((*plan.spec.shown_key, *names))
            for batch in _to_write(plan, source.repository(narrow)):
                for row, value in target.repository(narrow).unkeepable(batch):
                    raise as_error(plan.spec.name, batch_key(narrow, batch, row), value)


def require_fitting(source: Source, specs: Sequence[TableSpec], target: Database) -> None:
    """Check that all rows can be read as they are, and kept by the tables that the models make: for a dry run.

    Raises:
        UnrepresentableValueError: the first value that cannot.
    """
    nothing = connect(target, write=True)
    expect_made(nothing, target, specs)
    for spec in specs:
        for batch in source.repository(spec).read(BATCH_ROWS):
            for row, value in nothing.repository(spec).unkeepable(batch):
                raise as_error(spec.name, batch_key(spec, batch, row), value)


def expect_made(connection: Connection, target: Database, specs: Iterable[TableSpec]) -> None:
    """Have these tables, which are yet to be made, taken for what the models make of them."""
    from toolkit.operations.migrations.statements import unconnected

    dialect = unconnected(target.kind).dialect
    for spec in specs:
        types = {each.name: type_text(each.type, dialect) for each in spec.table.columns}
        connection.expect(spec, types)


def _require_castable(table: Table) -> None:
    spec, name = table.spec, table.connection.name
    refuse_types = [
        f"{name}.{spec.name}.{column} is of type {actual}, to which no {spec.column(column).type} of the models can be "
        "cast and back"
        for column, actual in table.refused_types().items()
    ]
    if refuse_types:
        raise SchemaMismatchError(
            refuse_types,
            f"Give the column in {name} the type that the models have, or the models that of {name}; or leave the "
            f"table out: --exclude {shell(spec.name)}.",
        )


def _to_write(plan: TablePlan, rows: RowSource) -> Iterator[pa.RecordBatch]:
    if plan.changes is None:
        return rows.read(BATCH_ROWS)
    return rows_with_keys(rows, plan.changes.select(list(plan.spec.key)), BATCH_ROWS)
