"""The statements that make DuckDB's tables once more, as they are, in another file: mostly DuckDB's own."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import sqlalchemy as sa

from toolkit.engines.duckdb.schema import Place, Sequence, ask, quoted, sequences, sequences_of
from toolkit.engines.portable.literals import quoted_text as literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence as Listed

    from toolkit.engines.duckdb.session import DuckDBSession


def definitions(connection: DuckDBSession, tables: Listed[sa.Table]) -> list[str]:
    """The statements in an order that works: schemas, types, sequences, tables behind their parents, indexes."""
    (current,) = connection.raw.execute("SELECT current_schema()").fetchone() or ("main",)
    return list(_Definitions(connection, current, [(each.schema or current, each.name) for each in tables]))


class _Definitions:
    """What is told of these tables; all named types are, for which table rests on which is forgotten with the file.

    A foreign key from a table to itself is left out, as its note says.
    """

    def __init__(self, connection: DuckDBSession, current: str, places: Listed[Place]) -> None:
        self._connection, self._current = connection, current
        rows = {(row.schema, row.name): row for row in ask(connection, _TABLES)}
        self._tables = {place: rows[place] for place in places}
        self._columns = [row for row in ask(connection, _COLUMNS) if (row.schema, row.table) in self._tables]
        keys = [row for row in ask(connection, _FOREIGN_KEYS) if (row.schema, row.table) in self._tables]
        self._kept = [row for row in keys if row.parent != row.table and (row.schema, row.parent) in self._tables]
        self._lost = [row for row in keys if row not in self._kept]
        self._indexes = [row for row in ask(connection, _INDEXES) if (row.schema, row.table) in self._tables]
        self._types = ask(connection, _TYPES)
        known = sequences(connection)
        used = (each for row in self._columns for each in sequences_of(row.default, current, known))
        self._sequences = list(dict.fromkeys(used))

    def __iter__(self) -> Iterator[str]:
        for schema in dict.fromkeys(self._schemas()):
            if schema != self._current:
                yield f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}"
        for row in self._types:
            name = self._name((row.schema, row.name))
            (shown,) = self._connection.raw.execute(f"SELECT typeof(NULL::{name})").fetchone() or ("",)
            yield f"CREATE TYPE {name} AS {shown}"
            yield from _comment("TYPE", name, row.comment)
        for sequence in self._sequences:
            yield from self._sequence(sequence)
        for place in self._ordered():
            yield self._table(place)
        for row in self._indexes:
            yield row.sql
            yield from _comment("INDEX", self._name((row.schema, row.name)), row.comment)
        yield from self._comments()

    def _schemas(self) -> Iterable[str]:
        yield from (schema for schema, _ in self._tables)
        yield from (row.schema for row in self._types)
        yield from (each.place[0] for each in self._sequences)

    def _ordered(self) -> Iterable[Place]:
        """Parents first: of foreign keys DuckDB makes none later, so that there is no cycle."""
        graph: dict[Place, set[Place]] = {place: set() for place in self._tables}
        for row in self._kept:
            graph[row.schema, row.table].add((row.schema, row.parent))
        return TopologicalSorter(graph).static_order()

    def _table(self, place: Place) -> str:
        sql: str = self._tables[place].sql
        for row in self._lost:
            if (row.schema, row.table) == place:
                sql = sql.replace(f", {row.text}", "", 1)
        return sql

    def _sequence(self, sequence: Sequence) -> Iterator[str]:
        """A sequence that goes on from the number that is next here, as DuckDB's own text of it does."""
        name = self._name(sequence.place)
        cycle = "CYCLE" if sequence.cycles else "NO CYCLE"
        last = sequence.maximum if sequence.increment > 0 else sequence.minimum
        start = last if sequence.following is None else sequence.following
        yield (
            f"CREATE SEQUENCE {name} INCREMENT BY {sequence.increment} MINVALUE {sequence.minimum} "
            f"MAXVALUE {sequence.maximum} START {start} {cycle}"
        )
        if sequence.following is None:
            yield f"SELECT nextval({literal(name)})"
        yield from _comment("SEQUENCE", name, sequence.comment)

    def _comments(self) -> Iterator[str]:
        for place, row in self._tables.items():
            yield from _comment("TABLE", self._name(place), row.comment)
        for row in self._columns:
            name = f"{self._name((row.schema, row.table))}.{quoted(row.name)}"
            yield from _comment("COLUMN", name, row.comment)

    def _name(self, place: Place) -> str:
        schema, name = place
        return quoted(name) if schema == self._current else f"{quoted(schema)}.{quoted(name)}"


def _comment(kind: str, name: str, text: str | None) -> Iterator[str]:
    if text is not None:
        shown = text.replace("'", "''")
        yield f"COMMENT ON {kind} {name} IS '{shown}'"


_HERE = "database_name = current_database()"
_TABLES = f"SELECT schema_name AS schema, table_name AS name, comment, sql FROM duckdb_tables() WHERE {_HERE}"
_COLUMNS = f"""
SELECT schema_name AS schema, table_name AS "table", column_name AS name, column_default AS "default", comment
FROM duckdb_columns() WHERE {_HERE} ORDER BY schema_name, table_name, column_index
"""
_FOREIGN_KEYS = f"""
SELECT schema_name AS schema, table_name AS "table", referenced_table AS parent, constraint_text AS text
FROM duckdb_constraints() WHERE {_HERE} AND constraint_type = 'FOREIGN KEY'
"""
_INDEXES = f"""
SELECT schema_name AS schema, table_name AS "table", index_name AS name, sql, comment FROM duckdb_indexes()
WHERE {_HERE} ORDER BY schema_name, index_name
"""
_TYPES = f"""
SELECT schema_name AS schema, type_name AS name, comment FROM duckdb_types() WHERE {_HERE} AND NOT internal
ORDER BY type_oid
"""
