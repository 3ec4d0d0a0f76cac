"""What is stored in the columns of a table, on any engine whose columns hold values of one type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from toolkit.core.schema import ColumnMeasure
from toolkit.core.types import FLOAT_KINDS, INTEGER_KINDS, Kind, logical_type
from toolkit.engines.portable.type_texts import type_text

if TYPE_CHECKING:
    from toolkit.engines.contract import Connection

# Longer than what is shown, so that it is seen to be shortened.
_SHOWN = 100
_MOMENTS = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TIMETZ})
_INTERVALS = frozenset({Kind.INTERVAL, Kind.CALENDAR_INTERVAL})
_ORDERED = INTEGER_KINDS | FLOAT_KINDS | _MOMENTS | _INTERVALS | {Kind.DECIMAL}
_DIGITS = "0123456789"


def measured(connection: Connection, table: sa.Table) -> dict[str, ColumnMeasure]:
    """What is stored in each column, by one pass over the rows."""
    columns = list(table.columns)
    asked = [_questions(column) for column in columns]
    query = sa.select(sa.func.count(), *(each for part in asked for each in part)).select_from(table)
    with connection.translated():
        rows, *answers = connection.sqlalchemy.execute(query).one()
    found = iter(answers)
    return {
        column.name: _measure(connection, column, rows, [next(found) for _ in part])
        for column, part in zip(columns, asked, strict=True)
    }


def _questions(column: sa.Column[Any]) -> Sequence[sa.ColumnElement[Any]]:
    """How many values there are, the least, the greatest, the longest, and the digits behind the point."""
    # As the engine has it: a type of the application's own would look at what comes.
    cell = sa.type_coerce(sa.column(column.name), sa.types.NullType())
    text: sa.ColumnElement[str] = sa.cast(cell, sa.Text)
    type_ = logical_type(column.type)
    least: sa.ColumnElement[Any] = sa.null()
    greatest, longest, scale = least, least, least
    if type_.kind in _ORDERED:
        least, greatest = (sa.cast(each(cell), sa.Text) for each in (sa.func.min, sa.func.max))
    elif type_.kind in (Kind.TEXT, Kind.ENUM):
        least, greatest = (sa.func.substr(each(text), 1, _SHOWN) for each in (sa.func.min, sa.func.max))
    if type_.kind not in _ORDERED and type_.carrier in (Kind.TEXT, Kind.JSON):
        longest = sa.func.max(sa.func.length(text))
    elif type_.carrier is Kind.BYTES:
        longest = sa.func.max(sa.func.octet_length(cell))
    elif type_.kind == Kind.DECIMAL:
        scale = sa.func.max(_digits_behind(text))
    return sa.func.count(cell), least, greatest, longest, scale


def _digits_behind(text: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """How many digits a decimal has behind its point, without zeros at the end."""
    needed = sa.func.rtrim(text, "0")
    behind = sa.func.length(needed) - sa.func.length(sa.func.rtrim(needed, _DIGITS))
    return sa.case((text.like("%.%"), behind), else_=0)


def _measure(connection: Connection, column: sa.Column[Any], rows: int, answers: Sequence[Any]) -> ColumnMeasure:
    values, least, greatest, longest, scale = answers
    is_decimal = scale is not None
    return ColumnMeasure(
        rows,
        rows - values,
        {type_text(column.type, connection.sqlalchemy.dialect): values} if values else {},
        least=least,
        greatest=greatest,
        longest=longest,
        precision=_digits_before(least, greatest) + scale if is_decimal else None,
        scale=scale,
    )


def _digits_before(*numbers: str | None) -> int:
    # With a sign, or of money.
    return max(len(re.sub(r"\D", "", (each or "").partition(".")[0]).lstrip("0")) for each in numbers)
