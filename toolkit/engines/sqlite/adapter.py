"""How the values of one column stand in SQLite: what is fetched, and what is bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pyarrow as pa
import sqlalchemy as sa

from toolkit.engines.portable.adapters import Adapter
from toolkit.engines.sqlite.literals import sqlite_literal


class SqliteAdapter(Adapter):
    """Values that are all of one storage class: text, in this one."""

    arrow: ClassVar[pa.DataType] = pa.string()
    """What the Arrow reader makes of them."""
    classes: ClassVar[tuple[str, ...]] = ("text",)
    """The storage classes that a value may be of; none where the decoder itself says what does not fit."""

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The stored value as it is; the driver returns each with its own storage class."""
        return sa.type_coerce(source, sa.types.NullType())

    def fetch(self, name: str) -> str:
        """The same in SQL, of a column whose quoted name this is."""
        return name

    def length(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """The expression of how many bytes a stored value has: SQLite counts a text's characters to its first NUL."""
        return sa.func.length(sa.cast(self.select(source), sa.BLOB))

    def expressions(self, name: str) -> list[tuple[str, pa.DataType]]:
        """What the Arrow reader fetches of a column, whose quoted name this is, and the types that it comes in."""
        return [(name, self.arrow)]

    def decode(self, values: Sequence[Any]) -> pa.Array:
        """Stored Python values as an array."""
        return self.incoming(self._as_fetched(values))

    def _as_fetched(self, values: Sequence[Any]) -> pa.Array:
        """Stored values as the Arrow reader gives them."""
        return pa.array(values, self.arrow)

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        """What the Arrow reader gave."""
        (values,) = fetched
        return values.cast(self.type.arrow)

    def encode(self, values: pa.Array) -> list[Any]:
        """An array as values to bind."""
        listed: list[Any] = values.to_pylist()
        return listed

    def literals(self, values: pa.Array) -> list[str]:
        """For `sqlite3`."""
        return [sqlite_literal(value) for value in self.encode(values)]

    def lossy(self, declared: str, value: str) -> str | None:
        """The condition of the stored values that reading them would change; None if none would be.

        Any column may hold any class. The Arrow reader refuses most of what is not its column's, but writes numbers as
        text (doubles with seven digits), and takes text for bytes.
        """
        return None

    def unlike_key(self, declared: str, value: str) -> str | None:
        """The condition of stored values that a key's own form does not find; None if there are none."""
        return None
