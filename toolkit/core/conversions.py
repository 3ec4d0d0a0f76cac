"""How a stored value that the model's type cannot hold as it is becomes one that it can, by the user's word.

A stored value is a text as its engine writes it, or bytes; what comes out is what Arrow takes for the model's type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from shlex import quote as shell
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from toolkit.core.canonical_json import has_duplicate_keys, without_duplicate_keys
from toolkit.core.decimals import EXACT, parse_decimal
from toolkit.core.exact_texts import MOMENT_KINDS, exact_value, text_of
from toolkit.core.moments import DAY, FOUR_DIGIT_YEARS, MICROSECOND, days_of, microseconds_of
from toolkit.core.tables import TableSpec
from toolkit.core.types import INTEGER_KINDS, Kind, LogicalType
from toolkit.core.values import shortened
from toolkit.errors import ConfigurationError, UnknownNameError

Stored = str | bytes
_FROM_ZONE, EMPTY, ZERO_DATE = "utc-from", "empty-as-null", "zero-date-as-null"
AS_NULL = frozenset({EMPTY, ZERO_DATE})
"""Those that make NULL of some values."""
MADE = "made"
"""In the `info` of a column that refuses NULL: its table is made in this run, where it may take NULL."""
NO_DATE = r"0000-00-00([ T]00:00:00(\.0+)?)?"
"""How databases write a date that is none."""
UNITS = {"epoch-s": 1, "epoch-ms": 1_000, "epoch-us": 1_000_000}
"""By conversion, how many of them make a second."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local times have no zone
_LOCAL = LogicalType(Kind.TIMESTAMP)
_TIMESTAMPS = frozenset({Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
# Lengths of time, as Django keeps them in SQLite: a number counts from nothing.
_LENGTHS = frozenset({Kind.INTERVAL, Kind.CALENDAR_INTERVAL})
_ROUNDED = INTEGER_KINDS | {Kind.DECIMAL}
TRUTHS = {
    **dict.fromkeys(("t", "true", "yes", "y", "1", "on", "1.0"), True),
    **dict.fromkeys(("f", "false", "no", "n", "0", "off", "0.0"), False),
}
_TOO_FINE = re.compile(r"(\.\d{6})(\d+)")
_MIDNIGHT = re.compile(r"(.{4,}-\d\d-\d\d)[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]00(?::?00)?)?", re.IGNORECASE)
_OFFSET = re.compile(r":\d\d(?:\.\d+)?\s?(?:Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)$", re.IGNORECASE)
# An epoch is advised only where it gives a time that people use computers in.
_USUAL_DAYS = range(*((datetime(year, 1, 1) - _EPOCH).days for year in (1971, 2200)))  # noqa: DTZ001


@dataclass(frozen=True, slots=True)
class Conversion:
    """One way to convert the values of a column, by its name."""

    name: str
    kinds: Collection[str] | None
    """The logical types that it makes; None for all of them."""
    makes: str
    """These types in words."""
    convert: Callable[[LogicalType, Stored], Any] = field(repr=False, compare=False)
    lost: Callable[[Stored, Any], bool] | None = field(default=None, repr=False, compare=False)
    """Whether something of a stored value is not in what it was converted to; None if that never is so."""

    def fits(self, type_: LogicalType) -> bool:
        """Whether it makes values of this type."""
        if self.name == "round" and type_.is_free_decimal:
            return False
        return self.kinds is None or type_.kind in self.kinds

    def value(self, type_: LogicalType, stored: Stored) -> tuple[Any, bool]:
        """What Arrow takes for a stored value, and whether something of it was lost.

        Raises:
            ValueError: the conversion cannot take it; the message says why, in words that follow the value.
        """
        try:
            converted = self.convert(type_, stored)
        except OverflowError as error:
            raise ValueError("is out of range") from error
        return converted, self.lost is not None and self.lost(stored, converted)


def conversion(how: str) -> Conversion:
    """The conversion of that name, with its zone behind a colon if it is one of a zone.

    Raises:
        UnknownNameError, ConfigurationError: there is none, or no such zone.
    """
    name, colon, zone = how.partition(":")
    if name == _FROM_ZONE:
        return _from_zone(zone)
    if colon or name not in CONVERSIONS:
        raise UnknownNameError("conversion", how, [*CONVERSIONS, f"{_FROM_ZONE}:ZONE"])
    return CONVERSIONS[name]


def conversion_advice(spec: TableSpec, column: str, value: Any) -> str:
    """How to have a value converted that its type cannot hold as it is, as a sentence; "" where nothing takes it."""
    stored, type_ = value if isinstance(value, str | bytes) else str(value), spec.column(column).type
    is_key = column in spec.key
    takes_null = spec.column(column).nullable or MADE in spec.table.columns[column].info
    kept = frozenset[str]() if takes_null else AS_NULL
    usable = (name for name in _ADVISED if name not in kept and _takes(name, type_, stored))
    name = next((each for each in usable if not (is_key and conversion(each).lost)), None)
    place = shell(f"{spec.name}.{column}")
    return "" if name is None else f"Or have it converted as the source is read: --convert {place}:{name}."


def _takes(name: str, type_: LogicalType, stored: Stored) -> bool:
    found = conversion(name)
    if not found.fits(type_):
        return False
    try:
        converted, is_lossy = found.value(type_, stored)
    except ValueError:
        return False
    # One that loses something mends only what has that; JSON is kept as it is.
    if (found.lost is not None and not is_lossy) or (name == "json" and converted == stored):
        return False
    if type_.kind in _LENGTHS:
        return name == "epoch-us"
    return not name.startswith("epoch") or _is_usual(type_, converted)


def _is_usual(type_: LogicalType, converted: int) -> bool:
    days = converted if type_.kind == Kind.DATE else converted // DAY
    # Not by a date: databases know moments that Python does not (infinity, 294276-12-31).
    return days in _USUAL_DAYS


def shown_stored(stored: Stored) -> str:
    """A stored value for a message."""
    return shortened(repr(stored))


def _epoch(units: int) -> Callable[[LogicalType, Stored], Any]:
    """From so many units a second, since 1970 if it is a moment that they make."""

    def convert(type_: LogicalType, stored: Stored) -> Any:
        text = text_of(stored)
        try:
            number = parse_decimal(text)
        except ValueError:
            return exact_value(type_, text)
        if not number.is_finite() or number != number.to_integral_value():
            raise ValueError("is not a whole number")
        microseconds = int(number) * (1_000_000 // units)
        if type_.kind in _LENGTHS:
            return type_.adapter.parse_json(microseconds)
        if not FOUR_DIGIT_YEARS[0] <= microseconds <= FOUR_DIGIT_YEARS[1]:
            raise ValueError("is beyond the years 1 to 9999")
        if type_.kind != Kind.DATE:
            return microseconds
        if microseconds % DAY:
            raise ValueError("is not midnight in UTC: its time of day would be lost")
        return microseconds // DAY

    return convert


def _truncated(type_: LogicalType, stored: Stored) -> Any:
    return exact_value(type_, _TOO_FINE.sub(r"\1", text_of(stored)))


def _rounded(type_: LogicalType, stored: Stored) -> Any:
    number = parse_decimal(text_of(stored))
    if not number.is_finite():
        raise ValueError("is not finite")
    unit = Decimal(1).scaleb(-(type_.scale or 0))
    return exact_value(type_, format(number.quantize(unit, ROUND_HALF_EVEN, context=EXACT), "f"))


def _lost_digits(stored: Stored, _: Any) -> bool:
    found = _TOO_FINE.search(text_of(stored))
    return found is not None and found[2].strip("0") != ""


def _lost_fraction(stored: Stored, rounded: Any) -> bool:
    return bool(parse_decimal(text_of(stored)) != rounded)


def _lost_emptiness(_: Stored, converted: Any) -> bool:
    return converted is None


def _empty_as_null(type_: LogicalType, stored: Stored) -> Any:
    return exact_value(type_, stored) if stored else None


def _zero_date_as_null(type_: LogicalType, stored: Stored) -> Any:
    text = text_of(stored)
    return None if re.fullmatch(NO_DATE, text) else exact_value(type_, text)


def _as_text(_: LogicalType, stored: Stored) -> str:
    return text_of(stored)


def _as_json(_: LogicalType, stored: Stored) -> str:
    text = text_of(stored)
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return msgspec.json.encode(text).decode()
    return text


def _with_last_keys(_: LogicalType, stored: Stored) -> str:
    try:
        return without_duplicate_keys(text_of(stored))
    except ValueError as error:
        raise ValueError("is not valid JSON") from error


def _lost_keys(stored: Stored, _: Any) -> bool:
    return has_duplicate_keys(text_of(stored))


def _as_bool(_: LogicalType, stored: Stored) -> bool:
    found = TRUTHS.get(text_of(stored).strip().lower())
    if found is None:
        raise ValueError(f"is none of {', '.join(TRUTHS)}")
    return found


def _as_date(type_: LogicalType, stored: Stored) -> int:
    text = text_of(stored)
    if (found := _MIDNIGHT.fullmatch(text)) is not None:
        return days_of(found[1])
    try:
        return int(exact_value(type_, text))
    except ValueError as error:
        raise ValueError("is neither a date nor midnight") from error


def _from_zone(name: str) -> Conversion:
    """From local times of a zone; a time with an offset is an instant already."""
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"{_FROM_ZONE}:{name} names no time zone.", f"Name one of the IANA's, such as {_FROM_ZONE}:Europe/Berlin."
        ) from error

    def convert(_: LogicalType, stored: Stored) -> int:
        text = text_of(stored)
        try:
            if _OFFSET.search(text) or text.endswith("infinity"):
                return microseconds_of(text, UTC)
            local = _EPOCH + exact_value(_LOCAL, text) * MICROSECOND
        except ValueError as error:
            raise ValueError("is not a timestamp of at most six digits behind the second") from error
        return _in_utc(local, zone)

    return Conversion(f"{_FROM_ZONE}:{name}", _TIMESTAMPS, "timestamps", convert)


def _in_utc(local: datetime, zone: ZoneInfo) -> int:
    """A local time in microseconds of UTC since 1970.

    Raises:
        ValueError: clocks showed it twice, or never.
    """
    offsets = [local.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1)]
    if offsets[0] != offsets[1]:
        times = "twice" if offsets[0] > offsets[1] else "never"
        raise ValueError(f"is a time that clocks in {zone.key} showed {times}")
    return (local - _EPOCH - offsets[0]) // MICROSECOND


_TEXTS = frozenset({Kind.TEXT, Kind.ENUM, Kind.NATIVE})
CONVERSIONS: dict[str, Conversion] = {
    each.name: each
    for each in (
        *(
            Conversion(name, MOMENT_KINDS | _LENGTHS, "timestamps, dates and intervals", _epoch(units))
            for name, units in UNITS.items()
        ),
        Conversion(
            "truncate-microseconds", _TIMESTAMPS | {Kind.TIME}, "timestamps and times", _truncated, _lost_digits
        ),
        Conversion("round", _ROUNDED, "integers and decimals of a fixed scale", _rounded, _lost_fraction),
        Conversion(EMPTY, None, "anything", _empty_as_null, _lost_emptiness),
        Conversion(ZERO_DATE, _TIMESTAMPS | {Kind.DATE}, "timestamps and dates", _zero_date_as_null, _lost_emptiness),
        Conversion("text", _TEXTS, "texts", _as_text),
        Conversion("json", {Kind.JSON}, "JSON documents", _as_json),
        Conversion("last-duplicate-key", {Kind.JSON}, "JSON documents", _with_last_keys, _lost_keys),
        Conversion("bool", {Kind.BOOL}, "booleans", _as_bool),
        Conversion("date", {Kind.DATE}, "dates", _as_date),
        Conversion("utf-8", _TEXTS, "texts", _as_text),
    )
}
"""By name, those that need nothing but it."""

# In the order in which they are tried: what keeps the whole value comes first.
_ADVISED = (
    EMPTY,
    ZERO_DATE,
    "bool",
    "date",
    "epoch-s",
    "epoch-ms",
    "epoch-us",
    f"{_FROM_ZONE}:UTC",
    "truncate-microseconds",
    "round",
    "json",
    "last-duplicate-key",
    "text",
)
