"""Texts that the server cannot tell: it makes a question mark of what its character set has no character for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.engines.contract import LossyCast
from toolkit.engines.mariadb.dialect import CHARSET

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.mariadb.session import MariaDBSession

_REASON = "of which some bytes are no character of {}: the server tells a question mark in their place"
_ADVICE = "Correct the values there; or give the column a type of bytes (BLOB), which is carried as it is."


def untold(connection: MariaDBSession, spec: TableSpec) -> dict[str, LossyCast]:
    """By column, the texts that the server would tell with question marks that are none."""
    found = connection.doubtful_texts(spec.table.schema)
    quote = connection.sqlalchemy.dialect.identifier_preparer.quote_identifier

    def condition(name: str) -> str:
        return _is_lost(quote(name).replace("%%", "%"))

    return {
        column.name: LossyCast(charset, condition(column.name), _REASON.format(charset), _ADVICE)
        for column in spec.columns
        # Some servers write the names of tables small.
        for charset in [found.get((spec.table.name, column.name)) or found.get((spec.table.name.lower(), column.name))]
        if charset is not None
    }


def _is_lost(cell: str) -> str:
    """Whether a text has other question marks than its conversion; so, too, where it is too long to tell."""
    told, stored = _marks(f"CONVERT({cell} USING {CHARSET})"), _marks(cell)
    return f"{cell} IS NOT NULL AND coalesce({told} <> {stored}, TRUE)"


def _marks(text: str) -> str:
    return f"(CHAR_LENGTH({text}) - CHAR_LENGTH(REPLACE({text}, '?', '')))"
