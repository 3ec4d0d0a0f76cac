"""PostgreSQL's errors, in this package's words."""

from __future__ import annotations

import re
from enum import Enum, auto
from shlex import quote as shell
from typing import TYPE_CHECKING

from psycopg import errors as pg

from toolkit.engines.postgresql.urls import server_of
from toolkit.errors import (
    CORRECT_ROW,
    CancelledError,
    ContentionError,
    DatabaseUnavailableError,
    PrivilegeError,
    RefusedRowError,
    StatementError,
    ToolkitError,
    UnrepresentableValueError,
)

if TYPE_CHECKING:
    import psycopg

    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Configured

# By SQLSTATE, or by its class of two characters.
_BY_STATE = {
    "28P01": ("the password was refused", "Check the password in TOOLKIT_<NAME>_URL, PGPASSWORD or ~/.pgpass."),
    "28": ("the login was refused: {message}", "Check user name, password and the server's pg_hba.conf."),
    "3D000": ("there is no such database on the server", "Create it (createdb), or correct the name in the URL."),
    "25006": (
        "its transactions are read-only: {message}",
        "If it is a standby, write to the primary; else turn off default_transaction_read_only.",
    ),
    "53100": ("the server's disk is full: {message}", "Make room there, then run again."),
    "58030": ("the server cannot write its files: {message}", "Make room there, then run again."),
    "53200": ("the server is out of memory: {message}", "If it says so of locks, raise max_locks_per_transaction."),
    "53300": (
        "the server takes no more connections: {message}",
        (
            "Close some, or raise the limit: max_connections, or CONNECTION LIMIT of the role or the database; or have "
            "workers open fewer: --connections."
        ),
    ),
    "55P03": (
        "another writer held a lock for longer than {seconds:g} s",
        "Wait until the other sync has ended, or look for it in pg_stat_activity, then run again.",
    ),
    "57P01": ("the server closed the connection: {message}", "Run again when it is back."),
    "standby": (
        "the server is a standby, and replaying changes of its primary cancelled the query: {message}",
        "Run again, or let it wait for readers (max_standby_streaming_delay), or read from the primary.",
    ),
    "pooler full": (
        "a pooler such as PgBouncer had no connection to the server free in time ({message})",
        "Let it have two for one database (default_pool_size), or run again when others have ended.",
    ),
    "pooler": (
        "a pooler such as PgBouncer refuses the connection ({message})",
        "Leave that out of the URL and PGOPTIONS: the role may have it on the server (ALTER ROLE … SET …).",
    ),
    "57P03": ("the server is not ready: {message}", "Run again in a moment."),
}
_WIDE_ROW = (
    "A row has room for 8 KB of numbers and short texts there: leave columns out (--exclude-column), or split it."
)
_NEW_VALUE = (
    "PostgreSQL allows a new value of an enum to be used only after the transaction that adds it: put what uses it "
    "into a migration of its own, and run: toolkit database upgrade REVISION, to the one that adds it, then toolkit "
    "database upgrade."
)
# The server has rolled one of two writers back, and takes the same work when the other is done.
_CONTENDED = {
    "40P01": "deadlock with another writer",
    "40001": "another writer changed the same rows: {message}",
}
# What breaks a stream of rows has no SQLSTATE, and neither has a connection that is refused.
_IN_STREAM = (
    ("canceling statement due to user request", "57014"),
    ("canceling statement due to lock timeout", "55P03"),
    ("deadlock detected", "40P01"),
    ("could not serialize access", "40001"),
    ("terminating connection", "57P01"),
    ("permission denied", "42501"),
    ("query_wait_timeout", "pooler full"),
)
# PgBouncer's SQLSTATE for all that it says is that of a broken protocol.
_SAYS_NOTHING = ("", "08P01")
_BY_MESSAGE = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("pg_hba.conf", "28"),
    ("no such user", "28"),
    ("no such database", "3D000"),
    ("unsupported startup parameter", "pooler"),
    # Before those that are told by the name of a role or a database, which these have, too.
    ("too many connections for", "53300"),
    ("too many clients", "53300"),
    ("connection slots", "53300"),
    ("permission denied for database", "42501"),
    ("not currently accepting connections", "57P03"),
    ('role "', "28"),
    ('database "', "3D000"),
    ("the database system is", "57P03"),
)
_CONNECTING = (
    "connection failed",
    "connection to server",
    "Failed to connect",
    "could not translate host name",
    "failed to resolve host",
    "timeout expired",
    "connection timeout",
)
# A quota or a limit on the size of files has no SQLSTATE of its own.
_FULL = ("could not extend file", "could not write to file", "No space left on device")
_POLICY = "row-level security"
_LOST = ("server closed the connection", "connection is lost", "connection is closed", "consuming input failed")


class LockSign(Enum):
    """What an error says of locks: one was waited for in vain, or the server has no room for another."""

    HELD = auto()
    NO_ROOM = auto()


def lock_sign(error: BaseException) -> LockSign | None:
    """Whether an error is of locks."""
    text = str(error)
    if _state_of(error, text) == "55P03":
        return LockSign.HELD
    hint = getattr(getattr(error, "diag", None), "message_hint", None) or text
    return LockSign.NO_ROOM if "max_locks_per_transaction" in hint else None


