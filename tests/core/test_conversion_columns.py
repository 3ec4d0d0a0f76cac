"""Columns converted at once: the same values, losses and refusals as one by one, whatever is among them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.test_conversions import STORED, TYPES
from toolkit.core import conversion_columns
from toolkit.core.conversion_columns import ConvertedColumn, converted_column, one_by_one
from toolkit.core.conversions import CONVERSIONS
from toolkit.core.types import Kind, LogicalType, logical_type

TIMES = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999))
FRACTIONS = st.text("0123456789", max_size=9).map(lambda digits: digits and f".{digits}")
ZONES = st.sampled_from(["", "", "Z", "z", "+00", "+00:00", "-00:00", "+05:30", "-23:59", "+24:00", "+0530", " "])
MOMENTS = st.builds(
    lambda time, between, fraction, zone: (
        f"{time:%H:%M:%S}"
        if between is None
        else f"{time.date()}{between}{zone}"
        if fraction is None
        else f"{time.date()}{between}{time:%H:%M:%S}{fraction}{zone}"
    ),
    TIMES,
    st.sampled_from(["T", " ", "t", "  ", None]),
    st.one_of(st.none(), FRACTIONS),
    ZONES,
)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.integers(-(2**33), 2**33).map(str),
    st.integers(-62_135_596_801, 253_402_300_800).map(lambda seconds: f"{seconds}000"),
    st.integers(-20_000, 20_000).map(lambda days: str(days * 86_400)),
    st.decimals(-(10**20), 10**20, places=9).map(str),
    st.decimals(-200, 200, places=3).map(str),
    st.floats(-1e6, 1e6).map(repr),
)
ODD = [
    *("", " ", "0", "-0", "-0.0", "+1", "007", ".5", "5.", "1e3", "1_000", "\u0661", "nan", "infinity", "1\n", "K"),
    *("0000-01-01", "0000-01-01 00:00:00", "2024-02-30", "2024-02-30 10:00:00", "2024-01-01 24:00:00", "24:00:00"),
    *(
        "2024-01-01 10:00:60",
        "2024-01-01T00:00",
        "2024-01-01 00:00 00:00",
        "2024-01-01 00:00:00.000",
        "10000-01-01",
    ),
    *("2024-01-01\n", "0001-01-01 00:00:00+05:00", "2024-01-01 10:00:00.123456\u0663", "10:00:00.1234567"),
    *("t", "b", "TRUE", "True ", "oFF", "1.0", "1.00"),
    *("99999999.995", "999999999999999999.5", "32767.5", "2147483647.5"),
]
VALUES = st.one_of(st.none(), NUMBERS, MOMENTS, st.sampled_from(ODD), STORED)
EVERY = sorted(CONVERSIONS)


def stored(values: list[Any]) -> pa.Array:
    adapter = LogicalType(Kind.STORED).adapter
    return pa.array([None if value is None else adapter.from_python(value) for value in values], pa.string())


@given(st.lists(VALUES, max_size=6), st.sampled_from(EVERY), st.sampled_from(TYPES))
@example(["1700000000000", None, "1.0", "99999999999999999"], "epoch-ms", sa.DateTime())
@example(["2024-01-01 10:00:00.1234567", "2024-01-01T10:00:00Z", "x"], "truncate-microseconds", sa.DateTime())
@example(["0.5", "1.5", "-0.5", "1e2", "2147483647.5"], "round", sa.Integer())
@example(["", "12", None, "x"], "empty-as-null", sa.Integer())
def test_values_at_once_are_those_of_one_by_one(values: list[Any], how: str, type_: sa.types.TypeEngine[Any]) -> None:
    logical, conversion = logical_type(type_), CONVERSIONS[how]
    if not conversion.fits(logical):
        return
    column = stored(values)

    found, wanted = converted_column(conversion, logical, column), one_by_one(conversion, logical, column)

    assert_alike(found, wanted, logical)


@pytest.mark.parametrize("how", EVERY)
def test_each_odd_value_is_what_it_is_by_itself(how: str) -> None:
    for type_ in TYPES:
        logical = logical_type(type_)
        if CONVERSIONS[how].fits(logical):
            for value in ODD:
                column = stored([value])
                found, wanted = (each(CONVERSIONS[how], logical, column) for each in (converted_column, one_by_one))
                assert_alike(found, wanted, logical)


def assert_alike(found: ConvertedColumn, wanted: ConvertedColumn, type_: LogicalType) -> None:
    assert found.values.type == wanted.values.type == type_.arrow
    # NaN equals nothing.
    assert found.values.equals(wanted.values) or str(found.values) == str(wanted.values)
    assert found.lost.equals(wanted.lost)
    assert found.refused == wanted.refused


USUAL = [
    ("epoch-s", sa.DateTime(timezone=True), "1700000000"),
    ("epoch-ms", sa.DateTime(), "1701013012345.0"),
    ("epoch-us", sa.Date(), "1700006400000000"),
    ("truncate-microseconds", sa.DateTime(), "2024-01-01 10:00:00.123456789"),
    ("truncate-microseconds", sa.DateTime(timezone=True), "2024-01-01T10:00:00.1234567Z"),
    ("truncate-microseconds", sa.DateTime(timezone=True), "2024-01-01 10:00:00"),
    ("truncate-microseconds", sa.Time(), "10:00:00.1234567"),
    ("round", sa.Integer(), "5.5"),
    ("round", sa.Numeric(10, 2), "1.005"),
    ("empty-as-null", sa.Integer(), ""),
    ("empty-as-null", sa.Integer(), "12"),
    ("empty-as-null", sa.Numeric(10, 2), "1.5"),
    ("empty-as-null", sa.Date(), "2024-01-01"),
    ("empty-as-null", sa.String(), "a"),
    ("text", sa.String(), "a"),
    ("bool", sa.Boolean(), "Yes"),
    ("date", sa.Date(), "2024-01-01T00:00:00Z"),
]


@pytest.mark.parametrize(("how", "type_", "value"), USUAL)
def test_usual_values_are_not_looked_at_one_by_one(
    how: str, type_: sa.types.TypeEngine[Any], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = one_by_one(CONVERSIONS[how], logical_type(type_), stored([value, None]))
    monkeypatch.setattr(conversion_columns, "one_by_one", None)

    found = converted_column(CONVERSIONS[how], logical_type(type_), stored([value, None]))

    assert (found.values, found.lost, found.refused) == (wanted.values, wanted.lost, {})
