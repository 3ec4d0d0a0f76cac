"""How a single value looks: as JSON in a fixture, as text in a message, as Python in between.

The rules: UUID hyphenated, timestamps ISO 8601 (with offset where the type has one, microseconds when not zero, a sign
before years of more or less than four digits), decimals and bytes as strings (bytes base64), NaN and infinities as
strings, enums by stored name, intervals in microseconds, JSON nested. `null` is SQL's NULL; in a column of documents,
the document `null` is `{"$json": null}`.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import math
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.decimals import at_scale, decimal_text, parse_decimal
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
# In microseconds.
DAY = 86_400_000_000
_BEYOND_INTERVALS = 2**63
NO_LENGTH = "has months, which have no fixed length, or more than 292,271 years"
"""What is wrong with an interval that cannot travel."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_UNIX_DAY = dt.date(1970, 1, 1).toordinal()
# The only member of an object that stands for the document in it.
JSON_ESCAPE = "$json"
_INFINITIES = {"infinity": 1, "-infinity": -1}
# The Gregorian calendar repeats itself; any date is as many days from its like in years that Python knows.
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
_FAR_YEAR = re.compile(r"([+-]\d{4,7})(-.*)")
# Python takes any character between date and time, so that digits alone, such as those of milliseconds since 1970, may
# be a date to it: 1701013012345 the 30th of January 1701, 23:45.
_SEPARATED = re.compile(r"[+-]?\d{4,7}-?(\d\d-?\d\d|W\d\d(-?\d)?)($|[Tt ])")
# The end of a day, a value of its own in PostgreSQL and DuckDB; Python knows none, and Arrow makes the beginning of it.
_END_OF_DAY = re.compile(r"24:00(:00(\.0{1,6})?)?")
_TOO_FINE = re.compile(r"[.,]\d{7,}")


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
        return format(value, "f") if isinstance(value, Decimal) else decimal_text(value)
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
    return _decimal(type_, value) if type_.kind is Kind.DECIMAL else _PARSERS[type_.kind](value)


def _decimal(type_: LogicalType, value: Any) -> Decimal | str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError("is not a decimal number")  # noqa: TRY004 - as every other value that is none
    number = parse_decimal(str(value))
    return str(number) if type_.precision is None else at_scale(type_, number)


def _parser(parse: Callable[[Any], Any], expected: str, *accepted: type) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
            raise ValueError(f"is not {expected}")
        try:
            return parse(value)
        except OverflowError as error:
            raise ValueError("does not fit into its column") from error
        except (ValueError, binascii.Error) as error:
            raise ValueError(f"is not {expected}") from error

    return checked


def _float(value: Any) -> float:
    number = float(value)
    if math.isinf(number) and any(map(str.isdigit, str(value))):
        raise OverflowError("finite, but beyond the largest double")
    return number


def _timestamp(value: str) -> int:
    """Microseconds since 1970 of a timestamp without offset."""
    return _microseconds(value, None)


def _timestamptz(value: str) -> int:
    """Microseconds since 1970 of an instant; without an offset it is UTC."""
    return _microseconds(value, dt.UTC)


def _microseconds(value: str, zone: dt.tzinfo | None) -> int:
    if value in _INFINITIES:
        return _INFINITIES[value] * INFINITE_TIMESTAMP
    if _TOO_FINE.search(value) or not _SEPARATED.match(value):
        raise ValueError
    near, cycles = _near(value)
    parsed = dt.datetime.fromisoformat(near)
    if parsed.tzinfo is not None and zone is None:
        raise ValueError
    offset = parsed.utcoffset() or dt.timedelta()
    since = parsed.replace(tzinfo=dt.UTC) - _EPOCH - offset
    return since // _MICROSECOND + cycles * _CYCLE_DAYS * DAY


def _days(value: str) -> int:
    """Days since 1970."""
    if value in _INFINITIES:
        return _INFINITIES[value] * INFINITE_DATE
    near, cycles = _near(value)
    return dt.date.fromisoformat(near).toordinal() - _UNIX_DAY + cycles * _CYCLE_DAYS


def _near(value: str) -> tuple[str, int]:
    """The same date in years that Python knows, and how many cycles of the calendar lie between."""
    far = _FAR_YEAR.fullmatch(value)
    if far is None:
        return value, 0
    cycles, year = divmod(int(far[1]), _CYCLE_YEARS)
    return f"{year + _CYCLE_YEARS:04d}{far[2]}", cycles - 1


def timestamp_text(type_: LogicalType, whole: int) -> str:
    """A timestamp (microseconds since 1970) or a date (days) in ISO 8601, whatever its year."""
    is_date = type_.kind is Kind.DATE
    if abs(whole) == (INFINITE_DATE if is_date else INFINITE_TIMESTAMP):
        return "infinity" if whole > 0 else "-infinity"
    days, rest = (whole, 0) if is_date else divmod(whole, DAY)
    cycles, day = divmod(days + _UNIX_DAY - 1, _CYCLE_DAYS)
    near = dt.date.fromordinal(day + 1)
    year = near.year + cycles * _CYCLE_YEARS
    sign = "" if dt.MINYEAR <= year <= dt.MAXYEAR else "+" if year > 0 else "-"
    text = f"{sign}{abs(year):04d}{near.isoformat()[4:]}"
    if is_date:
        return text
    time = (_EPOCH + rest * _MICROSECOND).time()
    return f"{text}T{time.isoformat()}{'+00:00' if type_.kind is Kind.TIMESTAMPTZ else ''}"


def _time(value: str) -> dt.time | int:
    if _END_OF_DAY.fullmatch(value):
        return DAY
    parsed = dt.time.fromisoformat(value)
    if parsed.tzinfo is not None or _TOO_FINE.search(value):
        raise ValueError
    return parsed


def _interval(value: int) -> int:
    if abs(value) >= _BEYOND_INTERVALS:
        raise OverflowError
    return value


def _identity(value: Any) -> Any:
    return value


_TEXT = _parser(_identity, "a string", str)
_INTEGER = _parser(_identity, "an integer", int)
_FLOAT = _parser(_float, "a number", int, float, str)

_PARSERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.UUID: _parser(lambda v: uuid.UUID(v).bytes, "a UUID", str),
    Kind.TIMESTAMP: _parser(_timestamp, "an ISO 8601 timestamp without offset", str),
    Kind.TIMESTAMPTZ: _parser(_timestamptz, "an ISO 8601 timestamp", str),
    Kind.DATE: _parser(_days, "an ISO 8601 date", str),
    Kind.TIME: _parser(_time, "an ISO 8601 time without offset", str),
    Kind.INTERVAL: _parser(_interval, "a number of microseconds", int),
    Kind.BOOL: _parser(_identity, "true or false", bool),
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
    if type_.kind in JSON_KINDS and isinstance(value, str):
        return shortened(value)
    try:
        text = str(json_value(type_, value))
    except (ValueError, TypeError, AttributeError):
        text = repr(value)
    return shortened(text)


def shortened(text: str) -> str:
    """At most 80 characters of a text, for a message."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def is_end_of_day(times: pa.Array) -> pa.Array:
    """Which of these times are 24:00."""
    return pc.equal(times.view(pa.int64()), DAY)


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
