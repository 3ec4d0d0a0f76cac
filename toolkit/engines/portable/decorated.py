"""A `TypeDecorator` that is not known, and is stored differently in one engine than in PostgreSQL, as an adapter.

What such a type binds for PostgreSQL is its canonical form. Elsewhere its values go through its own result and bind
processors, one by one; a decorator that stores the same type everywhere (text, say) travels as stored, like all else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Dialect

from toolkit.core.types import FLOAT_KINDS, Kind, LogicalType
from toolkit.core.values import python_scalar, shortened
from toolkit.engines.portable.adapters import Adapter, MisfitError

# Its processors take and give what travels canonically: documents as text, decimals as such. Those of a driver's own
# dialect leave documents to the driver.
_POSTGRESQL = PGDialect()  # type: ignore[no-untyped-call]
_POSTGRESQL.supports_native_decimal = True
_NUMBER_KINDS = FLOAT_KINDS | {Kind.DECIMAL}


class Decorated:
    """The adapter of what is stored, behind the processors of the column's own type; its SQL is that of the former."""

    converts: ClassVar[bool] = True

    def __init__(
        self, stored: Adapter, canonical: LogicalType, decorator: sa.types.TypeDecorator[Any], dialect: Dialect
    ) -> None:
        self.stored, self._canonical = stored, Adapter(canonical, decorator)
        self._decorator, self._dialect = decorator, dialect

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stored, name)

    def decode(self, values: Any) -> pa.Array:
        """Fetched values as canonical ones."""
        return self._to_canonical(self.stored.decode(values))

    def encode(self, values: pa.Array) -> list[Any]:
        """Canonical values as values to bind."""
        return self.stored.encode(self._to_stored(values))

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        """What a bulk reader gave as canonical values."""
        return self._to_canonical(self.stored.incoming(*fetched))

    def outgoing(self, values: pa.Array) -> pa.Array:
        """Canonical values as a bulk writer takes them."""
        return self.stored.outgoing(self._to_stored(values))

    def literals(self, values: pa.Array) -> list[str]:
        """Canonical values as SQL literals."""
        return self.stored.literals(self._to_stored(values))

    def _to_canonical(self, values: pa.Array) -> pa.Array:
        return self._each(values, lambda part: self._written(self._canonical, self._read(self.stored, part)))

    def _to_stored(self, values: pa.Array) -> pa.Array:
        return self._each(values, lambda part: self._written(self.stored, self._read(self._canonical, part)))

    def _read(self, side: Adapter, values: pa.Array) -> list[Any]:
        """The application's values of those in one of the two forms."""
        dialect = self._dialect_of(side)
        process = self._decorator.dialect_impl(dialect).result_processor(dialect, None) or _same
        # Numbers that an engine would change are stored in ways that no type's processor reads.
        drive = side.form.to_pythons if side.type.carrier in _NUMBER_KINDS else side.encode
        return [None if value is None else process(value) for value in drive(values)]

    def _written(self, side: Adapter, values: list[Any]) -> pa.Array:
        """The application's values in one of the two forms."""
        dialect = self._dialect_of(side)
        process = self._decorator.dialect_impl(dialect).bind_processor(dialect) or _same
        return side.decode([None if value is None else process(value) for value in values])

    def _dialect_of(self, side: Adapter) -> Dialect:
        return _POSTGRESQL if side is self._canonical else self._dialect

    def _each(self, values: pa.Array, convert: Callable[[pa.Array], pa.Array]) -> pa.Array:
        """The whole array converted, or the first value that cannot be.

        Raises:
            MisfitError: a value that the application's type does not take.
        """
        try:
            return convert(values)
        except Exception:
            for row in range(len(values)):
                try:
                    convert(values.slice(row, 1))
                except Exception as error:
                    name, why = type(self._decorator).__name__, shortened(" ".join(str(error).split()))
                    held = shortened(repr(python_scalar(values[row])))
                    reason = f"which its type {name} does not take"
                    raise MisfitError(row, f"holds {held}, {reason} ({why})", reason) from error
            raise


def _same(value: Any) -> Any:
    return value
