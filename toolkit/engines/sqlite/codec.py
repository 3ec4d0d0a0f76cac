"""How values are stored in SQLite, which knows only integers, doubles, text and bytes.

Forms are those of SQLAlchemy's and Advanced Alchemy's types, so applications read what we write. What SQLite would
change silently is stored as bytes of its text instead, and read back from there: a decimal that no double holds
(NUMERIC affinity rounds it), a bare JSON number like `1.10`, -0.0 (its sign is dropped) and NaN (becomes NULL).
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from toolkit.core.decimals import EXACT, parse_decimal, parse_decimals
from toolkit.core.logical import json_encoded
from toolkit.core.moments import is_end_of_day
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.types import (
    FLOAT_KINDS,
    INFINITE_DATE,
    INFINITE_TIMESTAMP,
    INTEGER_KINDS,
    JSON_KINDS,
    TEXT_KINDS,
    Kind,
    LogicalType,
)
from toolkit.core.values import json_value, parse_json_value
from toolkit.engines.portable.codec import Codec

# Kinds whose column may hold doubles beside text: read as two columns, as no driver here returns mixed ones.
SPLIT_KINDS = FLOAT_KINDS | JSON_KINDS | {Kind.DECIMAL}
_DIALECT = sqlite.dialect()
# What `DateTime` can hold: years 1 to 9999, in microseconds and in days since 1970.
_TIMESTAMPS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
_DATES = (-719_162, 2_932_896)
_UUID_BYTES = 16
# Every integer of so many digits fits into 64 bits.
_SAFE_DIGITS = 18
_INT64 = range(-(2**63), 2**63)
# How many digits any double has room for; what has no more of them is not changed by becoming one.
_DOUBLE_DIGITS = 15
# How a JSON document begins; NaN and the infinities as Python writes them.
_DOCUMENT = r"^\s*[\[{\"tfnNI0-9-]"
_BARE_NUMBER = r"^\s*[-0-9]"


class SqliteCodec(Codec):
    """Between SQLite's storage classes and canonical Arrow columns."""

    def select(self, column: ColumnSpec, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The stored value as it is; the driver returns each with its own storage class."""
        return sa.type_coerce(source, sa.types.NullType())

    def length(self, column: ColumnSpec, source: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """The expression of how many bytes a stored value has: SQLite counts a text's characters to its first NUL."""
        return sa.func.length(sa.cast(self.select(column, source), sa.BLOB))

    def decode_column(self, column: ColumnSpec, values: Sequence[Any]) -> pa.Array:
        """Stored Python values as an Arrow array of the column's canonical type."""
        if column.type.kind not in SPLIT_KINDS:
            return decode_stored(column.type, _stored_array(column.type, values))
        try:
            only_texts = pa.array(values, pa.string())
        except pa.ArrowException:
            pass
        else:
            return decode_split(column.type, pa.nulls(len(values), pa.float64()), only_texts)
        numbers = [v if isinstance(v, float) else None for v in values]
        texts = [
            None if v is None or isinstance(v, float) else v if isinstance(v, str | bytes) else str(v) for v in values
        ]
        return decode_split(column.type, pa.array(numbers, pa.float64()), pa.array(texts, pa.string()))

    def encode_column(self, column: ColumnSpec, values: pa.Array) -> list[Any]:
        """An Arrow array of the column's canonical type as values to bind."""
        kind = column.type.kind
        if kind in _COLUMN_FORMS:
            return _COLUMN_FORMS[kind](values)
        listed: list[Any] = values.to_pylist()
        encode = _VALUE_FORMS.get(kind)
        return listed if encode is None else [None if value is None else encode(column.type, value) for value in listed]

    def encode_stored(self, spec: TableSpec, column: ColumnSpec, values: pa.Array) -> list[Any]:
        """An Arrow array of a table's column as values to bind; a UUID in the form its column's type has."""
        encoded = self.encode_column(column, values)
        if column.type.kind is not Kind.UUID or stores_binary_uuid(spec.table.c[column.name].type):
            return encoded
        return [None if value is None else value.hex() for value in encoded]


def stores_binary_uuid(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether a UUID of this type is stored as 16 bytes (Advanced Alchemy's GUID), not as 32 hexadecimal digits."""
    implementation = type_.dialect_impl(_DIALECT)
    if isinstance(implementation, sa.types.TypeDecorator):
        implementation = implementation.load_dialect_impl(_DIALECT)
    return isinstance(implementation, sa.BINARY | sa.LargeBinary)


def _stored_array(type_: LogicalType, values: Sequence[Any]) -> pa.Array:
    """Stored values as the Arrow reader gives them.

    Raises:
        pyarrow.ArrowException, ValueError: some are of another storage class.
    """
    wanted = stored_arrow_type(type_)
    if type_.kind in TEXT_KINDS and any(type(value) is int for value in values):
        # What is declared as STRING has SQLite turn texts of digits into integers.
        values = [str(value) if type(value) is int else value for value in values]
    if wanted != pa.int64() and type_.kind is not Kind.BYTES:
        return pa.array(values, wanted)
    # Asked for integers, Arrow cuts 5.5 to 5 where one stands beside it, and asked for bytes, makes them of a text.
    stored = pa.array(values)
    if stored.type not in (wanted, pa.null()):
        raise ValueError(f"not {wanted}")
    return stored.cast(wanted)


def stored_arrow_type(type_: LogicalType) -> pa.DataType:
    """The Arrow type of a stored column that is not read as two."""
    if type_.kind in (Kind.UUID, Kind.BYTES):
        return pa.binary()
    if type_.kind is Kind.BOOL or type_.kind in INTEGER_KINDS:
        return pa.int64()
    return pa.string()


def decode_stored(type_: LogicalType, stored: pa.Array) -> pa.Array:
    """A stored column in its canonical type.

    Raises:
        pyarrow.ArrowInvalid, ValueError: some value is not of that type.
    """
    kind = type_.kind
    if kind is Kind.UUID:
        return _uuids(stored)
    if kind is Kind.BOOL:
        if not pc.all(pc.is_in(stored, pa.array([0, 1, None], pa.int64()))).as_py() and len(stored):
            raise ValueError("neither 0 nor 1")
        return stored.cast(pa.bool_())
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return _timestamps(type_, stored)
    if kind is Kind.INTERVAL:
        return stored.cast(pa.timestamp("us")).view(pa.int64()).view(pa.duration("us"))
    if kind is Kind.TIME:
        # Arrow parses no times, but timestamps: that of the first day of 1970 is its time.
        dated = pc.binary_join_element_wise("1970-01-01", stored, " ")
        return dated.cast(pa.timestamp("us")).view(pa.int64()).view(type_.arrow)
    if kind is Kind.ARRAY:
        parsed = [None if text is None else parse_json_value(type_, json.loads(text)) for text in stored.to_pylist()]
        return pa.array(parsed, type_.arrow)
    if kind in TEXT_KINDS:
        stored.validate(full=True)
    return stored.cast(type_.arrow)


def decode_split(type_: LogicalType, numbers: pa.Array, texts: pa.Array) -> pa.Array:
    """A column read as doubles and as text, of which at most one is there in each row, in its canonical type."""
    if type_.kind in FLOAT_KINDS:
        _require_doubles(texts)
        merged = pc.coalesce(numbers, _doubles(texts))
        narrow = merged.cast(type_.arrow)
        # A double in a column declared single is rounded by every engine that has single floats.
        if not narrow.cast(pa.float64()).equals(merged) and type_.kind is Kind.FLOAT32:
            _require_single(merged, narrow)
        return narrow
    if numbers.null_count == len(numbers):
        return _parse_texts(type_, texts)
    as_text = [None if number is None else repr(number) for number in numbers.to_pylist()]
    if type_.kind is Kind.DECIMAL and type_.precision is not None:
        as_text = [None if text is None else str(_as_decimal(type_, text)) for text in as_text]
    return _parse_texts(type_, pc.coalesce(pa.array(as_text, pa.string()), texts))


def _doubles(texts: pa.Array) -> pa.Array:
    """Texts as doubles; Arrow makes infinity of a number that is too large."""
    doubles = texts.cast(pa.float64())
    if pc.any(pc.and_(pc.is_inf(doubles), pc.match_substring_regex(texts, "[0-9]"))).as_py():
        raise ValueError("beyond the largest double")
    return doubles


def _as_decimal(type_: LogicalType, double: str) -> Decimal:
    """A double, given by its shortest text, as the decimal that it stands for.

    Sums of doubles end in digits that nobody wrote (0.1 + 0.2 is 0.30000000000000004): those behind the first 15, which
    SQLite does not show either, do not count.

    Raises:
        ValueError: it has more decimals than the column.
    """
    for number in (Decimal(double), Decimal(format(float(double), f".{_DOUBLE_DIGITS}g"))):
        rounded = _at_scale(type_, number)
        if rounded == number:
            return rounded
    raise ValueError(f"more than {type_.scale or 0} decimals")


def _at_scale(type_: LogicalType, number: Decimal) -> Decimal:
    if not number.is_finite():
        raise ValueError("not a finite decimal")
    return number.quantize(Decimal(1).scaleb(-(type_.scale or 0)), context=EXACT)


def _require_doubles(texts: pa.Array) -> None:
    """Refuse numbers written with more digits than a double holds: integers are read as their text, too."""
    if texts.null_count == len(texts) or pc.max(pc.utf8_length(texts)).as_py() <= _DOUBLE_DIGITS:
        return
    for text in texts.to_pylist():
        if text is not None and len(text) > _DOUBLE_DIGITS and Decimal(text) != Decimal(repr(float(text))):
            raise ValueError(f"{text} is no double-precision number")


def _require_single(merged: pa.Array, narrow: pa.Array) -> None:
    for wide, single in zip(merged.to_pylist(), narrow.to_pylist(), strict=True):
        if wide is not None and not math.isnan(wide) and wide != single:
            raise ValueError(f"{wide} is no single-precision number")


def _parse_texts(type_: LogicalType, texts: pa.Array) -> pa.Array:
    if type_.kind is Kind.DECIMAL:
        return parse_decimals(type_, texts)
    texts.validate(full=True)
    return texts.cast(type_.arrow)


def _uuids(stored: pa.Array) -> pa.Array:
    lengths = pc.min_max(pc.binary_length(stored)).as_py()
    if lengths["min"] in (16, None) and lengths["max"] in (16, None):
        return stored.cast(pa.binary(16))
    parsed = [
        None if value is None else value if len(value) == _UUID_BYTES else uuid.UUID(value.decode("ascii")).bytes
        for value in stored.to_pylist()
    ]
    return pa.array(parsed, pa.binary(16))


def _timestamps(type_: LogicalType, stored: pa.Array) -> pa.Array:
    try:
        naive = stored.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        # Forms other than SQLAlchemy's own, with an offset for one: slower, by Python.
        parsed = [None if text is None else parse_json_value(type_, text) for text in stored.to_pylist()]
        return pa.array(parsed, type_.arrow)
    return naive.view(pa.int64()).view(type_.arrow)


def _within(values: pa.Array, view: pa.DataType, limits: tuple[int, int], infinite: int) -> pa.Array:
    whole = values.view(view)
    extremes = pc.min_max(whole).as_py()
    if extremes["min"] is not None and (extremes["min"] < limits[0] or extremes["max"] > limits[1]):
        raise ValueError("beyond years 1 to 9999" if abs(extremes["max"]) != infinite else "infinite")
    return whole


def _timestamp_texts(values: pa.Array) -> list[Any]:
    whole = _within(values, pa.int64(), _TIMESTAMPS, INFINITE_TIMESTAMP)
    # Arrow writes all six digits of the microseconds, as SQLAlchemy does, and six times faster than by strftime.
    texts: list[Any] = whole.view(pa.timestamp("us")).cast(pa.string()).to_pylist()
    return texts


def _date_texts(values: pa.Array) -> list[Any]:
    _within(values, pa.int32(), _DATES, INFINITE_DATE)
    return [None if day is None else day.isoformat() for day in values.to_pylist()]


def _time_texts(values: pa.Array) -> list[Any]:
    if pc.any(is_end_of_day(values)).as_py():
        raise ValueError("24:00, which no time of Python's is")
    return [None if time is None else time.isoformat("microseconds") for time in values.to_pylist()]


def _interval_texts(values: pa.Array) -> list[Any]:
    return _timestamp_texts(values.view(pa.int64()).view(pa.timestamp("us")))


def _raw_bytes(values: pa.Array) -> list[Any]:
    # Arrow makes Python values of variable length eight times faster than those of fixed length.
    raw: list[Any] = values.cast(pa.binary()).to_pylist()
    return raw


def _flags(values: pa.Array) -> list[Any]:
    flags: list[Any] = values.cast(pa.int8()).to_pylist()
    return flags


def _json_forms(values: pa.Array) -> list[Any]:
    """Text, except bare numbers, which the column's NUMERIC affinity would turn into one and round."""
    texts: list[Any] = values.to_pylist()
    if pc.any(pc.invert(pc.match_substring_regex(values, _DOCUMENT))).as_py():
        raise ValueError("no JSON")
    if not pc.any(pc.match_substring_regex(values, _BARE_NUMBER)).as_py():
        return texts
    return [None if text is None else _json_form(text) for text in texts]


_COLUMN_FORMS: dict[str, Callable[[pa.Array], list[Any]]] = {
    Kind.UUID: _raw_bytes,
    Kind.BOOL: _flags,
    Kind.JSON: _json_forms,
    Kind.FILE: _json_forms,
    Kind.TIMESTAMP: _timestamp_texts,
    Kind.TIMESTAMPTZ: _timestamp_texts,
    Kind.DATE: _date_texts,
    Kind.TIME: _time_texts,
    Kind.INTERVAL: _interval_texts,
}


def _float_form(_: LogicalType, value: float) -> float | bytes:
    if math.isnan(value):
        return b"NaN"
    return b"-0.0" if value == 0 and math.copysign(1, value) < 0 else value


def _decimal_form(type_: LogicalType, value: Decimal | str) -> float | int | bytes:
    """A number where reading it back gives the same decimal, the bytes of its digits elsewhere."""
    number = parse_decimal(value) if isinstance(value, str) else value
    if not number.is_finite():
        raise ValueError("not a finite decimal")
    # Python takes more than a second to make an integer of a hundred thousand digits.
    if number.adjusted() <= _SAFE_DIGITS and number == number.to_integral_value():
        whole = int(number)
        if whole in _INT64 and (type_.precision is not None or str(whole) == str(value)):
            return whole
    double = float(number)
    back = Decimal(repr(double))
    if type_.precision is not None:
        if abs(number) < Decimal(10) ** 15 and _at_scale(type_, back) == number:
            return double
    elif repr(double) == str(value):
        return double
    return str(value).encode() if isinstance(value, str) else format(number, "f").encode()


def _json_form(value: str) -> str | bytes:
    bare = value.strip()
    if not bare or not (bare[0].isdigit() or bare[0] == "-"):
        return value
    whole = bare.removeprefix("-")
    is_integer = value == bare and whole.isdigit() and len(whole) <= _SAFE_DIGITS
    return value if is_integer and str(int(bare)) == bare else value.encode()


def _array_form(type_: LogicalType, value: list[Any]) -> str:
    return json_encoded(json_value(type_, value))


_VALUE_FORMS: dict[str, Callable[[LogicalType, Any], Any]] = {
    Kind.FLOAT32: _float_form,
    Kind.FLOAT64: _float_form,
    Kind.DECIMAL: _decimal_form,
    Kind.ARRAY: _array_form,
}
