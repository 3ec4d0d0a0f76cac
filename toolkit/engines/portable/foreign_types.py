"""Column types of schemas that were made for another engine: what an engine has in place of a type that it lacks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import types as sqltypes
from sqlalchemy.dialects import postgresql

from toolkit.core.engine_type import EngineType
from toolkit.core.types import Kind, LogicalType, logical_type

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

_GENERIC: dict[str, TypeEngine[Any]] = {
    Kind.BOOL: sqltypes.Boolean(),
    Kind.INT16: sqltypes.SmallInteger(),
    Kind.INT32: sqltypes.Integer(),
    Kind.INT64: sqltypes.BigInteger(),
    Kind.FLOAT32: sqltypes.REAL(),
    Kind.FLOAT64: sqltypes.Double(),
    Kind.BYTES: sqltypes.LargeBinary(),
    Kind.UUID: sqltypes.Uuid(),
    Kind.JSON: sqltypes.JSON(),
    Kind.DATE: sqltypes.Date(),
    Kind.TIME: sqltypes.Time(),
    Kind.TIMETZ: sqltypes.Time(timezone=True),
    Kind.TIMESTAMP: sqltypes.DateTime(),
    Kind.TIMESTAMPTZ: sqltypes.DateTime(timezone=True),
}
# A literal that PostgreSQL's catalogue shows with its type: '{}'::jsonb, 'a'::character varying.
_CAST_LITERAL = re.compile(r"((?:'(?:[^']|'')*')|-?[\d.]+|\(-[\d.]+\))(?:::[\w \"]+(?:\([\d,]+\))?(?:\[\])?)+")


def without_cast(default: str | None) -> str | None:
    """A column's default without the type of PostgreSQL's that its literal is cast to."""
    found = _CAST_LITERAL.fullmatch(default or "")
    return default if found is None else found[1]


class ForeignTypes:
    """Mixed in before a dialect's own compiler of types: each type is made, as the nearest that holds its values."""

    dialect: Dialect
    has_arrays: ClassVar[bool] = True
    own_dialects: ClassVar[tuple[str, ...]]
    """The dialects of SQLAlchemy's whose types the engine has."""

    def process(self, type_: TypeEngine[Any], **kw: Any) -> str:
        """A type as it is written into a table."""
        nearest = self.nearest(type_)
        made: str = super().process(type_, **kw) if nearest is type_ else self.process(nearest, **kw)  # type: ignore[misc]
        return made

    def nearest(self, type_: TypeEngine[Any]) -> TypeEngine[Any]:
        """The type itself where the engine has it."""
        if isinstance(type_, EngineType):
            return type_ if type_.engine == self.dialect.name else type_.elsewhere
        found = type_._variant_mapping.get(self.dialect.name, type_)  # noqa: SLF001 - as SQLAlchemy's own compiler does
        if isinstance(found, sqltypes.TypeDecorator) or self.has(found):
            return type_
        return found.data_type if isinstance(found, postgresql.DOMAIN) else self.generic(logical_type(found))

    def has(self, type_: TypeEngine[Any]) -> bool:
        """Whether the engine has a type of SQLAlchemy's."""
        module = type(type_).__module__
        if isinstance(type_, sqltypes.ARRAY):
            return self.has_arrays
        return not module.startswith("sqlalchemy.dialects.") or module.split(".")[2] in self.own_dialects

    def generic(self, type_: LogicalType) -> TypeEngine[Any]:
        """The type that every dialect has for a logical type; text where there is none."""
        if type_.kind in (Kind.ARRAY, Kind.NESTED):
            return sqltypes.JSON()
        if type_.kind == Kind.DECIMAL:
            return sqltypes.Numeric(type_.precision, type_.scale)
        return _GENERIC.get(type_.kind, sqltypes.Text())
