"""How the values of one column stand in MariaDB: what is fetched, and what is bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from toolkit.core.values import shortened
from toolkit.engines.mariadb.dialect import DIALECT
from toolkit.engines.mariadb.literals import script_literals
from toolkit.engines.mariadb.types import LABELS, TEXTS, ActualType, actual_type, labels_of
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
    def definition(self) -> str:
        """The column's type, in the words of the catalogue or of a statement that makes it."""
        if self.stored_as is None and self.declared is not None:
            return self.declared.compile(DIALECT)
        return self.stored_as or ""

    @property
    def actual(self) -> ActualType:
        """The column's type."""
        return actual_type(self.definition)

    def is_read(self, actual: ActualType) -> bool:
        """Whether values of a type are read as what they are: others are refused, column by column."""
        return actual.name in self.names

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The stored value as it is."""
        return sa.type_coerce(source, sa.types.NullType())

    def told(self, cell: str) -> str:
        """The expression of a stored value, whose quoted name this is, that the server sends in full."""
        return cell

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        """The bytes of what `told` gave, as canonical values."""
        return self.decode(fetched[0].cast(pa.string()).to_pylist())

    def encode(self, values: pa.Array) -> list[Any]:
        """An array as values to bind, by the column's own type.

        Raises:
            MisfitError: a value that the column would change; or any, if its type is for others.
        """
        self._require_place(values)
        return self.bound(values)

    def outgoing(self, values: pa.Array) -> pa.Array:
        """An array as the texts that a LOAD DATA sends; `received` makes the values of them.

        Raises:
            MisfitError: a value that the column would change; or any, if its type is for others.
        """
        self._require_place(values)
        return self.sent(values)

    def _require_place(self, values: pa.Array) -> None:
        actual = self.actual
        if not self.is_read(actual):
            require(values.to_pylist(), lambda _: False, f"a column of {actual.name} has no place for")

    def sent(self, values: pa.Array) -> pa.Array:
        """The same, of values of a type that the column is for."""
        return pa.array([None if each is None else _plain(each) for each in self.bound(values)], pa.string())

    def received(self, variable: str) -> str | None:
        """The expression of the value whose text this variable has; None: the text is what the column takes."""
        return None

    def bound(self, values: pa.Array) -> list[Any]:
        """The same, of values of a type that the column is for."""
        listed: list[Any] = values.to_pylist()
        return listed

    def literals(self, values: pa.Array) -> list[str]:
        """For `mariadb`: of texts with a character of control or a backslash, the digits of their bytes."""
        return script_literals(self.encode(values))

    def length(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """The expression of how many bytes a stored value has."""
        return sa.func.octet_length(sa.type_coerce(source, sa.types.NullType()))


class Text(MariaDBAdapter):
    """Characters, of whatever character set the column has."""

    names = TEXTS | LABELS

    def decode(self, values: Sequence[Any]) -> pa.Array:
        """Texts as they are."""
        return pa.array(values, self.type.arrow)

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        """Texts as they are."""
        return fetched[0].cast(pa.string()).cast(self.type.arrow)

    def sent(self, values: pa.Array) -> pa.Array:
        """The texts: each is looked at only if one of them may not be kept whole."""
        actual = self.actual
        is_short = actual.name in LABELS or (
            actual.size is not None and (pc.max(pc.utf8_length(values)).as_py() or 0) > actual.size
        )
        if is_short or (actual.name == "char" and pc.any(pc.ends_with(values, " ")).as_py()):
            self.bound(values)
        return values

    def bound(self, values: pa.Array) -> list[Any]:
        """Texts, if the column keeps them whole."""
        listed: list[Any] = values.to_pylist()
        actual = self.actual
        if actual.name == "char" or actual.name in LABELS:
            require(listed, lambda text: not text.endswith(" "), "ends with a space, which its column would lose")
        if actual.name in LABELS:
            require(listed, partial(_is_among, labels_of(self.definition), actual.name == "set"), "is no label there")
        if (most := actual.size) is not None and actual.name in TEXTS:
            require(listed, lambda text: len(text) <= most, f"is longer than {most} characters")
        return listed


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _is_among(labels: Sequence[str], is_set: bool, text: str) -> bool:
    """Whether a text is a label as it is written, or some of them in their order."""
    if not is_set:
        return text in labels
    parts = text.split(",") if text else []
    return parts == [label for label in labels if label in parts]


def require(values: Iterable[Any], is_kept: Callable[[Any], bool], problem: str) -> None:
    """Check each value that is not NULL.

    Raises:
        MisfitError: one is not kept.
    """
    for row, value in enumerate(values):
        if value is not None and not is_kept(value):
            shown = str(value) if isinstance(value, Decimal) else repr(value)
            raise MisfitError(row, f"holds {shortened(shown)}, which {problem}", problem)
