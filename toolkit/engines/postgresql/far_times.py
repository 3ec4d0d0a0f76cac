"""Dates and times that Python has none of, as psycopg reads them: infinities, years before 1 or after 9999, and 24:00.

A connection that writes reads through its own transaction, by psycopg, which raises for them; ADBC, by which others
read, does not.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import numpy as np
import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from toolkit.core.moments import days_of, microseconds_of, time_of

_BEFORE_CHRIST = " BC"
_YEAR = re.compile(r"\d+")


class _Far(Loader):
    """As psycopg loads it, or else the number that Arrow counts in, beside which it takes Python's own."""

    format = Format.TEXT

    def __init__(self, oid: int, context: Any = None) -> None:
        super().__init__(oid, context)
        near = psycopg.adapters.get_loader(oid, Format.TEXT)
        assert near is not None
        self._near = near(oid, context)

    def load(self, data: Buffer) -> Any:
        """A value, or its number."""
        try:
            return self._near.load(data)
        except psycopg.DataError:
            return self._number(bytes(data).decode())

    def _number(self, text: str) -> int | np.datetime64:
        return microseconds_of(_expanded(text), None)


class _FarInstant(_Far):
    def _number(self, text: str) -> int:
        return microseconds_of(_expanded(text), dt.UTC)


class _FarDate(_Far):
    # Of what unit it is, it says: where a model has times, days would be read as microseconds.
    def _number(self, text: str) -> np.datetime64:
        return np.datetime64(days_of(_expanded(text)), "D")


class _EndOfDay(_Far):
    def _number(self, text: str) -> int:
        number = time_of(text)
        assert isinstance(number, int)
        return number


_LOADERS: dict[str, type[_Far]] = {"date": _FarDate, "timestamp": _Far, "timestamptz": _FarInstant, "time": _EndOfDay}


def load_far_times(connection: psycopg.Connection[Any]) -> None:
    """Let a connection load them, which it raised for before."""
    for name, loader in _LOADERS.items():
        connection.adapters.register_loader(name, loader)


def _expanded(text: str) -> str:
    """A text of PostgreSQL's with the year as ISO 8601 has it: 1 BC is the year 0."""
    found = _YEAR.match(text)
    if found is None:
        return text
    year = int(found[0])
    if text.endswith(_BEFORE_CHRIST):
        year, text = 1 - year, text.removesuffix(_BEFORE_CHRIST)
    return f"{'-' if year < 0 else '+'}{abs(year):04d}{text[found.end() :]}"
