"""What is asked of a column's values one by one, past SQL: whether bytes are text, and documents more than values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy.dialects import sqlite

from toolkit.core.plain_documents import REFUSED, are_plain
from toolkit.engines.sqlite.misfits import in_pieces, text_as_bytes
from toolkit.engines.sqlite.undeclared import Documents

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

_UNDECODED = msgspec.json.Decoder(list[msgspec.Raw])


def documents(connection: SqliteSnapshot, table: str, column: str, *, tell_texts: bool = True) -> Documents:
    """What the texts and bytes of a column are. In C, but for pieces in which something is to be looked at.

    Without `tell_texts` all documents count as values.
    """
    found = Documents.VALUES
    for rows in _fetched(connection, table, column, "typeof({c}) IN ('text', 'blob')"):
        if not (are_plain(rows) if tell_texts else _are_documents(rows)):
            found = max(found, *map(_looked_at, rows))
        if found is Documents.NONE:
            break
    return found


def _are_documents(rows: Sequence[bytes]) -> bool:
    """Whether these are certainly documents; undecoded that takes a fifth of the time, and UTF-8 is not looked at."""
    joined = b"[" + b",".join(rows) + b"]"
    try:
        joined.decode()
        return list(map(len, _UNDECODED.decode(joined))) == list(map(len, rows))
    except (ValueError, RecursionError):
        return False


def _looked_at(document: bytes) -> Documents:
    is_refused = any(each in document for each in REFUSED)
    twice: list[object] = []

    def pairs(read: list[tuple[str, Any]]) -> None:
        if len(dict(read)) != len(read):
            twice.append(read)

    try:
        json.loads(document.decode(), object_pairs_hook=pairs, parse_int=str, parse_float=str, parse_constant=_refuse)
    except RecursionError:
        return Documents.TEXTS
    except ValueError:
        return Documents.NONE
    return Documents.TEXTS if twice or is_refused else Documents.VALUES


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def are_texts(connection: SqliteSnapshot, table: str, column: str) -> bool:
    """Whether all bytes of a column are UTF-8."""
    for rows in _fetched(connection, table, column, "typeof({c}) = 'blob'"):
        try:
            b"\n".join(rows).decode()
        except UnicodeDecodeError:
            return False
    return True


def _fetched(connection: SqliteSnapshot, table: str, column: str, condition: str) -> Iterator[list[bytes]]:
    quote = sqlite.dialect().identifier_preparer.quote_identifier
    query = f"SELECT {{c}} FROM {quote(table)} WHERE {condition}".replace("{c}", quote(column))
    driver = connection.driver
    with connection.translated(), text_as_bytes(driver), closing(driver.execute(query)) as cursor:
        for rows in in_pieces(cursor):
            yield [value for (value,) in rows if value is not None]
