"""How the values of one column stand in an engine: read, bound, sent in bulk, written into a script.

This is the portable adapter, for drivers whose values are Python's own types (psycopg, DuckDB). Each engine has a class
of its own with what its bulk ways need beside, and a table of those for the types where it differs from that. A logical
type that is not in an engine's table stands there as its carrier does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import pyarrow as pa
import sqlalchemy as sa

from toolkit.core.types import Kind, LogicalType, TypeAdapter


class MisfitError(ValueError):
    """A value of a column that cannot travel or be stored: its row in the column, and what is wrong with it.

    `reason` is what it has in common with others: the problem, unless that tells the value. `advice` is what helps
    beside correcting the value.
    """

    def __init__(self, row: int, problem: str, reason: str = "", advice: str = "") -> None:
        super().__init__(f"row {row} {problem}")
        self.row, self.problem, self.reason, self.advice = row, problem, reason or problem, advice


class Adapter:
    """One column in one engine. Values come and go as Arrow arrays of the column's canonical type."""

    converts: ClassVar[bool] = False
    """Whether what the database holds is made of the canonical values by Python alone."""

    has_own_form: ClassVar[bool] = False
    """Whether the values stand in the form of their own type rather than in that of its carrier."""

    def __init__(
        self, type_: LogicalType, declared: sa.types.TypeEngine[Any] | None = None, element: Self | None = None
    ) -> None:
        self.type = type_
        """What the database holds; `element` is that of what is in an array."""
        self.declared, self._element = declared, element

    @property
    def form(self) -> TypeAdapter:
        """What the stored values look like: those of a type that the engine does not know, its carrier's."""
        return self.type.adapter if self.has_own_form else self.type.carried.adapter

    @property
    def element(self) -> Self:
        """The adapter of what is in an array."""
        assert self._element is not None
        return self._element

    # -- by SQLAlchemy and a driver --------------------------------------------------------------------------------

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """The expression that fetches the stored values."""
        by_text = self.type.is_document or self.type.is_text
        return sa.cast(source, sa.Text) if by_text else sa.type_coerce(source, sa.types.NullType())

    def length(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        """The expression of how many characters, or bytes, a stored value of no fixed length has."""
        cell = sa.type_coerce(source, sa.types.NullType())
        is_bytes = self.type.carrier is Kind.BYTES
        return sa.func.octet_length(cell) if is_bytes else sa.func.length(sa.cast(cell, sa.Text))

    def decode(self, values: Sequence[Any]) -> pa.Array:
        """Fetched values as an array.

        Raises:
            ValueError, TypeError, OverflowError, RecursionError, pyarrow.ArrowException: some are none of the type.
        """
        read = self.form.from_python
        return pa.array([None if value is None else read(value) for value in values], self.type.arrow)

    def encode(self, values: pa.Array) -> list[Any]:
        """An array as values to bind, in the form that the column's own type has.

        Raises:
            ValueError, pyarrow.ArrowException: some cannot be stored.
        """
        encoded = self.form.to_pythons(values)
        if self.type.carrier is Kind.UUID and self._has_digits:
            return [None if value is None else value.hex for value in encoded]
        return encoded

    @property
    def _has_digits(self) -> bool:
        """Whether UUIDs are 32 digits here, not values of a type of their own."""
        type_ = self.declared
        if isinstance(type_, sa.types.TypeDecorator):
            type_ = type_.impl_instance
        return isinstance(type_, sa.Uuid) and not type_.native_uuid

    # -- in bulk ---------------------------------------------------------------------------------------------------

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        """What an engine's bulk reader gave for a column, mostly one array, as canonical values.

        Raises:
            MisfitError, and what `decode` raises: some have no canonical form.
        """
        (values,) = fetched
        return values

    def outgoing(self, values: pa.Array) -> pa.Array:
        """Canonical values as the engine's bulk writer takes them."""
        return values

    # -- in scripts ------------------------------------------------------------------------------------------------

    def literals(self, values: pa.Array) -> list[str]:
        """SQL literals that the engine's own client reads back exactly.

        Raises:
            ValueError, OverflowError, pyarrow.ArrowException: a value that the engine cannot keep.
        """
        raise NotImplementedError
