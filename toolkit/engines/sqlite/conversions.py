"""What a stored value of SQLite has to be in order to be one of another type, and how it becomes one exactly.

SQLite stores a date as text, and its CAST takes a number from a text's beginning: `CAST('1999-12-31' AS DATETIME)` is
1999, `CAST('x2' AS INTEGER)` 0. So nothing is cast that is not known to come back.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from advanced_alchemy.types import GUID
from sqlalchemy import Enum, Interval, Numeric, String, Uuid

from toolkit.engines.sqlite.declared_kinds import kind_of

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.types import TypeEngine

_DATE = "____-__-__"
_HOURS = "[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
_FRACTION = "({rest} = '' OR length({rest}) = 7 AND {rest} GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]')"
# Only with a modifier does SQLite make 30 February the 1st of March.
_IS_DATE = "length({c}) = 10 AND date({c}, '+0 days') = {c}"
_IS_MOMENT = (
    f"substr({{c}}, 11) GLOB ' {_HOURS}*' AND datetime({{c}}, '+0 days') = substr({{c}}, 1, 19) AND "
    + _FRACTION.replace("{rest}", "substr({c}, 20)")
)
_IS_TIME = f"{{c}} GLOB '{_HOURS}*' AND time({{c}}) = substr({{c}}, 1, 8) AND " + _FRACTION.replace(
    "{rest}", "substr({c}, 9)"
)
_IS_TEXT = "typeof({c}) = 'text' AND "
# A whole number that a double holds, up to 2^53; SQLite's `abs` fails of the least integer.
_IS_SAFE = f"CAST({{c}} AS NUMERIC) BETWEEN {-(2**53)} AND {2**53}"
_KEEP = "{c}"
# A column of the type JSON makes numbers of texts that look like one.
_IS_JSON = (
    "CASE WHEN typeof({c}) IN ('text', 'integer', 'real') AND json_valid({c}) THEN "
    "json_type({c}) NOT IN ('integer', 'real') OR CAST(CAST({c} AS NUMERIC) AS TEXT) = CAST({c} AS TEXT) END"
)

# 1.50 is 1.5, but 007 and 1e2 are more than a number.
_DIGITS = "CASE WHEN instr({c}, '.') THEN rtrim(rtrim({c}, '0'), '.') ELSE {c} END"
_IS_NUMBER = f"{_IS_TEXT}{_DIGITS} = {_DIGITS.replace('{c}', 'CAST(CAST({c} AS NUMERIC) AS TEXT)')}"

_UUID_DIGITS = "lower(replace({c}, '-', ''))"
_IS_UUID = f"length({_UUID_DIGITS}) = 32 AND {_UUID_DIGITS} NOT GLOB '*[^0-9a-f]*'"
_ALL_BYTES = f"X'{bytes(range(256)).hex()}'"
_UUID_BYTE = (
    f"substr({_ALL_BYTES}, 16 * (instr('0123456789abcdef', substr({_UUID_DIGITS}, {{n}}, 1)) - 1) + "
    f"instr('0123456789abcdef', substr({_UUID_DIGITS}, {{n}} + 1, 1)), 1)"
)
# SQLite has unhex() since 3.41.
_UUID_BYTES = f"CAST({' || '.join(_UUID_BYTE.replace('{n}', str(n)) for n in range(1, 33, 2))} AS BLOB)"
_IS_GUID = re.compile(r"BINARY ?\(16\)", re.IGNORECASE)
"""As Advanced Alchemy's GUID is declared."""
_UUID_TEXT = "lower({})".format(
    " || '-' || ".join(
        f"substr(hex({{c}}), {start}, {size})" for start, size in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    )
)

