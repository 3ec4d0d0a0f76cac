"""How the values of one column stand in MariaDB: what is fetched, and what is bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import pyarrow as pa
import sqlalchemy as sa

from toolkit.core.values import shortened
from toolkit.engines.mariadb.types import LABELS, TEXTS, ActualType, actual_type
from toolkit.engines.portable.adapters import Adapter, MisfitError


class MariaDBAdapter(Adapter):
    """A column of a type that is what the canonical schema has, or is made of it in Python."""

    names: ClassVar[frozenset[str]] = TEXTS
    """The types whose values this reads and writes."""
    is_read_by_text: ClassVar[bool] = False
    """Whether what is fetched is the server's text of a value."""
    stored_as: str | None = None
    """The column's type in the catalogue; None: as a table is made from the model."""

    @property
    def actual(self) -> ActualType:
        """The column's type."""
        if self.stored_as is None and self.declared is not None:
            from toolkit.engines.mariadb.dialect import DIALECT

            return actual_type(self.declared.compile(DIALECT))
        return actual_type(self.stored_as or "")

    def is_read(self, actual: ActualType) -> bool:
        """Whether values of a type are read as what they are: others are refused, column by column."""
        return actual.name in self.names

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The stored value as it is."""
        return sa.type_coerce(source, sa.types.NullType())

    def length(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """The expression of how many bytes a stored value has."""
        return sa.func.octet_length(sa.type_coerce(source, sa.types.NullType()))


class Text(MariaDBAdapter):
    """Characters, of whatever character set the column has."""

    names = TEXTS | LABELS

    def decode(self, values: Sequence[Any]) -> pa.Array:
        """Texts as they are."""
        return pa.array(values, self.type.arrow)

    def encode(self, values: pa.Array) -> list[Any]:
        """Texts, if the column keeps them whole."""
        listed: list[Any] = values.to_pylist()
        actual = self.actual
        if actual.name == "char" or actual.name in LABELS:
            require(listed, lambda text: not text.endswith(" "), "ends with a space, which its column would lose")
        if (most := actual.size) is not None and actual.name in TEXTS:
            require(listed, lambda text: len(text) <= most, f"is longer than {most} characters")
        return listed


def require(values: Iterable[Any], is_kept: Callable[[Any], bool], problem: str) -> None:
    """Check each value that is not NULL.

    Raises:
        MisfitError: one is not kept.
    """
    for row, value in enumerate(values):
        if value is not None and not is_kept(value):
            shown = str(value) if isinstance(value, Decimal) else repr(value)
            raise MisfitError(row, f"holds {shortened(shown)}, which {problem}")
