"""A column type that one engine has and SQLAlchemy no class for, by the engine's own text."""

from __future__ import annotations

from typing import Any

from sqlalchemy import types as sqltypes


class EngineType(sqltypes.UserDefinedType[Any]):
    """`STRUCT(a INTEGER)`, `HUGEINT`, `xml`: `definition` as `engine` itself shows it.

    `like` is the type of SQLAlchemy's whose values it holds, if there is one. Otherwise its values travel as the
    engine's own text (see `toolkit.core.adapters.native`); `elsewhere` is the type of the column that other engines
    keep this text in.
    """

    cache_ok = True

    def __init__(
        self,
        engine: str,
        definition: str,
        like: sqltypes.TypeEngine[Any] | None = None,
        elsewhere: sqltypes.TypeEngine[Any] | None = None,
    ) -> None:
        self.engine, self.definition, self.like = engine, definition, like
        self.elsewhere = elsewhere or like or sqltypes.Text()

    def get_col_spec(self, **_: Any) -> str:
        """The engine's own text."""
        return self.definition
