"""Columns of the same type in two databases of one engine, but of another than the model's: carried as they are stored.

The model's type cannot hold all of their values (a `time with time zone` under `Time`, an array of two dimensions under
`ARRAY(Integer)`); the engine's own text can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

import sqlalchemy as sa

from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import Kind, LogicalType
from toolkit.engines.contract import Connection

_NATIVE = LogicalType(Kind.NATIVE)


def carried_as_stored(
    source: Connection, specs: Iterable[TableSpec], target: Callable[[], Connection | None]
) -> tuple[TableSpec, ...]:
    """The tables, with such columns as columns of the engine's own text.

    `target`, a connection to the other database, is asked for only if there are columns in doubt; None if it is of the
    same engine, but has no tables yet and would get the model's types.
    """
    given = tuple(specs)
    doubtful = {spec.name: frozenset(source.repository(spec).lossy_casts()) for spec in given}
    if not any(doubtful.values()) or not source.capabilities.writes_types_as_text:
        return given
    other = target()
    if other is not None and other.sqlalchemy.dialect.name != source.sqlalchemy.dialect.name:
        return given
    return tuple(_stored(source, other, spec, doubtful[spec.name]) for spec in given)


def _stored(source: Connection, target: Connection | None, spec: TableSpec, doubtful: frozenset[str]) -> TableSpec:
    ours, theirs = _types(source, spec), None if target is None else _types(target, spec)
    if theirs is None:
        theirs = {name: _made(source, spec.column(name)) for name in doubtful}
    same = {name for name in doubtful if ours[name].casefold() == theirs.get(name, "").casefold()}
    columns = tuple(
        replace(c, type=_NATIVE, declared=sa.types.NullType()) if c.name in same else c for c in spec.columns
    )
    return replace(spec, columns=columns) if same else spec


def _types(connection: Connection, spec: TableSpec) -> dict[str, str]:
    facts = connection.facts(spec)
    return {} if facts is None else {name: column.type for name, column in facts.columns.items()}


def _made(connection: Connection, column: ColumnSpec) -> str:
    """The type of a column that is made from the model, mostly in the words of the engine's catalogue."""
    with suppress(sa.exc.CompileError):
        return column.declared.compile(connection.sqlalchemy.dialect)
    return ""
