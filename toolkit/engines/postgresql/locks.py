"""PostgreSQL's locks: who holds one that was waited for in vain, and how many a transaction over many tables needs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import sqlalchemy as sa
from msgspec import Struct
from psycopg import errors as pg

from toolkit.core.tables import TableSpec
from toolkit.engines.postgresql.adapters import CODEC
from toolkit.engines.postgresql.urls import for_libpq
from toolkit.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from toolkit.engines.contract import Configured

WRITE_LOCK = int.from_bytes(b"toolkit", "big")
"""Whoever writes with the toolkit holds this advisory lock of the database ("toolkit" in ASCII)."""
# Of a staging table: it and two types, all of them until the transaction ends; and a TOAST table with an index, unless
# all its columns are of fixed length.
_STAGE, _TOAST = 3, 2
# Beside the locks of applications: "lock" in ASCII.
_TRIED = int.from_bytes(b"lock", "big")
# Such values are told as multiples of this.
_STEP = 32
_SECONDS = 5


class LockRoom(Struct, frozen=True):
    """The locks that a server has room for: so many for each session that it may have. Others have `taken` some."""

    per_transaction: int
    sessions: int
    taken: int = 0

    def promises(self, needed: int) -> bool:
        """Whether there is room for so many for certain; mostly there is for half as many more."""
        return needed + self.taken <= self.per_transaction * self.sessions

    def setting_for(self, needed: int) -> int:
        """The max_locks_per_transaction with which there is room for so many, and for more than now."""
        setting = ceil((needed + self.taken) / self.sessions)
        return _STEP * ceil(max(setting, self.per_transaction + 1) / _STEP)


def require_room(
    database: str, connection: psycopg.Connection[Any], room: LockRoom, tables: int, needed: int, held: int = 0
) -> None:
    """Check that there is room for the locks that so many tables need, of which the transaction has `held`.

    Raises:
        DatabaseUnavailableError: with the setting that is needed.
    """
    if not room.promises(needed) and not _finds_room(connection, needed - held):
        raise _no_room(database, room, tables, needed)


def _finds_room(connection: psycopg.Connection[Any], locks: int) -> bool:
    """Whether a server has room for so many locks beyond what it promises: as many others are taken and given back."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(
                "SELECT count(pg_try_advisory_xact_lock_shared(%s, number)) FROM generate_series(1, %s::int) AS number",
                (_TRIED, locks),
            )
    except pg.OutOfMemory:
        return False
    return True


def _no_room(database: str, room: LockRoom, tables: int, needed: int) -> DatabaseUnavailableError:
    others = f", others hold {room.taken:,}" if room.taken else ""
    fact = (
        f"{tables:,} tables and what belongs to them need {needed:,} locks in one transaction, more than the server "
        "has room for"
        if tables
        else "the server has no room for more locks"
    )
    return DatabaseUnavailableError(
        database,
        f"{fact} (max_locks_per_transaction is {room.per_transaction}{others})",
        f"Set max_locks_per_transaction = {room.setting_for(needed)} in postgresql.conf and restart the server, or "
        "name some of the tables at a time.",
    )


def stage_locks(spec: TableSpec) -> int:
    """How many locks a staging table of these rows takes."""
    return _STAGE + _TOAST * (not all(CODEC.adapter(column).is_short for column in spec.columns))


def lock_room(
    connection: psycopg.Connection[Any], tables: Sequence[str] = (), *, to_write: bool = True
) -> tuple[LockRoom, int]:
    """What the server has, and how many locks it takes to work on these tables.

    Theirs, those of their partitions and indexes, and, `to_write`, of their sequences. None of them counts as taken,
    whoever holds it: a lock has one place for all its holders.
    """
    row = connection.execute(_ROOM, {"tables": list(tables), "to_write": to_write}).fetchone()
    assert row is not None
    *room, needed = row
    return LockRoom(*room), needed


def locks_to_make(metadata: sa.MetaData) -> int:
    """How many locks it takes at least to make these tables: theirs, and those of what is made with them."""
    return sum(map(_locks_of, metadata.tables.values()))


def _locks_of(table: sa.Table) -> int:
    keys = sum(
        isinstance(each, sa.PrimaryKeyConstraint | sa.UniqueConstraint) and bool(each.columns)
        for each in table.constraints
    )
    has_texts = any(isinstance(column.type, sa.String | sa.LargeBinary | sa.JSON) for column in table.columns)
    return 1 + keys + len(table.indexes) + _TOAST * has_texts + (table.autoincrement_column is not None)


