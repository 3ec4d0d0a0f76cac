"""Who stands before a table that this connection waits for in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.errors import DatabaseUnavailableError
from toolkit.repositories.postgres_sql import VALUE

if TYPE_CHECKING:
    from toolkit.repositories.postgres import PostgresConnection

# Only such a lock keeps readers out; and who waits for one, behind others who read, lets nobody pass either.
_HOLDER = f"""
SELECT pid, usename, application_name, granted FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE relation = to_regclass({VALUE}) AND mode = 'AccessExclusiveLock' AND pid <> pg_backend_pid()
ORDER BY granted DESC, pid LIMIT 1
"""


def locked_table(connection: PostgresConnection, table: str) -> DatabaseUnavailableError:
    """The error for a table that is kept from readers; it names who does so, if that is still so."""
    found = connection.run(_HOLDER, table).fetchone()
    who = ""
    if found is not None:
        process, role, application, is_held = found
        name = f" ({application})" if application else ""
        who = f": process {process} of role {role}{name} {'has' if is_held else 'waits for'} it"
    return DatabaseUnavailableError(
        connection.name,
        f"another writer holds a lock, waited for in vain for {connection.database.lock_seconds:g} s, on table "
        f"{table}{who}", "Wait until it has ended, or look for it in pg_stat_activity, then run again.",
    )
