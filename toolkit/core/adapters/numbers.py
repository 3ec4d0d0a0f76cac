"""Booleans, integers, floats and decimals."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects import postgresql

from toolkit.core.adapters.built_in import BuiltIn, Parser, same, whole_number
from toolkit.core.canonical_bytes import (
    OID_BOOL,
    OID_FLOAT8,
    OID_INT8,
    OID_TEXT,
    Part,
    big_endian,
    fixed,
    numbers,
    variable,
)
from toolkit.core.decimals import at_scale, decimal_text, parse_decimal
from toolkit.core.logical import MAX_DECIMAL_DIGITS, Kind, LogicalType, decoded, json_encoded

_TRUTHS = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}
_INFINITIES = {math.inf: "Infinity", -math.inf: "-Infinity"}
# FLOAT(1) to FLOAT(24) are single precision in PostgreSQL.
_SINGLE_BITS = 24

# The digits of a `bigint` of cents.
_MONEY = (19, 2)


class BoolAdapter(BuiltIn):
    """True or false."""

    kind = Kind.BOOL
    carrier = Kind.BOOL
    storage = pa.bool_()
    parser = Parser(same, "true or false", bool)
    json_type = bool
    plain = bool
    in_arrays = True

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """`Boolean`."""
        return LogicalType(cls.kind) if isinstance(declared, sqltypes.Boolean) else None

    def from_csv(self, text: str) -> Any:
        """In any of the ways that databases write them."""
        return _TRUTHS.get(text.lower(), text)

    def format(self, values: pa.Array) -> pa.Array:
        """As Arrow writes them."""
        return values.cast(pa.string())

    def canonical(self, values: pa.Array) -> list[Part]:
        """PostgreSQL's `bool`."""
        return fixed(OID_BOOL, numbers(values, pa.uint8()).reshape(-1, 1), values)


class Int32Adapter(BuiltIn):
    """A whole number of 32 bits."""

    kind: ClassVar[str] = Kind.INT32
    carrier = Kind.INT32
    storage = pa.int32()
    parser = Parser(same, "an integer", int)
    json_type = int
    plain = int
    in_arrays = True
    declared: ClassVar[type[sqltypes.Integer]] = sqltypes.Integer

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """Integers of this size."""
        return LogicalType(cls.kind) if isinstance(declared, cls.declared) else None

    def from_csv(self, text: str) -> Any:
        """A number."""
        return whole_number(text)

    def format(self, values: pa.Array) -> pa.Array:
        """As Arrow writes them."""
        return values.cast(pa.string())

    def canonical(self, values: pa.Array) -> list[Part]:
        """PostgreSQL's `bigint`, whatever its size."""
        return fixed(OID_INT8, big_endian(numbers(values, pa.int64()), ">i8"), values)


class Int64Adapter(Int32Adapter):
    """A whole number of 64 bits."""

    kind = Kind.INT64
    carrier = Kind.INT64
    storage = pa.int64()
    declared = sqltypes.BigInteger

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """`BigInteger`, and PostgreSQL's `OID`, which is of 32 bits without a sign."""
        return LogicalType(cls.kind) if isinstance(declared, postgresql.OID) else super().recognise(declared)


class Int16Adapter(Int32Adapter):
    """A whole number of 16 bits."""

    kind = Kind.INT16
    carrier = Kind.INT16
    storage = pa.int16()
    declared = sqltypes.SmallInteger


def _float(value: Any) -> float:
    number = float(value)
    if math.isinf(number) and any(map(str.isdigit, str(value))):
        raise OverflowError("finite, but beyond the largest double")
    if not number and isinstance(value, str) and re.search("[1-9]", value.lower().partition("e")[0]):
        raise OverflowError("not zero, but below the smallest double")
    _require_whole(value, number)
    return number


def _single(value: Any) -> float:
    number = _float(value)
    with np.errstate(over="ignore"):  # Infinite then, which `parse` refuses.
        _require_whole(value, float(np.float32(number)))
    return number


def _require_whole(given: Any, number: float) -> None:
    """See that a whole number has kept all of its digits; of others none is exact, and the shortest stand for them."""
    is_whole = isinstance(given, int) or (isinstance(given, str) and given.strip().lstrip("+-").isdecimal())
    if is_whole and math.isfinite(number) and int(number) != int(given):
        raise OverflowError("a whole number with more digits than it keeps")


