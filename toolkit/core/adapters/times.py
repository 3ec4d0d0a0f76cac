"""Timestamps with and without a zone, dates, times of day and intervals, to the microsecond."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import types as sqltypes

from toolkit.core.adapters.built_in import NOTHING, QUOTE, BuiltIn, Parser, quoted, whole_number
from toolkit.core.canonical_bytes import (
    OID_DATE,
    OID_INT8,
    OID_TIME,
    OID_TIMESTAMP,
    OID_TIMESTAMPTZ,
    Part,
    big_endian,
    fixed,
    numbers,
    postgres_date,
    postgres_timestamp,
)
from toolkit.core.logical import Kind, LogicalType
from toolkit.core.moments import (
    DAY,
    FOUR_DIGIT_YEARS,
    MICROSECOND,
    date_text,
    days_of,
    is_end_of_day,
    microseconds_of,
    time_of,
    timestamp_text,
)

_BEYOND_INTERVALS = 2**63
_UTC = "+00:00"
_ENDS = {offset: pa.scalar(f'{offset}"') for offset in ("", _UTC)}
# Between the day and the time of day.
_T = pa.scalar(b"T")
# Days and less: how long a month is, nobody can say. Python's libraries write the sign in front of all, or of each.
_DURATION = re.compile(
    r"(?P<sign>[+-]?)P(?=[-+\dT])(?:(?P<weeks>[-+]?\d+)W)?(?:(?P<days>[-+]?\d+)D)?"
    r"(?:T(?=[-+\d])(?:(?P<hours>[-+]?\d+)H)?(?:(?P<minutes>[-+]?\d+)M)?"
    r"(?:(?P<seconds>[-+]?\d+(?:[.,]\d{1,6})?)S)?)?"
)
_SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


class TimestampAdapter(BuiltIn):
    """A date and a time of day, without a zone."""

    kind: ClassVar[str] = Kind.TIMESTAMP
    carrier = Kind.TIMESTAMP
    storage = pa.timestamp("us")
    parser = Parser(partial(microseconds_of, zone=None), "an ISO 8601 timestamp without offset", str)
    json_type = str
    plain = str
    zoned: ClassVar[bool] = False
    offset: ClassVar[str] = ""
    """What stands behind each in fixtures."""
    oid: ClassVar[int] = OID_TIMESTAMP

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """`DateTime` and its like, with a zone or without."""
        return (
            LogicalType(cls.kind)
            if isinstance(declared, sqltypes.DateTime) and bool(declared.timezone) is cls.zoned
            else None
        )

    def json_value(self, value: Any) -> Any:
        """ISO 8601."""
        return value.isoformat()

    def text(self, microseconds: int) -> str:
        """ISO 8601, of any year."""
        return timestamp_text(microseconds, self.offset)

    def format(self, values: pa.Array) -> pa.Array:
        """ISO 8601, with microseconds where they are not zero."""
        whole = values.view(pa.int64())
        extremes = pc.min_max(whole).as_py()
        if extremes["min"] is not None and not (
            FOUR_DIGIT_YEARS[0] <= extremes["min"] and extremes["max"] <= FOUR_DIGIT_YEARS[1]
        ):
            texts = [None if v is None else f'"{self.text(v)}"' for v in whole.to_pylist()]
            return pa.array(texts, pa.string())
        text = whole.view(pa.timestamp("us")).cast(pa.string())
        dated = pc.binary_replace_slice(text, 10, 11, "T")
        return pc.binary_join_element_wise(QUOTE, _without_zero_fraction(dated), _ENDS[self.offset], NOTHING)

    def parse_texts(self, texts: pa.Array) -> pa.Array:
        """ISO 8601 with a T; other forms are left to the parser of single values."""
        if pc.all(pc.equal(pc.binary_slice(texts.cast(pa.binary()), 10, 11), _T)).as_py() is False:
            raise ValueError("some in another form")
        return texts.cast(self.arrow)

    def canonical(self, values: pa.Array) -> list[Part]:
        """PostgreSQL's `timestamp` or `timestamptz`."""
        whole = numbers(values.view(pa.int64()), pa.int64())
        return fixed(self.oid, big_endian(postgres_timestamp(whole), ">i8"), values)


class TimestamptzAdapter(TimestampAdapter):
    """An instant; in fixtures with its offset from UTC, which is UTC where there is none."""

    kind = Kind.TIMESTAMPTZ
    carrier = Kind.TIMESTAMPTZ
    storage = pa.timestamp("us", "UTC")
    parser = Parser(partial(microseconds_of, zone=dt.UTC), "an ISO 8601 timestamp", str)
    zoned = True
    offset = _UTC
    oid = OID_TIMESTAMPTZ


