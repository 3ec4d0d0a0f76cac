"""Dates and times as text and as the numbers in which they travel, whatever their year.

Timestamps count microseconds since 1970, dates days; years of more or less than four digits are written with a sign.
"""

from __future__ import annotations

import datetime as dt
import re

import pyarrow as pa
import pyarrow.compute as pc

# DuckDB's encoding of `infinity`.
INFINITE_TIMESTAMP = 2**63 - 1
INFINITE_DATE = 2**31 - 1
MICROSECOND = dt.timedelta(microseconds=1)
# In microseconds.
DAY = 86_400_000_000
# Timestamps that ISO 8601 writes with four digits for the year.
FOUR_DIGIT_YEARS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
NO_LENGTH = "has months, which have no fixed length, or more than 292,271 years"
"""What is wrong with an interval that cannot travel."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_UNIX_DAY = dt.date(1970, 1, 1).toordinal()
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


def microseconds_of(value: str, zone: dt.tzinfo | None) -> int:
    """Microseconds since 1970 of a timestamp: of an instant if there is a zone, which counts without an offset.

    Raises:
        ValueError: it is none.
    """
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
    return since // MICROSECOND + cycles * _CYCLE_DAYS * DAY


def days_of(value: str) -> int:
    """Days since 1970 of a date.

    Raises:
        ValueError: it is none.
    """
    if value in _INFINITIES:
        return _INFINITIES[value] * INFINITE_DATE
    near, cycles = _near(value)
    return dt.date.fromisoformat(near).toordinal() - _UNIX_DAY + cycles * _CYCLE_DAYS


def time_of(value: str) -> dt.time | int:
    """A time of day; the end of the day in microseconds, as Python has no such time.

    Raises:
        ValueError: it is none.
    """
    if _END_OF_DAY.fullmatch(value):
        return DAY
    parsed = dt.time.fromisoformat(value)
    if parsed.tzinfo is not None or _TOO_FINE.search(value):
        raise ValueError
    return parsed


def _near(value: str) -> tuple[str, int]:
    """The same date in years that Python knows, and how many cycles of the calendar lie between."""
    far = _FAR_YEAR.fullmatch(value)
    if far is None:
        return value, 0
    cycles, year = divmod(int(far[1]), _CYCLE_YEARS)
    return f"{year + _CYCLE_YEARS:04d}{far[2]}", cycles - 1


def date_text(days: int) -> str:
    """A date (days since 1970) in ISO 8601."""
    if abs(days) == INFINITE_DATE:
        return "infinity" if days > 0 else "-infinity"
    cycles, day = divmod(days + _UNIX_DAY - 1, _CYCLE_DAYS)
    near = dt.date.fromordinal(day + 1)
    year = near.year + cycles * _CYCLE_YEARS
    sign = "" if dt.MINYEAR <= year <= dt.MAXYEAR else "+" if year > 0 else "-"
    return f"{sign}{abs(year):04d}{near.isoformat()[4:]}"


def timestamp_text(microseconds: int, offset: str = "") -> str:
    """A timestamp (microseconds since 1970) in ISO 8601, with this offset behind it."""
    if abs(microseconds) == INFINITE_TIMESTAMP:
        return "infinity" if microseconds > 0 else "-infinity"
    days, rest = divmod(microseconds, DAY)
    return f"{date_text(days)}T{(_EPOCH + rest * MICROSECOND).time().isoformat()}{offset}"


def is_end_of_day(times: pa.Array) -> pa.Array:
    """Which of these times are 24:00."""
    return pc.equal(times.view(pa.int64()), DAY)
