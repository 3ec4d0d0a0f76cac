"""Leaving a PostgreSQL table's keys and indexes for last, within one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from msgspec import Struct
from psycopg import errors as pg

from toolkit.core.tables import TableSpec
from toolkit.engines.postgresql.conflicts import guarded
from toolkit.engines.postgresql.sql import qualified

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession


class Step(Struct, frozen=True):
    """A statement that builds one key, index or foreign key again."""

    sql: str


class Indexes(Struct, frozen=True):
    """What was dropped, as the statements that bring it back, in order."""

    steps: tuple[Step, ...] = ()

    @classmethod
    def drop(cls, postgres: PostgresSession, table: str) -> Indexes:
        """Drop the keys and indexes of a table, with the foreign keys from and to it.

        Where that is not allowed (another owner, a view that needs the key, a reader's lock for longer than
        `_LOCK_TIMEOUT`, rows whose parents are checked later), or would lose something that no statement here
        restores (a comment, a tablespace, a cluster mark), everything stays in place.
        """
        connection = postgres.sqlalchemy
        if connection.execute(sa.text(_HINDRANCES), {"table": table}).scalar_one():
            return cls()
        objects = connection.execute(sa.text(_OBJECTS), {"table": table}).all()
        try:
            with connection.begin_nested():
                lock_timeout = connection.execute(sa.text("SHOW lock_timeout")).scalar_one()
                postgres.run(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                for row in objects:
                    postgres.run(row.remove)
                postgres.run(f"SET LOCAL lock_timeout = '{lock_timeout}'")
        except (pg.InsufficientPrivilege, pg.DependentObjectsStillExist, pg.LockNotAvailable, pg.ObjectInUse):
            return cls()
        postgres.run(
            "SELECT set_config('maintenance_work_mem', '256MB', true) "
            "WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes('256MB')"
        )
        return cls(tuple(Step(row.restore) for row in reversed(objects)))


@contextmanager
def indexes_last(postgres: PostgresSession, spec: TableSpec, rebuild: bool) -> Iterator[bool]:
    """Write within the block; whether the table's keys and indexes were dropped, and are built behind it."""
    table = qualified(spec.table)
    with postgres.translated():
        indexes = Indexes.drop(postgres, table) if rebuild else Indexes()
    # A savepoint of the driver's: of a connection that is gone it says why.
    with postgres.raw.transaction():
        yield bool(indexes.steps)
    for step in indexes.steps:
        guarded(postgres, spec, step.sql, table)


# While the lock is waited for, nobody else can even read the table.
_LOCK_TIMEOUT = "1s"

# Foreign keys first, then plain indexes, then keys; restored the other way round.
_OBJECTS = """
SELECT * FROM (
    SELECT CASE contype WHEN 'f' THEN 1 ELSE 3 END AS place, conname::text AS name,
           format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS remove,
           format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
               AS restore
    FROM pg_constraint
    WHERE (conrelid = to_regclass(:table) AND contype IN ('f', 'p', 'u'))
       OR (confrelid = to_regclass(:table) AND contype = 'f')
    UNION ALL
    SELECT 2, indexrelid::regclass::text, format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
    FROM pg_index
    WHERE indrelid = to_regclass(:table)
      AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
) AS objects
ORDER BY place, name
"""

_HINDRANCES = """
SELECT EXISTS (SELECT 1 FROM pg_class WHERE oid = to_regclass(:table)
               AND (relkind <> 'r' OR relispartition OR relhassubclass OR relreplident = 'i'))
    OR EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(:table))
    OR EXISTS (SELECT 1 FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
               WHERE indrelid = to_regclass(:table)
               AND (indisclustered OR NOT indisvalid OR reltablespace <> 0
                    OR obj_description(indexrelid, 'pg_class') IS NOT NULL
                    OR EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = indexrelid AND attstattarget >= 0)))
    OR EXISTS (SELECT 1 FROM pg_constraint
               WHERE (conrelid = to_regclass(:table) OR confrelid = to_regclass(:table)) AND contype IN ('f', 'p', 'u')
               AND (NOT convalidated OR conparentid <> 0 OR obj_description(oid, 'pg_constraint') IS NOT NULL
                    OR EXISTS (SELECT 1 FROM pg_trigger WHERE tgconstraint = pg_constraint.oid AND tgenabled <> 'O')))
"""
