"""What is stored in the columns of a table, on any engine whose columns hold values of one type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
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
# PostgreSQL gives back no more than 1,664 values of a row; of a column four are asked at most.
_AT_ONCE = 400


def measured(
    connection: Connection, table: sa.Table, count_bytes: Callable[..., sa.ColumnElement[Any]] = sa.func.length
) -> dict[str, ColumnMeasure]:
    """What is stored in each column, by one pass over the rows; of very wide tables by several."""
    columns, found = list(table.columns), {}
    for start in range(0, len(columns), _AT_ONCE):
        asked = {column.name: _questions(column, count_bytes) for column in columns[start : start + _AT_ONCE]}
        parts = [each for questions in asked.values() for each in questions.values()]
        with connection.translated():
            query = sa.select(sa.func.count(), *parts).select_from(table)
            rows, *answers = connection.sqlalchemy.execute(query).one()
        told = iter(answers)
        for name, questions in asked.items():
            type_ = type_text(table.columns[name].type, connection.sqlalchemy.dialect)
            found[name] = _measure(rows, type_, {what: next(told) for what in questions})
    return found


def _questions(
    column: sa.Column[Any], count_bytes: Callable[..., sa.ColumnElement[Any]]
) -> dict[str, sa.ColumnElement[Any]]:
    """How many values there are, the least, the greatest, the longest, and the digits behind the point."""
    # As the engine has it: a type of the application's own would look at what comes.
    cell = sa.type_coerce(sa.column(column.name), sa.types.NullType())
    text: sa.ColumnElement[str] = sa.cast(cell, sa.Text)
    type_ = logical_type(column.type)
    found: dict[str, sa.ColumnElement[Any]] = {"values": sa.func.count(cell)}
    if type_.kind in _ORDERED:
        found |= {"least": sa.cast(sa.func.min(cell), sa.Text), "greatest": sa.cast(sa.func.max(cell), sa.Text)}
    elif type_.kind in (Kind.TEXT, Kind.ENUM):
        ends = {"least": sa.func.min(text), "greatest": sa.func.max(text)}
        found |= {what: sa.func.substr(each, 1, _SHOWN) for what, each in ends.items()}
    if type_.kind == Kind.DECIMAL:
        found["scale"] = sa.func.max(_digits_behind(text))
    elif type_.carrier is Kind.BYTES:
        found["longest"] = sa.func.max(count_bytes(cell))
    elif type_.kind not in _ORDERED and type_.carrier in (Kind.TEXT, Kind.JSON):
        found["longest"] = sa.func.max(sa.func.length(text))
    return found


def _digits_behind(text: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """How many digits a decimal has behind its point, without zeros at the end."""
    needed = sa.func.rtrim(text, "0")
    behind = sa.func.length(needed) - sa.func.length(sa.func.rtrim(needed, _DIGITS))
    return sa.case((text.like("%.%"), behind), else_=0)


def _measure(rows: int, type_: str, told: Mapping[str, Any]) -> ColumnMeasure:
    values, least, greatest, scale = (told.get(what) for what in ("values", "least", "greatest", "scale"))
    return ColumnMeasure(
        rows,
        rows - (values or 0),
        {type_: values} if values else {},
        least=least,
        greatest=greatest,
        longest=told.get("longest"),
        precision=None if scale is None else _digits_before(least, greatest) + scale,
        scale=scale,
    )


def _digits_before(*numbers: str | None) -> int:
    # With a sign, or of money.
    return max(len(re.sub(r"\D", "", (each or "").partition(".")[0]).lstrip("0")) for each in numbers)
