"""Lengths of time as users write them: one grammar for every option."""

from __future__ import annotations

import datetime as dt
import re

_UNITS = {
    "s": dt.timedelta(seconds=1),
    "m": dt.timedelta(minutes=1),
    "h": dt.timedelta(hours=1),
    "d": dt.timedelta(days=1),
    "w": dt.timedelta(weeks=1),
    "mo": dt.timedelta(days=30),
    "y": dt.timedelta(days=365),
}
_PART = re.compile(r"(\d+)(mo|[smhdwy])")
EXAMPLES = "90s, 15m, 12h, 7d, 2w, 6mo or 1y"


def parse_duration(text: str) -> dt.timedelta:
    """A duration: `90s`, `15m` (minutes), `12h`, `7d`, `2w`, `6mo` (of 30 days), `1y` (of 365), or several: `1y6mo`.

    Raises:
        ValueError: it is none.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        raise ValueError(f"{text!r} is not a duration; write it like {EXAMPLES}")
    try:
        return sum((int(number) * _UNITS[unit] for number, unit in parts), dt.timedelta())
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long") from error


def show_duration(length: dt.timedelta) -> str:
    """A duration as `parse_duration` takes it, in whole seconds."""
    rest, shown = length, ""
    for unit in ("d", "h", "m", "s"):
        number, rest = divmod(rest, _UNITS[unit])
        shown += f"{number}{unit}" if number else ""
    return shown or "0s"
