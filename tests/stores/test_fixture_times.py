"""Durations and relative times in fixture files."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from toolkit.core.problems import Problems
from toolkit.core.tables import select_tables
from toolkit.errors import FixtureProblemsError
from toolkit.stores.fixture_files import FileForm, Format
from toolkit.stores.fixture_reader import FixtureReader

metadata = sa.MetaData()
event = sa.Table(
    "event",
    metadata,
    sa.Column("moment", sa.DateTime(timezone=True)),
    sa.Column("local", sa.DateTime),
    sa.Column("day", sa.Date),
    sa.Column("clock", sa.Time),
    sa.Column("lasts", sa.Interval),
    sa.Column("document", sa.JSON),
)
NOW = dt.datetime(2024, 3, 1, 1, 2, 3, tzinfo=dt.UTC)


def read(content: str, form: Format = Format.JSON) -> list[dict[str, Any]]:
    problems = Problems()
    reader = FixtureReader(select_tables(metadata)[0], "event", problems, now=NOW)
    batches = list(reader.batches(iter([content.encode()]), FileForm(form)))
    problems.raise_if_any()
    rows: list[dict[str, Any]] = pa.Table.from_batches(batches).to_pylist()
    return rows


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT3600S", 3600),
        ("P1DT2H", 93_600),
        ("-P1DT0.000001S", -86_400.000001),
        ("P-1DT82800S", -3600),
        ("P2W", 1_209_600),
        ("PT1M1,5S", 61.5),
    ],
)
def test_durations_of_iso_8601_are_lengths_of_time_in_json_and_csv(text: str, seconds: float) -> None:
    expected = [dt.timedelta(seconds=seconds)]
    assert [row["lasts"] for row in read(f'[{{"lasts": "{text}"}}]')] == expected
    assert [row["lasts"] for row in read(f'lasts\n"{text}"\n', Format.CSV)] == expected


@pytest.mark.parametrize("text", ["P", "PT", "P1M", "P1Y", "1D", "PT0.0000001S", "PT1S2M", "P1DT", "00:01:30"])
def test_a_duration_that_is_none_or_not_exact_is_refused(text: str) -> None:
    with pytest.raises(FixtureProblemsError, match="is not a number of microseconds, or an ISO 8601 duration"):
        read(f'[{{"lasts": "{text}"}}]')


def test_times_relative_to_now_are_of_one_moment_and_a_date_is_its_day() -> None:
    given = '{"$now": "-2h"}'
    found = [
        *read(f'[{{"moment": {given}, "local": {given}, "day": {given}, "clock": {given}, "document": {given}}}]'),
        *read('day,moment\n"{""$now"": ""+1w""}","{""$now"": ""0s""}"\n', Format.CSV),
    ]
    assert found[0]["moment"] == NOW - dt.timedelta(hours=2)
    assert found[0]["local"] == dt.datetime(2024, 2, 29, 23, 2, 3)
    assert (found[0]["day"], found[0]["clock"]) == (dt.date(2024, 2, 29), dt.time(23, 2, 3))
    assert found[0]["document"] == given
    assert (found[1]["day"], found[1]["moment"]) == (dt.date(2024, 3, 8), NOW)


@pytest.mark.parametrize("value", ['{"$now": "-3 days"}', '{"$now": "--3d"}', '{"$now": "9999999d"}', '{"$now": ""}'])
def test_a_distance_that_is_none_is_told_by_row_and_column(value: str) -> None:
    with pytest.raises(FixtureProblemsError) as caught:
        read(f'[{{"day": null}},\n{{"day": {value}}}]')
    (problem,) = caught.value.problems
    assert problem.startswith(f"event, line 2: column 'day': {value.replace(': ', ':')} is not a distance from now")


@pytest.mark.parametrize("value", ['{"$now": 3}', '{"$now": "3d", "a": 1}', "{}", "[]"])
def test_another_object_in_place_of_a_time_is_refused(value: str) -> None:
    with pytest.raises(FixtureProblemsError, match=r"column 'day': .* is not an ISO 8601 date"):
        read(f'[{{"day": {value}}}]')
