"""SQLite's SQL, as far as texts in schemas are translated from it and into it."""

from __future__ import annotations

from toolkit.core.sql_dialect import SqlDialect

_DASHED = (
    "(lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2))) || '-4' || substr(lower(hex(randomblob(2))), 2) || "
    "'-' || substr('89ab', 1 + abs(random() % 4), 1) || substr(lower(hex(randomblob(2))), 2) || '-' || "
    "lower(hex(randomblob(6))))"
)

SQL = SqlDialect(
    grammar="sqlite",
    trims_spaces=True,
    folds_ascii_alone=True,
    like_folds=True,
    has_loose_names=True,
    has_loose_types=True,
    has_short_floats=False,
    byte_collations=frozenset({"BINARY"}),
    folding_collations=frozenset({"NOCASE"}),
    padding_collations=frozenset({"RTRIM"}),
    orders_by_bytes=True,
    # "Datatypes In SQLite", section 3.1.
    numeric_declarations=r".*INT.*|(?!.*(?:CHAR|CLOB|TEXT|BLOB)).+",
    in_bytes="{}",
    lowered="lower({})",
    raised="upper({})",
    has_glob=True,
    same="IS",
    stores_doubles_as_bytes=True,
    moments={
        "timestamp": "CURRENT_TIMESTAMP",
        "timestamptz": "CURRENT_TIMESTAMP",
        "date": "CURRENT_DATE",
        "time": "CURRENT_TIME",
    },
    seconds="(CAST(strftime('%s', 'now') AS INTEGER))",
    moment_text="(strftime('{}', 'now'))",
    moment_codes={**{code: code for code in ("%Y", "%m", "%d", "%H", "%M", "%S", "%f")}, "%T": "%H:%M:%S"},
    # As SQLAlchemy stores them: 32 digits.
    uuids={"uuid": "(lower(hex(randomblob(16))))", "hex": "(lower(hex(randomblob(16))))", "dashed": _DASHED},
    arrays="'[]'",
)
