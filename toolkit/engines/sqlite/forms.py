"""Conditions, in SQLite's SQL, on what is stored in a column: whether it is as declared, and what else it may be.

In each `{c}` is the quoted name. They need not tell a date that no calendar has: reading does, by row.
"""

from __future__ import annotations

from toolkit.engines.sqlite.declared import Declared, Family

_IS_TEXT = "typeof({c}) = 'text'"
_IS_MOMENT = "{c} LIKE '____-__-_____:__%'"
# Without its zone, a moment's time has neither a sign nor a letter. One GLOB for it takes twice as long.
_HAS_ZONE = "(instr({c}, '+') OR instr(substr({c}, 12), '-') OR substr({c}, -1) IN ('Z', 'z'))"
_IS_UUID = (
    "length({c}) IN (32, 36) AND length(replace({c}, '-', '')) = 32 AND replace({c}, '-', '') NOT GLOB '*[^0-9a-fA-F]*'"
)
_TRUTHS = "'t', 'T', 'true', 'True', 'TRUE', '1', 'f', 'F', 'false', 'False', 'FALSE', '0'"
_DIGITS = (
    "CAST({c} AS TEXT) GLOB '[-0-9]*[0-9]' AND CAST({c} AS TEXT) NOT GLOB '*[^-+.0-9eE]*' "
    "OR CAST({c} AS TEXT) IN ('0', 'NaN')"
)
# What every engine's decimals without a precision hold: DuckDB makes DECIMAL(38, 10) of them.
_SOME_DECIMALS, _SOME_DIGITS = 10, 27
_LARGEST = 19
"""More digits than every integer of SQLite's has."""

FORMS: dict[str, str] = {
    "empty": "{c} = ''",
    "boolean": f"{{c}} IN (0, 1) OR {{c}} IN ({_TRUTHS})",
    "integer": f"{_IS_TEXT} AND CAST(CAST({{c}} AS INTEGER) AS TEXT) = {{c}}",
    # Bytes are how this package keeps numbers that SQLite would change.
    "decimal": f"{_IS_TEXT} AND CAST(CAST({{c}} AS NUMERIC) AS TEXT) = {{c}} OR typeof({{c}}) = 'blob' AND ({_DIGITS})",
    "date": f"{_IS_TEXT} AND {{c}} LIKE '____-__-__' AND date({{c}}) IS NOT NULL",
    "timestamp": f"{_IS_TEXT} AND {_IS_MOMENT} AND NOT {_HAS_ZONE} AND datetime({{c}}) IS NOT NULL",
    "timestamp with zone": f"{_IS_TEXT} AND {_IS_MOMENT} AND {_HAS_ZONE}",
    "time": f"{_IS_TEXT} AND {{c}} LIKE '__:__%' AND time({{c}}) IS NOT NULL",
    "json": "json_valid(CASE typeof({c}) WHEN 'blob' THEN CAST({c} AS TEXT) ELSE {c} END)",
    "uuid": f"{_IS_TEXT} AND {_IS_UUID} OR typeof({{c}}) = 'blob' AND length({{c}}) = 16",
}
_MOMENTS = ("timestamp", "timestamp with zone", "date", "empty")
ASKED: dict[Family, tuple[str, ...]] = {
    Family.INTEGER: ("integer", "empty"),
    Family.BOOLEAN: ("boolean", "empty"),
    Family.REAL: ("decimal", "empty"),
    Family.DECIMAL: ("decimal", "empty"),
    Family.TEXT: ("empty",),
    Family.BYTES: (),
    Family.TIMESTAMP: _MOMENTS,
    Family.DATE: _MOMENTS,
    Family.TIME: ("time", "empty"),
    Family.JSON: ("json", "empty"),
    Family.UUID: ("uuid", "empty"),
    Family.ANY: ("empty",),
}

_EXPECTED: dict[Family, str] = {
    Family.INTEGER: "typeof({c}) = 'integer'",
    Family.BOOLEAN: "typeof({c}) = 'integer' AND {c} IN (0, 1)",
    Family.REAL: "typeof({c}) = 'real'",
    Family.DECIMAL: (
        f"typeof({{c}}) = 'integer' OR typeof({{c}}) = 'real' AND round({{c}}, {_SOME_DECIMALS}) = {{c}} "
        f"AND abs({{c}}) < 1e{_SOME_DIGITS}"
    ),
    Family.TEXT: _IS_TEXT,
    Family.BYTES: "typeof({c}) = 'blob'",
    Family.TIMESTAMP: f"{_IS_TEXT} AND {{c}} LIKE '____-__-_____:__:__%' AND NOT {_HAS_ZONE}",
    Family.DATE: f"{_IS_TEXT} AND {{c}} LIKE '____-__-__'",
    Family.TIME: f"{_IS_TEXT} AND {{c}} LIKE '__:__:__%'",
    Family.JSON: f"{_IS_TEXT} AND json_valid({{c}})",
    Family.UUID: FORMS["uuid"],
}
EXPECTED_CLASS: dict[Family, str] = {
    Family.INTEGER: "integer",
    Family.BOOLEAN: "integer",
    Family.REAL: "real",
    Family.TEXT: "text",
    Family.BYTES: "blob",
    Family.TIMESTAMP: "text",
    Family.DATE: "text",
    Family.TIME: "text",
    Family.JSON: "text",
}
"""The one storage class of what is as declared, where it says that."""


def expected(of: Declared) -> str | None:
    """The condition of a value that is just what was declared; None where that says nothing."""
    if of.family is Family.TIMESTAMP and of.has_zone:
        return f"{_IS_TEXT} AND {_IS_MOMENT} AND {_HAS_ZONE}"
    condition = _EXPECTED.get(of.family)
    if of.length is not None:
        return f"{condition} AND length({{c}}) <= {of.length}"
    if of.precision is not None:
        whole = of.precision - of.scale
        limit = f" AND {{c}} BETWEEN {1 - 10**whole} AND {10**whole - 1}" if 0 <= whole < _LARGEST else ""
        fits = f"typeof({{c}}) = 'integer'{limit}"
        limit = f" AND abs({{c}}) < 1e{whole}" if whole >= 0 else ""
        return f"{fits} OR typeof({{c}}) = 'real' AND round({{c}}, {of.scale}) = {{c}}{limit}"
    return condition
