"""The sequences that DuckDB takes a table's numbers from, kept past the highest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import sqlalchemy as sa

from toolkit.core.numbering import last_of_64_bits
from toolkit.core.types import INTEGER_KINDS
from toolkit.engines.duckdb.schema import place_of, quoted
from toolkit.engines.portable.literals import quoted_text as literal

if TYPE_CHECKING:
    from toolkit.engines.portable.table import TableRepository


def statements_to_advance(table: TableRepository, quoted_table: str, at_least: Mapping[str, int]) -> Iterator[str]:
    """The statements that move the table's sequences past the highest value, and to these numbers; never back.

    What is in no key may be there twice: its numbers are the source's, if they are known.
    """
    facts = table.connection.facts(table.spec)
    for name in (n for n in table.spec.column_names if table.stored_type(n).carrier in INTEGER_KINDS):
        known, model = facts and facts.columns.get(name), table.table.c[name].default
        if known and known.sequence:
            sequence = known.sequence
        elif isinstance(model, sa.Sequence):
            sequence = quoted(model.name)
        else:
            continue
        if name not in at_least or any(name in key for key in (facts.keys if facts else ())):
            yield _past(table, quoted_table, sequence, quoted(name))
        if name in at_least:
            number = last_of_64_bits(at_least[name])
            yield from (
                _up_to(table, sequence, number),
                _down_to(table, quoted_table, sequence, quoted(name), number),
            )


def _past(table: TableRepository, quoted_table: str, sequence: str, column: str) -> str:
    """No number may be left: then it stays where it is. One that begins anew takes none for used up."""
    top = "CASE WHEN increment_by > 0 THEN highest ELSE lowest END"
    return (
        f"SELECT setval({literal(sequence)}, {top}) "
        f"FROM (SELECT max({column}) AS highest, min({column}) AS lowest FROM {quoted_table}), {_of(table, sequence)} "
        f"AND sign(increment_by) * {top}::HUGEINT > sign(increment_by) * {_LAST} "
        f"AND {top}::HUGEINT + increment_by BETWEEN min_value AND max_value"
    )


def _up_to(table: TableRepository, sequence: str, number: int) -> str:
    return (
        f"SELECT setval({literal(sequence)}, {number} - increment_by) FROM {_of(table, sequence)} AND increment_by > 0 "
        f"AND {number}::HUGEINT > {_LAST} + increment_by "
        f"AND {number}::HUGEINT - increment_by >= min_value AND {number} <= max_value"
    )


def _down_to(table: TableRepository, quoted_table: str, sequence: str, column: str, number: int) -> str:
    """The same of one that descends: it is less than all rows have, or the number of one that ascends."""
    return (
        f"SELECT setval({literal(sequence)}, {number} - increment_by) FROM {_of(table, sequence)} AND increment_by < 0 "
        f"AND {number}::HUGEINT < {_LAST} + increment_by "
        f"AND {number}::HUGEINT - increment_by <= max_value AND {number} >= min_value "
        f"AND NOT EXISTS (SELECT 1 FROM {quoted_table} WHERE {column} <= {number})"
    )


_LAST = "coalesce(CAST(last_value AS HUGEINT), CAST(start_value AS HUGEINT) - increment_by)"


def _of(table: TableRepository, sequence: str) -> str:
    schema, name = place_of(sequence, str(table.connection.sqlalchemy.dialect.default_schema_name))
    return (
        f"duckdb_sequences() WHERE database_name = current_database() AND schema_name = {literal(schema)} "
        f"AND sequence_name = {literal(name)} AND NOT cycle"
    )
