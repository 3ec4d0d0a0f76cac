"""A session in which migrations are run: SQL means what it does on other engines, and one upgrade runs at a time."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from toolkit.engines.mariadb.dialect import CHARSET, COLLATION, DDLCompiler, TypeCompiler, show_create_table
from toolkit.engines.mariadb.modes import MODES, STANDARD, set_mode
from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

# Each is given back at the end: a connection may be an application's. Foreign keys and checks are looked at for rows
# that are there already, or one that is added would say what is not so.
_SETTINGS = {
    "time_zone": "'+00:00'",
    "foreign_key_checks": "1",
    "unique_checks": "1",
    "check_constraint_checks": "1",
    "max_statement_time": "0",
    "sql_safe_updates": "0",
    "sql_select_limit": "18446744073709551615",
    "sql_quote_show_create": "1",
}
_GIVEN_BACK = ("sql_mode", *_SETTINGS)
_LONG = 3600


def begin(connection: Connection) -> Callable[[], None]:
    """Set what migrations rest on; what undoes that, and lets the next upgrade begin."""
    dialect: Any = connection.dialect
    [found] = _rows(connection, f"SELECT {', '.join(f'@@{each}' for each in _GIVEN_BACK)}")
    before = dict(zip(_GIVEN_BACK, found, strict=True))
    _rows(connection, f"SET NAMES {CHARSET} COLLATE {COLLATION}")
    _rows(connection, set_mode(*MODES, *STANDARD))
    _rows(connection, f"SET SESSION {', '.join(f'{name} = {value}' for name, value in _SETTINGS.items())}")
    accept(dialect)
    escapes, dialect._backslash_escapes = dialect._backslash_escapes, False  # noqa: SLF001 - its own setting
    pool = connection.engine.pool

    def forget(*_: Any) -> None:
        dialect._backslash_escapes = escapes  # noqa: SLF001

    # Not all who begin undo it: an `env.py` of another's closes the connection alone.
    event.listen(pool, "close", forget)

    def undo() -> None:
        forget()
        event.remove(pool, "close", forget)
        connection.rollback()
        if connection.closed or connection.invalidated:
            return
        _rows(connection, f"DO RELEASE_LOCK({_lock_of(connection)})")
        values = ", ".join(f"{name} = {_literal(value)}" for name, value in before.items())
        _rows(connection, f"SET SESSION {values}")
        connection.rollback()

    return undo


def accept(dialect: Any) -> None:
    """Let tables be made as this package makes them, by whichever driver an application runs its migrations."""
    dialect.ddl_compiler = DDLCompiler
    dialect.type_compiler_instance = TypeCompiler(dialect)
    dialect._show_create_table = partial(show_create_table, dialect)  # noqa: SLF001 - reflection goes by it


def lock(connection: Connection) -> None:
    """Wait until no other upgrade of this database runs.

    Raises:
        MigrationError: one runs for longer than an hour.
    """
    [(taken,)] = _rows(connection, f"SELECT GET_LOCK({_lock_of(connection)}, {_LONG})")
    if taken != 1:
        raise MigrationError(
            f"Another upgrade of this database has been running for longer than {_LONG // 60} minutes.",
            "Wait until it has ended, or look for it in SHOW PROCESSLIST, then run again.",
        )


def is_uncommitted(connection: Connection) -> bool:
    """Whether there is a transaction."""
    [(found,)] = _rows(connection, "SELECT @@in_transaction")
    return bool(found)


def _lock_of(connection: Connection) -> str:
    """The name of the lock, of which the server takes 64 characters."""
    [(name,)] = _rows(connection, "SELECT database()")
    return f"'toolkit migrations {hashlib.sha256(str(name).encode()).hexdigest()[:32]}'"


def _rows(connection: Connection, statement: str) -> Any:
    """Run a statement that is none of the migration's."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else ()
    finally:
        cursor.close()


def _literal(value: Any) -> str:
    return "'{}'".format(value.replace("'", "''")) if isinstance(value, str) else str(value)
