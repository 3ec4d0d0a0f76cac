"""Foreign keys that the server has, and does not check: somebody has disabled the triggers by which it does so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.engines.postgresql.conflicts import without_parent
from toolkit.engines.postgresql.sql import VALUE, qualified
from toolkit.errors import MissingParentError

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.postgresql.session import PostgresSession

# `ALTER TABLE … DISABLE TRIGGER ALL` does it, and it is easily forgotten. Those of partitions may be disabled alone.
_UNCHECKED = f"""
WITH RECURSIVE parts AS (
    SELECT to_regclass({VALUE})::oid AS oid UNION SELECT inhrelid FROM pg_inherits JOIN parts ON inhparent = parts.oid
)
SELECT DISTINCT c.confrelid::regclass::text,
    ARRAY(SELECT attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k (number, place)
          JOIN pg_attribute ON attrelid = c.conrelid AND attnum = number ORDER BY place),
    ARRAY(SELECT attname::text FROM unnest(c.confkey) WITH ORDINALITY AS k (number, place)
          JOIN pg_attribute ON attrelid = c.confrelid AND attnum = number ORDER BY place)
FROM pg_constraint AS c JOIN pg_trigger AS t ON t.tgconstraint = c.oid AND t.tgrelid = c.conrelid
WHERE c.contype = 'f' AND c.conrelid IN (SELECT oid FROM parts) AND t.tgenabled IN ('D', 'R')
"""


def require_unchecked_parents(connection: PostgresSession, spec: TableSpec) -> None:
    """See that every row has the parents that the server does not look for.

    Raises:
        MissingParentError: with the number of rows and the key of one.
    """
    rows = qualified(spec.table)
    for parent, columns, parent_columns in connection.run(_UNCHECKED, rows).fetchall():
        count, first = without_parent(connection, spec, rows, columns, parent_columns, [parent])
        if count:
            raise MissingParentError(connection.name, spec.name, ", ".join(columns), parent, count, first)
