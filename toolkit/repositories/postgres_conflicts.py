"""Which rows broke a constraint of PostgreSQL, whose own error names one value and no row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.core.tables import ForeignKeySpec, TableSpec
from toolkit.errors import MissingParentError, UniqueConflictError
from toolkit.repositories.postgres_sql import literal, qualified, quoted

if TYPE_CHECKING:
    from toolkit.repositories.postgres import PostgresConnection


def find_orphans(connection: PostgresConnection, spec: TableSpec, rows: str) -> MissingParentError | None:
    """The rows of the relation `rows` (the table, or a staging table for it) whose parent is missing."""
    for foreign_key in spec.foreign_keys:
        count, first = _missing(connection, spec, rows, foreign_key)
        if count:
            columns = ", ".join(foreign_key.columns)
            return MissingParentError(connection.name, spec.name, columns, foreign_key.parent, count, first)
    return None


def _missing(
    connection: PostgresConnection, spec: TableSpec, rows: str, foreign_key: ForeignKeySpec
) -> tuple[int, str]:
    parents = [qualified(spec.table.metadata.tables[foreign_key.parent])]
    if foreign_key.parent == spec.name and rows not in parents:
        parents.append(rows)
    pairs = list(zip(foreign_key.columns, foreign_key.parent_columns, strict=True))
    present = " AND ".join(f"c.{quoted(child)} IS NOT NULL" for child, _ in pairs)
    match = " AND ".join(f"p.{quoted(parent)} = c.{quoted(child)}" for child, parent in pairs)
    absent = " AND ".join(f"NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {match})" for parent in parents)
    key = _key_text(spec, "c")
    row = connection.run(f"SELECT count(*), min({key}) FROM {rows} AS c WHERE {present} AND {absent}").fetchone()
    assert row is not None
    return int(row[0]), str(row[1])


def find_duplicates(connection: PostgresConnection, spec: TableSpec, rows: str) -> UniqueConflictError | None:
    """Two rows with one unique value: both in the relation `rows`, or one there and one in the table."""
    table = qualified(spec.table)
    other_key = " OR ".join(f"a.{quoted(name)} IS DISTINCT FROM b.{quoted(name)}" for name in spec.key)
    other_row = "a.ctid < b.ctid"
    for columns in (*spec.unique_keys, spec.key):
        searches = [(rows, other_row)]
        if columns != spec.key and rows != table:
            searches.append((table, other_key))
        for relation, differs in searches:
            found = _pair(connection, spec, columns, rows, relation, differs)
            if found:
                value, one, other = found
                return UniqueConflictError(connection.name, spec.name, ", ".join(columns), value, (one, other))
    return None


def _pair(
    connection: PostgresConnection, spec: TableSpec, columns: tuple[str, ...], rows: str, relation: str, differs: str
) -> tuple[str, str, str] | None:
    match = " AND ".join(f"a.{quoted(name)} = b.{quoted(name)}" for name in columns)
    value = ", ".join(f"a.{quoted(name)}::text" for name in columns)
    row = connection.run(
        f"SELECT concat_ws(', ', {value}), {_key_text(spec, 'a')}, {_key_text(spec, 'b')} "
        f"FROM {rows} AS a, {relation} AS b WHERE {match} AND ({differs}) LIMIT 1"
    ).fetchone()
    return None if row is None else (str(row[0]), str(row[1]), str(row[2]))


def _key_text(spec: TableSpec, alias: str) -> str:
    parts = ", ".join(f"{literal(name + '=')} || {alias}.{quoted(name)}::text" for name in spec.key)
    return f"concat_ws(', ', {parts})"
