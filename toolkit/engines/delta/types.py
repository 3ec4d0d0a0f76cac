"""How the values of each type of the calculator's stand in the files of a lake, and back; nothing is rounded.

Types that Delta lacks are kept in ones that it has, exactly, and the field's metadata names them: a UUID as its 16
bytes, a time as microseconds, an interval as its months, days and microseconds, JSON and others as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
from msgspec import Struct

TYPE = "toolkit.type"
"""What a field's metadata calls the type that its values are of."""
Expression = Callable[[str], str]
_INTERVAL = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())])
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_LIST = re.compile(r"(.*)\[\d*\]", re.DOTALL)
_ELEMENT = re.compile("p[0-9]+")
_DAY = 86_400_000_000
_SAME: dict[str, pa.DataType] = {
    "BOOLEAN": pa.bool_(),
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "VARCHAR": pa.string(),
    "BLOB": pa.binary(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"),
}
# Of these, every value comes back the same from a cast to the other type.
_AS: dict[str, str] = {
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INTEGER",
    "UINTEGER": "BIGINT",
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
    "UUID": "BLOB",
    **dict.fromkeys(
        ("JSON", "BIT", "UBIGINT", "HUGEINT", "UHUGEINT", "TIMESTAMP_NS", "TIME WITH TIME ZONE"), "VARCHAR"
    ),
}


class FileType(Struct, frozen=True):
    """A column's type in the files: Arrow's, and the expressions that make the values of one of the other."""

    arrow: pa.DataType
    stored: Expression
    typed: Expression
    is_native: bool = False
    """Whether it is Delta's own, too, so that no metadata has to name it."""


def file_type(actual: str) -> FileType | None:
    """How values of a type stand in the files; None if there is no exact way."""
    if actual in _SAME:
        return FileType(_SAME[actual], _itself, _itself, is_native=True)
    if found := _DECIMAL.fullmatch(actual):
        return FileType(pa.decimal128(int(found[1]), int(found[2])), _itself, _itself, is_native=True)
    if actual in _AS or actual.startswith("ENUM("):
        other = _AS.get(actual, "VARCHAR")
        return FileType(_SAME[other], _cast(other), _cast(actual))
    if actual == "TIME":
        return FileType(pa.int64(), lambda value: f"epoch_us({value})", _time)
    if actual == "INTERVAL":
        return FileType(_INTERVAL, _parts, _interval)
    if (found := _LIST.fullmatch(actual)) and (element := file_type(found[1])):
        typed = _each(element.typed)
        is_plain = actual.endswith("[]")
        return FileType(
            pa.list_(element.arrow),
            _each(element.stored),
            typed if is_plain else lambda value: f"CAST({typed(value)} AS {actual})",
            element.is_native and is_plain,
        )
    return None


def type_of(field: pa.DataType) -> str | None:
    """The calculator's type of a field that somebody else has made; None if there is none."""
    for name, arrow in _SAME.items():
        if field == arrow:
            return name
    if pa.types.is_decimal128(field):
        return f"DECIMAL({field.precision},{field.scale})"
    if pa.types.is_list(field) or pa.types.is_large_list(field):
        element = type_of(field.value_type)
        return element and f"{element}[]"
    return None


def _itself(value: str) -> str:
    return value


def _cast(type_: str) -> Expression:
    return lambda value: f"CAST({value} AS {type_})"


def _each(expression: Expression) -> Expression:
    if expression is _itself:
        return expression

    def of(value: str) -> str:
        # An element that is a list itself: the names of both are told apart.
        name = f"p{int(value[1:]) + 1}" if _ELEMENT.fullmatch(value) else "p0"
        return f"list_transform({value}, lambda {name}: {expression(name)})"

    return of


def _time(value: str) -> str:
    return (
        f"CASE WHEN {value} = {_DAY} THEN TIME '24:00:00' WHEN {value} BETWEEN 0 AND {_DAY} "
        f"THEN CAST(make_timestamp({value}) AS TIME) WHEN {value} IS NOT NULL THEN error('no time') END"
    )


def _parts(value: str) -> str:
    months = f"date_part('year', {value}) * 12 + date_part('month', {value})"
    minutes = f"(date_part('hour', {value}) * 60 + date_part('minute', {value}))"
    return (
        f"CASE WHEN {value} IS NOT NULL THEN {{'months': CAST({months} AS INTEGER), "
        f"'days': CAST(date_part('day', {value}) AS INTEGER), "
        f"'microseconds': CAST({minutes} * 60000000 + date_part('microsecond', {value}) AS BIGINT)}} END"
    )


def _interval(value: str) -> str:
    return (
        f"CASE WHEN {value} IS NOT NULL THEN to_months({value}.months) + to_days({value}.days) "
        f"+ to_microseconds({value}.microseconds) END"
    )
