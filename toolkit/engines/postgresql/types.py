"""Column types of a schema that was made for other engines: what PostgreSQL has under another name, or one name for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, TypeDecorator
from sqlalchemy.dialects.postgresql import ENUM
from sqlalchemy.dialects.postgresql.base import PGDDLCompiler, PGTypeCompiler
from sqlalchemy.sql.compiler import DDLCompiler

from toolkit.core.types import INTEGER_KINDS, logical_type
from toolkit.engines.portable.foreign_types import ForeignTypes
from toolkit.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Column, Dialect, Engine, MetaData
    from sqlalchemy.types import TypeEngine


class _TypeCompiler(ForeignTypes, PGTypeCompiler):
    own_dialects = ("postgresql",)
    visit_NVARCHAR: Any = PGTypeCompiler.visit_VARCHAR
    visit_NCHAR: Any = PGTypeCompiler.visit_CHAR
    visit_CLOB: Any = PGTypeCompiler.visit_TEXT
    visit_DATETIME: Any = PGTypeCompiler.visit_TIMESTAMP
    visit_DOUBLE: Any = PGTypeCompiler.visit_DOUBLE_PRECISION
    visit_BLOB: Any = PGTypeCompiler.visit_BYTEA
    visit_BINARY: Any = visit_BLOB
    visit_VARBINARY: Any = visit_BLOB


class _DDLCompiler(PGDDLCompiler):
    def get_column_specification(self, column: Column[Any], **kw: Any) -> str:
        """A column; SQLAlchemy takes a decimal or a float that is the key for one that numbers itself: an integer."""
        is_numbered = column is column.table.autoincrement_column if column.table is not None else False
        if is_numbered and logical_type(column.type).carrier not in INTEGER_KINDS:
            return DDLCompiler.get_column_specification(self, column, **kw)  # type: ignore[no-any-return, no-untyped-call]
        return super().get_column_specification(column, **kw)  # type: ignore[no-any-return, no-untyped-call]


def accept_foreign_types(engine: Engine) -> None:
    """Let an engine make columns of types such as NVARCHAR and BLOB."""
    engine.dialect.ddl_compiler = _DDLCompiler
    engine.dialect.type_compiler_instance = _TypeCompiler(engine.dialect)


def require_distinct_enums(metadata: MetaData, dialect: Dialect) -> None:
    """See that enums of one name are one type: the first made would be that of all.

    Raises:
        ConfigurationError: two columns give one name to different labels.
    """
    named: dict[tuple[str | None, str | None], tuple[Column[Any], ENUM]] = {}
    for table in metadata.tables.values():
        for column in table.columns:
            enum = _enum(column.type, dialect)
            if enum is None:
                continue
            first, other = named.setdefault((enum.schema, enum.name), (column, enum))
            if set(other.enums) != set(enum.enums):
                both = " and ".join(
                    f"{each.table.fullname}.{each.name} ({', '.join(labels.enums)})"
                    for each, labels in ((first, other), (column, enum))
                )
                raise ConfigurationError(
                    f"{both} are different enums of one name, {enum.name!r}: one type in PostgreSQL.",
                    f"Give one of them another in the model, such as name='{column.table.name}_{column.name}'.",
                )


def _enum(type_: TypeEngine[Any], dialect: Dialect) -> ENUM | None:
    """The type that the engine makes for a column, or for the elements of its arrays, if it is an enum of its own."""
    found: Any = type_.dialect_impl(dialect)
    if isinstance(found, TypeDecorator):
        found = found.impl_instance
    if isinstance(found, ARRAY):
        return _enum(found.item_type, dialect)
    return found if isinstance(found, ENUM) else None
