"""What only inheriting tables have: their rows are read as those of the table that they inherit from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from toolkit.core.schema import LeftBehind
from toolkit.engines.postgresql.schema.queries import rows

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession

_COLUMNS = """
WITH RECURSIVE child AS (
    SELECT inhrelid AS id, inhparent AS parent FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid
    WHERE inhparent = ANY (CAST(:tables AS oid[])) AND NOT relispartition
    UNION
    SELECT inhrelid, parent FROM pg_inherits JOIN child ON inhparent = child.id
)
SELECT c.oid::regclass::text AS quoted,
       CASE WHEN nspname = ANY (current_schemas(false)) THEN '' ELSE nspname || '.' END || relname AS name,
       attname::text AS column, quote_ident(attname) AS quoted_column, min(parent::bigint) AS parent,
       has_table_privilege(c.oid, 'SELECT') AS is_readable
FROM child JOIN pg_class AS c ON c.oid = child.id JOIN pg_namespace AS n ON n.oid = relnamespace
JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attinhcount = 0 AND attgenerated = ''
GROUP BY c.oid, nspname, relname, attname, attnum ORDER BY name, attnum
"""


def left_behind(connection: PostgresSession, tables: Mapping[int, str]) -> Iterator[LeftBehind]:
    """The columns with values that are not read with the rows of these tables, by their numbers (oid)."""
    for row in rows(connection, _COLUMNS, list(tables)):
        question = f"SELECT EXISTS (SELECT FROM {row.quoted} WHERE {row.quoted_column} IS NOT NULL)"
        # What cannot be looked at may hold some.
        if not row.is_readable or any(found for (found,) in connection.run(question)):
            yield LeftBehind(row.name, row.column, tables[row.parent])
