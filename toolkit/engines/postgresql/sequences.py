"""The sequences that PostgreSQL takes a table's numbers from: kept past the highest, or asked for numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import sqlalchemy as sa

from toolkit.core.numbering import last_of_64_bits
from toolkit.core.tables import TableSpec
from toolkit.core.types import INTEGER_KINDS
from toolkit.engines.postgresql.sql import literal, qualified, quoted

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession


def statements_to_advance(connection: PostgresSession, spec: TableSpec, at_least: Mapping[str, int]) -> Iterator[str]:
    """The statements that move the table's sequences past the highest value, and to these numbers; never back.

    What is in no key may be there twice: its numbers are the source's, if they are known.
    """
    facts = connection.facts(spec)
    for name in (c.name for c in spec.columns if c.type.carrier in INTEGER_KINDS):
        sequence = _sequence_of(connection, spec, name)
        if sequence is None:
            continue
        if name not in at_least or any(name in key for key in (facts.keys if facts else ())):
            yield _past(spec, sequence, quoted(name))
        if name in at_least:
            number = last_of_64_bits(at_least[name])
            yield from (_up_to(sequence, number), _down_to(spec, sequence, quoted(name), number))


def _past(spec: TableSpec, sequence: str, column: str) -> str:
    """No number may be left: then it stays where it is. One that begins anew takes none for used up."""
    return (
        f"SELECT setval({literal(sequence)}, top) FROM {sequence} AS s, pg_sequence AS q, LATERAL "
        f"(SELECT CASE WHEN seqincrement > 0 THEN max({column}) ELSE min({column}) END AS top "
        f"FROM {qualified(spec.table)}) AS highest WHERE {_of(sequence)} "
        "AND (top = last_value AND NOT is_called OR CASE WHEN seqincrement > 0 THEN top > last_value "
        "ELSE top < last_value END) AND top::numeric + seqincrement BETWEEN seqmin AND seqmax"
    )


def _up_to(sequence: str, number: int) -> str:
    return (
        f"SELECT setval({literal(sequence)}, {number}, false) FROM {sequence} AS s, pg_sequence AS q "
        f"WHERE {_of(sequence)} AND seqincrement > 0 AND {number} BETWEEN seqmin AND seqmax "
        f"AND last_value::numeric + CASE WHEN is_called THEN seqincrement ELSE 0 END < {number}"
    )


def _down_to(spec: TableSpec, sequence: str, column: str, number: int) -> str:
    """The same of one that descends: it is less than all rows have, or the number of one that ascends."""
    return (
        f"SELECT setval({literal(sequence)}, {number}, false) FROM {sequence} AS s, pg_sequence AS q "
        f"WHERE {_of(sequence)} AND seqincrement < 0 AND {number} BETWEEN seqmin AND seqmax "
        f"AND last_value::numeric + CASE WHEN is_called THEN seqincrement ELSE 0 END > {number} "
        f"AND NOT EXISTS (SELECT 1 FROM {qualified(spec.table)} WHERE {column} <= {number})"
    )


def _of(sequence: str) -> str:
    return f"seqrelid = {literal(sequence)}::regclass AND NOT seqcycle"


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
