"""Tables of SQLite cut by row number, read by several processes of which none sees another's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.engines.contract import Part
from toolkit.errors import StatementError

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

_ROW_NUMBERS = ("rowid", "oid", "_rowid_")


def cut(connection: SqliteSnapshot, spec: TableSpec, table: str, size: int) -> Sequence[Part]:
    """A table in ranges of row numbers; how many is told by the size of the whole file: SQLite keeps no other.

    Views, and tables WITHOUT ROWID, are one part.
    """
    taken = connection.asking.row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
    columns = {name.lower() for name in connection.columns(spec) or ()}
    number = next((name for name in _ROW_NUMBERS if name not in columns), None)
    count = ceil(int(taken[0]) / size) if taken else 1
    if number is None or count <= 1:
        return (Part(0),)
    try:
        first, last = connection.asking.row(f"SELECT min({number}), max({number}) FROM {table}") or (None, None)
    except StatementError:
        return (Part(0),)
    if not isinstance(first, int) or not isinstance(last, int) or first == last:
        return (Part(0),)
    step = max(1, ceil((last - first + 1) / count))
    bounds = [None, *range(first + step, last + 1, step), None]
    return tuple(Part(i, _between(number, low, high)) for i, (low, high) in enumerate(pairwise(bounds)))


def _between(number: str, low: int | None, high: int | None) -> str | None:
    ends = [f"{number} >= {low}"] if low is not None else []
    ends += [f"{number} < {high}"] if high is not None else []
    return " AND ".join(ends) or None


class Watch:
    """Sees whether anybody commits to a file from now on."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, check_same_thread=False)
        self._before = self._version()

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    @property
    def has_seen_a_commit(self) -> bool:
        """Whether anybody has."""
        return self._version() != self._before

    def close(self) -> None:
        """Look no longer."""
        self._connection.close()
