"""`--set TABLE.COLUMN=VALUE`: what rows get in columns that only the target has, and those that need it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from shlex import quote as shell
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa
from msgspec import Struct

from toolkit.core.plan import Action, Fill
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import logical_type
from toolkit.core.values import parse_text, shortened
from toolkit.engines.portable.unknown_types import types_unknown
from toolkit.errors import ConfigurationError, SchemaMismatchError, UnknownNameError
from toolkit.operations.transfer.unenforced import UnenforcedTable, is_unenforced

if TYPE_CHECKING:
    from toolkit.core.plan import TablePlan
    from toolkit.engines.contract import Connection, Table

# By table and column, a value as text.
SetValues = Mapping[str, Mapping[str, str]]


def values_to_set(specs: Sequence[TableSpec], given: Mapping[str, str]) -> SetValues:
    """What was asked for, by table: `given` has values by `TABLE.COLUMN`.

    Raises:
        UnknownNameError: there is no such table.
        ConfigurationError: the column is the models' own, whose values are the source's or made by the database.
    """
    tables, found = {spec.name: spec for spec in specs}, defaultdict[str, dict[str, str]](dict)
    for place, value in given.items():
        table, _, column = place.rpartition(".")
        if table not in tables:
            raise UnknownNameError("table", table, tables)
        if column in tables[table].table.columns:
            raise ConfigurationError(
                f"{place} is a column of the models, whose values are not to be set.",
                "Name one that only the target has: --set TABLE.COLUMN=VALUE.",
            )
        found[table][column] = value
    return found


def with_values(plans: Sequence[TablePlan], values: SetValues, target: Connection) -> list[TablePlan]:
    """The plans with what is set in addition; any column is refused that does not take it.

    Raises:
        UnknownNameError: the target has no such column.
        ConfigurationError: a value that is none of its column's type, or for a column that the target computes.
    """
    tables: dict[str, sa.Table] = {}
    if any(plan.spec.name in values for plan in plans):
        # Tables of other columns are tables of other metadata; foreign keys lead to what belongs to the same.
        copy = sa.MetaData()
        tables = {table.fullname: table.to_metadata(copy) for table in plans[0].spec.table.metadata.tables.values()}
    return [
        replace(plan, fill=_fill(plan.spec, tables[plan.spec.name], values[plan.spec.name], target))
        if plan.spec.name in values
        else plan
        for plan in plans
    ]


def _fill(spec: TableSpec, table: sa.Table, values: Mapping[str, str], target: Connection) -> Fill:
    with target.translated(), types_unknown():
        reflected: list[Any] = [*sa.inspect(target.sqlalchemy).get_columns(spec.table.name, spec.table.schema)]
    types = {column["name"]: column["type"] for column in reflected}
    known = target.columns(spec) or {}
    columns = []
    for name in values:
        if name not in types:
            raise UnknownNameError("column", name, types, f"{target.name}.{spec.name}")
        if known.get(name):
            raise ConfigurationError(
                f"{target.name}.{spec.name} computes {name} itself.",
                f"Leave out --set {shell(spec.name)}.{shell(name)}.",
            )
        columns.append(_column(name, types[name]))
        table.append_column(sa.Column(name, columns[-1].declared))
    wide = replace(spec, columns=(*spec.columns, *columns), table=table, insert_only=frozenset(values), conditions=())
    return Fill(wide, {column.name: _value(column, spec, values[column.name], target) for column in columns})


def _column(name: str, type_: Any) -> ColumnSpec:
    """A column as the target has it; of a type of the engine's own, values travel as text."""
    return ColumnSpec(name, logical_type(type_), nullable=True, declared=type_)


def _value(column: ColumnSpec, spec: TableSpec, text: str, target: Connection) -> pa.Array:
    try:
        return pa.array([parse_text(column.type, text)], column.type.arrow)
    except (ValueError, OverflowError, TypeError, pa.ArrowException) as error:
        reason = str(error) if type(error) is ValueError else "does not fit into its column"
        raise ConfigurationError(
            f"--set {spec.name}.{column.name}: {shortened(text)!r} {reason}, which is of the type {column.declared} in "
            f"{target.name}.",
            "Write the value as a CSV file would have it.",
        ) from error


def require_values(plans: Iterable[TablePlan], target: Connection, *, triggers_fire: bool) -> None:
    """Check that no column that only the target has is left without the value that it needs.

    A trigger that fires may give it one: then the target decides. Rows that are updated need one, too, for an engine
    looks at the row to be inserted first.

    Raises:
        SchemaMismatchError: all of them, in one error.
    """
    lacking = [
        (plan.spec.name, name)
        for plan in plans
        if plan.action is not Action.NOTHING
        for name in _required(plan, target)
        if not (triggers_fire and any(each.give_values for each in target.triggers([plan.spec])))
    ]
    if lacking:
        options = [f"--set {shell(f'{table}.{name}')}=VALUE" for table, name in lacking]
        raise SchemaMismatchError(
            [
                f"{target.name}.{table}.{name} is NOT NULL and has no default, and only {target.name} has it"
                for table, name in lacking
            ],
            f"Say what rows that are inserted get there: {' '.join(options)}",
        )


def _required(plan: TablePlan, target: Connection) -> Iterator[str]:
    facts = target.facts(plan.spec)
    known = plan.spec.column_names if plan.fill is None else plan.fill.spec.column_names
    names = {target.compared_name(name) for name in known}
    for name, column in () if facts is None else facts.columns.items():
        if column.is_required and target.compared_name(name) not in names:
            yield name


class FilledTable(Struct, frozen=True):
    """A table of the target, whose rows get some more values as they are written."""

    table: Table | UnenforcedTable
    fill: Fill

    def load(self, batches: Iterable[pa.RecordBatch], rows: int) -> int:
        """Fill the table, as `Table.load` does."""
        return self.table.load(map(self.fill.filled, batches), rows)

    def why_refused(self, batches: Iterable[pa.RecordBatch], error: Any) -> Any:
        """Why these rows could not fill the empty table."""
        return self.table.why_refused(map(self.fill.filled, batches), error)

    def upsert_many(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Insert or update rows, as `Table.upsert_many` does."""
        return self.table.upsert_many(map(self.fill.filled, batches))


def writer(plan: TablePlan, target: Connection) -> Table | UnenforcedTable | FilledTable:
    """Where the rows of a plan are written to."""
    table = target.repository(plan.spec if plan.fill is None else plan.fill.spec)
    writing = UnenforcedTable(table) if is_unenforced(plan.spec, target) else table
    return writing if plan.fill is None else FilledTable(writing, plan.fill)
