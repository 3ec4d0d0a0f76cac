"""A table of PostgreSQL as a stage, filled by several sessions; or as a new table, which takes the other's place.

Whatever hangs on a table (foreign keys, views, grants, triggers, policies, publications, partitions) stays where rows
are written into it from the stage. Its place is taken of tables alone that the run itself has made, where that saves
writing all rows once more; and only if nothing is there to be lost: before the first row, the stage takes it in a
transaction that is rolled back, and another fingerprint afterwards shows what would be another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa
from msgspec.structs import replace
from psycopg import errors as pg

from toolkit.engines.contract import Loaded, Part, RunAbout
from toolkit.engines.postgresql.fingerprint import Fingerprint
from toolkit.engines.postgresql.ledger import Ledger, end_sessions, run_spec, runs_for
from toolkit.engines.postgresql.sql import literal, qualified, quoted
from toolkit.errors import RunError

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.postgresql.session import PostgresSession


class _StaysError(Exception):
    """The other table is not to be replaced."""


class PostgresRun:
    """A run, as the session asks of it that has the right to write."""

    def __init__(self, session: PostgresSession, spec: TableSpec, about: RunAbout) -> None:
        self._session, self._other, self.about = session, spec, about
        self.spec = run_spec(spec, about.run)
        self._new, self._old = qualified(self.spec.table), qualified(spec.table)

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self._session.raw, self._other, self.about.run)

    @property
    def tables(self) -> tuple[str, str]:
        """The quoted names of what it makes."""
        return self._new, self._ledger.name

    def begin(self, parts: Sequence[Part]) -> None:
        """Make the stage and its ledger; see whether it could take the other's place.

        A stage that is not the table to be is another's business neither to replicate nor to read: it is unlogged, so
        that no publication of all tables has it, and its owner's alone. A server that crashes empties it, and its
        ledger.
        """
        self.about = replace(self.about, parts=len(parts))
        with self._session.translated():
            if self.about.replaces and not Fingerprint.of(self._session.raw, self._old).hindrances:
                self._session.run(
                    f"CREATE TABLE {self._new} (LIKE {self._old} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING "
                    "IDENTITY INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS)"
                )
                self._ledger.make(self.about, parts)
                if self._could_take_place():
                    return
                self._drop()
            self.about = replace(self.about, replaces=False)
            # Of the same types, and without anything that could refuse a row or give it a number: the table decides.
            columns = ", ".join(map(quoted, self.about.columns))
            self._session.run(f"CREATE UNLOGGED TABLE {self._new} AS SELECT {columns} FROM {self._old} WITH NO DATA")
            self._ledger.make(self.about, parts)
            for table in self.tables:
                self._revoke(table)

    def _revoke(self, table: str) -> None:
        """Take back what others were given on a new table by default."""
        query = (
            "SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END "
            "FROM pg_class, aclexplode(relacl) WHERE oid = %s::regclass AND grantee <> relowner"
        )
        for (role,) in self._session.raw.execute(query, (table,)).fetchall():
            self._session.run(f"REVOKE ALL ON {table} FROM {role}")

    def parts(self) -> Sequence[Part]:
        """All parts."""
        with self._session.translated():
            return self._ledger.parts()

    def loaded(self) -> Mapping[int, Loaded]:
        """Those that are committed."""
        with self._session.translated():
            return self._ledger.loaded()

    def end_others(self) -> None:
        """End all sessions that still write for this run."""
        with self._session.translated():
            end_sessions(self._session.raw, self.about.run)

    def undo(self, part: int) -> None:
        """Take a part's rows out again: those that its transaction wrote."""
        with self._session.translated():
            writer, rows = self._ledger.writer(part)
            found = self._session.raw.execute(f"DELETE FROM {self._new} WHERE xmin = {literal(writer)}::xid")
            if found.rowcount != rows:
                raise RunError(
                    f"{self._session.name}: of part {part} of {self._other.name}, which has changed at the source "
                    f"since, {rows:,} rows were written, and {found.rowcount:,} are found.",
                    "Begin again: --restart.",
                )
            self._ledger.forget(part)
        self._session.commit()

    def close_for_writers(self) -> None:
        """Let nobody write to the stage any more, nor to its ledger."""
        self.end_others()
        with self._session.translated():
            self._session.run(f"LOCK TABLE {self._new}, {self._ledger.name} IN SHARE MODE")

    def take_place(self) -> bool:
        """Give the stage the other's name, keys, indexes and constraints; those of a part's size are built once."""
        if not self.about.replaces:
            return False
        with self._session.translated():
            try:
                with self._session.raw.transaction():
                    self._replace()
            except (_StaysError, pg.DependentObjectsStillExist):
                return False
        self._session.forget()
        return True

    def _could_take_place(self) -> bool:
        with self._session.raw.transaction(force_rollback=True):
            return self.take_place()

    def _replace(self) -> None:
        run = self._session.run
        run(f"LOCK TABLE {self._old} IN ACCESS EXCLUSIVE MODE")
        before = Fingerprint.of(self._session.raw, self._old)
        is_filled = run(f"SELECT FROM {self._old} LIMIT 1").rowcount
        if is_filled or before.hindrances or self._numbered() - set(self._other.column_names):
            raise _StaysError
        run(
            "SELECT set_config('maintenance_work_mem', '256MB', true) "
            "WHERE pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes('256MB')"
        )
        for statement in self._steps():
            run(statement)
        if before.unlike(Fingerprint.of(self._session.raw, self._old)):
            raise _StaysError

    def _numbered(self) -> set[str]:
        query = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attidentity <> ''"
        return {str(row[0]) for row in self._session.raw.execute(query, (self._old,))}

    def _steps(self) -> list[str]:
        """What makes the new table the other."""
        name = quoted(self._other.table.name)
        rows = self._session.sqlalchemy.execute(sa.text(_STEPS), {"old": self._old, "new": self._new}).all()
        found: dict[str, list[str]] = {}
        for kind, statement in rows:
            found.setdefault(kind, []).append(statement)
        # Each gives what says where an IDENTITY's sequence stands.
        numbers = [self._session.run(statement).fetchone() for statement in found.get("number", ())]
        return [
            *found.get("owner", ()),
            f"DROP TABLE {self._ledger.name}",
            f"DROP TABLE {self._old}",
            f"ALTER TABLE {self._new} RENAME TO {name}",
            *found.get("name", ()),
            *(row[0] for row in numbers if row is not None),
            *found.get("key", ()),
            *found.get("index", ()),
            *found.get("rest", ()),
        ]

    def remove(self) -> None:
        """Drop the stage and its ledger."""
        self.end_others()
        with self._session.translated():
            self._drop()
        self._session.commit()

    def _drop(self) -> None:
        self._session.run(f"DROP TABLE IF EXISTS {self._new}, {self._ledger.name}")


