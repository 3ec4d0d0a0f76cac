"""How a single value looks: as JSON in a fixture, as text in a message, as Python in between.

The rules: UUID hyphenated, timestamps ISO 8601 (with offset where the type has one, microseconds when not zero),
decimals and bytes as strings (bytes base64), NaN and infinities as strings, enums by stored name, JSON nested.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import math
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import pyarrow as pa

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

_SHOWN = 80
_MICROSECOND = dt.timedelta(microseconds=1)


def json_text(type_: LogicalType, value: Any) -> str:
    """A canonical value (as Arrow's `to_pylist` gives it) as JSON text."""
    return json.dumps(json_value(type_, value), ensure_ascii=False)


def json_value(type_: LogicalType, value: Any) -> Any:
    """A canonical value as what the `json` module writes."""
    if value is None:
        return None
    kind = type_.kind
    if kind is Kind.ARRAY:
        assert type_.element is not None
        return [json_value(type_.element, part) for part in value]
    if kind is Kind.UUID:
        return str(uuid.UUID(bytes=value))
    if kind in FLOAT_KINDS and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if kind is Kind.BYTES:
        return base64.b64encode(value).decode()
    if kind is Kind.DECIMAL:
        return str(value)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.DATE, Kind.TIME):
        return value.isoformat()
    if kind is Kind.INTERVAL:
        return value // _MICROSECOND
    return json.loads(value) if kind in JSON_KINDS else value


def parse_json_value(type_: LogicalType, value: Any) -> Any:
    """The canonical value that a fixture's JSON value stands for.

    Raises:
        ValueError: it is no value of this type; the message says what is expected.
    """
    if value is None:
        return None
    if type_.kind in JSON_KINDS:
        return msgspec.json.encode(value).decode()
    if type_.kind is Kind.ARRAY:
        assert type_.element is not None
        if not isinstance(value, list):
            raise ValueError("is not a list")
        return [parse_json_value(type_.element, part) for part in value]
    return _PARSERS[type_.kind](value)


def _parser(parse: Callable[[Any], Any], expected: str, *accepted: type) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
            raise ValueError(f"is not {expected}")
        try:
            return parse(value)
        except (ValueError, InvalidOperation, binascii.Error) as error:
            raise ValueError(f"is not {expected}") from error

    return checked


def _float(value: Any) -> float:
    return float(value)


def _timestamp(value: str) -> dt.datetime:
    """A naive timestamp."""
    parsed = dt.datetime.fromisoformat(value)
    if parsed.tzinfo is not None:
        raise ValueError
    return parsed


def _timestamptz(value: str) -> dt.datetime:
    """An instant; without an offset it is UTC."""
    parsed = dt.datetime.fromisoformat(value)
    return parsed.replace(tzinfo=dt.UTC) if parsed.tzinfo is None else parsed.astimezone(dt.UTC)


def _identity(value: Any) -> Any:
    return value


_TEXT = _parser(_identity, "a string", str)
_INTEGER = _parser(_identity, "an integer", int)
_FLOAT = _parser(_float, "a number", int, float, str)

_PARSERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.UUID: _parser(lambda v: uuid.UUID(v).bytes, "a UUID", str),
    Kind.TIMESTAMP: _parser(_timestamp, "an ISO 8601 timestamp without offset", str),
    Kind.TIMESTAMPTZ: _parser(_timestamptz, "an ISO 8601 timestamp", str),
    Kind.DATE: _parser(dt.date.fromisoformat, "an ISO 8601 date", str),
    Kind.TIME: _parser(dt.time.fromisoformat, "an ISO 8601 time", str),
    Kind.INTERVAL: _parser(lambda v: dt.timedelta(microseconds=v), "a number of microseconds", int),
    Kind.BOOL: _parser(_identity, "true or false", bool),
    Kind.DECIMAL: _parser(lambda v: Decimal(str(v)), "a decimal number", str, int, float),
    Kind.BYTES: _parser(lambda v: base64.b64decode(v, validate=True), "base64 text", str),
    **dict.fromkeys(TEXT_KINDS, _TEXT),
    **dict.fromkeys(INTEGER_KINDS, _INTEGER),
    **dict.fromkeys(FLOAT_KINDS, _FLOAT),
}


def show_key(names: tuple[str, ...], types: tuple[LogicalType, ...], values: tuple[Any, ...]) -> str:
    """A row's key for a message: `id=9f1c…`."""
    return ", ".join(f"{n}={show_value(t, v)}" for n, t, v in zip(names, types, values, strict=True))


def show_value(type_: LogicalType, value: Any) -> str:
    """A value for a message, at most 80 characters."""
    try:
        text = str(json_value(type_, value))
    except (ValueError, TypeError, AttributeError):
        text = repr(value)
    return shortened(text)


def shortened(text: str) -> str:
    """At most 80 characters of a text, for a message."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def python_scalar(value: pa.Scalar) -> Any:
    """A scalar's Python value; a date or time that Python cannot hold as text."""
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        whole = value.cast(pa.int32() if pa.types.is_date32(value.type) else pa.int64()).as_py()
        if abs(whole) in (INFINITE_DATE, INFINITE_TIMESTAMP):
            return "infinity" if whole > 0 else "-infinity"
        return value.cast(pa.string()).as_py()
