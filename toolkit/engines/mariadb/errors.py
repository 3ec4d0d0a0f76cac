"""MariaDB's errors, in this package's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolkit.engines.mariadb.urls import server_of
from toolkit.errors import (
    CORRECT_ROW,
    CancelledError,
    ContentionError,
    DatabaseUnavailableError,
    PrivilegeError,
    StatementError,
    ToolkitError,
)

if TYPE_CHECKING:
    from toolkit.engines.contract import Configured

# By the server's numbers, or PyMySQL's from 2000 on.
_BY_NUMBER = {
    1044: ("the login was refused: {message}", "Give this user rights on the database (GRANT)."),
    1045: ("the login was refused: {message}", "Check user name and password, and for which hosts they are."),
    1049: ("there is no such database on the server", "Create it (CREATE DATABASE), or correct the name in the URL."),
    1040: ("the server takes no more connections: {message}", "Close some, or raise the limit: max_connections."),
    1203: ("the server takes no more connections: {message}", "Close some, or raise max_user_connections."),
    1205: (
        "another writer held a lock for longer than {seconds:g} s",
        "Wait until the other has ended, or look for it in SHOW PROCESSLIST, then run again.",
    ),
    1290: ("the server is read-only: {message}", "If it is a replica, write to its primary."),
    1792: ("its transactions are read-only: {message}", "Turn that off where it is set, then run again."),
    1021: ("the server's disk is full: {message}", "Make room there, then run again."),
    1114: ("a table of the server's is full: {message}", "Make room there, then run again."),
    1153: ("a statement is longer than the server takes: {message}", "Raise max_allowed_packet there."),
    1412: ("a table was altered while it was read: {message}", "Run again."),
}
DENIED = frozenset({1142, 1143, 1227, 1370, 1410})
"""The role has not the right."""
_CANCELLED = frozenset({1317, 1968, 3024})
_CONTENDED = {1213: "deadlock with another writer", 1020: "another writer changed the same rows: {message}"}
_LOST = frozenset({0, 1053, 1927, 2006, 2013, 2014, 2055, 4031})
_NO_SERVER = frozenset({2002, 2003, 2005})
REFUSING = frozenset(
    {
        *(1048, 1062, 1136, 1169, 1216, 1217, 1242, 1264, 1265, 1292, 1364, 1366, 1367, 1406, 1411, 1416, 1441, 1451),
        *(1452, 1526, 1557, 1586, 1690, 1748, 1859, 1906, 3140, 3819, 4025, 4078),
    }
)
"""What the server says of a row that it does not take."""
# What an upsert says that would change a row of another key (`duplicates.REFUSAL`).
_TAKEN = 1242


def number_of(error: BaseException) -> int:
    """The server's number for an error; 0 if it has none."""
    number = error.args[0] if error.args else 0
    return number if isinstance(number, int) else 0


def message_of(error: BaseException) -> str:
    """The server's words, without the value that it quotes."""
    text = str(error.args[1] if len(error.args) > 1 else error).partition("\n")[0]
    if number_of(error) == _TAKEN:
        return "a unique value of it is another row's"
    return without_values(text)


def without_values(text: str) -> str:
    """The server's words without the value that they quote."""
    text = re.sub(r"Duplicate entry '.*' for key", "Duplicate entry for key", text)
    return re.sub(r"(value:?) '.*' for column", r"\1 for column", text)


def known_error(database: Configured, error: BaseException) -> ToolkitError:
    """The error to raise in place of the driver's; never with a password."""
    number, message = number_of(error), message_of(error)
    if number in DENIED:
        return PrivilegeError(database.name, message)
    if number in _CANCELLED:
        return CancelledError(database.name)
    if number in _CONTENDED:
        return ContentionError(database.name, _CONTENDED[number].format(message=message), "Run again.")
    if number in _NO_SERVER:
        return DatabaseUnavailableError(
            database.name,
            f"no MariaDB server answers at {server_of(database.url)} ({message})",
            "Check that it runs, the host and the port.",
        )
    if number in _BY_NUMBER:
        fact, advice = _BY_NUMBER[number]
        return DatabaseUnavailableError(
            database.name, fact.format(message=message, seconds=database.lock_seconds), advice
        )
    if number in _LOST:
        return DatabaseUnavailableError(
            database.name, f"the connection was lost: {message}", "Run again when the server is back."
        )
    advice = CORRECT_ROW if number in REFUSING else "Run with --debug to see the statement."
    return StatementError(database.name, message, advice)
