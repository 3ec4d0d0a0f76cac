"""What a database holds and no model knows, so that nothing is done with it: columns with values, tables with rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from toolkit.core.plan import NOT_IN_MODELS, OTHER_RECORD, TransferWarning
from toolkit.core.tables import TableSpec, bracketed
from toolkit.errors import DatabaseUnavailableError, StatementError
from toolkit.operations.records import is_alembic_record, is_record

if TYPE_CHECKING:
    from toolkit.engines.catalogue import StoredTable
    from toolkit.engines.contract import Connection
    from toolkit.operations.project import Project


def unmodelled(
    connection: Connection,
    project: Project,
    specs: Sequence[TableSpec],
    *,
    named: bool = False,
    columns: bool = True,
) -> tuple[TransferWarning, ...]:
    """What the database holds beside what the models of these tables know.

    Other tables than these are looked at only if the user `named` none, and of these only those that no model knows.
    Without `columns`, the columns of these tables are the user's own choice.
    """
    return tuple(_Search(connection, project, specs).run(named=named, columns=columns)) if specs else ()


class _Search:
    """One look at one database."""

    def __init__(self, connection: Connection, project: Project, specs: Sequence[TableSpec]) -> None:
        self._connection = connection
        self._specs = {self._name(spec.table): spec for spec in specs}
        self._known = {self._name(table) for table in specs[0].table.metadata.tables.values()}
        self._version_table = project.version_table
        self._record = self._name(project.version_table)
        self._has_history = project.has_history

    def run(self, *, named: bool, columns: bool) -> Iterator[TransferWarning]:
        compared = self._connection.compared_name
        found = {(each.schema, compared(each.name)): each for each in self._connection.stored_tables()}
        for name, stored in found.items():
            if name in self._specs and columns:
                yield from self._columns(stored, self._specs[name])
            elif name in self._known or name == self._record:
                continue
            elif is_alembic_record(stored.columns) and self._has_history and self._record not in found:
                yield self._other_record(stored)
            elif not named and not is_record(stored.name, stored.columns):
                yield from self._table(stored)

    def _name(self, table: sa.Table) -> tuple[str | None, str]:
        default = self._connection.sqlalchemy.dialect.default_schema_name
        return None if table.schema == default else table.schema, self._connection.compared_name(table.name)

    def _other_record(self, stored: StoredTable) -> TransferWarning:
        looked_for = self._version_table.fullname
        reason = (
            f"{self._connection.name} records a revision there, and not in {looked_for}, where it is looked for: if it "
            f'is that of these migrations, set version_table = "{stored.name}".'
        )
        return TransferWarning(OTHER_RECORD, stored.shown, reason, database=self._connection.name)

    def _table(self, stored: StoredTable) -> Iterator[TransferWarning]:
        yield from self._told(stored, None, ())

    def _columns(self, stored: StoredTable, spec: TableSpec) -> Iterator[TransferWarning]:
        known = {self._connection.compared_name(column.name) for column in spec.table.columns}
        others = [name for name in stored.columns if self._connection.compared_name(name) not in known]
        computed = (self._connection.columns(spec) or {}) if others else {}
        # Of no type, as in the repositories.
        within: list[sa.ColumnElement[bool]] = [] if spec.where is None else [sa.literal_column(bracketed(spec.where))]
        for name in others:
            if not computed.get(name):
                yield from self._told(stored, name, [sa.column(name).is_not(None), *within])

    def _told(
        self, stored: StoredTable, column: str | None, conditions: Collection[sa.ColumnElement[bool]]
    ) -> Iterator[TransferWarning]:
        kind, held = ("table", "rows") if column is None else ("column", "values")
        reason = f"{self._connection.name} has {held} there, and the {kind} is not in the models."
        try:
            if not self._connection.holds(sa.table(stored.rows_in, schema=stored.schema), *conditions):
                return
        except (DatabaseUnavailableError, StatementError) as error:
            # It is nothing that was asked for: not to be able to look stops nothing.
            reason = f"The {kind} is not in the models, and whether it has {held} cannot be determined: {error.fact}"
        yield TransferWarning(NOT_IN_MODELS, stored.shown, reason, column, database=self._connection.name)
