"""Column types of a schema that was made for other engines: what SQLite has in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import types as sqltypes
from sqlalchemy.dialects.sqlite.base import SQLiteDDLCompiler, SQLiteTypeCompiler

from toolkit.core.engine_type import EngineType
from toolkit.core.types import Kind, logical_type
from toolkit.engines.portable.foreign_types import ForeignTypes, without_cast

if TYPE_CHECKING:
    from sqlalchemy import Column, Engine
    from sqlalchemy.types import TypeEngine


class _TypeCompiler(ForeignTypes, SQLiteTypeCompiler):
    own_dialects = ("sqlite",)
    has_arrays = False

    def nearest(self, type_: TypeEngine[Any]) -> TypeEngine[Any]:
        """The text of another engine's value stays one: in a column of numbers SQLite would make a double of it."""
        nearest = super().nearest(type_)
        is_text = isinstance(type_, EngineType) and type_.engine != self.dialect.name and type_.like is None
        return sqltypes.Text() if is_text else nearest

    def has(self, type_: TypeEngine[Any]) -> bool:
        """Not what an application defines for another engine: by an unknown name, texts of digits become numbers."""
        if isinstance(type_, sqltypes.UUID):
            return False
        is_unknown = not isinstance(type_, sqltypes.NullType) and logical_type(type_).kind == Kind.NATIVE
        return super().has(type_) and not is_unknown

    def visit_null(self, *_: Any, **__: Any) -> str:
        """No type: such a column keeps what it is given."""
        return ""


class _DDLCompiler(SQLiteDDLCompiler):
    def get_column_default_string(self, column: Column[Any]) -> str | None:
        """The default without a cast to a type of another engine's."""
        return without_cast(super().get_column_default_string(column))


def accept_foreign_types(engine: Engine) -> None:
    """Let an engine make columns of types such as JSONB and INET, and of their defaults."""
    engine.dialect.ddl_compiler = _DDLCompiler
    engine.dialect.type_compiler_instance = _TypeCompiler(engine.dialect)
