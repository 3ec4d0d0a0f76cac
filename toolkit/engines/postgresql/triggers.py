"""The triggers and rules of PostgreSQL's tables: what fires as rows are written, and how it is kept from that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from toolkit.core.tables import TableSpec
from toolkit.engines.catalogue import TableTriggers
from toolkit.engines.postgresql.sql import qualified, quoted

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession

# Of the tables with their partitions and the tables that inherit from them, each of which may have triggers of its own.
# A trigger of a foreign or a unique key is the server's. Of `tgtype` and `ev_type`: INSERT, DELETE, UPDATE.
# One for each row before an INSERT (bits 1, 2 and 4) may give it values; so may a rule for INSERT, which stands for it.
# What is enabled fires, but "only in replicas" (R) or "only elsewhere" (O), as `session_replication_role` has it.
_TRIGGERS = """
WITH RECURSIVE tree AS (
    SELECT name, to_regclass(name)::oid AS id FROM unnest(CAST(:tables AS text[])) AS name
    UNION SELECT name, inhrelid FROM tree JOIN pg_inherits ON inhparent = id
), firing AS (
    SELECT ARRAY['A', CASE current_setting('session_replication_role') WHEN 'replica' THEN 'R' ELSE 'O' END] AS states
)
SELECT tree.name AS table, relation.oid::regclass::text AS place, 'trigger' AS kind, tgname::text AS name,
       tgenabled::text AS state, tgtype & 7 = 7 AS gives_values,
       pg_has_role(relowner, 'USAGE') AS is_owned, pg_get_userbyid(relowner) AS owner
FROM firing, tree JOIN pg_class AS relation ON relation.oid = id JOIN pg_trigger ON tgrelid = id
LEFT JOIN pg_constraint AS c ON c.oid = tgconstraint
WHERE (tgconstraint = 0 OR contype = 't') AND tgtype & 28 <> 0 AND tgenabled = ANY(states)
UNION ALL
SELECT tree.name, relation.oid::regclass::text, 'rule', rulename::text, ev_enabled::text, ev_type = '3', true, ''
FROM firing, tree JOIN pg_class AS relation ON relation.oid = id JOIN pg_rewrite ON ev_class = id
WHERE ev_type IN ('2', '3', '4') AND ev_enabled = ANY(states)
ORDER BY 1, 2, 4
"""
_ENABLE = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}


def triggers(connection: PostgresSession, specs: Sequence[TableSpec]) -> list[TableTriggers]:
    """The triggers and rules of these tables, of their partitions, and of the tables that inherit from them."""
    names = {qualified(spec.table): spec.name for spec in specs}
    found: dict[str, list[Any]] = defaultdict(list)
    for row in _stored(connection, specs):
        found[names[row.table]].append(row)
    return [
        TableTriggers(
            table,
            _names(rows, "trigger"),
            _names(rows, "rule"),
            _hindrance(rows),
            any(row.gives_values for row in rows),
        )
        for table, rows in found.items()
    ]


@contextmanager
def held_triggers(connection: PostgresSession, specs: Sequence[TableSpec]) -> Iterator[None]:
    """Disable the triggers of these tables for the block, and enable each as it was.

    `session_replication_role` would do so without owning the tables, but for foreign keys, too: rows would be left that
    point nowhere, or that ON DELETE CASCADE deletes.
    """
    # A table that inherits from another of these is found with both.
    held = {(row.place, row.name): row for row in _stored(connection, specs) if row.kind == "trigger"}.values()
    with connection.translated():
        for row in held:
            # ONLY: each partition's own trigger is among them, which may be enabled in another way.
            connection.run(f"ALTER TABLE ONLY {row.place} DISABLE TRIGGER {quoted(row.name)}")
    # After an error nothing can be enabled, nor has to be: the transaction is rolled back.
    yield
    with connection.translated():
        for row in held:
            connection.run(f"ALTER TABLE ONLY {row.place} {_ENABLE[row.state]} TRIGGER {quoted(row.name)}")


def _stored(connection: PostgresSession, specs: Sequence[TableSpec]) -> Sequence[sa.Row[Any]]:
    tables = list(dict.fromkeys(qualified(spec.table) for spec in specs))
    with connection.translated():
        return connection.sqlalchemy.execute(sa.text(_TRIGGERS), {"tables": tables}).all()


def _names(rows: Sequence[Any], kind: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.name for row in rows if row.kind == kind))


def _hindrance(rows: Sequence[Any]) -> str | None:
    """Why the triggers cannot be disabled."""
    return next((f"only the owner of {row.place}, {row.owner}, may do that" for row in rows if not row.is_owned), None)
