"""Which snapshots a policy keeps, and the reasons that it gives."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from toolkit.core.retention import Policy, apply_policy

NOW = dt.datetime(2024, 3, 15, 12, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Made:
    made_at: dt.datetime
    number: int = 0


def made(*texts: str) -> list[Made]:
    return [Made(dt.datetime.fromisoformat(f"{text}+00:00"), number) for number, text in enumerate(texts)]


def kept(snapshots: list[Made], **rules: Any) -> dict[str, tuple[str, ...]]:
    verdicts = apply_policy(snapshots, Policy(**rules), NOW)
    return {f"{v.snapshot.made_at:%Y-%m-%dT%H:%M}": v.reasons for v in verdicts if v.kept}


def test_the_newest_are_kept_with_their_rank_as_the_reason() -> None:
    snapshots = made("2024-03-01T00:00", "2024-03-03T00:00", "2024-03-02T00:00")
    assert kept(snapshots, last=2) == {"2024-03-03T00:00": ("last 1 of 2",), "2024-03-02T00:00": ("last 2 of 2",)}


def test_of_each_day_the_newest_is_kept() -> None:
    snapshots = made("2024-03-01T10:00", "2024-03-01T23:59", "2024-03-03T00:00", "2024-02-01T00:00")
    assert list(kept(snapshots, daily=2)) == ["2024-03-03T00:00", "2024-03-01T23:59"]


def test_days_without_a_snapshot_do_not_count() -> None:
    snapshots = made("2024-03-14T00:00", "2023-01-01T00:00", "2020-01-01T00:00")
    assert len(kept(snapshots, daily=3)) == 3


def test_weeks_begin_on_monday_and_end_across_the_year() -> None:
    snapshots = made("2024-12-30T00:00", "2025-01-05T00:00", "2024-12-29T00:00")  # Monday, its Sunday, the day before
    assert list(kept(snapshots, weekly=9)) == ["2025-01-05T00:00", "2024-12-29T00:00"]


def test_months_of_different_years_are_different() -> None:
    assert len(kept(made("2023-03-01T00:00", "2024-03-01T00:00", "2024-03-02T00:00"), monthly=9)) == 2


def test_the_day_is_that_of_utc() -> None:
    east = dt.timezone(dt.timedelta(hours=10))
    snapshots = [
        Made(dt.datetime(2024, 3, 2, 5, tzinfo=east)),
        Made(dt.datetime(2024, 3, 2, 11, tzinfo=east)),
        Made(dt.datetime(2024, 3, 2, 12, tzinfo=east)),
    ]
    assert [v.kept for v in apply_policy(snapshots, Policy(daily=5), NOW)] == [True, False, True]


def test_one_that_is_exactly_as_old_as_the_limit_is_within_it() -> None:
    snapshots = made("2024-03-14T12:00", "2024-03-14T11:59")
    assert kept(snapshots, within=dt.timedelta(days=1)) == {"2024-03-14T12:00": ("within 1d",)}


def test_every_reason_is_given() -> None:
    assert kept(made("2024-03-15T00:00"), last=1, daily=1, weekly=2, monthly=1, within=dt.timedelta(hours=36)) == {
        "2024-03-15T00:00": ("last 1 of 1", "daily 1 of 1", "weekly 1 of 2", "monthly 1 of 1", "within 1d12h")
    }


def test_of_two_made_at_once_the_later_given_is_newer() -> None:
    snapshots = [Made(NOW, 1), Made(NOW, 2)]
    (first, second) = apply_policy(snapshots, Policy(last=1), NOW)
    assert (first.snapshot.number, first.kept, second.kept) == (2, True, False)


def test_an_empty_policy_keeps_nothing() -> None:
    assert Policy().is_empty
    assert kept(made("2024-03-15T00:00")) == {}


times = st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2024, 3, 1)).map(lambda time: time.replace(tzinfo=dt.UTC))


@given(st.lists(times, max_size=30), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_a_policy_keeps_as_many_as_it_says_and_always_the_newest(
    found: list[dt.datetime], last: int, daily: int, weekly: int, monthly: int
) -> None:
    policy = Policy(last, daily, weekly, monthly)
    verdicts = apply_policy([Made(time) for time in found], policy, NOW)
    assert len(verdicts) == len(found)
    assert [v.snapshot.made_at for v in verdicts] == sorted(found, reverse=True)
    for rule, count in (("last", last), ("daily", daily), ("weekly", weekly), ("monthly", monthly)):
        by_rule = [v for v in verdicts if any(reason.startswith(rule) for reason in v.reasons)]
        assert len(by_rule) <= count
        assert not found or not count or by_rule[0] is verdicts[0]
    assert sum(v.kept for v in verdicts) >= min(last, len(found))


@given(st.lists(times, min_size=1, max_size=20), st.integers(1, 4))
def test_a_second_application_keeps_all_that_the_first_kept(found: list[dt.datetime], count: int) -> None:
    policy = Policy(last=count, daily=count, weekly=count, monthly=count)
    left = [v.snapshot for v in apply_policy([Made(time) for time in found], policy, NOW) if v.kept]
    assert all(v.kept for v in apply_policy(left, policy, NOW))
