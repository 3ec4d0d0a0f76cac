"""Columns of the same type in two databases of one engine, but of another than the model's: carried as they are stored.

The model's type cannot hold all of their values (a `time with time zone` under `Time`, an array of two dimensions under
`ARRAY(Integer)`); the engine's own text can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import sqlalchemy as sa

from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import Kind, LogicalType
from toolkit.engines.contract import Connection

_NATIVE = LogicalType(Kind.NATIVE)


def carried_as_stored(
    source: Connection, tables: Sequence[tuple[TableSpec, TableSpec]], target: Callable[[], Connection | None]
) -> tuple[TableSpec, ...]:
    """The tables as the target has them, with such columns as columns of the engine's own text.

    Each table is given as the source and as the target has it. `target`, a connection to the other database, is asked
    for only if there are columns in doubt; None if it is of the same engine, but has no tables yet and would get the
    model's types.
    """
    given = tuple(spec for _, spec in tables)
    doubtful = [frozenset(source.repository(own).lossy_casts()) for own, _ in tables]
    if not any(doubtful) or not source.capabilities.writes_types_as_text:
        return given
    other = target()
    if other is not None and other.sqlalchemy.dialect.name != source.sqlalchemy.dialect.name:
        return given
    return tuple(
        _stored(source, other, own, spec, names) if names else spec
        for (own, spec), names in zip(tables, doubtful, strict=True)
    )


def _stored(
    source: Connection, target: Connection | None, own: TableSpec, spec: TableSpec, doubtful: frozenset[str]
) -> TableSpec:
    ours, theirs = _types(source, own), None if target is None else _types(target, spec)
    columns = []
    for column, other in zip(own.columns, spec.columns, strict=True):
        there = _made(source, column) if theirs is None else theirs.get(other.name, "")
        is_alike = column.name in doubtful and ours[column.name].casefold() == there.casefold()
        columns.append(replace(other, type=_NATIVE, declared=sa.types.NullType()) if is_alike else other)
    return replace(spec, columns=tuple(columns))


def _types(connection: Connection, spec: TableSpec) -> dict[str, str]:
    facts = connection.facts(spec)
    return {} if facts is None else {name: column.type for name, column in facts.columns.items()}


def _made(connection: Connection, column: ColumnSpec) -> str:
    """The type of a column that is made from the model, mostly in the words of the engine's catalogue."""
    with suppress(sa.exc.CompileError):
        return column.declared.compile(connection.sqlalchemy.dialect)
    return ""
