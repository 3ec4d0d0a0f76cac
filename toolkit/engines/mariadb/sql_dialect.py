"""MariaDB's SQL, as far as texts in schemas are translated from it and into it."""

from __future__ import annotations

from toolkit.core.sql_dialect import SqlDialect

SQL = SqlDialect(
    grammar="mysql",
    trims_spaces=True,
    # Truth values are numbers; times are written as texts.
    has_loose_types=True,
    byte_collations=frozenset({"UTF8MB4_NOPAD_BIN", "BINARY"}),
    orders_by_bytes=True,
    in_bytes="{}",
    # Its length() counts bytes, and its trim() takes no second argument.
    length="char_length({})",
    trimmed="trim(BOTH ' ' FROM {})",
    same="<=>",
    bytes="x'{}'",
    moments={
        "timestamp": "(utc_timestamp(6))",
        "timestamptz": "(utc_timestamp(6))",
        "date": "(utc_date())",
        "time": "(utc_time(6))",
    },
    session_moments={
        "timestamp": "current_timestamp(6)",
        "date": "(current_date())",
        "time": "(current_time(6))",
    },
    uuids={
        "uuid": "(replace(uuid(), '-', ''))",
        "dashed": "(uuid())",
        "hex": "(replace(uuid(), '-', ''))",
    },
)
