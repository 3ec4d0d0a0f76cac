"""The values that an engine's tables, which are yet to be made, could not hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.core.inspection import MisfitCount
from toolkit.engines.database import Database
from toolkit.errors import MissingParentError
from toolkit.operations.transfer.misfits import Misfits, note_unkept, note_unread, sifted_rows

if TYPE_CHECKING:
    from toolkit.core.schema import ColumnMeasure
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection, Engine

MASK = "***"


def unfit(
    connection: Connection,
    kind: Engine,
    spec: TableSpec,
    types: Mapping[str, str],
    measures: Mapping[str, ColumnMeasure],
    masked: Collection[str],
) -> tuple[MisfitCount, ...]:
    """What cannot be read as what it would be, what the columns of these types cannot hold, and what keys refuse.

    One pass over the rows, and one for each foreign key.
    """
    found = (*_values(connection, kind, spec, types), *_nulls(spec, measures), *_orphans(connection, spec))
    hides_keys = any(name in masked for name in spec.key)
    return tuple(
        replace(
            each,
            first_key=MASK if hides_keys and each.first_key else each.first_key,
            first_value=MASK if each.column in masked else each.first_value,
        )
        for each in found
    )


def _values(connection: Connection, kind: Engine, spec: TableSpec, types: Mapping[str, str]) -> Iterator[MisfitCount]:
    found = Misfits()
    target = kind.connection(Database(kind.title, f"{kind.dialect}://"), write=False)
    target.expect(spec, types)
    for sifted in sifted_rows(connection.repository(spec)):
        note_unread(found, spec, sifted)
        note_unkept(found, spec, sifted.batch, target.repository(spec))
    for (_, column, reason), group in found.groups.items():
        first = group.rows[0]
        yield MisfitCount(column, reason, group.count, first.key, first.value, group.advice)


def _nulls(spec: TableSpec, measures: Mapping[str, ColumnMeasure]) -> Iterator[MisfitCount]:
    """SQLite lets keys be NULL."""
    for column in spec.table.columns:
        if not column.nullable and (count := measures[column.name].nulls):
            yield MisfitCount(column.name, "NULL, which its column is not to be", count, "", "NULL")


def _orphans(connection: Connection, spec: TableSpec) -> Iterator[MisfitCount]:
    for foreign_key in spec.foreign_keys:
        named = replace(spec, key=spec.key or foreign_key.columns)
        try:
            connection.repository(named).require_parents(foreign_key)
        except MissingParentError as error:
            reason = f"no row of {error.parent} that it points at"
            yield MisfitCount(error.column, reason, error.count, error.first, "", error.advice)
