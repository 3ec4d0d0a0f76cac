"""Times in fixtures that are relative to when they are loaded: `{"$now": "-3d"}`."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from toolkit.core.durations import EXAMPLES, parse_duration
from toolkit.core.types import Kind

SIGN = b"$now"
"""What is in every file that has such times."""
_FORMS = {
    Kind.TIMESTAMP: "%Y-%m-%dT%H:%M:%S",
    Kind.TIMESTAMPTZ: "%Y-%m-%dT%H:%M:%S+00:00",
    Kind.DATE: "%Y-%m-%d",
    Kind.TIME: "%H:%M:%S",
}
RELATIVE_KINDS = frozenset(_FORMS)


class Now(msgspec.Struct, forbid_unknown_fields=True, rename={"distance": "$now"}):
    """How far from now, as it stands in a file: `-3d`, `+2h`, `0s`."""

    distance: str


def now_in_utc() -> dt.datetime:
    """The moment of a load, to the second."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def as_now(value: Any) -> Any:
    """A value that may be such a time, undecoded or a CSV field; itself if it is none."""
    text = bytes(value) if isinstance(value, msgspec.Raw) else value
    if not isinstance(text, str | bytes) or text[:1] not in ("{", b"{"):
        return value
    try:
        return msgspec.json.decode(text, type=Now)
    except (msgspec.MsgspecError, ValueError):
        return value


def absolute(value: Any, kind: str, now: dt.datetime) -> Any:
    """A value of a column of this kind, as if it were given as it is at that moment (in UTC).

    Raises:
        ValueError: it is no distance, or too far.
    """
    if not isinstance(value, Now):
        return value
    sign, length = ("", value.distance) if value.distance[:1] not in "+-" else (value.distance[:1], value.distance[1:])
    try:
        distance = parse_duration(length)
        moment = now - distance if sign == "-" else now + distance
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is not a distance from now; write it like -3d or +2h ({EXAMPLES})") from error
    # The year has four digits here, unlike strftime's.
    return moment.strftime(_FORMS[Kind(kind)].replace("%Y", f"{moment.year:04}"))
