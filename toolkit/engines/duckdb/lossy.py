"""Which values of DuckDB's types a cast to a logical type would change.

DuckDB rounds and cuts without a word: a DECIMAL(18,4) to two places, nanoseconds to microseconds, a timestamp to its
date. A value is whole if it comes back from the cast as it was, whatever the types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from toolkit.core.types import INTEGER_KINDS, JSON_KINDS, TEXT_KINDS, Kind, LogicalType
from toolkit.engines.portable.lossy import (
    ANY_VALUE,
    INTEGER_TEXT,
    NUMBER_TEXT,
    TIMESTAMP_TEXT,
    TIMESTAMPTZ_TEXT,
    holds_decimals,
)

_DAY = 86_400_000_000
_NESTED = ("STRUCT(", "MAP(", "UNION(")
_LIST = re.compile(r"(.*)\[\d*\]", re.DOTALL)
_WHOLE = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}
)
_SECONDS = {"TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}
# For each kind, the types whose every value it holds.
_EXACT: Mapping[str, frozenset[str]] = {
    Kind.UUID: frozenset({"UUID"}),
    Kind.TIMESTAMP: frozenset(_SECONDS),
    Kind.TIMESTAMPTZ: frozenset(_SECONDS),
    Kind.DATE: frozenset({"DATE"}),
    Kind.TIME: frozenset({"TIME"}),
    Kind.BOOL: frozenset({"BOOLEAN"}),
    Kind.INT16: frozenset({"TINYINT", "SMALLINT", "UTINYINT"}),
    Kind.INT32: frozenset({"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT"}),
    Kind.INT64: frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}),
    Kind.FLOAT32: frozenset({"FLOAT"}),
    Kind.FLOAT64: frozenset({"FLOAT", "DOUBLE", "TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}),
    Kind.BYTES: frozenset({"BLOB"}),
    Kind.JSON: frozenset({"JSON"}),
    Kind.FILE: frozenset({"JSON"}),
}
_TEXT_PATTERNS: dict[str, str] = {
    **dict.fromkeys(INTEGER_KINDS, INTEGER_TEXT),
    Kind.UUID: ".",
    Kind.BOOL: "^(t|f|true|false|TRUE|FALSE|0|1)$",
    Kind.TIMESTAMP: TIMESTAMP_TEXT,
    Kind.TIMESTAMPTZ: TIMESTAMPTZ_TEXT,
}


def lossy_condition(type_: LogicalType, actual: str, value: str, wanted: str) -> str | None:
    """The condition that values of the type `actual` meet if reading them as `type_` changes them; None if none does.

    `actual` is what DuckDB's catalog calls the column's type, `wanted` DuckDB's type for the logical one; `value` is
    quoted already.
    """
    kind = type_.kind
    if actual in _EXACT.get(kind, ()):
        return None
    if kind is Kind.ARRAY:
        return _array(type_, actual)
    if kind is Kind.INTERVAL:
        return _interval(value) if actual == "INTERVAL" else ANY_VALUE
    if kind in JSON_KINDS:
        return f"NOT json_valid({value})" if actual == "VARCHAR" else ANY_VALUE
    if kind in TEXT_KINDS:
        is_nested = actual.startswith(_NESTED) or _LIST.fullmatch(actual)
        return _changed(value, actual, "VARCHAR") if is_nested else None
    if kind is Kind.DECIMAL and (found := _decimal(type_, actual, value)) is not None:
        return found or None
    if actual == "VARCHAR" and (pattern := _TEXT_PATTERNS.get(kind)):
        return f"(NOT regexp_matches({value}, '{pattern}') OR TRY_CAST({value} AS {wanted}) IS NULL)"
    return _changed(value, actual, wanted)


def _changed(value: str, actual: str, wanted: str) -> str:
    """The condition of values that do not come back from a cast as they were."""
    return f"TRY_CAST(TRY_CAST({value} AS {wanted}) AS {actual}) IS DISTINCT FROM {value}"


def _decimal(type_: LogicalType, actual: str, value: str) -> str | None:
    """The condition where a decimal needs one of its own, an empty one where every value is held."""
    if actual.startswith("DECIMAL"):
        return "" if holds_decimals(type_, actual) else None
    if type_.precision is None:
        # Its canonical form is the text of the number.
        if actual in _WHOLE:
            return ""
        return f"NOT isfinite({value})" if actual in ("FLOAT", "DOUBLE") else _not_a_number(actual, value)
    return None


def _not_a_number(actual: str, value: str) -> str:
    return f"NOT regexp_matches({value}, '{NUMBER_TEXT}')" if actual == "VARCHAR" else ANY_VALUE


def _interval(value: str) -> str:
    """DuckDB keeps months, days and microseconds apart; a `timedelta` has days, and less than one in the rest."""
    months = f"date_part('year', {value}) * 12 + date_part('month', {value})"
    # Of the longest there is no number of microseconds.
    rest = f"TRY(epoch_us({value})) - date_part('day', {value}) * {_DAY}"
    return f"({months} <> 0 OR coalesce(NOT ({rest} >= 0 AND {rest} < {_DAY}), true))"


def _array(type_: LogicalType, actual: str) -> str | None:
    """Lists of elements that are exactly the model's."""
    assert type_.element is not None
    found, kind = _LIST.fullmatch(actual), type_.element.kind
    if found is None:
        return ANY_VALUE
    is_text = kind in TEXT_KINDS and not found[1].startswith(_NESTED) and not _LIST.fullmatch(found[1])
    return None if is_text or found[1] in _EXACT.get(kind, ()) else ANY_VALUE
