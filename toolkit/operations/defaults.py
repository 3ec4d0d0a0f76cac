"""What a column holds when a fixture does not say: the model's Python-side default, or the database's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import TEXT_KINDS
from toolkit.core.values import parse_json_value
from toolkit.repositories.codecs import to_canonical

if TYPE_CHECKING:
    from toolkit.repositories.base import DatabaseConnection

Default = Callable[[], Any]
# What a type binds there is its canonical form (see `repositories/decorated.py`).
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


class NoDefaultError(Exception):
    """The column has to be given."""


def default_of(spec: TableSpec, column: ColumnSpec, target: DatabaseConnection | None) -> Default:
    """A function that makes the canonical value of a column for a new row.

    Defaults that are SQL are asked of `target`, once; without one (a database that is yet to be made) they are NULL.

    Raises:
        NoDefaultError: there is none, and the column may not be NULL.
    """
    declared = spec.table.c[column.name]
    default: Any = declared.default
    if default is not None and default.is_callable:
        return lambda: _bound(declared, column, default.arg(None))
    if default is not None and default.is_scalar:
        value = _bound(declared, column, default.arg)
        return lambda: value
    if default is not None and default.is_clause_element:
        return _asked(column, default.arg, target)
    if isinstance(declared.server_default, sa.DefaultClause):
        return _of_server(column, declared.server_default.arg, target)
    if column.nullable:
        return lambda: None
    raise NoDefaultError


def _bound(declared: sa.Column[Any], column: ColumnSpec, value: Any) -> Any:
    """A Python value of the model as it would be stored."""
    process = declared.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    bound = value if value is None or process is None else process(value)
    return to_canonical(column.type, bound)


def _of_server(column: ColumnSpec, argument: Any, target: DatabaseConnection | None) -> Default:
    if isinstance(argument, str):
        value = argument if column.type.kind in TEXT_KINDS else _from_text(column, argument)
        return lambda: value
    return _asked(column, argument, target)


def _asked(column: ColumnSpec, expression: Any, target: DatabaseConnection | None) -> Default:
    if target is None:
        return lambda: None
    with target.translated():
        ((value,),) = target.sqlalchemy.execute(sa.select(sa.type_coerce(expression, sa.types.NullType()))).all()
    is_text = isinstance(value, str) and column.type.kind not in TEXT_KINDS
    found = _from_text(column, value) if is_text else to_canonical(column.type, value)
    return lambda: found


def _from_text(column: ColumnSpec, text: str) -> Any:
    """A value as a database's text of it."""
    for candidate in (text, *_as_literal(text)):
        try:
            return parse_json_value(column.type, candidate)
        except ValueError:
            continue
    raise NoDefaultError


def _as_literal(text: str) -> list[Any]:
    import msgspec

    spoken = {"true": True, "false": False, "t": True, "f": False}.get(text.lower())
    try:
        number = msgspec.json.decode(text)
    except msgspec.DecodeError:
        number = None
    return [value for value in (spoken, number, number == 1 if number in (0, 1) else None) if value is not None]
