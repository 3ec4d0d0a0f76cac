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


class StorageType(sqltypes.UserDefinedType[Any]):
    """What a column holds on an engine where a column holds anything: values of these storage classes, as they are.

    `affinity` says what the engine makes of values, `meant` what the column was declared as. Where `is_odd`, no driver
    carries all values of a class as that class (texts that are no UTF-8).
    """

    cache_ok = True

    def __init__(
        self,
        classes: frozenset[str],
        affinity: str = "",
        meant: sqltypes.TypeEngine[Any] | None = None,
        *,
        is_odd: bool = False,
    ) -> None:
        self.classes, self.affinity, self.meant, self.is_odd = classes, affinity, meant, is_odd

    def united(self, other: StorageType) -> sqltypes.TypeEngine[Any]:
        """The type for the values of both; of columns that change values differently, what the other was declared."""
        if self.affinity != other.affinity and other.meant is not None:
            return other.meant
        is_odd = self.is_odd or other.is_odd
        return StorageType(self.classes | other.classes, other.affinity, other.meant, is_odd=is_odd)

    def get_col_spec(self, **_: Any) -> str:
        """No type: such a column keeps what it is given."""
        return ""
