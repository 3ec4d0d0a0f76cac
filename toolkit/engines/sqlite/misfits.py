"""Values of a table in SQLite, where any column holds anything, that are none of its column's type."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.dialects import sqlite

from toolkit.engines.portable.sifting import Doubt
from toolkit.engines.portable.table import TableRepository
from toolkit.errors import ToolkitError


def first_misfit(repository: TableRepository) -> ToolkitError | None:
    """The first value that is not of its column's type; None if there is none."""
    return next((sifted.bad[0].error for sifted in repository.sifted() if sifted.bad), None)


def unlike_bytes(repository: TableRepository) -> dict[str, Doubt]:
    """By column, bytes in one whose values are of other classes."""
    adapter, quote = repository.connection.codec.adapter, sqlite.dialect().identifier_preparer.quote_identifier
    found = {}
    for column in repository.spec.columns:
        classes = adapter(column).classes
        if classes and "blob" not in classes:
            reason = f"no {adapter(column).type.kind}"
            condition = f"typeof({quote(column.name)}) = 'blob'"
            found[column.name] = Doubt(condition, f"holds {{}}, which is {reason}", reason, _ADVICE, is_raw=True)
    return found


_ADVICE = "Correct the values, or give the columns types that have a place for them."
_PIECE_ROWS, _PIECE_BYTES = 4096, 1 << 20


@contextmanager
def any_text(driver: sqlite3.Connection) -> Iterator[None]:
    """Read text that is no UTF-8, too, as text with surrogates in it, which can be shown."""
    driver.text_factory = lambda stored: stored.decode(errors="surrogateescape")
    try:
        yield
    finally:
        driver.text_factory = str


def in_pieces(cursor: sqlite3.Cursor) -> Iterator[list[Sequence[bytes | None]]]:
    """Rows of texts and bytes, some thousand at a time; fewer if they are wide."""
    rows = 1
    while fetched := cursor.fetchmany(rows):
        yield fetched
        width = sum(len(value) for value in fetched[-1] if value is not None)
        rows = min(2 * rows, _PIECE_ROWS, max(1, _PIECE_BYTES // max(1, width)))


@contextmanager
def text_as_bytes(driver: sqlite3.Connection) -> Iterator[None]:
    """Read text as its bytes."""
    driver.text_factory = bytes
    try:
        yield
    finally:
        driver.text_factory = str
