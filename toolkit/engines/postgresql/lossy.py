"""Which values of PostgreSQL's types a cast to a logical type would change.

The server itself rounds, cuts and wraps round without a word: 5.5::integer is 6, 4294967295::oid::integer is -1,
a timestamp's time and a time's offset are dropped.
"""

from __future__ import annotations

from toolkit.core.types import Kind, LogicalType
from toolkit.engines.portable.lossy import (
    ANY_VALUE,
    BITS,
    DATE_TEXT,
    INTEGER_TEXT,
    NUMBER_TEXT,
    TIME_TEXT,
    TIMESTAMP_TEXT,
    TIMESTAMPTZ_TEXT,
    TIMETZ_TEXT,
    bare,
    holds_decimals,
)
from toolkit.engines.postgresql.json import KNOWS_JSON

TEXTS = frozenset({"text", "character varying", "character", "bpchar", "citext", "name"})
_INTEGERS = {"smallint": 16, "integer": 32, "bigint": 64}
_FLOATS = {"real": Kind.FLOAT32, "double precision": Kind.FLOAT64}
_TIMESTAMP, _TIMESTAMPTZ = "timestamp without time zone", "timestamp with time zone"
# The smallest and the greatest numbers that single and double precision hold, 0 apart; beyond, a cast is an error.
_FLOAT_RANGES: dict[str, tuple[str, str, str]] = {
    Kind.FLOAT32: ("real", "1.4e-45", "3.4028235e38"),
    Kind.FLOAT64: ("double precision", "5e-324", "1.797693134862315e308"),
}
# Greater integers, cast to a double and back, may be out of range.
_SAFE_INTEGER = 2**62


def _matching(pattern: str, value: str, otherwise: str = "false") -> str:
    """The condition of texts that are not of a pattern, and of those that are, if they meet another one."""
    return f"CASE WHEN {value} ~ '{pattern}' THEN {otherwise} ELSE true END"


def _unlike_number(value: str, beyond: str, wire: str) -> str:
    """The condition of texts that are no number, are one beyond a type, or are not written as the type writes it."""
    return _matching(NUMBER_TEXT, value, f"CASE WHEN {beyond} THEN true ELSE {value}::{wire}::text <> {value} END")


def integer(type_: LogicalType, actual: str, value: str) -> str | None:
    """The condition of values that an integer of the model changes."""
    bits, name = BITS[type_.carrier], bare(actual)
    if name in _INTEGERS:
        return None if _INTEGERS[name] <= bits else _beyond_bits(value, bits)
    if name in ("numeric", *_FLOATS):
        return f"({_beyond_bits(value, bits)} OR {value} <> trunc({value}))"
    if name == "oid" and type_.carrier is not Kind.INT16:
        return _beyond_bits(f"{value}::bigint", bits)
    if name in TEXTS:
        return _matching(INTEGER_TEXT, value, _beyond_bits(f"{value}::numeric", bits))
    return None if name == "boolean" and type_.carrier is Kind.INT32 else ANY_VALUE


def _beyond_bits(number: str, bits: int) -> str:
    """The condition of numbers, NaN among them, that no integer of so many bits holds."""
    return f"NOT ({number} >= {-(2 ** (bits - 1))} AND {number} < {2 ** (bits - 1)})"


def floating(type_: LogicalType, actual: str, value: str) -> str | None:
    """The condition of values that a float of the model changes."""
    name = bare(actual)
    if _FLOATS.get(name) in (type_.carrier, Kind.FLOAT32):
        return None
    if name in _INTEGERS:
        exact = type_.carrier is Kind.FLOAT64 and _INTEGERS[name] <= 32  # noqa: PLR2004 - bits
        if exact:
            return None
        wire = _FLOAT_RANGES[type_.carrier][0]
        changed = f"{value}::{wire}::bigint <> {value}"
        return f"CASE WHEN abs({value}::numeric) < {_SAFE_INTEGER} THEN {changed} ELSE true END"
    if name in ("numeric", "double precision"):
        return _rounded(type_, name, value)
    if name in TEXTS:
        wire = _FLOAT_RANGES[type_.carrier][0]
        return _unlike_number(value, _rounded(type_, "numeric", f"{value}::numeric"), wire)
    return ANY_VALUE


def _rounded(type_: LogicalType, name: str, value: str) -> str:
    """The condition of numbers that a float has no equal of, or none of the same digits."""
    wire, least, most = _FLOAT_RANGES[type_.carrier]
    # By its shortest text: PostgreSQL's own cast of a float to numeric rounds to 6 or 15 digits.
    back = f"{value}::{wire}::text::numeric" if name == "numeric" else f"{value}::{wire}::{name}"
    return (
        f"CASE WHEN {value}::text IN ('NaN', 'Infinity', '-Infinity') OR {value} = 0 THEN false "
        f"WHEN abs({value}) BETWEEN {least} AND {most} THEN {back} <> {value} ELSE true END"
    )


