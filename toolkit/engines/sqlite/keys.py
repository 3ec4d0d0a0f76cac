"""Keys that SQLite takes for one though they differ: those of columns with a collation such as NOCASE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from toolkit.core.tables import TableSpec

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

_BINARY = "BINARY"
_COLLATIONS = """
SELECT i.name AS key, x.name AS name, upper(x.coll) AS collation
FROM pragma_index_list(:table) AS i, pragma_index_xinfo(i.name) AS x
WHERE i."unique" AND NOT i.partial AND x.key ORDER BY i.name, x.seqno
"""


def folding_collations(connection: SqliteSnapshot, spec: TableSpec, columns: Sequence[str]) -> dict[str, str]:
    """Of these columns, which are unique together, those that are compared by another collation than bytes, with it."""
    with connection.translated():
        rows = connection.sqlalchemy.execute(sa.text(_COLLATIONS), {"table": spec.table.name}).all()
    keys: dict[str, dict[str, str]] = {}
    for row in rows:
        keys.setdefault(row.key, {})[row.name] = row.collation
    found = next((key for key in keys.values() if key.keys() == set(columns)), {})
    return {name: collation for name, collation in found.items() if collation != _BINARY}


def find_collation_duplicates(
    connection: SqliteSnapshot,
    spec: TableSpec,
    columns: Sequence[str],
    names: Sequence[str],
    collations: dict[str, str],
    rows: Iterable[pa.RecordBatch],
) -> tuple[Sequence[Any], Sequence[Any]] | None:
    """Two of these rows, or one and one of the table, whose values differ but are one to the collations; as stored.

    The values are those in `columns`; a row has them and others, all of them `names`. The rows wait in a temporary
    table, which SQLite moves to a file when it grows.
    """
    with _staged(connection, spec.project(names), rows) as staged:
        parts = [(_quoted(name), f"COLLATE {_quoted(collations.get(name, _BINARY))}") for name in columns]
        grouped = ", ".join(f"{name} {by}" for name, by in parts)
        found = _rows(connection, f"SELECT {grouped} FROM {staged} GROUP BY {grouped} HAVING count(*) > 1 LIMIT 1")
        if found:
            same = " AND ".join(f"{name} = ? {by}" for name, by in parts)
            one, other = _rows(connection, f"SELECT * FROM {staged} WHERE {same} ORDER BY rowid LIMIT 2", *found[0])
            return one, other
        same = " AND ".join(f"t.{name} = k.{name} {by}" for name, by in parts)
        differ = " OR ".join(f"t.{name} <> k.{name} COLLATE {_BINARY}" for name, _ in parts)
        theirs = ", ".join(f"t.{_quoted(name)}" for name in names)
        table = sqlite.dialect().identifier_preparer.format_table(spec.table)
        found = _rows(
            connection, f"SELECT k.*, {theirs} FROM {staged} AS k JOIN {table} AS t ON {same} WHERE {differ} LIMIT 1"
        )
    return (found[0][: len(names)], found[0][len(names) :]) if found else None


@contextmanager
def _staged(connection: SqliteSnapshot, spec: TableSpec, rows: Iterable[pa.RecordBatch]) -> Iterator[str]:
    table = "temp.toolkit_keys"
    run = connection.sqlalchemy.exec_driver_sql
    columns = [_quoted(name) for name in spec.column_names]
    with connection.translated():
        run(f"CREATE TABLE {table} ({', '.join(columns)})")
        try:
            for batch in rows:
                values = list(zip(*connection.codec.encode(spec, batch, connection.name), strict=True))
                if values:
                    run(f"INSERT INTO {table} VALUES ({', '.join('?' for _ in columns)})", values)
            yield table
        finally:
            run(f"DROP TABLE {table}")


def _rows(connection: SqliteSnapshot, query: str, *values: Any) -> Sequence[sa.Row[Any]]:
    return connection.sqlalchemy.exec_driver_sql(query, values).all()


def _quoted(name: str) -> str:
    return sqlite.dialect().identifier_preparer.quote_identifier(name)
