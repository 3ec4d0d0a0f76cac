"""What travels as text that PostgreSQL itself writes and reads: types that no two engines share.

Whatever is no other adapter's is such a type: `inet`, ranges, composites, `xml`, DuckDB's STRUCT. Between two databases
of one engine the text comes back as the same value; an engine that lacks the type keeps the text.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, ClassVar

from sqlalchemy import types as sqltypes
from sqlalchemy.dialects import postgresql

from toolkit.core.adapters.built_in import Parser
from toolkit.core.adapters.texts import TextAdapter
from toolkit.core.engine_type import EngineType
from toolkit.core.logical import Kind, LogicalType, logical_type

_MICROSECONDS = 1_000_000
_INFINITIES = ("infinity", "-infinity")
_ISO = re.compile(
    r"P(?=[-\dT])(?:(?P<years>-?\d+)Y)?(?:(?P<months>-?\d+)M)?(?:(?P<weeks>-?\d+)W)?(?:(?P<days>-?\d+)D)?"
    r"(?:T(?=[-\d])(?:(?P<hours>-?\d+)H)?(?:(?P<minutes>-?\d+)M)?"
    r"(?:(?P<sign>-?)(?P<seconds>\d+)(?:\.(?P<fraction>\d{1,6}))?S)?)?"
)
_POSTGRES = re.compile(
    r"(?:(?P<years>[+-]?\d+) years?)? ?(?:(?P<months>[+-]?\d+) mon(?:th)?s?)? ?(?:(?P<days>[+-]?\d+) days?)? ?"
    r"(?:(?P<sign>[+-]?)(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?"
)
_OFFSET = re.compile(r"(?:Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)$", re.IGNORECASE)


class NativeAdapter(TextAdapter):
    """A type of one engine, by the engine's own text."""

    kind = Kind.NATIVE

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """Whatever no other adapter knows, but for decorators, which are asked what they stand for."""
        if isinstance(declared, EngineType) and declared.like is not None:
            return logical_type(declared.like)
        if isinstance(declared, postgresql.DOMAIN):
            return logical_type(declared.data_type)
        return None if isinstance(declared, sqltypes.TypeDecorator) else LogicalType(cls.kind)


class TimetzAdapter(TextAdapter):
    """A time of day with its offset from UTC: `12:00:00.5+05:30`. Without one it is in UTC."""

    kind = Kind.TIMETZ
    # Each value is brought to one form.
    plain: ClassVar[type | None] = None

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """`Time(timezone=True)`."""
        return LogicalType(cls.kind) if isinstance(declared, sqltypes.Time) and declared.timezone else None

    @staticmethod
    def _parsed(text: str) -> str:
        offset = _OFFSET.search(text)
        time = text.removesuffix(offset[0]) if offset else text
        if time == "24:00:00":
            return f"{time}{_offset_text(offset[0] if offset else '')}"
        parsed = dt.time.fromisoformat(time).isoformat()
        shown = parsed.rstrip("0") if "." in parsed else parsed
        return f"{shown}{_offset_text(offset[0] if offset else '')}"

    parser = Parser(_parsed, "an ISO 8601 time with its offset", str)

    def from_python(self, value: Any) -> Any:
        """As PostgreSQL writes it; drivers have a `time` or a text."""
        return self._parsed(value.isoformat() if isinstance(value, dt.time) else value)


def _offset_text(offset: str) -> str:
    """An offset as PostgreSQL writes it: with minutes and seconds only where they are not zero."""
    digits = offset[1:].replace(":", "")
    parts = [digits[start : start + 2] for start in (0, 2, 4) if digits[start : start + 2]] or ["00"]
    while len(parts) > 1 and parts[-1] == "00":
        parts.pop()
    sign = "-" if offset.startswith("-") and any(part != "00" for part in parts) else "+"
    return sign + ":".join(parts)


class CalendarIntervalAdapter(TextAdapter):
    """Months, days and microseconds, each of its own sign: a month has no fixed length, nor has a day.

    As PostgreSQL writes it: `1 year 2 mons -3 days +04:05:06.7`. SQLAlchemy's `Interval`, a `timedelta`, is another
    type: `toolkit.core.adapters.times`.
    """

    kind = Kind.CALENDAR_INTERVAL
    in_arrays = False
    # Each value is brought to one form.
    plain: ClassVar[type | None] = None

    @classmethod
    def recognise(cls, declared: sqltypes.TypeEngine[Any]) -> LogicalType | None:
        """PostgreSQL's own `INTERVAL`."""
        return LogicalType(cls.kind) if isinstance(declared, postgresql.INTERVAL) else None

    @staticmethod
    def _parsed(text: str) -> str:
        return text if text in _INFINITIES else duration_text(*duration_parts(text))

    parser = Parser(_parsed, "an interval, such as 1 mon 2 days 03:04:05 or P1M2DT3H4M5S", str)

    def from_python(self, value: Any) -> Any:
        """A `timedelta` has days, and less than one more; a text is one already."""
        if isinstance(value, dt.timedelta):
            return duration_text(0, value.days, value.seconds * _MICROSECONDS + value.microseconds)
        return self._parsed(value)

    def parse_json(self, value: Any) -> Any:
        """A duration; a number of microseconds is that of a `timedelta`."""
        if isinstance(value, int) and not isinstance(value, bool):
            return self.from_python(dt.timedelta(microseconds=value))
        return self.parser(value)


def duration_parts(text: str) -> tuple[int, int, int]:
    """The months, days and microseconds of an interval, as PostgreSQL or ISO 8601 writes it.

    Raises:
        ValueError: it is none.
    """
    found = _ISO.fullmatch(text) or (_POSTGRES.fullmatch(text) if text else None)
    if found is None:
        raise ValueError("no interval")
    part = {name: int(value or 0) for name, value in found.groupdict().items() if name not in ("sign", "fraction")}
    fraction = int((found["fraction"] or "").ljust(6, "0"))
    minutes = part["hours"] * 60 + part["minutes"]
    if found.re is _POSTGRES:
        rest = (minutes * 60 + part["seconds"]) * _MICROSECONDS + fraction
        time = -rest if found["sign"] == "-" else rest
    else:
        seconds = part["seconds"] * _MICROSECONDS + fraction
        time = minutes * 60 * _MICROSECONDS + (-seconds if found["sign"] else seconds)
    return part["years"] * 12 + part["months"], part.get("weeks", 0) * 7 + part["days"], time


def duration_text(months: int, days: int, microseconds: int) -> str:
    """An interval as PostgreSQL writes it (`EncodeInterval`, of the style `postgres`)."""
    years, months = _towards_zero(months, 12)
    shown: list[str] = []
    is_negative = False
    for number, unit in ((years, "year"), (months, "mon"), (days, "day")):
        if number:
            sign = "+" if is_negative and number > 0 else ""
            shown.append(f"{sign}{number} {unit}{'' if number == 1 else 's'}")
            is_negative = number < 0
    if microseconds or not shown:
        seconds, fraction = divmod(abs(microseconds), _MICROSECONDS)
        sign = "-" if microseconds < 0 else "+" if is_negative else ""
        time = f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        shown.append(f"{time}.{fraction:06d}".rstrip("0") if fraction else time)
    return " ".join(shown)


def _towards_zero(number: int, unit: int) -> tuple[int, int]:
    whole, rest = divmod(abs(number), unit)
    return (-whole, -rest) if number < 0 else (whole, rest)
