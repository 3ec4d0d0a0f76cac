"""The types of MariaDB's columns as SQLAlchemy has them: each holds all values of its column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from toolkit.core.engine_type import EngineType
from toolkit.core.logical import Kind
from toolkit.engines.mariadb.types import ADDRESSES, SHAPES, ActualType, actual_type, labels_of

_DIALECT = "mysql"
_SHAPE = "Its bytes are kept: those of WKB behind four of the SRID"
_LONG_BITS, _LONGEST_BITS = 63, 20
_ODD = {"tinyint": "It holds other numbers than 0 and 1", "time": "It holds times beyond a day"}
_LARGEST = 2**_LONG_BITS - 1


def is_numbered(row: Any) -> bool:
    """Whether the server numbers a column."""
    return "auto_increment" in (row.extra or "").lower()


def questions(name: str, quoted: str, definition: str, *, numbers: bool) -> dict[str, str]:
    """What is to be asked of a column's values before its type is known: whether some are not what it seems to be."""
    actual = actual_type(definition)
    if numbers and _is_longest(actual):
        return {name: f"max({quoted}) > {_LARGEST}"}
    if _is_truth(actual):
        return {name: f"max({quoted} NOT IN (0, 1))"}
    if actual.name == "time":
        return {name: f"max({quoted} < '00:00:00' OR {quoted} > '24:00:00')"}
    return {}


def _is_truth(actual: ActualType) -> bool:
    return actual.name == "tinyint" and actual.size == 1


def _is_longest(actual: ActualType) -> bool:
    return actual.name == "bigint" and actual.unsigned


def types_by_kind(row: Any) -> Mapping[str, TypeEngine[Any]]:
    """What a column is, by what its values are, if it may be one of two: the narrow one and the wide one."""
    actual = actual_type(row.type)
    if _is_truth(actual) and not actual.unsigned:
        return {Kind.BOOL: sa.Boolean(), Kind.INT16: sa.SmallInteger()}
    if actual.name == "time":
        return {Kind.TIME: sa.Time(), Kind.INTERVAL: sa.Interval()}
    if is_numbered(row) and _is_longest(actual):
        # Only the narrow one numbers itself elsewhere.
        return {Kind.INT64: sa.BigInteger(), Kind.DECIMAL: _integer(actual)}
    return {}


def type_of(table: str, row: Any, *, is_document: bool, is_odd: bool) -> tuple[TypeEngine[Any], str | None]:
    """A column's type, and why it is not what it seems, if so; `is_odd`: it has values beyond what it seems to be."""
    actual = actual_type(row.type)
    if is_document:
        return sa.JSON(), None
    if types := types_by_kind(row):
        narrow, wide = types.values()
        return (wide, _ODD.get(actual.name)) if is_odd else (narrow, None)
    if actual.name == "enum":
        return sa.Enum(*labels_of(row.type), name=f"{table}_{row.name}"), None
    if actual.name == "set":
        return EngineType(_DIALECT, row.type, elsewhere=sa.Text()), None
    if actual.name in SHAPES:
        bytes_ = sa.LargeBinary()
        return EngineType(
            _DIALECT, row.type, bytes_, bytes_
        ), "Its bytes are kept: those of WKB behind four of the SRID"
    if actual.name in ADDRESSES:
        return EngineType(_DIALECT, row.type, elsewhere=sa.Text()), None
    made = _TYPES.get(actual.name)
    return (EngineType(_DIALECT, row.type) if made is None else made(actual)), None


def _integer(actual: ActualType) -> TypeEngine[Any]:
    for bits, type_ in ((16, sa.SmallInteger()), (32, sa.Integer()), (64, sa.BigInteger())):
        if actual.bits <= bits:
            return type_
    return sa.Numeric(20, 0)


def _bits(actual: ActualType) -> TypeEngine[Any]:
    if actual.size in (None, 1):
        return sa.Boolean()
    return sa.BigInteger() if (actual.size or 0) <= _LONG_BITS else sa.Numeric(_LONGEST_BITS, 0)


_TYPES: Mapping[str, Callable[[ActualType], TypeEngine[Any]]] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint"), _integer),
    "bit": _bits,
    "year": lambda _: sa.SmallInteger(),
    "decimal": lambda actual: sa.Numeric(actual.size, actual.scale or 0),
    "float": lambda _: sa.REAL(),
    "double": lambda _: sa.Double(),
    "char": lambda actual: sa.String(actual.size),
    "varchar": lambda actual: sa.String(actual.size),
    **dict.fromkeys(("tinytext", "text", "mediumtext", "longtext"), lambda _: sa.Text()),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), lambda _: sa.LargeBinary()),
    "date": lambda _: sa.Date(),
    "datetime": lambda _: sa.DateTime(),
    "timestamp": lambda _: sa.DateTime(timezone=True),
    "uuid": lambda _: sa.Uuid(),
}
