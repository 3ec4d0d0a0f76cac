"""What of another engine's schema MariaDB can have."""

from __future__ import annotations

from toolkit.core.types import JSON_KINDS, Kind
from toolkit.engines.contract import SchemaFeatures
from toolkit.engines.mariadb.sql_dialect import SQL

FEATURES = SchemaFeatures(
    sql=SQL,
    # A schema is another database of the server.
    has_schemas=False,
    longest_name=64,
    names_end_in_blanks=False,
    has_enums=True,
    tells_constraints_apart=True,
    computed_when=frozenset({"stored", "virtual"}),
    # Error 1901: "AUTO_INCREMENT cannot be used in the CHECK clause".
    constrains_changed=False,
    never_numbers_null=True,
    unindexed=frozenset({*JSON_KINDS, Kind.ARRAY, Kind.NESTED}),
    indexes_expressions=False,
    orders_nulls=False,
    defers_foreign_keys=False,
    # InnoDB takes the words, forgets them, and refuses to remove such a parent.
    has_set_default=False,
)
