"""The sequences that PostgreSQL takes a table's numbers from: kept past the highest, or asked for numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from toolkit.core.tables import TableSpec
from toolkit.core.types import INTEGER_KINDS
from toolkit.engines.postgresql.sql import literal, qualified, quoted

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession


def statements_to_advance(connection: PostgresSession, spec: TableSpec) -> list[str]:
    """The statements that move the table's sequences past the highest value."""
    numbered = [c.name for c in spec.columns if c.type.carrier in INTEGER_KINDS]
    sequences = {name: _sequence_of(connection, spec, name) for name in numbered}
    return [
        _advance(spec, sequence, f"max({quoted(name)})") for name, sequence in sequences.items() if sequence is not None
    ]


def next_numbers(connection: PostgresSession, spec: TableSpec, column: str, count: int, above: int) -> list[int] | None:
    """So many numbers from the column's sequence, all of them greater than `above`; None if it has none."""
    sequence = _sequence_of(connection, spec, column)
    if sequence is None:
        return None
    connection.run(_advance(spec, sequence, f"greatest({int(above)}, max({quoted(column)}))"))
    query = f"SELECT nextval({literal(sequence)}) FROM generate_series(1, {int(count)})"
    return [int(row[0]) for row in connection.run(query).fetchall()]


def _advance(spec: TableSpec, sequence: str, highest: str) -> str:
    """The statement that moves a sequence past this value of the table; never back, and not for an empty table."""
    return (
        f"SELECT setval({literal(sequence)}, top) "
        f"FROM (SELECT {highest} AS top FROM {qualified(spec.table)}) AS highest, {sequence} AS s "
        "WHERE top > s.last_value OR (top = s.last_value AND NOT s.is_called)"
    )


def _sequence_of(connection: PostgresSession, spec: TableSpec, column: str) -> str | None:
    """The sequence of a serial or identity column, or the one that the model takes its values from."""
    facts = connection.facts(spec)
    if facts is not None and column in facts.columns and (owned := facts.columns[column].sequence):
        return owned
    default = spec.table.c[column].default
    if not isinstance(default, sa.Sequence):
        return None
    sequence = literal(connection.sqlalchemy.dialect.identifier_preparer.format_sequence(default))
    found = connection.run(f"SELECT to_regclass({sequence})::text").fetchone()
    return str(found[0]) if found and found[0] else None
