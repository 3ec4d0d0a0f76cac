"""Logical types: what a column holds, the same for every engine, and the Arrow type it travels in.

A value travels at storage level: a UUID as its 16 bytes, an enum by its stored name, JSON as its text, an encrypted
column as its ciphertext. `infinity` dates and times travel as the largest and smallest integer (DuckDB's encoding).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeGuard

import pyarrow as pa
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects import postgresql

from toolkit.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

INFINITE_TIMESTAMP = 2**63 - 1
INFINITE_DATE = 2**31 - 1
MAX_DECIMAL_DIGITS = 38
_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]
# FLOAT(1) to FLOAT(24) are single precision in PostgreSQL.
_SINGLE_BITS = 24


class Kind(StrEnum):
    """The logical types of the canonical schema."""

    UUID = "uuid"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    DATE = "date"
    TIME = "time"
    INTERVAL = "interval"
    BOOL = "bool"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    DECIMAL = "decimal"
    TEXT = "text"
    BYTES = "bytes"
    JSON = "json"
    ENUM = "enum"
    ARRAY = "array"
    CIPHERTEXT = "ciphertext"
    FILE = "file"


TEXT_KINDS = frozenset({Kind.TEXT, Kind.ENUM, Kind.CIPHERTEXT})
JSON_KINDS = frozenset({Kind.JSON, Kind.FILE})
INTEGER_KINDS = frozenset({Kind.INT16, Kind.INT32, Kind.INT64})
FLOAT_KINDS = frozenset({Kind.FLOAT32, Kind.FLOAT64})
# What an array may hold: values whose form inside a JSON list is the same in every engine.
ELEMENT_KINDS = TEXT_KINDS | INTEGER_KINDS | FLOAT_KINDS | {Kind.BOOL, Kind.UUID, Kind.DATE}

_ARROW: dict[Kind, pa.DataType] = {
    Kind.UUID: pa.binary(16),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.time64("us"),
    Kind.INTERVAL: pa.duration("us"),
    Kind.BOOL: pa.bool_(),
    Kind.INT16: pa.int16(),
    Kind.INT32: pa.int32(),
    Kind.INT64: pa.int64(),
    Kind.FLOAT32: pa.float32(),
    Kind.FLOAT64: pa.float64(),
    Kind.TEXT: pa.string(),
    Kind.BYTES: pa.binary(),
    Kind.JSON: pa.string(),
    Kind.ENUM: pa.string(),
    Kind.CIPHERTEXT: pa.string(),
    Kind.FILE: pa.string(),
}


@dataclass(frozen=True, slots=True)
class LogicalType:
    """What a column holds. `precision` and `scale` belong to decimals, `element` to arrays."""

    kind: Kind
    precision: int | None = None
    scale: int | None = None
    element: LogicalType | None = None

    def __str__(self) -> str:
        """The type for a message: `decimal(10, 2)`, `array of int32`."""
        if self.kind is Kind.ARRAY:
            return f"{self.kind} of {self.element}"
        return f"{self.kind}({self.precision}, {self.scale})" if self.precision is not None else str(self.kind)

    @property
    def is_free_decimal(self) -> bool:
        """Whether this is a decimal without a fixed precision: equal values may differ as texts (1.5 and 1.500)."""
        return self.kind is Kind.DECIMAL and self.precision is None

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of the canonical schema. A decimal without a fixed precision travels as text."""
        if self.kind is Kind.ARRAY:
            assert self.element is not None
            return pa.list_(self.element.arrow)
        if self.kind is Kind.DECIMAL:
            return pa.string() if self.precision is None else pa.decimal128(self.precision, self.scale or 0)
        return _ARROW[self.kind]


