"""A column type that one engine has and SQLAlchemy no class for, by the engine's own text."""

from __future__ import annotations

from typing import Any

from sqlalchemy import types as sqltypes


class EngineType(sqltypes.UserDefinedType[Any]):
    """`STRUCT(a INTEGER)`, `HUGEINT`, `xml`: `definition` as `engine` itself shows it.

    `like` is the type of SQLAlchemy's whose values it holds, if there is one. Otherwise its values travel as the
    engine's own text (see `toolkit.core.adapters.native`); `elsewhere` is the type of the column that other engines
    keep this text in. `form` is in which of several forms that the engine may keep a value in these are written.
    """

    cache_ok = True

    def __init__(
        self,
        engine: str,
        definition: str,
        like: sqltypes.TypeEngine[Any] | None = None,
        elsewhere: sqltypes.TypeEngine[Any] | None = None,
        form: str | None = None,
    ) -> None:
        self.engine, self.definition, self.like, self.form = engine, definition, like, form
        self.elsewhere = elsewhere or like or sqltypes.Text()

    def get_col_spec(self, **_: Any) -> str:
        """The engine's own text."""
        return self.definition


class StorageType(sqltypes.UserDefinedType[Any]):
    """What a column holds on an engine where a column holds anything: values of these storage classes, as they are.

    `affinity` says what the engine makes of values ("": nothing), `definition` are the words of the column's type, and
    `meant` is what they mean. Where `is_odd`, no driver carries all values of a class as that class (texts that are no
    UTF-8).
    """

    cache_ok = True

    def __init__(
        self,
        classes: frozenset[str],
        affinity: str = "",
        definition: str = "",
        meant: sqltypes.TypeEngine[Any] | None = None,
        *,
        is_odd: bool = False,
    ) -> None:
        self.classes, self.affinity, self.definition, self.meant = classes, affinity, definition, meant
        self.is_odd = is_odd

    def united(self, other: StorageType) -> sqltypes.TypeEngine[Any]:
        """The type for the values of both; of columns that change values differently, what the other was declared.

        But documents and bytes are no other form of what is stored: such values keep their class.
        """
        is_meant = not isinstance(other.meant, sqltypes.JSON) and "blob" not in self.classes
        if other.affinity not in ("", self.affinity) and other.meant is not None and is_meant:
            return other.meant
        is_odd = self.is_odd or other.is_odd or other.affinity != self.affinity
        return StorageType(self.classes | other.classes, other.affinity, other.definition, other.meant, is_odd=is_odd)

    def get_col_spec(self, **_: Any) -> str:
        """As it was declared, so that the same is made of values."""
        return self.definition