class DoubleAdapter(BuiltIn):
    """A number of double precision; NaN and the infinities as strings in fixtures."""

    kind: ClassVar[str] = Kind.FLOAT64
    carrier = Kind.FLOAT64
    storage = pa.float64()
    parser = Parser(_float, "a number", int, float, str)
    json_type = int | float | str
    plain = float
    in_arrays = True

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """Floats; those of single precision are another kind."""
        return LogicalType(cls.kind) if isinstance(declared, sqltypes.Float) else None

    def parse_raw(self, raw: msgspec.Raw) -> Any:
        """A number that is not decoded; of one below the smallest double the decoder makes zero."""
        is_zero = decoded(raw) == 0
        return self.parse_json(bytes(raw).decode()) if is_zero else super().parse_raw(raw)

    def json_value(self, value: Any) -> Any:
        """The shortest digits that stand for the number."""
        return value if math.isfinite(value) else _INFINITIES.get(value, "NaN")

    def canonical(self, values: pa.Array) -> list[Part]:
        """PostgreSQL's `double precision`, whatever its size; there is one NaN."""
        floats = numbers(values, pa.float64()).copy()
        floats[np.isnan(floats)] = np.nan
        return fixed(OID_FLOAT8, big_endian(floats, ">f8"), values)


class SingleAdapter(DoubleAdapter):
    """A number of single precision."""

    kind = Kind.FLOAT32
    carrier = Kind.FLOAT32
    storage = pa.float32()
    parser = Parser(_single, "a number", int, float, str)

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """`REAL`, and floats of up to 24 bits."""
        if not isinstance(declared, sqltypes.Float) or isinstance(declared, sqltypes.Double):
            return None
        bits = declared.precision or 53
        return LogicalType(cls.kind) if isinstance(declared, sqltypes.REAL) or bits <= _SINGLE_BITS else None

    def json_value(self, value: Any) -> Any:
        """The shortest digits that stand for the single-precision number: 0.1, not 0.10000000149011612."""
        return super().json_value(float(str(np.float32(value))))

    def format(self, values: pa.Array) -> pa.Array:
        """The same of each."""
        shortest = (None if v is None else self.json_value(v) for v in values.to_pylist())
        return pa.array([None if v is None else json_encoded(v) for v in shortest], pa.string())

    def parse(self, values: Sequence[Any]) -> pa.Array:
        """Arrow takes what is too large for infinite, and what is too small for zero."""
        array, doubles = pa.array(values, self.arrow), pa.array(values, pa.float64())
        if any(pc.sum(lost(array)) != pc.sum(lost(doubles)) for lost in (pc.is_inf, _is_zero)):
            raise OverflowError
        return array

    def require_fit(self, parsed: Any) -> None:
        """Refuse numbers that single precision would take for infinite, or for zero."""
        with np.errstate(over="ignore", under="ignore"):
            single = float(np.float32(parsed))
        if math.isinf(single) != math.isinf(parsed) or (not single and parsed):
            raise OverflowError


def _is_zero(numbers: pa.Array) -> pa.Array:
    return pc.equal(numbers, 0)


class DecimalAdapter(BuiltIn):
    """A decimal, of a fixed precision or of none: that one travels as text."""

    kind = Kind.DECIMAL
    carrier = Kind.DECIMAL
    json_type = msgspec.Raw

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """`Numeric`, and PostgreSQL's `MONEY`."""
        if isinstance(declared, postgresql.MONEY):
            return LogicalType(cls.kind, *_MONEY)
        if not isinstance(declared, sqltypes.Numeric):
            return None
        precision, scale = declared.precision, declared.scale or 0
        if precision is not None and scale < 0:
            precision, scale = precision - scale, 0
        if precision is None or precision > MAX_DECIMAL_DIGITS:
            return LogicalType(cls.kind)
        return LogicalType(cls.kind, precision, scale)

    @property
    def arrow(self) -> pa.DataType:
        """A decimal of 128 bits, or text."""
        precision = self.type.precision
        return pa.string() if precision is None else pa.decimal128(precision, self.type.scale or 0)

    def json_value(self, value: Any) -> Any:
        """All digits, as a string."""
        return format(value, "f") if isinstance(value, Decimal) else decimal_text(value)

    def parse_json(self, value: Any) -> Any:
        """A string or a number."""
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise ValueError("is not a decimal number")  # noqa: TRY004 - as every other value that is none
        return self.from_python(value)

    def parse_raw(self, raw: msgspec.Raw) -> Any:
        """A number by its digits, which are not rounded."""
        text = str(raw, "utf-8")
        value = text if text[:1] in "-0123456789" else decoded(raw)
        return None if value is None else self.parse_json(value)

    def from_python(self, value: Any) -> Any:
        """Any number, by its text."""
        number = parse_decimal(str(value))
        return str(number) if self.type.precision is None else at_scale(self.type, number)

    def to_python(self, value: Any) -> Any:
        """A `Decimal`."""
        return Decimal(value)

    def canonical(self, values: pa.Array) -> list[Part]:
        """PostgreSQL's `trim_scale(value)::text`."""
        texts = [None if v is None else decimal_text(v) for v in values.to_pylist()]
        return variable(OID_TEXT, pa.array(texts, pa.string()))
