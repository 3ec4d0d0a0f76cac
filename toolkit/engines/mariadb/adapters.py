"""How values stand in MariaDB, type by type. What it would change without a word is refused here, value by value.

Texts and documents are read as they are stored, times by the server's own text of them, which shows what no driver's
classes do: zero dates, hours beyond a day. UUIDs stand as bytes, as digits or in a type of their own, by their column.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from toolkit.core.adapters.arrays import NestedAdapter
from toolkit.core.decimals import decimal_text, fraction_digits, parse_decimals
from toolkit.core.logical import json_encoded
from toolkit.core.tables import ColumnSpec
from toolkit.core.types import Kind
from toolkit.engines.mariadb.adapter import MariaDBAdapter, Text, require
from toolkit.engines.mariadb.binary import Bytes, Uuid
from toolkit.engines.mariadb.dialect import DIALECT
from toolkit.engines.mariadb.stored_columns import StoredColumn
from toolkit.engines.mariadb.times import Date, Interval, Time, Timestamp
from toolkit.engines.mariadb.types import ADDRESSES, BYTES, FLOATS, INTEGERS, SHAPES, TEXTS, ActualType
from toolkit.engines.mariadb.zero_dates import DATES, is_text_of_dates
from toolkit.engines.portable.codec import Codec
from toolkit.engines.portable.decorated import Decorated

_YEARS = range(1901, 2156)
# Arrow takes 36 µs to make one of these of a Python value.
_ZERO, _ONE = pa.scalar(0, pa.int64()), pa.scalar(1, pa.int64())


class Native(Text):
    """A type of another engine's by its text; addresses, whole numbers and dates of no calendar by theirs, too."""

    names = Text.names | ADDRESSES | {"uuid", "year"}

    def is_read(self, actual: ActualType) -> bool:
        is_whole = actual.name == "decimal" and not actual.scale
        return super().is_read(actual) or is_whole or (is_text_of_dates(self.declared) and actual.name in DATES)

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        cell = super().select(source)
        return sa.cast(cell, sa.CHAR) if is_text_of_dates(self.declared) else cell


class Json(Text):
    """Documents, as they are written."""

    names = TEXTS


class Integer(MariaDBAdapter):
    """Whole numbers, signed or not; the bits of a BIT as the number that they are."""

    names = frozenset(INTEGERS) | {"bit", "year"}

    def is_read(self, actual: ActualType) -> bool:
        return super().is_read(actual) or (actual.name == "decimal" and not actual.scale)

    def told(self, cell: str) -> str:
        return f"({cell} + 0)" if self.actual.name == "bit" else cell

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        return _numbers(fetched[0], pa.int64()).cast(self.type.arrow)

    def decode(self, values: Sequence[Any]) -> pa.Array:
        return pa.array([_whole(value) for value in values], self.type.arrow)

    def sent(self, values: pa.Array) -> pa.Array:
        if self.actual.name == "year":
            # The text 0 would be the year 2000.
            return pa.array([None if year is None else f"{year:04d}" for year in self.bound(values)], pa.string())
        return values.cast(pa.int64()).cast(pa.string())

    def received(self, variable: str) -> str | None:
        return _bits(self.actual, variable)

    def bound(self, values: pa.Array) -> list[Any]:
        listed: list[Any] = values.to_pylist()
        if self.actual.name == "year":
            require(listed, _is_year, "is no year that its column keeps")
        return listed


def _is_year(number: int) -> bool:
    """Of any other number, the server makes a year of a century, or an error."""
    return number == 0 or number in _YEARS


def _numbers(fetched: pa.Array, type_: pa.DataType) -> pa.Array:
    return fetched.cast(pa.string()).cast(type_)


def _bits(actual: ActualType, variable: str) -> str | None:
    """Of a text, a BIT has its characters' bits."""
    return f"CAST({variable} AS UNSIGNED)" if actual.name == "bit" else None


def _whole(value: Any) -> int | None:
    if isinstance(value, bytes):
        return int.from_bytes(value)
    if value is None or (isinstance(value, int | Decimal) and value == int(value)):
        return None if value is None else int(value)
    raise ValueError("no whole number")


