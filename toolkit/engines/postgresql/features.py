"""What of another engine's schema PostgreSQL can have."""

from __future__ import annotations

from toolkit.engines.contract import SchemaFeatures
from toolkit.engines.postgresql.sql_dialect import SQL

FEATURES = SchemaFeatures(
    sql=SQL,
    # NAMEDATALEN is 64: what is longer is cut, with a notice.
    longest_name=63,
    folds_names=False,
    # Without its schema, the name of one is that of the server's own.
    reserved_prefix="pg_",
    reserved_columns=frozenset({"cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"}),
    keys_share_names=True,
    names_keys=True,
    tells_constraints_apart=True,
    has_enums=True,
    # Versions before 18 compute none as they are read.
    computed_when=frozenset({"stored"}),
    computes_of_computed=False,
    numbers_any_column=True,
    never_numbers_null=True,
    # Unless it is jsonb.
    unindexed=frozenset({"json"}),
    has_deferrable_keys=True,
    has_nulls_not_distinct=True,
    has_partial_indexes=True,
    has_match_full=True,
    has_set_of_columns=True,
)
