"""Which columns of a source's table number themselves, and how, in words."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from toolkit.core.numbering import NUMBERED, Numbering
from toolkit.core.types import INTEGER_KINDS, logical_type
from toolkit.core.verbatim import text_of

# A default that takes the next number of a sequence, and does nothing more with it.
NEXT_VALUE = r"nextval\('(?:[^']|'')*'(?:::regclass)?\)"


def is_numbered(column: sa.Column[Any]) -> bool:
    """Whether a column numbers itself."""
    if logical_type(column.type).kind not in INTEGER_KINDS:
        return False
    given: Any = column.server_default
    default = text_of(given.arg) if isinstance(given, sa.DefaultClause) else None
    if default is not None and re.fullmatch(NEXT_VALUE, default) is None:
        return False
    is_usual = column.autoincrement == "auto" and column is column.table.autoincrement_column
    is_said = column.identity is not None or column.autoincrement is True or NUMBERED in column.info
    return is_said or (is_usual and default is None)


def numbered_key(table: sa.Table) -> sa.Column[Any] | None:
    """The column that is the key alone, and numbers itself."""
    columns = list(table.primary_key.columns)
    return columns[0] if len(columns) == 1 and is_numbered(columns[0]) else None


def steps_of(numbering: Numbering) -> str:
    """How it counts, as far as that is not one by one from 1 on."""
    parts = {
        f"by {numbering.increment}": numbering.increment != 1,
        f"from {numbering.minimum}": numbering.minimum is not None,
        f"to {numbering.maximum}": numbering.maximum is not None,
        "over again": numbering.cycles,
    }
    return ", ".join(text for text, is_so in parts.items() if is_so)
