"""The statements of a SQLite file that make some of its tables once more, just as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from toolkit.core.numbering import last_of_64_bits

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

# What SQLite makes by itself, for constraints, has no text. In the order in which the file has them.
_STATEMENTS = """
SELECT s.sql FROM json_each(:tables) AS given JOIN sqlite_schema AS s ON s.tbl_name = given.value
WHERE s.type IN ('table', 'index') AND s.sql IS NOT NULL ORDER BY s.type = 'index', s.rowid
"""
_HAS_COUNTERS = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'"
_COUNTERS = """
SELECT s.name, s.seq FROM json_each(:tables) AS given JOIN sqlite_sequence AS s ON s.name = given.value ORDER BY 1
"""

# A row of a table without AUTOINCREMENT is none of anybody's.
_NUMBERED = r"""
SELECT 1 FROM sqlite_schema WHERE name = :table AND type = 'table' AND sql LIKE '%AUTOINCREMENT%'
AND EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence')
"""
_ADVANCE = (
    "UPDATE sqlite_sequence SET seq = :last WHERE name = :table AND seq < :last",
    """
    INSERT INTO sqlite_sequence (name, seq) SELECT :table, :last
    WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = :table)
    """,
)


def definitions(connection: SqliteSnapshot, tables: Sequence[sa.Table]) -> Sequence[str]:
    """The tables, their indexes, and the last number that each table with AUTOINCREMENT has given."""
    names = {"tables": json.dumps([table.name for table in tables])}
    with connection.translated():
        found = connection.sqlalchemy.execute(sa.text(_STATEMENTS), names).scalars().all()
    counters = last_numbers(connection, [table.name for table in tables]).items()
    return [*found, *(statement for name, number in counters for statement in _counter(name, number))]


def last_numbers(connection: SqliteSnapshot, tables: Sequence[str]) -> Mapping[str, int | None]:
    """By those of these tables that have AUTOINCREMENT and have given any, the last number that they gave."""
    with connection.translated():
        if not connection.sqlalchemy.exec_driver_sql(_HAS_COUNTERS).all():
            return {}
        rows = connection.sqlalchemy.execute(sa.text(_COUNTERS), {"tables": json.dumps(tables)}).all()
    return {row.name: row.seq for row in rows}


def advance(connection: SqliteSnapshot, table: str, number: int) -> None:
    """Let a table with AUTOINCREMENT give no number below this one."""
    bound = {"table": table, "last": last_of_64_bits(number - 1)}
    with connection.translated():
        if connection.sqlalchemy.execute(sa.text(_NUMBERED), bound).all():
            for statement in _ADVANCE:
                connection.sqlalchemy.execute(sa.text(statement), bound)


def _counter(table: str, number: int | None) -> Iterator[str]:
    name = "'" + table.replace("'", "''") + "'"
    yield f"DELETE FROM sqlite_sequence WHERE name = {name}"
    yield f"INSERT INTO sqlite_sequence (name, seq) VALUES ({name}, {'NULL' if number is None else int(number)})"
