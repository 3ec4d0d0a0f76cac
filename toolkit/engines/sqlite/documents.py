"""What is asked of a column's values one by one, past SQL: whether bytes are text, and documents more than values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

from toolkit.engines.sqlite.misfits import any_text

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

_ROWS = 1_000
# What PostgreSQL's jsonb refuses: U+0000, and halves of pairs that may stand alone.
_REFUSED = ("\\u0000", "\\ud", "\\uD")


def depends_on_text(connection: SqliteSnapshot, table: str, column: str) -> bool:
    """Whether a document, all of which are valid, has a key twice, or a character that is refused as a value."""
    decoder = json.JSONDecoder(object_pairs_hook=_require_once, parse_float=str, parse_constant=str)
    with any_text(connection.driver):
        for rows in _fetched(connection, table, column, "CAST({c} AS TEXT)", "typeof({c}) IN ('text', 'blob')"):
            documents = ",".join(rows)
            if any(each in documents for each in _REFUSED):
                return True
            try:
                decoder.decode(f"[{documents}]")
            except (ValueError, RecursionError):
                return True
    return False


def are_texts(connection: SqliteSnapshot, table: str, column: str) -> bool:
    """Whether all bytes of a column are UTF-8."""
    for rows in _fetched(connection, table, column, "{c}", "typeof({c}) = 'blob'"):
        try:
            b"\n".join(rows).decode()
        except UnicodeDecodeError:
            return False
    return True


def _fetched(
    connection: SqliteSnapshot, table: str, column: str, expression: str, condition: str
) -> Iterator[list[Any]]:
    quote = sqlite.dialect().identifier_preparer.quote_identifier
    cell = quote(column)
    query = f"SELECT {expression} FROM {quote(table)} WHERE {condition}".replace("{c}", cell)
    with connection.translated(), closing(connection.driver.execute(query)) as cursor:
        while rows := cursor.fetchmany(_ROWS):
            yield [value for (value,) in rows]


def _require_once(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) > 1 and len(dict(pairs)) != len(pairs):
        raise ValueError
