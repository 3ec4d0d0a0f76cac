"""How a single value looks: as JSON in a fixture, as text in a message.

The rules are those of the types' adapters (`toolkit/core/adapters/`): UUID hyphenated, timestamps ISO 8601 (with offset
where the type has one, microseconds when not zero, a sign before years of more or less than four digits), decimals and
bytes as strings (bytes base64), NaN and infinities as strings, enums by stored name, intervals in microseconds, JSON
nested. `null` is SQL's NULL; in a column of documents, the document `null` is `{"$json": null}`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pyarrow as pa

from toolkit.core.adapters.native import duration_text
from toolkit.core.json_columns import parse_value
from toolkit.core.moments import DAY, INFINITE_DATE, INFINITE_TIMESTAMP
from toolkit.core.types import LogicalType

_SHOWN = 80


def json_value(type_: LogicalType, value: Any) -> Any:
    """A canonical value (as Arrow's `to_pylist` gives it) as what the `json` module writes."""
    return None if value is None else type_.adapter.json_value(value)


def parse_json_value(type_: LogicalType, value: Any) -> Any:
    """The canonical value that a fixture's JSON value stands for.

    Raises:
        ValueError: it is no value of this type; the message says what is expected.
    """
    return None if value is None else type_.adapter.parse_json(value)


def parse_text(type_: LogicalType, text: str) -> Any:
    """The canonical value that a text stands for, as in a CSV file; '' is an empty text.

    Raises:
        ValueError: it is no value of this type; the message says what is expected.
        OverflowError, pyarrow.ArrowException: it does not fit into a column of the type.
    """
    adapter = type_.adapter
    if adapter.is_nested:
        return parse_value(type_, msgspec.json.decode(text, type=msgspec.Raw))
    value = adapter.parse_json(adapter.from_csv(text))
    adapter.require_fit(value)
    return value


def show_key(names: tuple[str, ...], types: tuple[LogicalType, ...], values: tuple[Any, ...]) -> str:
    """A row's key for a message: `id=9f1c…`."""
    return ", ".join(f"{n}={show_value(t, v)}" for n, t, v in zip(names, types, values, strict=True))


def show_value(type_: LogicalType, value: Any) -> str:
    """A value for a message, at most 80 characters."""
    if value is None:
        return "NULL"
    if type_.is_document and isinstance(value, str):
        return shortened(value)
    if isinstance(value, dt.timedelta):
        return duration_text(0, value.days, value.seconds * 1_000_000 + value.microseconds)
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
    if pa.types.is_time64(value.type) and value.cast(pa.int64()).as_py() == DAY:
        return "24:00:00"
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        whole = value.cast(pa.int32() if pa.types.is_date32(value.type) else pa.int64()).as_py()
        if abs(whole) in (INFINITE_DATE, INFINITE_TIMESTAMP):
            return "infinity" if whole > 0 else "-infinity"
        return value.cast(pa.string()).as_py()
