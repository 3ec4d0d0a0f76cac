"""Columns that hold anything, and are carried as they are stored, by what their declaration means."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from toolkit.core.engine_type import StorageType
from toolkit.core.types import Kind, logical_type

if TYPE_CHECKING:
    from toolkit.core.tables import ColumnSpec


def as_meant(column: ColumnSpec) -> ColumnSpec:
    """The column as one of times, if it is declared for times and holds texts alone; else as it is.

    Texts with a zone are times of UTC, as those without one count for.
    """
    stored = column.declared
    if not isinstance(stored, StorageType) or stored.is_odd or not stored.classes <= {"text"}:
        return column
    if isinstance(stored.meant, sa.DateTime):
        meant: sa.types.TypeEngine[Any] = sa.DateTime(timezone=True)
    elif isinstance(stored.meant, sa.Date):
        meant = sa.Date()
    else:
        return column
    return replace(column, type=logical_type(meant), declared=meant)


def held(column: ColumnSpec) -> str:
    """What a column holds, for a message."""
    stored = column.declared
    if isinstance(stored, StorageType) and column.type.kind == Kind.STORED:
        return f"values of several kinds ({', '.join(sorted(stored.classes)) or 'none yet'})"
    return str(column.type.kind)
