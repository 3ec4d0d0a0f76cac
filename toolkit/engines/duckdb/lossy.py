"""Which values of DuckDB's types a cast to a logical type would change.

DuckDB rounds and cuts without a word: a DECIMAL(18,4) to two places, nanoseconds to microseconds, a timestamp to its
date. A value is whole if it comes back from the cast as it was, whatever the types.
"""

from __future__ import annotations

import re
from shlex import quote as shell

from toolkit.core.moments import DAY
from toolkit.core.types import LogicalType
from toolkit.engines.portable.lossy import (
    ANY_VALUE,
    NUMBER_TEXT,
    holds_decimals,
)

_DECIMAL = re.compile(r"DECIMAL\(\d+,(\d+)\)")
_NESTED = ("STRUCT(", "MAP(", "UNION(")
_LIST = re.compile(r"(.*)\[\d*\]", re.DOTALL)
_WHOLE = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}
)


def changed(value: str, actual: str, wanted: str) -> str:
    """The condition of values that do not come back from a cast as they were."""
    return f"TRY_CAST(TRY_CAST({value} AS {wanted}) AS {actual}) IS DISTINCT FROM {value}"


def element_of(actual: str) -> str | None:
    """The type of a list's elements; None if it is no list's."""
    found = _LIST.fullmatch(actual)
    return None if found is None else found[1]


def is_union(actual: str) -> bool:
    """Whether values of a type are of one of several, and not lists of such."""
    return actual.startswith("UNION(") and element_of(actual) is None


def is_nested(actual: str) -> bool:
    """Whether values of a type have parts, of which their text may lose some."""
    return actual.startswith(_NESTED) or element_of(actual) is not None


def bare(actual: str) -> str:
    """A type's name without what stands in brackets behind it."""
    return actual if element_of(actual) is not None else actual.partition("(")[0]


def told_of(actual: str, table: str, column: str) -> tuple[str, str]:
    """What values are that a type of many types has, and what to do; nothing of other types."""
    if "VARIANT" not in actual:
        return "", ""
    reason = f"of type {actual}, whose text does not say of which type it is"
    advice = (
        "Make documents of them there (ALTER TABLE … ALTER … TYPE JSON USING to_json(…)), or leave the column "
        f"out: --exclude-column {shell(table)}.{shell(column)}."
    )
    return reason, advice


def decimal_condition(type_: LogicalType, actual: str, value: str) -> str | None:
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


def interval_condition(value: str) -> str:
    """DuckDB keeps months, days and microseconds apart; a `timedelta` has days, and less than one in the rest."""
    months = f"date_part('year', {value}) * 12 + date_part('month', {value})"
    # Of the longest there is no number of microseconds.
    rest = f"TRY(epoch_us({value})) - date_part('day', {value}) * {DAY}"
    return f"({months} <> 0 OR coalesce(NOT ({rest} >= 0 AND {rest} < {DAY}), true))"


def decimal_scale(actual: str) -> int | None:
    """How many decimals a type keeps; None if it is none of decimals."""
    found = _DECIMAL.fullmatch(actual)
    return None if found is None else int(found[1])
