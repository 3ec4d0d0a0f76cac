"""What ANALYZE has found out about a table: SQLite forgets it as the table goes, of which a rebuild makes another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TABLES = ("sqlite_stat1", "sqlite_stat4")
# A table WITHOUT ROWID is an index of its own.
_PARTS = """
SELECT name FROM pragma_index_xinfo(?, ?) WHERE key
UNION ALL SELECT name FROM (SELECT name FROM pragma_table_info(?, ?) WHERE pk ORDER BY pk) WHERE lower(?) = lower(?)
"""


class PlannerStatistics:
    """The rows of a table, as they were before the rebuild, and of what each index was."""

    def __init__(self, connection: Connection, schema: str, table: str) -> None:
        self._connection, self._table = connection, table
        self._schema = schema
        quote = connection.dialect.identifier_preparer.quote_identifier
        there = {name for (name,) in self._run(f"SELECT name FROM {quote(schema)}.sqlite_master WHERE type = 'table'")}
        self._rows = {
            f"{quote(schema)}.{name}": self._run(f"SELECT * FROM {quote(schema)}.{name} WHERE tbl = ?", table)
            for name in _TABLES
            if name in there
        }
        # The second of their columns is the index's name.
        self._parts = {row[1]: self._parts_of(row[1]) for rows in self._rows.values() for row in rows}

    def restore(self, names: Mapping[str, str]) -> None:
        """Write those rows again whose index is of the same columns, by their new names."""
        same = {
            index
            for index, parts in self._parts.items()
            if self._parts_of(index) == [name if name is None else names.get(name, name) for name in parts]
        }
        for table, rows in self._rows.items():
            for row in (each for each in rows if each[1] in same):
                self._run(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", *row)

    def _parts_of(self, index: str | None) -> list[str | None]:
        if index is None:
            return []
        given = (index, self._schema, index, self._schema, index, self._table)
        return [name for (name,) in self._run(_PARTS, *given)]

    def _run(self, statement: str, *values: Any) -> Sequence[Any]:
        result = self._connection.exec_driver_sql(statement, values or None)
        return [tuple(row) for row in result] if result.returns_rows else ()
