"""Columns of one type in two databases of one engine with values that the model's type cannot hold: as they are stored.

The engine's own text can: of a `time with time zone` under `Time`, an array of two dimensions under `ARRAY(Integer)`, a
`0000-00-00` under `Date`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import sqlalchemy as sa

from toolkit.core.engine_type import EngineType
from toolkit.core.schema import DECLARED
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import Kind, LogicalType
from toolkit.engines.contract import Connection

_NATIVE = LogicalType(Kind.NATIVE)


def carried_as_stored(
    source: Connection, tables: Sequence[tuple[TableSpec, TableSpec]], target: Callable[[], Connection | None]
) -> tuple[TableSpec, ...]:
    """The tables as the target has them, with such columns as columns of the engine's own text.

    Each table is given as the source and as the target has it. `target`, a connection to the other database, is asked
    for only if there are columns in doubt, or there may be in the target; None if it is of the same engine, but has no
    tables yet.
    """
    given = tuple(spec for _, spec in tables)
    is_asked = source.capabilities.has_dates_of_no_calendar
    doubtful = [_texts_of_dates(source, own) if is_asked else _cast(source, own) for own, _ in tables]
    if not (is_asked or any(doubtful)):
        return given
    other = target()
    if other is not None and other.sqlalchemy.dialect.name != source.sqlalchemy.dialect.name:
        return given
    if other is not None and is_asked:
        doubtful = [
            names | _by_our_names(own, spec, _texts_of_dates(other, spec))
            for names, (own, spec) in zip(doubtful, tables, strict=True)
        ]
    return tuple(
        _stored(source, other, own, spec, names) if names else spec
        for (own, spec), names in zip(tables, doubtful, strict=True)
    )


def _cast(source: Connection, spec: TableSpec) -> frozenset[str]:
    return frozenset(source.repository(spec).lossy_casts() if source.capabilities.writes_types_as_text else ())


def _texts_of_dates(connection: Connection, spec: TableSpec) -> frozenset[str]:
    return connection.repository(spec).texts_of_dates()


def _by_our_names(own: TableSpec, spec: TableSpec, names: frozenset[str]) -> frozenset[str]:
    """The source's names of columns of the target; without those whose values are converted on their way."""
    pairs = zip(own.columns, spec.columns, strict=True)
    return frozenset(ours.name for ours, theirs in pairs if theirs.name in names and ours.type == theirs.type)


def _stored(
    source: Connection, target: Connection | None, own: TableSpec, spec: TableSpec, doubtful: frozenset[str]
) -> TableSpec:
    ours, theirs = _types(source, own), {} if target is None else _types(target, spec)
    columns = []
    for column, other in zip(own.columns, spec.columns, strict=True):
        there = theirs.get(other.name, "") if theirs else _made(source, own, column)
        is_alike = column.name in doubtful and ours[column.name].casefold() == there.casefold()
        columns.append(_as_text(source, other, ours[column.name]) if is_alike else other)
    return replace(spec, columns=tuple(columns))


def _as_text(source: Connection, column: ColumnSpec, type_: str) -> ColumnSpec:
    is_date = source.capabilities.has_dates_of_no_calendar
    declared = EngineType(source.sqlalchemy.dialect.name, type_) if is_date else sa.types.NullType()
    return replace(column, type=_NATIVE, declared=declared)


def _types(connection: Connection, spec: TableSpec) -> dict[str, str]:
    facts = connection.facts(spec)
    return {} if facts is None else {name: column.type for name, column in facts.columns.items()}


def _made(connection: Connection, spec: TableSpec, column: ColumnSpec) -> str:
    """The type of a column that is made, mostly in the words of the engine's catalogue."""
    if declared := spec.table.c[column.name].info.get(DECLARED):
        # It has been read from there.
        return str(declared)
    with suppress(sa.exc.CompileError):
        return column.declared.compile(connection.sqlalchemy.dialect)
    return ""
