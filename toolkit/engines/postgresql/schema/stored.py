"""What columns of PostgreSQL hold that their declarations do not say: arrays of arrays, numbers of any size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec import Struct, field
from sqlalchemy.dialects import postgresql

from toolkit.core.engine_type import EngineType
from toolkit.core.schema import TYPES_BY_KIND, WIDER, TypesBy
from toolkit.core.types import Kind

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

    from toolkit.engines.postgresql.schema.types import Types
    from toolkit.engines.postgresql.session import PostgresSession

# What a decimal without a precision is where there is none of any size (DuckDB's `UNLIMITED_NUMERIC`).
_DIGITS, _SCALE = 38, 10
_WITH_DIGITS = re.compile(r"numeric\([\d,-]+\)$")


class Stored(Struct):
    """The columns, by table and number, that need another type than the declared one."""

    nested: set[tuple[int, int]] = field(default_factory=set)
    unlimited: set[tuple[int, int]] = field(default_factory=set)
    beyond: set[tuple[int, int]] = field(default_factory=set)
    """Those of numbers with so many digits that hold what is none."""

    def look(
        self, connection: PostgresSession, table: str, columns: Sequence[Any], known: Types, types: TypesBy
    ) -> None:
        """Look through a table, once, if it has any column that asks for it."""
        asked = [(self.nested, row, _NESTED) for row in columns if known.is_list(row)]
        if types is TypesBy.VALUES:
            asked += [(self.unlimited, row, _UNLIMITED) for row in columns if row.shown == "numeric"]
            asked += [(self.beyond, row, _NO_NUMBER) for row in columns if _WITH_DIGITS.match(row.shown)]
        if not asked:
            return
        parts = ", ".join(f"bool_or({question.format(row.quoted)})" for _, row, question in asked)
        found = connection.run(f"SELECT {parts} FROM {table}").fetchone() or ()
        for (places, row, _), is_so in zip(asked, found, strict=True):
            if is_so:
                places.add((row.table, row.number))

    def type_of(self, row: Any, known: Types) -> TypeEngine[Any]:
        """A column's type that has a place for all that it holds."""
        place = (row.table, row.number)
        if place in self.unlimited:
            return _unlimited(row.shown)
        return known.of(row.type, row.shown, 2 if place in self.nested else row.dimensions, row.collation)

    def info(self, row: Any) -> dict[str, object]:
        """What a column of numbers with so many digits is, by what it holds."""
        if not _WITH_DIGITS.match(row.shown):
            return {}
        wide = _unlimited(row.shown)
        is_beyond = (row.table, row.number) in self.beyond
        return {TYPES_BY_KIND: {Kind.DECIMAL: wide}, **({WIDER: wide} if is_beyond else {})}


def _unlimited(shown: str) -> EngineType:
    return EngineType("postgresql", shown, like=postgresql.NUMERIC(), elsewhere=sa.Text())


# Arrays of arrays, or that do not begin at 1.
_NESTED = "array_ndims({0}) > 1 OR array_lower({0}, 1) <> 1"
# What a decimal with so many digits holds, too.
_NO_NUMBER = "{0} = 'NaN'"
# Numbers that are none, infinite ones, and those with more digits.
_UNLIMITED = (
    f"{{0}} = 'NaN' OR scale({{0}}) IS NULL AND {{0}} IS NOT NULL OR scale({{0}}) > {_SCALE} "
    f"OR abs({{0}}) >= 1e{_DIGITS - _SCALE}"
)
