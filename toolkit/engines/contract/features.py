"""What an engine can have of a schema: data by which another engine's schema is made to fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from toolkit.core.sql_dialect import SqlDialect


class SchemaFeatures(Struct, frozen=True):
    """What tables that are made may have. Without further words it is what every engine has."""

    sql: SqlDialect = field(default_factory=SqlDialect)
    """Its SQL."""

    # -- names -----------------------------------------------------------------------------------------------------

    has_schemas: bool = True
    """Tables lie in schemas, and so do the names of their indexes."""
    longest_name: int | None = None
    """The most bytes of a name."""
    names_end_in_blanks: bool = True
    """A name may end with blanks."""
    folds_names: bool = True
    """Names that differ by the case of ASCII's letters alone are one."""
    reserved_columns: frozenset[str] = frozenset()
    """Names that no column may have."""
    reserved_prefix: str | None = None
    """What no table's name may begin with."""
    keys_share_names: bool = False
    """Primary keys and unique constraints have names among those of tables and indexes."""
    tells_constraints_apart: bool = False
    """No two constraints of a table have one name."""
    names_keys: bool = False
    """So have those that were given none."""

    # -- columns ---------------------------------------------------------------------------------------------------

    keeps_lengths: bool = True
    """No text is longer than its column's type says."""
    declarations: Mapping[str, str] = field(default_factory=dict)
    """By logical type, how a column of it is declared where the engine takes any name for a type."""
    has_enums: bool = False
    """A column of an enum holds its labels alone."""
    has_comments: bool = True
    """Tables and columns have comments."""
    computed_when: frozenset[str] = frozenset()
    """When a generated column is computed: as it is `stored`, or as it is read (`virtual`)."""
    computes_of_computed: bool = True
    """A generated column may be computed from another."""
    constrains_computed: bool = True
    """A generated column may be part of a key or a check, and may be NOT NULL."""
    constrains_changed: bool = True
    """A check, or a stored value, may rest on a column that numbers itself, or that a foreign key's action changes."""
    numbers_any_column: bool = False
    """Any column may number itself; else a key of one column alone."""
    never_numbers_null: bool = False
    """A column that numbers itself is never NULL."""
    number_type: str | None = None
    """The type that a column must have that numbers itself, if there is only one."""
    numbered_options: Mapping[str, Any] = field(default_factory=dict)
    """What SQLAlchemy is told of a table whose key numbers itself."""

    # -- keys and indexes ------------------------------------------------------------------------------------------

    unindexed: frozenset[str] = frozenset()
    """The logical types of which no column is in a key or an index."""
    has_deferrable_keys: bool = False
    """A unique key may be checked at the end of a transaction."""
    has_nulls_not_distinct: bool = False
    """In a unique key, NULLs may be the same."""
    has_partial_indexes: bool = False
    """An index may have a condition."""
    indexes_expressions: bool = True
    """An index may be of an expression."""
    orders_indexes: bool = True
    """An index is in ascending or descending order."""
    orders_nulls: bool = True
    """An index says whether NULLs are first."""

    # -- foreign keys ----------------------------------------------------------------------------------------------

    keeps_foreign_keys: bool = True
    """Tables that are made have foreign keys."""
    defers_foreign_keys: bool = True
    """A foreign key may be checked at the end of a transaction."""
    has_set_default: bool = True
    """Rows whose parent goes or changes may get their columns' defaults."""
    has_match_full: bool = False
    """A foreign key may ask for either all of its columns or none."""
    has_set_of_columns: bool = False
    """What is set to NULL by a foreign key's action may be some of its columns."""
