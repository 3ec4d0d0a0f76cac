"""Rows that a migration of SQLite leaves without the row that they point at: while it runs, no foreign key is acted on.

Other engines refuse what deletes a parent, or gives it another key. Here the rows without one are counted before the
first statement that could make some, and after each migration that had such a statement; others cost nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from toolkit.core.values import shortened
from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

_REMEMBERED = 1000
_WRITES = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:WITH|DELETE|UPDATE|INSERT|REPLACE|DROP\s+TABLE)\b(?!.*\bsqlite_sequence\b)",
    re.IGNORECASE | re.DOTALL,
)
_KEYS = (
    "SELECT DISTINCT child.name FROM sqlite_master AS child, pragma_foreign_key_list(child.name) AS of "
    "WHERE child.type = 'table' "
    "AND lower(of.\"table\") IN (SELECT lower(name) FROM sqlite_master WHERE type = 'table')"
)
_ROWS = (
    "SELECT parent, fkid, rowid FROM pragma_foreign_key_check(?) "
    "WHERE lower(parent) IN (SELECT lower(name) FROM sqlite_master WHERE type = 'table')"
)


class _Found(Struct):
    """The rows of a table without a parent by one key: how many, and the numbers of the first."""

    count: int = 0
    rows: list[int | None] = field(default_factory=list)


# By child, parent and the number of the foreign key.
_AllFound = dict[tuple[str, str, int], _Found]


class Parentless:
    """Counts the rows without a parent of one connection for migrations; `is_harmless` says when it need not."""

    def __init__(self, connection: Connection, is_harmless: Callable[[], bool]) -> None:
        self._connection, self._is_harmless = connection, is_harmless
        self._before: _AllFound | None = None
        self._is_written = False
        event.listen(connection, "before_cursor_execute", self._heed)

    def _heed(self, _: Connection, __: Any, statement: str, *___: Any) -> None:
        if _WRITES.match(statement) is None or self._is_harmless():
            return
        if self._before is None:
            self._before = self._found()
        self._is_written = True

    def require_none_more(self) -> None:
        """See that no more rows are without a parent than before all migrations.

        Raises:
            MigrationError: some are; names one.
        """
        if not self._is_written or self._before is None:
            return
        self._is_written = False
        found, before = self._found(), self._before
        # A table may have another name by now, and its rows with it.
        if sum(each.count for each in found.values()) <= sum(each.count for each in before.values()):
            return
        for of, each in found.items():
            known = before.get(of, _Found())
            more = each.count - known.count
            if more > 0:
                row = next((number for number in each.rows if number not in known.rows), None)
                raise MigrationError(
                    f"{_described(self._connection, *of, row)}{f' ({more} such rows)' if more > 1 else ''}.",
                    "Let the same migration delete or correct such rows, too (op.execute): while it runs, SQLite acts "
                    "on no foreign key, nor on its ON DELETE.",
                )

    def _found(self) -> _AllFound:
        found: _AllFound = {}
        for (child,) in self._connection.exec_driver_sql(_KEYS).all():
            try:
                for parent, number, row in self._connection.exec_driver_sql(_ROWS, (child,)):
                    each = found.setdefault((child, parent, number), _Found())
                    each.count += 1
                    if len(each.rows) < _REMEMBERED:
                        each.rows.append(row)
            except DBAPIError:
                # Its key points at what is no key of the other: nothing can be looked for.
                continue
        return found


def _described(connection: Connection, child: str, parent: str, number: int, rowid: int | None) -> str:
    """One row without a parent, as far as it can be named."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    run = connection.exec_driver_sql
    pairs = run(
        'SELECT "from", coalesce("to", \'its key\') FROM pragma_foreign_key_list(?) WHERE id = ? ORDER BY seq',
        (child, number),
    ).all()
    own, referred = [name for name, _ in pairs], ", ".join(name for _, name in pairs)
    keys = run("SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk", (child,)).scalars().all()
    columns = ", ".join(map(quote, [*own, *keys]))
    row = None if rowid is None else run(f"SELECT {columns} FROM {quote(child)} WHERE _rowid_ = ?", (rowid,)).first()
    which = f"{'column' if len(own) == 1 else 'columns'} {', '.join(map(repr, own))}"
    problem = f"which no row of {parent} has as {referred} after the migration"
    if row is None:
        return f"{child}: {which} would hold a value, {problem}"
    key = ", ".join(f"{name}={shortened(str(value))}" for name, value in zip(keys, row[len(own) :], strict=True))
    held = ", ".join(shortened(repr(value)) for value in row[: len(own)])
    return f"{child} {key or '(a row without a key)'}: {which} would hold {held}, {problem}"
