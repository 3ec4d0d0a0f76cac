"""Conditions, in SQLite's SQL, on what is stored in a column: whether it is as declared, and what else it may be.

In each `{c}` is the quoted name. They need not tell a date that no calendar has: reading does, by row.
"""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.engines.sqlite.declared import Declared, Family

_IS_TEXT = "typeof({c}) = 'text'"
ANY_VALUE = "1"
_IS_MOMENT = "{c} LIKE '____-__-_____:__%'"
# Without its zone, a moment's time has neither a sign nor a letter. Functions that count characters, such as `substr`,
# and patterns with classes behind a star take three times as long.
_HAS_ZONE = "(instr({c}, '+') OR instr({c}, 'Z') OR instr({c}, 'z') OR {c} GLOB '????-??-??*-*')"
# How most applications write moments without a zone: one look instead of five at each of them.
_IS_PLAIN_MOMENT = (
    "({c} GLOB '????-??-??[ T]??:??:??.[0-9][0-9][0-9][0-9][0-9][0-9]' OR {c} GLOB '????-??-??[ T]??:??:[0-9][0-9]')"
)
IS_UUID = (
    "length({c}) IN (32, 36) AND length(replace({c}, '-', '')) = 32 AND replace({c}, '-', '') NOT GLOB '*[^0-9a-fA-F]*'"
)
_TRUTHS = "'t', 'T', 'true', 'True', 'TRUE', '1', 'f', 'F', 'false', 'False', 'FALSE', '0'"
_DIGITS = (
    "CAST({c} AS TEXT) GLOB '[-0-9]*[0-9]' AND CAST({c} AS TEXT) NOT GLOB '*[^-+.0-9eE]*' "
    "OR CAST({c} AS TEXT) IN ('0', 'NaN')"
)
# What every engine's decimals without a precision hold: DuckDB makes DECIMAL(38, 10) of them.
SOME_DECIMALS, SOME_DIGITS = 10, 27
_SOME_SCALES = (4, SOME_DECIMALS)
_TO_WHOLE = "6755399441055744.0"
_LARGEST = 19
"""More digits than every integer of SQLite's has."""

FORMS: dict[str, str] = {
    # By their bytes: the column's collation may take other texts for these, with a space at the end, or in capitals.
    "empty": "{c} = '' COLLATE BINARY",
    "boolean": f"{{c}} IN (0, 1) OR {{c}} COLLATE BINARY IN ({_TRUTHS})",
    "integer": f"{_IS_TEXT} AND CAST(CAST({{c}} AS INTEGER) AS TEXT) = {{c}} COLLATE BINARY",
    # Bytes are how this package keeps numbers that SQLite would change.
    "decimal": f"{_IS_TEXT} AND CAST(CAST({{c}} AS NUMERIC) AS TEXT) = {{c}} COLLATE BINARY "
    f"OR typeof({{c}}) = 'blob' AND ({_DIGITS})",
    "date": f"{_IS_TEXT} AND {{c}} LIKE '____-__-__' AND date({{c}}) IS NOT NULL",
    "timestamp": f"{_IS_TEXT} AND {_IS_MOMENT} AND NOT {_HAS_ZONE} AND datetime({{c}}) IS NOT NULL",
    "timestamp with zone": f"{_IS_TEXT} AND {_IS_MOMENT} AND {_HAS_ZONE}",
    "time": f"{_IS_TEXT} AND {{c}} LIKE '__:__%' AND time({{c}}) IS NOT NULL",
    "json": "json_valid(CASE typeof({c}) WHEN 'blob' THEN CAST({c} AS TEXT) ELSE {c} END)",
    "uuid": f"{_IS_TEXT} AND {IS_UUID} OR typeof({{c}}) = 'blob' AND length({{c}}) = 16",
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

_EXPECTED: dict[Family, Mapping[str, str]] = {
    Family.INTEGER: {"integer": ANY_VALUE},
    Family.BOOLEAN: {"integer": "{c} BETWEEN 0 AND 1"},
    Family.REAL: {"real": ANY_VALUE},
    Family.TEXT: {"text": ANY_VALUE},
    Family.BYTES: {"blob": ANY_VALUE},
    Family.TIMESTAMP: {"text": f"{_IS_PLAIN_MOMENT} OR {{c}} LIKE '____-__-_____:__:__%' AND NOT {_HAS_ZONE}"},
    Family.DATE: {"text": "{c} LIKE '____-__-__'"},
    Family.TIME: {"text": "{c} LIKE '__:__:__%'"},
    # Whether texts are documents is seen when they are read for more.
    Family.JSON: {"text": ANY_VALUE},
    Family.UUID: {"text": IS_UUID, "blob": "length({c}) = 16"},
}
EXPECTED_CLASS = {family: next(iter(classes)) for family, classes in _EXPECTED.items() if len(classes) == 1}
"""The one storage class of what is as declared, where it says that."""


def expected(of: Declared) -> Mapping[str, str] | None:
    """By storage class, the condition of a value that is just what was declared; None where that says nothing."""
    if of.family is Family.TIMESTAMP and of.has_zone:
        return {"text": f"{_IS_MOMENT} AND {_HAS_ZONE}"}
    if of.length is not None:
        return {"text": f"length({{c}}) <= {of.length}"}
    if of.family is Family.DECIMAL:
        scales = _SOME_SCALES if of.precision is None else (of.scale,)
        whole = SOME_DIGITS if of.precision is None else of.precision - of.scale
        return {
            "integer": f"{{c}} BETWEEN {1 - 10**whole} AND {10**whole - 1}" if 0 <= whole < _LARGEST else ANY_VALUE,
            "real": f"({' OR '.join(map(_is_rounded, scales))}) AND {{c}} > -1e{whole} AND {{c}} < 1e{whole}",
        }
    return _EXPECTED.get(of.family)


def _is_rounded(scale: int) -> str:
    """Whether a double is the nearest to a decimal of so few digits behind the point.

    Adding and taking away a number of which the last bit is 1 rounds; of larger numbers it says that they are none.
    SQLite's `round` takes ten times as long.
    """
    return f"(({{c}} * 1e{scale} + {_TO_WHOLE}) - {_TO_WHOLE}) / 1e{scale} = {{c}}"


def is_odd(cell: str, expected: Mapping[str, str]) -> str:
    """The condition of a value that is not as expected, which no NULL is; `cell` is the quoted name."""
    if all(condition == ANY_VALUE for condition in expected.values()):
        # Asked alone, the class is told without reading the value.
        # Comparisons: a list of IN, even of two, is a table to SQLite, in which each row is looked for (1.8 in place of
        # 1.4 s for 14 columns of 1,000,000 rows).
        others = " AND ".join(f"typeof({cell}) <> '{each}'" for each in expected)
        return f"({cell} IS NOT NULL AND {others})"
    # No CASE: what stands in one is calculated to its end, where AND and OR look no further than they must.
    cases = " OR ".join(f"typeof({{c}}) = '{each}' AND ({condition})" for each, condition in expected.items())
    return f"({{c}} IS NOT NULL AND ({cases}) IS NOT TRUE)".replace("{c}", cell)