# Checked row by row; the values of unique keys of columns get out of the way by themselves.
EXCHANGED = (
    f"{CORRECT_ROW} If rows exchange their values, and are in order once all are written, change those of the target "
    "by hand before, or have it checked at the end: a UNIQUE or EXCLUDE constraint, DEFERRABLE INITIALLY DEFERRED."
)


def known_error(database: Configured, error: BaseException) -> ToolkitError:
    """The error to raise in place of the driver's; never with a password, nor with a row's content."""
    text = str(error)
    diag = getattr(error, "diag", None)
    message = getattr(diag, "message_primary", None) or _first_line(re.split("(?:ERROR|FATAL): ", text)[-1])
    state = _state_of(error, text)
    if not state and any(sign in text for sign in _CONNECTING):
        message = _first_line(text.rpartition("FATAL:")[2] or text.rpartition("failed:")[2])
        state = next((state for sign, state in _BY_MESSAGE if sign in text), "")
        if not state:
            return DatabaseUnavailableError(
                database.name,
                f"no PostgreSQL server answers at {server_of(database.url)} ({message})",
                "Check that it runs, the host and the port.",
            )
    if state == "57014":
        return CancelledError(database.name)
    if any(sign in message for sign in _FULL):
        state = "53100"
    if state == "42501":
        return PrivilegeError(database.name, message, *(_hidden(message) if _POLICY in message else ()))
    if state in _CONTENDED:
        return ContentionError(database.name, _CONTENDED[state].format(message=message), "Run again.")
    for known in (state, state[:2]):
        if known in _BY_STATE:
            fact, advice = _BY_STATE[known]
            fact = fact.format(message=message, seconds=database.lock_seconds)
            return DatabaseUnavailableError(database.name, fact, advice)
    if state.startswith(("57P", "08")) or any(sign in text for sign in _LOST):
        return DatabaseUnavailableError(
            database.name, f"the connection was lost: {message}", "Run again when the server is back."
        )
    table = getattr(diag, "table_name", None)
    advice = CORRECT_ROW if isinstance(error, pg.IntegrityError) else "Run with --debug to see the statement."
    advice = _NEW_VALUE if state == "55P04" else advice
    # Told when rows are written by the page: which one it is, is not said.
    advice = _WIDE_ROW if message.startswith("row is too big") else advice
    return StatementError(database.name, f"{table + ': ' if table else ''}{message}", advice)


def _hidden(message: str) -> tuple[str, str]:
    """That policies hide rows, which no privilege on the table lets one see."""
    return (
        f"policies may hide rows from this role: {message}",
        "Log in as the table's owner or a role with BYPASSRLS, or leave the table out: --exclude TABLE.",
    )


def _state_of(error: BaseException, text: str) -> str:
    """The SQLSTATE, or what tells more; empty if there is neither."""
    if "conflict with recovery" in text:
        # Its SQLSTATE is that of work which was in another's way.
        return "standby"
    state: str = getattr(error, "sqlstate", None) or getattr(getattr(error, "diag", None), "sqlstate", None) or ""
    return next((each for sign, each in _IN_STREAM if sign in text), state) if state in _SAYS_NOTHING else state


def refused_row(
    database: Configured, spec: TableSpec, key: str, column: str | None, error: psycopg.Error
) -> ToolkitError:
    """The server's refusal of one row, with its key and, where that is known, its column."""
    column = column or error.diag.column_name
    if column is None:
        reason = error.diag.message_primary or _first_line(str(error))
        if isinstance(error, pg.ExclusionViolation | pg.UniqueViolation):
            found = ". ".join(filter(None, (reason, error.diag.message_detail))).rstrip(".")
            return RefusedRowError(database.name, spec.name, key, found, EXCHANGED)
        return RefusedRowError(database.name, spec.name, key, reason)
    if not isinstance(error, pg.NotNullViolation):
        problem = f"is refused by {database.name}: {error.diag.message_primary}"
        return UnrepresentableValueError(spec.name, key, column, problem)
    if column in spec.column_names:
        return UnrepresentableValueError(spec.name, key, column, f"is NULL, which {database.name} does not allow")
    reason = f"{column}, which only {database.name} has, takes no NULL, and no trigger there gave it a value"
    advice = f"Say what rows that are inserted get there: --set {shell(spec.name)}.{shell(column)}=VALUE."
    return RefusedRowError(database.name, spec.name, key, reason, advice)


def value_of_key(error: psycopg.Error) -> tuple[str, str] | None:
    """The columns or expressions of a key, as SQL, and the value that the server names with a broken constraint."""
    found = re.search(r"\((.*?)\)=\((.*)\)", error.diag.message_detail or "", re.DOTALL)
    return (found[1], found[2]) if found else None


def row_of_copy(error: psycopg.Error) -> tuple[int | None, str | None]:
    """The row (from 1) and the column that a failed COPY names."""
    found = re.search(r"COPY [^\n]*?, line (\d+)(?:, column ([^\n:]+))?", error.diag.context or "")
    return (int(found[1]), found[2]) if found else (None, None)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
