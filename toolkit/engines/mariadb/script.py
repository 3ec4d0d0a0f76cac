"""SQL scripts for `mariadb`, MariaDB's own client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from toolkit.core.tables import ColumnSpec, ForeignKeySpec, TableSpec
from toolkit.engines.contract import TableScript
from toolkit.engines.mariadb.dialect import CHARSET, COLLATION
from toolkit.engines.mariadb.modes import MODES, STANDARD, set_mode
from toolkit.engines.mariadb.stored_keys import orphans, unmodelled
from toolkit.engines.mariadb.zero_dates import TAKING, has_texts_of_dates
from toolkit.engines.portable.script import Script, qualified, quoted

_CHECKS = "toolkit_checks"
_CHANGED, _MISSING = "the target has changed since", "a row points at one that is not there"
# What the literals and statements rest on, whatever the server or the client has set.
_SETTINGS = (
    f"SET NAMES {CHARSET} COLLATE {COLLATION}",
    set_mode(*MODES, *STANDARD),
    "SET SESSION time_zone = '+00:00', sql_safe_updates = 0, unique_checks = 1, check_constraint_checks = 1",
    "SET SESSION foreign_key_checks = 0",
)


class MariaDBScript(Script):
    """Foreign keys are not acted on row by row, but checked at the end, as in a sync.

    The client ends with the first error, and the server takes back what was not committed. What is checked are rows
    that a table refuses: nothing else is an error of a plain statement's own choice.
    """

    engine = "MariaDB"
    usage = "mariadb DATABASE < FILE"

    def begin(self, tables: Sequence[TableScript]) -> Iterator[str]:
        """Check that the tables have as many rows as they had."""
        yield from _SETTINGS
        if any(has_texts_of_dates(table.spec) for table in tables):
            yield set_mode(*TAKING, *STANDARD)
        yield (
            f"CREATE TEMPORARY TABLE {_CHECKS} (same INTEGER, parents INTEGER, "
            f"CONSTRAINT {quoted(_CHANGED)} CHECK (same), CONSTRAINT {quoted(_MISSING)} CHECK (parents))"
        )
        yield "START TRANSACTION"
        for table in tables:
            if table.total is not None and table.writes + table.deletes:
                yield _counted(table.spec, table.total)

    def end(self, tables: Sequence[TableScript], changes: int) -> Iterator[str]:
        """Check the numbers of rows, and that every row has its parents."""
        for table in tables:
            if table.total is not None and table.writes + table.deletes:
                yield _counted(table.spec, table.total + table.inserts - table.deletes)
        for spec in self._checked(tables):
            for key in spec.foreign_keys:
                parent = replace(spec, name=key.parent, table=spec.table.metadata.tables[key.parent])
                if self._connection.column_names(parent) is not None:
                    yield _no_row_of(_orphans(spec, key))
        written = [table.spec for table in tables if table.writes or table.deletes]
        for stored in unmodelled(self._connection, written):
            yield _no_row_of(f"SELECT 1 FROM {orphans(stored, quoted)} LIMIT 1")
        yield f"DROP TEMPORARY TABLE {_CHECKS}"
        yield "COMMIT"

    def kept(self, spec: TableSpec) -> Sequence[str]:
        """What the server gives the present moment with each update that does not name it."""
        names: Sequence[str] = self._connection.moved_columns(spec)
        return names

    def _column(self, spec: TableSpec, column: ColumnSpec, values: pa.Array) -> list[str]:
        stored = self._connection.repository(spec).spec.column(column.name)
        return super()._column(spec, stored, values)


def _no_row_of(query: str) -> str:
    return f"INSERT INTO {_CHECKS} (parents) SELECT 0 FROM ({query}) AS orphans"


def _counted(spec: TableSpec, rows: int) -> str:
    return f"INSERT INTO {_CHECKS} (same) SELECT count(*) = {rows} FROM {qualified(spec.table)}"


def _orphans(spec: TableSpec, key: ForeignKeySpec) -> str:
    parent = qualified(spec.table.metadata.tables[key.parent])
    pairs = [(quoted(own), quoted(theirs)) for own, theirs in zip(key.columns, key.parent_columns, strict=True)]
    match = " AND ".join(f"p.{theirs} = c.{own}" for own, theirs in pairs)
    given = " AND ".join(f"c.{own} IS NOT NULL" for own, _ in pairs)
    return (
        f"SELECT 1 FROM {qualified(spec.table)} AS c LEFT JOIN {parent} AS p ON {match} "
        f"WHERE p.{pairs[0][1]} IS NULL AND {given} LIMIT 1"
    )