# For each kind of column: what a value may be, and what it becomes. The first that is true counts.
_BECOMES: dict[str, tuple[tuple[str, str], ...]] = {
    "text": (
        ("typeof({c}) = 'text'", _KEEP),
        ("typeof({c}) = 'integer'", "CAST({c} AS TEXT)"),
        ("typeof({c}) = 'real' AND CAST(CAST({c} AS TEXT) AS REAL) = {c}", "CAST({c} AS TEXT)"),
    ),
    "integer": (
        ("typeof({c}) = 'integer'", _KEEP),
        (f"typeof({{c}}) = 'real' AND {{c}} = CAST({{c}} AS INTEGER) AND {_IS_SAFE}", "CAST({c} AS INTEGER)"),
        (f"{_IS_TEXT}CAST(CAST({{c}} AS INTEGER) AS TEXT) = {{c}}", "CAST({c} AS INTEGER)"),
    ),
    "boolean": (("typeof({c}) = 'integer' AND {c} IN (0, 1)", _KEEP),),
    "real": (
        ("typeof({c}) = 'real'", _KEEP),
        (f"typeof({{c}}) = 'integer' AND {_IS_SAFE}", _KEEP),
        (f"{_IS_NUMBER} AND {_IS_SAFE}", "CAST({c} AS REAL)"),
    ),
    "numeric": (
        (f"typeof({{c}}) = 'integer' AND {_IS_SAFE}", _KEEP),
        ("typeof({c}) = 'real'", _KEEP),
        (_IS_NUMBER, "CAST({c} AS NUMERIC)"),
    ),
    "date": (
        (f"{_IS_TEXT}{_IS_DATE}", _KEEP),
        (f"{_IS_TEXT}{_IS_MOMENT} AND rtrim(substr({{c}}, 11), ' 0:.') = ''", "substr({c}, 1, 10)"),
    ),
    "datetime": (
        (f"{_IS_TEXT}{_IS_MOMENT}", _KEEP),
        (f"{_IS_TEXT}{_IS_DATE}", "{c} || ' 00:00:00.000000'"),
    ),
    "time": ((f"{_IS_TEXT}{_IS_TIME}", _KEEP),),
    "json": ((_IS_JSON, _KEEP),),
    "uuid": (
        (
            f"{_IS_TEXT}{_IS_UUID}",
            _UUID_DIGITS,
        ),
        ("typeof({c}) = 'blob' AND length({c}) = 16", "lower(hex({c}))"),
    ),
    "binary": (("typeof({c}) = 'blob'", _KEEP),),
    "guid": (
        ("typeof({c}) = 'blob' AND length({c}) = 16", _KEEP),
        (f"{_IS_TEXT}{_IS_UUID} AND hex({_UUID_BYTES}) = upper({_UUID_DIGITS})", _UUID_BYTES),
    ),
    "interval": (),
    # Of a type that SQLite does not know it makes a number of what looks like one.
    "other": (("typeof({c}) <> 'text' OR {c} GLOB '*[^0-9eE.+ -]*'", _KEEP),),
    "untyped": (("1", _KEEP),),
}
# As PostgreSQL and DuckDB say it.
_WORDED = {
    ("guid", "text"): (("typeof({c}) = 'blob' AND length({c}) = 16", _UUID_TEXT),),
    ("boolean", "text"): (("{c} = 1", "'true'"), ("{c} = 0", "'false'")),
    ("text", "boolean"): (
        ("{c} = 'true' COLLATE BINARY", "1"),
        ("{c} = 'false' COLLATE BINARY", "0"),
    ),
}


def conversions(declared: str, wanted: TypeEngine[Any], column: str, dialect: Dialect) -> list[tuple[str, str]] | None:
    """The conditions on a value, of which one has to be true, with what it becomes then; None if all stay as they are.

    `column` is the quoted name.
    """
    old = kind_of(declared)
    implemented = wanted.dialect_impl(dialect)
    implemented = getattr(implemented, "impl_instance", implemented)
    new = kind_of(dialect.type_compiler_instance.process(wanted))
    if isinstance(implemented, Uuid):
        new = "uuid"
    elif isinstance(implemented, Interval):
        new = "interval"
    elif isinstance(wanted, GUID) and new == "binary":
        new = "guid"
    elif new == "text" and _IS_GUID.fullmatch(declared):
        old = "guid"
    scale = implemented.scale if isinstance(implemented, Numeric) and new == "numeric" else None
    names = implemented.enums if isinstance(implemented, Enum) else None
    length = implemented.length if isinstance(implemented, String) and names is None and new == "text" else None
    if old == new and scale is None and names is None and length is None:
        return None
    if old == new:
        found: tuple[tuple[str, str], ...] = (("1", _KEEP),)
    else:
        found = _WORDED.get((old, new), _BECOMES[new])
    limits = []
    if scale is not None:
        limits.append(f"(typeof({{c}}) NOT IN ('integer', 'real') OR round({{c}}, {int(scale)}) = {{c}})")
    if names is not None:
        limits.append("{c} COLLATE BINARY IN (" + ", ".join(_text(each) for each in names) + ")")
    lengths = [] if length is None else [f"length({{v}}) <= {int(length)}"]
    return [
        (
            " AND ".join([f"({condition})", *limits, *lengths]).replace("{v}", value).replace("{c}", column),
            value.replace("{c}", column),
        )
        for condition, value in found
    ]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
