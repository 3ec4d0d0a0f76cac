"""What of another engine's schema DuckDB can have."""

from __future__ import annotations

from toolkit.engines.contract import SchemaFeatures
from toolkit.engines.duckdb.sql_dialect import SQL

FEATURES = SchemaFeatures(
    sql=SQL,
    # Its dialect makes unique indexes of named unique constraints, or their names would be lost.
    keys_share_names=True,
    keeps_lengths=False,
    computed_when=frozenset({"virtual"}),
    constrains_computed=False,
    numbers_any_column=True,
    unindexed=frozenset({"array", "nested array", "interval", "calendar interval"}),
    # It forgets what an index was said to be.
    orders_indexes=False,
    # See toolkit.engines.duckdb.dialect.
    keeps_foreign_keys=False,
)
