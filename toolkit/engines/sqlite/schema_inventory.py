"""What a file of SQLite has, thing by thing, to see that making one of its tables anew loses nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.engines.portable.batch_changes import BatchChanges
from toolkit.engines.portable.kept_schema import Thing
from toolkit.engines.sqlite.constraints import stands_for
from toolkit.engines.sqlite.definition import TableDefinition, names_in_index, normalised

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from alembic.operations.batch import ApplyBatchImpl
    from sqlalchemy import Column, Connection, Table

    from toolkit.engines.sqlite.definition import Clause, ColumnDefinition

WITH_COLUMN = frozenset({"CHECK", "UNIQUE", "FOREIGN", "PRIMARY"})
"""Constraints that go with any column that they name, as on PostgreSQL; what computes another column does not."""
_CHANGED = {"NOT": "nullable", "NULL": "nullable", "DEFAULT": "default"}


def things(connection: Connection, schema: str, table: str, names: Mapping[str, str]) -> dict[Thing, str]:
    """All that the schema has, and how many rows the table; it in parts, its columns by the names that they get.

    What names them may be of another table: to be compared, `names` are given before and after.
    """
    quote = connection.dialect.identifier_preparer.quote_identifier
    master = f"{quote(schema)}.sqlite_master"
    found: dict[Thing, str] = {}
    for kind, name, of, sql in connection.exec_driver_sql(f"SELECT type, name, tbl_name, sql FROM {master}").all():
        if kind == "table" and name.lower() == table.lower():
            found.update(_parts(table, TableDefinition.parsed(sql), names))
        elif sql is not None:
            found[Thing(kind, of, name)] = sql
    if Thing("table", "sqlite_sequence", "sqlite_sequence") in found:
        for of, number in connection.exec_driver_sql(f"SELECT name, seq FROM {quote(schema)}.sqlite_sequence").all():
            found[Thing("last number", of)] = str(number)
    rows = connection.exec_driver_sql(f"SELECT count(*) FROM {quote(schema)}.{quote(table)}").scalar()
    found[Thing("number of rows", table)] = str(rows)
    return found


def _parts(table: str, definition: TableDefinition, names: Mapping[str, str]) -> Iterator[tuple[Thing, str]]:
    for column in definition.columns.values():
        yield Thing("column", table, names.get(column.name, column.name)), normalised(column.type)
    for _, clause, of in definition.clauses():
        yield _of_clause(table, clause, of, names), ""
    if definition.options:
        yield Thing("option", table, normalised(definition.options)), ""


def _of_clause(table: str, clause: Clause, of: ColumnDefinition | None, names: Mapping[str, str]) -> Thing:
    column = "" if of is None else names.get(of.name, of.name)
    return Thing("clause", table, normalised(str(clause), names), column)


class Meant(BatchChanges):
    """The things of a table that the operations of a batch change."""

    def __init__(
        self,
        batch: ApplyBatchImpl,
        old: Table,
        definition: TableDefinition,
        dropped_indexes: Collection[str],
        dropped_constraints: Collection[str],
        changes_type: Callable[[Column[Any], Column[Any]], bool],
    ) -> None:
        super().__init__(batch, old, changes_type)
        assert batch.new_table is not None
        self._indexes = {*self.dropped_indexes, *dropped_indexes, *map(str, batch.new_indexes)}
        counts = batch.new_table.dialect_options["sqlite"]["autoincrement"] and not definition.is_autoincrement
        self.changes_key |= bool(counts)
        self._dropped = {each.lower() for each in dropped_constraints}
        self._things = {*self._of_columns(definition), *self._of_clauses(definition)}

    def __call__(self, thing: Thing, text: str) -> bool:
        """Whether the batch changes it, or takes it away."""
        if thing.table.lower() != self.table.lower():
            return False
        if thing.kind == "index":
            # Indexes go with their columns, as everywhere.
            return thing.name in self._indexes or bool(names_in_index(text) & self.gone)
        return thing in self._things or (thing.kind == "last number" and self.changes_key)

    def is_same(self, before: str, after: str) -> bool:
        """Whether two texts say the same, but for the names that columns have now."""
        return before == after or normalised(before, self.names) == normalised(after, self.names)

    def _of_columns(self, definition: TableDefinition) -> Iterator[Thing]:
        for name in definition.columns:
            if name in self.gone or "type" in self.of_column(name):
                yield Thing("column", self.table, self.new_name(name))

    def _of_clauses(self, definition: TableDefinition) -> Iterator[Thing]:
        for _, clause, of in definition.clauses():
            if (
                (of is not None and (of.name in self.gone or _CHANGED.get(clause.kind) in self.of_column(of.name)))
                or (clause.kind in WITH_COLUMN and clause.identifiers & self.gone)
                or (clause.kind == "PRIMARY" and self.changes_key)
                or (clause.name is not None and clause.name.lower() in self._dropped)
                or any(stands_for(clause, of, each) for each in self.removed)
            ):
                yield _of_clause(self.table, clause, of, self.names)
