"""What is asked of a column's values one by one, past SQL: whether bytes are text, and documents more than values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

from toolkit.core.plain_documents import REFUSED, are_documents, are_plain, doubtful
from toolkit.engines.sqlite.undeclared import Documents

if TYPE_CHECKING:
    import pyarrow as pa

    from toolkit.engines.sqlite.snapshot import SqliteSnapshot
    from toolkit.engines.sqlite.value_queries import Asking

_HAS_TEXT = "{c} IS NOT NULL AND typeof({c}) <> 'integer' AND typeof({c}) <> 'real'"


def documents(asking: Asking, table: str, column: str, *, tell_texts: bool = True) -> Documents:
    """What the texts and bytes of a column are. In C, but for pieces in which something is to be looked at.

    Without `tell_texts` all documents count as values.
    """
    found, are_values = Documents.VALUES, are_plain if tell_texts else are_documents
    for texts in _texts(asking, table, column, _HAS_TEXT):
        for rows in doubtful(texts, are_values):
            found = max(found, *map(_looked_at, texts.take(rows).to_pylist()))
        if found is Documents.NONE:
            break
    return found


def _looked_at(document: bytes) -> Documents:
    is_refused = REFUSED.search(document) is not None
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
    for texts in _texts(connection.asking, table, column, "typeof({c}) = 'blob'"):
        try:
            b"\n".join(texts.to_pylist()).decode()
        except UnicodeDecodeError:
            return False
    return True


def _texts(asking: Asking, table: str, column: str, condition: str) -> Iterator[pa.Array]:
    quote = sqlite.dialect().identifier_preparer.quote_identifier
    return asking.texts(quote(column), quote(table), condition.replace("{c}", quote(column)))
