"""Which values of SQLite's columns reading them as a logical type would change: those of another storage class.

Any column may hold any class. The Arrow reader refuses most of what is not its column's, but writes numbers as text
(doubles with seven digits), and takes text for bytes.
"""

from __future__ import annotations

from sqlalchemy.dialects import sqlite

from toolkit.core.types import TEXT_KINDS, Kind, LogicalType

# What is declared so has TEXT affinity, and turns every number into text ("Datatypes In SQLite", section 3.1); of
# the names that come before, INT wins.
_TEXT_NAMES = ("CHAR", "CLOB", "TEXT")


def lossy_condition(type_: LogicalType, declared: str, name: str) -> str | None:
    """The condition of the values of a column that would be changed; None if none would be."""
    value = sqlite.dialect().identifier_preparer.quote_identifier(name)
    if type_.kind is Kind.BYTES:
        return f"typeof({value}) <> 'blob'"
    upper = declared.upper()
    if type_.kind in TEXT_KINDS and ("INT" in upper or not any(part in upper for part in _TEXT_NAMES)):
        return f"typeof({value}) = 'real'"
    return None
