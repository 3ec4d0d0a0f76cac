"""Which snapshots to keep, and why: the policies of backup programs (restic's `ApplyPolicy`), without a clock.

They are parts of such programs, not of a library.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from toolkit.core.durations import show_duration

CLOCKS_DIFFER = dt.timedelta(minutes=5)
"""What the clocks of two machines usually differ by, at most."""
OTHER_CLOCK = dt.timedelta(hours=1)
"""By how much a store's clock may differ from the one here where nothing says what its present time is."""


class Dated(Protocol):
    """Something made at a time."""

    @property
    def made_at(self) -> dt.datetime:
        """When, with its zone."""


T = TypeVar("T", bound=Dated)


class Policy(Struct, frozen=True):
    """What to keep; one reason is enough.

    The newest `last`; the newest of each of so many days, weeks (from Monday) or months that have any, in UTC; all
    that are no older than `within`.
    """

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    within: dt.timedelta | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it would keep nothing at all."""
        return self == Policy()


class Verdict(Struct, Generic[T], frozen=True):
    """One snapshot, and why it is kept; without a reason it goes."""

    snapshot: T
    reasons: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether it stays."""
        return bool(self.reasons)


def apply_policy(snapshots: Iterable[T], policy: Policy, now: dt.datetime) -> tuple[Verdict[T], ...]:
    """The verdict on each snapshot, newest first. Of two made at once, the one given later counts as newer."""
    newest_first = sorted(snapshots, key=lambda each: each.made_at)[::-1]
    by_rule = [_keepers(newest_first, *rule) for rule in _rules(policy)]
    return tuple(
        Verdict(snapshot, tuple(kept[number] for kept in by_rule if number in kept) + _recent(snapshot, policy, now))
        for number, snapshot in enumerate(newest_first)
    )


def is_future(snapshot: Dated, now: dt.datetime) -> bool:
    """Whether something was made later than now, by more than clocks of two machines usually differ."""
    return snapshot.made_at > now + CLOCKS_DIFFER


def _rules(policy: Policy) -> tuple[tuple[str, int, Callable[[dt.datetime], object] | None], ...]:
    return (
        ("last", policy.last, None),
        ("daily", policy.daily, lambda time: time.date()),
        ("weekly", policy.weekly, lambda time: time.isocalendar()[:2]),
        ("monthly", policy.monthly, lambda time: (time.year, time.month)),
    )


def _keepers(
    newest_first: Sequence[Dated], name: str, count: int, period: Callable[[dt.datetime], object] | None
) -> dict[int, str]:
    """The numbers of the snapshots that one rule keeps, with its reason."""
    kept: dict[int, str] = {}
    before: object = None
    for number, snapshot in enumerate(newest_first):
        if len(kept) == count:
            break
        current = number if period is None else period(snapshot.made_at.astimezone(dt.UTC))
        if number == 0 or current != before:
            kept[number] = f"{name} {len(kept) + 1} of {count}"
        before = current
    return kept


def _recent(snapshot: Dated, policy: Policy, now: dt.datetime) -> tuple[str, ...]:
    if policy.within is None or now - snapshot.made_at > policy.within:
        return ()
    return (f"within {show_duration(policy.within)}",)
