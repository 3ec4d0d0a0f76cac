"""Questions to a SQLite file that are answered by one row, or by texts that are looked at many at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from typing import Any, Protocol

import pyarrow as pa
from msgspec import Struct

from toolkit.engines.sqlite.misfits import any_text, in_pieces, text_as_bytes

# How many texts of at most so many bytes are fetched at a time: the last is more than SQLite takes.
_LENGTHS = ((1 << 10, 8192), (1 << 14, 512), (1 << 31, 1))


class Asking(Protocol):
    """A connection that answers them, which one thread has for itself."""

    def row(self, query: str) -> Sequence[Any] | None:
        """The first row of a query; texts that are no UTF-8 with surrogates in them."""

    def texts(self, cell: str, table: str, condition: str) -> Iterator[pa.Array]:
        """The bytes of texts and of bytes in a column, some thousand at a time, fewer if they are long; no NULL.

        The condition leaves others out; it and the names are SQL.
        """


class DriverAsking(Struct, frozen=True):
    """Our own connection, which sees what its transaction has written."""

    driver: sqlite3.Connection
    translated: Callable[[], AbstractContextManager[None]]

    def row(self, query: str) -> Sequence[Any] | None:
        """The first row of a query."""
        with self.translated(), any_text(self.driver):
            row: Sequence[Any] | None = self.driver.execute(query).fetchone()
        return row

    def texts(self, cell: str, table: str, condition: str) -> Iterator[pa.Array]:
        """The bytes, as rows of Python's."""
        query = f"SELECT {cell} FROM {table} WHERE {condition}"
        with self.translated(), text_as_bytes(self.driver), closing(self.driver.execute(query)) as cursor:
            for rows in in_pieces(cursor):
                yield pa.array([value for (value,) in rows], pa.binary())


class AdbcAsking(Struct, frozen=True):
    """An ADBC connection beside it: its library takes half of the time for the same, and the bytes come in one piece.

    Of 1,000,000 JSON documents, to fetch them takes 0.4 s in place of 0.6, and to put them together nothing.
    """

    reader: Any
    translated: Callable[[], AbstractContextManager[None]]

    def row(self, query: str) -> Sequence[Any] | None:
        """The first row of a query."""
        with self.translated(), self.reader.cursor() as cursor:
            cursor.execute(query)
            table: pa.Table = cursor.fetch_arrow_table()
        return [_value(column) for column in table.columns] if table.num_rows else None

    def texts(self, cell: str, table: str, condition: str) -> Iterator[pa.Array]:
        """The bytes, as Arrow has them; long ones fewer at a time, in further passes where there are any."""
        shortest = 0
        for longest, rows in _LENGTHS:
            short = f"CASE WHEN octet_length({cell}) <= {longest} THEN CAST({cell} AS TEXT) END"
            of_length = f"{condition} AND octet_length({cell}) > {shortest}" if shortest else condition
            has_longer = False
            for texts in self._fetched(f"SELECT {short} FROM {table} WHERE {of_length}", rows):
                has_longer = has_longer or texts.null_count > 0
                yield texts.drop_null()
            if not has_longer:
                return
            shortest = longest

    def _fetched(self, query: str, rows: int) -> Iterator[pa.Array]:
        """The one column of a query of texts, as bytes, so many rows at a time."""
        with self.translated(), self.reader.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(rows)})
            # The first rows fix the type: where they are all NULL, a number's, which no text is.
            cursor.execute(f"SELECT '' UNION ALL {query}")
            behind = 1
            for batch in cursor.fetch_record_batch():
                yield batch.column(0).slice(behind).view(pa.binary())
                behind = 0


def _value(column: pa.ChunkedArray) -> Any:
    """The first value; a text as `any_text` has it."""
    is_text = pa.types.is_string(column.type)
    value = (column.cast(pa.binary()) if is_text else column)[0].as_py()
    return value.decode(errors="surrogateescape") if is_text and value is not None else value
