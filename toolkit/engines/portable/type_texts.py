"""Column types in the words of an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine


def type_text(type_: TypeEngine[Any], dialect: Dialect) -> str:
    """A type as a table is made with it; '' for none, and for one that the engine has no word for."""
    try:
        return "" if isinstance(type_, sa.types.NullType) else type_.compile(dialect)
    except sa.exc.CompileError:
        return ""
