"""Conversions of single values: pure, exact where they say so, and refused where they cannot be."""

from __future__ import annotations

import datetime as dt
import json
import re
from contextlib import suppress
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from toolkit.core.conversions import CONVERSIONS, conversion, conversion_advice
from toolkit.core.exact_texts import exact_value, text_of
from toolkit.core.logical import logical_type
from toolkit.core.tables import table_spec

TIMES = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BERLIN = ZoneInfo("Europe/Berlin")
STORED = st.one_of(
    st.text(), st.binary(), st.integers().map(str), st.floats().map(repr), TIMES.map(str), st.decimals().map(str)
)
TYPES: list[sa.types.TypeEngine[Any]] = [
    sa.Integer(),
    sa.SmallInteger(),
    sa.Numeric(10, 2),
    sa.Numeric(),
    sa.Double(),
    sa.REAL(),
    sa.Boolean(),
    sa.Date(),
    sa.Time(),
    sa.DateTime(),
    sa.DateTime(timezone=True),
    sa.Interval(),
    sa.String(),
    sa.JSON(),
    sa.LargeBinary(),
    sa.Uuid(),
]


def converted(how: str, type_: sa.types.TypeEngine[Any], stored: str | bytes) -> tuple[Any, bool]:
    """The value that a conversion makes, as Python has it, and whether something was lost."""
    logical = logical_type(type_)
    value, lost = conversion(how).value(logical, stored)
    return pa.array([value], logical.arrow)[0].as_py(), lost