def runs(session: PostgresSession, spec: TableSpec) -> Sequence[PostgresRun]:
    """Those that were begun for a table and not ended."""
    with session.translated():
        return [PostgresRun(session, spec, about) for about in runs_for(session.raw, spec)]


# Sequences that belong to a column would go with it. Constraints that say NOT NULL are those of PostgreSQL 18, and have
# names of the new table's, if these were made by the server.
_STEPS = """
WITH places AS (SELECT CAST(:old AS regclass) AS old, CAST(:new AS regclass) AS new)
SELECT 'owner', format('ALTER SEQUENCE %s OWNED BY %s.%I', objid::regclass, new, attname)
FROM places JOIN pg_depend ON refobjid = old AND refclassid = 'pg_class'::regclass AND classid = 'pg_class'::regclass
JOIN pg_class AS s ON s.oid = objid AND s.relkind = 'S' AND deptype = 'a'
JOIN pg_attribute ON attrelid = old AND attnum = refobjsubid
UNION ALL
SELECT unnest(ARRAY['name', 'number']), unnest(ARRAY[
    format('ALTER SEQUENCE %s RENAME TO %I', pg_get_serial_sequence(CAST(:new AS text), attname), relname),
    format('SELECT format(''SELECT setval(%%L, %%s, %%L)'', %L, last_value, is_called) FROM %s', s.oid::regclass::text,
        s.oid::regclass)])
FROM places JOIN pg_attribute AS a ON attrelid = old AND attidentity <> '' AND NOT attisdropped
JOIN pg_class AS s ON s.oid = pg_get_serial_sequence(CAST(:old AS text), attname)::regclass
UNION ALL
SELECT 'name', format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', CAST(:old AS text), made.conname, wanted.conname)
FROM places JOIN pg_constraint AS wanted ON wanted.conrelid = old AND wanted.contype = 'n'
JOIN pg_attribute AS a ON a.attrelid = old AND a.attnum = wanted.conkey[1]
JOIN pg_attribute AS b ON b.attrelid = new AND b.attname = a.attname
JOIN pg_constraint AS made ON made.conrelid = new AND made.contype = 'n' AND made.conkey[1] = b.attnum
WHERE made.conname <> wanted.conname
UNION ALL
SELECT CASE WHEN contype IN ('p', 'u', 'x') THEN 'key' ELSE 'rest' END,
    format('ALTER TABLE %s ADD CONSTRAINT %I %s', CAST(:old AS text), conname, pg_get_constraintdef(oid))
FROM (SELECT c.* FROM places JOIN pg_constraint AS c ON conrelid = old AND contype IN ('p', 'u', 'x', 'c')
    ORDER BY c.oid) AS keys
UNION ALL
SELECT 'index', pg_get_indexdef(indexrelid) FROM (
    SELECT i.* FROM places JOIN pg_index AS i ON indrelid = old ORDER BY indexrelid) AS indexes
WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'rest', pg_get_statisticsobjdef(s.oid) FROM places JOIN pg_statistic_ext AS s ON stxrelid = old
UNION ALL
SELECT 'rest', format('COMMENT ON TABLE %s IS %L', CAST(:old AS text), obj_description(old, 'pg_class'))
FROM places WHERE obj_description(old, 'pg_class') IS NOT NULL
"""
