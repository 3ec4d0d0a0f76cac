"""What a column holds when a fixture does not say: the model's Python-side default, or the database's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from toolkit.core.stored_texts import unstored
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import JSON_KINDS, TEXT_KINDS, Kind
from toolkit.core.values import parse_json_value
from toolkit.repositories.codecs import to_canonical

if TYPE_CHECKING:
    from toolkit.repositories.base import DatabaseConnection

# Makes so many canonical values.
Default = Callable[[int], list[Any]]
# What a type binds there is its canonical form (see `repositories/decorated.py`).
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


class NoDefaultError(Exception):
    """The column has to be given; the message says why."""


def default_of(spec: TableSpec, column: ColumnSpec, target: DatabaseConnection | None) -> Default:
    """A function that makes values of a column for new rows.

    Defaults that are SQL are asked of `target`; without one (a database that is yet to be made) they are NULL.

    Raises:
        NoDefaultError: there is none, and the column may not be NULL.
    """
    declared = spec.table.c[column.name]
    default: Any = declared.default
    if default is not None and default.is_callable:
        return lambda count: [_bound(declared, column, _called(default.arg)) for _ in range(count)]
    if default is not None and default.is_scalar:
        return _always(_bound(declared, column, default.arg))
    if default is not None and default.is_clause_element:
        return _asked(column, default.arg, target)
    if isinstance(declared.server_default, sa.DefaultClause):
        return _of_server(column, declared.server_default.arg, target)
    if column.nullable:
        return _always(None)
    raise NoDefaultError("which has no default and may not be null")


def _always(value: Any) -> Default:
    return lambda count: [value] * count


def _called(function: Callable[[Any], Any]) -> Any:
    """What a model's default function gives; one that wants to see the statement gets nothing to look at."""
    try:
        return function(None)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise NoDefaultError(f"whose default cannot be made here ({type(error).__name__}: {reason})") from error


def _bound(declared: sa.Column[Any], column: ColumnSpec, value: Any) -> Any:
    """A Python value of the model as it would be stored."""
    process = declared.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    bound = value if value is None or process is None else process(value)
    fitting = _fitting(column, bound)
    is_cipher = column.type.kind is Kind.CIPHERTEXT
    if is_cipher and pc.any(unstored(declared.type, pa.array([fitting], pa.string()))).as_py():
        raise NoDefaultError("whose default only the database itself can encrypt")
    return fitting


def _fitting(column: ColumnSpec, value: Any) -> Any:
    """A driver's value in the column's type; drivers and models say 1 for true and 0.1 for a decimal."""
    if column.type.kind is Kind.BOOL and value in (0, 1):
        return bool(value)
    if column.type.kind is Kind.DECIMAL and isinstance(value, float):
        return to_canonical(column.type, str(value))
    return to_canonical(column.type, value)


def _of_server(column: ColumnSpec, argument: Any, target: DatabaseConnection | None) -> Default:
    if isinstance(argument, str):
        return _always(argument if column.type.kind in TEXT_KINDS else _from_text(column, argument))
    return _asked(column, argument, target)


def _asked(column: ColumnSpec, expression: Any, target: DatabaseConnection | None) -> Default:
    if target is None:
        return _always(None)
    asked = sa.literal_column(expression.text) if isinstance(expression, sa.TextClause) else expression

    def ask(count: int) -> list[Any]:
        """Once for each row: what is random differs."""
        numbers = sa.select(sa.literal(1).label("n")).cte("toolkit_rows", recursive=True)
        numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < count))
        query = sa.select(sa.type_coerce(asked, sa.types.NullType())).select_from(numbers)
        with target.translated():
            return [_of_answer(column, value) for (value,) in target.sqlalchemy.execute(query).all()]

    return ask


def _of_answer(column: ColumnSpec, value: Any) -> Any:
    if column.type.kind in JSON_KINDS and not isinstance(value, str):
        return parse_json_value(column.type, value)
    is_text = isinstance(value, str) and column.type.kind not in TEXT_KINDS
    return _from_text(column, value) if is_text else _fitting(column, value)


def _from_text(column: ColumnSpec, text: str) -> Any:
    """A value as a database's text of it."""
    documents = column.type.kind in JSON_KINDS
    for candidate in (*([] if documents else [text]), *_as_literal(text)):
        try:
            return parse_json_value(column.type, candidate)
        except ValueError:
            continue
    raise NoDefaultError(f"whose default {text!r} is no {column.type.kind}")


def _as_literal(text: str) -> list[Any]:
    import msgspec

    spoken = {"true": True, "false": False, "t": True, "f": False}.get(text.lower())
    try:
        number = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        number = None
    return [value for value in (spoken, number, number == 1 if number in (0, 1) else None) if value is not None]
