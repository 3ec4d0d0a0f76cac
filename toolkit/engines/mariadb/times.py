"""How dates and times stand in MariaDB: read by its own text of them, written by that, too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from toolkit.core.moments import DAY, INFINITE_DATE, INFINITE_TIMESTAMP
from toolkit.engines.mariadb.adapter import MariaDBAdapter
from toolkit.engines.mariadb.types import MOMENTS
from toolkit.engines.portable.adapters import MisfitError
from toolkit.engines.portable.times import DATES, require_within, timestamp_texts

_TIME = re.compile(r"(-?)(\d{2,3}):(\d\d):(\d\d)(?:\.(\d{1,6}))?")
# 838:59:59.999999, of either sign.
_LONGEST = (((838 * 60) + 59) * 60 + 59) * 1_000_000 + 999_999


class _Moment(MariaDBAdapter):
    """What is fetched as the server's text: the driver's classes have no zero dates, and no hours beyond a day."""

    is_read_by_text = True

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.cast(sa.type_coerce(source, sa.types.NullType()), sa.CHAR)

    def _require_whole(self, microseconds: pa.Array) -> None:
        """Check that nothing would be cut off.

        Raises:
            MisfitError: a time has more digits than its column.
        """
        part = self.actual.dropped
        for row, value in enumerate(microseconds.to_pylist() if part > 1 else ()):
            if value is not None and value % part:
                digits = self.actual.size or 0
                raise MisfitError(row, f"has more than the {digits} digits of its column behind the seconds")


class Timestamp(_Moment):
    """Without a zone, or in UTC: the session's zone, in which a TIMESTAMP is shown, and as SQLAlchemy stores others."""

    names = MOMENTS

    def decode(self, values: Sequence[Any]) -> pa.Array:
        return self.incoming(pa.array(values, pa.string()))

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        naive = fetched[0].cast(pa.string()).cast(pa.timestamp("us"))
        return naive.view(pa.int64()).view(self.type.arrow)

    def sent(self, values: pa.Array) -> pa.Array:
        self._require_whole(values.view(pa.int64()))
        return timestamp_texts(values)

    def bound(self, values: pa.Array) -> list[Any]:
        return self.sent(values).to_pylist()  # type: ignore[no-any-return]


class Date(_Moment):
    """A day."""

    names = frozenset({"date"})

    def decode(self, values: Sequence[Any]) -> pa.Array:
        return self.incoming(pa.array(values, pa.string()))

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        return fetched[0].cast(pa.string()).cast(pa.date32())

    def sent(self, values: pa.Array) -> pa.Array:
        require_within(values.view(pa.int32()), DATES, INFINITE_DATE)
        return values.cast(pa.string())

    def bound(self, values: pa.Array) -> list[Any]:
        return self.sent(values).to_pylist()  # type: ignore[no-any-return]


class Time(_Moment):
    """A time of day; longer and negative ones are none."""

    names = frozenset({"time"})

    def decode(self, values: Sequence[Any]) -> pa.Array:
        whole = [None if value is None else _microseconds(value) for value in values]
        if any(each is not None and not 0 <= each <= DAY for each in whole):
            raise ValueError("no time of day")
        return pa.array(whole, pa.int64()).view(self.type.arrow)

    def bound(self, values: pa.Array) -> list[Any]:
        whole = values.view(pa.int64())
        self._require_whole(whole)
        return [None if each is None else _time_text(each) for each in whole.to_pylist()]


class Interval(_Moment):
    """A timestamp as far from 1970, as SQLAlchemy has it; in a column of TIME as such, up to 838 hours."""

    names = MOMENTS | {"time"}

    def decode(self, values: Sequence[Any]) -> pa.Array:
        if self.actual.name == "time":
            whole = pa.array([None if value is None else _microseconds(value) for value in values], pa.int64())
            return whole.view(self.type.arrow)
        return pa.array(values, pa.string()).cast(pa.timestamp("us")).view(pa.int64()).view(self.type.arrow)

    def bound(self, values: pa.Array) -> list[Any]:
        whole = values.view(pa.int64())
        self._require_whole(whole)
        if self.actual.name != "time":
            return timestamp_texts(values).to_pylist()  # type: ignore[no-any-return]
        require_within(whole, (-_LONGEST, _LONGEST), INFINITE_TIMESTAMP)
        return [None if each is None else _time_text(each) for each in whole.to_pylist()]


def _microseconds(text: str) -> int:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("no time")
    sign, hours, minutes, seconds, fraction = found.groups(default="")
    whole = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1_000_000 + int(fraction.ljust(6, "0"))
    return -whole if sign else whole


def _time_text(microseconds: int) -> str:
    seconds, fraction = divmod(abs(microseconds), 1_000_000)
    sign = "-" if microseconds < 0 else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:06d}"
