"""Transactions that run beside a snapshot of PostgreSQL: what they commit later may seem older than what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from toolkit.engines.catalogue import RunningTransaction

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession

# A transaction has a virtual number from its beginning and another from its first write; that one is what a snapshot
# says was running (but the last ones, from its `xmax` on), and what is left when it is prepared. Of another role's
# session, only a monitoring role sees since when (and what kind) it is. Snapshots count those of other databases, too.
_RUNNING = """
WITH snapshot AS (SELECT txid_current_snapshot() AS taken), listed AS (
    SELECT id, id % 4294967296 AS number FROM snapshot, txid_snapshot_xip(taken) AS id
), prepared AS (
    SELECT database = current_database() AS is_here, transaction::text::bigint AS number FROM pg_prepared_xacts
), session AS (
    SELECT 'v' || own.virtualtransaction AS virtual, clock_timestamp() - xact_start AS age,
           datname = current_database() AS is_here, (
        SELECT transactionid::text::bigint FROM pg_locks AS written
        WHERE written.pid = own.pid AND locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted
        ORDER BY age(transactionid) DESC LIMIT 1
    ) AS number
    FROM pg_locks AS own JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'virtualxid' AND mode = 'ExclusiveLock' AND granted AND pid <> pg_backend_pid()
    AND coalesce(backend_type, 'client backend') = 'client backend'
)
SELECT array_remove(ARRAY['x' || id, virtual], NULL) AS ids, age, true AS writes, virtual IS NOT NULL AS has_session
FROM listed LEFT JOIN session USING (number) LEFT JOIN prepared USING (number)
WHERE coalesce(session.is_here, prepared.is_here, true)
UNION ALL
SELECT ARRAY['x' || (txid_snapshot_xmax(taken) / 4294967296 * 4294967296 + number)], NULL, true, false
FROM snapshot, prepared WHERE is_here AND number NOT IN (SELECT listed.number FROM listed)
UNION ALL
SELECT ARRAY[virtual], age, number IS NOT NULL, true FROM session
WHERE is_here AND NOT EXISTS (SELECT 1 FROM listed WHERE listed.number = session.number)
"""


def running_transactions(connection: PostgresSession) -> list[RunningTransaction]:
    """The transactions of others in this database that this snapshot does not show."""
    with connection.translated():
        rows = connection.sqlalchemy.execute(sa.text(_RUNNING)).all()
    return [RunningTransaction(frozenset(row.ids), row.age, row.writes, row.has_session) for row in rows]
