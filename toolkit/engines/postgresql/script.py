"""SQL scripts for `psql`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from toolkit.core.tables import TableSpec
from toolkit.engines.contract import TableScript
from toolkit.engines.portable.script import Script, qualified
from toolkit.engines.postgresql.literals import postgres_text

# What the literals rest on, whatever the role or the client has set.
_SETTINGS = (
    "SET LOCAL client_encoding = 'UTF8'",
    "SET LOCAL standard_conforming_strings = on",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'postgres'",
    "SET LOCAL TimeZone = 'UTC'",
)


class PostgresScript(Script):
    """An error ends the transaction, whatever the client does then."""

    engine = "PostgreSQL"
    usage = "psql -X -v ON_ERROR_STOP=1 -f FILE DATABASE"
    overriding = " OVERRIDING SYSTEM VALUE"

    def begin(self, tables: Sequence[TableScript]) -> Iterator[str]:
        """Foreign keys of tables that point at themselves, or at tables that come later, are checked at the end.

        Before rows go, and others with them by cascades, the tables have to be as they were.
        """
        yield "BEGIN"
        yield from _SETTINGS
        for spec, before, _ in _whole(tables):
            yield _counted(spec, before, "the target has changed since")
        if deferred := _out_of_order(tables):
            for table, name in self._connection.immediate_foreign_keys(deferred):
                yield f"ALTER TABLE {table} ALTER CONSTRAINT {name} DEFERRABLE INITIALLY DEFERRED"
            yield "SET CONSTRAINTS ALL DEFERRED"

    def end(self, tables: Sequence[TableScript], changes: int) -> Iterator[str]:
        """Check what was deferred, and that no cascade took rows that were to stay; advance sequences."""
        if deferred := _out_of_order(tables):
            yield "SET CONSTRAINTS ALL IMMEDIATE"
            for table, name in self._connection.immediate_foreign_keys(deferred):
                yield f"ALTER TABLE {table} ALTER CONSTRAINT {name} NOT DEFERRABLE"
        for spec, _, after in _whole(tables):
            yield _counted(spec, after, "a cascade took some")
        for table in tables:
            if table.writes:
                for statement in self._connection.repository(table.spec).advance_statements():
                    # In a block of its own, so that nothing is printed.
                    yield _block(f"PERFORM {statement.removeprefix('SELECT ')};")
        yield "COMMIT"


def _out_of_order(tables: Sequence[TableScript]) -> list[TableSpec]:
    """Tables with changes and a foreign key to themselves or to a table that comes later."""
    place = {table.spec.name: number for number, table in enumerate(tables)}
    return [
        table.spec
        for table in tables
        if table.writes + table.deletes
        and any(place.get(key.parent, -1) >= place[table.spec.name] for key in table.spec.foreign_keys)
    ]


def _whole(tables: Sequence[TableScript]) -> Iterator[tuple[TableSpec, int, int]]:
    """Tables compared as a whole, with their numbers of rows before and after, if a cascade may take some."""
    if any(table.deletes for table in tables):
        for table in tables:
            if table.total is not None:
                yield table.spec, table.total, table.total + table.inserts - table.deletes


def _counted(spec: TableSpec, rows: int, why: str) -> str:
    message = postgres_text(f"{spec.name} does not have {rows} rows: {why}")
    return _block(
        f"IF (SELECT count(*) FROM {qualified(spec.table)}) <> {rows} THEN "
        f"RAISE EXCEPTION USING MESSAGE = {message}; END IF;"
    )


def _block(body: str) -> str:
    return f"DO {postgres_text(f'BEGIN {body} END')}"
