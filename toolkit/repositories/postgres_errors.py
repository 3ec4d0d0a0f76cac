"""PostgreSQL's errors, in this package's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolkit.errors import DatabaseUnavailableError, StatementError, ToolkitError

if TYPE_CHECKING:
    import psycopg

    from toolkit.config import Database

# By SQLSTATE, or by its class of two characters.
_BY_STATE = {
    "28P01": ("the password was refused", "Check the password in TOOLKIT_<NAME>_URL, PGPASSWORD or ~/.pgpass."),
    "28": ("the login was refused", "Check user name, password and the server's pg_hba.conf."),
    "3D000": ("there is no such database on the server", "Create it (createdb), or correct the name in the URL."),
    "42501": ("permission denied: {message}", "Grant this role what it lacks, or use the owner's."),
    "25006": ("the server or the transaction is read-only: {message}", "Write to the primary server, not a standby."),
    "53100": ("the server's disk is full: {message}", "Make room, then run again."),
    "53300": ("the server takes no more connections", "Close some, or raise max_connections."),
    "55P03": ("another writer holds a lock that was waited for in vain",
              "Wait until the other sync has ended, or look for it in pg_stat_activity, then run again."),
    "40P01": ("deadlock with another writer", "Run again."),
    "57P01": ("the server closed the connection: {message}", "Run again when it is back."),
}
_BY_MESSAGE = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("does not exist", "3D000"),
    ("too many clients", "53300"),
)
_UNREACHABLE = ("connection failed", "could not connect", "Connection refused", "connection to server",
                "could not translate host name", "timeout expired", "failed to resolve host")


def known_error(database: Database, error: BaseException) -> ToolkitError:
    """The error to raise in place of the driver's; never with a password, nor with a row's content."""
    diag = getattr(error, "diag", None)
    message = getattr(diag, "message_primary", None) or _first_line(str(error))
    state = getattr(error, "sqlstate", None) or getattr(diag, "sqlstate", None)
    if not state and any(sign in str(error) for sign in _UNREACHABLE):
        state = next((state for sign, state in _BY_MESSAGE if sign in str(error)), None)
        if state is None:
            return DatabaseUnavailableError(
                database.name, f"no PostgreSQL server answers at {_place(database)}",
                "Check that it runs, the host and the port.",
            )
    for known in (state or "", (state or "")[:2]):
        if known in _BY_STATE:
            fact, advice = _BY_STATE[known]
            return DatabaseUnavailableError(database.name, fact.format(message=message), advice)
    if not state or state.startswith(("57P", "08")) or "server closed the connection" in str(error):
        return DatabaseUnavailableError(
            database.name, f"the connection was lost: {message}", "Run again when the server is back."
        )
    table = getattr(diag, "table_name", None)
    return StatementError(
        database.name, f"{table + ': ' if table else ''}{message}", "Run with --debug to see the statement."
    )


def row_of_copy(error: psycopg.Error) -> tuple[int | None, str | None]:
    """The row (from 1) and the column that a failed COPY names."""
    found = re.search(r"COPY [^\n]*?, line (\d+)(?:, column ([^\n:]+))?", error.diag.context or "")
    return (int(found[1]), found[2]) if found else (None, None)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _place(database: Database) -> str:
    url = database.url
    return f"{url.host or url.query.get('host') or 'localhost'}:{url.port or 5432}"
