"""Column types that PostgreSQL has under another name: those of a schema reflected from another engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql.base import PGTypeCompiler

if TYPE_CHECKING:
    from sqlalchemy import Engine


class _TypeCompiler(PGTypeCompiler):
    visit_NVARCHAR: Any = PGTypeCompiler.visit_VARCHAR
    visit_NCHAR: Any = PGTypeCompiler.visit_CHAR
    visit_CLOB: Any = PGTypeCompiler.visit_TEXT
    visit_DATETIME: Any = PGTypeCompiler.visit_TIMESTAMP
    visit_DOUBLE: Any = PGTypeCompiler.visit_DOUBLE_PRECISION
    visit_BLOB: Any = PGTypeCompiler.visit_BYTEA
    visit_BINARY: Any = visit_BLOB
    visit_VARBINARY: Any = visit_BLOB


def accept_foreign_types(engine: Engine) -> None:
    """Let an engine of PostgreSQL make columns of types such as NVARCHAR and BLOB; of others, nothing is changed."""
    if engine.dialect.name == "postgresql":
        engine.dialect.type_compiler_instance = _TypeCompiler(engine.dialect)
