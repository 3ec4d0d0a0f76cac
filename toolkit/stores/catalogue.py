"""A temporary database for sets too large for memory: SQLite keeps it in a file of its own that nobody else sees."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Self

_PAGE = 500
_CACHE_KIB = 16_384


class Catalogue:
    """Tables that live as long as the `with` block. May be used by several threads at once."""

    def __init__(self, schema: str) -> None:
        """`schema`: the statements that make the tables."""
        self._lock = threading.RLock()
        # "" is a temporary database on disk, removed when it is closed or its process ends.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.executescript(schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._connection.close()

    def run(self, statement: str, *values: Any) -> int:
        """Run a statement; the id of the row that it inserted, if it did."""
        with self._lock:
            return self._connection.execute(statement, values).lastrowid or 0

    def run_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run a statement for each row; the rows are made meanwhile, and may read the catalogue, not write it.

        If their making fails, those made until then stay.
        """
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                self._connection.executemany(statement, rows)
            finally:
                # Without a journal nothing could be rolled back.
                self._connection.execute("COMMIT")

    def one(self, query: str, *values: Any) -> Any:
        """The first row of a query, None if there is none."""
        with self._lock:
            return self._connection.execute(query, values).fetchone()

    def all(self, query: str, *values: Any) -> list[Any]:
        """The rows of a query that has few."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def pages(self, query: str, *values: Any) -> Iterator[Any]:
        """The rows of a query of any size; the tables may be changed meanwhile.

        The first column is the one that they are ordered by, and `> ?` in the query compares it with its last `?`.
        The query begins after the smallest value: -1, for numbers.
        """
        last: Any = -1
        while rows := self.all(f"{query} LIMIT {_PAGE}", *values, last):
            yield from rows
            last = rows[-1][0]

    def stream(self, query: str, *values: Any) -> Iterator[Any]:
        """The rows of a query of any size, in its order; the tables must stay as they are meanwhile."""
        cursor = self._connection.cursor()
        with self._lock:
            cursor.execute(query, values)
        while True:
            with self._lock:
                rows = cursor.fetchmany(_PAGE)
            if not rows:
                return
            yield from rows