class Bool(Integer):
    """0 and 1."""

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        whole = _numbers(fetched[0], pa.int64())
        if pc.any(pc.or_(pc.less(whole, _ZERO), pc.greater(whole, _ONE))).as_py():
            raise ValueError("neither 0 nor 1")
        return whole.cast(self.type.arrow)

    def decode(self, values: Sequence[Any]) -> pa.Array:
        whole = [_whole(value) for value in values]
        if not set(whole) <= {0, 1, None}:
            raise ValueError("neither 0 nor 1")
        return pa.array([None if each is None else bool(each) for each in whole], self.type.arrow)

    def bound(self, values: pa.Array) -> list[Any]:
        return [None if value is None else int(value) for value in values.to_pylist()]


class Float(MariaDBAdapter):
    """Doubles and singles. A single is shown with six digits, but as a part of a sum with all of them."""

    names = FLOATS
    # Neither can be written: not even a literal of it, or a cast, gives -0.0.
    problem: ClassVar[str] = "cannot be kept: there is neither NaN nor infinity nor a negative zero"

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.type_coerce(source, sa.types.NullType()).op("+")(sa.literal_column("0e0"))

    def told(self, cell: str) -> str:
        return f"({cell} + 0e0)"

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        return self._narrow(_numbers(fetched[0], pa.float64()))

    def decode(self, values: Sequence[Any]) -> pa.Array:
        return self._narrow(pa.array(values, pa.float64()))

    def _narrow(self, doubles: pa.Array) -> pa.Array:
        narrow = doubles.cast(self.type.arrow)
        if self.type.carrier is Kind.FLOAT32 and not narrow.cast(pa.float64()).equals(doubles):
            raise ValueError("a double that is no single")
        return narrow

    def bound(self, values: pa.Array) -> list[Any]:
        listed: list[Any] = values.to_pylist()
        require(listed, _is_plain, self.problem)
        if self.type.carrier is Kind.FLOAT64 and self.actual.name == "float":
            require(listed, _is_single, "is more exact than its column")
        return self._within(listed) if self.actual.name == "float" and self.actual.scale is not None else listed

    def _within(self, values: Sequence[float | None]) -> list[float | None]:
        """Values for a single of some digits, whose highest the server rounds up as it stores it: beyond them."""
        size, scale = self.actual.size or 0, self.actual.scale or 0
        most = float(f"{'9' * (size - scale)}.{'9' * scale}")
        stored = float(np.float32(most))
        beyond = {stored: most, -stored: -most} if stored > most else {}
        return [None if value is None else beyond.get(value, value) for value in values]


def _is_plain(value: float) -> bool:
    return math.isfinite(value) and not (value == 0 and math.copysign(1, value) < 0)


def _is_single(value: float) -> bool:
    with np.errstate(over="ignore"):
        return float(np.float32(value)) == value


class Numeric(MariaDBAdapter):
    """Decimals; those without a number of digits in a column of many, without the zeros that it has behind them."""

    names = frozenset({"decimal", *INTEGERS, "bit"})

    def told(self, cell: str) -> str:
        return f"({cell} + 0)" if self.actual.name == "bit" else cell

    def is_read(self, actual: ActualType) -> bool:
        # Of more digits than a column of this kind has, there are texts.
        return super().is_read(actual) or (self.type.precision is None and actual.name in TEXTS)

    def received(self, variable: str) -> str | None:
        return _bits(self.actual, variable)

    def decode(self, values: Sequence[Any]) -> pa.Array:
        texts = [
            f"{value:f}" if isinstance(value, Decimal) else None if value is None else str(value) for value in values
        ]
        if self.type.precision is None and self.actual.name == "decimal":
            texts = [None if text is None else decimal_text(text) for text in texts]
        return parse_decimals(self.type, pa.array(texts, pa.string()))

    def bound(self, values: pa.Array) -> list[Any]:
        actual, listed = self.actual, values.to_pylist()
        if actual.name in TEXTS:
            return [None if value is None else str(value) for value in listed]
        numbers = [None if value is None else Decimal(value) for value in listed]
        scale = actual.scale or 0
        require(numbers, lambda number: number.is_finite(), "is no number that a decimal can be")
        require(
            numbers, lambda number: fraction_digits(number) <= scale, f"has more than {scale} digits behind the point"
        )
        return numbers


