"""Migrations of SQLite in transactions, which Python's driver begins only before rows are changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection


def begin_transactions(connection: Connection, *, only_reads: bool) -> Callable[[], None]:
    """Begin SQLite's transactions in the driver's place, without foreign keys; what gives that back.

    A migration that fails would leave half of its tables. And dropping a table, which is how one is altered, would
    delete its rows' children. A transaction that is there stays, and is ended by whoever began it.

    Raises:
        MigrationError: it is there, and enforces foreign keys.
    """
    driver: Any = connection.connection.dbapi_connection
    # An asynchronous driver is behind an adapter, which has only cursors.
    innermost: Any = connection.connection.driver_connection

    def run(statement: str) -> Any:
        cursor = driver.cursor()
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        cursor.close()
        return row

    (enforced,) = run("PRAGMA foreign_keys")
    if connection.in_transaction():
        if enforced:
            raise MigrationError(
                "The migrations were given a connection within a transaction that enforces foreign keys: in it, SQLite "
                "would delete the children of each table that is rebuilt.",
                "Give a connection without a transaction (engine.connect()), or one with PRAGMA foreign_keys = OFF.",
            )
        if not innermost.in_transaction:
            run("BEGIN IMMEDIATE")
        # It is another's, to commit or not.
        return lambda: None
    level, driver.isolation_level = driver.isolation_level, None
    run("PRAGMA foreign_keys = OFF")

    def begin(_: Connection) -> None:
        if not innermost.in_transaction:
            run("BEGIN" if only_reads else "BEGIN IMMEDIATE")

    def give_back() -> None:
        event.remove(connection, "begin", begin)
        # Within a transaction the pragma would do nothing.
        connection.rollback()
        run(f"PRAGMA foreign_keys = {enforced}")
        driver.isolation_level = level

    event.listen(connection, "begin", begin)
    return give_back
