"""The table of logical types: a new one is a file in `toolkit/core/adapters/` and a line here."""

from __future__ import annotations

from toolkit.core.adapters.arrays import ArrayAdapter, NestedAdapter
from toolkit.core.adapters.binary import BytesAdapter, UuidAdapter
from toolkit.core.adapters.documents import FileAdapter, JsonAdapter
from toolkit.core.adapters.native import CalendarIntervalAdapter, NativeAdapter, TimetzAdapter
from toolkit.core.adapters.numbers import (
    BoolAdapter,
    DecimalAdapter,
    DoubleAdapter,
    Int16Adapter,
    Int32Adapter,
    Int64Adapter,
    SingleAdapter,
)
from toolkit.core.adapters.stored import StoredAdapter
from toolkit.core.adapters.texts import CiphertextAdapter, EnumAdapter, TextAdapter
from toolkit.core.adapters.times import (
    DateAdapter,
    IntervalAdapter,
    TimeAdapter,
    TimestampAdapter,
    TimestamptzAdapter,
)
from toolkit.core.logical import (
    AS_TEXT,
    FLOAT_KINDS,
    INTEGER_KINDS,
    JSON_KINDS,
    MAX_DECIMAL_DIGITS,
    TEXT_KINDS,
    Kind,
    LogicalType,
    TypeAdapter,
    is_unknown_decorator,
    logical_type,
    register,
)

__all__ = [
    "AS_TEXT",
    "FLOAT_KINDS",
    "INTEGER_KINDS",
    "JSON_KINDS",
    "MAX_DECIMAL_DIGITS",
    "TEXT_KINDS",
    "Kind",
    "LogicalType",
    "TypeAdapter",
    "is_unknown_decorator",
    "logical_type",
]

# A class of SQLAlchemy's that others inherit from stands before them: the last that knows a type has it.
_BUILT_IN: tuple[type[TypeAdapter], ...] = (
    NativeAdapter,
    StoredAdapter,
    NestedAdapter,
    ArrayAdapter,
    TextAdapter,
    EnumAdapter,
    CiphertextAdapter,
    BytesAdapter,
    UuidAdapter,
    JsonAdapter,
    FileAdapter,
    DecimalAdapter,
    DoubleAdapter,
    SingleAdapter,
    Int32Adapter,
    Int64Adapter,
    Int16Adapter,
    BoolAdapter,
    TimestampAdapter,
    TimestamptzAdapter,
    DateAdapter,
    TimeAdapter,
    TimetzAdapter,
    IntervalAdapter,
    CalendarIntervalAdapter,
)
for _each in _BUILT_IN:
    register(_each)
