"""What of another engine's schema SQLite can have."""

from __future__ import annotations

from toolkit.core.types import Kind
from toolkit.engines.contract import SchemaFeatures
from toolkit.engines.sqlite.sql_dialect import SQL

FEATURES = SchemaFeatures(
    sql=SQL,
    has_schemas=False,
    reserved_prefix="sqlite_",
    keeps_lengths=False,
    has_comments=False,
    computed_when=frozenset({"stored", "virtual"}),
    number_type="INTEGER",
    declarations={
        Kind.INT16: "INTEGER",
        Kind.INT32: "INTEGER",
        Kind.INT64: "INTEGER",
        Kind.FLOAT64: "REAL",
        Kind.TEXT: "TEXT",
        Kind.UUID: "UUID",
        Kind.TIMETZ: "TIME WITH TIME ZONE",
        Kind.TIMESTAMP: "DATETIME",
        Kind.TIMESTAMPTZ: "TIMESTAMP WITH TIME ZONE",
    },
    numbered_options={"sqlite_autoincrement": True},
    has_partial_indexes=True,
    orders_nulls=False,
)