@given(TIMES, st.sampled_from([("epoch-s", 1), ("epoch-ms", 1_000), ("epoch-us", 1_000_000)]))
def test_an_epoch_is_the_time_that_it_counts_to(time: dt.datetime, unit: tuple[str, int]) -> None:
    how, units = unit
    number = (time - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1_000_000 // units)

    value, lost = converted(how, sa.DateTime(), str(number))

    assert value == dt.datetime(1970, 1, 1) + number * dt.timedelta(microseconds=1_000_000 // units)
    assert not lost


@given(st.decimals(-9999, 9999, places=6))
def test_rounding_is_half_even_and_counted_where_it_changes_a_value(number: Decimal) -> None:
    cents, lost = converted("round", sa.Numeric(10, 2), str(number))

    assert cents == number.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    assert lost is (cents != number)


@given(TIMES, st.text("0123456789", min_size=1, max_size=3))
def test_truncating_keeps_six_digits_and_is_counted_where_more_were_not_zero(time: dt.datetime, more: str) -> None:
    value, lost = converted("truncate-microseconds", sa.DateTime(), time.isoformat(" ", "microseconds") + more)

    assert value == time
    assert lost is (more.strip("0") != "")


@given(TIMES)
def test_a_local_time_is_the_instant_that_shows_it_or_refused(time: dt.datetime) -> None:
    instants = {
        local.astimezone(dt.UTC)
        for local in (time.replace(tzinfo=BERLIN, fold=fold) for fold in (0, 1))
        if local.astimezone(dt.UTC).astimezone(BERLIN).replace(tzinfo=None) == time
    }
    if len(instants) == 1:
        assert converted("utc-from:Europe/Berlin", sa.DateTime(timezone=True), str(time)) == (instants.pop(), False)
    else:
        with pytest.raises(ValueError, match=r"showed (twice|never)"):
            converted("utc-from:Europe/Berlin", sa.DateTime(timezone=True), str(time))


@pytest.mark.parametrize(
    ("how", "type_", "stored", "why"),
    [
        ("utc-from:Europe/Berlin", sa.DateTime(timezone=True), "2024-10-27 02:30:00", "showed twice"),
        ("utc-from:Europe/Berlin", sa.DateTime(timezone=True), "2024-03-31 02:30:00", "showed never"),
        ("epoch-s", sa.DateTime(), "1.5", "not a whole number"),
        ("epoch-s", sa.Date(), "86401", "midnight"),
        ("date", sa.Date(), "2024-01-01 00:00:01", "midnight"),
        ("round", sa.Numeric(10, 2), "NaN", "not finite"),
    ],
)
def test_what_a_conversion_would_lose_without_a_word_is_refused(how: str, type_: Any, stored: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        converted(how, type_, stored)


@given(st.dates())
def test_midnight_is_a_date_and_another_time_is_none(day: dt.date) -> None:
    assert converted("date", sa.Date(), f"{day} 00:00:00") == (day, False)
    with pytest.raises(ValueError, match="midnight"):
        converted("date", sa.Date(), f"{day} 00:00:00.000001")


@given(st.text())
def test_text_is_a_document_or_becomes_a_string_in_one(text: str) -> None:
    document, lost = converted("json", sa.JSON(), text)

    assert not lost
    assert document == text or json.loads(document) == text


@given(STORED, st.sampled_from(TYPES), st.sampled_from(sorted(CONVERSIONS)))
def test_a_conversion_gives_what_its_type_holds_or_no_other_error_than_why_not(
    stored: str | bytes, type_: sa.types.TypeEngine[Any], how: str
) -> None:
    logical = logical_type(type_)
    if not CONVERSIONS[how].fits(logical):
        return
    found: list[tuple[Any, bool]] = []
    with suppress(ValueError):
        found.append(CONVERSIONS[how].value(logical, stored))
    for value, lost in found:
        pa.array([value], logical.arrow).validate(full=True)
        assert lost or how != "round" or Decimal(text_of(stored)) == value
        assert lost or how != "empty-as-null" or value is not None


def test_every_conversion_has_an_example_in_the_readme_that_is_true() -> None:
    rows = re.findall(r"^\| `(.+?)` \| `(.+?)` \| (?:`(.+?)`)? ?\| `(.+?)` \|$", README, re.MULTILINE)
    examples = [row for row in rows if row[0].partition(":")[0] in {*CONVERSIONS, "utc-from"}]

    assert {row[0].partition(":")[0] for row in examples} == {*CONVERSIONS, "utc-from"}
    for how, declared, stored, becomes in examples:
        type_ = eval(f"sa.{declared}", {"sa": sa})
        given = bytes.fromhex(stored[2:-1]) if stored.startswith("x'") else stored
        value, _ = converted(how, type_, given)
        assert (value.isoformat() if isinstance(value, dt.date) else str(value)) == becomes, how


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (sa.Integer(), "5.5"),
        (sa.SmallInteger(), "32768"),
        (sa.Double(), "1.00000000000000000001"),
        (sa.REAL(), "16777217"),
        (sa.Double(), "1e999"),
        (sa.Double(), "1_0"),
        (sa.Numeric(10, 2), "1.005"),
        (sa.DateTime(), "2024-01-01 10:00:00.1234567"),
        (sa.DateTime(), "2024-01-01 10:00:00Z"),
        (sa.DateTime(), "20240101"),
        (sa.Date(), "20240101"),
        (sa.Date(), "2024-01-01 10:00:00"),
        (sa.JSON(), "NaN"),
        (sa.LargeBinary(), "text"),
        (sa.String(), b"\xff"),
    ],
)
def test_a_text_of_which_a_type_would_lose_something_is_none_of_its_values(
    type_: sa.types.TypeEngine[Any], text: str | bytes
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        exact_value(logical_type(type_), text)


@pytest.mark.parametrize(
    ("type_", "value", "how"),
    [
        (sa.Integer(), "5.5", "round"),
        (sa.Integer(), "", "empty-as-null"),
        (sa.Integer(), "x", None),
        (sa.Integer(), "9999999999", None),
        (sa.Boolean(), "yes", "bool"),
        (sa.DateTime(), 1701013012, "epoch-s"),
        (sa.DateTime(), 1701013012345, "epoch-ms"),
        (sa.DateTime(), 1701013012345678, "epoch-us"),
        (sa.DateTime(), "2024-01-01T10:00:00Z", "utc-from:UTC"),
        (sa.DateTime(), "2024-01-01 10:00:00.123456789", "truncate-microseconds"),
        (sa.Date(), "2024-01-01 00:00:00", "date"),
        (sa.Date(), "2024-01-01 10:00:00", None),
        (sa.JSON(), "{a}", "json"),
    ],
)
def test_the_advice_names_a_conversion_that_takes_the_value(
    type_: sa.types.TypeEngine[Any], value: Any, how: str | None
) -> None:
    table = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", type_))

    advice = conversion_advice(table_spec(table), "v", value)

    assert advice == ("" if how is None else f"Or have it converted as the source is read: --convert t.v:{how}.")


def test_the_advice_never_makes_a_null_of_what_takes_none() -> None:
    columns = (sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", sa.Integer, nullable=False))
    assert conversion_advice(table_spec(sa.Table("t", sa.MetaData(), *columns)), "v", "") == ""
