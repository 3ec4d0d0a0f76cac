"""The ledger of a run: which parts of a stage are written, by which attempt, and with which digest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec.structs import asdict

from toolkit.core.digest import TableDigest
from toolkit.engines.contract import Loaded, Part, RunAbout
from toolkit.engines.postgresql.sql import literal, qualified

if TYPE_CHECKING:
    import psycopg

    from toolkit.core.tables import TableSpec

_PREFIX = "toolkit_run_"
_LEDGER = "_parts"


def run_table(spec: TableSpec, run: str) -> sa.Table:
    """The stage of a run, in the schema of the table that it is for."""
    return spec.table.to_metadata(sa.MetaData(), name=f"{_PREFIX}{run}", referred_schema_fn=lambda *_: None)


def run_spec(spec: TableSpec, run: str) -> TableSpec:
    """The same, of which all rows are the run's; messages have the other's name."""
    return replace(spec, table=run_table(spec, run), foreign_keys=(), conditions=(), source_conditions=())


def session_name(run: str, part: int, attempt: int) -> str:
    """What the server calls a session that writes a part; names of more than 63 characters would be cut."""
    return f"toolkit run {run} part {part} attempt {attempt}"


class Ledger:
    """The table beside the stage, asked on one connection."""

    def __init__(self, connection: psycopg.Connection[Any], spec: TableSpec, run: str) -> None:
        self._connection, self._run = connection, run
        table = sa.Table(f"{_PREFIX}{run}{_LEDGER}", sa.MetaData(), schema=spec.table.schema)
        self.name = qualified(table)

    def make(self, about: RunAbout, parts: Sequence[Part]) -> None:
        """Make it, with a row for each part."""
        kept = "" if about.replaces else "UNLOGGED "
        self._connection.execute(
            f"CREATE {kept}TABLE {self.name} (part int PRIMARY KEY, condition text, attempt int NOT NULL DEFAULT 0, "
            "rows bigint, total numeric(20), seconds float8, writer xid)"
        )
        self._connection.execute(f"COMMENT ON TABLE {self.name} IS {literal(json.dumps(asdict(about)))}")
        with self._connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {self.name} (part, condition) VALUES (%s, %s)",
                [(part.number, part.condition) for part in parts],
            )

    def parts(self) -> Sequence[Part]:
        """All parts."""
        found = self._connection.execute(f"SELECT part, condition FROM {self.name} ORDER BY part")
        return tuple(Part(*row) for row in found)

    def loaded(self) -> Mapping[int, Loaded]:
        """Those that are written, by number."""
        rows = self._connection.execute(
            f"SELECT part, rows, total, attempt, seconds FROM {self.name} WHERE rows IS NOT NULL"
        )
        return {row[0]: _loaded(*row) for row in rows}

    def begin_attempt(self, part: int) -> tuple[int, Loaded | None]:
        """The number of this attempt, or what an earlier one wrote; whoever is committing is waited for."""
        row = self._connection.execute(
            f"UPDATE {self.name} SET attempt = attempt + CASE WHEN rows IS NULL THEN 1 ELSE 0 END WHERE part = %s "
            "RETURNING part, rows, total, attempt, seconds",
            (part,),
        ).fetchone()
        assert row is not None, "each part has a row"
        return row[3], None if row[1] is None else _loaded(*row)

    def claim(self, part: int, attempt: int) -> bool:
        """Take a part's row for this transaction, if the attempt is still the last."""
        found = self._connection.execute(
            f"UPDATE {self.name} SET attempt = attempt WHERE part = %s AND attempt = %s AND rows IS NULL",
            (part, attempt),
        )
        return found.rowcount == 1

    def write(self, loaded: Loaded) -> None:
        """Say in this transaction what it wrote."""
        self._connection.execute(
            f"UPDATE {self.name} SET rows = %s, total = %s, seconds = %s, writer = pg_current_xact_id()::xid "
            "WHERE part = %s",
            (loaded.digest.rows, loaded.digest.total, loaded.seconds, loaded.part),
        )

    def writer(self, part: int) -> tuple[str, int]:
        """The transaction that wrote a part, and how many rows."""
        row = self._connection.execute(
            f"SELECT writer::text, rows FROM {self.name} WHERE part = %s", (part,)
        ).fetchone()
        assert row is not None, "each part has a row"
        return row[0], row[1]

    def forget(self, part: int) -> None:
        """Take a part for one that is not written."""
        self._connection.execute(
            f"UPDATE {self.name} SET rows = NULL, total = NULL, seconds = NULL, writer = NULL WHERE part = %s", (part,)
        )


def _loaded(part: int, rows: int, total: Any, attempt: int, seconds: float) -> Loaded:
    return Loaded(part, TableDigest(rows, int(total)), attempt, seconds)


def runs_for(connection: psycopg.Connection[Any], spec: TableSpec) -> Sequence[RunAbout]:
    """Those that were begun in the schema of this table, for it, and not ended."""
    found = connection.execute(
        "SELECT obj_description(c.oid, 'pg_class') FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace "
        "WHERE relkind = 'r' AND starts_with(relname, %s) AND relname LIKE '%%' || %s "
        "AND nspname = coalesce(%s, current_schema()) ORDER BY c.oid",
        (_PREFIX, _LEDGER.replace("_", r"\_"), spec.table.schema),
    )
    runs = []
    for (comment,) in found:
        about = json.loads(comment or "{}")
        if about.get("table") == spec.table.name:
            found_as: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in about.items()}
            runs.append(RunAbout(**found_as))
    return runs


def end_sessions(connection: psycopg.Connection[Any], run: str, part: int | None = None) -> None:
    """End the sessions that write for a run, or for a part of it, but for our own; wait until they are gone."""
    name = session_name(run, 0 if part is None else part, 0)
    begin = name[: name.index(" part ") + 6] if part is None else name[: name.index(" attempt ") + 9]
    connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE starts_with(application_name, %s) AND pid <> pg_backend_pid()",
        (begin,),
    ).fetchall()