class DateAdapter(BuiltIn):
    """A day."""

    kind = Kind.DATE
    carrier = Kind.DATE
    storage = pa.date32()
    parser = Parser(days_of, "an ISO 8601 date", str)
    json_type = str
    plain = str

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """`Date`."""
        return LogicalType(cls.kind) if isinstance(declared, sqltypes.Date) else None

    def json_value(self, value: Any) -> Any:
        """ISO 8601."""
        return value.isoformat()

    def text(self, days: int) -> str:
        """ISO 8601, of any year."""
        return date_text(days)

    def format(self, values: pa.Array) -> pa.Array:
        """ISO 8601, of any year."""
        days = values.view(pa.int32()).to_pylist()
        return pa.array([None if day is None else f'"{date_text(day)}"' for day in days], pa.string())

    def canonical(self, values: pa.Array) -> list[Part]:
        """PostgreSQL's `date`."""
        days = numbers(values.view(pa.int32()), pa.int32())
        return fixed(OID_DATE, big_endian(postgres_date(days), ">i4"), values)


class TimeAdapter(BuiltIn):
    """A time of day, without a zone; 24:00 is one."""

    kind = Kind.TIME
    carrier = Kind.TIME
    storage = pa.time64("us")
    parser = Parser(time_of, "an ISO 8601 time without offset", str)
    json_type = str

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """`Time` without a zone."""
        return LogicalType(cls.kind) if isinstance(declared, sqltypes.Time) and not declared.timezone else None

    def json_value(self, value: Any) -> Any:
        """ISO 8601."""
        return value.isoformat()

    def format(self, values: pa.Array) -> pa.Array:
        """ISO 8601, with microseconds where they are not zero."""
        ends = is_end_of_day(values)
        text = quoted(_without_zero_fraction(values.cast(pa.string())))
        return pc.if_else(ends, '"24:00:00"', text) if pc.any(ends).as_py() else text

    def to_pythons(self, values: pa.Array) -> list[Any]:
        """Python has no 24:00, and Arrow makes it the beginning of the day."""
        listed: list[Any] = values.to_pylist()
        if not pc.any(is_end_of_day(values)).as_py():
            return listed
        whole = zip(listed, values.view(pa.int64()).to_pylist(), strict=True)
        return ["24:00:00" if number == DAY else value for value, number in whole]

    def canonical(self, values: pa.Array) -> list[Part]:
        """PostgreSQL's `time`."""
        return fixed(OID_TIME, big_endian(numbers(values.view(pa.int64()), pa.int64()), ">i8"), values)


class IntervalAdapter(BuiltIn):
    """A length of time in microseconds."""

    kind = Kind.INTERVAL
    carrier = Kind.INTERVAL
    storage = pa.duration("us")
    json_type = int | str

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """SQLAlchemy's `Interval`: a `timedelta`."""
        return LogicalType(cls.kind) if isinstance(declared, sqltypes.Interval) else None

    @staticmethod
    def _microseconds(value: int | str) -> int:
        number = _duration(value) if isinstance(value, str) else value
        if abs(number) >= _BEYOND_INTERVALS:
            raise OverflowError
        return number

    parser = Parser(_microseconds, "a number of microseconds, or an ISO 8601 duration like P1DT2H", int, str)

    def json_value(self, value: Any) -> Any:
        """The number of microseconds."""
        return value // MICROSECOND

    def from_csv(self, text: str) -> Any:
        """A number, or a duration."""
        return whole_number(text)

    def format(self, values: pa.Array) -> pa.Array:
        """The number of microseconds."""
        return values.view(pa.int64()).cast(pa.string())

    def canonical(self, values: pa.Array) -> list[Part]:
        """PostgreSQL's `bigint`: its microseconds."""
        return fixed(OID_INT8, big_endian(numbers(values.view(pa.int64()), pa.int64()), ">i8"), values)


def _duration(text: str) -> int:
    """An ISO 8601 duration in microseconds, as `alchemy dump-data` writes it.

    Raises:
        ValueError: it is none, or of months or years.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError
    parts = (Decimal((found[name] or "0").replace(",", ".")) * each for name, each in _SECONDS.items())
    microseconds = int(sum(part.scaleb(6) for part in parts))
    return -microseconds if found["sign"] == "-" else microseconds


def _without_zero_fraction(text: pa.Array) -> pa.Array:
    is_whole = pc.ends_with(text, ".000000")
    if not pc.any(is_whole).as_py():
        return text
    return pc.if_else(is_whole, pc.utf8_slice_codeunits(text, 0, -7), text)
