"""Values as SQL literals that an engine's own client (`psql`, `sqlite3`, `duckdb`) reads back exactly.

No literal holds a line break or a character of control: those clients read scripts line by line, drop a carriage return
before a line feed, and some of them end at U+0000.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.core.moments import date_text, timestamp_text
from toolkit.core.types import INTEGER_KINDS, Kind, LogicalType
from toolkit.core.values import python_scalar

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_INT64_MINIMUM = -(2**63)
# Every character beyond the first 65,536: a text that holds all of them is four megabytes long.
_RARE_CHARACTERS = range(0x10000, 0x110000)


def quoted_text(text: str) -> str:
    """A text without special characters as a literal."""
    return "'" + text.replace("'", "''") + "'"


def replaced_text(text: str, character: str) -> str:
    r"""A text for an engine without escapes: `replace('one\ntwo', '\n', chr(10))`; `character` is its `chr`."""
    special = sorted(set(CONTROL.findall(text)))
    if not special:
        return quoted_text(text)
    mark = _unused(text)
    literal = quoted_text(CONTROL.sub(lambda found: mark + _name(found[0]), text))
    for each in special:
        literal = f"replace({literal}, {quoted_text(mark + _name(each))}, {character}({ord(each)}))"
    return literal


def _unused(text: str) -> str:
    """A character that is not in the text, so that what it marks is what was put there."""
    return next(mark for mark in chain("\\~^|", map(chr, _RARE_CHARACTERS)) if mark not in text)


def _name(control: str) -> str:
    return {"\n": "n", "\r": "r", "\t": "t", "\x00": "0"}.get(control) or f"x{ord(control):02x}"


def each(values: pa.Array, literal: Callable[[Any], str]) -> list[str]:
    """A column by what stands for each value; NULL is NULL."""
    return ["NULL" if value is None else literal(value) for value in values.to_pylist()]


def plain(type_: LogicalType, values: pa.Array) -> list[str]:
    """Numbers, booleans, times and UUIDs, which stand alike in PostgreSQL and DuckDB."""
    return _PLAIN[type_.carrier](values)


def _bools(values: pa.Array) -> list[str]:
    return each(values, lambda value: "TRUE" if value else "FALSE")


def _integers(values: pa.Array) -> list[str]:
    # A minus is an operator, and what follows it here is no bigint.
    return each(values, lambda value: f"'{value}'" if value == _INT64_MINIMUM else str(value))


def _decimals(values: pa.Array) -> list[str]:
    return each(values, lambda value: f"'{value:f}'" if isinstance(value, Decimal) else quoted_text(value))


def _times(values: pa.Array) -> list[str]:
    return ["NULL" if value is None else f"'{value}'" for value in map(python_scalar, values)]


_PLAIN: dict[Kind, Callable[[pa.Array], list[str]]] = {
    Kind.BOOL: _bools,
    **dict.fromkeys(INTEGER_KINDS, _integers),
    Kind.FLOAT32: lambda values: each(values, lambda value: f"'{np.float32(value)}'"),
    Kind.FLOAT64: lambda values: each(values, lambda value: f"'{value}'"),
    Kind.DECIMAL: _decimals,
    Kind.TIME: _times,
    Kind.UUID: lambda values: each(values, lambda value: f"'{uuid.UUID(bytes=value)}'"),
}


def dates(type_: LogicalType, values: pa.Array, era: str, *, at_end: bool) -> list[str]:
    """Dates and timestamps of any year; `era` tells those before the first, behind the date or at the end."""
    whole = values.view(pa.int32() if type_.carrier is Kind.DATE else pa.int64())
    offset = "+00:00" if type_.carrier is Kind.TIMESTAMPTZ else ""
    show = date_text if type_.carrier is Kind.DATE else partial(timestamp_text, offset=offset)

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

    return each(whole, literal)