def _digits(value: Any) -> str:
    if isinstance(value, bytes):
        return str(int.from_bytes(value))
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


class Array(MariaDBAdapter):
    """A JSON list."""

    def decode(self, values: Sequence[Any]) -> pa.Array:
        parse = self.form.parse_json
        return pa.array([None if text is None else parse(json.loads(text)) for text in values], self.type.arrow)

    def bound(self, values: pa.Array) -> list[Any]:
        form = self.form.json_value
        return [None if value is None else json_encoded(form(value)) for value in values.to_pylist()]


class _OwnForm(Text):
    """A text that is written in several ways, and travels in one."""

    names = TEXTS
    has_own_form = True

    def _parse(self, text: str) -> Any:
        return self.form.parse_json(text)

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        return self.decode(fetched[0].cast(pa.string()).to_pylist())

    def decode(self, values: Sequence[Any]) -> pa.Array:
        return pa.array([None if text is None else self._parse(text) for text in values], pa.string())


class Nested(_OwnForm):
    """An array by its document."""

    def _parse(self, text: str) -> Any:
        assert isinstance(self.form, NestedAdapter)
        return self.form.parse_document(text)


class Stored(MariaDBAdapter):
    """Any value, by the server's text of it, and bytes as such: what a conversion is given.

    Which of both it is, is said here: of what is longer than max_allowed_packet, a function of the server makes NULL.
    """

    has_own_form = True

    def is_read(self, actual: ActualType) -> bool:
        return True

    @property
    def _added(self) -> str | None:
        """What makes all digits be told of a number."""
        return {"bit": "0", **dict.fromkeys(FLOATS, "0e0")}.get(self.actual.name)

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        cell = sa.type_coerce(source, sa.types.NullType())
        if self.actual.name in BYTES | SHAPES | TEXTS:
            return cell
        number: sa.ColumnElement[Any] = sa.literal_column(self._added or "")
        return sa.cast(cell.op("+")(number) if self._added else cell, sa.CHAR)

    def told(self, cell: str) -> str:
        return f"({cell} + {self._added})" if self._added else cell

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        if self.actual.name in BYTES | SHAPES:
            return self.decode(fetched[0].to_pylist())
        return super().incoming(*fetched)

    def decode(self, values: Sequence[Any]) -> pa.Array:
        return pa.array([None if value is None else _marked(value) for value in values], pa.string())


def _marked(value: str | bytes) -> str:
    return f"b{value.hex().upper()}" if isinstance(value, bytes) else f"t{value}"


ADAPTERS: dict[str, type[MariaDBAdapter]] = {
    Kind.TEXT: Text,
    Kind.JSON: Json,
    Kind.UUID: Uuid,
    Kind.BYTES: Bytes,
    Kind.BOOL: Bool,
    Kind.INT16: Integer,
    Kind.INT32: Integer,
    Kind.INT64: Integer,
    Kind.FLOAT32: Float,
    Kind.FLOAT64: Float,
    Kind.DECIMAL: Numeric,
    Kind.TIMESTAMP: Timestamp,
    Kind.TIMESTAMPTZ: Timestamp,
    Kind.DATE: Date,
    Kind.TIME: Time,
    Kind.INTERVAL: Interval,
    Kind.ARRAY: Array,
    Kind.NESTED: Nested,
    Kind.TIMETZ: _OwnForm,
    Kind.CALENDAR_INTERVAL: _OwnForm,
    Kind.NATIVE: Native,
    Kind.STORED: Stored,
}


class MariaDBCodec(Codec[MariaDBAdapter]):
    """Between MariaDB's values and canonical batches."""

    adapters = ADAPTERS
    dialect = DIALECT

    def adapter(self, column: ColumnSpec) -> MariaDBAdapter:
        """How a column's values stand, by its own type where that is known."""
        found = super().adapter(column)
        if isinstance(column, StoredColumn):
            inner: Any = found.stored if isinstance(found, Decorated) else found
            inner.stored_as = column.stored_as
        return found


CODEC = MariaDBCodec()
