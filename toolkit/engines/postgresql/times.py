"""How timestamps, dates, times and intervals stand in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.canonical_bytes import postgres_date, postgres_timestamp
from toolkit.core.moments import DAY, INFINITE_DATE, INFINITE_TIMESTAMP, NO_LENGTH
from toolkit.engines.portable.adapters import MisfitError
from toolkit.engines.portable.literals import dates, each
from toolkit.engines.postgresql import lossy
from toolkit.engines.postgresql.adapter import PostgresAdapter, require

# An interval with months has no length in microseconds; this stands for it until the row can be named.
_MONTHS = -(2**63)
_INTERVAL = pa.binary(16)
_EPOCH_SHIFT = 946_684_800_000_000
# `infinity` and `-infinity` as ADBC returns them: PostgreSQL's largest and smallest integers, moved from the epoch
# 2000 to 1970 and wrapped round. No real value comes near: PostgreSQL's earliest is 4713 BC.
_WRAPPED_TIMESTAMP = -(2**63) + _EPOCH_SHIFT - 1
_WRAPPED_DATE = -(2**31) + 10957 - 1
_EARLIEST_TIMESTAMP = -210_866_803_200_000_000


class Timestamp(PostgresAdapter):
    """As the integer that PostgreSQL counts in: pgpq itself refuses the infinities."""

    wire = "timestamp"
    alike = frozenset({"timestamp without time zone"})
    copied_as = pa.int64()

    def _canonical(self, values: pa.Array) -> pa.Array:
        whole = _unwrapped(values.view(pa.int64()), _WRAPPED_TIMESTAMP, INFINITE_TIMESTAMP, _EARLIEST_TIMESTAMP)
        return whole.view(self.type.arrow)

    def outgoing(self, values: pa.Array) -> pa.Array:
        return _renumbered(values.view(pa.int64()), postgres_timestamp)

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.timestamp(self.type, actual, value)

    def literals(self, values: pa.Array) -> list[str]:
        return dates(self.type, values, " BC", at_end=True)


class Timestamptz(Timestamp):
    """As a timestamp, counted in UTC."""

    wire = "timestamptz"
    alike = frozenset({"timestamp with time zone"})


class Date(PostgresAdapter):
    """As the integer that PostgreSQL counts in."""

    wire = "date"
    copied_as = pa.int32()

    def _canonical(self, values: pa.Array) -> pa.Array:
        whole = _unwrapped(values.view(pa.int32()), _WRAPPED_DATE, INFINITE_DATE, _WRAPPED_DATE + 2)
        return whole.view(self.type.arrow)

    def outgoing(self, values: pa.Array) -> pa.Array:
        return _renumbered(values.view(pa.int32()), postgres_date)

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.date(actual, value)

    def literals(self, values: pa.Array) -> list[str]:
        return dates(self.type, values, " BC", at_end=True)


class Time(PostgresAdapter):
    """As it is."""

    wire = "time"
    alike = frozenset({"time without time zone"})

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.time(actual, value)


class Interval(PostgresAdapter):
    """In PostgreSQL's binary form: microseconds, days and months (pgpq would send no days).

    As psycopg sends a `timedelta`, so that an interval is stored as the application itself stores it: less than one day
    in the microseconds, and none less than nothing.
    """

    wire = "interval"
    copied_as = _INTERVAL

    def fetch(self, name: str) -> str:
        return _microseconds(name, f"({_MONTHS})::bigint")

    def digest(self, name: str, version: int) -> str:
        # One value for all that cannot travel would make any two of them equal.
        return _microseconds(name, f"('x' || left(md5(interval_send({name})), 16))::bit(64)::bigint")

    def _canonical(self, values: pa.Array) -> pa.Array:
        require(pc.not_equal(values, _MONTHS), NO_LENGTH)
        return values.view(self.type.arrow)

    def outgoing(self, values: pa.Array) -> pa.Array:
        whole = values.view(pa.int64())
        days, rest = np.divmod(whole.fill_null(0).to_numpy(zero_copy_only=False), DAY)
        cells = np.zeros(len(whole), [("microseconds", ">i8"), ("days", ">i4"), ("months", ">i4")])
        cells["microseconds"], cells["days"] = rest, days
        binary = pa.Array.from_buffers(_INTERVAL, len(whole), [None, pa.py_buffer(cells.tobytes())])
        return pc.if_else(whole.is_valid(), binary, pa.scalar(None, _INTERVAL)) if whole.null_count else binary

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return lossy.interval(actual, value)

    def literals(self, values: pa.Array) -> list[str]:
        return each(values.view(pa.int64()), lambda whole: "'{} days {} microseconds'".format(*divmod(whole, DAY)))


def _microseconds(name: str, otherwise: str) -> str:
    """The microseconds of an interval; what has months, or more microseconds than 64 bits count, is `otherwise`."""
    whole = f"extract(epoch FROM {name}) * 1000000"
    return (
        f"CASE WHEN date_trunc('month', {name}) <> '0'::interval OR abs({whole}) > {2**63 - 1} "
        f"THEN {otherwise} ELSE ({whole})::bigint END"
    )


def _unwrapped(whole: pa.Array, wrapped: int, infinite: int, earliest: int) -> pa.Array:
    """Put back the infinities, and refuse what else was wrapped round."""
    lowest = pc.min(whole).as_py()
    if lowest is None or lowest >= earliest:
        return whole
    numbers = whole.fill_null(0).to_numpy(zero_copy_only=False).copy()
    upper, lower = numbers == wrapped, numbers == wrapped + 1
    beyond = (numbers < earliest) & ~upper & ~lower
    if beyond.any():
        raise MisfitError(int(beyond.argmax()), "lies beyond the year 294246")
    numbers[upper], numbers[lower] = infinite, -infinite
    return pa.array(numbers, whole.type, mask=whole.is_null().to_numpy(zero_copy_only=False))


def _renumbered(whole: pa.Array, renumber: Callable[[np.ndarray], np.ndarray]) -> pa.Array:
    numbers = renumber(whole.fill_null(0).to_numpy(zero_copy_only=False))
    mask = whole.is_null().to_numpy(zero_copy_only=False) if whole.null_count else None
    return pa.array(numbers, whole.type, mask=mask)
