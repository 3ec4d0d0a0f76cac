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

    places: ClassVar[int] = 4
    """How many parameters a value takes of what ADBC binds; all but one of them are NULL."""

    def outgoing(self, values: pa.Array) -> pa.Array:
        """An array as ADBC binds it: one, or a struct of those that the values stand in by their storage class."""
        return by_class(self.encode(values))

    def bind(self, value: str) -> str:
        """The expression of what is stored, of what is bound."""
        return value

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

    @property
    def written_form(self) -> str:
        """How a key is written that may stand in other forms, for a message."""
        return "as SQLAlchemy writes them"

    def unlike_written_key(self, value: str) -> str | None:
        """The condition of stored values beside which the same, as it is written, is another key; None without any."""
        return None


class Vectorised(SqliteAdapter):
    """Values that Arrow itself makes what is bound; `outgoing` says how."""

    places = 1

    def outgoing(self, values: pa.Array) -> pa.Array:
        """An array as ADBC binds it."""
        return values

    def encode(self, values: pa.Array) -> list[Any]:
        """An array as values to bind."""
        sent = self.outgoing(values)
        if not pa.types.is_struct(sent.type):
            listed: list[Any] = sent.to_pylist()
            return listed
        lists = [part.to_pylist() for part in sent.flatten()]
        return [next((value for value in row if value is not None), None) for row in zip(*lists, strict=True)]


def by_class(values: Sequence[Any]) -> pa.StructArray:
    """Values to bind, each in the array of its class: integers, doubles, texts, bytes."""
    classes = ((int, pa.int64()), (float, pa.float64()), (str, pa.string()), (bytes, pa.binary()))
    return apart(
        *(pa.array([v if isinstance(v, class_) else None for v in values], type_) for class_, type_ in classes)
    )


def apart(*arrays: pa.Array) -> pa.StructArray:
    """Arrays of which at most one has a value in each row."""
    return pa.StructArray.from_arrays(list(arrays), names=[str(number) for number in range(len(arrays))])