def decimal(type_: LogicalType, actual: str, value: str) -> str | None:
    """The condition of values that a decimal of the model changes."""
    name = bare(actual)
    if name == "numeric":
        return None if holds_decimals(type_, actual) else _beyond(type_, value)
    if name in _INTEGERS:
        return None if type_.precision is None else _beyond(type_, value)
    if name == "money":
        return None if type_.precision is None else _beyond(type_, f"{value}::numeric")
    if name in _FLOATS:
        number = f"{value}::text::numeric"
        beyond = "" if type_.precision is None else f" OR {_beyond(type_, number)}"
        return (
            f"CASE WHEN {value} = 'NaN' OR abs({value}) = 'Infinity' THEN true "
            f"ELSE {number} <> {value}::numeric{beyond} END"
        )
    if name in TEXTS:
        if type_.precision is None:
            return _unlike_number(value, "false", "numeric")
        wire = f"numeric({type_.precision}, {type_.scale or 0})"
        return _unlike_number(value, _beyond(type_, f"{value}::numeric"), wire)
    return ANY_VALUE


def _beyond(type_: LogicalType, number: str) -> str:
    """The condition of numbers that a decimal of the model has no place for."""
    assert type_.precision is not None
    scale = type_.scale or 0
    # round() of an infinity is one, and not less than anything.
    return f"NOT (abs({number}) < 1e{type_.precision - scale} AND round({number}, {scale}) = {number})"


def date(actual: str, value: str) -> str | None:
    """The condition of values that a date changes."""
    name = bare(actual)
    if name in (_TIMESTAMP, _TIMESTAMPTZ):
        return f"{value}::date::{name} <> {value}"
    return None if name == "date" else _matching(DATE_TEXT, value) if name in TEXTS else ANY_VALUE


def timestamp(type_: LogicalType, actual: str, value: str) -> str | None:
    """The condition of values that a timestamp of the model changes."""
    name = bare(actual)
    if name in (_TIMESTAMP, _TIMESTAMPTZ, "date"):
        return None
    pattern = TIMESTAMPTZ_TEXT if type_.carrier is Kind.TIMESTAMPTZ else TIMESTAMP_TEXT
    return _matching(pattern, value) if name in TEXTS else ANY_VALUE


def time(actual: str, value: str) -> str | None:
    """The condition of values that a time changes."""
    name = bare(actual)
    if name == "time with time zone":
        return f"extract(timezone FROM {value}) <> 0"
    if name == "time without time zone":
        return None
    return _matching(TIME_TEXT, value) if name in TEXTS else ANY_VALUE


def timetz(actual: str, value: str) -> str | None:
    """The condition of values that a time with an offset changes."""
    name = bare(actual)
    if name in ("time with time zone", "time without time zone"):
        return None
    return _matching(TIMETZ_TEXT, value, f"{value}::timetz::text <> {value}") if name in TEXTS else ANY_VALUE


def interval(actual: str, value: str) -> str | None:
    """PostgreSQL keeps months, days and microseconds apart; a `timedelta` has days, and less than one in the rest."""
    if not actual.startswith("interval"):
        return ANY_VALUE
    rest = f"{value} - make_interval(days => extract(day FROM {value})::integer)"
    return (
        f"CASE WHEN date_trunc('month', {value}) <> '0'::interval THEN true "
        f"ELSE NOT ({rest} >= '0'::interval AND {rest} < '24:00'::interval) END"
    )


def boolean(actual: str, value: str) -> str | None:
    """The condition of values that are neither true nor false."""
    name = bare(actual)
    if name == "boolean":
        return None
    if name == "integer":
        return f"{value} NOT IN (0, 1)"
    return _matching("^(t|f|true|false|TRUE|FALSE|0|1)$", value) if name in TEXTS else ANY_VALUE


def uuid(actual: str, value: str) -> str | None:
    """The condition of values that are no UUID."""
    name = bare(actual)
    pattern = r"^\s*[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}\s*$"
    return None if name == "uuid" else _matching(pattern, value) if name in TEXTS else ANY_VALUE


def json(actual: str, value: str, version: int) -> str | None:
    """The condition of values that are no JSON."""
    if bare(actual) in TEXTS:
        # An older server says of no text whether it is JSON, but refuses to cast what is not.
        return f"NOT ({value} IS JSON)" if version >= KNOWS_JSON else f"{value}::jsonb IS NULL"
    return None if actual in ("json", "jsonb") else ANY_VALUE
