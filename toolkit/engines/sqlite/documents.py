"""What is asked of a column's values one by one, past SQL: whether bytes are text, and documents more than values."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy.dialects import sqlite

from toolkit.engines.sqlite.misfits import in_pieces, text_as_bytes
from toolkit.engines.sqlite.undeclared import Documents

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

_UNDECODED = msgspec.json.Decoder(list[msgspec.Raw])
_BITS = 62
_ESCAPE = b"\\u"
# What PostgreSQL's jsonb refuses: U+0000, and halves of pairs that may stand alone. A colon that is written otherwise
# would not be counted.
_REFUSED = (b"\\u0000", b"\\ud", b"\\uD")
_COLONS = (b"\\u003a", b"\\u003A")


def documents(connection: SqliteSnapshot, table: str, column: str, *, tell_texts: bool = True) -> Documents:
    """What the texts and bytes of a column are. In C, but for pieces in which something is to be looked at.

    Without `tell_texts` all documents count as values.
    """
    found = Documents.VALUES
    for rows in _fetched(connection, table, column, "typeof({c}) IN ('text', 'blob')"):
        if not (_are_plain(rows) if tell_texts else _are_documents(rows)):
            found = max(found, *map(_looked_at, rows))
        if found is Documents.NONE:
            break
    return found


def _are_plain(rows: Sequence[bytes]) -> bool:
    """Whether these are certainly documents, and no key is in one of them twice."""
    # Between two of them a number that none can have foreseen: where all are, no row had two, or half of one.
    between = secrets.randbits(_BITS)
    joined = b"[" + (b",%d," % between).join(rows) + b"]"
    if _ESCAPE in joined and any(each in joined for each in (*_COLONS, *_REFUSED)):
        return False
    try:
        values: list[Any] = msgspec.json.decode(joined)
    except (ValueError, RecursionError):
        return False
    if len(values) != 2 * len(rows) - 1 or values[1::2].count(between) != len(rows) - 1:
        return False
    return _has_all_keys(values[::2], joined.count(b":"))


def _are_documents(rows: Sequence[bytes]) -> bool:
    """Whether these are certainly documents; undecoded that takes a fifth of the time, and UTF-8 is not looked at."""
    joined = b"[" + b",".join(rows) + b"]"
    try:
        joined.decode()
        return list(map(len, _UNDECODED.decode(joined))) == list(map(len, rows))
    except (ValueError, RecursionError):
        return False


def _has_all_keys(values: Sequence[Any], colons: int) -> bool:
    """Whether no key was in an object twice: every key has a colon behind it, and no other is left out."""
    # No object within another, no text with a colon: to encode them all again takes seven times as long.
    if sum(len(each) for each in values if type(each) is dict) == colons:
        return True
    return msgspec.json.encode(values).count(b":") == colons


def _looked_at(document: bytes) -> Documents:
    is_refused = any(each in document for each in _REFUSED)
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
