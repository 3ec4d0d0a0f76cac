"""SQL scripts for `sqlite3`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from toolkit.engines.contract import TableScript
from toolkit.engines.portable.literals import replaced_text
from toolkit.engines.portable.script import Script

_CHECKS = "temp.toolkit_checks"


class SqliteScript(Script):
    """Foreign keys are not enforced row by row, but checked at the end, as in a sync.

    The client goes on after an error, so the end checks that every statement did its work, and rolls back otherwise.
    """

    engine = "SQLite"
    usage = "sqlite3 -bail DATABASE < FILE"

    def begin(self, tables: Sequence[TableScript]) -> Iterator[str]:
        """Foreign keys can be switched only outside of a transaction; the checks are rows that a table refuses."""
        yield "PRAGMA foreign_keys = OFF"
        yield "BEGIN"
        yield (
            f"CREATE TEMPORARY TABLE {_CHECKS.removeprefix('temp.')} (before INTEGER, "
            'all_statements_ran INTEGER CONSTRAINT "a statement failed, or the target has changed since" '
            'CHECK (all_statements_ran), parents INTEGER CONSTRAINT "a row points at one that is not there" '
            "CHECK (parents))"
        )
        yield f"INSERT INTO {_CHECKS} (before) SELECT total_changes()"

    def end(self, tables: Sequence[TableScript], changes: int) -> Iterator[str]:
        """Roll back unless so many rows were changed, and unless every row has its parents."""
        if not self._connection.triggers([table.spec for table in tables]):
            # The row of `begin` counts too.
            yield (
                f"INSERT OR ROLLBACK INTO {_CHECKS} (all_statements_ran) "
                f"SELECT total_changes() - before = {changes + 1} FROM {_CHECKS}"
            )
        for spec in self._checked(tables):
            yield (
                f"INSERT OR ROLLBACK INTO {_CHECKS} (parents) "
                f"SELECT 0 FROM pragma_foreign_key_check({replaced_text(spec.table.name, 'char')}) LIMIT 1"
            )
        yield f"DROP TABLE {_CHECKS}"
        yield "COMMIT"
