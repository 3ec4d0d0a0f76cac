"""DuckDB's SQL, as far as texts in schemas are translated from it and into it."""

from __future__ import annotations

import string

from toolkit.core.sql_dialect import SqlDialect

_UTC = "CURRENT_TIMESTAMP AT TIME ZONE 'UTC'"
_CAPITALS, _SMALL = string.ascii_uppercase, string.ascii_lowercase

SQL = SqlDialect(
    grammar="duckdb",
    byte_collations=frozenset({"BINARY", "C", "POSIX"}),
    orders_by_bytes=True,
    in_bytes="{}",
    # Its lower() knows the letters of all alphabets.
    lowered=f"translate({{}}, '{_CAPITALS}', '{_SMALL}')",
    raised=f"translate({{}}, '{_SMALL}', '{_CAPITALS}')",
    bytes="unhex('{}')",
    moments={
        "timestamp": f"({_UTC})",
        "timestamptz": "CURRENT_TIMESTAMP",
        "date": f"(CAST({_UTC} AS DATE))",
        "time": f"(CAST({_UTC} AS TIME))",
    },
    session_moments={"timestamp": "LOCALTIMESTAMP", "date": "CURRENT_DATE"},
    seconds="(CAST(floor(epoch(CURRENT_TIMESTAMP)) AS BIGINT))",
    moment_text=f"(strftime({_UTC}, '{{}}'))",
    moment_codes={**{code: code for code in ("%Y", "%m", "%d", "%H", "%M", "%S")}, "%f": "%S.%g", "%T": "%H:%M:%S"},
    uuids={
        "uuid": "gen_random_uuid()",
        "dashed": "(CAST(gen_random_uuid() AS VARCHAR))",
        "hex": "(replace(CAST(gen_random_uuid() AS VARCHAR), '-', ''))",
    },
    arrays="[]",
)
