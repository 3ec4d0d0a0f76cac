"""How the values of one column stand in DuckDB: the expressions that read and write them."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa

from toolkit.engines.duckdb import lossy
from toolkit.engines.portable.adapters import Adapter
from toolkit.engines.portable.literals import each, plain, replaced_text
from toolkit.engines.portable.lossy import ANY_VALUE

# What characters say in several ways.
_LOOSE = frozenset({"BOOLEAN", "UUID", "TIMESTAMP", "TIMESTAMPTZ", "TIME"})


class DuckDBAdapter(Adapter):
    """A type of DuckDB's that Arrow has too."""

    sql: ClassVar[str]
    """DuckDB's type for the canonical values."""
    exact: ClassVar[frozenset[str]] = frozenset()
    """DuckDB's types whose every value the logical type holds."""
    text_pattern: ClassVar[str | None] = None
    """How texts are written that a cast to the type takes as they are."""
    is_cast: ClassVar[bool] = True
    """Whether a value is stored by a cast, so that a value that is refused may be one that cannot be cast."""

    @property
    def sql_type(self) -> str:
        """DuckDB's type for the canonical values."""
        return self.sql

    def read(self, value: str, actual: str) -> str:
        """The expression whose Arrow form is the canonical one, or becomes it by `incoming`.

        `actual` is what DuckDB's catalog calls the column's type.
        """
        return f"CAST({value} AS {self.sql_type})"

    def write(self, value: str, actual: str) -> str:
        """The expression that turns an incoming value into the column's type in the database."""
        cast = f"CAST({value} AS {actual})"
        # Of NULL, DuckDB makes a member that is NULL: a value, which is none itself.
        return f"CASE WHEN {value} IS NOT NULL THEN {cast} END" if lossy.is_union(actual) else cast

    def rewritten(self, value: str, actual: str) -> str | None:
        """A key's value in a column of characters as it would be written there; None where none stands otherwise."""
        if actual != "VARCHAR" or self.sql not in _LOOSE:
            return None
        return self.write(f"TRY_CAST({value} AS {self.sql})", actual)

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        """What DuckDB's Arrow reader gave for `read`."""
        (values,) = fetched
        return (values.storage if isinstance(values, pa.ExtensionArray) else values).cast(self.type.arrow)

    def literals(self, values: pa.Array) -> list[str]:
        """For `duckdb`."""
        return plain(self.type, values)

    def lossy(self, actual: str, value: str) -> str | None:
        """The condition that values of the type `actual` meet if reading them changes them; None if none does.

        `value` is quoted already.
        """
        if actual in self.exact:
            return None
        if actual == "BIT":
            # It takes any number for the bits that it is made of.
            return ANY_VALUE
        if actual == "VARCHAR" and self.text_pattern is not None:
            matches = f"regexp_matches({value}, '{self.text_pattern}')"
            return f"(NOT {matches} OR TRY_CAST({value} AS {self.sql_type}) IS NULL)"
        return lossy.changed(value, actual, self.sql_type)


class Text(DuckDBAdapter):
    """Characters."""

    sql = "VARCHAR"

    def literals(self, values: pa.Array) -> list[str]:
        return each(values, lambda text: replaced_text(text, "chr"))

    def lossy(self, actual: str, value: str) -> str | None:
        return lossy.changed(value, actual, self.sql) if lossy.is_nested(actual) else None
