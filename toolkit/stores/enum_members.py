"""Members of an enumeration in fixtures: their stored names, or their values, which `alchemy dump-data` writes."""

from __future__ import annotations

import enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import default

_DIALECT = default.DefaultDialect()


def text_of_enum(value: Any) -> Any:
    """A member of an enumeration that is given by its value, which need be no text."""
    return value if value is None or isinstance(value, str) else str(value)


def members_of(type_: sa.types.TypeEngine[Any]) -> tuple[list[str], dict[str, str]]:
    """The stored names of an enumeration, and the names by value, as text, of its class's members."""
    if isinstance(type_, sa.types.TypeDecorator):
        type_ = type_.impl_instance
    if not isinstance(type_, sa.Enum):
        return [], {}
    stored = type_.bind_processor(_DIALECT)  # type: ignore[no-untyped-call]
    members = list(type_.enum_class) if type_.enum_class and issubclass(type_.enum_class, enum.Enum) else []
    return list(type_.enums), {str(member.value): stored(member) for member in members if stored is not None}
