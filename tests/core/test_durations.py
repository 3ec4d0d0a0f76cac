"""Durations as users write them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.core.durations import parse_duration, show_duration


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", dt.timedelta(seconds=90)),
        ("1w2d3h4m5s", dt.timedelta(days=9, hours=3, minutes=4, seconds=5)),
        ("90d", dt.timedelta(days=90)),
        ("12h", dt.timedelta(hours=12)),
        ("5m", dt.timedelta(minutes=5)),
        ("2w", dt.timedelta(days=14)),
        ("6mo", dt.timedelta(days=180)),
        ("1y6mo", dt.timedelta(days=545)),
        ("0d", dt.timedelta()),
    ],
)
def test_a_duration_is_read(text: str, length: dt.timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize("text", ["", "90", "d", "90 d", "-1d", "1.5d", "9x", "1d9", "99999999999y"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a duration; write it like 90s|too long"):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_a_duration_is_shown_as_it_is_read(seconds: int) -> None:
    length = dt.timedelta(seconds=seconds)
    assert parse_duration(show_duration(length)) == length