# Ordered: the first class that a type is an instance of decides. Subclasses stand before their bases.
_KINDS: tuple[tuple[type[TypeEngine[Any]], Kind], ...] = (
    (sqltypes.Uuid, Kind.UUID),
    (sqltypes.Enum, Kind.ENUM),
    (sqltypes.DateTime, Kind.TIMESTAMP),
    (sqltypes.Date, Kind.DATE),
    (sqltypes.Time, Kind.TIME),
    (postgresql.INTERVAL, Kind.INTERVAL),
    (sqltypes.Boolean, Kind.BOOL),
    (sqltypes.SmallInteger, Kind.INT16),
    (sqltypes.BigInteger, Kind.INT64),
    (sqltypes.Integer, Kind.INT32),
    (sqltypes.REAL, Kind.FLOAT32),
    (sqltypes.Float, Kind.FLOAT64),
    (sqltypes.Numeric, Kind.DECIMAL),
    (sqltypes.JSON, Kind.JSON),
    (sqltypes.LargeBinary, Kind.BYTES),
    (sqltypes.BINARY, Kind.BYTES),
    (sqltypes.VARBINARY, Kind.BYTES),
    (sqltypes.String, Kind.TEXT),
    (sqltypes.ARRAY, Kind.ARRAY),
)


@lru_cache(maxsize=1)
def _known_decorators() -> tuple[tuple[type[Any], Kind], ...]:
    """SQLAlchemy's and Advanced Alchemy's own: their storage form is known, so their processors are never run."""
    from advanced_alchemy.types import GUID, EncryptedString, EncryptedText, PasswordHash
    from advanced_alchemy.types.file_object import StoredObject

    return (
        (sqltypes.Interval, Kind.INTERVAL),
        (GUID, Kind.UUID),
        (EncryptedString, Kind.CIPHERTEXT),
        (EncryptedText, Kind.CIPHERTEXT),
        (PasswordHash, Kind.TEXT),
        (StoredObject, Kind.FILE),
    )


def is_unknown_decorator(type_: TypeEngine[Any]) -> TypeGuard[sqltypes.TypeDecorator[Any]]:
    """Whether a type has processors of its own that nothing here knows."""
    known = tuple(known for known, _ in _known_decorators())
    return isinstance(type_, sqltypes.TypeDecorator) and not isinstance(type_, known)


def logical_type(type_: TypeEngine[Any], column: str = "") -> LogicalType:
    """The logical type of a SQLAlchemy type; a decorator counts as what it stores in PostgreSQL.

    Raises:
        ConfigurationError: the type has no portable meaning.
    """
    if isinstance(type_, sqltypes.TypeDecorator):
        for known, kind in _known_decorators():
            if isinstance(type_, known):
                return LogicalType(kind)
        return logical_type(type_.load_dialect_impl(_POSTGRESQL), column)
    for known, kind in _KINDS:
        if isinstance(type_, known):
            return _with_details(kind, type_, column)
    raise ConfigurationError(
        f"Column {column or '?'} has type {type_!r}, which has no meaning shared by SQLite, PostgreSQL and DuckDB.",
        "Give the column a portable type, or leave its table out: --exclude TABLE.",
    )


def _with_details(kind: Kind, type_: Any, column: str) -> LogicalType:
    if kind is Kind.TIMESTAMP and type_.timezone:
        return LogicalType(Kind.TIMESTAMPTZ)
    if kind is Kind.FLOAT64 and not isinstance(type_, sqltypes.Double) and (type_.precision or 53) <= _SINGLE_BITS:
        return LogicalType(Kind.FLOAT32)
    if kind is Kind.DECIMAL:
        if type_.precision is None or type_.precision > MAX_DECIMAL_DIGITS:
            return LogicalType(kind)
        return LogicalType(kind, type_.precision, type_.scale or 0)
    if kind is Kind.ARRAY:
        if type_.dimensions not in (None, 1):
            raise ConfigurationError(
                f"Column {column or '?'} is an array of {type_.dimensions} dimensions; only one is portable.",
                "Store it as JSON, or leave its table out: --exclude TABLE.",
            )
        element = logical_type(type_.item_type, column)
        if element.kind not in ELEMENT_KINDS:
            raise ConfigurationError(
                f"Column {column or '?'} is an array of {element.kind}, which has no form shared by all engines.",
                "Store it as JSON, or leave its table out: --exclude TABLE.",
            )
        return LogicalType(kind, element=element)
    return LogicalType(kind)