def require_room_to_make(name: str, connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Check that all tables of the models can be made in one transaction.

    Raises:
        DatabaseUnavailableError: with the setting that is needed.
    """
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    require_room(name, raw, lock_room(raw)[0], len(metadata.tables), locks_to_make(metadata))


class Holder(NamedTuple):
    """A session that holds a lock; of another role's, a server may say neither its state nor since when."""

    table: str | None
    process: int
    user: str | None
    application: str | None
    state: str | None
    seconds: float | None
    is_toolkit: bool

    @property
    def shown(self) -> str:
        """In words."""
        since = None if self.seconds is None else f"for {self.seconds:,.0f} s"
        state = " ".join(filter(None, (self.state, since)))
        parts = (f"process {self.process}", self.user and f"user {self.user}", self.application, state)
        return f"{'another toolkit' if self.is_toolkit else 'another session'} ({', '.join(filter(None, parts))})"


def locked_error(database: Configured, tables: Sequence[str], ours: int) -> DatabaseUnavailableError | None:
    """Who holds what our session waited for in vain: one of these tables, or the right to write; None if nobody does.

    By a connection of its own: the one that waited is in a transaction that has failed.
    """
    with suppress(psycopg.Error):
        with psycopg.connect(for_libpq(database.url), connect_timeout=_SECONDS, autocommit=True) as connection:
            row = connection.execute(
                _HOLDER, {"tables": list(tables), "ours": ours, "high": WRITE_LOCK >> 32, "low": WRITE_LOCK & 2**32 - 1}
            ).fetchone()
        if row is not None:
            return _told(database, Holder(*row))
    return None


def crowded_error(database: Configured, tables: Sequence[str]) -> DatabaseUnavailableError | None:
    """What a server needs that had no more room for the locks on these tables; None if it cannot be asked."""
    with suppress(psycopg.Error):
        with psycopg.connect(for_libpq(database.url), connect_timeout=_SECONDS, autocommit=True) as connection:
            room, needed = lock_room(connection, tables)
        return _no_room(database.name, room, len(tables), needed)
    return None


def _told(database: Configured, holder: Holder) -> DatabaseUnavailableError:
    what = "the right to write" if holder.table is None else f"a lock on {holder.table}"
    advice = (
        "Wait until it has ended, then run again."
        if holder.is_toolkit
        else f"Let it commit, or end it (SELECT pg_terminate_backend({holder.process})), then run again."
    )
    return DatabaseUnavailableError(
        database.name, f"{holder.shown} holds {what}; gave up after {database.lock_seconds:g} s", advice
    )


# As InitializeMaxBackends has it, or a few sessions more.
_ROOM = """
WITH RECURSIVE places AS (
    SELECT to_regclass(name)::oid AS id FROM unnest(%(tables)s::text[]) AS name
    UNION SELECT inhrelid FROM places JOIN pg_inherits ON inhparent = id
), objects AS (
    SELECT id FROM places WHERE id IS NOT NULL
    UNION SELECT indexrelid FROM pg_index JOIN places ON indrelid = id
    UNION SELECT objid FROM pg_depend JOIN places ON refobjid = id AND refclassid = 'pg_class'::regclass
    JOIN pg_class ON pg_class.oid = objid AND relkind = 'S' WHERE classid = 'pg_class'::regclass AND %(to_write)s
)
SELECT current_setting('max_locks_per_transaction')::int, (
    SELECT sum(current_setting(name)::int) + 2 FROM unnest(ARRAY['max_connections', 'autovacuum_max_workers',
        'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions']) AS name
)::int, (
    SELECT count(DISTINCT (locktype, database, relation, page, tuple, virtualxid, transactionid::text, classid,
                           objid, objsubid)) FROM pg_locks
    WHERE NOT fastpath AND pid <> pg_backend_pid() AND NOT EXISTS (SELECT 1 FROM objects WHERE id = relation)
)::int, (SELECT count(*) FROM objects)::int
"""

# Two modes are in nobody's way here. Who waits for ACCESS EXCLUSIVE is in the way of all who come later. Whoever holds
# the strongest lock stands first, and of several the one that has held it longest.
_HOLDER = """
SELECT CASE WHEN locktype = 'relation' THEN relation::regclass::text END, pid, usename::text, application_name, state,
       extract(epoch FROM clock_timestamp() - xact_start)::float8, EXISTS (
           SELECT 1 FROM pg_locks AS turn WHERE turn.pid = l.pid AND turn.locktype = 'advisory' AND turn.granted
           AND turn.classid = %(high)s::oid AND turn.objid = %(low)s::oid AND turn.objsubid = 1
       ) OR application_name LIKE 'toolkit%%'
FROM pg_locks AS l LEFT JOIN pg_stat_activity USING (pid)
WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND pid NOT IN (%(ours)s, pg_backend_pid())
AND (granted OR mode = 'AccessExclusiveLock') AND CASE cardinality(%(tables)s::text[])
    WHEN 0 THEN locktype = 'advisory' AND classid = %(high)s::oid AND objid = %(low)s::oid AND objsubid = 1
    ELSE locktype = 'relation' AND mode NOT IN ('AccessShareLock', 'RowShareLock')
         AND relation IN (SELECT to_regclass(name)::oid FROM unnest(%(tables)s::text[]) AS name)
END
ORDER BY array_position(ARRAY['AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock',
                              'ShareUpdateExclusiveLock', 'RowExclusiveLock'], mode), xact_start NULLS LAST
LIMIT 1
"""
