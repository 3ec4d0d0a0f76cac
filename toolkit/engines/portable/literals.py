"""Values as SQL literals that an engine's own client (`psql`, `sqlite3`, `duckdb`) reads back exactly.

No literal holds a line break or a character of control: those clients read scripts line by line, drop a carriage return
before a line feed, and some of them end at U+0000.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.core.moments import date_text, timestamp_text
from toolkit.core.types import FLOAT_KINDS, INTEGER_KINDS, JSON_KINDS, TEXT_KINDS, Kind, LogicalType
from toolkit.core.values import json_value, python_scalar

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_POSTGRES_ESCAPED = re.compile(r"[\x01-\x1f\x7f\\']")
_POSTGRES_ESCAPES = {"\\": "\\\\", "'": "''", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INT64_MINIMUM = -(2**63)
_DAY = 86_400_000_000
# Decimals with so few digits behind the point are read exactly by every version of SQLite (see `_sqlite_double`).
_FEW_DECIMALS = re.compile(r"-?\d{1,15}\.\d{1,4}")
_EXACT_DOUBLE = 2**53
_STEP = 62
# Every character beyond the first 65,536: a text that holds all of them is four megabytes long.
_RARE_CHARACTERS = range(0x10000, 0x110000)


def quoted_text(text: str) -> str:
    """A text without special characters as a literal."""
    return "'" + text.replace("'", "''") + "'"


def postgres_text(text: str) -> str:
    """A text for PostgreSQL: with escapes, if it needs any, that no setting of the server changes.

    Raises:
        ValueError: it holds the character U+0000.
    """
    if "\x00" in text:
        raise ValueError("the character U+0000")
    if "\\" not in text and not _CONTROL.search(text):
        return quoted_text(text)
    return "E'" + _POSTGRES_ESCAPED.sub(_postgres_escape, text) + "'"


def _postgres_escape(found: re.Match[str]) -> str:
    return _POSTGRES_ESCAPES.get(found[0]) or f"\\x{ord(found[0]):02x}"


def replaced_text(text: str, character: str) -> str:
    r"""A text for an engine without escapes: `replace('one\ntwo', '\n', chr(10))`; `character` is its `chr`."""
    special = sorted(set(_CONTROL.findall(text)))
    if not special:
        return quoted_text(text)
    mark = _unused(text)
    literal = quoted_text(_CONTROL.sub(lambda found: mark + _name(found[0]), text))
    for each in special:
        literal = f"replace({literal}, {quoted_text(mark + _name(each))}, {character}({ord(each)}))"
    return literal


def _unused(text: str) -> str:
    """A character that is not in the text, so that what it marks is what was put there."""
    return next(mark for mark in chain("\\~^|", map(chr, _RARE_CHARACTERS)) if mark not in text)


def _name(control: str) -> str:
    return {"\n": "n", "\r": "r", "\t": "t", "\x00": "0"}.get(control) or f"x{ord(control):02x}"


# -- SQLite --------------------------------------------------------------------------------------------------------


def sqlite_literal(stored: Any) -> str:
    """A stored value, as `SqliteCodec` gives it, for SQLite."""
    if stored is None:
        return "NULL"
    if isinstance(stored, bytes):
        return f"X'{stored.hex()}'"
    if isinstance(stored, float):
        return _sqlite_double(stored)
    return replaced_text(stored, "char") if isinstance(stored, str) else str(int(stored))


def _sqlite_double(value: float) -> str:
    """A double, exactly: SQLite reads about one in a thousand of seventeen digits wrongly (3.40 and older).

    It divides the digits by a power of ten in 64 bits and rounds twice. With four decimals or fewer no quotient comes
    so near the middle between two doubles that this matters; other numbers are a whole one times a power of two.
    """
    text = repr(value)
    if math.isinf(value):
        return "9e999" if value > 0 else "-9e999"
    if _FEW_DECIMALS.fullmatch(text) and abs(int(text.replace(".", ""))) < _EXACT_DOUBLE:
        return text
    whole, divisor = value.as_integer_ratio()
    exponent = 1 - divisor.bit_length()
    while abs(whole) >= _EXACT_DOUBLE:
        whole, exponent = whole // 2, exponent + 1
    sign = " * " if exponent > 0 else " / "
    steps = [_STEP] * (abs(exponent) // _STEP) + [abs(exponent) % _STEP]
    return f"(CAST({whole} AS REAL)" + "".join(sign + str(1 << step) for step in steps if step) + f") /* {text} */"


# -- PostgreSQL ----------------------------------------------------------------------------------------------------


def postgres_literals(type_: LogicalType, values: pa.Array) -> list[str]:
    """A canonical column for PostgreSQL, whatever the column's own type: quoted literals have none.

    Raises:
        ValueError: a value that PostgreSQL cannot keep.
    """
    kind = type_.kind
    if kind is Kind.ARRAY:
        from toolkit.engines.postgresql.sql import wire_array

        return _each(wire_array(type_, values), postgres_text)
    if kind in TEXT_KINDS or kind in JSON_KINDS:
        return _each(values, postgres_text)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.DATE):
        return _dates(type_, values, " BC", at_end=True)
    if kind is Kind.INTERVAL:
        return _each(values.view(pa.int64()), lambda whole: "'{} days {} microseconds'".format(*divmod(whole, _DAY)))
    if kind is Kind.BYTES:
        return _each(values, lambda raw: f"E'\\\\x{raw.hex()}'")
    return _plain(type_, values)


# -- DuckDB --------------------------------------------------------------------------------------------------------


def duckdb_literals(type_: LogicalType, values: pa.Array) -> list[str]:
    """A canonical column for DuckDB."""
    kind = type_.kind
    if kind is Kind.ARRAY:
        assert type_.element is not None
        element = type_.element
        return _each(values, lambda parts: f"[{', '.join(duckdb_literals(element, pa.array(parts, element.arrow)))}]")
    if kind in TEXT_KINDS or kind in JSON_KINDS:
        return _each(values, lambda text: replaced_text(text, "chr"))
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.DATE):
        return _dates(type_, values, " (BC)", at_end=False)
    if kind is Kind.INTERVAL:
        # Days apart, as the toolkit itself stores it.
        return _each(
            values.view(pa.int64()), lambda whole: "to_days({}) + to_microseconds({})".format(*divmod(whole, _DAY))
        )
    if kind is Kind.BYTES:
        return _each(values, lambda raw: f"from_hex('{raw.hex()}')")
    return _plain(type_, values)


# -- what they share -----------------------------------------------------------------------------------------------


def _each(values: pa.Array, literal: Callable[[Any], str]) -> list[str]:
    return ["NULL" if value is None else literal(value) for value in values.to_pylist()]


def _plain(type_: LogicalType, values: pa.Array) -> list[str]:
    """Numbers, booleans, times and UUIDs."""
    kind = type_.kind
    if kind is Kind.BOOL:
        return _each(values, lambda value: "TRUE" if value else "FALSE")
    if kind in INTEGER_KINDS:
        # A minus is an operator, and what follows it here is no bigint.
        return _each(values, lambda value: f"'{value}'" if value == _INT64_MINIMUM else str(value))
    if kind in FLOAT_KINDS:
        shortest = np.float32 if kind is Kind.FLOAT32 else float
        return _each(values, lambda value: f"'{shortest(value)}'")
    if kind is Kind.DECIMAL:
        return _each(values, lambda value: f"'{value:f}'" if isinstance(value, Decimal) else quoted_text(value))
    if kind is Kind.TIME:
        return ["NULL" if value is None else f"'{value}'" for value in map(python_scalar, values)]
    return _each(values, lambda value: f"'{json_value(type_, value)}'")


def _dates(type_: LogicalType, values: pa.Array, era: str, *, at_end: bool) -> list[str]:
    """Dates and timestamps of any year; `era` tells those before the first, behind the date or at the end."""
    whole = values.view(pa.int32() if type_.kind is Kind.DATE else pa.int64())
    offset = "+00:00" if type_.kind is Kind.TIMESTAMPTZ else ""
    show = date_text if type_.kind is Kind.DATE else partial(timestamp_text, offset=offset)

    def literal(number: int) -> str:
        text = show(number).removeprefix("+")
        if text.endswith("infinity"):
            return f"'{text}'"
        before = text.startswith("-")
        year, _, rest = text.removeprefix("-").partition("-")
        date, _, time = rest.partition("T")
        # The year 0 of ISO 8601 is the first before Christ.
        date = f"{int(year) + before:04d}-{date}"
        time = f" {time}" if time else ""
        return f"'{date}{time}{era if before else ''}'" if at_end else f"'{date}{era if before else ''}{time}'"

    return _each(whole, literal)
