"""PostgreSQL's SQL, as far as texts in schemas are translated from it and into it."""

from __future__ import annotations

from toolkit.core.sql_dialect import SqlDialect

_UTC = "CURRENT_TIMESTAMP AT TIME ZONE 'UTC'"

SQL = SqlDialect(
    grammar="postgres",
    trims_spaces=True,
    cases_by_collation=True,
    byte_collations=frozenset({"C", "POSIX", "UCS_BASIC"}),
    folding_type="CITEXT",
    pads_chars=True,
    in_bytes='{} COLLATE "C"',
    # By this collation no letter has another case but those of ASCII.
    lowered='lower({} COLLATE "C")',
    raised='upper({} COLLATE "C")',
    bytes="'\\x{}'::bytea",
    moments={
        "timestamp": f"({_UTC})",
        "timestamptz": "CURRENT_TIMESTAMP",
        "date": f"(CAST({_UTC} AS date))",
        "time": f"(CAST({_UTC} AS time))",
    },
    session_moments={"timestamp": "LOCALTIMESTAMP", "date": "CURRENT_DATE", "time": "LOCALTIME"},
    seconds="(CAST(floor(extract(epoch FROM CURRENT_TIMESTAMP)) AS bigint))",
    moment_text=f"(to_char({_UTC}, '{{}}'))",
    moment_codes={
        "%Y": "YYYY",
        "%m": "MM",
        "%d": "DD",
        "%H": "HH24",
        "%M": "MI",
        "%S": "SS",
        "%f": "SS.MS",
        "%T": "HH24:MI:SS",
    },
    moment_quotes=True,
    uuids={
        "uuid": "gen_random_uuid()",
        "dashed": "(CAST(gen_random_uuid() AS text))",
        "hex": "(replace(CAST(gen_random_uuid() AS text), '-', ''))",
    },
    arrays="'{}'",
)
