"""The triggers of a SQLite file: what fires as rows are written, and how it is kept from that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from toolkit.core.tables import TableSpec
from toolkit.engines.catalogue import TableTriggers
from toolkit.errors import StatementError

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

# In the order in which they were made: of several for one event, SQLite fires the last one first.
_TRIGGERS = """
SELECT given.value AS "table", t.name, t.sql FROM json_each(:tables) AS given
JOIN sqlite_schema AS t ON t.type = 'trigger' AND lower(t.tbl_name) = lower(given.value) ORDER BY t.rowid
"""


def triggers(connection: SqliteSnapshot, specs: Sequence[TableSpec]) -> list[TableTriggers]:
    """The triggers of these tables; SQLite knows none that do not fire, and no rules."""
    names = {spec.table.name: spec.name for spec in specs}
    found = sorted(_stored(connection, specs), key=lambda row: str(row.table))
    return [
        TableTriggers(names[table], tuple(row.name for row in rows))
        for table, rows in groupby(found, key=lambda row: row.table)
    ]


@contextmanager
def held_triggers(connection: SqliteSnapshot, specs: Sequence[TableSpec]) -> Iterator[None]:
    """Drop the triggers of these tables for the block, and make them again by their own text.

    Raises:
        StatementError: SQLite makes another trigger of a text than it was.
    """
    before = _stored(connection, specs)
    quote = connection.sqlalchemy.dialect.identifier_preparer.quote_identifier
    with connection.translated():
        for row in before:
            connection.driver.execute(f"DROP TRIGGER {quote(row.name)}")
    # After an error nothing is to be made again: the transaction, of which this is part, is rolled back.
    yield
    with connection.translated():
        for row in before:
            connection.driver.execute(row.sql)
    if _stored(connection, specs) != before:
        names = ", ".join(row.name for row in before)
        raise StatementError(
            connection.name,
            f"one of the triggers that were held ({names}) cannot be made again as it was",
            "Report it.",
        )


def _stored(connection: SqliteSnapshot, specs: Sequence[TableSpec]) -> Sequence[sa.Row[Any]]:
    tables = json.dumps([spec.table.name for spec in specs])
    with connection.translated():
        return connection.sqlalchemy.execute(sa.text(_TRIGGERS), {"tables": tables}).all()
